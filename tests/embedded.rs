//! Messages in messages, pictures that the HTML shows, and the way from object to object.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use cdonts::{
    AttachmentType, BodyFormat, CdoObject, EmbeddedMessage, ErrorKind, FolderType, Limits,
    MailFormat, MailServer, MessageFile, NewMail, ObjectClass, RecipientType, Session,
};
use support::{Root, iis_file, messages, only, session, source};

#[test]
fn a_received_message_is_attached_as_it_was_and_opened_again() {
    let server = MailServer::temporary().unwrap();
    NewMail::new(&server)
        .from("Jörg <a@example.com>")
        .to("b@example.com")
        .bcc("secret@example.com")
        .subject("Über / unter")
        .body("<p>é</p>")
        .body_format(BodyFormat::Html)
        .attach_bytes("a.bin", [0, 1, 2])
        .send()
        .unwrap();
    let original = only(&server, "b@example.com");
    let original_source = source(&original);
    let mut draft = session(&server, "b@example.com")
        .outbox()
        .messages()
        .add("Fwd", "see there");
    draft
        .recipients_mut()
        .add("", "c@example.com", RecipientType::To);
    draft.attachments_mut().add_message(&original);
    // It may be gone when the draft is sent.
    original.delete().unwrap();
    draft.send().unwrap();
    let outer = only(&server, "c@example.com");
    let attachments = outer.attachments().unwrap();
    assert_eq!(attachments.len(), 1);
    let attachment = attachments.get(0).unwrap();
    assert_eq!(
        attachment.attachment_type(),
        AttachmentType::EmbeddedMessage
    );
    assert_eq!(
        (attachment.name(), attachment.content_type()),
        ("Über _ unter.eml", "message/rfc822")
    );
    let inner: EmbeddedMessage = attachment.source().unwrap().unwrap();
    outer.delete().unwrap();
    assert_eq!(inner.subject(), "Über / unter");
    assert_eq!(inner.sender().name(), "Jörg");
    assert_eq!(inner.text().unwrap(), "é");
    assert_eq!(
        inner.attachments().unwrap().get(0).unwrap().read().unwrap(),
        [0, 1, 2]
    );
    let mut bytes = Vec::new();
    inner.write_to(&mut bytes).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), original_source);
}

#[test]
fn neither_run_nor_blind_recipients_are_embedded() {
    let root = Root::new();
    root.write(
        "Drop/a.eml",
        iis_file(
            &["jane@example.com", "secret@example.com"],
            "Bcc: hidden@example.com\r\nSubject: s\r\n\r\nx",
        ),
    );
    let server = root.delivering();
    let mut draft = session(&server, "jane@example.com")
        .outbox()
        .messages()
        .add("f", "");
    draft
        .recipients_mut()
        .add("", "c@example.com", RecipientType::To);
    draft
        .attachments_mut()
        .add_message(&only(&server, "jane@example.com"));
    draft.send().unwrap();
    let outer = source(&only(&server, "c@example.com"));
    assert!(
        !outer.contains("secret") && !outer.contains("hidden") && outer.contains("Subject: s\r\n")
    );
}

#[test]
fn what_mail_must_not_hold_unencoded_goes_as_a_plain_file() {
    let root = Root::new();
    let odd = [
        "Subject: s\r\n\r\né".to_owned(),
        format!("Subject: s\r\n\r\n{}", "x".repeat(1000)),
        "Subject: s\r\n\r\na\rb".to_owned(),
    ];
    for (number, below) in odd.iter().enumerate() {
        root.write(
            &format!("Drop/{number}.eml"),
            iis_file(&["jane@example.com"], below),
        );
    }
    let server = root.delivering();
    for message in messages(&server, "jane@example.com") {
        let mut draft = session(&server, "jane@example.com")
            .outbox()
            .messages()
            .add("f", "");
        draft
            .recipients_mut()
            .add("", "c@example.com", RecipientType::To);
        draft.attachments_mut().add_message(&message);
        draft.send().unwrap();
        let outer = only(&server, "c@example.com");
        let attachments = outer.attachments().unwrap();
        let attachment = attachments.get(0).unwrap();
        assert_eq!(
            (attachment.name(), attachment.content_type()),
            ("s.eml", "application/octet-stream")
        );
        assert_eq!(attachment.attachment_type(), AttachmentType::FileData);
        assert!(attachment.source().unwrap().is_none());
        assert_eq!(
            String::from_utf8(attachment.read().unwrap()).unwrap(),
            source(&message)
        );
        outer.delete().unwrap();
    }
}

#[test]
fn a_message_that_is_gone_when_it_is_attached_fails_the_send() {
    let server = MailServer::temporary().unwrap();
    NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com")
        .subject("s")
        .send()
        .unwrap();
    let original = only(&server, "b@example.com");
    original.clone().delete().unwrap();
    let mut draft = session(&server, "b@example.com")
        .outbox()
        .messages()
        .add("f", "");
    draft
        .recipients_mut()
        .add("", "c@example.com", RecipientType::To);
    draft.attachments_mut().add_message(&original);
    let error = draft.send().unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::MessageGone, Some("s.eml"))
    );
}

