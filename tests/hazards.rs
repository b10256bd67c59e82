//! What composing gets wrong in public software, right here: exact bytes for each.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use cdonts::{BodyFormat, Draft, ErrorKind, MailServer, MessageFile, NewMail, RecipientType};
use support::Root;

fn mail(server: &MailServer) -> NewMail {
    NewMail::new(server).from("f@a.example").to("t@b.example")
}

/// The file of a draft in Pickup.
fn sent(make: impl FnOnce(&MailServer) -> Draft) -> String {
    let root = Root::new();
    let server = root.server();
    make(&server).send().unwrap();
    let file = root.only_file("Pickup");
    assert!(
        file.split("\r\n")
            .all(|line| line.len() <= 998 && !line.contains(['\r', '\n']))
    );
    file
}

fn refused(make: impl FnOnce(&MailServer) -> Draft) -> (ErrorKind, String) {
    let root = Root::new();
    let server = root.server();
    let error = make(&server).send().unwrap_err();
    assert_eq!(root.files("Pickup"), [""; 0]);
    (error.kind(), error.field().unwrap_or_default().to_owned())
}

fn receivers(file: &str) -> Vec<&str> {
    file.lines()
        .filter_map(|line| line.strip_prefix("X-Receiver: "))
        .collect()
}

fn field<'a>(file: &'a str, name: &str) -> &'a str {
    let start = file.find(&format!("\r\n{name}:")).unwrap() + 2;
    let mut end = start;
    loop {
        end += file[end..].find("\r\n").unwrap() + 2;
        if !file[end..].starts_with([' ', '\t']) {
            return &file[start..end];
        }
    }
}

#[test]
fn no_recipient_is_lost_however_his_address_is_written() {
    let odd = "\"a b\"@b.example";
    let file = sent(|s| {
        mail(s)
            .cc(format!("keep@b.example; {odd}; x@[127.0.0.1]"))
            .into_draft()
    });
    assert_eq!(
        receivers(&file),
        ["t@b.example", "keep@b.example", odd, "x@[127.0.0.1]"]
    );
    assert_eq!(
        field(&file, "Cc"),
        "Cc: keep@b.example, \"a b\"@b.example, x@[127.0.0.1]\r\n"
    );
    let file = sent(|s| mail(s).bcc(odd).into_draft());
    assert_eq!(receivers(&file), ["t@b.example", odd]);
    let file = sent(|s| mail(s).to(odd).to("later@b.example").into_draft());
    assert_eq!(receivers(&file), ["t@b.example", odd, "later@b.example"]);
    let file = sent(|s| mail(s).from(odd).into_draft());
    assert!(file.starts_with("X-Sender: \"a b\"@b.example\r\n"));
}

#[test]
fn addresses_are_checked_and_never_repaired_into_others() {
    for address in [
        "a@b.example c@d.example",
        "a b@c.example",
        "a..b@c",
        "a\r\nX-Inj: 1@b.example",
        "a@",
        "<<a@b>>",
    ] {
        let add = |s: &MailServer| {
            mail(s)
                .recipient("", address, RecipientType::To)
                .into_draft()
        };
        assert_eq!(
            refused(add),
            (ErrorKind::InvalidAddress, "To".to_owned()),
            "{address}"
        );
    }
    let file = sent(|s| mail(s).to("x@bücher.example").into_draft());
    assert_eq!(receivers(&file), ["t@b.example", "x@xn--bcher-kva.example"]);
    assert!(field(&file, "To").ends_with("x@xn--bcher-kva.example\r\n"));
    assert_eq!(
        refused(|s| mail(s).to("é@b.example").into_draft()).0,
        ErrorKind::InvalidAddress
    );
}

#[test]
fn an_answer_address_that_the_way_may_not_take_is_refused() {
    let answer = refused(|s| mail(s).reply_to("", "é@b.example").into_draft());
    assert_eq!(answer, (ErrorKind::InvalidAddress, "Reply-To".to_owned()));
}

