//! Files for the Pickup and Replay directories of Exchange Server.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use cdonts::{Envelope, ErrorKind, MailServer, NewMail, PickupFormat, RecipientType};
use support::{Root, session};

fn server(root: &Root, format: PickupFormat) -> MailServer {
    root.builder()
        .create_directories()
        .pickup_format(format)
        .open()
        .unwrap()
}

fn mail(server: &MailServer) -> NewMail {
    NewMail::new(server)
        .from("shop@example.com")
        .to("jane@example.net; joe@example.net")
        .cc("kim@example.org")
        .subject("Hi")
        .body("text")
}

#[test]
fn exchange_gets_blind_recipients_in_bcc_and_no_envelope() {
    let root = Root::new();
    let server = server(&root, PickupFormat::Exchange);
    let blind = mail(&server).bcc("audit@example.org; boss@example.org");
    let sent = blind.send().unwrap();
    assert!(sent.files()[0].strip_suffix(".eml").is_some());
    let text = std::fs::read_to_string(root.join("Pickup").join(&sent.files()[0])).unwrap();
    assert!(
        text.starts_with("Bcc: audit@example.org,\r\n boss@example.org\r\nDate: "),
        "{text}"
    );
    assert!(!text.contains("X-Sender") && !text.contains("X-Receiver"));
    assert!(text.contains("\r\nTo: jane@example.net, joe@example.net\r\nCc: kim@example.org\r\n"));
    std::fs::remove_file(root.join("Pickup").join(&sent.files()[0])).unwrap();
    // Who is in To and Bcc is in To.
    mail(&server).bcc("jane@example.net").send().unwrap();
    let text = root.only_file("Pickup");
    assert!(text.starts_with("Date: "), "{text}");
    // A message that another library has made, whose header says what its envelope says.
    let outbox = session(&server, "shop@example.com").outbox();
    let raw = "From: Shop <shop@example.com>\r\nTo: jane@example.net\r\n\r\ntext\r\n";
    let envelope = Envelope::new("shop@example.com", ["jane@example.net", "x@example.org"]);
    let sent = outbox.send_raw(&envelope, raw.as_bytes()).unwrap();
    let text = std::fs::read_to_string(root.join("Pickup").join(&sent.files()[0])).unwrap();
    assert!(
        text.starts_with("Bcc: x@example.org\r\nReceived: "),
        "{text}"
    );
}

#[test]
fn what_exchange_would_send_to_others_or_not_take_is_refused() {
    let root = Root::new();
    let server = root
        .builder()
        .create_directories()
        .local_domain("example.com")
        .pickup_format(PickupFormat::Exchange)
        .open()
        .unwrap();
    // A local one in To would get it twice: from us and from Exchange.
    let error = mail(&server).to("here@example.com").send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotSupported);
    assert!(error.to_string().contains("To and Cc"), "{error}");
    let many = (0..101).fold(mail(&server), |mail, number| {
        mail.recipient("", format!("{number}@example.net"), RecipientType::Bcc)
    });
    assert_eq!(many.send().unwrap_err().kind(), ErrorKind::TooLarge);
    let long = (0..800).fold(mail(&server), |mail, number| {
        mail.value(format!("X-Field-{number}"), "x".repeat(80))
    });
    assert_eq!(long.send().unwrap_err().kind(), ErrorKind::TooLarge);
    let outbox = session(&server, "shop@example.com").outbox();
    let raw = "From: shop@example.com\r\nTo: jane@example.net, joe@example.net\r\n\r\n";
    for (sender, to) in [
        (
            "bounce@example.com",
            &["jane@example.net", "joe@example.net"][..],
        ),
        ("", &["jane@example.net", "joe@example.net"]),
        ("shop@example.com", &["jane@example.net"]),
    ] {
        let envelope = Envelope::new(sender, to.iter().copied());
        let error = outbox.send_raw(&envelope, raw.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotSupported, "{sender} {to:?}");
    }
    assert_eq!((root.files("Pickup"), root.files("Drop")), (vec![], vec![]));
    // All local is no matter of Exchange's; and its Pickup is not ours to empty.
    NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com")
        .send()
        .unwrap();
    assert_eq!(root.files("Drop").len(), 1);
    assert_eq!(
        server.deliver_now().unwrap_err().kind(),
        ErrorKind::Configuration
    );
}

#[test]
fn replay_gets_an_envelope_in_brackets() {
    let root = Root::new();
    let server = server(&root, PickupFormat::Replay);
    mail(&server).bcc("audit@example.org").send().unwrap();
    let text = root.only_file("Pickup");
    assert!(
        text.starts_with(
            "X-Sender: <shop@example.com>\r\nX-Receiver: <jane@example.net>\r\n\
             X-Receiver: <joe@example.net>\r\nX-Receiver: <kim@example.org>\r\n\
             X-Receiver: <audit@example.org>\r\nDate: "
        ),
        "{text}"
    );
}
