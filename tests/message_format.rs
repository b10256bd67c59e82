//! MIME and text: the form in which messages go out, and come in.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use cdonts::{
    BodyFormat, EncodingMethod, MailFormat, MessageFormat, NewMail, RecipientType, Session,
};
use support::{Root, iis_file, only};

fn text_mail(server: &cdonts::MailServer) -> NewMail {
    NewMail::new(server)
        .from("a@example.com")
        .to("b@example.com")
        .body("Text")
        .mail_format(MailFormat::Text)
}

#[test]
fn a_text_message_carries_its_files_uuencoded() {
    let root = Root::new();
    let server = root.delivering();
    text_mail(&server)
        .attach_bytes("cat.txt", "Cat")
        .attach_bytes("empty", "")
        .send()
        .unwrap();
    let file = root.only_file("Drop");
    assert!(file.ends_with(
        "Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\nText\r\n\
         begin 644 cat.txt\r\n#0V%T\r\n`\r\nend\r\nbegin 644 empty\r\n`\r\nend\r\n"
    ), "{file}");
    let message = only(&server, "b@example.com");
    assert_eq!(message.text().unwrap(), "Text\r\n");
    assert!(
        message
            .text_part()
            .unwrap()
            .unwrap()
            .contains("begin 644 cat.txt")
    );
    let attachments = message.attachments().unwrap();
    assert_eq!(attachments.len(), 2);
    let cat = attachments.get(0).unwrap();
    assert_eq!(
        (cat.name(), cat.content_type(), cat.size().unwrap()),
        ("cat.txt", "text/plain", 3)
    );
    assert_eq!(cat.read().unwrap(), b"Cat");
}

#[test]
fn any_file_survives_in_any_text() {
    let content: Vec<u8> = (0..70_000u32)
        .map(|n| (n * 7 % 256).to_le_bytes()[0])
        .collect();
    for text in ["", "plain", "with é", "漢字", "line\n.\nFrom x \n"] {
        let server = cdonts::MailServer::temporary().unwrap();
        text_mail(&server)
            .body(text)
            .attach_bytes("data.bin", content.clone())
            .send()
            .unwrap();
        let message = only(&server, "b@example.com");
        assert_eq!(
            message.text().unwrap().replace("\r\n", "\n").trim_end(),
            text.trim_end()
        );
        assert_eq!(
            message
                .attachments()
                .unwrap()
                .get(0)
                .unwrap()
                .read()
                .unwrap(),
            content
        );
        assert_eq!(message.html_part().unwrap(), None);
    }
}

#[test]
fn what_text_cannot_hold_is_sent_as_mime() {
    let root = Root::new();
    let server = root.delivering();
    let mut base64 = text_mail(&server).into_draft();
    base64
        .attachments_mut()
        .add_bytes("x", "x")
        .set_encoding_method(EncodingMethod::Base64);
    let drafts = [
        base64,
        text_mail(&server).attach_bytes("é.txt", "x").into_draft(),
        text_mail(&server)
            .body("begin 644 x")
            .attach_bytes("x", "x")
            .into_draft(),
        text_mail(&server)
            .body_format(BodyFormat::Html)
            .into_draft(),
    ];
    for draft in drafts {
        draft.send().unwrap();
        let file = root.only_file("Drop");
        assert!(file.contains("Content-Type: multipart/"), "{file}");
        std::fs::remove_file(root.join("Drop").join(&root.files("Drop")[0])).unwrap();
    }
}

#[test]
fn the_form_of_a_session_is_that_of_its_later_drafts() {
    let server = cdonts::MailServer::temporary().unwrap();
    let mut session = Session::logon_smtp(&server, "", "a@example.com").unwrap();
    let before = session.outbox().messages().add("", "");
    let other = session.clone();
    session.set_message_format(MessageFormat::Text);
    let mut after = session.outbox().messages().add("s", "t");
    let formats = [
        before.message_format(),
        other.message_format(),
        after.message_format(),
    ];
    assert_eq!(
        formats,
        [
            MessageFormat::Mime,
            MessageFormat::Mime,
            MessageFormat::Text
        ]
    );
    after.set_message_format(MessageFormat::Mime);
    after
        .recipients_mut()
        .add("", "b@example.com", RecipientType::To);
    after
        .attachments_mut()
        .add_bytes("x", "x")
        .set_encoding_method(EncodingMethod::UuEncode);
    after.send().unwrap();
    // In MIME every file is in base64, which every reader knows.
    let message = only(&server, "b@example.com");
    assert_eq!(
        message
            .attachments()
            .unwrap()
            .get(0)
            .unwrap()
            .read()
            .unwrap(),
        b"x"
    );
    assert!(!message.text_part().unwrap().unwrap().contains("begin"));
}

#[test]
fn text_that_only_looks_like_a_file_stays_text() {
    let root = Root::new();
    let body = "\r\nWe\r\nbegin 644 days early, all of us, with everything that we have got for it\r\nend\r\n";
    root.write("Drop/a.eml", iis_file(&["jane@example.com"], body));
    let message = only(&root.server(), "jane@example.com");
    assert!(message.text().unwrap().contains("644 days"));
    assert!(message.attachments().unwrap().is_empty());
}
