//! SMTP against servers that follow a script: what they get, and what is made of their answers.
#![cfg(feature = "smtp")]
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;
#[path = "support/tls.rs"]
mod tls;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use cdonts::{
    Credentials, Envelope, ErrorKind, MailServer, NewMail, Report, Roots, Security, Smtp,
};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use support::{Root, messages, session};

/// The server's end of one connection.
struct Talk(Box<dyn Stream>);

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl Talk {
    fn say(&mut self, text: impl AsRef<[u8]>) {
        // The client may be gone already, as it should.
        let _ = self.0.write_all(text.as_ref());
        let _ = self.0.flush();
    }

    /// A line; empty when the client has closed the connection.
    fn hear(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") && matches!(self.0.read(&mut byte), Ok(1)) {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap().trim_end().to_owned()
    }

    /// What comes up to the dot.
    fn hear_message(&mut self) -> String {
        let mut message = Vec::new();
        let mut byte = [0];
        while !message.ends_with(b"\r\n.\r\n") && matches!(self.0.read(&mut byte), Ok(1)) {
            message.push(byte[0]);
        }
        String::from_utf8_lossy(&message).into_owned()
    }

    /// Greets and answers EHLO with these extensions.
    fn greet(&mut self, extensions: &[&str]) {
        self.say("220 relay.example ESMTP\r\n");
        self.hello(extensions);
    }

    fn hello(&mut self, extensions: &[&str]) {
        assert_eq!(self.hear(), "EHLO localhost");
        let lines: String = extensions
            .iter()
            .map(|one| format!("250-{one}\r\n"))
            .collect();
        self.say(format!("250-relay.example\r\n{lines}250 HELP\r\n"));
    }

    /// Takes a message and accepts everything; returns the commands and the message.
    fn take(&mut self) -> (Vec<String>, String) {
        let mut commands = Vec::new();
        loop {
            let line = self.hear();
            assert!(!line.is_empty(), "it hung up after {commands:?}");
            if line == "DATA" {
                break;
            }
            commands.push(line);
            self.say("250 2.1.0 ok\r\n");
        }
        self.say("354 go on\r\n");
        let message = self.hear_message();
        self.say("250 2.0.0 queued as 42\r\n");
        (commands, message)
    }
}

/// A server on loopback, and what its script gives back; one connection each.
fn serve<T: Send + 'static>(
    connections: usize,
    script: impl Fn(usize, Talk) -> T + Send + 'static,
) -> (u16, JoinHandle<Vec<T>>) {
    serve_with(connections, |stream| Box::new(stream), script)
}

fn serve_with<T: Send + 'static>(
    connections: usize,
    wrap: impl Fn(TcpStream) -> Box<dyn Stream> + Send + 'static,
    script: impl Fn(usize, Talk) -> T + Send + 'static,
) -> (u16, JoinHandle<Vec<T>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = std::thread::spawn(move || {
        let talk = |number| script(number, Talk(wrap(listener.accept().unwrap().0)));
        (0..connections).map(talk).collect()
    });
    (port, served)
}

fn plain(port: u16) -> Smtp {
    Smtp::plain("127.0.0.1")
        .port(port)
        .timeout(Duration::from_secs(20))
}

/// A mail server that relays by it.
struct Sender {
    root: Root,
    server: MailServer,
}

impl Sender {
    fn new(smtp: Smtp) -> Self {
        let root = Root::new();
        let server = root
            .builder()
            .create_directories()
            .local_domain("example.com")
            .pickup_writer(cdonts::Writer::Renames)
            .relay(smtp)
            .open()
            .unwrap();
        Self { root, server }
    }

    fn send(&self, to: &[&str]) -> &Self {
        let mail = NewMail::new(&self.server)
            .from("shop@example.com")
            .subject("Hi");
        let mail = to.iter().fold(mail, |mail, &to| mail.to(to));
        mail.body("one\n.\n..two").send().unwrap();
        self.server.deliver_now().unwrap();
        self
    }

    fn send_raw(&self, raw: &str) -> &Self {
        let envelope = Envelope::new("shop@example.com", ["joe@example.net"]);
        let outbox = session(&self.server, "shop@example.com").outbox();
        outbox.send_raw(&envelope, raw.as_bytes()).unwrap();
        self.server.deliver_now().unwrap();
        self
    }

    fn relayed(&self) -> u64 {
        self.server.counts().relayed
    }

    /// Who waits, and why.
    fn waiting(&self) -> Vec<(String, String)> {
        let queue = self.server.queue().unwrap();
        let of = |message: &cdonts::QueuedMessage| -> Vec<_> {
            let recipients = message.recipients().into_iter();
            let told = recipients.map(|to| (to.to_owned(), message.last_reply(to).to_owned()));
            told.collect()
        };
        queue.iter().flat_map(of).collect()
    }

    fn reason(&self) -> String {
        let waiting = self.waiting();
        assert_eq!(waiting.len(), 1, "{waiting:?}");
        waiting[0].1.clone()
    }

