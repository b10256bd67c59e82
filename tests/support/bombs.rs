//! Messages that were made to cost a reader more than they cost their sender.
#![allow(unreachable_pub, reason = "a module of several programs")]

pub struct Bomb {
    pub name: &'static str,
    /// The most octets at which it stays within the default limits.
    pub most: usize,
    /// The message with about that many octets.
    pub make: fn(usize) -> Vec<u8>,
}

const MESSAGE: usize = 100_000_000;
const TEXT: usize = 31_900_000;
const SECTION: usize = 1_000_000;
const FIELD: usize = 64 * 1024;

const fn bomb(name: &'static str, most: usize, make: fn(usize) -> Vec<u8>) -> Bomb {
    Bomb { name, most, make }
}

pub const BOMBS: &[Bomb] = &[
    bomb("text without end", MESSAGE, |n| body("", "x", n)),
    bomb("empty lines", MESSAGE, |n| body("", "\n", n)),
    bomb("deep multiparts, then hyphens", MESSAGE, |n| {
        nested(99, "b", "--b\n", n)
    }),
    bomb("deep multiparts, one boundary in the other", MESSAGE, |n| {
        let mut message = String::new();
        for level in 1..99 {
            let boundary = "b".repeat(level);
            message += &format!("Content-Type: multipart/x; boundary={boundary}\n\n--{boundary}\n");
        }
        filled(message + "\n", &format!("--{}!\n", "b".repeat(99)), n)
    }),
    bomb("multiparts deeper than any limit", MESSAGE, |n| {
        filled(
            String::new(),
            "Content-Type: multipart/x; boundary=b\n\n--b\n",
            n,
        )
    }),
    bomb("parts without end", MESSAGE, |n| {
        body("Content-Type: multipart/x; boundary=b\n", "--b\n\nx\n", n)
    }),
    bomb("parts with big headers", MESSAGE, |n| {
        let name = "n".repeat(900);
        let part = format!(
            "--b\nContent-Type: image/{name}; name={name}; charset={name}\nContent-ID: {name}\n\
             Content-Location: {name}\nContent-Base: {name}\nContent-Transfer-Encoding: {name}\n\n"
        );
        body("Content-Type: multipart/x; boundary=b\n", &part, n)
    }),
    bomb("messages in messages", MESSAGE, |n| {
        filled(String::new(), "Content-Type: message/rfc822\n\n", n)
    }),
    bomb("header fields", 49_000, |n| header("a: b\n", n)),
    bomb("lines that are no fields", 19_000, |n| header("x\n", n)),
    bomb("the same fields again", SECTION - 20_000, |n| {
        header(&format!("From: {}\n", "x".repeat(200)), n)
    }),
    bomb("raw bytes in all fields", SECTION - 20_000, |n| {
        let mut message = Vec::new();
        while message.len() < n {
            message.extend(format!("f{}: ", message.len()).into_bytes());
            message.extend([0xff; 100]);
            message.push(b'\n');
        }
        message.extend(b"\n");
        message
    }),
    bomb("encoded words without end", FIELD, |n| {
        field("Subject", "=?utf-8?q?a", n)
    }),
    bomb("empty encoded words", FIELD, |n| {
        field("Subject", "=?utf-8?q??= ", n)
    }),
    bomb("encoded words of many sets", FIELD, |n| {
        field("Subject", "=?utf-8?q?a?= =?utf-7?q?a?= ", n)
    }),
    bomb("beginnings of encoded words", FIELD, |n| {
        field("Subject", "=?", n)
    }),
    bomb("recipients", 30_000, |n| field("To", "a@b,", n)),
    bomb("brackets", FIELD, |n| field("From", "<", n)),
    bomb("comments in comments", FIELD, |n| field("From", "(", n)),
    bomb("colons", FIELD, |n| field("From", ":", n)),
    bomb("groups behind an address", FIELD, |n| {
        let half = n / 2;
        field(
            "From",
            &format!("{}@{}", "x".repeat(half), ":".repeat(half)),
            n,
        )
    }),
    bomb("quotes", FIELD, |n| field("From", "\"\\\"", n)),
    bomb("dates", FIELD, |n| field("Date", "1 Jan 12:00 ", n)),
    bomb("signs in a date", FIELD, |n| field("Date", "+", n)),
    bomb("message ids", FIELD, |n| field("References", "<a@b>", n)),
    bomb("clauses", FIELD, |n| field("Received", "from by (x) ", n)),
    bomb("parameters", FIELD, |n| field("Content-Type", "a/b;x=y", n)),
    bomb("sections of a parameter", FIELD, |n| {
        field("Content-Type", "a/b; name*1*=%41; name*0=", n)
    }),
    bomb("base64 of equals signs", MESSAGE, |n| body(BASE64, "=", n)),
    bomb("base64 of what it has not", MESSAGE, |n| {
        body(BASE64, "!", n)
    }),
    bomb("base64 in one line", TEXT, |n| body(BASE64, "QUJD", n)),
    bomb("padding and more", TEXT, |n| body(BASE64, "QQ==QQ==\n", n)),
    bomb("quoted-printable of equals signs", TEXT, |n| {
        body(QUOTED, "=", n)
    }),
    bomb("soft breaks", MESSAGE, |n| body(QUOTED, "=\n", n)),
    bomb("escapes that are none", TEXT, |n| body(QUOTED, "=  ", n)),
    bomb("a text that grows", TEXT / 3, |n| {
        let mut message = b"Content-Type: text/plain; charset=windows-1252\n\n".to_vec();
        message.resize(n, 0x80);
        message
    }),
    bomb("a text that grows into HTML", TEXT / 6, |n| {
        body("", "\"", n)
    }),
    bomb("utf-7", TEXT / 3, |n| {
        body("Content-Type: text/plain; charset=utf-7\n", "+AKM-", n)
    }),
    bomb("text that flows", TEXT, |n| {
        body(
            "Content-Type: text/plain; format=flowed; delsp=yes\n",
            ">> \n",
            n,
        )
    }),
    bomb("quotes of quotes", TEXT, |n| {
        body("Content-Type: text/plain; format=flowed\n", ">", n)
    }),
    bomb("beginnings of uuencoded files", TEXT, |n| {
        body("", "begin 644 x\n", n)
    }),
    bomb("a uuencoded file that grows", TEXT, |n| {
        body("", "begin 644 x\nM\n", n)
    }),
    bomb("uuencoded lines that lost their blanks", TEXT / 25, |n| {
        filled("A: b\n\nbegin 644 x\n".to_owned(), "M\n", n)
    }),
    bomb("a part in uuencode that grows", TEXT / 25, |n| {
        let header =
            "Content-Type: image/png\nContent-Transfer-Encoding: x-uuencode\n\nbegin 644 x\n";
        filled(header.to_owned(), "M\n", n)
    }),
    bomb("tags", TEXT, |n| body(HTML, "<a href=http://x>", n)),
    bomb("tags in tags", TEXT, |n| body(HTML, "<", n)),
    bomb("elements in elements", TEXT, |n| body(HTML, "<div><b>", n)),
    bomb("quotes in tags", TEXT, |n| body(HTML, "<a b=\"", n)),
    bomb("quotes over tags", TEXT, |n| {
        body(HTML, "<a b='><a b=\">", n)
    }),
    bomb("entities", TEXT, |n| body(HTML, "&amp", n)),
    bomb("entities in an attribute", TEXT, |n| {
        filled(format!("{HTML}\n<a href=\""), "&", n)
    }),
    bomb("comments", TEXT, |n| body(HTML, "<!--", n)),
    bomb("scripts", TEXT, |n| body(HTML, "<script></scrip", n)),
    bomb("line breaks", TEXT / 3, |n| body(HTML, "<hr><li>", n)),
    bomb("attributes", TEXT, |n| {
        filled(format!("{HTML}\n<a "), "href ", n)
    }),
    bomb("blanks before a break", TEXT, |n| {
        body(HTML, "&nbsp;<br>", n)
    }),
    bomb("quotes of nothing", TEXT, |n| body(HTML, "<a =\">\"", n)),
    bomb("quotes of nothing and one open", TEXT, |n| {
        let mut message = body(HTML, "<a =\">\"", n - 20);
        message.extend(b"<a b=\"");
        message
    }),
    bomb("line ends in pre", TEXT, |n| {
        let header = "Content-Type: text/html; charset=ibm437\n\n<pre>x";
        let mut message = filled(header.to_owned(), "\n", n - 3);
        message.extend([0x80, 0x80, b'x']);
        message
    }),
    bomb("names that grow", MESSAGE, |n| {
        let mut message = b"Content-Type: multipart/x; boundary=b\n\n".to_vec();
        let long = 64_000.min(n / 4);
        while message.len() + long + 200 < n {
            message.extend(b"--b\nContent-Disposition: attachment; filename*=windows-1252''");
            message.resize(message.len() + long, 0x80);
            message.extend(b"\n\n");
        }
        message
    }),
    bomb("long boundaries around many short ones", 14_000_000, |n| {
        let mut message = String::new();
        for level in 0..97 {
            let boundary = format!("{}{level}", "b".repeat((n / 220).min(65_000)));
            message += &format!("Content-Type: multipart/x; boundary={boundary}\n\n--{boundary}\n");
        }
        message += "Content-Type: multipart/x; boundary=s\n\n";
        let piece = "--s\nContent-Type: multipart/x; boundary=t\n\n";
        filled(message, piece, n)
    }),
    bomb("lines that are no fields in many parts", MESSAGE, |n| {
        let part = "--b\n".to_owned() + &"x\n".repeat(9_900) + "\n";
        body("Content-Type: multipart/x; boundary=b\n", &part, n)
    }),
    bomb("short fields in many parts", MESSAGE, |n| {
        let part = "--b\n".to_owned() + &"a:\n".repeat(9_900) + "\n";
        body("Content-Type: multipart/x; boundary=b\n", &part, n)
    }),
    bomb("boundaries that end in blanks", MESSAGE, |n| {
        let mut message = String::new();
        for level in 0..99 {
            let boundary = "b".to_owned() + &" ".repeat(level);
            message +=
                &format!("Content-Type: multipart/x; boundary=\"{boundary}\"\n\n--{boundary}\n");
        }
        filled(message + "\n", &format!("--b{}x\n", " ".repeat(220)), n)
    }),
    bomb("a large part in uuencode that grows", MESSAGE, |n| {
        let header =
            "Content-Type: image/png\nContent-Transfer-Encoding: x-uuencode\n\nbegin 644 x\n";
        filled(header.to_owned(), "M\n", n)
    }),
    bomb("one large file and many that are none", TEXT, |n| {
        let file =
            "A: b\n\nbegin 644 x\n".to_owned() + &"M\n".repeat((n / 50).min(700_000)) + "end\n";
        let none = "begin 644 x\n".to_owned() + &"M\n".repeat(700_000.min(n / 50)) + "!\n";
        filled(file, &none, n)
    }),
    bomb("a large file and as much text", TEXT, |n| {
        let header = "Content-Type: text/plain; charset=ibm437\n\nbegin 644 x\n";
        let mut message = filled(header.to_owned(), "M\n", n / 25);
        message.extend(b"end\n");
        message.resize(n / 3, 0x80);
        message
    }),
    bomb("a report without end", MESSAGE, |n| {
        let header = "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n";
        filled(header.to_owned(), "Final-Recipient: x;y\n\n", n)
    }),
];

