//! Mail handed over by SMTP and LMTP: what is taken, what is refused, and that nothing of what a
//! client says is believed too early.
#![cfg(feature = "listen")]
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use cdonts::{ErrorKind, Limits, Listener, Listening, MailServer};
use support::{Root, messages, subjects};

fn server(root: &Root) -> MailServer {
    let mut limits = Limits::default();
    limits.message = 10_000;
    root.builder()
        .create_directories()
        .local_domain("example.com")
        .limits(limits)
        .open()
        .unwrap()
}

struct Client(TcpStream);

impl Client {
    fn new(listening: &Listening) -> Self {
        let stream = TcpStream::connect(listening.address()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut client = Self(stream);
        assert!(client.hear().starts_with("220 example.com "));
        client
    }

    fn say(&mut self, text: &str) {
        let _ = self.0.write_all(text.as_bytes());
    }

    /// One reply with all its lines; empty when the server has closed the connection.
    fn hear(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let mut line = Vec::new();
            let mut byte = [0];
            while !line.ends_with(b"\n") {
                match self.0.read(&mut byte) {
                    Ok(1) => line.push(byte[0]),
                    _ => return reply,
                }
            }
            reply += &String::from_utf8(line).unwrap();
            if reply
                .lines()
                .last()
                .is_some_and(|line| line.as_bytes().get(3) != Some(&b'-'))
            {
                return reply.trim_end().to_owned();
            }
        }
    }

    fn ask(&mut self, command: &str) -> String {
        self.say(&format!("{command}\r\n"));
        self.hear()
    }

    fn begin(&mut self, to: &[&str]) {
        assert!(self.ask("MAIL FROM:<shop@example.net>").starts_with("250"));
        for to in to {
            assert!(
                self.ask(&format!("RCPT TO:<{to}>")).starts_with("250"),
                "{to}"
            );
        }
        assert!(self.ask("DATA").starts_with("354"));
    }
}

const MESSAGE: &str = "From: Shop <shop@example.net>\r\nTo: jane@example.com\r\nSubject: handed over\r\n\
    Message-ID: <1@example.net>\r\n\r\none\r\n..\r\n...two\r\n";

#[test]
fn what_is_said_yes_to_is_in_the_inboxes() {
    let root = Root::new();
    let server = server(&root);
    let listening = Listener::smtp(&server).listen("127.0.0.1:0").unwrap();
    let mut client = Client::new(&listening);
    let hello = client.ask("EHLO client.example");
    assert!(
        hello.contains("SIZE 10000") && hello.contains("8BITMIME"),
        "{hello}"
    );
    assert!(!hello.contains("STARTTLS") && !hello.contains("AUTH"));
    client.begin(&[
        "jane@example.com",
        "Joe@EXAMPLE.com",
        "\"jane\"@example.com",
    ]);
    client.say(MESSAGE);
    assert_eq!(client.ask("."), "250 2.0.0 delivered");
    // All at once, as a client that pipelines has it, and the null reverse-path.
    client.say(&format!(
        "MAIL FROM:<> SIZE=300 BODY=8BITMIME\r\nRCPT TO:<jane@example.com>\r\nDATA\r\n{}.\r\nNOOP\r\n",
        MESSAGE.replace("handed over", "a report")
    ));
    let codes: Vec<_> = (0..5).map(|_| client.hear()[..3].to_owned()).collect();
    assert_eq!(codes, ["250", "250", "354", "250", "250"]);
    assert!(client.ask("QUIT").starts_with("221"));
    assert_eq!(client.hear(), "");
    assert_eq!(subjects(&server, "joe@example.com"), ["handed over"]);
    assert_eq!(
        subjects(&server, "jane@example.com"),
        ["handed over", "a report"]
    );
    let jane = messages(&server, "jane@example.com");
    let message = jane.get(0).unwrap();
    assert_eq!(message.text().unwrap(), "one\r\n.\r\n..two\r\n");
    assert_eq!(message.reverse_path(), "shop@example.net");
    assert_eq!(message.delivered_to(), "jane@example.com");
    let source = support::source(&message);
    assert!(
        source.contains(
            "Received: from client.example ([127.0.0.1])\r\n\tby example.com with ESMTP id"
        ),
        "{source}"
    );
    assert_eq!(jane.get(1).unwrap().reverse_path(), "");
    let counts = server.counts();
    assert_eq!((counts.accepted, counts.delivered), (2, 3));
    assert_eq!(root.files("State/staging"), [""; 0]);
}