    /// Whom the sender was told of, with the status.
    fn bounced(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for message in &messages(&self.server, "shop@example.com") {
            if let Some(Report::Delivery(report)) = message.report().unwrap() {
                let status = |to: &cdonts::RecipientStatus| to.status().unwrap().to_owned();
                let recipients = report.recipients().iter();
                all.extend(recipients.map(|to| (to.address().to_owned(), status(to))));
            }
        }
        all
    }
}

#[test]
fn each_recipient_has_the_answer_that_it_got() {
    let (port, served) = serve(1, |_, mut talk| {
        talk.greet(&[]);
        assert_eq!(talk.hear(), "MAIL FROM:<shop@example.com>");
        talk.say("250 ok\r\n");
        for answer in [
            "550 5.1.1 no such user",
            "250 ok",
            "452 4.2.2 full",
            "552 too many",
        ] {
            assert!(talk.hear().starts_with("RCPT TO:<"));
            talk.say(format!("{answer}\r\n"));
        }
        assert_eq!(talk.hear(), "DATA");
        talk.say("354 go on\r\n");
        let message = talk.hear_message();
        talk.say("250 ok\r\n");
        message
    });
    let sender = Sender::new(plain(port));
    sender.send(&[
        "a@example.net",
        "b@example.net",
        "c@example.net",
        "d@example.net",
    ]);
    assert_eq!(sender.relayed(), 1);
    let waiting = sender.waiting();
    assert_eq!(waiting.len(), 2);
    assert_eq!(
        waiting[0],
        ("c@example.net".to_owned(), "452 4.2.2 full".to_owned())
    );
    assert_eq!(
        sender.bounced(),
        [("a@example.net".to_owned(), "5.1.1".to_owned())]
    );
    let message = served.join().unwrap().remove(0);
    assert!(
        message.ends_with("\r\n\r\none\r\n..\r\n...two\r\n.\r\n"),
        "{message}"
    );
    assert!(!message.contains("X-Sender") && !message.contains("X-Receiver"));
}

#[test]
fn when_all_are_refused_no_message_is_given() {
    let (port, served) = serve(1, |_, mut talk| {
        talk.greet(&[]);
        for answer in ["250 ok", "550 no", "551 5.1.6 gone", "250 reset"] {
            talk.hear();
            talk.say(format!("{answer}\r\n"));
        }
        talk.hear()
    });
    let sender = Sender::new(plain(port));
    sender.send(&["a@example.net", "b@example.net"]);
    assert_eq!(sender.bounced().len(), 2);
    assert!(sender.waiting().is_empty());
    drop(sender);
    assert_eq!(served.join().unwrap(), ["QUIT"]);
}

#[test]
fn a_connection_is_used_again_after_rset_and_not_after_a_fault() {
    let (port, served) = serve(2, |number, mut talk| {
        talk.greet(&[]);
        if number == 0 {
            let first = talk.take();
            assert_eq!(talk.hear(), "RSET");
            talk.say("250 ok\r\n");
            let (second, _) = talk.take();
            assert_eq!(first.0, second);
            assert_eq!(talk.hear(), "RSET");
            talk.say("250 ok\r\n");
            assert!(talk.hear().starts_with("MAIL"));
            talk.say("421 4.3.2 closing\r\n");
            // It says nothing more to a server that closes.
            return talk.hear();
        }
        talk.take();
        talk.hear()
    });
    let sender = Sender::new(plain(port));
    sender.send(&["a@example.net"]).send(&["a@example.net"]);
    assert_eq!(sender.relayed(), 2);
    sender.send(&["a@example.net"]);
    assert_eq!(sender.reason(), "421 4.3.2 closing");
    sender.send(&["b@example.net"]);
    assert_eq!(sender.relayed(), 3);
    drop(sender);
    assert_eq!(served.join().unwrap(), ["", "QUIT"]);
}

#[test]
fn an_answer_that_does_not_fit_the_question_is_no_yes() {
    // 250 to DATA is not the word to go on, 354 at the end is not the word that it is there.
    for (to_data, at_end) in [
        ("250 ok", ""),
        ("354 go on", "354 go on"),
        ("354 go", "220 hello"),
    ] {
        let (port, served) = serve(1, move |_, mut talk| {
            talk.greet(&[]);
            for _ in 0..2 {
                talk.hear();
                talk.say("250 ok\r\n");
            }
            assert_eq!(talk.hear(), "DATA");
            talk.say(format!("{to_data}\r\n"));
            if at_end.is_empty() {
                return talk.hear();
            }
            talk.hear_message();
            talk.say(format!("{at_end}\r\n"));
            talk.hear()
        });
        let sender = Sender::new(plain(port));
        sender.send(&["a@example.net"]);
        assert_eq!(
            (sender.relayed(), sender.waiting().len()),
            (0, 1),
            "{to_data} {at_end}"
        );
        assert_eq!(served.join().unwrap(), [""]);
    }
}

