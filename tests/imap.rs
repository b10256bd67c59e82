//! IMAP servers that break off, lie and leave things out: nothing is lost, nothing is believed.
#![cfg(feature = "imap")]
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

#[cfg(target_os = "linux")]
#[path = "support/certificate.rs"]
mod certificate;
#[cfg(target_os = "linux")]
#[path = "support/dovecot.rs"]
mod dovecot;
#[path = "support/script.rs"]
mod script;

use std::time::Duration;

use cdonts::{
    CdoCode, Credentials, Cursor, ErrorKind, Imap, MailServer, Result, Roots, Security, Session,
};
use script::{Script, Step, answer, hear, say};

const WHO: &str = "ann@example.com";
const SECRET: &str = "hunter2";

fn imap(script: &Script) -> Imap {
    Imap::plain("127.0.0.1")
        .port(script.port)
        .timeout(Duration::from_secs(5))
}

fn log_on(imap: Imap) -> Result<Session> {
    let server = MailServer::builder().inbox(imap).open().unwrap();
    Session::logon(&server, Credentials::password(WHO, SECRET))
}

fn greeting(capabilities: &str) -> Step {
    say(&format!(
        "* OK [CAPABILITY IMAP4rev1 {capabilities}] hello\r\n"
    ))
}

/// Up to the log-on, with these capabilities.
fn begin(capabilities: &str) -> Vec<Step> {
    let after = format!("{{tag}} OK [CAPABILITY IMAP4rev1 {capabilities}] in\r\n");
    vec![
        greeting("AUTH=PLAIN"),
        answer("AUTHENTICATE PLAIN", "+ \r\n"),
        answer("", &after),
    ]
}

fn select(exists: u32, validity: u32) -> Step {
    answer(
        "SELECT INBOX",
        &format!(
            "* {exists} EXISTS\r\n* OK [UIDVALIDITY {validity}] x\r\n{{tag}} OK [READ-WRITE] x\r\n"
        ),
    )
}

fn examine(exists: u32, validity: u32) -> Step {
    let Step::Answer(_, said) = select(exists, validity) else {
        unreachable!("it is an answer");
    };
    Step::Answer("EXAMINE INBOX", said)
}

fn search(uids: &str) -> Step {
    answer("UID SEARCH", &format!("* SEARCH{uids}\r\n{{tag}} OK x\r\n"))
}

const LETTER: &str = "From: a@example.net\r\nSubject: one\r\n\r\nHello.\r\n";

fn fields(number: u32, uid: u32) -> String {
    let text = "From: a@example.net\r\nSubject: one\r\n\r\n";
    let size = text.len();
    format!(
        "* {number} FETCH (UID {uid} BODY[HEADER.FIELDS (FROM \"Subject\")] {{{size}}}\r\n{text})\r\n"
    )
}

fn size(number: u32, uid: u32) -> String {
    format!(
        "* {number} FETCH (UID {uid} RFC822.SIZE {})\r\n",
        LETTER.len()
    )
}

/// What a listing shows of messages.
fn heads(uids: &[u32]) -> Vec<Step> {
    let all = |of: fn(u32, u32) -> String| -> String {
        let rows = uids.iter().map(|&uid| of(uid, uid));
        rows.collect::<String>() + "{tag} OK x\r\n"
    };
    vec![
        answer("UID FETCH", &all(fields)),
        answer("UID FETCH", &all(size)),
    ]
}

/// A whole message.
fn body(uid: u32) -> Step {
    let size = LETTER.len();
    answer(
        "UID FETCH",
        &format!("* 1 FETCH (UID {uid} BODY[]<0> {{{size}}}\r\n{LETTER})\r\n{{tag}} OK x\r\n"),
    )
}

/// A session that lists one message.
fn lists(capabilities: &str, more: Vec<Step>) -> Vec<Step> {
    let mut steps = begin(capabilities);
    steps.extend([examine(1, 3), search(" 7")]);
    steps.extend(heads(&[7]));
    steps.extend(more);
    steps
}

fn only(session: &Session) -> cdonts::Message {
    session.inbox().messages().unwrap().get(0).unwrap()
}

#[test]
fn a_server_that_is_none_gets_no_credentials() {
    for greeting in [
        "+OK POP3\r\n",
        "* BYE busy\r\n",
        "* PREAUTH you are in\r\n",
        "a1 OK early\r\n",
        "",
    ] {
        let script = Script::new(vec![vec![say(greeting)]]);
        let error = log_on(imap(&script)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{greeting}: {error}");
        assert!(script.finish().is_empty());
    }
}

#[test]
fn a_refused_log_on_is_told_as_one() {
    for (said, kind) in [
        ("NO [AUTHENTICATIONFAILED] no", ErrorKind::LogonFailed),
        ("NO no", ErrorKind::LogonFailed),
        ("NO [UNAVAILABLE] later", ErrorKind::Network),
        ("BAD what", ErrorKind::Network),
    ] {
        let script = Script::new(vec![vec![
            greeting("AUTH=PLAIN"),
            answer("AUTHENTICATE PLAIN", "+ \r\n"),
            answer("", &format!("{{tag}} {said}\r\n")),
        ]]);
        let error = log_on(imap(&script)).unwrap_err();
        assert_eq!(error.kind(), kind, "{said}: {error}");
        assert!(!error.to_string().contains(SECRET));
        script.finish();
    }
}

#[test]
fn what_a_server_says_in_its_own_language_is_understood() {
    let script = Script::new(vec![vec![
        say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] Müller grüßt\r\n"),
        answer(
            "AUTHENTICATE PLAIN",
            "* NO Wartung um fünf\r\n{tag} OK [CAPABILITY IMAP4rev1] für Sie geöffnet\r\n",
        ),
        answer("LIST", "* LIST () \"/\" \"\"\r\n{tag} OK über\r\n"),
        answer("EXAMINE", "{tag} NO [NONEXISTENT] Grüße gibt es nicht\r\n"),
        hear("z LOGOUT"),
    ]]);
    let session = log_on(imap(&script).folder("Grüße")).unwrap();
    let error = session.inbox().messages().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PathNotFound, "{error}");
    assert!(
        error.to_string().contains("no folder `Gr&APwA3w-e`"),
        "{error}"
    );
    drop(session);
    script.finish();
}

#[test]
fn a_token_goes_by_xoauth2_and_its_refusal_ends() {
    let script = Script::new(vec![vec![
        greeting("AUTH=XOAUTH2"),
        answer("AUTHENTICATE XOAUTH2", "+ \r\n"),
        answer("dXNlcj1", "+ eyJzdGF0dXMiOiI0MDAifQ==\r\n"),
        answer("", "{tag} NO [AUTHENTICATIONFAILED] refused\r\n"),
    ]]);
    let server = MailServer::builder().inbox(imap(&script)).open().unwrap();
    let error = Session::logon(&server, Credentials::token(WHO, SECRET)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LogonFailed);
    let heard = script.finish();
    assert_eq!((heard.len(), heard[2].as_str()), (3, ""));
}

