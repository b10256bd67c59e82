//! What a program may expect of its Inbox, whichever store it is in. Each check gets an empty Inbox.

use std::time::Duration;

use cdonts::{ErrorKind, Importance, Message, Session};

/// A store under test, with a mailbox of the user ann@example.com.
pub(crate) trait Fixture {
    /// Another session of that user.
    fn log_on(&self) -> Session;

    /// A session of bob@example.com.
    fn log_on_other(&self) -> Session;

    /// Delivers a message to ann, as her mail server does.
    fn deliver(&self, message: &str);
}

type Check = fn(&dyn Fixture);

/// All checks, by name.
pub(crate) const CHECKS: &[(&str, Check)] = &[
    ("an empty Inbox is empty", an_empty_inbox_is_empty),
    ("messages come oldest first", messages_come_oldest_first),
    ("a message is what was sent", a_message_is_what_was_sent),
    ("dots and long texts stay", dots_and_long_texts_stay),
    (
        "attachments stay to the octet",
        attachments_stay_to_the_octet,
    ),
    ("broken mail is shown", broken_mail_is_shown),
    ("nobody sees another's mail", nobody_sees_anothers_mail),
    (
        "deleting takes one and only that",
        deleting_takes_one_and_only_that,
    ),
    (
        "all of a snapshot are deleted together",
        all_of_a_snapshot_are_deleted_together,
    ),
    ("a snapshot stays as it was", a_snapshot_stays_as_it_was),
    ("streams go both ways", streams_go_both_ways),
    ("one can wait for a message", one_can_wait_for_a_message),
    (
        "messages outlive their session",
        messages_outlive_their_session,
    ),
    (
        "blind recipients are not shown",
        blind_recipients_are_not_shown,
    ),
    ("many threads read at once", many_threads_read_at_once),
    (
        "a log-off and another log-on lose nothing",
        a_log_off_loses_nothing,
    ),
];

/// Runs all checks; the Inbox is emptied between them.
pub(crate) fn conforms(fixture: &dyn Fixture) {
    for (name, check) in CHECKS {
        println!("{name}");
        let session = fixture.log_on();
        session.inbox().messages().unwrap().delete_all().unwrap();
        session.logoff();
        check(fixture);
    }
}

fn simple(subject: &str) -> String {
    format!(
        "From: Sam <sam@example.net>\r\nTo: ann@example.com\r\nSubject: {subject}\r\n\r\nHello.\r\n"
    )
}

fn subjects(session: &Session) -> Vec<String> {
    let messages = session.inbox().messages().unwrap();
    messages
        .iter()
        .map(|message| message.subject().to_owned())
        .collect()
}

fn only(session: &Session) -> Message {
    let messages = session.inbox().messages().unwrap();
    assert_eq!(messages.len(), 1);
    messages.get(0).unwrap()
}

/// Everything below what the servers on the way have put on top.
fn source(message: &Message) -> String {
    let mut bytes = Vec::new();
    let size = message.write_to(&mut bytes).unwrap();
    assert_eq!(size, bytes.len() as u64);
    let source = String::from_utf8_lossy(&bytes).into_owned();
    // Maildirs of some servers have LF alone.
    let source = source.replace("\r\n", "\n").replace('\n', "\r\n");
    match source.find("\r\nFrom: ") {
        Some(at) if !source.starts_with("From: ") => source[at + 2..].to_owned(),
        _ => source,
    }
}

fn an_empty_inbox_is_empty(fixture: &dyn Fixture) {
    let inbox = fixture.log_on().inbox();
    assert!(inbox.messages().unwrap().is_empty());
    assert_eq!(inbox.count().unwrap(), 0);
    assert!(inbox.stream().unwrap().next().is_none());
    assert!(inbox.newest_first().unwrap().next().is_none());
}

fn messages_come_oldest_first(fixture: &dyn Fixture) {
    let session = fixture.log_on();
    for subject in ["one", "two", "three"] {
        fixture.deliver(&simple(subject));
        // Directories go by the time of their files.
        std::thread::sleep(Duration::from_millis(15));
    }
    assert_eq!(subjects(&session), ["one", "two", "three"]);
    assert_eq!(session.inbox().count().unwrap(), 3);
    fixture.deliver(&simple("four"));
    assert_eq!(subjects(&session), ["one", "two", "three", "four"]);
}

const LETTER: &str = "From: =?utf-8?q?J=C3=A4ne?= <jane@example.net>\r\n\
    To: ann@example.com\r\nCc: Joe <joe@example.org>\r\n\
    Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n\
    Message-ID: <1@example.net>\r\nX-Priority: 1\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/alternative; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
    Hall=C3=B6chen\r\n\
    --b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Hi</p>\r\n--b--\r\n";