#[test]
fn a_lost_answer_after_the_dot_is_unknown_and_the_same_message_is_sent_again() {
    let (port, served) = serve(2, |number, mut talk| {
        talk.greet(&[]);
        for _ in 0..2 {
            talk.hear();
            talk.say("250 ok\r\n");
        }
        talk.hear();
        talk.say("354 go on\r\n");
        let message = talk.hear_message();
        if number == 1 {
            // What is no ASCII, and no text at all, is an answer.
            talk.say(b"250-ang\xe9kommen\r\n250\r\n");
        }
        message
    });
    let sender = Sender::new(plain(port));
    sender.send(&["a@example.net"]);
    assert!(sender.reason().contains("closed"), "{}", sender.reason());
    sender.server.queue().unwrap()[0].retry_now().unwrap();
    sender.server.deliver_now().unwrap();
    assert_eq!((sender.relayed(), sender.waiting().len()), (1, 0));
    let got = served.join().unwrap();
    assert_eq!(got[0], got[1]);
    assert!(got[0].contains("Message-ID: <"));
}

#[test]
fn a_connection_that_breaks_within_the_message_hears_nothing_that_could_be_a_part_of_it() {
    let (port, served) = serve(1, |_, mut talk| {
        talk.greet(&[]);
        for answer in ["250 ok", "250 ok", "354 go on"] {
            talk.hear();
            talk.say(format!("{answer}\r\n"));
        }
        // It reads no more than it must, and for so long that the client gives up.
        let mut block = [0; 1000];
        let mut rest = Vec::new();
        std::thread::sleep(Duration::from_millis(900));
        while let Ok(count @ 1..) = talk.0.read(&mut block) {
            rest.extend_from_slice(&block[..count]);
        }
        String::from_utf8_lossy(&rest).into_owned()
    });
    let sender = Sender::new(plain(port).timeout(Duration::from_millis(300)));
    let mail = NewMail::new(&sender.server)
        .from("shop@example.com")
        .to("a@example.net");
    let large = mail.attach_bytes("data.bin", vec![7; 20_000_000]);
    large.send().unwrap();
    sender.server.deliver_now().unwrap();
    assert!(sender.reason().contains("too slow"), "{}", sender.reason());
    assert_eq!(sender.relayed(), 0);
    drop(sender);
    let got = served.join().unwrap().remove(0);
    assert!(!got.contains("QUIT") && !got.contains("\r\n.\r\n"));
}

#[test]
fn lines_without_end_and_answers_that_are_none_end_the_dialogue() {
    let endless = || "250-more\r\n".repeat(5000);
    for (greeting, reason) in [
        ("x".repeat(1 << 20), "no end"),
        (format!("220 {}", "x".repeat(1 << 20)), "no end"),
        (endless(), "no end"),
        ("hello\r\n".to_owned(), "no reply"),
        ("2200 hello\r\n".to_owned(), "no reply"),
        ("-22 hello\r\n".to_owned(), "no reply"),
        ("999 hello\r\n".to_owned(), "no reply"),
        ("\r\n".to_owned(), "no reply"),
        ("554 5.7.1 not you\r\n".to_owned(), "554 5.7.1 not you"),
        (String::new(), "closed"),
    ] {
        let said = greeting.clone();
        let (port, served) = serve(1, move |_, mut talk| talk.say(&said));
        let sender = Sender::new(plain(port));
        sender.send(&["a@example.net"]);
        let told = sender.reason();
        // A reset may come before what was said.
        assert!(told.contains(reason) || told.contains("reset"), "{told}");
        served.join().unwrap();
    }
}

