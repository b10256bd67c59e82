//! Beside a real Postfix: as the relay, by its `sendmail`, and reading what it delivers.
#![cfg(all(
    feature = "smtp",
    feature = "sendmail",
    feature = "listen",
    target_os = "linux"
))]
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

#[path = "support/certificate.rs"]
mod certificate;
#[path = "support/postfix.rs"]
mod postfix;
mod support;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use cdonts::{
    Listener, MailServer, NewMail, Profile, Report, Roots, Sendmail, Session, Smtp, Transport,
};
use postfix::Postfix;
use support::{Root, messages};

fn server(root: &Root, relay: impl Transport + 'static) -> MailServer {
    root.builder()
        .create_directories()
        .local_domain("example.com")
        .relay(relay)
        .open()
        .unwrap()
}

/// What Postfix has delivered into the Maildir that it fills for everybody.
fn inbox(postfix: &Postfix, address: &str) -> cdonts::Inbox {
    let state = postfix.path("state");
    let server = MailServer::builder()
        .drop_dir(postfix.path("mail/shared"), Profile::Postfix)
        .state_dir(state)
        .open()
        .unwrap();
    Session::logon_smtp(&server, "", address).unwrap().inbox()
}

#[test]
fn what_postfix_accepts_defers_and_refuses_is_told_of_each_recipient() {
    let Some(postfix) = Postfix::start(&[], "") else {
        return;
    };
    let relay = Smtp::new("localhost")
        .unwrap()
        .port(postfix.port)
        .timeout(Duration::from_secs(30))
        .roots(&Roots::Only(postfix.certificate()))
        .unwrap();
    let root = Root::new();
    let server = server(&root, relay);
    for number in 0..3 {
        NewMail::new(&server)
            .from("shop@example.com")
            .to("joe@example.org; later@example.org; no@example.net")
            .subject(format!("Order {number}"))
            .body("one\n.\n..two \u{e4}")
            .attach_bytes("data.bin", vec![7; 100_000])
            .send()
            .unwrap();
    }
    server.deliver_now().unwrap();
    let counts = server.counts();
    assert_eq!(
        (counts.relayed, counts.bounced, counts.deferred),
        (3, 3, 3),
        "{}",
        postfix.log()
    );
    let waiting = server.queue().unwrap();
    let told = waiting[0].last_reply("later@example.org");
    assert!(
        told.starts_with("450 4.2.0") && told.contains("come back later"),
        "{told}"
    );
    for bounce in &messages(&server, "shop@example.com") {
        let Some(Report::Delivery(report)) = bounce.report().unwrap() else {
            panic!("no report");
        };
        assert_eq!(report.recipients()[0].status(), Some("5.7.1"));
    }
    let joe = loop {
        if postfix.path("mail/shared/new").exists() {
            break inbox(&postfix, "joe@example.org");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    for number in 0..3 {
        let subject = format!("Order {number}");
        let message = joe
            .wait_for_message(
                |message| message.subject() == subject,
                Duration::from_secs(20),
            )
            .unwrap();
        // Postfix keeps lines in the way of Unix.
        assert_eq!(message.text().unwrap(), "one\n.\n..two \u{e4}");
        assert_eq!(message.reverse_path(), "shop@example.com");
        assert_eq!(message.delivered_to(), "joe@example.org");
        let attachments = message.attachments().unwrap();
        assert_eq!(attachments.get(0).unwrap().size().unwrap(), 100_000);
    }
}

#[test]
fn its_sendmail_takes_messages() {
    let Some(postfix) = Postfix::start(&[], "") else {
        return;
    };
    let root = Root::new();
    let script = format!(
        "#!/bin/sh\nMAIL_CONFIG={} exec /usr/sbin/sendmail \"$@\"\n",
        postfix.path("pf").display()
    );
    let program = root.write("sendmail", script);
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let server = server(&root, Sendmail::at(program));
    NewMail::new(&server)
        .from("shop@example.com")
        .to("joe@example.org")
        .subject("By sendmail")
        .body("one\n.\ntwo")
        .send()
        .unwrap();
    server.deliver_now().unwrap();
    assert_eq!(server.counts().relayed, 1, "{:?}", server.queue());
    let joe = loop {
        if postfix.path("mail/shared/new").exists() {
            break inbox(&postfix, "joe@example.org");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let message = joe
        .wait_for_message(
            |message| message.subject() == "By sendmail",
            Duration::from_secs(20),
        )
        .unwrap();
    assert_eq!(message.text().unwrap().trim_end(), "one\n.\ntwo");
}

#[test]
fn it_hands_mail_over_by_lmtp() {
    let root = Root::new();
    let ours = root
        .builder()
        .create_directories()
        .local_domain("example.com")
        .open()
        .unwrap();
    let listening = Listener::lmtp(&ours).listen("127.0.0.1:0").unwrap();
    // As users copy it, but for the port; the domain is among the others of the test.
    let port = listening.address().port().to_string();
    let copied = include_str!("../examples/postfix/lmtp.cf").replace("2424", &port);
    let transport = copied
        .lines()
        .find(|line| line.starts_with("transport_maps"));
    let transport = transport.unwrap();
    let Some(postfix) = Postfix::start(&[transport], "") else {
        return;
    };
    let relay = Smtp::plain("127.0.0.1").port(postfix.port);
    let sender = Root::new();
    let sender = sender
        .builder()
        .create_directories()
        .relay(relay)
        .open()
        .unwrap();
    for number in 0..20 {
        NewMail::new(&sender)
            .from("shop@example.net")
            .to("jane@example.com; joe@example.com")
            .subject(number.to_string())
            .body(".\nend")
            .send()
            .unwrap();
    }
    sender.deliver_now().unwrap();
    assert_eq!(
        sender.counts().relayed,
        40,
        "{:?} {}",
        sender.queue(),
        postfix.log()
    );
    for address in ["jane@example.com", "joe@example.com"] {
        let inbox = Session::logon_smtp(&ours, "", address).unwrap().inbox();
        support::eventually(|| inbox.count().unwrap() >= 20);
        let mut subjects: Vec<u32> = support::subjects(&ours, address)
            .iter()
            .map(|subject| subject.parse().unwrap())
            .collect();
        subjects.sort_unstable();
        assert_eq!(subjects, (0..20).collect::<Vec<_>>());
        let message = inbox.messages().unwrap().get(0).unwrap();
        assert_eq!(message.text().unwrap(), ".\r\nend\r\n");
        assert_eq!(message.delivered_to(), address);
    }
    listening.stop();
    assert!(!postfix.log().contains("warning"), "{}", postfix.log());
}

#[test]
fn it_fills_a_drop_directory_by_the_script_for_its_pipe() {
    let drop = tempfile::Builder::new().prefix("dr").tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/postfix/iisdrop");
    let copy = drop.path().join("iisdrop");
    std::fs::copy(script, &copy).unwrap();
    let path = drop.path().join("drop");
    std::fs::create_dir_all(path.join("tmp")).unwrap();
    for dir in [drop.path(), &path, &path.join("tmp")] {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let service = format!(
        "iis unix - n n - - pipe\n  flags=q null_sender= user=nobody argv={} {} ${{sender}} \
         ${{recipient}}\n",
        copy.display(),
        path.display()
    );
    let Some(postfix) = Postfix::start(
        &["transport_maps = inline:{ {example.com = iis:} }"],
        &service,
    ) else {
        return;
    };
    let sender = Root::new();
    let sender = sender
        .builder()
        .create_directories()
        .relay(Smtp::plain("127.0.0.1").port(postfix.port))
        .open()
        .unwrap();
    NewMail::new(&sender)
        .from("shop@example.net")
        .to("jane@example.com; \"a b\"@example.com")
        .subject("dropped")
        .body(".\nend")
        .send()
        .unwrap();
    sender.deliver_now().unwrap();
    assert_eq!(sender.counts().relayed, 2, "{}", postfix.log());
    let ours = MailServer::builder()
        .drop_dir(&path, Profile::IisDrop)
        .drop_writer(cdonts::Writer::Renames)
        .open()
        .unwrap();
    for address in ["jane@example.com", "\"a b\"@example.com"] {
        let inbox = Session::logon_smtp(&ours, "", address).unwrap().inbox();
        let message = inbox
            .wait_for_message(|one| one.subject() == "dropped", Duration::from_secs(20))
            .unwrap();
        assert_eq!(message.text().unwrap(), ".\r\nend\r\n");
        assert_eq!(message.reverse_path(), "shop@example.net");
    }
}