#[test]
fn messages_are_opened_as_far_as_the_limits_go() {
    let mut nested = "Subject: 0\n\ninnermost".to_owned();
    for level in 1..300 {
        nested = format!("Subject: {level}\nContent-Type: message/rfc822\n\n{nested}");
    }
    let mut limits = Limits::default();
    limits.depth = 300;
    let open = |limits: &Limits| {
        let mut message = MessageFile::from_bytes_with(nested.clone(), limits)?;
        for level in (1..300).rev() {
            assert_eq!(message.subject(), level.to_string());
            let inner = message.attachments()?.get(0).unwrap().source()?;
            message = inner.unwrap();
        }
        message.text()
    };
    assert_eq!(open(&limits).unwrap(), "innermost");
    let error = open(&Limits::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("`depth` of 100"), "{error}");
    // Mail must not encode a message, but some does.
    let encoded =
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeAoKeQ==";
    let outer = MessageFile::from_bytes(encoded).unwrap();
    let inner = outer
        .attachments()
        .unwrap()
        .get(0)
        .unwrap()
        .source()
        .unwrap()
        .unwrap();
    assert_eq!(
        (inner.subject(), inner.text().unwrap().as_str()),
        ("x", "y")
    );
}

#[test]
fn pictures_are_found_by_their_location() {
    let root = Root::new();
    let server = root.delivering();
    let picture = root.write("logo100.gif", "GIF");
    NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com")
        .body("<img src=\"logo.gif\">")
        .body_format(BodyFormat::Html)
        .mail_format(MailFormat::Mime)
        .attach_url(&picture, "logo.gif")
        .attach_url(&picture, "http://x.example/logo.gif")
        .send()
        .unwrap();
    let file = root.only_file("Drop");
    assert!(file.contains("Content-Type: multipart/related") && !file.contains("Content-ID"));
    let message = only(&server, "b@example.com");
    let attachments = message.attachments().unwrap();
    let locations: Vec<_> = attachments
        .iter()
        .map(|a| a.content_location().unwrap())
        .collect();
    assert_eq!(locations, ["logo.gif", "http://x.example/logo.gif"]);
}

#[test]
fn a_base_is_resolved_into_the_location() {
    let root = Root::new();
    let server = root.delivering();
    let mut draft = NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com")
        .body("<img src=today.gif>")
        .body_format(BodyFormat::Html)
        .content_base("http://h.example/graphs/")
        .content_location("Jul1998/21Jul98/")
        .into_draft();
    draft
        .attachments_mut()
        .add_bytes("x.gif", "GIF")
        .set_content_base("http://h.example/a/")
        .set_content_location("../x.gif");
    draft.send().unwrap();
    let message = only(&server, "b@example.com");
    let location = message.content_location().unwrap();
    assert_eq!(
        location.as_deref(),
        Some("http://h.example/graphs/Jul1998/21Jul98/")
    );
    let attachments = message.attachments().unwrap();
    assert_eq!(
        attachments.get(0).unwrap().content_location(),
        Some("http://h.example/x.gif")
    );
    assert!(!root.only_file("Drop").contains("Content-Base"));
    // Older mail has both.
    let old = "Content-Type: text/html\r\nContent-Base: \"http://h.example/\"\r\nContent-Location: a/b\r\nContent-ID: <i@x>\r\n\r\n";
    root.write("Drop/old.eml", iis_file(&["old@example.com"], old));
    let old = only(&server, "old@example.com");
    assert_eq!(
        old.content_base().unwrap().as_deref(),
        Some("http://h.example/")
    );
    assert_eq!(
        old.content_location().unwrap().as_deref(),
        Some("http://h.example/a/b")
    );
    assert_eq!(old.content_id().unwrap().as_deref(), Some("i@x"));
}

#[test]
fn the_base_of_the_html_holds_for_pictures_without_one() {
    let root = Root::new();
    let server = root.delivering();
    let picture = root.write("logo100.gif", "GIF");
    let mut draft = NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com")
        .body("<img src=logo.gif><img src=other.gif>")
        .body_format(BodyFormat::Html)
        .content_base("http://shop.example.com/a/")
        .attach_url(&picture, "logo.gif")
        .into_draft();
    draft
        .attachments_mut()
        .add_bytes("other.gif", "GIF")
        .set_content_base("http://h.example/")
        .set_content_location("other.gif");
    draft.send().unwrap();
    let message = only(&server, "b@example.com");
    let attachments = message.attachments().unwrap();
    let locations: Vec<_> = attachments
        .iter()
        .map(|a| a.content_location().unwrap())
        .collect();
    assert_eq!(
        locations,
        [
            "http://shop.example.com/a/logo.gif",
            "http://h.example/other.gif"
        ]
    );
}

