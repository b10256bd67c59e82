//! Messages of lettre in the Inboxes of cdonts.

use cdonts::{ErrorKind, MailServer, Session};
use cdonts_lettre::OutboxTransport;
use lettre::message::{Attachment, MultiPart, SinglePart, header::ContentType};
use lettre::{Message, Transport};

fn mailer(server: &MailServer) -> OutboxTransport {
    let session = Session::logon_smtp(server, "Shop", "shop@example.com").unwrap();
    session.outbox().into()
}

#[test]
fn a_message_of_lettre_arrives_with_all_its_parts() {
    let server = MailServer::temporary().unwrap();
    let attachment = Attachment::new("résumé.pdf".to_owned());
    let message = Message::builder()
        .from("Shöp <shop@example.com>".parse().unwrap())
        .to("jane@example.com".parse().unwrap())
        .bcc("secret@example.com".parse().unwrap())
        .subject("Grüße")
        .multipart(
            MultiPart::mixed()
                .multipart(MultiPart::alternative_plain_html(
                    "text é".to_owned(),
                    "<p>é</p>".to_owned(),
                ))
                .singlepart(attachment.body(
                    vec![0u8; 1000],
                    ContentType::parse("application/pdf").unwrap(),
                ))
                .singlepart(SinglePart::plain("more".to_owned())),
        )
        .unwrap();
    let sent = mailer(&server).send(&message).unwrap();
    assert_eq!(sent.delivered(), ["jane@example.com", "secret@example.com"]);
    for address in sent.delivered() {
        let session = Session::logon_smtp(&server, "", address).unwrap();
        let message = session.inbox().messages().unwrap().get(0).unwrap();
        assert_eq!(
            (message.subject(), message.sender().name()),
            ("Grüße", "Shöp")
        );
        assert_eq!(message.text().unwrap(), "text é");
        assert_eq!(message.html_part().unwrap().as_deref(), Some("<p>é</p>"));
        let attachments = message.attachments().unwrap();
        assert_eq!(attachments.get(0).unwrap().name(), "résumé.pdf");
        assert_eq!(attachments.get(0).unwrap().size().unwrap(), 1000);
        let mut source = Vec::new();
        message.write_to(&mut source).unwrap();
        let source = String::from_utf8(source).unwrap();
        assert!(!source.contains("secret"));
        for field in ["Date: ", "Message-ID: ", "MIME-Version: "] {
            assert_eq!(
                source.matches(&format!("\r\n{field}")).count(),
                1,
                "{field}"
            );
        }
    }
}

#[test]
fn errors_keep_their_kind_and_field() {
    let server = MailServer::temporary().unwrap();
    let address = || "jane@example.com".parse().unwrap();
    let envelope = lettre::address::Envelope::new(Some(address()), vec![address()]).unwrap();
    let error = mailer(&server)
        .send_raw(&envelope, b"Subject: no sender\r\n\r\n")
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::MissingField, Some("From"))
    );
}