#[test]
fn lmtp_answers_for_each_recipient() {
    let root = Root::new();
    let server = server(&root);
    let listening = Listener::lmtp(&server).listen("127.0.0.1:0").unwrap();
    let mut client = Client::new(&listening);
    assert!(client.ask("EHLO x").starts_with("502"));
    assert!(client.ask("LHLO x").starts_with("250"));
    assert!(
        client
            .ask("MAIL FROM:<shop@example.net>")
            .starts_with("250")
    );
    assert!(client.ask("RCPT TO:<jane@example.com>").starts_with("250"));
    assert!(
        client
            .ask("RCPT TO:<x@example.org>")
            .starts_with("550 5.7.1")
    );
    assert!(client.ask("RCPT TO:<joe@example.com>").starts_with("250"));
    assert!(client.ask("DATA").starts_with("354"));
    client.say(MESSAGE);
    assert_eq!(client.ask("."), "250 2.0.0 delivered");
    assert_eq!(client.hear(), "250 2.0.0 delivered");
    assert!(client.ask("NOOP").starts_with("250"));
    assert_eq!(subjects(&server, "joe@example.com"), ["handed over"]);
}

#[test]
fn mail_for_other_domains_is_taken_from_nobody() {
    let root = Root::new();
    let server = server(&root);
    let listening = Listener::smtp(&server).listen("127.0.0.1:0").unwrap();
    let mut client = Client::new(&listening);
    assert!(client.ask("MAIL FROM:<a@example.com>").starts_with("503"));
    client.ask("HELO x");
    assert!(client.ask("RCPT TO:<jane@example.com>").starts_with("503"));
    assert!(
        client
            .ask("MAIL FROM:<jane@example.com>")
            .starts_with("250")
    );
    for to in [
        "joe@example.net",
        "joe%example.net@example.org",
        "\"joe@example.net\"@example.org",
    ] {
        assert!(
            client
                .ask(&format!("RCPT TO:<{to}>"))
                .starts_with("550 5.7.1"),
            "{to}"
        );
    }
    assert!(client.ask("DATA").starts_with("503"));
    assert!(client.ask("MAIL FROM:<a@-b->").starts_with('5'));
    assert!(client.ask("VRFY jane").starts_with("252"));
    assert!(client.ask("AUTH PLAIN AGEAYg==").starts_with("502"));
    // After so many it ends.
    let mut last = String::new();
    for _ in 0..10 {
        last = client.ask("NONSENSE");
        if last.starts_with("421") {
            break;
        }
    }
    assert!(last.starts_with("421"), "{last}");
    assert_eq!(client.hear(), "");
}