#[test]
fn what_a_server_does_not_take_is_not_tried() {
    let token = || Credentials::token(WHO, SECRET);
    let password = || Credentials::password(WHO, SECRET);
    let ok = "{tag} OK x\r\n";
    for (steps, who, kind) in [
        (
            vec![greeting("AUTH=PLAIN")],
            token(),
            ErrorKind::LogonFailed,
        ),
        (
            vec![greeting("LOGINDISABLED")],
            password(),
            ErrorKind::LogonFailed,
        ),
        // What it can do, it does not say, or refuses to.
        (
            vec![say("* OK x\r\n"), answer("CAPABILITY", "{tag} NO no\r\n")],
            password(),
            ErrorKind::Refused,
        ),
        (
            vec![say("* OK x\r\n"), hear("CAPABILITY")],
            password(),
            ErrorKind::Network,
        ),
        (
            vec![greeting("X"), hear("LOGIN")],
            password(),
            ErrorKind::Network,
        ),
        (
            vec![greeting("X"), answer("LOGIN", ok), hear("CAPABILITY")],
            password(),
            ErrorKind::Network,
        ),
        (
            vec![
                greeting("AUTH=PLAIN"),
                answer("AUTHENTICATE", "+ \r\n"),
                answer("", ok),
                hear("CAPABILITY"),
            ],
            password(),
            ErrorKind::Network,
        ),
        (
            vec![
                greeting("AUTH=PLAIN"),
                answer(
                    "AUTHENTICATE",
                    "{tag} NO [PRIVACYREQUIRED] not in the clear\r\n",
                ),
            ],
            password(),
            ErrorKind::NotPrivate,
        ),
        (
            vec![
                greeting("AUTH=PLAIN"),
                answer("AUTHENTICATE", "* BYE no\r\n"),
            ],
            password(),
            ErrorKind::Network,
        ),
        (
            vec![
                greeting("AUTH=PLAIN"),
                answer("AUTHENTICATE", "x9 OK whose\r\n"),
            ],
            password(),
            ErrorKind::Network,
        ),
    ] {
        let context = format!("{steps:?}");
        let script = Script::new(vec![steps]);
        let server = MailServer::builder().inbox(imap(&script)).open().unwrap();
        let error = Session::logon(&server, who).unwrap_err();
        assert_eq!(error.kind(), kind, "{context}: {error}");
        assert!(!error.to_string().contains(SECRET));
        script.finish();
    }
}

#[test]
fn messages_that_go_faster_than_they_are_listed_are_no_list() {
    let moved = || {
        vec![
            examine(60_000, 3),
            answer(
                "UID SEARCH 1:50000",
                "* 1 EXPUNGE\r\n* SEARCH 5\r\n{tag} OK x\r\n",
            ),
        ]
    };
    let mut steps = begin("X");
    (0..10).for_each(|_| steps.extend(moved()));
    // And over another connection, in case it was this one.
    let script = Script::new(vec![steps.clone(), steps]);
    let session = log_on(imap(&script)).unwrap();
    let error = session.inbox().messages().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("faster"), "{error}");
    script.finish();
}

#[test]
fn the_newest_are_listed_with_all_when_some_go_meanwhile() {
    let mut steps = begin("X");
    steps.extend([
        examine(2, 3),
        answer("UID SEARCH", "* 1 EXPUNGE\r\n* SEARCH 7\r\n{tag} OK x\r\n"),
        examine(1, 3),
        search(" 7"),
    ]);
    steps.extend(heads(&[7]));
    steps.push(hear("LOGOUT"));
    let script = Script::new(vec![steps]);
    let session = log_on(imap(&script)).unwrap();
    let newest = session.inbox().newest_first().unwrap();
    assert_eq!(newest.map(Result::unwrap).count(), 1);
    drop(session);
    script.finish();
}

#[test]
fn what_cannot_be_written_down_is_not_deleted() {
    let state = tempfile::tempdir().unwrap();
    let script = Script::new(vec![lists("UIDPLUS", vec![hear("LOGOUT")])]);
    let server = MailServer::builder()
        .inbox(imap(&script))
        .state_dir(state.path().join("State"))
        .open()
        .unwrap();
    let session = Session::logon(&server, Credentials::password(WHO, SECRET)).unwrap();
    let message = only(&session);
    std::fs::create_dir_all(state.path().join("State")).unwrap();
    std::fs::write(state.path().join("State/handled"), "in the way").unwrap();
    let error = message.delete().unwrap_err();
    assert!(error.to_string().contains("handled"), "{error}");
    drop((session, server));
    assert!(!script.finish().iter().any(|line| line.contains("STORE")));
}

#[test]
fn what_was_not_asked_is_no_answer() {
    for said in [
        "+ go on\r\n{tag} OK x\r\n",
        "z9 OK of whom\r\n",
        "* BYE enough\r\n",
    ] {
        let script = Script::new(vec![[begin("X"), vec![answer("EXAMINE", said)]].concat()]);
        let session = log_on(imap(&script)).unwrap();
        let error = session.inbox().messages().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{said}: {error}");
        drop(session);
        script.finish();
    }
}

#[test]
fn names_with_quotes_go_as_they_are() {
    let script = Script::new(vec![vec![
        greeting("X"),
        answer(r#"LOGIN "a\"nn\\" "p w""#, "{tag} OK in\r\n"),
        answer("CAPABILITY", "* CAPABILITY IMAP4rev1\r\n{tag} OK x\r\n"),
    ]]);
    let server = MailServer::builder().inbox(imap(&script)).open().unwrap();
    let who = Credentials::password(r#"a"nn\"#, "p w").address(WHO);
    Session::logon(&server, who).unwrap();
    script.finish();
    for (user, password) in [("a\r\nb", "x"), ("a", "x\r\ny"), ("ü", "x")] {
        let script = Script::new(vec![vec![greeting("X")]]);
        let server = MailServer::builder().inbox(imap(&script)).open().unwrap();
        let who = Credentials::password(user, password).address(WHO);
        let error = Session::logon(&server, who).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidValue);
        assert!(script.finish().is_empty());
    }
}

#[test]
fn without_tls_where_it_is_demanded_nothing_is_told() {
    for (steps, kind) in [
        (
            vec![say("* OK x\r\n"), answer("STARTTLS", "t NO no\r\n")],
            ErrorKind::NotPrivate,
        ),
        (
            vec![
                say("* OK x\r\n"),
                answer("STARTTLS", "* OK a moment\r\nt BAD no\r\n"),
            ],
            ErrorKind::NotPrivate,
        ),
        (vec![say("* PREAUTH x\r\n")], ErrorKind::Network),
        (
            vec![
                say("* OK x\r\n"),
                answer("STARTTLS", "t OK go\r\n* OK injected\r\n"),
            ],
            ErrorKind::Network,
        ),
        (
            vec![
                say("* OK x\r\n"),
                answer("STARTTLS", "t OK go\r\n"),
                Step::Stall,
            ],
            ErrorKind::Network,
        ),
    ] {
        let script = Script::new(vec![steps]);
        let imap = Imap::new("localhost").security(Security::StartTls);
        let imap = imap.port(script.port).timeout(Duration::from_millis(500));
        let error = log_on(imap).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let heard = script.finish();
        assert!(
            heard.iter().all(|line| line.contains("STARTTLS")),
            "{heard:?}"
        );
    }
}

#[test]
fn what_cannot_be_known_is_no_empty_inbox() {
    for steps in [
        // Gone, a refusal, no UIDVALIDITY, an answer that is none, one to another command.
        vec![hear("EXAMINE")],
        vec![answer("EXAMINE", "{tag} NO no\r\n")],
        vec![answer("EXAMINE", "* 1 EXISTS\r\n{tag} OK x\r\n")],
        vec![answer(
            "EXAMINE",
            "* OK [UIDVALIDITY 1] x\r\n{tag} OK x\r\n",
        )],
        vec![examine(1, 3), hear("UID SEARCH")],
        vec![examine(1, 3), answer("UID SEARCH", "{tag} NO no\r\n")],
        vec![
            examine(1, 3),
            answer("UID SEARCH", "* SEARCH 4294967296\r\n{tag} OK x\r\n"),
        ],
        vec![examine(1, 3), answer("UID SEARCH", "zz OK x\r\n")],
        vec![examine(1, 3), answer("UID SEARCH", "{tag} WHAT x\r\n")],
        vec![examine(1, 3), answer("UID SEARCH", "* BYE x\r\n")],
    ] {
        let script = Script::new(vec![
            [begin("UIDPLUS"), steps.clone()].concat(),
            begin("X"),
            begin("X"),
        ]);
        let session = log_on(imap(&script)).unwrap();
        let error = session.inbox().messages().unwrap_err();
        let kinds = [ErrorKind::Network, ErrorKind::Refused];
        assert!(kinds.contains(&error.kind()), "{steps:?}: {error}");
    }
}

/// One that ends, but is no answer of a server by any measure.
#[test]
fn an_answer_that_is_too_long_is_not_taken() {
    let long = format!("* SEARCH {}\r\n{{tag}} OK x\r\n", "7 ".repeat(1 << 20));
    let session = || [begin("X"), vec![examine(1, 3), answer("UID SEARCH", &long)]].concat();
    let script = Script::new(vec![session(), session()]);
    let error = log_on(imap(&script))
        .unwrap()
        .inbox()
        .messages()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("too long"), "{error}");
    script.finish();
}