#[test]
fn a_server_that_trickles_is_too_slow() {
    let (port, served) = serve(1, |_, mut talk| {
        // Each octet comes in time; the line never does.
        for _ in 0..1000 {
            if talk
                .0
                .write_all(b"2")
                .and_then(|()| talk.0.flush())
                .is_err()
            {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    });
    let sender = Sender::new(plain(port).timeout(Duration::from_millis(200)));
    sender.send(&["a@example.net"]);
    assert!(sender.reason().contains("too slow"), "{}", sender.reason());
    assert_eq!(served.join().unwrap(), [true]);
}

#[test]
fn what_a_server_cannot_do_is_not_asked_of_it() {
    let utf8 = "From: s@example.com\r\nTo: joe@example.net\r\nSubject: gr\u{fc}n\r\n\r\ntext\r\n";
    let eight = "From: s@example.com\r\nTo: joe@example.net\r\nSubject: hi\r\n\r\ngr\u{fc}n\r\n";
    let large = format!(
        "From: s@example.com\r\nTo: joe@example.net\r\n\r\n{}",
        "line\r\n".repeat(300)
    );
    for (extensions, raw, expected) in [
        (&["SIZE 1000"][..], large.as_str(), Err("5.3.4")),
        (&["size 0", "dsn"], large.as_str(), Ok(" SIZE=")),
        (&["8bitmime"], utf8, Err("5.6.7")),
        (&[], eight, Err("5.6.3")),
        (&["8bitmime"], eight, Ok(" BODY=8BITMIME")),
        (
            &["SMTPUTF8", "8BITMIME"],
            utf8,
            Ok(" BODY=8BITMIME SMTPUTF8"),
        ),
        (
            &["DSN"],
            "From: s@example.com\r\nTo: joe@example.net\r\n\r\n",
            Ok(" RET=HDRS ENVID="),
        ),
        (
            &[],
            "From: s@example.com\r\nTo: joe@example.net\r\n\r\n",
            Ok(">"),
        ),
    ] {
        let offered: Vec<String> = extensions.iter().map(|&one| one.to_owned()).collect();
        let is_sent = expected.is_ok();
        let (port, served) = serve(1, move |_, mut talk| {
            let offered: Vec<_> = offered.iter().map(String::as_str).collect();
            talk.greet(&offered);
            if is_sent {
                talk.take().0.remove(0)
            } else {
                talk.hear()
            }
        });
        let sender = Sender::new(plain(port));
        sender.send_raw(raw);
        let bounced = sender.bounced();
        drop(sender);
        let heard = served.join().unwrap().remove(0);
        match expected {
            Ok(parameters) => {
                assert!(
                    heard.contains(&format!(
                        "<shop@example.com>{}",
                        parameters.trim_start_matches('>')
                    )),
                    "{heard}"
                );
            }
            Err(status) => {
                assert_eq!(bounced, [("joe@example.net".to_owned(), status.to_owned())]);
                assert_eq!(heard, "QUIT");
            }
        }
    }
}

#[test]
fn no_line_end_of_a_message_can_be_taken_for_its_end() {
    let smuggled = "From: s@example.com\nTo: joe@example.net\n\na\n.\nMAIL FROM:<x@example.org>\r.\r\nb\r\n.\r";
    let (port, served) = serve(1, |_, mut talk| {
        talk.greet(&[]);
        talk.take().1
    });
    let sender = Sender::new(plain(port));
    // Our own Outbox does not take it; another program may write it into Pickup.
    sender.root.write("Pickup/x.eml", smuggled);
    sender.server.deliver_now().unwrap();
    assert_eq!(sender.relayed(), 1);
    let message = served.join().unwrap().remove(0);
    assert!(
        message.ends_with("\r\n\r\na\r\n..\r\nMAIL FROM:<x@example.org>\r\n..\r\nb\r\n..\r\n.\r\n"),
        "{message:?}"
    );
    assert!(!message.replace("\r\n", "").contains(['\r', '\n']));
}

#[test]
fn an_old_server_is_greeted_with_helo() {
    let (port, served) = serve(1, |_, mut talk| {
        talk.say("220 old\r\n");
        assert_eq!(talk.hear(), "EHLO localhost");
        talk.say("502 what?\r\n");
        assert_eq!(talk.hear(), "HELO localhost");
        talk.say("250 hello\r\n");
        talk.take().0
    });
    let sender = Sender::new(plain(port));
    sender.send(&["a@example.net"]);
    assert_eq!(sender.relayed(), 1);
    assert_eq!(served.join().unwrap()[0][0], "MAIL FROM:<shop@example.com>");
}

#[test]
fn nothing_is_sent_when_tls_is_wanted_and_not_there() {
    let only = |smtp: Smtp| smtp.timeout(Duration::from_secs(20));
    // A server without STARTTLS, or somebody between who has taken the word out.
    let (port, served) = serve(1, |_, mut talk| {
        talk.greet(&["AUTH PLAIN"]);
        talk.hear()
    });
    let secret = Credentials::password("shop", "secret");
    let smtp = Smtp::new("127.0.0.1")
        .unwrap()
        .port(port)
        .credentials(secret.clone());
    let sender = Sender::new(only(smtp));
    sender.send(&["a@example.net"]);
    assert!(
        sender.reason().contains("no STARTTLS"),
        "{}",
        sender.reason()
    );
    assert_eq!(served.join().unwrap(), [""]);
    // One who speaks on in the clear behind the answer to STARTTLS.
    let (port, served) = serve(1, |_, mut talk| {
        talk.greet(&["starttls"]);
        assert_eq!(talk.hear(), "STARTTLS");
        talk.say("220 go on\r\n250-relay\r\n250 AUTH PLAIN\r\n250 ok\r\n250 ok\r\n354 go\r\n250 FAKE\r\n");
        talk.hear()
    });
    let sender = Sender::new(only(Smtp::new("127.0.0.1").unwrap().port(port)));
    sender.send(&["a@example.net"]);
    assert!(
        sender.reason().contains("in the clear"),
        "{}",
        sender.reason()
    );
    assert_eq!(served.join().unwrap(), [""]);
    // And credentials never go over a connection that others can read.
    let (port, served) = serve(1, |_, mut talk| {
        talk.greet(&["AUTH PLAIN LOGIN"]);
        talk.hear()
    });
    let sender = Sender::new(plain(port).credentials(secret));
    sender.send(&["a@example.net"]);
    assert!(
        sender.reason().contains("without TLS"),
        "{}",
        sender.reason()
    );
    assert_eq!(served.join().unwrap(), [""]);
}

/// A certificate authority and a server's certificate of it, made now; `None` without `openssl`.
struct Certificates {
    _root: Root,
    authority: Vec<u8>,
    server: Arc<ServerConfig>,
}

fn certificates() -> Option<Certificates> {
    let root = Root::new();
    let run = |args: &[&str]| {
        let output = std::process::Command::new("openssl")
            .args(args)
            .current_dir(root.path())
            .output()
            .ok()?;
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Some(())
    };
    let made = (|| {
        run(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-days",
            "2",
            "-subj",
            "/CN=test authority",
        ])?;
        run(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "server.key",
            "-out",
            "server.csr",
            "-subj",
            "/CN=localhost",
        ])?;
        root.write(
            "ext",
            "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n",
        );
        run(&[
            "x509",
            "-req",
            "-in",
            "server.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-out",
            "server.pem",
            "-days",
            "2",
            "-extfile",
            "ext",
        ])
    })();
    if made.is_none() {
        println!("skipped: no openssl to make certificates with");
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"));
        return None;
    }
    let read = |name: &str| std::fs::read(root.join(name)).unwrap();
    Some(Certificates {
        authority: read("ca.pem"),
        server: tls::server(&read("server.pem"), &read("server.key")),
        _root: root,
    })
}