#[test]
fn no_message_is_smuggled_behind_another() {
    let root = Root::new();
    let server = server(&root);
    let listening = Listener::smtp(&server).listen("127.0.0.1:0").unwrap();
    let second = "MAIL FROM:<evil@example.net>\r\nRCPT TO:<jane@example.com>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n";
    for end in [
        "\n.\n",
        "\n.\r\n",
        "\r.\r",
        "\r\n.\n",
        "\r\n.\r",
        "\r.\r\n",
        "\n\n.\r\r\n",
    ] {
        let mut client = Client::new(&listening);
        client.ask("EHLO x");
        client.begin(&["joe@example.com"]);
        client.say(&format!("Subject: first\r\n\r\ntext{end}{second}"));
        assert_eq!(
            client.ask("."),
            "550 5.6.11 a CR or LF stands alone in the message",
            "{end:?}"
        );
        // One answer: the rest was the same message.
        assert!(client.ask("NOOP").starts_with("250 2.0.0"));
    }
    assert!(subjects(&server, "jane@example.com").is_empty());
    assert!(subjects(&server, "joe@example.com").is_empty());
    for odd in ["NOOP\n", "NOOP\rQUIT\r\n", "NO\0OP\r\n"] {
        let mut client = Client::new(&listening);
        client.say(odd);
        assert!(client.hear().starts_with("500 5.5.2"), "{odd:?}");
        assert_eq!(client.hear(), "");
    }
    let mut client = Client::new(&listening);
    client.say(&"x".repeat(100_000));
    assert!(client.hear().starts_with("500 5.5.2") || client.hear().is_empty());
}

#[test]
fn what_is_too_large_or_goes_round_is_refused_and_nothing_is_left() {
    let root = Root::new();
    let server = server(&root);
    let listening = Listener::smtp(&server).listen("127.0.0.1:0").unwrap();
    let mut client = Client::new(&listening);
    client.ask("EHLO x");
    assert!(
        client
            .ask("MAIL FROM:<a@example.net> SIZE=10001")
            .starts_with("552 5.3.4")
    );
    client.begin(&["jane@example.com"]);
    client.say(&format!(
        "Subject: large\r\n\r\n{}",
        "line\r\n".repeat(2000)
    ));
    assert!(client.ask(".").starts_with("552 5.3.4"));
    let hop = "Received: from a by b; Tue, 24 Nov 2026 10:00:00 +0000\r\n";
    client.begin(&["jane@example.com"]);
    client.say(&(hop.repeat(60) + MESSAGE));
    assert!(client.ask(".").starts_with("554 5.4.6"));
    client.begin(&["jane@example.com"]);
    // It never ends.
    for _ in 0..100 {
        client.say(&"line\r\n".repeat(2000));
    }
    let heard = client.hear();
    assert!(
        heard.is_empty() || heard.starts_with("552 5.3.4"),
        "{heard}"
    );
    assert_eq!(client.hear(), "");
    assert!(messages(&server, "jane@example.com").is_empty());
    assert_eq!(
        (root.files("Drop"), root.files("State/staging")),
        (vec![], vec![])
    );
    // A client that is cut off in the middle has handed over nothing.
    let mut client = Client::new(&listening);
    client.ask("EHLO x");
    client.begin(&["jane@example.com"]);
    client.say("Subject: half\r\n\r\nhalf of i");
    drop(client);
    listening.stop();
    assert!(messages(&server, "jane@example.com").is_empty());
}

#[test]
fn slow_and_many_clients_and_other_addresses_are_turned_away() {
    let root = Root::new();
    let server = server(&root);
    let error = Listener::smtp(&server).listen("0.0.0.0:0").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let reader = root.builder().open().unwrap();
    let error = Listener::smtp(&reader).listen("127.0.0.1:0").unwrap_err();
    assert!(error.to_string().contains("local_domain"));
    let listening = Listener::smtp(&server)
        .timeout(Duration::from_millis(300))
        .connections(1)
        .listen("127.0.0.1:0")
        .unwrap();
    let mut slow = Client::new(&listening);
    let mut second = TcpStream::connect(listening.address()).unwrap();
    let mut told = String::new();
    second.read_to_string(&mut told).unwrap();
    assert!(told.starts_with("421 4.3.2"), "{told}");
    // Octet by octet in time, but never a line.
    let mut reader = slow.0.try_clone().unwrap();
    let hears = std::thread::spawn(move || {
        let mut heard = Vec::new();
        let mut block = [0; 200];
        while let Ok(count @ 1..) = reader.read(&mut block) {
            heard.extend_from_slice(&block[..count]);
        }
        String::from_utf8(heard).unwrap()
    });
    while !hears.is_finished() {
        slow.say("N");
        std::thread::sleep(Duration::from_millis(10));
    }
    let heard = hears.join().unwrap();
    assert!(heard.starts_with("421 4.4.2"), "{heard}");
    // Stopping waits for nobody who only stands there.
    let listening = Listener::smtp(&server).listen("127.0.0.1:0").unwrap();
    let mut idle = Client::new(&listening);
    listening.stop();
    assert_eq!(idle.hear(), "");
}

