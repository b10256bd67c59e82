//! `NewMail`: mail in three lines.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use cdonts::{BodyFormat, Importance, MailServer, NewMail};
use support::{only, subjects};

#[test]
fn three_lines_reach_everyone_in_the_list() {
    let server = MailServer::temporary().unwrap();
    let sent = NewMail::new(&server)
        .from("Shop <shop@example.com>")
        .to("jane@example.com; \"Doe; Joe\" <joe@example.com>")
        .cc("c@example.com")
        .bcc("secret@example.com")
        .subject("Your order")
        .body("It is on its way.")
        .importance(Importance::High)
        .value("Keywords", "one")
        .value("Keywords", "two")
        .attach_bytes("invoice.txt", "42")
        .send()
        .unwrap();
    assert_eq!(sent.delivered().len(), 4);
    for address in [
        "jane@example.com",
        "joe@example.com",
        "c@example.com",
        "secret@example.com",
    ] {
        let message = only(&server, address);
        assert_eq!(message.sender().to_string(), "Shop <shop@example.com>");
        assert_eq!(message.text().unwrap(), "It is on its way.");
        assert_eq!(message.importance().unwrap(), Importance::High);
        assert_eq!(message.headers().unwrap().get_all("Keywords").count(), 2);
        assert_eq!(
            message.attachments().unwrap().get(0).unwrap().name(),
            "invoice.txt"
        );
        let mut shown = Vec::new();
        message.write_to(&mut shown).unwrap();
        assert!(!String::from_utf8(shown).unwrap().contains("secret"));
    }
}

#[test]
fn recipients_accumulate_and_the_rest_is_replaced() {
    let server = MailServer::temporary().unwrap();
    NewMail::new(&server)
        .from("old@example.com")
        .to("p@example.com")
        .subject("old")
        .body("old")
        .send_with(
            "new@example.com",
            "q@example.com",
            "new",
            "B",
            Importance::Low,
        )
        .unwrap();
    for address in ["p@example.com", "q@example.com"] {
        let message = only(&server, address);
        assert_eq!(
            (message.subject(), message.sender().address()),
            ("new", "new@example.com")
        );
        assert_eq!(
            (
                message.text().unwrap().as_str(),
                message.importance().unwrap()
            ),
            ("B", Importance::Low)
        );
    }
}

#[test]
fn the_body_is_html_when_its_format_says_so_in_any_order() {
    let server = MailServer::temporary().unwrap();
    let mail = || {
        NewMail::new(&server)
            .from("a@example.com")
            .to("b@example.com")
    };
    mail()
        .subject("1")
        .body_format(BodyFormat::Html)
        .body("<p>x</p>")
        .send()
        .unwrap();
    mail()
        .subject("2")
        .body("<p>x</p>")
        .body_format(BodyFormat::Html)
        .send()
        .unwrap();
    mail().subject("3").body("<p>x</p>").send().unwrap();
    for message in support::messages(&server, "b@example.com") {
        let html = message.html_part().unwrap();
        assert_eq!(html.is_some(), message.subject() != "3");
    }
}

#[test]
fn values_of_known_fields_call_their_setters() {
    let server = MailServer::temporary().unwrap();
    NewMail::new(&server)
        .value("from", "Jane <jane@example.com>")
        .value("TO", "a@example.com; b@example.com")
        .value("Bcc", "c@example.com")
        .value("subject", "by value")
        .value("Importance", "high")
        .send()
        .unwrap();
    let message = only(&server, "c@example.com");
    assert_eq!(
        (message.subject(), message.sender().name()),
        ("by value", "Jane")
    );
    assert_eq!(message.importance().unwrap(), Importance::High);
    assert!(message.headers().unwrap().get("Bcc").is_none());
    assert_eq!(subjects(&server, "b@example.com"), ["by value"]);
}

#[test]
fn what_a_visitor_typed_is_never_taken_apart() {
    let server = MailServer::temporary().unwrap();
    let name = "Evil <evil@example.com>, O'Neil <3 (c)";
    NewMail::new(&server)
        .from("web@example.com")
        .recipient(name, "help@example.com", cdonts::RecipientType::To)
        .reply_to(name, "jane@example.net")
        .send()
        .unwrap();
    let message = only(&server, "help@example.com");
    let answer_to = message.reply_to().unwrap();
    assert_eq!(answer_to.len(), 1);
    assert_eq!(
        (answer_to[0].name(), answer_to[0].address()),
        (name, "jane@example.net")
    );
    assert_eq!(subjects(&server, "evil@example.com"), [""; 0]);
    let error = NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com")
        .reply_to("x\r\ny", "c@d")
        .send();
    let error = error.unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (cdonts::ErrorKind::InvalidValue, Some("Reply-To"))
    );
}

#[test]
fn it_becomes_a_draft_that_can_be_read() {
    let server = MailServer::temporary().unwrap();
    let mail = NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com")
        .body("text");
    assert_eq!(mail.version(), env!("CARGO_PKG_VERSION"));
    let draft = mail.into_draft();
    assert_eq!(
        (draft.sender().address(), &*draft.text()),
        ("a@example.com", "text")
    );
    draft.check().unwrap();
}