impl Certificates {
    fn accept(&self) -> impl Fn(TcpStream) -> Box<dyn Stream> + Send + 'static {
        let config = Arc::clone(&self.server);
        move |stream| {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            Box::new(StreamOwned::new(session, stream))
        }
    }

    fn client(&self, port: u16) -> Smtp {
        Smtp::submission("localhost")
            .unwrap()
            .port(port)
            .timeout(Duration::from_secs(20))
            .roots(&Roots::Only(self.authority.clone()))
            .unwrap()
    }
}

fn base64(text: &str) -> String {
    use ::base64::Engine;
    ::base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn credentials_go_over_tls_in_each_form() {
    let Some(certificates) = certificates() else {
        return;
    };
    let password = Credentials::password("shop", "s\u{e4}cret");
    let token = Credentials::token("shop", "tok");
    let plain = format!("AUTH PLAIN {}", base64("\0shop\0s\u{e4}cret"));
    let bearer = format!(
        "AUTH XOAUTH2 {}",
        base64("user=shop\u{1}auth=Bearer tok\u{1}\u{1}")
    );
    let login = [
        "AUTH LOGIN".to_owned(),
        base64("shop"),
        base64("s\u{e4}cret"),
    ];
    for (offered, credentials, expected) in [
        ("AUTH LOGIN PLAIN", &password, &[plain][..]),
        ("AUTH login", &password, &login),
        ("AUTH XOAUTH2 PLAIN", &token, &[bearer]),
    ] {
        let steps = expected.len();
        let (port, served) = serve_with(1, certificates.accept(), move |_, mut talk| {
            talk.greet(&[offered]);
            let mut heard = Vec::new();
            for step in 1..=steps {
                heard.push(talk.hear());
                talk.say(if step == steps {
                    "235 welcome\r\n"
                } else {
                    "334 more\r\n"
                });
            }
            talk.take();
            heard
        });
        let sender = Sender::new(certificates.client(port).credentials(credentials.clone()));
        sender.send(&["a@example.net"]);
        assert_eq!(sender.relayed(), 1, "{:?}", sender.waiting());
        assert_eq!(served.join().unwrap()[0], expected);
    }
}

#[test]
fn a_refusal_of_credentials_is_read_to_its_end_and_never_shows_them() {
    let Some(certificates) = certificates() else {
        return;
    };
    let (port, served) = serve_with(1, certificates.accept(), |_, mut talk| {
        talk.greet(&["AUTH XOAUTH2"]);
        talk.hear();
        talk.say("334 eyJzdGF0dXMiOiI0MDEifQ==\r\n");
        assert_eq!(talk.hear(), "");
        talk.say("535 5.7.8 bad token\r\n");
        talk.hear()
    });
    let token = Credentials::token("shop", "very-secret");
    let smtp = certificates.client(port).credentials(token.clone());
    assert!(!format!("{smtp:?} {token:?}").contains("very-secret"));
    let sender = Sender::new(smtp);
    sender.send(&["a@example.net"]);
    assert_eq!(sender.reason(), "535 5.7.8 bad token");
    // Neither is anything given nor does anybody get a report: it is for the owner to mend.
    assert_eq!((sender.relayed(), sender.bounced().len()), (0, 0));
    assert_eq!(served.join().unwrap(), [""]);
}

/// The server's end of a connection that is gone after so many answers.
struct Ending {
    stream: Box<dyn Stream>,
    left: usize,
}

impl Read for Ending {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        self.stream.read(buffer)
    }
}

