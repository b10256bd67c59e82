//! What a program prints by mistake: no body, no password, no blind recipient.

use cdonts::{
    BodyFormat, Credentials, Envelope, ErrorKind, MailServer, MessageFile, NewMail, RecipientType,
    Session,
};

const BODY: &str = "the-secret-body";
const PASSWORD: &str = "the-secret-password";
const BLIND: &str = "the-secret-recipient";

/// What `{:?}` and `{:#?}` print.
fn printed(what: impl std::fmt::Debug) -> String {
    format!("{what:?} {what:#?}")
}

fn hides(name: &str, text: &str) {
    for secret in [BODY, PASSWORD, BLIND] {
        assert!(!text.contains(secret), "{name}: {text}");
    }
}

#[test]
fn nothing_that_is_sent_or_read_prints_a_body() {
    let server = MailServer::temporary().unwrap();
    let session = Session::logon_smtp(&server, "Jane", "jane@example.com").unwrap();
    let blind = format!("{BLIND}@example.com");
    let mut draft = session.outbox().messages().add("hello", BODY);
    draft.set_html_text(format!("<p>{BODY}</p>"));
    draft
        .recipients_mut()
        .add("", "jane@example.com", RecipientType::To);
    draft
        .recipients_mut()
        .add("", blind.clone(), RecipientType::Bcc);
    draft.attachments_mut().add_bytes("a.txt", BODY);
    let text = printed(&draft);
    hides("Draft", &text);
    assert!(text.contains("hello"), "{text}");
    hides("DraftAttachments", &printed(draft.attachments_mut()));
    let new = NewMail::new(&server)
        .from("jane@example.com")
        .bcc(blind.clone())
        .body(BODY)
        .body_format(BodyFormat::Html);
    hides("NewMail", &printed(&new));
    let sent = draft.send().unwrap();
    assert!(printed(&sent).contains(sent.message_id()));

    let messages = session.inbox().messages().unwrap();
    let message = messages.get(0).unwrap();
    let text = printed(&message);
    hides("Message", &text);
    assert!(text.contains("hello"), "{text}");
    hides("Messages", &printed(&messages));
    hides("Attachments", &printed(message.attachments().unwrap()));
    for part in message.parts().unwrap() {
        hides("MessagePart", &printed(&part));
        hides("PartReader", &printed(part.reader().unwrap()));
    }
    let mut bytes = Vec::new();
    message.write_to(&mut bytes).unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains(BODY));
    hides(
        "MessageFile",
        &printed(MessageFile::from_bytes(bytes).unwrap()),
    );
    hides("Session", &printed(&session));
    hides("MailServer", &printed(&server));
    let delivered = format!("x-receiver: jane@example.com\r\nSubject: x\r\n\r\n{BODY}\r\n");
    let delivered = cdonts::DeliveredBytes::new(std::sync::Arc::new(delivered.into_bytes()));
    let text = printed(delivered.unwrap());
    hides("DeliveredBytes", &text);
    assert!(text.contains("len"), "{text}");
    let envelope = Envelope::new("jane@example.com", ["joe@example.com"]);
    assert!(printed(envelope).contains("joe@example.com"));
}

#[test]
fn an_error_is_one_line_and_prints_no_secret() {
    let server = MailServer::temporary().unwrap();
    let failed = NewMail::new(&server)
        .from("jane@example.com")
        .to("jane@@example.com")
        .bcc(format!("{BLIND}@example.com"))
        .subject("hello")
        .body(BODY)
        .send()
        .unwrap_err();
    let text = format!("{failed} {failed:?}");
    hides("SendError", &text);
    assert!(
        !text.contains('\n') && text.contains("jane@@example.com"),
        "{text}"
    );
    let error = cdonts::Error::from(failed);
    let text = format!("{error} {error:?}");
    hides("Error", &text);
    assert!(!text.contains('\n'), "{text}");
    assert_eq!(error.kind(), ErrorKind::InvalidAddress);
    // A blind recipient that is wrong is told by its place, not by its name.
    let failed = NewMail::new(&server)
        .from("jane@example.com")
        .bcc(format!("{BLIND}@@example.com"))
        .send()
        .unwrap_err();
    hides("SendError", &format!("{failed} {failed:?}"));
}

#[test]
fn credentials_print_nothing() {
    let credentials = Credentials::password("jane@example.com", PASSWORD);
    hides("Credentials", &printed(&credentials));
    let refused = Session::logon(&MailServer::temporary().unwrap(), credentials).unwrap_err();
    hides("Error", &format!("{refused} {refused:?}"));
}

#[cfg(all(feature = "smtp", feature = "pop3", feature = "imap"))]
#[test]
fn places_print_where_they_are_and_no_password() {
    let credentials = || Credentials::password("jane@example.com", PASSWORD);
    let imap = cdonts::Imap::new("imap.invalid")
        .port(1993)
        .credentials(credentials());
    let pop3 = cdonts::Pop3::new("pop3.invalid")
        .port(1995)
        .credentials(credentials());
    let smtp = cdonts::Smtp::submission("smtp.invalid")
        .unwrap()
        .credentials(credentials());
    for (text, host, port) in [
        (printed(imap), "imap.invalid", "1993"),
        (printed(pop3), "pop3.invalid", "1995"),
        (printed(smtp), "smtp.invalid", "465"),
    ] {
        hides(host, &text);
        assert!(text.contains(host) && text.contains(port), "{text}");
    }
}