fn a_message_is_what_was_sent(fixture: &dyn Fixture) {
    fixture.deliver(LETTER);
    let session = fixture.log_on();
    let message = only(&session);
    assert_eq!(message.subject(), "Grüße");
    assert_eq!(message.sender().name(), "Jäne");
    assert_eq!(message.sender().address(), "jane@example.net");
    assert_eq!(message.text().unwrap().trim(), "Hallöchen");
    assert_eq!(message.html_text().unwrap().trim(), "<p>Hi</p>");
    assert_eq!(message.importance().unwrap(), Importance::High);
    assert!(message.time_sent().unwrap().is_some());
    let recipients = message.recipients().unwrap();
    assert_eq!(
        (recipients.len(), recipients.get(1).unwrap().address()),
        (2, "joe@example.org")
    );
    assert!(message.attachments().unwrap().is_empty());
    assert_eq!(message.reverse_path(), "sam@example.net");
    assert_eq!(message.delivered_to(), "ann@example.com");
    assert_eq!(source(&message), LETTER);
    let headers = message.headers().unwrap();
    assert_eq!(
        headers.get("Message-ID").unwrap().value(),
        "<1@example.net>"
    );
    assert!(headers.get("Return-Path").is_none() && headers.get("Delivered-To").is_none());
    let answer = message.reply(&session).unwrap();
    assert_eq!(answer.subject(), "Re: Grüße");
    assert_eq!(message.problems().unwrap().len(), 0);
}

fn dots_and_long_texts_stay(fixture: &dyn Fixture) {
    use std::fmt::Write;
    let mut text = String::from(".\r\n..\r\n.a\r\n...b\r\n");
    for number in 0..20_000 {
        write!(text, "line {number}\r\n.{number}\r\n").unwrap();
    }
    let letter = format!("From: a@example.net\r\nSubject: dots\r\n\r\n{text}.\r\nend\r\n");
    fixture.deliver(&letter);
    let message = only(&fixture.log_on());
    let read = message.text().unwrap().replace("\r\n", "\n");
    assert_eq!(read, format!("{text}.\r\nend\r\n").replace("\r\n", "\n"));
    assert_eq!(source(&message), letter);
}

fn attachments_stay_to_the_octet(fixture: &dyn Fixture) {
    use std::fmt::Write;
    let octets: Vec<u8> = (0..=255).cycle().take(3 * 57 * 8000).collect();
    let mut letter = String::from(
        "From: a@example.net\r\nSubject: file\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSee the file.\r\n--b\r\n\
         Content-Type: application/octet-stream; name=data.bin\r\n\
         Content-Disposition: attachment; filename=data.bin\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n",
    );
    for chunk in octets.chunks(57) {
        write!(
            letter,
            "{}\r\n",
            base64::Engine::encode(&base64::prelude::BASE64_STANDARD, chunk)
        )
        .unwrap();
    }
    letter +=
        "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nInside.\r\n--b--\r\n";
    fixture.deliver(&letter);
    let message = only(&fixture.log_on());
    assert_eq!(message.text().unwrap().trim(), "See the file.");
    let attachments = message.attachments().unwrap();
    assert_eq!(attachments.len(), 2);
    let file = attachments.get(0).unwrap();
    assert_eq!(
        (file.name(), file.content_type()),
        ("data.bin", "application/octet-stream")
    );
    let mut read = Vec::new();
    file.write_to(&mut read).unwrap();
    assert!(read == octets);
    let inner = attachments.get(1).unwrap().source().unwrap().unwrap();
    assert_eq!(
        (inner.subject(), inner.text().unwrap().trim()),
        ("inner", "Inside.")
    );
}

fn broken_mail_is_shown(fixture: &dyn Fixture) {
    let broken = [
        "no header at all\r\n",
        "Subject: only a header\r\n",
        "Subject: =?x?q?broken\r\nContent-Type: multipart/mixed; boundary=\r\n\r\nx\r\n",
        "Subject: cut\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhalf",
        ": no name\r\nFrom: (((((\r\n\r\n\u{fffd}\r\n",
    ];
    for message in broken {
        let end = if message.ends_with('\n') { "" } else { "\r\n" };
        fixture.deliver(&format!("{message}{end}"));
    }
    let messages = fixture.log_on().inbox().messages().unwrap();
    assert_eq!(messages.len(), broken.len());
    for message in &messages {
        message.text().unwrap();
        message.problems().unwrap();
        message.attachments().unwrap();
    }
}