impl Write for Ending {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        self.left -= 1;
        self.stream.write_all(octets)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

/// Answers what comes until nothing comes any more; `no` is refused.
fn answer_all(mut talk: Talk, extension: &str, no: &str) {
    talk.say("220 relay.example ESMTP\r\n");
    loop {
        let line = talk.hear();
        let word = line.split(' ').next().unwrap_or_default();
        match word {
            "" => return,
            refused if refused == no => talk.say("502 5.5.1 no\r\n"),
            "EHLO" => talk.say(format!("250-relay.example\r\n250 {extension}\r\n")),
            "AUTH" if line == "AUTH LOGIN" => {
                for next in ["334 user\r\n", "334 password\r\n"] {
                    talk.say(next);
                    if talk.hear().is_empty() {
                        return;
                    }
                }
                talk.say("235 2.7.0 welcome\r\n");
            }
            "AUTH" if line.starts_with("AUTH XOAUTH2") => {
                talk.say("334 eyJzdGF0dXMiOiI0MDEifQ==\r\n");
                talk.hear();
                talk.say("535 5.7.8 bad token\r\n");
            }
            "AUTH" => talk.say("235 2.7.0 welcome\r\n"),
            "DATA" => {
                talk.say("354 go on\r\n");
                if !talk.hear_message().ends_with("\r\n.\r\n") {
                    return;
                }
                talk.say("250 2.0.0 queued\r\n");
            }
            _ => talk.say("250 2.0.0 ok\r\n"),
        }
    }
}

#[test]
fn a_relay_that_is_gone_after_any_of_its_answers_gets_it_later() {
    let Some(certificates) = certificates() else {
        return;
    };
    let password = Credentials::password("shop", "secret");
    let token = Credentials::token("shop", "tok");
    for (extension, no, credentials, answers, is_taken) in [
        ("AUTH PLAIN", "", Some(&password), 7, true),
        ("AUTH LOGIN", "", Some(&password), 9, true),
        ("AUTH XOAUTH2", "", Some(&token), 4, false),
        ("AUTH CRAM-MD5", "", Some(&password), 2, false),
        ("HELP", "EHLO", None, 7, true),
        ("PIPELINING", "", None, 6, true),
    ] {
        for left in 1..=answers + 1 {
            let accept = certificates.accept();
            // What is older than EHLO knows no TLS.
            let is_old = no == "EHLO";
            let wrap = move |stream| {
                let stream = if is_old {
                    Box::new(stream)
                } else {
                    accept(stream)
                };
                Box::new(Ending { stream, left }) as Box<dyn Stream>
            };
            let (port, served) = serve_with(1, wrap, move |_, talk| {
                answer_all(talk, extension, no);
            });
            let mut smtp = if is_old {
                plain(port)
            } else {
                certificates.client(port)
            };
            if let Some(credentials) = credentials {
                smtp = smtp.credentials(credentials.clone());
            }
            let sender = Sender::new(smtp);
            sender.send(&["a@example.net"]);
            let context = format!("{extension} {no}, {left} answers: {:?}", sender.waiting());
            let is_whole = is_taken && left >= answers;
            assert_eq!(sender.relayed(), u64::from(is_whole), "{context}");
            assert_eq!(sender.waiting().len(), usize::from(!is_whole), "{context}");
            assert_eq!(sender.bounced(), [], "{context}");
            assert!(!context.contains("secret"), "{context}");
            drop(sender);
            served.join().unwrap();
        }
    }
}

#[test]
fn starttls_asks_anew_what_the_server_can_do() {
    let Some(certificates) = certificates() else {
        return;
    };
    let config = Arc::clone(&certificates.server);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = std::thread::spawn(move || {
        let stream = listener.accept().unwrap().0;
        let mut talk = Talk(Box::new(stream.try_clone().unwrap()));
        // What is promised in the clear is not kept.
        talk.greet(&["STARTTLS", "SIZE 5", "8BITMIME"]);
        assert_eq!(talk.hear(), "STARTTLS");
        talk.say("220 go on\r\n");
        let session = ServerConnection::new(config).unwrap();
        let mut talk = Talk(Box::new(StreamOwned::new(session, stream)));
        talk.hello(&[]);
        talk.take().0
    });
    let smtp = certificates
        .client(port)
        .security(Security::StartTls)
        .unwrap();
    let sender = Sender::new(smtp);
    sender.send(&["a@example.net"]);
    assert_eq!(sender.relayed(), 1, "{:?}", sender.waiting());
    assert_eq!(served.join().unwrap()[0], "MAIL FROM:<shop@example.com>");
}

#[test]
fn a_certificate_of_nobody_or_for_another_name_is_not_believed() {
    let Some(certificates) = certificates() else {
        return;
    };
    let secret = Credentials::password("shop", "secret");
    let unknown = |port| Smtp::submission("localhost").unwrap().port(port);
    let other = |port| {
        let roots = Roots::Only(certificates.authority.clone());
        Smtp::submission("127.0.0.1")
            .unwrap()
            .port(port)
            .roots(&roots)
            .unwrap()
    };
    let clients: [&dyn Fn(u16) -> Smtp; 2] = [&unknown, &other];
    for client in clients {
        let (port, served) = serve_with(1, certificates.accept(), |_, mut talk| {
            talk.say("220 relay\r\n");
            talk.hear()
        });
        let sender = Sender::new(client(port).credentials(secret.clone()));
        sender.send(&["a@example.net"]);
        assert!(
            sender.reason().contains("certificate"),
            "{}",
            sender.reason()
        );
        assert_eq!(served.join().unwrap(), [""]);
    }
    assert!(
        Smtp::plain("x")
            .roots(&Roots::Only(b"nothing".to_vec()))
            .is_err()
    );
}

#[test]
fn a_server_that_is_not_there_is_tried_again() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let sender = Sender::new(plain(port));
    sender.send(&["a@example.net"]);
    assert!(
        sender.reason().starts_with("4.4.1 127.0.0.1:"),
        "{}",
        sender.reason()
    );
}