const BASE64: &str = "Content-Transfer-Encoding: base64\n";
const QUOTED: &str = "Content-Transfer-Encoding: quoted-printable\n";
const HTML: &str = "Content-Type: text/html\n";

fn filled(start: String, piece: &str, size: usize) -> Vec<u8> {
    let mut message = start.into_bytes();
    while message.len() + piece.len() <= size {
        message.extend(piece.as_bytes());
    }
    message
}

fn body(header: &str, piece: &str, size: usize) -> Vec<u8> {
    filled(format!("A: b\n{header}\n"), piece, size)
}

fn header(line: &str, size: usize) -> Vec<u8> {
    let mut message = filled(String::new(), line, size - 1);
    message.extend(b"\nbody");
    message
}

/// A field of one line.
fn field(name: &str, piece: &str, size: usize) -> Vec<u8> {
    let mut message = filled(format!("{name}: "), piece, size - 20);
    message.extend(b"\n\nbody");
    message
}

fn nested(depth: usize, boundary: &str, piece: &str, size: usize) -> Vec<u8> {
    let mut message = String::new();
    for level in 0..depth {
        message += &format!(
            "Content-Type: multipart/x; boundary={boundary}{level}\n\n--{boundary}{level}\n"
        );
    }
    filled(message + "\n", piece, size)
}

/// Asks a message for everything it has.
pub fn read_all(message: &cdonts::MessageFile) -> cdonts::Result<()> {
    let mut result = Ok(());
    let mut note = |one: cdonts::Result<()>| {
        if result.is_ok() {
            result = one;
        }
    };
    note(message.text().map(drop));
    note(message.html_text().map(drop));
    note(message.recipients().map(drop));
    note(message.reply_to().map(drop));
    note(message.time_sent().map(drop));
    note(message.importance().map(drop));
    note(message.report().map(drop));
    note(message.problems().map(drop));
    note(message.headers().map(|headers| {
        headers.received();
        headers.references();
    }));
    note(message.write_to(&mut std::io::sink()).map(drop));
    note(message.text_part().map(drop));
    note(message.html_part().map(drop));
    note(message.parts().map(drop));
    note(message.attachments().and_then(|attachments| {
        for attachment in &attachments {
            attachment.write_to(&mut std::io::sink())?;
            attachment.source()?;
        }
        Ok(())
    }));
    result
}