fn nobody_sees_anothers_mail(fixture: &dyn Fixture) {
    fixture.deliver("From: a@example.net\r\nTo: bob@example.com\r\nSubject: ann's\r\n\r\nx\r\n");
    assert!(subjects(&fixture.log_on_other()).is_empty());
    assert_eq!(subjects(&fixture.log_on()), ["ann's"]);
}

fn deleting_takes_one_and_only_that(fixture: &dyn Fixture) {
    for subject in ["a", "b", "c"] {
        fixture.deliver(&simple(subject));
        std::thread::sleep(Duration::from_millis(15));
    }
    let session = fixture.log_on();
    let messages = session.inbox().messages().unwrap();
    let second = messages.get(1).unwrap();
    second.clone().delete().unwrap();
    assert_eq!(subjects(&session), ["a", "c"]);
    assert_eq!(second.delete().unwrap_err().kind(), ErrorKind::MessageGone);
    // Each as it is handled, as programs do.
    for message in messages.iter().filter(|message| message.subject() != "b") {
        assert!(message.text().unwrap().starts_with("Hello."));
        message.delete().unwrap();
    }
    assert!(subjects(&session).is_empty());
    assert!(subjects(&fixture.log_on()).is_empty());
}

fn all_of_a_snapshot_are_deleted_together(fixture: &dyn Fixture) {
    for number in 0..7 {
        fixture.deliver(&simple(&number.to_string()));
    }
    let session = fixture.log_on();
    let mut messages = session.inbox().messages().unwrap();
    fixture.deliver(&simple("later"));
    messages.get(3).unwrap().delete().unwrap();
    assert_eq!(messages.delete_all().unwrap(), 6);
    assert_eq!(subjects(&session), ["later"]);
    assert_eq!(messages.delete_all().unwrap(), 0);
}

fn a_snapshot_stays_as_it_was(fixture: &dyn Fixture) {
    for subject in ["a", "b"] {
        fixture.deliver(&simple(subject));
        std::thread::sleep(Duration::from_millis(15));
    }
    let session = fixture.log_on();
    let mut messages = session.inbox().messages().unwrap();
    fixture.deliver(&simple("c"));
    session
        .inbox()
        .messages()
        .unwrap()
        .get(0)
        .unwrap()
        .delete()
        .unwrap();
    assert_eq!(messages.len(), 2);
    assert_eq!(messages.get_last().unwrap().subject(), "b");
    let gone = messages.get_first().unwrap();
    let error = gone.text().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MessageGone, "{error}");
    assert_eq!(subjects(&session), ["b", "c"]);
}

fn streams_go_both_ways(fixture: &dyn Fixture) {
    for number in 0..5 {
        fixture.deliver(&simple(&number.to_string()));
        std::thread::sleep(Duration::from_millis(15));
    }
    let inbox = fixture.log_on().inbox();
    let subject = |message: cdonts::Result<Message>| message.unwrap().subject().to_owned();
    let forward: Vec<_> = inbox.stream().unwrap().map(subject).collect();
    assert_eq!(forward, ["0", "1", "2", "3", "4"]);
    let newest: Vec<_> = inbox.newest_first().unwrap().take(2).map(subject).collect();
    assert_eq!(newest, ["4", "3"]);
}

fn one_can_wait_for_a_message(fixture: &dyn Fixture) {
    let session = fixture.log_on();
    let inbox = session.inbox();
    let wanted = |message: &Message| message.subject() == "wanted";
    let error = inbox
        .wait_for_message(wanted, Duration::from_millis(30))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    fixture.deliver(&simple("other"));
    fixture.deliver(&simple("wanted"));
    let found = inbox
        .wait_for_message(wanted, Duration::from_secs(20))
        .unwrap();
    assert!(found.text().unwrap().starts_with("Hello."));
}

fn messages_outlive_their_session(fixture: &dyn Fixture) {
    fixture.deliver(&simple("outlives"));
    let session = fixture.log_on();
    let message = only(&session);
    session.logoff();
    let read = std::thread::spawn(move || {
        let text = message.text().unwrap();
        message.delete().unwrap();
        text
    });
    assert!(read.join().unwrap().starts_with("Hello."));
    assert!(subjects(&fixture.log_on()).is_empty());
}

fn blind_recipients_are_not_shown(fixture: &dyn Fixture) {
    fixture
        .deliver("From: a@example.net\r\nBcc: secret@example.org\r\nSubject: blind\r\n\r\nx\r\n");
    let message = only(&fixture.log_on());
    assert!(message.headers().unwrap().get("Bcc").is_none());
    assert!(!source(&message).contains("secret"));
    assert!(!format!("{message:?}").contains("secret"));
}