#[test]
fn an_endless_answer_is_not_taken() {
    let script = Script::new(vec![
        [
            begin("X"),
            vec![
                examine(1, 3),
                search(" 7"),
                answer(
                    "UID FETCH",
                    "* 1 FETCH (UID 7 BODY[HEADER.FIELDS (FROM)] {536000000}\r\nabc",
                ),
                Step::Stall,
            ],
        ]
        .concat(),
        begin("X"),
    ]);
    let imap = imap(&script).timeout(Duration::from_millis(300));
    let session = log_on(imap).unwrap();
    let mut stream = session.inbox().stream().unwrap();
    assert_eq!(
        stream.next().unwrap().unwrap_err().kind(),
        ErrorKind::Network
    );
}

#[test]
fn an_answer_that_cannot_be_understood_costs_no_other_message() {
    let bad = "* 2 FETCH (UID 8 RFC822.SIZE nonsense)\r\n";
    let ok = "{tag} OK x\r\n";
    let alone = || {
        [
            answer("UID FETCH 8", ok),
            answer("UID FETCH 8", &format!("{bad}{ok}")),
        ]
    };
    let mut steps = begin("X");
    steps.extend([
        examine(3, 3),
        search(" 7 8 9"),
        answer("UID FETCH 7:9", &(fields(1, 7) + &fields(3, 9) + ok)),
        answer("UID FETCH 7:9", &(size(1, 7) + bad + &size(3, 9) + ok)),
    ]);
    // It is asked for alone: beside the others, each time it is given out, and when it is read.
    for _ in 0..4 {
        steps.extend(alone());
    }
    steps.push(hear("LOGOUT"));
    let script = Script::new(vec![steps]);
    let session = log_on(imap(&script)).unwrap();
    let messages = session.inbox().messages().unwrap();
    let subjects: Vec<String> = messages
        .iter()
        .map(|message| message.subject().to_owned())
        .collect();
    assert_eq!(subjects, ["one", "", "one"]);
    // It is not skipped, not taken for gone, and not deleted unseen.
    let second = messages.get(1).unwrap();
    let unread = (second.text().unwrap_err(), "cannot be understood");
    let unseen = (second.delete().unwrap_err(), "not deleted unseen");
    for (error, text) in [unread, unseen] {
        assert_eq!(error.kind(), ErrorKind::Network);
        assert!(error.to_string().contains(text), "{error}");
    }
    drop((session, messages));
    script.finish();
}

/// Beside a whole answer one of another message that cannot be understood costs nothing; and one of
/// another message is none about this one.
#[test]
fn an_answer_is_about_the_message_that_was_asked_for() {
    let bad = |uid: u32| format!("* 2 FETCH (UID {uid} RFC822.SIZE nonsense)\r\n");
    let ok = "{tag} OK x\r\n";
    let mut steps = begin("X");
    steps.extend([
        examine(1, 3),
        search(" 7"),
        answer("UID FETCH 7", &(fields(1, 7) + &bad(8) + ok)),
        answer("UID FETCH 7", &(size(1, 7) + &bad(8) + ok)),
        body(7),
        Step::Stall,
    ]);
    let script = Script::new(vec![steps]);
    let session = log_on(imap(&script)).unwrap();
    let message = only(&session);
    assert_eq!(
        (message.subject(), message.text().unwrap().as_str()),
        ("one", "Hello.\r\n")
    );

    // Where nothing is said about it the server is asked whether it is there.
    let is_there = |uids: &str| answer("UID SEARCH UID 7", &format!("* SEARCH{uids}\r\n{ok}"));
    for (about, asked, kind) in [
        (bad(7), vec![], ErrorKind::Network),
        (String::new(), vec![is_there(" 7")], ErrorKind::Network),
        (String::new(), vec![is_there("")], ErrorKind::MessageGone),
    ] {
        let mut steps = begin("X");
        steps.extend([examine(1, 3), search(" 7")]);
        // When it is shown, and when it is read.
        for _ in 0..2 {
            steps.push(answer("UID FETCH 7", &(fields(2, 9) + &about + ok)));
            steps.push(answer("UID FETCH 7", &(size(2, 9) + &about + ok)));
            steps.extend(asked.clone());
        }
        steps.push(hear("LOGOUT"));
        let script = Script::new(vec![steps]);
        let session = log_on(imap(&script)).unwrap();
        let message = only(&session);
        assert_eq!(message.subject(), "");
        let error = message.text().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let is_puzzled = error.to_string().contains("cannot be understood");
        assert_eq!(is_puzzled, kind == ErrorKind::Network, "{error}");
        drop((session, message));
        script.finish();
    }
}

#[test]
fn nothing_is_marked_and_nothing_of_others_is_removed() {
    for (capabilities, last) in [
        ("UIDPLUS", vec![answer("UID EXPUNGE 7", "{tag} OK x\r\n")]),
        // Without UIDPLUS it stays, marked.
        ("X", vec![]),
    ] {
        let script = Script::new(vec![lists(
            capabilities,
            [
                vec![
                    body(7),
                    select(1, 3),
                    search(" 7"),
                    answer("UID STORE 7 +FLAGS.SILENT (\\Deleted)", "{tag} OK x\r\n"),
                ],
                last,
                vec![hear("LOGOUT")],
            ]
            .concat(),
        )]);
        let session = log_on(imap(&script)).unwrap();
        let message = only(&session);
        assert_eq!(message.text().unwrap(), "Hello.\r\n");
        message.delete().unwrap();
        drop(session);
        for line in script.finish() {
            let rest = line.split_once(' ').map_or("", |(_, rest)| rest);
            assert!(
                !rest.starts_with("EXPUNGE") && !rest.starts_with("CLOSE"),
                "{line}"
            );
            assert!(
                !line.contains("\\Seen") && !line.contains(" BODY["),
                "{line}"
            );
        }
    }
}