#[cfg(feature = "smtp")]
#[test]
fn tls_begins_cleanly_and_our_own_relay_hands_over_by_it() {
    use cdonts::{NewMail, Roots, Smtp};

    let root = Root::new();
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ])
        .args([
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(root.path())
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        println!("skipped: no openssl to make certificates with");
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"));
        return;
    }
    let read = |name: &str| std::fs::read(root.join(name)).unwrap();
    let server = server(&root);
    assert!(Listener::smtp(&server).tls(b"none", b"none").is_err());
    let listening = Listener::smtp(&server)
        .tls(&read("cert.pem"), &read("key.pem"))
        .unwrap()
        .listen("127.0.0.1:0")
        .unwrap();
    // What was said before TLS by somebody between is not taken for said by the client.
    let mut client = Client::new(&listening);
    assert!(client.ask("EHLO x").contains("STARTTLS"));
    client.say("STARTTLS\r\nMAIL FROM:<evil@example.net>\r\n");
    assert!(client.hear().starts_with("501 5.5.4"));
    assert_eq!(client.hear(), "");
    let other = Root::new();
    let relay = Smtp::new("localhost")
        .unwrap()
        .port(listening.address().port())
        .roots(&Roots::Only(read("cert.pem")))
        .unwrap();
    let sender = other
        .builder()
        .create_directories()
        .relay(relay)
        .open()
        .unwrap();
    NewMail::new(&sender)
        .from("shop@example.net")
        .to("jane@example.com")
        .subject("by TLS")
        .body(".\n..\nend")
        .send()
        .unwrap();
    sender.deliver_now().unwrap();
    assert_eq!(sender.counts().relayed, 1, "{:?}", sender.queue());
    let message = messages(&server, "jane@example.com").get(0).unwrap();
    assert_eq!(message.text().unwrap(), ".\r\n..\r\nend\r\n");
    assert!(support::source(&message).contains("with ESMTPS id"));
}

#[test]
fn addresses_are_taken_as_they_are_written_and_refusals_are_no_errors() {
    let root = Root::new();
    let server = server(&root);
    let listening = Listener::smtp(&server).listen("127.0.0.1:0").unwrap();
    let mut client = Client::new(&listening);
    client.ask("EHLO x");
    assert!(client.ask("MAIL FROM:<x@[10.0.0.1]>").starts_with("250"));
    // More of them than errors are borne, and the transaction goes on.
    for number in 0..30 {
        let reply = client.ask(&format!("RCPT TO:<{number}@example.net>"));
        assert!(reply.starts_with("550"), "{reply}");
    }
    assert!(client.ask("RCPT TO:<Postmaster>").starts_with("250"));
    assert!(
        client
            .ask("RCPT TO:<\"a > b\"@example.com>")
            .starts_with("250")
    );
    assert!(client.ask("DATA").starts_with("354"));
    client.say(MESSAGE);
    assert!(client.ask(".").starts_with("250"));
    assert_eq!(subjects(&server, "postmaster@example.com"), ["handed over"]);
    assert_eq!(subjects(&server, "\"a > b\"@example.com"), ["handed over"]);
    assert!(
        client
            .ask("MAIL FROM:<a@example.net> BODY=BINARYMIME")
            .starts_with("501")
    );
    assert!(
        client
            .ask("MAIL FROM:<a@example.net> SIZE=many")
            .starts_with("501")
    );
}
