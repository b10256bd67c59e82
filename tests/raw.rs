//! Messages that another library has made.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use cdonts::{Draft, Envelope, ErrorKind, MailServer};
use support::{Root, messages, only, session, source};

const MADE: &str = "From: Shop <shop@example.com>\nTo: jane@example.com\nBcc: hidden@example.com,\n x@example.com\n\
    Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\nKeywords: one\nKeywords: two\nX-Priority: 1\n\n.text\n";

#[test]
fn a_raw_message_goes_as_it_is_to_whom_the_envelope_names() {
    let root = Root::new();
    let server = root.delivering();
    let outbox = session(&server, "shop@example.com").outbox();
    let envelope = Envelope::new(
        "bounces@example.com",
        ["jane@example.com", "JANE@example.com", "far@example.net"],
    );
    let sent = outbox.send_raw(&envelope, MADE).unwrap();
    assert_eq!((sent.delivered().len(), sent.files().len()), (1, 1));
    let message = only(&server, "jane@example.com");
    assert_eq!(message.reverse_path(), "bounces@example.com");
    assert!(
        !source(&message).contains("hidden")
            && source(&message).ends_with("X-Priority: 1\r\n\r\n.text\r\n")
    );
    let headers = message.headers().unwrap();
    for name in ["Date", "Message-ID", "MIME-Version"] {
        assert_eq!(headers.get_all(name).count(), 1, "{name}");
    }
    assert_eq!(
        headers.get("Message-ID").unwrap().value(),
        sent.message_id()
    );
    assert_eq!(messages(&server, "hidden@example.com").len(), 0);
    let file = root.only_file("Pickup");
    assert!(
        file.starts_with(
            "X-Sender: bounces@example.com\r\nX-Receiver: far@example.net\r\nReceived: by "
        ),
        "{file}"
    );
    // What is there stays.
    let own = "Date: Tue, 24 Nov 2026 09:00:00 +0000\r\nMessage-ID: <own@x>\r\nMIME-Version: 1.0\r\nFrom: a@b.c\r\n\r\n";
    assert_eq!(
        outbox
            .send_raw(&Envelope::new("", ["own@example.com"]), own)
            .unwrap()
            .message_id(),
        "<own@x>"
    );
    let message = only(&server, "own@example.com");
    assert!(source(&message).ends_with(own) && message.is_automatic().unwrap());
}

#[test]
fn a_raw_message_that_must_not_go_out_is_refused() {
    let root = Root::new();
    let server = root.delivering();
    let outbox = session(&server, "shop@example.com").outbox();
    let to = Envelope::new("a@example.com", ["jane@example.com"]);
    let long = format!("From: a@b.c\r\n\r\n{}", "x".repeat(999));
    for (message, kind, field) in [
        (
            "X-Receiver: v@example.com\nFrom: a@b.c\n\n",
            ErrorKind::InvalidValue,
            Some("X-Receiver"),
        ),
        (
            "From: a@b.c\nx-sender: v@example.com\n\n",
            ErrorKind::InvalidValue,
            Some("X-Sender"),
        ),
        ("Subject: x\n\n", ErrorKind::MissingField, Some("From")),
        ("From: a@b.c\n\nx\r.\ry", ErrorKind::InvalidValue, None),
        ("From: a@b.c\n\nx\0", ErrorKind::InvalidValue, None),
        (&long, ErrorKind::InvalidValue, None),
        ("", ErrorKind::InvalidValue, Some("Subject")),
        (
            " X-Receiver: v@example.com\nFrom: a@b.c\n\n",
            ErrorKind::InvalidValue,
            Some("Subject"),
        ),
        (
            "\nFrom: a@b.c\n\n",
            ErrorKind::InvalidValue,
            Some("Subject"),
        ),
    ] {
        let error = outbox.send_raw(&to, message).unwrap_err();
        assert_eq!((error.kind(), error.field()), (kind, field), "{message:?}");
    }
    for (envelope, kind) in [
        (Envelope::new("a@b.c", [""; 0]), ErrorKind::NoRecipients),
        (
            Envelope::new("a@b.c", ["x\r\ny@example.com"]),
            ErrorKind::InvalidAddress,
        ),
        (
            Envelope::new("a b@c", ["jane@example.com"]),
            ErrorKind::InvalidAddress,
        ),
        // No server in between is known to take a non-ASCII local-part.
        (
            Envelope::new("a@b.c", ["é@example.net"]),
            ErrorKind::InvalidAddress,
        ),
        (
            Envelope::new("é@b.c", ["far@example.net"]),
            ErrorKind::InvalidAddress,
        ),
    ] {
        assert_eq!(outbox.send_raw(&envelope, MADE).unwrap_err().kind(), kind);
    }
    // Bcc taken out must not bring a field of the sender's up to the run.
    outbox
        .send_raw(&to, "Bcc: x@y\nFrom: a@b.c\n\nX-Receiver: v@example.com\n")
        .unwrap();
    assert_eq!(root.files("Drop").len(), 1);
    assert_eq!(messages(&server, "v@example.com").len(), 0);
}

#[test]
fn a_message_becomes_a_draft_with_all_that_it_says() {
    let server = MailServer::temporary().unwrap();
    let made = "From: Shop <shop@example.com>\nReply-To: r@example.com\nTo: Jane <jane@example.com>\nCc: c@example.com\n\
        Bcc: hidden@example.com\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\nKeywords: one\nKeywords: two\nImportance: high\n\
        Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html; charset=iso-8859-1\n\
        Content-Transfer-Encoding: quoted-printable\n\n<p>=E9</p>\n--b\nContent-Type: image/png; name=p.png\n\
        Content-ID: <p@x>\nContent-Transfer-Encoding: base64\n\nAAEC\n--b--\n";
    let draft = Draft::from_mime(&server, made).unwrap();
    assert_eq!(draft.subject(), "Grüße");
    assert_eq!(draft.html_text(), "<p>é</p>");
    assert_eq!(draft.recipients().len(), 3);
    draft.send().unwrap();
    for address in ["jane@example.com", "c@example.com", "hidden@example.com"] {
        let message = only(&server, address);
        assert_eq!(message.reply_to().unwrap()[0].address(), "r@example.com");
        assert_eq!(message.headers().unwrap().get_all("Keywords").count(), 2);
        assert_eq!(message.importance().unwrap(), cdonts::Importance::High);
        let attachments = message.attachments().unwrap();
        assert_eq!(attachments.get(0).unwrap().content_id(), Some("p@x"));
        assert_eq!(attachments.get(0).unwrap().read().unwrap(), [0, 1, 2]);
        assert!(!source(&message).contains("hidden"));
    }
    let error = Draft::from_mime(&server, "X-Receiver: v@x\nFrom: a@b.c\n\n").unwrap_err();
    assert_eq!(error.field(), Some("X-Receiver"));
}
