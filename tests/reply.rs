//! Answers: by people, onwards, and by programs that must not answer programs.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use cdonts::{
    AutoSubmitted, Draft, ErrorKind, MailServer, MessageFile, NewMail, RecipientType, Session,
};
use support::{Root, iis_file, messages, only, session, simple, source};

fn jane(root: &Root) -> (MailServer, Session) {
    let server = root.delivering();
    let jane = Session::logon_smtp(&server, "Jane", "jane@example.com").unwrap();
    (server, jane)
}

fn to_and_cc(draft: &Draft) -> Vec<String> {
    let shown = |kind| {
        draft
            .recipients()
            .of_type(kind)
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    vec![shown(RecipientType::To), shown(RecipientType::Cc)]
}

const QUESTION: &str = "Date: Tue, 24 Nov 2026 09:00:00 +0000\r\nFrom: Joe <joe@example.com>\r\n\
    Reply-To: \"Joe, at home\" <joe@example.net>\r\nTo: Jane <JANE@example.com>, a@example.com\r\n\
    Cc: b@example.com, joe@example.net\r\nSubject: Lunch?\r\nMessage-ID: <3@x>\r\n\
    References: <1@x>\r\n <2@x>\r\n\r\nAt noon?\r\n> earlier\r\n";

#[test]
fn a_reply_goes_where_the_sender_wants_and_continues_the_conversation() {
    let root = Root::new();
    root.write("Drop/a.eml", iis_file(&["jane@example.com"], QUESTION));
    let (_server, jane) = jane(&root);
    let question = jane.inbox().messages().unwrap().get_first().unwrap();
    assert_eq!(question.message_id().unwrap().as_deref(), Some("<3@x>"));
    assert_eq!(question.references().unwrap(), ["<1@x>", "<2@x>"]);
    let reply = question.reply(&jane).unwrap();
    assert_eq!(reply.subject(), "Re: Lunch?");
    assert_eq!(to_and_cc(&reply), ["Joe, at home <joe@example.net>", ""]);
    assert_eq!(
        reply.text(),
        "On Tue, 24 Nov 2026 09:00:00 +0000, Joe <joe@example.com> wrote:\n> At noon?\n>> earlier\n"
    );
    let all = question.reply_all(&jane).unwrap();
    assert_eq!(
        to_and_cc(&all),
        [
            "Joe, at home <joe@example.net>",
            "a@example.com, b@example.com"
        ]
    );
    reply.send().unwrap();
    let sent = root.only_file("Pickup");
    assert!(
        sent.contains("In-Reply-To: <3@x>\r\nReferences: <1@x>\r\n <2@x>\r\n <3@x>\r\n"),
        "{sent}"
    );
    root.write(
        "Drop/b.eml",
        iis_file(
            &["again@example.com"],
            "From: a@b.c\r\nSubject: RE: x\r\nIn-Reply-To: <9@x>\r\n\r\n",
        ),
    );
    let again = only(&root.delivering(), "again@example.com")
        .reply(&jane)
        .unwrap();
    assert_eq!(again.subject(), "RE: x");
}

#[test]
fn a_long_conversation_keeps_its_beginning_and_its_end() {
    let root = Root::new();
    let ids: String = (0..500).map(|n| format!("<{n}@x>\r\n ")).collect();
    let below = format!(
        "From: joe@example.net\r\nMessage-ID: <last@x>\r\nReferences: {ids}\r\nSubject: s\r\n\r\n"
    );
    root.write("Drop/a.eml", iis_file(&["jane@example.com"], &below));
    let (_server, jane) = jane(&root);
    let message = jane.inbox().messages().unwrap().get_first().unwrap();
    assert_eq!(message.references().unwrap().len(), 500);
    message.reply(&jane).unwrap().send().unwrap();
    let sent = root.only_file("Pickup");
    let references = sent
        .split_once("References: ")
        .unwrap()
        .1
        .split_once("\r\nMIME")
        .unwrap()
        .0;
    assert_eq!(references.matches('<').count(), 20);
    assert!(references.starts_with("<0@x>") && references.ends_with("<499@x>\r\n <last@x>"));
}

#[test]
fn a_forward_carries_the_message_as_it_is() {
    let root = Root::new();
    root.write("Drop/a.eml", iis_file(&["jane@example.com"], QUESTION));
    let (server, jane) = jane(&root);
    let mut forward = jane
        .inbox()
        .messages()
        .unwrap()
        .get(0)
        .unwrap()
        .forward(&jane)
        .unwrap();
    assert_eq!(
        (forward.subject(), forward.recipients().len()),
        ("Fwd: Lunch?", 0)
    );
    forward
        .recipients_mut()
        .add("", "c@example.com", RecipientType::To);
    forward.send().unwrap();
    let inner = only(&server, "c@example.com")
        .attachments()
        .unwrap()
        .get(0)
        .unwrap()
        .source()
        .unwrap()
        .unwrap();
    assert_eq!((inner.subject(), inner.sender().name()), ("Lunch?", "Joe"));
}

#[test]
fn no_program_answers_a_program() {
    let root = Root::new();
    let automatic = [
        ("x-sender: <>\r\n", ""),
        ("x-sender: \r\n", ""),
        ("x-sender: a@b.c\r\n", "Auto-Submitted: auto-generated\r\n"),
        (
            "x-sender: a@b.c\r\n",
            "auto-submitted: Auto-Replied (vacation)\r\n",
        ),
        ("x-sender: a@b.c\r\n", "Precedence: bulk\r\n"),
        ("x-sender: a@b.c\r\n", "List-Id: <l.example.com>\r\n"),
        ("x-sender: a@b.c\r\n", "From: MAILER-DAEMON@example.com\r\n"),
    ];
    for (number, (sender, fields)) in automatic.iter().enumerate() {
        let file = format!(
            "{sender}x-receiver: jane@example.com\r\nReceived: x\r\n{fields}From: joe@example.net\r\n\r\n"
        );
        root.write(&format!("Drop/{number}.eml"), file);
    }
    root.write(
        "Drop/joe.eml",
        simple(&["joe@example.com"], "by a person")
            .replace("\r\n\r\n", "\r\nAuto-Submitted: no\r\n\r\n"),
    );
    let (server, jane) = jane(&root);
    let all = jane.inbox().messages().unwrap();
    assert_eq!(all.len(), automatic.len());
    for message in all {
        assert!(message.is_automatic().unwrap(), "{}", source(&message));
        assert_eq!(
            message.auto_reply(&jane).unwrap_err().kind(),
            ErrorKind::NotSupported
        );
    }
    assert!(!only(&server, "joe@example.com").is_automatic().unwrap());
}

#[test]
fn a_message_that_was_stored_is_answered_in_its_conversation() {
    let root = Root::new();
    let (server, jane) = jane(&root);
    let stored = "From: Joe <joe@example.com>\nReply-To: desk@example.com\nSubject: Tea?\n\
        Message-ID: <2@example.com>\nReferences: <1@example.com>\n\
        Date: Tue, 24 Nov 2026 10:00:00 +0000\n\nAny?\n";
    let stored = MessageFile::from_bytes(stored).unwrap();
    let answer = stored.reply(&jane).unwrap();
    assert_eq!(answer.subject(), "Re: Tea?");
    assert_eq!(
        answer.text(),
        "On Tue, 24 Nov 2026 10:00:00 +0000, Joe <joe@example.com> wrote:\n> Any?\n"
    );
    answer.send().unwrap();
    let answer = only(&server, "desk@example.com");
    let headers = answer.headers().unwrap();
    assert_eq!(
        headers.get("In-Reply-To").unwrap().value(),
        "<2@example.com>"
    );
    assert_eq!(
        answer.references().unwrap(),
        ["<1@example.com>", "<2@example.com>"]
    );
    let undated = MessageFile::from_bytes("From: joe@example.com\n\nAny?\n").unwrap();
    let answer = undated.reply(&jane).unwrap();
    assert_eq!(answer.text(), "joe@example.com wrote:\n> Any?\n");
}

#[test]
fn a_program_says_in_many_ways_that_it_is_one() {
    let is_automatic = |field: &str| {
        let message = format!("From: a@example.com\n{field}\n\ntext\n");
        MessageFile::from_bytes(message)
            .unwrap()
            .is_automatic()
            .unwrap()
    };
    for field in [
        "Auto-Submitted: auto-generated",
        "Precedence: bulk",
        "Precedence: auto_reply",
        "X-Auto-Response-Suppress: All",
        "X-Auto-Response-Suppress: OOF, AutoReply",
        "X-Autoreply: yes",
        "X-Autorespond: away",
        "List-Id: <l.example.com>",
        "List-Unsubscribe: <mailto:l@example.com>",
    ] {
        assert!(is_automatic(field), "{field}");
    }
    let daemon = MessageFile::from_bytes("From: Mailer-Daemon@example.com\n\n").unwrap();
    assert!(daemon.is_automatic().unwrap());
    for field in [
        "Auto-Submitted: no",
        "Precedence: first-class",
        "X-Auto-Response-Suppress: None",
        "X-Mailer: x",
    ] {
        assert!(!is_automatic(field), "{field}");
    }
}

#[test]
fn an_automatic_answer_is_one_message_and_is_never_answered() {
    let root = Root::new();
    let below = "From: Joe <other@example.net>\r\nMessage-ID: <1@x>\r\nSubject: Help\r\n\r\n";
    root.write(
        "Drop/a.eml",
        iis_file(&["jane@example.com"], below).replace("sam@example.net", "joe@example.com"),
    );
    let (server, jane) = jane(&root);
    let question = jane.inbox().messages().unwrap().get(0).unwrap();
    let send = || {
        let mut answer = question.auto_reply(&jane).unwrap();
        answer.set_text("Thank you.");
        answer.send().unwrap().message_id().to_owned()
    };
    // Two programs that answer one message send the same one.
    assert_eq!(send(), send());
    for answer in messages(&server, "joe@example.com") {
        assert_eq!(answer.subject(), "Auto: Help");
        assert_eq!(answer.reverse_path(), "");
        assert!(answer.is_automatic().unwrap());
        assert!(
            answer
                .auto_reply(&session(&server, "joe@example.com"))
                .is_err()
        );
        assert_eq!(
            answer
                .headers()
                .unwrap()
                .get("In-Reply-To")
                .unwrap()
                .value(),
            "<1@x>"
        );
    }
}

#[test]
fn typed_fields_are_written_as_their_rfcs_want() {
    let root = Root::new();
    let (_server, jane) = jane(&root);
    let mut draft = jane.outbox().messages().add("s", "t");
    draft
        .recipients_mut()
        .add("", "far@example.net", RecipientType::To);
    draft
        .set_auto_submitted(AutoSubmitted::Generated)
        .request_read_receipt(true);
    draft
        .set_list_unsubscribe_one_click("https://example.com/u?1")
        .set_sender_field("Boss", "boss@example.com");
    draft.send().unwrap();
    let sent = root.only_file("Pickup");
    for field in [
        "X-Sender: jane@example.com\r\n",
        "\r\nSender: Boss <boss@example.com>\r\n",
        "\r\nAuto-Submitted: auto-generated\r\n",
        "\r\nList-Unsubscribe: <https://example.com/u?1>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
        "\r\nDisposition-Notification-To: jane@example.com\r\n",
    ] {
        assert!(sent.contains(field), "{field} {sent}");
    }
    for (url, one_click) in [
        ("http://x", false),
        ("mailto:a@b.c", true),
        ("https://x y", false),
        ("https://x>\r\nX: y", true),
    ] {
        let draft = || {
            NewMail::new(jane.server())
                .from("a@example.com")
                .to("b@example.com")
                .into_draft()
        };
        let mut draft = draft();
        if one_click {
            draft.set_list_unsubscribe_one_click(url);
        } else {
            draft.set_list_unsubscribe(url);
        }
        let error = draft.send().unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::InvalidValue, Some("List-Unsubscribe")),
            "{url}"
        );
    }
}