#[test]
fn recipients_that_are_too_many_for_one_message_get_another_at_once() {
    let (port, served) = serve(1, |_, mut talk| {
        talk.greet(&[]);
        let mut transactions = Vec::new();
        while talk.hear().starts_with("MAIL") {
            talk.say("250 ok\r\n");
            let mut taken = 0;
            loop {
                let line = talk.hear();
                if line == "DATA" {
                    break;
                }
                taken += 1;
                talk.say(if taken > 30 {
                    "452 4.5.3 too many\r\n"
                } else {
                    "250 ok\r\n"
                });
            }
            talk.say("354 go on\r\n");
            talk.hear_message();
            talk.say("250 ok\r\n");
            transactions.push(taken);
        }
        transactions
    });
    let sender = Sender::new(plain(port));
    let all: Vec<String> = (0..170)
        .map(|number| format!("{number}@example.net"))
        .collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    sender.send(&all);
    assert_eq!((sender.relayed(), sender.waiting().len()), (170, 0));
    drop(sender);
    // Never more than a server has to take, and each at least once.
    let transactions = served.join().unwrap().remove(0);
    assert!(
        transactions.iter().all(|&count| count <= 100),
        "{transactions:?}"
    );
}

#[test]
fn too_large_and_full_are_no_matter_of_their_number() {
    for (step, answer, is_bounced) in [
        (0, "552 5.3.4 too large", true),
        (1, "552 5.2.2 mailbox full", true),
        (1, "552 too many recipients", false),
        (1, "452 4.2.2 mailbox full", false),
    ] {
        let (port, served) = serve(1, move |_, mut talk| {
            talk.greet(&[]);
            for _ in 0..step {
                talk.hear();
                talk.say("250 ok\r\n");
            }
            talk.hear();
            talk.say(format!("{answer}\r\n"));
            while !talk.hear().is_empty() {
                talk.say("250 ok\r\n");
            }
        });
        let sender = Sender::new(plain(port));
        sender.send(&["a@example.net"]);
        assert_eq!(sender.bounced().len(), usize::from(is_bounced), "{answer}");
        drop(sender);
        served.join().unwrap();
    }
}

/// What a relay says to the whole message counts for each of its recipients.
#[test]
fn a_message_that_is_refused_when_it_is_there_is_told_for_each() {
    for (answer, bounced, waiting) in [
        ("554 5.7.1 this is spam", 2, 0),
        ("451 4.7.1 come again", 0, 2),
        ("312 what", 0, 2),
    ] {
        let (port, served) = serve(1, move |_, mut talk| {
            talk.greet(&[]);
            for answer in ["250 ok", "250 ok", "250 ok", "354 go on"] {
                talk.hear();
                talk.say(format!("{answer}\r\n"));
            }
            while talk.hear() != "." {}
            talk.say(format!("{answer}\r\n"));
            while !talk.hear().is_empty() {
                talk.say("250 ok\r\n");
            }
        });
        let sender = Sender::new(plain(port));
        sender.send(&["a@example.net", "b@example.net"]);
        assert_eq!(sender.bounced().len(), bounced, "{answer}");
        let left = sender.waiting();
        assert_eq!(left.len(), waiting, "{answer}");
        let said = answer.split_once(' ').unwrap().1;
        assert!(left.iter().all(|(_, why)| why.contains(said)), "{left:?}");
        drop(sender);
        served.join().unwrap();
    }
}

#[test]
fn an_answer_to_no_question_shifts_none_of_the_others() {
    let (port, served) = serve(1, |_, mut talk| {
        talk.greet(&[]);
        talk.hear();
        talk.say("250 ok\r\n");
        talk.hear();
        // One too many: it would be taken for that of the next recipient.
        talk.say("550 5.1.1 no such user\r\n550 5.1.1 no such user\r\n");
        talk.hear()
    });
    let sender = Sender::new(plain(port));
    sender.send(&["bad@example.net", "good@example.net"]);
    let waiting = sender.waiting();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].0, "good@example.net");
    assert!(waiting[0].1.contains("was not asked"), "{waiting:?}");
    served.join().unwrap();
}

#[test]
fn a_header_field_in_an_old_character_set_goes_as_eight_bit() {
    let (port, served) = serve(1, |_, mut talk| {
        talk.greet(&["8BITMIME"]);
        talk.take().0.remove(0)
    });
    let sender = Sender::new(plain(port));
    let mut raw = b"From: s@example.com\r\nTo: joe@example.net\r\nSubject: gr".to_vec();
    raw.extend(b"\xfcn\r\n\r\ntext\r\n");
    sender.root.write("Pickup/x.eml", raw);
    sender.server.deliver_now().unwrap();
    assert_eq!(sender.relayed(), 1, "{:?}", sender.bounced());
    assert!(served.join().unwrap()[0].ends_with(" BODY=8BITMIME"));
}