fn many_threads_read_at_once(fixture: &dyn Fixture) {
    for number in 0..10 {
        fixture.deliver(&simple(&number.to_string()));
    }
    let messages = fixture.log_on().inbox().messages().unwrap();
    std::thread::scope(|scope| {
        for message in &messages {
            scope.spawn(move || assert!(message.text().unwrap().starts_with("Hello.")));
        }
    });
}

fn a_log_off_loses_nothing(fixture: &dyn Fixture) {
    fixture.deliver(&simple("kept"));
    let session = fixture.log_on();
    assert_eq!(subjects(&session), ["kept"]);
    session.logoff();
    assert_eq!(subjects(&fixture.log_on()), ["kept"]);
}

fn arrives(session: &Session, subject: &str) -> Message {
    let wanted = |message: &Message| message.subject() == subject;
    let found = session
        .inbox()
        .wait_for_message(wanted, Duration::from_secs(30));
    found.unwrap()
}

/// What is sent by a program that is logged on, whatever way out its server has, comes into the
/// Inboxes of ann and bob.
pub(crate) fn sends(fixture: &dyn Fixture) {
    let (ann, bob) = (fixture.log_on(), fixture.log_on_other());
    for session in [&ann, &bob] {
        session.inbox().messages().unwrap().delete_all().unwrap();
    }
    let mut draft = ann
        .outbox()
        .messages()
        .add("By draft: Grüße", "Hallöchen.\r\n.\r\nEnde.\r\n");
    draft
        .recipients_mut()
        .add("Ann", "ann@example.com", cdonts::RecipientType::To);
    draft
        .recipients_mut()
        .add("", "bob@example.com", cdonts::RecipientType::Bcc);
    let octets: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    draft
        .attachments_mut()
        .add_bytes("data.bin", octets.clone());
    let sent = draft.send().unwrap();
    for session in [&ann, &bob] {
        let message = arrives(session, "By draft: Grüße");
        assert_eq!(
            message.text().unwrap().replace("\r\n", "\n"),
            "Hallöchen.\n.\nEnde.\n"
        );
        assert_eq!(
            message
                .attachments()
                .unwrap()
                .get(0)
                .unwrap()
                .read()
                .unwrap(),
            octets
        );
        assert_eq!(message.sender().address(), "ann@example.com");
        let id = message
            .headers()
            .unwrap()
            .get("Message-ID")
            .unwrap()
            .value()
            .to_owned();
        assert_eq!(id, sent.message_id());
        assert!(
            !source(&message).contains("bob@example.com"),
            "a blind recipient is shown"
        );
        assert_eq!(message.delivered_to(), session.address());
    }
    lettre_sends(&ann, &bob);
    many_are_sent(&ann, &bob);
    // Nothing half done: what cannot go is refused as a whole and given back.
    let mut draft = ann.outbox().messages().add("Never", "x");
    draft
        .recipients_mut()
        .add("", "bob@example.com", cdonts::RecipientType::To);
    draft
        .recipients_mut()
        .add("", "no address", cdonts::RecipientType::Cc);
    let error = draft.send().unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::InvalidAddress, Some("Cc"))
    );
    assert_eq!(error.into_draft().subject(), "Never");
}

fn lettre_sends(ann: &Session, bob: &Session) {
    // What lettre has composed.
    let composed = lettre::Message::builder()
        .from("Ann <ann@example.com>".parse().unwrap())
        .to("Bob <bob@example.com>".parse().unwrap())
        .subject("By lettre")
        .body("From lettre.".to_owned())
        .unwrap();
    let recipients = composed.envelope().to().iter().map(ToString::to_string);
    let envelope = cdonts::Envelope::new("ann@example.com", recipients);
    ann.outbox()
        .send_raw(&envelope, composed.formatted())
        .unwrap();
    let message = arrives(bob, "By lettre");
    assert_eq!(message.text().unwrap().trim(), "From lettre.");
}

fn many_are_sent(ann: &Session, bob: &Session) {
    // Many together, and an answer to one of them.
    let drafts = (0..5).map(|number| {
        let mut draft = ann
            .outbox()
            .messages()
            .add(format!("{number} of many"), "Many.");
        draft
            .recipients_mut()
            .add("", "bob@example.com", cdonts::RecipientType::To);
        draft
    });
    for result in ann.outbox().send_all(drafts) {
        result.unwrap();
    }
    for number in 0..5 {
        let message = arrives(bob, &format!("{number} of many"));
        if number == 0 {
            message.reply(bob).unwrap().send().unwrap();
        }
    }
    assert_eq!(
        arrives(ann, "Re: 0 of many").sender().address(),
        "bob@example.com"
    );
}