#[test]
fn a_mailbox_that_was_made_anew_has_none_of_the_old_messages() {
    let script = Script::new(vec![
        lists("UIDPLUS", vec![select(1, 3), hear("UID SEARCH")]),
        [begin("UIDPLUS"), vec![select(1, 4), hear("LOGOUT")]].concat(),
    ]);
    let session = log_on(imap(&script)).unwrap();
    let message = only(&session);
    // The connection breaks; UID 7 is another message over the next.
    let error = message.delete().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MessageGone);
    drop(session);
    let heard = script.finish();
    assert!(
        !heard.iter().any(|line| line.contains("STORE")),
        "{heard:?}"
    );
}

#[test]
fn a_deletion_whose_answer_is_lost_is_done_again_over_another_connection() {
    let script = Script::new(vec![
        lists(
            "UIDPLUS",
            vec![select(1, 3), search(" 7"), hear("UID STORE 7")],
        ),
        [
            begin("UIDPLUS"),
            vec![
                select(1, 3),
                answer("UID STORE 7", "{tag} OK x\r\n"),
                answer("UID EXPUNGE 7", "{tag} OK x\r\n"),
                hear("LOGOUT"),
            ],
        ]
        .concat(),
    ]);
    let session = log_on(imap(&script)).unwrap();
    only(&session).delete().unwrap();
    drop(session);
    script.finish();

    // Nor the second time: it is not known, not shown, and deleted when it is seen again.
    let script = Script::new(vec![
        lists(
            "UIDPLUS",
            vec![select(1, 3), search(" 7"), hear("UID STORE 7")],
        ),
        [begin("UIDPLUS"), vec![select(1, 3), hear("UID STORE 7")]].concat(),
        [
            begin("UIDPLUS"),
            vec![
                examine(1, 3),
                search(" 7"),
                select(1, 3),
                answer("UID STORE 7", "{tag} OK x\r\n"),
                answer("UID EXPUNGE 7", "{tag} OK x\r\n"),
                hear("LOGOUT"),
            ],
        ]
        .concat(),
    ]);
    let session = log_on(imap(&script)).unwrap();
    assert_eq!(
        only(&session).delete().unwrap_err().kind(),
        ErrorKind::OutcomeUnknown
    );
    assert!(session.inbox().messages().unwrap().is_empty());
    drop(session);
    script.finish();
}

#[test]
fn a_deletion_that_is_refused_is_an_error_and_the_message_stays() {
    let script = Script::new(vec![lists(
        "UIDPLUS",
        vec![
            select(1, 3),
            search(" 7"),
            answer("UID STORE", "{tag} NO [READ-ONLY] no\r\n"),
            examine(1, 3),
            search(" 7"),
            hear("LOGOUT"),
        ],
    )]);
    let session = log_on(imap(&script)).unwrap();
    assert_eq!(
        only(&session).delete().unwrap_err().kind(),
        ErrorKind::NoAccess
    );
    assert_eq!(session.inbox().count().unwrap(), 1);
    drop(session);
    script.finish();
}

#[test]
fn a_refusal_leaves_no_doubt_and_hides_nothing() {
    let refused = || {
        vec![
            select(1, 3),
            search(" 7"),
            answer("UID STORE", "{tag} NO [OVERQUOTA] no\r\n"),
        ]
    };
    let script = Script::new(vec![lists(
        "UIDPLUS",
        [refused(), vec![examine(1, 3), search(" 7"), hear("LOGOUT")]].concat(),
    )]);
    let session = log_on(imap(&script)).unwrap();
    assert_eq!(
        only(&session).delete().unwrap_err().kind(),
        ErrorKind::Refused
    );
    assert_eq!(session.inbox().count().unwrap(), 1);
    drop(session);
    script.finish();
}

#[test]
fn where_nothing_can_be_deleted_nothing_is_told_as_deleted() {
    let ok = "* 1 EXISTS\r\n* OK [UIDVALIDITY 3] x\r\n";
    for end in [
        "{tag} OK [READ-ONLY] x\r\n",
        "* OK [PERMANENTFLAGS ()] x\r\n{tag} OK [READ-WRITE] x\r\n",
    ] {
        let selected = answer("SELECT", &format!("{ok}{end}"));
        let script = Script::new(vec![lists("UIDPLUS", vec![selected, hear("LOGOUT")])]);
        let session = log_on(imap(&script)).unwrap();
        assert_eq!(
            only(&session).delete().unwrap_err().kind(),
            ErrorKind::NoAccess
        );
        drop(session);
        script.finish();
    }
}

#[test]
fn what_the_server_cannot_read_is_no_empty_message() {
    for said in ["NIL", "{0}\r\n", "\"\""] {
        let said = format!("* 1 FETCH (UID 7 BODY[]<0> {said})\r\n{{tag}} OK x\r\n");
        let script = Script::new(vec![lists(
            "X",
            vec![answer("UID FETCH", &said), Step::Stall],
        )]);
        let session = log_on(imap(&script)).unwrap();
        assert_eq!(
            only(&session).text().unwrap_err().kind(),
            ErrorKind::Network
        );
    }
}

#[test]
fn a_server_that_asks_again_and_again_is_left() {
    let mut steps = vec![greeting("AUTH=PLAIN"), answer("AUTHENTICATE", "+ \r\n")];
    steps.extend((0..4).map(|_| answer("", "+ \r\n")));
    let script = Script::new(vec![steps]);
    assert_eq!(
        log_on(imap(&script)).unwrap_err().kind(),
        ErrorKind::Network
    );
}

#[test]
fn a_server_that_has_more_than_there_can_be_is_not_believed() {
    let script = Script::new(vec![
        [begin("X"), vec![examine(u32::MAX, 3), Step::Stall]].concat(),
    ]);
    let session = log_on(imap(&script)).unwrap();
    assert_eq!(
        session.inbox().messages().unwrap_err().kind(),
        ErrorKind::Network
    );
    // Nor what says more than it was asked: each answer is short enough, all together are not.
    let octets = "x".repeat(1_000_000);
    let one = format!("* 1 FETCH (UID 7 BODY[] {{1000000}}\r\n{octets})\r\n");
    let script = Script::new(vec![lists(
        "X",
        vec![
            answer("UID FETCH", &(one.repeat(80) + "{tag} OK x\r\n")),
            Step::Stall,
        ],
    )]);
    let session = log_on(imap(&script)).unwrap();
    assert_eq!(
        only(&session).text().unwrap_err().kind(),
        ErrorKind::Network
    );
}