#[test]
fn an_address_that_is_not_ascii_goes_where_it_is_understood_and_is_told_of_elsewhere() {
    for (extensions, is_taken) in [
        (&["SMTPUTF8", "8BITMIME"][..], true),
        (&["8BITMIME"], false),
    ] {
        let (port, served) = serve(1, move |_, mut talk| {
            talk.greet(extensions);
            if is_taken {
                talk.take().0
            } else {
                vec![talk.hear()]
            }
        });
        let sender = Sender::new(plain(port));
        sender.send(&["jos\u{e9}@example.net"]);
        let bounced = sender.bounced();
        if is_taken {
            assert_eq!(sender.relayed(), 1, "{bounced:?}");
        } else {
            assert_eq!(bounced[0].1, "5.6.7");
        }
        drop(sender);
        let heard = served.join().unwrap().remove(0);
        if is_taken {
            assert!(heard[0].ends_with(" SMTPUTF8"), "{heard:?}");
            assert_eq!(heard[1], "RCPT TO:<jos\u{e9}@example.net>");
        } else {
            assert_eq!(heard, ["QUIT"]);
        }
    }
}

#[test]
fn an_outbox_says_what_is_wrong_with_tls() {
    let Some(certificates) = certificates() else {
        return;
    };
    let error = |smtp: Smtp| {
        let who = Credentials::password("shop", "secret");
        let server = MailServer::builder().outbox(smtp.credentials(who)).open();
        let mail = NewMail::new(&server.unwrap()).from("shop@example.com");
        let error = mail.to("joe@example.net").subject("x").body("y").send();
        error.unwrap_err()
    };
    let (port, served) = serve_with(1, certificates.accept(), |_, mut talk| talk.hear());
    let other = Roots::Only(self::certificates().unwrap().authority);
    let untrusted = error(certificates.client(port).roots(&other).unwrap());
    assert_eq!(untrusted.kind(), ErrorKind::NotPrivate, "{untrusted}");
    assert!(untrusted.to_string().contains("`roots`"), "{untrusted}");
    served.join().unwrap();
    let (port, served) = serve(1, |_, mut talk| {
        talk.say("220 relay.example ESMTP\r\n");
        let _ = talk.0.read(&mut [0; 1000]);
    });
    let cleartext = error(certificates.client(port));
    assert_eq!(cleartext.kind(), ErrorKind::NotPrivate, "{cleartext}");
    assert!(cleartext.to_string().contains("StartTls"), "{cleartext}");
    served.join().unwrap();
}

#[test]
fn an_answer_in_the_middle_of_the_envelope_is_of_its_recipient_or_ends_the_dialogue() {
    for (at, said, reason) in [
        ("MAIL", "421 4.3.2 closing\r\n", "421"),
        ("MAIL", "354 go on\r\n", "no answer"),
        ("RCPT", "421 4.3.2 closing\r\n", "421"),
        ("RCPT", "354 go on\r\n", "354 is no answer to RCPT"),
        ("DATA", "451 4.3.0 later\r\n", "451"),
        ("DATA", "250 2.0.0 ok\r\n", "no answer"),
        ("EHLO", "451 4.3.0 later\r\n", "451"),
    ] {
        let (port, served) = serve(1, move |_, mut talk| {
            talk.say("220 relay.example ESMTP\r\n");
            loop {
                let line = talk.hear();
                match line.split([' ', ':']).next().unwrap_or_default() {
                    "" => return,
                    word if word == at => talk.say(said),
                    "EHLO" => talk.say("250 relay.example\r\n"),
                    _ => talk.say("250 2.0.0 ok\r\n"),
                }
            }
        });
        let sender = Sender::new(plain(port));
        sender.send(&["a@example.net"]);
        assert_eq!(
            (sender.relayed(), sender.bounced().len()),
            (0, 0),
            "{at} {said}"
        );
        let told = sender.reason();
        let is_told = told.contains(reason) || reason == "no answer" && !told.starts_with('2');
        assert!(is_told, "{at} {said}: {told}");
        drop(sender);
        served.join().unwrap();
    }
}

#[test]
fn a_name_that_is_none_is_not_said_to_a_relay() {
    let (port, served) = serve(1, |_, mut talk| {
        talk.say("220 relay.example ESMTP\r\n");
        talk.hear()
    });
    let sender = Sender::new(plain(port).hello("two words"));
    sender.send(&["a@example.net"]);
    assert!(sender.reason().contains("HELO"), "{}", sender.reason());
    drop(sender);
    assert_eq!(served.join().unwrap(), [""]);
}

/// A system without certificates is told when a way that needs them is made, not when mail is lost.
#[test]
fn without_certificates_no_way_with_tls_is_made() {
    const NAME: &str = "without_certificates_no_way_with_tls_is_made";
    if std::env::var_os("CDONTS_TEST_ROLE").is_none() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", NAME])
            .env("CDONTS_TEST_ROLE", "without certificates")
            .env("SSL_CERT_FILE", "/dev/null")
            .env("SSL_CERT_DIR", "/dev/null")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("no way"), "{said}");
        return;
    }
    let ways = [
        Smtp::new("localhost"),
        Smtp::submission("localhost"),
        Smtp::plain("localhost").security(Security::StartTls),
    ];
    for way in ways {
        let error = way.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    }
    #[cfg(feature = "imap")]
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let inbox = cdonts::Imap::new("127.0.0.1").port(port);
        let server = MailServer::builder().inbox(inbox).open().unwrap();
        let who = Credentials::password("ann@example.com", "secret");
        let error = cdonts::Session::logon(&server, who).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        // Nor without credentials.
        let error = cdonts::Session::logon_smtp(&server, "", "ann@example.com").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    }
    println!("no way");
}