#[test]
fn what_was_attached_to_one_message_is_attached_to_another() {
    let root = Root::new();
    let server = root.delivering();
    let inner = MessageFile::from_bytes("From: c@example.com\nSubject: inner\n\ntext\n").unwrap();
    let mut draft = NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com")
        .body("<img src=\"cid:logo@x\">")
        .body_format(BodyFormat::Html)
        .attach_bytes("Größe.bin", [0, 1, 2].repeat(100_000))
        .into_draft();
    let all = draft.attachments_mut();
    all.add_bytes("logo.gif", "GIF").set_content_id("logo@x");
    all.add_bytes("today.gif", "GIF")
        .set_content_location("http://h.example/today.gif");
    all.add_message_file(&inner);
    draft.send().unwrap();
    let first = only(&server, "b@example.com");
    let kept = |message: &cdonts::Message| -> Vec<_> {
        let attachments = message.attachments().unwrap();
        let kept = attachments.iter().map(|one| {
            (
                one.name().to_owned(),
                one.content_type().to_owned(),
                one.content_id().map(ToOwned::to_owned),
                one.content_location().map(ToOwned::to_owned),
                one.read().unwrap(),
            )
        });
        kept.collect()
    };
    let before = kept(&first);
    assert_eq!(before.len(), 4);
    let b = session(&server, "b@example.com");
    let mut draft = b.outbox().messages().add("again", "");
    draft.set_html_text("<img src=\"cid:logo@x\">");
    draft
        .recipients_mut()
        .add("", "c@example.com", RecipientType::To);
    for attachment in first.attachments().unwrap() {
        draft.attachments_mut().add_attachment(&attachment);
    }
    // They are read when it is sent, though the message is gone then.
    first.delete().unwrap();
    draft.send().unwrap();
    let second = only(&server, "c@example.com");
    assert_eq!(kept(&second), before);
    let embedded = second.attachments().unwrap();
    let embedded = embedded
        .iter()
        .find(|one| one.attachment_type() == AttachmentType::EmbeddedMessage);
    let embedded = embedded.unwrap().source().unwrap().unwrap();
    assert_eq!(embedded.subject(), "inner");
}

#[test]
fn a_name_with_a_comma_in_one_text_is_told_to_stand_in_quotes() {
    let server = MailServer::temporary().unwrap();
    let sent = NewMail::new(&server)
        .from("Doe, Jane <jane@example.com>")
        .to("b@example.com")
        .send();
    let error = sent.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidAddress);
    assert!(error.to_string().contains("in quotes"), "{error}");
    NewMail::new(&server)
        .sender("Doe, Jane", "jane@example.com")
        .to("b@example.com")
        .send()
        .unwrap();
    assert_eq!(only(&server, "b@example.com").sender().name(), "Doe, Jane");
}

#[test]
fn every_object_tells_its_class_and_leads_to_its_session() {
    let server = MailServer::temporary().unwrap();
    let jane = Session::logon_smtp(&server, "Jane", "jane@example.com").unwrap();
    NewMail::new(&server)
        .from("a@example.com")
        .to("jane@example.com")
        .attach_bytes("a", "a")
        .send()
        .unwrap();
    let inbox = jane.get_default_folder(FolderType::Inbox);
    let list = jane.inbox().messages().unwrap();
    let message = list.get(0).unwrap();
    let attachments = message.attachments().unwrap();
    let mut draft = jane.outbox().messages().add("", "");
    draft
        .recipients_mut()
        .add("", "b@example.com", RecipientType::To);
    draft.attachments_mut().add_bytes("a", "a");
    let objects: &[(&dyn CdoObject, ObjectClass, i32)] = &[
        (&jane, ObjectClass::Session, 0),
        (&inbox, ObjectClass::Folder, 2),
        (&jane.inbox(), ObjectClass::Folder, 2),
        (&jane.outbox(), ObjectClass::Folder, 2),
        (&message, ObjectClass::Message, 3),
        (&draft, ObjectClass::Message, 3),
        (
            message.recipients().unwrap().get(0).unwrap(),
            ObjectClass::Recipient,
            4,
        ),
        (attachments.get(0).unwrap(), ObjectClass::Attachment, 5),
        (
            draft.attachments().get(0).unwrap(),
            ObjectClass::Attachment,
            5,
        ),
        (message.sender(), ObjectClass::AddressEntry, 8),
        (&list, ObjectClass::Messages, 16),
        (&jane.outbox().messages(), ObjectClass::Messages, 16),
        (message.recipients().unwrap(), ObjectClass::Recipients, 17),
        (&attachments, ObjectClass::Attachments, 18),
        (draft.attachments(), ObjectClass::Attachments, 18),
    ];
    for (object, class, number) in objects {
        assert_eq!((object.class(), *class as i32), (*class, *number));
        assert_eq!(
            object.application(),
            concat!("cdonts ", env!("CARGO_PKG_VERSION"))
        );
    }
    assert_eq!(jane.session().address(), "jane@example.com");
    assert_eq!(inbox.session().address(), "jane@example.com");
    assert_eq!(jane.outbox().session().name(), "Jane");
    assert_eq!(list.session().unwrap().name(), "Jane");
    assert_eq!(list.inbox().unwrap().name(), "Inbox");
    assert_eq!(message.session().unwrap().name(), "Jane");
    assert!(server.unclaimed().unwrap().session().is_none());
}