#[cfg(feature = "watch")]
#[test]
fn what_keeps_the_line_open_does_not_keep_who_waits() {
    let still_here = "* OK Still here\r\n";
    let commands = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let asked = || commands.load(std::sync::atomic::Ordering::Relaxed);
    // The server goes on saying so as long as anybody listens.
    let port = {
        use std::io::{BufRead, BufReader, Write};
        let commands = commands.clone();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let commands = commands.clone();
                std::thread::spawn(move || {
                    let mut out = stream.try_clone().unwrap();
                    let _ = out.write_all(b"* OK [CAPABILITY IMAP4rev1 IDLE] x\r\n");
                    for line in BufReader::new(stream)
                        .lines()
                        .map_while(std::result::Result::ok)
                    {
                        let (tag, command) = line.split_once(' ').unwrap_or((&line, ""));
                        commands.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        let told = match command.split(' ').next().unwrap_or_default() {
                            "EXAMINE" => "* 0 EXISTS\r\n* OK [UIDVALIDITY 3] x\r\n",
                            "CAPABILITY" => "* CAPABILITY IMAP4rev1 IDLE\r\n",
                            "IDLE" => {
                                let _ = out.write_all(b"+ idling\r\n");
                                while out.write_all(still_here.as_bytes()).is_ok() {
                                    std::thread::sleep(Duration::from_millis(50));
                                }
                                return;
                            }
                            _ => "",
                        };
                        let _ = out.write_all(format!("{told}{tag} OK x\r\n").as_bytes());
                    }
                });
            }
        });
        port
    };
    let session = log_on(Imap::plain("127.0.0.1").port(port)).unwrap();
    let mut watch = session.inbox().watch().unwrap();
    // It ends, and the server was not asked again and again meanwhile.
    assert!(
        watch
            .next_within(Duration::from_millis(500))
            .unwrap()
            .is_none()
    );
    assert!(
        watch
            .next_within(Duration::from_millis(500))
            .unwrap()
            .is_none()
    );
    assert!(asked() < 40, "{} commands in a second", asked());
}

/// What becomes of an IDLE: says what it gets for the command, and for the DONE.
#[cfg(feature = "watch")]
#[derive(Clone, Copy, Debug)]
struct Idling {
    begun: &'static str,
    /// After so many of them, the first words are these instead.
    later: (usize, &'static str),
    done: &'static str,
}

/// A server of an empty mailbox that idles so; how often it was asked to, and to end it.
#[cfg(feature = "watch")]
fn idles(idling: Idling) -> (u16, std::sync::Arc<[std::sync::atomic::AtomicUsize; 2]>) {
    use std::io::{BufRead, BufReader, Write};
    use std::sync::atomic::Ordering;
    let counts = std::sync::Arc::<[std::sync::atomic::AtomicUsize; 2]>::default();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let all = counts.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let all = all.clone();
            std::thread::spawn(move || {
                let [begun, done] = &*all;
                let mut out = stream.try_clone().unwrap();
                let _ = out.write_all(b"* OK [CAPABILITY IMAP4rev1 IDLE] x\r\n");
                let mut idle = String::new();
                for line in BufReader::new(stream)
                    .lines()
                    .map_while(std::result::Result::ok)
                {
                    let (tag, command) = line.split_once(' ').unwrap_or((&line, ""));
                    let said = match command.split(' ').next().unwrap_or_default() {
                        "EXAMINE" => {
                            format!("* 0 EXISTS\r\n* OK [UIDVALIDITY 3] x\r\n{tag} OK x\r\n")
                        }
                        "CAPABILITY" => {
                            format!("* CAPABILITY IMAP4rev1 IDLE\r\n{tag} OK x\r\n")
                        }
                        "IDLE" => {
                            tag.clone_into(&mut idle);
                            let number = begun.fetch_add(1, Ordering::Relaxed);
                            let (after, later) = idling.later;
                            let said = if number < after { idling.begun } else { later };
                            said.replace("{tag}", tag)
                        }
                        "" if tag == "DONE" => {
                            done.fetch_add(1, Ordering::Relaxed);
                            idling.done.replace("{tag}", &idle)
                        }
                        _ => format!("{tag} OK x\r\n"),
                    };
                    let _ = out.write_all(said.trim_end_matches("CLOSE").as_bytes());
                    if said.contains("BYE") || said.ends_with("CLOSE") || said.is_empty() {
                        return;
                    }
                }
            });
        }
    });
    (port, counts)
}

#[cfg(feature = "watch")]
#[test]
fn an_idle_is_begun_anew_and_however_it_ends_nobody_waits_for_it() {
    use std::sync::atomic::Ordering;
    let good = Idling {
        begun: "+ idling\r\n",
        later: (usize::MAX, ""),
        done: "{tag} OK done\r\n",
    };
    let all = [
        good,
        Idling {
            begun: "* OK wait\r\n+ idling\r\n",
            ..good
        },
        Idling {
            begun: "+ idling\r\n* BYE too long\r\n",
            ..good
        },
        Idling {
            begun: "+ idling\r\n* OK hm\r\n* ((\r\n",
            ..good
        },
        Idling {
            begun: "+ idling\r\n* 0 EXISTS\r\n",
            ..good
        },
        Idling {
            begun: "+ idling\r\n* 3 EXISTS\n",
            ..good
        },
        Idling {
            begun: "* BYE not now\r\n",
            ..good
        },
        Idling { begun: "", ..good },
        Idling {
            begun: "+ idling\r\nCLOSE",
            ..good
        },
        Idling {
            later: (1, "{tag} NO enough\r\n"),
            ..good
        },
        Idling {
            later: (1, "* BYE enough\r\n"),
            ..good
        },
        Idling {
            done: "* OK wait\r\n{tag} OK done\r\n",
            ..good
        },
        Idling {
            done: "* BYE done\r\n",
            ..good
        },
        Idling { done: "", ..good },
    ];
    for idling in all {
        let (port, counts) = idles(idling);
        let imap = Imap::plain("127.0.0.1")
            .port(port)
            .timeout(Duration::from_secs(20))
            .poll_every(Duration::from_millis(20))
            .renew_idle_every(Duration::ZERO);
        let session = log_on(imap).unwrap();
        let mut watch = session.inbox().watch().unwrap();
        // Renewed after a second, however short a time was asked for.
        let ends_at_once = idling.begun != good.begun;
        let time = Duration::from_millis(if ends_at_once { 200 } else { 1300 });
        assert!(watch.next_within(time).unwrap().is_none(), "{idling:?}");
        let [begun, done] = &*counts;
        let (begun, done) = (begun.load(Ordering::Relaxed), done.load(Ordering::Relaxed));
        assert!(begun > 0, "{idling:?}");
        if idling.begun == good.begun && idling.done == good.done && idling.later == good.later {
            assert_eq!((begun, done), (2, 1));
        }
    }
}

#[cfg(feature = "watch")]
#[test]
fn without_idle_who_waits_looks_by_the_clock() {
    for (capabilities, idle) in [
        ("X", vec![hear("LOGOUT")]),
        (
            "IDLE",
            vec![
                examine(0, 3),
                answer("IDLE", "{tag} NO not now\r\n"),
                hear("LOGOUT"),
            ],
        ),
    ] {
        let look = |uids: &str| vec![examine(1, 3), search(uids)];
        let script = Script::side_by_side(vec![
            // The mailbox, and beside it the connection that is to wait.
            [
                begin(capabilities),
                look(""),
                look(""),
                look(""),
                look(" 7"),
                heads(&[7]),
                vec![Step::Stall],
            ]
            .concat(),
            [begin(capabilities), idle].concat(),
        ]);
        let imap = imap(&script).poll_every(Duration::from_millis(10));
        let session = log_on(imap).unwrap();
        let mut watch = session.inbox().watch().unwrap();
        let message = watch.next_within(Duration::from_secs(20)).unwrap().unwrap();
        assert_eq!(message.subject(), "one");
    }
}