#[test]
fn long_fields_are_folded_or_encoded() {
    let many = (0..300)
        .map(|n| format!("user{n}@b.example;"))
        .collect::<String>();
    let file = sent(|s| mail(s).to(&many).into_draft());
    assert!(field(&file, "To").lines().all(|line| line.len() <= 78));
    assert_eq!(receivers(&file).len(), 301);
    let word = "x".repeat(1200);
    let file = sent(|s| {
        mail(s)
            .subject(&word)
            .value("X-Long", &word)
            .from(format!("{word} <f@a.example>"))
            .into_draft()
    });
    for name in ["Subject", "X-Long", "From"] {
        assert!(
            field(&file, name).lines().all(|line| line.len() <= 78),
            "{name}"
        );
    }
    let read = MessageFile::from_bytes(&file[file.find("Date: ").unwrap()..]).unwrap();
    assert_eq!(
        (read.subject(), read.sender().name()),
        (word.as_str(), word.as_str())
    );
}

#[test]
fn a_subject_arrives_as_it_was_written() {
    for (subject, expected) in [
        (
            "=?utf-8?Q?fake?=",
            "Subject: =?us-ascii?Q?=3D=3Futf-8=3FQ=3Ffake=3F=3D?=\r\n",
        ),
        ("abc ", "Subject: =?us-ascii?Q?abc_?=\r\n"),
        ("", "Subject:\r\n"),
        (
            "Grüße, 漢字",
            "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe,_=E6=BC=A2=E5=AD=97?=\r\n",
        ),
    ] {
        assert_eq!(
            field(&sent(|s| mail(s).subject(subject).into_draft()), "Subject"),
            expected
        );
    }
}

#[test]
fn file_names_are_read_by_old_and_new_readers() {
    let file = sent(|s| mail(s).attach_bytes("é.txt", "x").into_draft());
    assert_eq!(
        &file[file.find("Content-Type: text/plain;\r\n name").unwrap()
            ..file.find("\r\nContent-Transfer-Encoding: base64").unwrap()],
        "Content-Type: text/plain;\r\n name=\"=?utf-8?Q?=C3=A9=2Etxt?=\"\r\nContent-Disposition: attachment;\r\n filename*=utf-8''%C3%A9.txt"
    );
    let file = sent(|s| {
        mail(s)
            .attach_bytes("C:\\dir\\a \"b\".txt", "x")
            .into_draft()
    });
    assert!(file.contains(";\r\n name=\"a \\\"b\\\".txt\"\r\n"));
    assert!(file.contains("Content-Disposition: attachment;\r\n filename=\"a \\\"b\\\".txt\"\r\n"));
}

#[test]
fn fields_that_may_stand_once_stand_once_and_others_as_often_as_set() {
    let file = sent(|s| {
        let mut draft = mail(s)
            .subject("first")
            .value("Keywords", "one")
            .value("Keywords", "two")
            .into_draft();
        draft.add_header("Subject", "second");
        draft
    });
    assert_eq!(file.matches("Subject:").count(), 1);
    assert_eq!(field(&file, "Subject"), "Subject: second\r\n");
    assert!(file.contains("Keywords: one\r\nKeywords: two\r\n"));
    for name in [
        "From",
        "message-id",
        "DATE",
        "Content-Type",
        "X-Receiver",
        "Return-Path",
        "Received",
        "Resent-Bcc",
    ] {
        let (kind, field) = refused(|s| mail(s).value(name, "v").into_draft());
        assert_eq!((kind, field.as_str()), (ErrorKind::InvalidValue, name));
    }
}

#[test]
fn every_message_has_its_three_fields_and_an_id_of_the_senders_domain() {
    let file = sent(|s| mail(s).into_draft());
    for name in ["Date", "Message-ID", "MIME-Version"] {
        assert_eq!(file.matches(&format!("\r\n{name}: ")).count(), 1, "{name}");
    }
    let id = field(&file, "Message-ID").trim_end();
    assert!(
        id.ends_with("@a.example>") && id.len() == "Message-ID: <".len() + 32 + "@a.example>".len()
    );
    assert_eq!(
        refused(|s| NewMail::new(s).to("t@b.example").into_draft()),
        (ErrorKind::MissingField, "From".to_owned())
    );
    let file = sent(|s| {
        NewMail::new(s)
            .from("f@a.example")
            .bcc("t@b.example")
            .into_draft()
    });
    assert_eq!(field(&file, "To"), "To: undisclosed-recipients:;\r\n");
    assert!(!file.contains("Bcc"));
}