#[test]
fn a_list_during_which_messages_go_is_made_again() {
    let pieces = |first: &str| vec![examine(60_000, 3), answer("UID SEARCH 1:50000", first)];
    let script = Script::new(vec![
        [
            begin("X"),
            pieces("* SEARCH 1\r\n* 5 EXPUNGE\r\n{tag} OK x\r\n"),
            pieces("* SEARCH 1\r\n{tag} OK x\r\n"),
            vec![
                answer("UID SEARCH 50001:60000", "* SEARCH 2\r\n{tag} OK x\r\n"),
                hear("LOGOUT"),
            ],
        ]
        .concat(),
    ]);
    let session = log_on(imap(&script)).unwrap();
    assert_eq!(session.inbox().count().unwrap(), 2);
    drop(session);
    script.finish();
}

#[test]
fn a_message_is_as_long_as_it_is_whatever_is_said() {
    let block = 256 * 1024;
    let body = "x".repeat(70) + "\r\n";
    let letter = format!("Subject: long\r\n\r\n{}", body.repeat(10_000));
    let whole = letter.len();
    for said in [10, 300_000, whole, whole + 1, 10_000_000] {
        let part = |start: usize, count: usize| {
            let part = &letter[start.min(whole)..(start + count).min(whole)];
            format!(
                "* 1 FETCH (UID 7 BODY[]<{start}> {{{}}}\r\n{part})\r\n{{tag}} OK x\r\n",
                part.len()
            )
        };
        let sizes = format!("* 1 FETCH (UID 7 RFC822.SIZE {said})\r\n{{tag}} OK x\r\n");
        // Whatever piece is asked for is given: they are heard in any order.
        let mut steps = [
            begin("X"),
            vec![
                examine(1, 3),
                search(" 7"),
                answer("UID FETCH 7", &(fields(1, 7) + "{tag} OK x\r\n")),
                answer("UID FETCH 7", &sizes),
            ],
        ]
        .concat();
        for start in offsets(said, whole, block) {
            let wanted: &'static str = Box::leak(
                format!("UID FETCH 7 (UID BODY.PEEK[]<{start}.{block}>)").into_boxed_str(),
            );
            steps.push(answer(wanted, &part(start, block)));
        }
        // It is no multipart for which a structure would be asked.
        steps.push(Step::Stall);
        let script = Script::new(vec![steps]);
        let session = log_on(imap(&script)).unwrap();
        let message = only(&session);
        let mut source = Vec::new();
        message.write_to(&mut source).unwrap();
        assert!(
            source == letter.as_bytes(),
            "{said}: {} of {whole}",
            source.len()
        );
        drop((message, session));
        script.finish();
    }
}

/// Where a reader asks, that begins at the end as it was said and then reads from the beginning.
fn offsets(said: usize, whole: usize, block: usize) -> Vec<usize> {
    let mut asked = vec![0];
    let mut at = (said / block * block).max(block);
    while at >= whole {
        asked.push(at);
        at -= block;
    }
    asked.push(at);
    while at + block <= whole {
        at += block;
        asked.push(at);
    }
    let end = *asked.last().unwrap();
    let mut reads: Vec<usize> = (block..whole).step_by(block).collect();
    // The last block that was looked at is still held when reading comes to it at once.
    if reads.first() == Some(&end) {
        reads.remove(0);
    }
    asked.extend(reads);
    asked
}

#[test]
fn a_server_that_gives_all_where_a_piece_was_asked_ends_in_an_error() {
    let all = "x".repeat(600_000);
    let whole = format!("* 1 FETCH (UID 7 BODY[] {{600000}}\r\n{all})\r\n{{tag}} OK x\r\n");
    let script = Script::new(vec![lists(
        "X",
        vec![answer("UID FETCH 7", &whole), Step::Stall],
    )]);
    let session = log_on(imap(&script)).unwrap();
    let error = only(&session).text().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
}

#[test]
fn a_header_section_that_is_too_long_for_an_answer_costs_no_other_message() {
    let too_long = "* 1 FETCH (UID 7 BODY[HEADER.FIELDS (RECEIVED)] {2000000}\r\n".to_owned()
        + &"x".repeat(2_000_000)
        + ")\r\n{tag} OK x\r\n";
    let fields_of = |step: &str| answer("UID FETCH 7:8", step);
    let alone = |uid: u32| {
        let said = format!("* 1 FETCH (UID {uid} RFC822.SIZE 9)\r\n{{tag}} OK x\r\n");
        [body(uid), answer("UID FETCH", &said)]
    };
    let script = Script::new(vec![
        [
            begin("X"),
            vec![examine(2, 3), search(" 7 8"), fields_of(&too_long)],
        ]
        .concat(),
        [begin("X"), vec![examine(2, 3), fields_of(&too_long)]].concat(),
        [
            begin("X"),
            vec![examine(2, 3)],
            alone(7).to_vec(),
            heads(&[8]),
        ]
        .concat(),
    ]);
    let session = log_on(imap(&script)).unwrap();
    let messages = session.inbox().messages().unwrap();
    let subjects: Vec<String> = messages
        .iter()
        .map(|one| one.subject().to_owned())
        .collect();
    assert_eq!(subjects, ["one", "one"]);
}

#[test]
fn a_cursor_goes_by_uid_and_not_by_what_comes_again() {
    let script = Script::new(vec![
        [
            begin("X"),
            vec![examine(2, 3), search(" 7 9")],
            heads(&[7, 9]),
            vec![examine(2, 3), search(" 7 9")],
            vec![examine(3, 3), search(" 7 9 12")],
            heads(&[7, 9, 12]),
            vec![examine(1, 4), search(" 1")],
            heads(&[1]),
            vec![hear("LOGOUT")],
        ]
        .concat(),
    ]);
    let session = log_on(imap(&script)).unwrap();
    let inbox = session.inbox();
    let names = |since: &cdonts::Since| {
        let name = |message: &cdonts::Message| message.file_name().display().to_string();
        since.messages.iter().map(name).collect::<Vec<_>>()
    };
    let first = inbox.messages_since(&Cursor::default()).unwrap();
    assert_eq!(names(&first), ["3.7", "3.9"]);
    let again = inbox.messages_since(&first.cursor).unwrap();
    assert!(again.messages.is_empty());
    let next = inbox.messages_since(&again.cursor).unwrap();
    assert_eq!(names(&next), ["3.12"]);
    // Made anew, it begins from the beginning.
    let anew = inbox.messages_since(&next.cursor).unwrap();
    assert_eq!(names(&anew), ["4.1"]);
    drop((session, inbox, first, again, next, anew));
    script.finish();
}

#[cfg(target_os = "linux")]
#[test]
fn a_wrong_choice_of_tls_says_which_is_right() {
    let dir = tempfile::tempdir().unwrap();
    certificate::certificate(dir.path());
    let roots = Roots::Only(std::fs::read(dir.path().join("cert.pem")).unwrap());
    let log_on = |imap: Imap| {
        let server = MailServer::builder().inbox(imap).open().unwrap();
        Session::logon(&server, Credentials::password(WHO, SECRET)).unwrap_err()
    };
    let cleartext = Script::new(vec![vec![say("* OK hello\r\n"), Step::Stall]]);
    let error = log_on(Imap::new("127.0.0.1").port(cleartext.port).roots(roots));
    assert_eq!(error.kind(), ErrorKind::NotPrivate);
    assert!(error.to_string().contains("StartTls"), "{error}");
    // It waits for the client to begin.
    let silent = Script::new(vec![vec![Step::Stall]]);
    let imap = Imap::plain("127.0.0.1").port(silent.port);
    let error = log_on(imap.timeout(Duration::from_millis(200)));
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("Security::Implicit"), "{error}");
}