#[test]
fn a_body_goes_out_in_a_form_that_arrives() {
    for (body, encoding, expected) in [
        ("x\r\n", "7bit", "x\r\n"),
        ("x", "7bit", "x"),
        ("lone\rcr and\nlf", "7bit", "lone\r\ncr and\r\nlf"),
        ("nul \0", "quoted-printable", "nul =00"),
        (
            "trailing \nblank",
            "quoted-printable",
            "trailing=20\r\nblank",
        ),
        ("From me\n.\n", "quoted-printable", "=46rom me\r\n=2E\r\n"),
        ("é", "base64", "w6k="),
        ("mostly plain é", "quoted-printable", "mostly plain =C3=A9"),
    ] {
        let file = sent(|s| mail(s).body(body).into_draft());
        assert!(
            file.contains(&format!("Content-Transfer-Encoding: {encoding}\r\n")),
            "{body:?}"
        );
        assert_eq!(file.split_once("\r\n\r\n").unwrap().1, expected, "{body:?}");
    }
    let long = sent(|s| mail(s).body("y".repeat(4000)).into_draft());
    assert!(
        long.split_once("\r\n\r\n")
            .unwrap()
            .1
            .lines()
            .all(|line| line.len() <= 76)
    );
}

#[test]
fn no_content_forges_a_part() {
    let file = sent(|s| {
        let text = "--b\n--=_mixed_\n--=_alternative_x--\n";
        mail(s).body(text).attach_bytes("a", text).into_draft()
    });
    let read = MessageFile::from_bytes(&file[file.find("Date: ").unwrap()..]).unwrap();
    assert_eq!(read.attachments().unwrap().len(), 1);
    assert_eq!(
        read.text().unwrap(),
        "--b\r\n--=_mixed_\r\n--=_alternative_x--\r\n"
    );
    let boundary = field(&file, "Content-Type").split('"').nth(1).unwrap();
    assert!(boundary.len() <= 70 && boundary.starts_with("=_") && !boundary.ends_with(' '));
}

#[test]
fn pictures_stand_beside_the_html_and_ids_are_their_own() {
    let html = |s: &MailServer| {
        let mut draft = mail(s)
            .body("<img src=cid:p@x>")
            .body_format(BodyFormat::Html)
            .into_draft();
        draft
            .attachments_mut()
            .add_bytes("p.png", "P")
            .set_content_id("p@x");
        draft
    };
    let file = sent(html);
    assert!(file.contains("Content-Type: multipart/related;\r\n type=\"text/html\";\r\n"));
    assert!(
        file.contains(
            "Content-Disposition: inline;\r\n filename=\"p.png\"\r\nContent-ID: <p@x>\r\n"
        )
    );
    let twice = |s: &MailServer| {
        let mut draft = html(s);
        draft
            .attachments_mut()
            .add_bytes("q.png", "Q")
            .set_content_id("p@x");
        draft
    };
    assert_eq!(
        refused(twice),
        (ErrorKind::InvalidValue, "Content-ID".to_owned())
    );
    for id in ["é@x", "a b", "<a@x>", ""] {
        let odd = |s: &MailServer| {
            let mut draft = mail(s).into_draft();
            draft
                .attachments_mut()
                .add_bytes("p", "P")
                .set_content_id(id);
            draft
        };
        assert_eq!(
            refused(odd),
            (ErrorKind::InvalidValue, "p".to_owned()),
            "{id}"
        );
    }
}

#[test]
fn a_message_is_never_sent_as_encoded_mail() {
    for content_type in [
        "message/rfc822",
        "message/delivery-status",
        "multipart/mixed",
    ] {
        let file = sent(|s| {
            let mut draft = mail(s).into_draft();
            draft
                .attachments_mut()
                .add_bytes("x.eml", "Subject: é\n\n")
                .set_content_type(content_type);
            draft
        });
        assert!(
            file.contains("Content-Type: application/octet-stream;\r\n name=\"x.eml\"\r\n"),
            "{file}"
        );
    }
}