#[test]
fn a_host_is_a_name_or_an_address() {
    for host in ["", "imaps://localhost", "localhost:993", "[::1]", "a b"] {
        let server = MailServer::builder().inbox(Imap::new(host)).open().unwrap();
        let who = Credentials::password(WHO, SECRET);
        let error = Session::logon(&server, who).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{host}: {error}");
    }
}

#[test]
fn a_user_name_that_is_no_address_needs_one() {
    let builder = MailServer::builder().inbox(Imap::plain("127.0.0.1").port(1));
    let server = builder.open().unwrap();
    let log_on = |who: Credentials| Session::logon(&server, who).unwrap_err();
    let error = log_on(Credentials::password("ann", SECRET));
    assert_eq!(error.kind(), ErrorKind::InvalidAddress);
    assert_eq!(error.cdo_code(), CdoCode::LogonFailed);
    assert!(
        error.to_string().contains("Credentials::address"),
        "{error}"
    );
    let error = log_on(Credentials::password("ann", SECRET).address(WHO));
    assert_eq!(error.kind(), ErrorKind::Network);
}

#[cfg(target_os = "linux")]
mod beside_dovecot {
    use super::dovecot::Dovecot;
    use super::*;

    fn server(dovecot: &Dovecot) -> MailServer {
        let roots = Roots::Only(dovecot.certificate());
        let imap = Imap::new("localhost")
            .port(dovecot.imaps)
            .roots(roots.clone());
        MailServer::builder().inbox(imap).open().unwrap()
    }

    fn ann(server: &MailServer) -> Session {
        Session::logon(server, Credentials::password(WHO, "annpw")).unwrap()
    }

    #[test]
    fn errors_are_typed_and_starttls_works() {
        let Some(dovecot) = Dovecot::start() else {
            return;
        };
        dovecot.deliver("ann", LETTER.as_bytes());
        let roots = Roots::Only(dovecot.certificate());
        let implicit = || Imap::new("localhost").port(dovecot.imaps);
        let log_on = |imap: Imap, who: Credentials| {
            Session::logon(&MailServer::builder().inbox(imap).open().unwrap(), who)
        };
        let password = |text: &str| Credentials::password(WHO, text);
        let start_tls = implicit().port(dovecot.imap).security(Security::StartTls);
        let session = log_on(start_tls.roots(roots.clone()), password("annpw")).unwrap();
        assert_eq!(only(&session).text().unwrap(), "Hello.\r\n");
        let trusted = || implicit().roots(roots.clone());
        let error = log_on(trusted(), password("wrong")).unwrap_err();
        assert_eq!(
            (error.kind(), error.cdo_code()),
            (ErrorKind::LogonFailed, CdoCode::LogonFailed)
        );
        let error = log_on(implicit(), password("annpw")).unwrap_err();
        assert_eq!(
            (error.kind(), error.cdo_code()),
            (ErrorKind::NotPrivate, CdoCode::NetworkError)
        );
        assert!(!format!("{error:?}").contains("annpw"));
        let elsewhere = Imap::new("127.0.0.1").port(dovecot.imaps);
        let error = log_on(elsewhere.roots(roots.clone()), password("annpw")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotPrivate);
        assert!(error.to_string().contains("for another name"), "{error}");
        let error = log_on(trusted(), Credentials::token(WHO, "no token")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LogonFailed);
        log_on(trusted(), Credentials::token(WHO, token())).unwrap();
    }

    /// Signed with the key that the server was given.
    fn token() -> String {
        use base64::Engine;
        use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
        let header = BASE64.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let claims = BASE64.encode(format!(
            r#"{{"sub":"ann","email":"{WHO}","exp":{}}}"#,
            now.as_secs() + 600
        ));
        let signed = format!("{header}.{claims}");
        let signature = hmac_sha256(b"a-shared-secret-of-32-bytes-long", signed.as_bytes());
        format!("{signed}.{}", BASE64.encode(signature))
    }

    fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
        use sha2::{Digest, Sha256};
        let pad = |with: u8| {
            let mut block = [with; 64];
            block
                .iter_mut()
                .zip(key)
                .for_each(|(octet, key)| *octet ^= key);
            block
        };
        let inner = Sha256::new()
            .chain_update(pad(0x36))
            .chain_update(text)
            .finalize();
        Sha256::new()
            .chain_update(pad(0x5c))
            .chain_update(inner)
            .finalize()
            .to_vec()
    }

    #[test]
    fn a_session_that_is_cut_goes_on() {
        let Some(dovecot) = Dovecot::start() else {
            return;
        };
        for number in 0..3 {
            dovecot.deliver(
                "ann",
                LETTER.replace("one", &format!("n{number}")).as_bytes(),
            );
        }
        let session = ann(&server(&dovecot));
        let messages = session.inbox().messages().unwrap();
        dovecot.cut_sessions();
        assert_eq!(messages.get(0).unwrap().subject(), "n0");
        dovecot.cut_sessions();
        messages.get(0).unwrap().delete().unwrap();
        dovecot.cut_sessions();
        assert_eq!(session.inbox().count().unwrap(), 2);
    }

    #[test]
    fn a_new_validity_makes_every_old_message_gone() {
        let Some(dovecot) = Dovecot::start() else {
            return;
        };
        dovecot.deliver("ann", LETTER.as_bytes());
        let session = ann(&server(&dovecot));
        let message = only(&session);
        dovecot.doveadm(&[
            "mailbox",
            "update",
            "--uid-validity",
            "1234567890",
            "-u",
            WHO,
            "INBOX",
        ]);
        assert_eq!(message.delete().unwrap_err().kind(), ErrorKind::MessageGone);
        assert_eq!(session.inbox().count().unwrap(), 1);
    }

    #[test]
    fn the_text_beside_a_large_attachment_is_read_alone() {
        let Some(dovecot) = Dovecot::start() else {
            return;
        };
        let line = "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4\r\n";
        let letter = format!(
            "From: a@example.net\r\nSubject: large\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed; boundary=m\r\n\r\npreamble\r\n--m\r\n\
             Content-Type: multipart/alternative; boundary=a\r\n\r\n\
             --a\r\n\r\nThe text.\r\n--a\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--a--\r\n\
             --m\r\nContent-Type: image/png; name=big.png\r\nContent-Transfer-Encoding: base64\r\n\r\n\
             {}--m--\r\nepilogue\r\n",
            line.repeat(200_000)
        );
        dovecot.deliver("ann", letter.as_bytes());
        let proxy = Proxy::new(dovecot.imap);
        let imap = Imap::plain("127.0.0.1").port(proxy.port);
        let server = MailServer::builder().inbox(imap).open().unwrap();
        let session = ann(&server);
        let message = only(&session);
        assert_eq!(message.text().unwrap(), "The text.");
        assert_eq!(message.html_text().unwrap(), "<p>x</p>");
        let attachments = message.attachments().unwrap();
        assert_eq!(attachments.len(), 1);
        let came = proxy.came();
        assert!(came < 2_000_000, "{came} octets of {}", letter.len());
        let mut octets = Vec::new();
        let attachment = attachments.get(0).unwrap();
        attachment.write_to(&mut octets).unwrap();
        assert!(attachment.name() == "big.png" && octets == "x".repeat(39 * 200_000).as_bytes());
        let mut source = Vec::new();
        message.write_to(&mut source).unwrap();
        assert!(
            String::from_utf8(source)
                .unwrap()
                .ends_with(&letter[letter.len() - 1000..])
        );
    }

    /// Counts what a server says.
    struct Proxy {
        port: u16,
        came: std::sync::Arc<std::sync::atomic::AtomicUsize>,
    }

    impl Proxy {
        fn new(to: u16) -> Self {
            use std::io::{Read, Write};
            use std::sync::atomic::{AtomicUsize, Ordering};
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let came = std::sync::Arc::new(AtomicUsize::new(0));
            let counted = std::sync::Arc::clone(&came);
            std::thread::spawn(move || {
                let (mut client, _) = listener.accept().unwrap();
                let mut server = std::net::TcpStream::connect(("127.0.0.1", to)).unwrap();
                let (mut from, mut up) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut from, &mut up));
                let mut block = [0; 16384];
                while let Ok(count @ 1..) = server.read(&mut block) {
                    counted.fetch_add(count, Ordering::Relaxed);
                    if client.write_all(&block[..count]).is_err() {
                        break;
                    }
                }
            });
            Self { port, came }
        }

        fn came(&self) -> usize {
            self.came.load(std::sync::atomic::Ordering::Relaxed)
        }
    }

    #[test]
    fn the_newest_of_many_are_had_without_the_others() {
        let Some(dovecot) = Dovecot::start() else {
            return;
        };
        dovecot.fill("ann", 600);
        let proxy = Proxy::new(dovecot.imap);
        let imap = Imap::plain("127.0.0.1").port(proxy.port);
        let server = MailServer::builder().inbox(imap).open().unwrap();
        let inbox = ann(&server).inbox();
        let subject = |message: Result<cdonts::Message>| message.unwrap().subject().to_owned();
        let mut stream = inbox.newest_first().unwrap();
        let page: Vec<_> = stream.by_ref().take(50).map(subject).collect();
        assert_eq!(
            (page[0].as_str(), page[49].as_str()),
            ("n 0000599", "n 0000550")
        );
        let came = proxy.came();
        assert!(came < 30_000, "{came}");
        let rest: Vec<_> = stream.map(subject).collect();
        assert_eq!((rest.len(), rest[549].as_str()), (550, "n 0000000"));
        let all: std::collections::HashSet<_> = page.iter().chain(&rest).collect();
        assert_eq!(all.len(), 600);
    }

    #[test]
    fn what_came_since_another_iterator_was_left_is_not_passed_over() {
        let Some(dovecot) = Dovecot::start() else {
            return;
        };
        dovecot.fill("ann", 600);
        let session = ann(&server(&dovecot));
        assert_eq!(
            session.inbox().newest_first().unwrap().take(300).count(),
            300
        );
        for number in 0..300 {
            let letter = LETTER.replace("one", &format!("new {number}"));
            dovecot.deliver("ann", letter.as_bytes());
        }
        assert_eq!(session.inbox().newest_first().unwrap().count(), 900);
    }

    #[test]
    fn however_deep_its_parts_are_a_large_message_is_read() {
        let Some(dovecot) = Dovecot::start() else {
            return;
        };
        let depths = [4, 6, 7, 10];
        for depth in depths {
            use std::fmt::Write;
            let mut letter =
                format!("From: a@example.net\r\nSubject: {depth}\r\nMIME-Version: 1.0\r\n");
            for level in 0..depth {
                write!(
                    letter,
                    "Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"
                )
                .unwrap();
            }
            letter += "Content-Type: text/plain\r\n\r\n";
            letter += &"hello hello hello hello\r\n".repeat(15_000);
            for level in (0..depth).rev() {
                write!(letter, "--b{level}--\r\n").unwrap();
            }
            dovecot.deliver("ann", letter.as_bytes());
        }
        let messages = ann(&server(&dovecot)).inbox().messages().unwrap();
        assert_eq!(messages.len(), depths.len());
        for message in &messages {
            let text = message.text().unwrap();
            assert_eq!(text.lines().count(), 15_000, "{}", message.subject());
        }
    }

    #[test]
    fn thousands_that_are_no_run_are_deleted_together() {
        let Some(dovecot) = Dovecot::start() else {
            return;
        };
        dovecot.fill("ann", 4000);
        let every_other: Vec<_> = (1..=4000).step_by(2).map(|uid| uid.to_string()).collect();
        for some in every_other.chunks(1000) {
            dovecot.doveadm(&[
                "expunge",
                "-u",
                WHO,
                "mailbox",
                "INBOX",
                "uid",
                &some.join(","),
            ]);
        }
        let session = ann(&server(&dovecot));
        let mut messages = session.inbox().messages().unwrap();
        assert_eq!(messages.delete_all().unwrap(), 2000);
        assert_eq!(session.inbox().count().unwrap(), 0);
    }

    #[test]
    fn a_folder_is_named_as_in_every_store() {
        let Some(dovecot) = Dovecot::start() else {
            return;
        };
        let roots = Roots::Only(dovecot.certificate());
        let folder = |name: &str| {
            let imap = Imap::new("localhost")
                .port(dovecot.imaps)
                .roots(roots.clone());
            ann(&MailServer::builder()
                .inbox(imap.folder(name))
                .open()
                .unwrap())
            .inbox()
        };
        dovecot.doveadm(&["mailbox", "create", "-u", WHO, "Entwürfe.Alt"]);
        dovecot.deliver("ann", LETTER.as_bytes());
        dovecot.doveadm(&["move", "-u", WHO, "Entwürfe.Alt", "mailbox", "INBOX", "all"]);
        let messages = folder("Entwürfe/Alt").messages().unwrap();
        assert_eq!(messages.get(0).unwrap().subject(), "one");
        assert_eq!(folder("inbox").count().unwrap(), 0);
        let error = folder("None").count().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("`None`"), "{error}");
        assert_eq!(
            folder("a//b").count().unwrap_err().kind(),
            ErrorKind::InvalidValue
        );
    }

    #[test]
    fn messages_are_not_marked_as_read() {
        let Some(dovecot) = Dovecot::start() else {
            return;
        };
        dovecot.deliver("ann", LETTER.as_bytes());
        let session = ann(&server(&dovecot));
        only(&session).text().unwrap();
        let mut source = Vec::new();
        only(&session).write_to(&mut source).unwrap();
        let flags = dovecot.doveadm(&["fetch", "-u", WHO, "flags", "mailbox", "INBOX"]);
        assert!(!flags.contains("Seen"), "{flags}");
    }

    #[cfg(feature = "watch")]
    #[test]
    fn a_watch_is_told_by_idle() {
        let Some(dovecot) = Dovecot::start() else {
            return;
        };
        dovecot.deliver("ann", LETTER.as_bytes());
        let session = ann(&server(&dovecot));
        let mut watch = session.inbox().watch().unwrap();
        assert!(
            watch
                .next_within(Duration::from_millis(700))
                .unwrap()
                .is_none()
        );
        dovecot.deliver("ann", LETTER.replace("one", "two").as_bytes());
        let message = watch.next_within(Duration::from_secs(20)).unwrap().unwrap();
        assert_eq!(message.subject(), "two");
        dovecot.cut_sessions();
        dovecot.deliver("ann", LETTER.replace("one", "three").as_bytes());
        let message = watch.next_within(Duration::from_mins(1)).unwrap().unwrap();
        assert_eq!(message.subject(), "three");
    }
}
