//! POP3 servers that break off, lie and leave things out: nothing is lost, nothing is believed.
#![cfg(feature = "pop3")]
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

#[cfg(target_os = "linux")]
#[path = "support/certificate.rs"]
mod certificate;
#[cfg(target_os = "linux")]
#[path = "support/dovecot.rs"]
mod dovecot;
#[cfg(target_os = "linux")]
#[path = "support/program.rs"]
mod program;
#[path = "support/script.rs"]
mod script;
#[cfg(target_os = "linux")]
#[path = "support/tls.rs"]
mod tls;

use std::time::Duration;

use cdonts::{
    CdoCode, Credentials, ErrorKind, Limits, MailServer, Pop3, Result, Roots, Security, Session,
};
use script::{Script, Step, answer, hear, say};

const WHO: &str = "ann@example.com";
const SECRET: &str = "hunter2";

fn pop3(script: &Script) -> Pop3 {
    Pop3::plain("127.0.0.1")
        .port(script.port)
        .timeout(Duration::from_secs(5))
}

fn log_on(pop3: Pop3) -> Result<Session> {
    let server = MailServer::builder().inbox(pop3).open().unwrap();
    Session::logon(&server, Credentials::password(WHO, SECRET))
}

/// Up to the log-on, with these capabilities.
fn begin(capabilities: &str) -> Vec<Step> {
    vec![
        say("+OK hello\r\n"),
        answer("CAPA", &format!("+OK\r\n{capabilities}.\r\n")),
        answer("USER", "+OK\r\n"),
        answer("PASS", "+OK\r\n"),
    ]
}

/// A session in which the log-on is all; who lists at once goes on in it.
fn only_log_on() -> Vec<Step> {
    only_log_on_to("TOP\r\nUIDL\r\n")
}

/// The same on a server with these capabilities.
fn only_log_on_to(capabilities: &str) -> Vec<Step> {
    let mut steps = begin(capabilities);
    steps.push(Step::QuitOrNextBehind("PASS"));
    steps
}

/// A session that lists these messages, and goes on with other steps.
fn lists(ids: &str, sizes: &str, more: Vec<Step>) -> Vec<Step> {
    let mut steps = begin("TOP\r\nUIDL\r\n");
    let count = sizes.matches('\n').count();
    steps.push(answer("STAT", &format!("+OK {count} 1000\r\n")));
    steps.push(answer("UIDL", &format!("+OK\r\n{ids}.\r\n")));
    steps.push(answer("LIST", &format!("+OK\r\n{sizes}.\r\n")));
    steps.extend(more);
    steps
}

const LETTER: &str = "From: a@example.net\r\nSubject: one\r\n\r\nHello.\r\n";

fn top() -> Step {
    answer(
        "TOP 1 0",
        "+OK\r\nFrom: a@example.net\r\nSubject: one\r\n\r\n.\r\n",
    )
}

/// What a deletion begins with: the size is written down with the id.
fn size() -> Step {
    answer("LIST 1", "+OK 1 9\r\n")
}

fn retr() -> Step {
    answer("RETR 1", &format!("+OK\r\n{LETTER}.\r\n"))
}

#[test]
fn a_server_that_is_none_gets_no_credentials() {
    for (greeting, kind) in [
        ("* OK IMAP\r\n", ErrorKind::Network),
        ("220 smtp\r\n", ErrorKind::Network),
        ("-ERR [SYS/TEMP] later\r\n", ErrorKind::Network),
        ("-ERR [SYS/PERM] never\r\n", ErrorKind::Refused),
        ("", ErrorKind::Network),
    ] {
        let script = Script::new(vec![vec![say(greeting)]]);
        let error = log_on(pop3(&script)).unwrap_err();
        assert_eq!(error.kind(), kind, "{greeting}: {error}");
        assert!(script.finish().is_empty());
    }
    let endless = "+OK".repeat(10_000);
    let script = Script::new(vec![vec![say(&endless), Step::Stall]]);
    assert_eq!(
        log_on(pop3(&script)).unwrap_err().kind(),
        ErrorKind::Network
    );
}

#[test]
fn a_server_that_cannot_be_reached_is_a_network_error() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let error = log_on(Pop3::plain("127.0.0.1").port(port)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_eq!(error.cdo_code(), CdoCode::NetworkError);
    assert!(error.is_transient());
    assert!(
        error.to_string().contains(&format!("127.0.0.1:{port}")),
        "{error}"
    );
}

/// A state directory that somebody made, or in which nothing was ever noted.
#[test]
fn a_state_directory_in_which_nothing_is_noted_is_good() {
    let reads = lists("1 a\r\n", "1 9\r\n", vec![top(), retr(), hear("QUIT")]);
    let script = Script::new(vec![only_log_on(), reads]);
    let state = tempfile::tempdir().unwrap();
    let server = MailServer::builder()
        .inbox(pop3(&script))
        .state_dir(state.path())
        .open()
        .unwrap();
    let session = Session::logon(&server, Credentials::password(WHO, SECRET)).unwrap();
    let message = session.inbox().messages().unwrap().get(0).unwrap();
    assert_eq!(
        (message.subject(), message.text().unwrap().as_str()),
        ("one", "Hello.\r\n")
    );
    session.logoff();
    script.finish();
}

#[test]
fn a_refused_log_on_says_whether_it_is_the_password() {
    for (capabilities, said, kind) in [
        ("", "-ERR wrong", ErrorKind::LogonFailed),
        (
            "AUTH-RESP-CODE\r\n",
            "-ERR [AUTH] wrong",
            ErrorKind::LogonFailed,
        ),
        ("AUTH-RESP-CODE\r\n", "-ERR busy", ErrorKind::Network),
        ("", "-ERR [IN-USE] locked", ErrorKind::Network),
        ("", "-ERR [LOGIN-DELAY] wait", ErrorKind::Network),
        ("", "-ERR [SYS/PERM] closed", ErrorKind::Refused),
    ] {
        let script = Script::new(vec![vec![
            say("+OK\r\n"),
            answer("CAPA", &format!("+OK\r\n{capabilities}.\r\n")),
            answer("USER", "+OK\r\n"),
            answer("PASS", &format!("{said}\r\n")),
        ]]);
        let error = log_on(pop3(&script)).unwrap_err();
        assert_eq!(error.kind(), kind, "{said}: {error}");
        assert!(!error.to_string().contains(SECRET));
        script.finish();
    }
}

#[test]
fn without_tls_where_it_is_demanded_nothing_is_told() {
    let start_tls = |script: &Script| {
        let pop3 = Pop3::new("localhost").security(Security::StartTls);
        pop3.port(script.port).timeout(Duration::from_millis(500))
    };
    let capa = |text: &str| answer("CAPA", &format!("+OK\r\n{text}.\r\n"));
    for (steps, kind) in [
        (vec![say("+OK\r\n"), capa("TOP\r\n")], ErrorKind::NotPrivate),
        (
            vec![say("+OK\r\n"), answer("CAPA", "-ERR\r\n")],
            ErrorKind::NotPrivate,
        ),
        (
            vec![
                say("+OK\r\n"),
                capa("STLS\r\n"),
                answer("STLS", "-ERR no\r\n"),
            ],
            ErrorKind::NotPrivate,
        ),
        // What stands behind the answer would be read as if it had come by TLS.
        (
            vec![
                say("+OK\r\n"),
                capa("STLS\r\n"),
                answer("STLS", "+OK\r\n+OK injected\r\n"),
            ],
            ErrorKind::Network,
        ),
        // A handshake has an end.
        (
            vec![
                say("+OK\r\n"),
                capa("STLS\r\n"),
                answer("STLS", "+OK\r\n"),
                Step::Stall,
            ],
            ErrorKind::Network,
        ),
    ] {
        let script = Script::new(vec![steps]);
        let error = log_on(start_tls(&script)).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let heard = script.finish();
        assert!(
            !heard
                .iter()
                .any(|line| line.contains("USER") || line.contains(WHO)),
            "{heard:?}"
        );
    }
}

#[test]
fn another_machine_gets_no_password_in_the_clear() {
    // An address of this machine that is not loopback; there may be none.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = socket
        .connect("192.0.2.1:9")
        .and_then(|()| socket.local_addr());
    let Some(own) = own.ok().map(|own| own.ip()).filter(|ip| !ip.is_loopback()) else {
        println!("skipped: this machine has no address but loopback");
        return;
    };
    let script = Script::on(&own.to_string(), vec![vec![]]);
    let pop3 = Pop3::plain(own.to_string()).port(script.port);
    assert_eq!(log_on(pop3).unwrap_err().kind(), ErrorKind::NotPrivate);
    assert!(script.finish().is_empty());
}

#[test]
fn a_line_end_in_a_name_is_no_second_command() {
    let named = || vec![answer("USER ann", "+OK\r\n")];
    for (user, password, heard) in [
        ("ann\r\nDELE 1", "x", vec![]),
        ("ann", "x\r\nDELE 1", named()),
        ("ann", "a\0b", named()),
    ] {
        let is_named = !heard.is_empty();
        let begin = vec![say("+OK\r\n"), answer("CAPA", "+OK\r\n.\r\n")];
        let script = Script::new(vec![[begin, heard, vec![Step::HearAll]].concat()]);
        let server = MailServer::builder().inbox(pop3(&script)).open().unwrap();
        let who = Credentials::password(user, password).address(WHO);
        let error = Session::logon(&server, who).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::InvalidValue,
            "{user:?} {password:?}"
        );
        let heard = if is_named {
            &["CAPA", "USER ann"][..]
        } else {
            &["CAPA"]
        };
        assert_eq!(script.finish(), heard);
    }
}

/// Nothing was told yet that it could be content with.
#[test]
fn a_server_that_lets_one_in_unasked_gets_no_password() {
    for said in ["+OK come in\r\n", "what\r\n"] {
        let script = Script::new(vec![vec![
            say("+OK hello\r\n"),
            answer("CAPA", "+OK\r\nSASL PLAIN\r\n.\r\n"),
            answer("AUTH PLAIN", said),
            Step::HearAll,
        ]]);
        let error = log_on(pop3(&script)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{said}: {error}");
        let heard = script.finish();
        assert_eq!(heard, ["CAPA", "AUTH PLAIN"], "{said}");
    }
}

#[test]
fn a_token_goes_by_xoauth2_and_its_refusal_ends() {
    let steps = |last: Vec<Step>| {
        let mut steps = vec![
            say("+OK\r\n"),
            answer("CAPA", "+OK\r\nSASL PLAIN XOAUTH2\r\n.\r\n"),
            answer("AUTH XOAUTH2", "+ \r\n"),
        ];
        steps.extend(last);
        steps
    };
    let script = Script::new(vec![steps(vec![
        answer("dXNlcj1", "+ eyJzdGF0dXMiOiI0MDAifQ==\r\n"),
        answer("", "-ERR [AUTH] refused\r\n"),
    ])]);
    let server = MailServer::builder().inbox(pop3(&script)).open().unwrap();
    let error = Session::logon(&server, Credentials::token(WHO, SECRET)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LogonFailed);
    assert_eq!(script.finish().len(), 4);
    let script = Script::new(vec![steps(vec![
        answer("dXNlcj1", "+OK\r\n"),
        hear("QUIT"),
    ])]);
    let server = MailServer::builder().inbox(pop3(&script)).open().unwrap();
    Session::logon(&server, Credentials::token(WHO, SECRET)).unwrap();
    script.finish();
}

#[test]
fn what_a_server_does_not_take_is_not_tried() {
    let capa = |lines: &str| answer("CAPA", &format!("+OK\r\n{lines}.\r\n"));
    let password = |secret: &str| Credentials::password(WHO, secret);
    let hello = || say("+OK hello\r\n");
    for (steps, who, kind) in [
        (
            vec![hello(), capa("SASL PLAIN\r\n")],
            Credentials::token(WHO, SECRET),
            ErrorKind::LogonFailed,
        ),
        (
            vec![hello(), capa("SASL PLAIN\r\n")],
            password("a\0b"),
            ErrorKind::InvalidValue,
        ),
        (
            vec![
                hello(),
                capa("UIDL\r\n"),
                answer("USER", "-ERR [AUTH] who\r\n"),
            ],
            password(SECRET),
            ErrorKind::LogonFailed,
        ),
        (
            vec![hello(), capa("UIDL\r\n"), hear("USER")],
            password(SECRET),
            ErrorKind::Network,
        ),
        (
            vec![hello(), capa("SASL PLAIN\r\n"), hear("AUTH PLAIN")],
            password(SECRET),
            ErrorKind::Network,
        ),
        (
            vec![hello(), hear("CAPA")],
            password(SECRET),
            ErrorKind::Network,
        ),
    ] {
        let context = format!("{steps:?}");
        let script = Script::new(vec![steps]);
        let server = MailServer::builder().inbox(pop3(&script)).open().unwrap();
        let error = Session::logon(&server, who).unwrap_err();
        assert_eq!(error.kind(), kind, "{context}: {error}");
        assert!(!error.to_string().contains(SECRET));
        script.finish();
    }
}

#[test]
fn a_list_that_is_none_is_no_empty_inbox() {
    let ids = || answer("UIDL", "+OK\r\n1 a\r\n.\r\n");
    let stat = |said: &str| answer("STAT", said);
    for more in [
        vec![stat("+OK many\r\n")],
        vec![stat("+OK\r\n")],
        vec![stat("-ERR [SYS/TEMP] later\r\n")],
        vec![stat("+OK 1 9\r\n"), answer("UIDL", "+OK\r\none a\r\n.\r\n")],
        vec![
            stat("+OK 1 9\r\n"),
            ids(),
            answer("LIST", "+OK\r\nx 9\r\n.\r\n"),
        ],
        vec![stat("+OK 1 9\r\n"), ids(), answer("LIST", "-ERR no\r\n")],
        vec![stat("+OK 1 9\r\n"), ids(), hear("LIST")],
    ] {
        let context = format!("{more:?}");
        let session = || [begin("TOP\r\nUIDL\r\n"), more.clone()].concat();
        // Once more over another connection, in case it was this one.
        let script = Script::new(vec![only_log_on(), session(), session()]);
        let inbox = log_on(pop3(&script)).unwrap().inbox();
        match inbox.messages() {
            // A size that is not told is none.
            Ok(messages) => {
                assert_eq!(messages.len() + messages.unreadable(), 1, "{context}");
            }
            Err(error) => {
                let known = [ErrorKind::Network, ErrorKind::Refused];
                assert!(known.contains(&error.kind()), "{context}: {error}");
            }
        }
    }
}

#[test]
fn what_cannot_be_written_down_is_not_deleted() {
    let state = tempfile::tempdir().unwrap();
    let script = Script::new(vec![
        only_log_on(),
        lists("1 a\r\n", "1 9\r\n", vec![top(), size(), hear("QUIT")]),
    ]);
    let server = MailServer::builder()
        .inbox(pop3(&script))
        .state_dir(state.path().join("State"))
        .open()
        .unwrap();
    let session = Session::logon(&server, Credentials::password(WHO, SECRET)).unwrap();
    let message = session.inbox().messages().unwrap().get(0).unwrap();
    std::fs::create_dir_all(state.path().join("State")).unwrap();
    std::fs::write(state.path().join("State/handled"), "in the way").unwrap();
    let error = message.delete().unwrap_err();
    assert!(error.to_string().contains("handled"), "{error}");
    drop((session, server));
    assert!(!script.finish().iter().any(|line| line.contains("DELE")));
}

#[test]
fn no_size_of_a_list_is_believed() {
    let script = Script::new(vec![
        only_log_on(),
        lists("1 a\r\n", "1 5\r\n", vec![top(), retr(), hear("QUIT")]),
    ]);
    let session = log_on(pop3(&script)).unwrap();
    let message = session.inbox().messages().unwrap().get(0).unwrap();
    assert_eq!(message.text().unwrap(), "Hello.\r\n");
    let mut source = Vec::new();
    message.write_to(&mut source).unwrap();
    assert_eq!(String::from_utf8(source).unwrap(), LETTER);
    drop((session, message));
    script.finish();
}

#[test]
fn a_text_line_has_no_limit_and_a_message_has() {
    let long = "x".repeat(2_000_000);
    let body = format!("+OK\r\nSubject: long\r\n\r\n{long}\r\n.\r\n");
    let script = Script::new(vec![
        only_log_on(),
        lists(
            "1 a\r\n",
            "1 9\r\n",
            vec![top(), answer("RETR 1", &body), hear("QUIT")],
        ),
    ]);
    let session = log_on(pop3(&script)).unwrap();
    let message = session.inbox().messages().unwrap().get(0).unwrap();
    assert_eq!(message.text().unwrap().trim_end().len(), 2_000_000);
    drop((session, message));
    script.finish();

    let script = Script::new(vec![
        only_log_on(),
        lists("1 a\r\n", "1 9\r\n", vec![top(), answer("RETR 1", &body)]),
    ]);
    let mut limits = Limits::default();
    limits.message = 1_000_000;
    let server = MailServer::builder()
        .inbox(pop3(&script))
        .limits(limits)
        .open()
        .unwrap();
    let session = Session::logon(&server, Credentials::password(WHO, SECRET)).unwrap();
    let message = session.inbox().messages().unwrap().get(0).unwrap();
    assert_eq!(message.text().unwrap_err().kind(), ErrorKind::TooLarge);
    drop((session, message));
    script.finish();
}

#[test]
fn a_message_that_breaks_off_is_read_again_over_another_connection() {
    let half = answer(
        "RETR 1",
        "+OK\r\nFrom: a@example.net\r\nSubject: one\r\n\r\nHel",
    );
    let script = Script::new(vec![
        only_log_on(),
        lists("1 a\r\n", "1 9\r\n", vec![top(), half]),
        [
            begin("TOP\r\n"),
            vec![answer("UIDL", "+OK\r\n1 a\r\n.\r\n"), retr(), hear("QUIT")],
        ]
        .concat(),
    ]);
    let session = log_on(pop3(&script)).unwrap();
    let message = session.inbox().messages().unwrap().get(0).unwrap();
    assert_eq!(message.text().unwrap(), "Hello.\r\n");
    drop((session, message));
    script.finish();
}

#[test]
fn a_server_that_is_gone_is_no_empty_inbox() {
    let script = Script::new(vec![only_log_on(), begin("UIDL\r\n")]);
    let session = log_on(pop3(&script)).unwrap();
    let error = session.inbox().messages().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    let error = session.inbox().count().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    script.finish();
}

#[test]
fn a_listing_that_could_not_read_a_message_does_not_let_it_be_deleted() {
    let script = Script::new(vec![
        only_log_on(),
        lists("1 a\r\n", "1 9\r\n", vec![hear("TOP 1")]),
        vec![say("-ERR [SYS/TEMP]\r\n")],
    ]);
    let session = log_on(pop3(&script)).unwrap();
    let message = session.inbox().messages().unwrap().get(0).unwrap();
    assert_eq!(message.subject(), "");
    assert_eq!(message.delete().unwrap_err().kind(), ErrorKind::Network);
    script.finish();
}

#[test]
fn without_unique_ids_messages_are_known_in_their_session_alone() {
    let without = |more: Vec<Step>| {
        let mut steps = begin("TOP\r\n");
        steps.push(answer("STAT", "+OK 2 18\r\n"));
        steps.push(answer("UIDL", "-ERR\r\n"));
        steps.push(answer("LIST", "+OK\r\n1 9\r\n2 9\r\n.\r\n"));
        steps.extend(more);
        steps
    };
    let script = Script::new(vec![
        only_log_on_to("TOP\r\n"),
        without(vec![
            top(),
            answer("TOP 2 0", "+OK\r\nSubject: two\r\n\r\n.\r\n"),
            answer("DELE 1", "+OK\r\n"),
            answer("QUIT", "+OK\r\n"),
        ]),
        only_log_on(),
    ]);
    let session = log_on(pop3(&script)).unwrap();
    let messages = session.inbox().messages().unwrap();
    assert_eq!(messages.len(), 2);
    messages.get(0).unwrap().delete().unwrap();
    // The number of the other is another now: it is never taken for it.
    let error = messages.get(1).unwrap().delete().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    drop((session, messages));
    script.finish();
}

#[test]
fn who_lists_later_sees_what_came_since_he_logged_on() {
    let script = Script::new(vec![
        [begin("TOP\r\nUIDL\r\n"), vec![hear("QUIT")]].concat(),
        lists("1 a\r\n", "1 9\r\n", vec![hear("QUIT")]),
    ]);
    let session = log_on(pop3(&script)).unwrap();
    std::thread::sleep(Duration::from_millis(10));
    assert_eq!(session.inbox().messages().unwrap().len(), 1);
    drop(session);
    script.finish();
}

#[test]
fn ids_that_come_twice_or_are_empty_are_none() {
    let script = Script::new(vec![
        only_log_on(),
        lists(
            "1 same\r\n2 same\r\n3\r\n4 own\r\n",
            "1 9\r\n2 9\r\n3 9\r\n4 9\r\n",
            vec![hear("QUIT")],
        ),
    ]);
    let session = log_on(pop3(&script)).unwrap();
    let messages = session.inbox().messages().unwrap();
    assert_eq!(messages.len(), 4);
    drop((session, messages));
    script.finish();
}

#[test]
fn a_server_that_sends_bodies_for_heads_is_asked_for_messages() {
    let body = "x".repeat(5000);
    let whole = format!("+OK\r\nSubject: s\r\n\r\n{body}\r\n.\r\n");
    let many = 60;
    let ids: String = (1..=many)
        .map(|number| format!("{number} id{number}\r\n"))
        .collect();
    let sizes: String = (1..=many)
        .map(|number| format!("{number} 5020\r\n"))
        .collect();
    let mut more: Vec<Step> = (0..50).map(|_| answer("TOP", &whole)).collect();
    more.extend([answer("RETR 51", &whole), hear("QUIT")]);
    let script = Script::new(vec![only_log_on(), lists(&ids, &sizes, more)]);
    let session = log_on(pop3(&script)).unwrap();
    let messages = session.inbox().messages().unwrap();
    assert_eq!(messages.get(0).unwrap().subject(), "s");
    assert_eq!(messages.get(50).unwrap().subject(), "s");
    drop((session, messages));
    script.finish();
}

#[test]
fn a_deletion_is_done_when_the_session_has_ended_well() {
    let dele = || answer("DELE 1", "+OK\r\n");
    let again = |more: Vec<Step>| lists("1 a\r\n2 b\r\n", "1 9\r\n2 9\r\n", more);
    let two_tops = || vec![top(), answer("TOP 2 0", "+OK\r\nSubject: two\r\n\r\n.\r\n")];
    let state = tempfile::tempdir().unwrap();
    let script = Script::new(vec![
        only_log_on(),
        again([two_tops(), vec![size(), dele(), hear("QUIT")]].concat()),
        // It was not deleted; it is asked for again, and not shown.
        again(vec![dele(), hear("QUIT")]),
        // Another process knows it as well, as long as a full list has it.
        only_log_on(),
        again(vec![dele(), hear("QUIT")]),
        lists("2 b\r\n", "2 9\r\n", vec![hear("QUIT")]),
        lists("1 a\r\n", "1 9\r\n", vec![hear("QUIT")]),
    ]);
    let open = |script: &Script| {
        let builder = MailServer::builder().inbox(pop3(script));
        builder
            .state_dir(state.path().join("State"))
            .open()
            .unwrap()
    };
    let server = open(&script);
    let session = Session::logon(&server, Credentials::password(WHO, SECRET)).unwrap();
    let message = session.inbox().messages().unwrap().get(0).unwrap();
    let error = message.delete().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    assert!(error.is_transient());
    let messages = session.inbox().messages().unwrap();
    assert_eq!(messages.len(), 1);
    drop((session, server, messages));

    let server = open(&script);
    let session = Session::logon(&server, Credentials::password(WHO, SECRET)).unwrap();
    for expected in [1, 1, 1] {
        assert_eq!(session.inbox().messages().unwrap().len(), expected);
    }
    drop((session, server));
    script.finish();
}

#[test]
fn what_was_not_committed_is_still_there() {
    let dele = || answer("DELE 1", "+OK\r\n");
    let cut = || lists("1 a\r\n", "1 9\r\n", vec![top(), size(), hear("DELE 1")]);
    let known = || answer("UIDL", "+OK\r\n1 a\r\n.\r\n");
    // It is begun anew over another connection, which breaks as well: where the message is asked
    // for, or where it is marked.
    for again in [vec![hear("UIDL")], vec![known(), hear("DELE 1")]] {
        let script = Script::new(vec![
            only_log_on(),
            cut(),
            [begin("TOP\r\n"), again].concat(),
            lists(
                "1 a\r\n",
                "1 9\r\n",
                vec![top(), size(), dele(), answer("QUIT", "+OK\r\n")],
            ),
        ]);
        let session = log_on(pop3(&script)).unwrap();
        let message = session.inbox().messages().unwrap().get(0).unwrap();
        let error = message.delete().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network);
        let messages = session.inbox().messages().unwrap();
        assert_eq!(messages.len(), 1);
        messages.get(0).unwrap().delete().unwrap();
        drop((session, messages));
        script.finish();
    }
}

#[test]
fn an_answer_too_many_ends_the_connection() {
    let script = Script::new(vec![
        only_log_on(),
        lists(
            "1 a\r\n",
            "1 9\r\n",
            vec![top(), size(), answer("DELE 1", "+OK\r\n+OK more\r\n")],
        ),
        [
            begin("TOP\r\n"),
            vec![answer("UIDL", "+OK\r\n.\r\n"), answer("QUIT", "+OK\r\n")],
        ]
        .concat(),
    ]);
    let session = log_on(pop3(&script)).unwrap();
    let message = session.inbox().messages().unwrap().get(0).unwrap();
    // QUIT would commit, and its answer be taken from what was said before.
    let error = message.delete().unwrap_err();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::OutcomeUnknown | ErrorKind::MessageGone
        ),
        "{error}"
    );
    drop(session);
}

#[test]
fn credentials_of_the_configuration_are_for_their_address_alone() {
    let script = Script::new(vec![only_log_on()]);
    let pop3 = pop3(&script).credentials(Credentials::password(WHO, SECRET));
    assert!(!format!("{pop3:?}").contains(SECRET));
    let server = MailServer::builder().inbox(pop3).open().unwrap();
    let error = Session::logon_smtp(&server, "", "joe@example.com").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LogonFailed);
    Session::logon_smtp(&server, "Ann", "Ann@example.com").unwrap();
    drop(server);
    script.finish();
    let server = MailServer::builder()
        .inbox(Pop3::plain("127.0.0.1"))
        .open()
        .unwrap();
    let error = Session::logon_smtp(&server, "", WHO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

#[test]
fn a_refusal_is_none_of_the_messages_being_gone() {
    let busy = "-ERR [SYS/TEMP] busy\r\n";
    // To each step of a deletion, and to reading.
    let dele = lists(
        "1 a\r\n",
        "1 9\r\n",
        vec![size(), answer("DELE 1", busy), answer("QUIT", "+OK\r\n")],
    );
    let script = Script::new(vec![only_log_on(), dele]);
    let mut messages = log_on(pop3(&script)).unwrap().inbox().messages().unwrap();
    assert_eq!(
        messages.delete_all().unwrap_err().kind(),
        ErrorKind::Network
    );

    let script = Script::new(vec![
        only_log_on(),
        lists("1 a\r\n", "1 9\r\n", vec![]),
        [
            begin("TOP\r\nUIDL\r\n"),
            vec![answer("UIDL", busy), hear("QUIT")],
        ]
        .concat(),
    ]);
    let mut messages = log_on(pop3(&script)).unwrap().inbox().messages().unwrap();
    assert_eq!(
        messages.delete_all().unwrap_err().kind(),
        ErrorKind::Network
    );

    let script = Script::new(vec![
        only_log_on(),
        lists(
            "1 a\r\n",
            "1 9\r\n",
            vec![top(), answer("RETR 1", "-ERR disk error\r\n"), hear("QUIT")],
        ),
    ]);
    let message = log_on(pop3(&script))
        .unwrap()
        .inbox()
        .messages()
        .unwrap()
        .get(0)
        .unwrap();
    assert_eq!(message.text().unwrap_err().kind(), ErrorKind::Network);
}

#[test]
fn messages_that_nobody_can_tell_any_more_are_not_told_as_deleted() {
    // More than are listed with their ids; the server goes before anybody asks for them.
    let stat = |count: usize| answer("STAT", &format!("+OK {count} 9\r\n"));
    let script = Script::new(vec![
        only_log_on(),
        [begin("TOP\r\nUIDL\r\n"), vec![stat(1001)]].concat(),
        [begin("TOP\r\nUIDL\r\n"), vec![answer("QUIT", "+OK\r\n")]].concat(),
    ]);
    let mut messages = log_on(pop3(&script)).unwrap().inbox().messages().unwrap();
    assert_eq!(
        messages.delete_all().unwrap_err().kind(),
        ErrorKind::Network
    );

    // Without ids all go in the one session in which they are known.
    let sizes: String = (1..=250).map(|number| format!("{number} 9\r\n")).collect();
    let mut session = begin("TOP\r\n");
    session.extend([
        stat(250),
        answer("UIDL", "-ERR\r\n"),
        answer("LIST", &format!("+OK\r\n{sizes}.\r\n")),
    ]);
    session.extend((0..250).map(|_| answer("DELE", "+OK\r\n")));
    session.push(answer("QUIT", "+OK\r\n"));
    let script = Script::new(vec![only_log_on_to("TOP\r\n"), session]);
    let mut messages = log_on(pop3(&script)).unwrap().inbox().messages().unwrap();
    assert_eq!(messages.delete_all().unwrap(), 250);
    script.finish();
}

#[test]
fn what_was_to_be_deleted_is_remembered_though_ids_are_not_told_for_a_while() {
    let script = Script::new(vec![
        only_log_on(),
        lists(
            "1 a\r\n",
            "1 9\r\n",
            vec![top(), size(), answer("DELE 1", "+OK\r\n"), hear("QUIT")],
        ),
        [
            begin("TOP\r\nUIDL\r\n"),
            vec![
                answer("STAT", "+OK 1 9\r\n"),
                answer("UIDL", "-ERR [SYS/TEMP]\r\n"),
                hear("QUIT"),
            ],
        ]
        .concat(),
        lists(
            "1 a\r\n",
            "1 9\r\n",
            vec![answer("DELE 1", "+OK\r\n"), hear("QUIT")],
        ),
        // A server that gives the id again: it is another message.
        lists("1 a\r\n", "1 77\r\n", vec![hear("QUIT")]),
    ]);
    let session = log_on(pop3(&script)).unwrap();
    let inbox = session.inbox();
    let message = inbox.messages().unwrap().get(0).unwrap();
    assert_eq!(
        message.delete().unwrap_err().kind(),
        ErrorKind::OutcomeUnknown
    );
    assert_eq!(inbox.messages().unwrap_err().kind(), ErrorKind::Network);
    assert_eq!(inbox.messages().unwrap().len(), 0);
    assert_eq!(inbox.messages().unwrap().len(), 1);
}

#[test]
fn a_header_section_that_is_too_long_costs_no_other_message() {
    let filler = "y".repeat(1_100_000);
    let long = format!("+OK\r\nSubject: long\r\nX: {filler}\r\n\r\n.\r\n");
    let one = "+OK\r\nSubject: one\r\n\r\nHello.\r\n.\r\n";
    let ids = || answer("UIDL", "+OK\r\n1 a\r\n2 b\r\n.\r\n");
    let script = Script::new(vec![
        only_log_on(),
        lists(
            "1 a\r\n2 b\r\n",
            "1 9\r\n2 9\r\n",
            vec![
                answer("TOP 1 0", "+OK\r\nSubject: one\r\n\r\n.\r\n"),
                answer("TOP 2 0", &long),
            ],
        ),
        [
            begin("TOP\r\nUIDL\r\n"),
            vec![
                ids(),
                answer("RETR 1", one),
                answer("RETR 2", &long),
                hear("QUIT"),
            ],
        ]
        .concat(),
    ]);
    let session = log_on(pop3(&script)).unwrap();
    let messages = session.inbox().messages().unwrap();
    let subjects: Vec<_> = messages
        .iter()
        .map(|one| one.subject().to_owned())
        .collect();
    assert_eq!(subjects, ["one", "long"]);
}

#[test]
fn a_server_with_more_messages_than_there_can_be_is_not_believed() {
    let script = Script::new(vec![
        only_log_on(),
        [
            begin("TOP\r\nUIDL\r\n"),
            vec![answer("STAT", "+OK 100000000 9\r\n")],
        ]
        .concat(),
    ]);
    let session = log_on(pop3(&script)).unwrap();
    assert_eq!(
        session.inbox().messages().unwrap_err().kind(),
        ErrorKind::Network
    );
}

#[test]
fn a_server_that_asks_again_and_again_is_left() {
    let mut steps = vec![say("+OK\r\n"), answer("CAPA", "+OK\r\nSASL PLAIN\r\n.\r\n")];
    steps.extend((0..4).map(|_| answer("", "+ \r\n")));
    let script = Script::new(vec![steps]);
    assert_eq!(
        log_on(pop3(&script)).unwrap_err().kind(),
        ErrorKind::Network
    );
}

#[cfg(feature = "watch")]
#[test]
fn without_ids_nothing_is_announced_as_new() {
    let steps = vec![
        answer("STAT", "+OK 1 9\r\n"),
        answer("UIDL", "-ERR\r\n"),
        answer("LIST", "+OK\r\n1 9\r\n.\r\n"),
        hear("QUIT"),
    ];
    let without = [begin("TOP\r\n"), steps].concat();
    let script = Script::new(vec![only_log_on_to("TOP\r\n"), without]);
    let session = log_on(pop3(&script).poll_every(Duration::MAX)).unwrap();
    let error = session.inbox().watch().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotSupported);
    drop(session);
    script.finish();
}

/// A server that has told ids before and does so no more: nobody can say which message it is.
#[test]
fn a_server_that_tells_no_ids_any_more_is_not_believed() {
    let first = vec![
        answer("STAT", "+OK 2 99\r\n"),
        answer("UIDL", "+OK\r\n1 a\r\n2 b\r\n.\r\n"),
        answer("LIST", "+OK\r\n1 9\r\n2 90\r\n.\r\n"),
        answer("TOP 1 0", "+OK\r\nSubject: a\r\n\r\n.\r\n"),
        answer("TOP 2 0", "+OK\r\nSubject: b\r\n\r\n.\r\n"),
        answer("LIST 1", "+OK 1 9\r\n"),
        answer("DELE 1", "+OK\r\n"),
        answer("QUIT", "+OK\r\n"),
    ];
    let second = vec![answer("UIDL", "-ERR\r\n"), hear("QUIT")];
    let script = Script::new(vec![
        [begin("TOP\r\n"), first].concat(),
        [begin("TOP\r\n"), second].concat(),
    ]);
    let session = log_on(pop3(&script)).unwrap();
    let messages = session.inbox().messages().unwrap();
    messages.get(0).unwrap().delete().unwrap();
    let error = messages.get(1).unwrap().delete().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(
        error.to_string().contains("no unique ids any more"),
        "{error}"
    );
}

/// A server of its own for each test that needs another order than a script has.
fn serve(answer: impl Fn(&str) -> &'static str + Send + Sync + Clone + 'static) -> u16 {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || {
                let mut out = stream.try_clone().unwrap();
                let _ = out.write_all(b"+OK\r\n");
                for line in BufReader::new(stream)
                    .lines()
                    .map_while(std::result::Result::ok)
                {
                    let _ = out.write_all(answer(&line).as_bytes());
                    if line == "QUIT" {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn a_mailbox_that_the_server_unlocks_late_is_listed_again_and_again() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let locked = Arc::new(AtomicBool::new(false));
    let port = serve(
        move |line| match line.split(' ').next().unwrap_or_default() {
            "CAPA" => "+OK\r\nUIDL\r\nTOP\r\nRESP-CODES\r\n.\r\n",
            "PASS" if locked.swap(true, Ordering::SeqCst) => "-ERR [IN-USE] locked\r\n",
            "STAT" => "+OK 1 9\r\n",
            "UIDL" => "+OK\r\n1 a\r\n.\r\n",
            "LIST" => "+OK\r\n1 9\r\n.\r\n",
            "QUIT" => {
                // It says goodbye at once, and has still to write.
                let locked = Arc::clone(&locked);
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(150));
                    locked.store(false, Ordering::SeqCst);
                });
                "+OK\r\n"
            }
            _ => "+OK\r\n",
        },
    );
    let session = log_on(Pop3::plain("127.0.0.1").port(port)).unwrap();
    for _ in 0..4 {
        assert_eq!(session.inbox().messages().unwrap().len(), 1);
    }
}

#[test]
fn one_user_does_not_wait_for_another_to_be_let_in() {
    let (begun, waits) = std::sync::mpsc::channel();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let may_go = std::sync::Arc::new(std::sync::Mutex::new(may_go));
    let port = serve(move |line| {
        if line == "PASS slow" {
            begun.send(()).unwrap();
            // Until the other one is in.
            may_go.lock().unwrap().recv().unwrap();
        }
        if line == "CAPA" {
            "+OK\r\n.\r\n"
        } else {
            "+OK\r\n"
        }
    });
    let pop3 = Pop3::plain("127.0.0.1").port(port);
    let server = MailServer::builder().inbox(pop3).open().unwrap();
    std::thread::scope(|scope| {
        let slow = scope
            .spawn(|| Session::logon(&server, Credentials::password("slow@example.com", "slow")));
        waits.recv().unwrap();
        Session::logon(&server, Credentials::password(WHO, SECRET)).unwrap();
        go.send(()).unwrap();
        slow.join().unwrap().unwrap();
    });
}

#[test]
fn without_pipelining_each_answer_is_waited_for() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"+OK\r\n");
            let mut block = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut block) {
                let text = String::from_utf8_lossy(&block[..count]).into_owned();
                // More than one command at once makes it dumb.
                let mut lines = text.lines();
                let line = lines
                    .next()
                    .filter(|_| lines.next().is_none())
                    .unwrap_or_default();
                let said: &[u8] = match line.split(' ').next().unwrap_or_default() {
                    "" => b"-ERR one at a time\r\n",
                    "CAPA" => b"+OK\r\nTOP\r\nUIDL\r\n.\r\n",
                    "STAT" => b"+OK 1001 9\r\n",
                    "TOP" => b"+OK\r\nSubject: x\r\n\r\n.\r\n",
                    "LIST" => b"+OK 1 9\r\n",
                    _ => b"+OK\r\n",
                };
                let _ = stream.write_all(said);
                if line == "QUIT" {
                    break;
                }
            }
        }
    });
    let session = log_on(Pop3::plain("127.0.0.1").port(port)).unwrap();
    let newest = session
        .inbox()
        .newest_first()
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!((newest.subject(), newest.size()), ("x", 9));
}

/// What was said in the clear counts for nothing: not what the server can do, either.
#[cfg(target_os = "linux")]
#[test]
fn what_a_server_can_do_is_asked_again_under_tls() {
    use std::io::{BufRead, BufReader, Read, Write};

    let dir = tempfile::tempdir().unwrap();
    certificate::certificate(dir.path());
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    let certificate = read("cert.pem");
    let config = tls::server(&certificate, &read("key.pem"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = Vec::new();
        let mut line = |from: &mut dyn Read| {
            let mut line = Vec::new();
            let mut octet = [0];
            while from.read(&mut octet).unwrap_or(0) == 1 && octet != *b"\n" {
                line.push(octet[0]);
            }
            heard.push(String::from_utf8(line).unwrap().trim_end().to_owned());
        };
        stream.write_all(b"+OK\r\n").unwrap();
        line(&mut stream);
        // In the clear it offers what it does not have.
        stream
            .write_all(b"+OK\r\nSTLS\r\nSASL PLAIN\r\n.\r\n")
            .unwrap();
        line(&mut stream);
        stream.write_all(b"+OK\r\n").unwrap();
        let session = rustls::ServerConnection::new(config).unwrap();
        let mut tls = rustls::StreamOwned::new(session, stream);
        line(&mut tls);
        tls.write_all(b"+OK\r\nUIDL\r\n.\r\n").unwrap();
        for _ in 0..2 {
            line(&mut tls);
            tls.write_all(b"+OK\r\n").unwrap();
        }
        let _ = BufReader::new(tls).lines().next();
        heard
    });
    let pop3 = Pop3::new("localhost")
        .security(Security::StartTls)
        .port(port);
    let session = log_on(pop3.roots(Roots::Only(certificate))).unwrap();
    session.logoff();
    let heard = server.join().unwrap();
    let password = format!("PASS {SECRET}");
    assert_eq!(
        heard,
        ["CAPA", "STLS", "CAPA", &format!("USER {WHO}"), &password]
    );
}

#[cfg(target_os = "linux")]
#[test]
fn beside_dovecot_errors_are_typed_and_stls_works() {
    let Some(dovecot) = dovecot::Dovecot::start() else {
        return;
    };
    dovecot.deliver("ann", LETTER.as_bytes());
    let roots = Roots::Only(dovecot.certificate());
    let implicit = || Pop3::new("localhost").port(dovecot.pop3s);
    let log_on = |pop3: Pop3, password: &str| {
        let server = MailServer::builder().inbox(pop3).open().unwrap();
        Session::logon(&server, Credentials::password(WHO, password))
    };
    let start_tls = implicit().port(dovecot.pop3).security(Security::StartTls);
    let session = log_on(start_tls.roots(roots.clone()), "annpw").unwrap();
    let messages = session.inbox().messages().unwrap();
    assert_eq!(messages.get(0).unwrap().text().unwrap(), "Hello.\r\n");

    let error = log_on(implicit().roots(roots.clone()), "wrong").unwrap_err();
    assert_eq!(
        (error.kind(), error.cdo_code()),
        (ErrorKind::LogonFailed, CdoCode::LogonFailed)
    );
    assert!(!error.to_string().contains("wrong\u{0}") && !format!("{error:?}").contains("annpw"));
    let error = log_on(implicit(), "annpw").unwrap_err();
    assert_eq!(
        (error.kind(), error.cdo_code()),
        (ErrorKind::NotPrivate, CdoCode::NetworkError)
    );

    // The server's processes die in the middle; what is left is read over another connection.
    dovecot.cut_sessions();
    assert_eq!(messages.get(0).unwrap().subject(), "one");
    dovecot.cut_sessions();
    messages.get(0).unwrap().delete().unwrap();
    assert_eq!(session.inbox().count().unwrap(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn of_many_messages_a_page_is_asked_for_and_each_stays_what_it_is() {
    let Some(dovecot) = dovecot::Dovecot::start() else {
        return;
    };
    dovecot.fill("ann", 1500);
    let pop3 = Pop3::plain("127.0.0.1").port(dovecot.pop3);
    let server = MailServer::builder().inbox(pop3).open().unwrap();
    let session = Session::logon(&server, Credentials::password(WHO, "annpw")).unwrap();
    let inbox = session.inbox();
    let newest: Vec<_> = inbox
        .newest_first()
        .unwrap()
        .take(3)
        .map(Result::unwrap)
        .collect();
    assert_eq!(newest[0].subject(), "n 0001499");
    let messages = inbox.messages().unwrap();
    assert_eq!(messages.len(), 1500);
    // It ends the session over which the others were listed.
    messages.get(700).unwrap().delete().unwrap();
    assert_eq!(messages.get(701).unwrap().subject(), "n 0000701");
    assert_eq!(messages.get(1).unwrap().text().unwrap().trim(), "Hello");
    assert_eq!(
        messages.get(700).unwrap().text().unwrap_err().kind(),
        ErrorKind::MessageGone
    );
    assert_eq!(inbox.count().unwrap(), 1499);
    // Those of a snapshot that is older than this session are what they were.
    assert_eq!(newest[2].text().unwrap().trim(), "Hello");
    for message in newest {
        message.delete().unwrap();
    }
    let subjects: Vec<_> = inbox
        .newest_first()
        .unwrap()
        .take(1)
        .map(|one| one.unwrap().subject().to_owned())
        .collect();
    assert_eq!(subjects, ["n 0001496"]);
}

/// A program that is stopped and goes on finds its calls interrupted, as one that handles signals
/// does.
#[cfg(target_os = "linux")]
#[test]
fn a_call_that_is_interrupted_costs_no_connection() {
    use std::sync::{Arc, OnceLock};
    let program = Arc::new(OnceLock::<u32>::new());
    let known = Arc::clone(&program);
    let port = serve(move |line| {
        if line == "CAPA" {
            // It waits for the answer by now, or begins to.
            for signal in ["-STOP", "-CONT"] {
                std::thread::sleep(Duration::from_millis(100));
                let pid = known.wait().to_string();
                let kill = std::process::Command::new("kill")
                    .args([signal, &pid])
                    .status();
                assert!(kill.unwrap().success());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        match line.split(' ').next().unwrap_or_default() {
            "CAPA" | "UIDL" | "LIST" => "+OK\r\n.\r\n",
            "STAT" => "+OK 0 0\r\n",
            _ => "+OK\r\n",
        }
    });
    let place = format!("pop3://ann@example.com@127.0.0.1:{port}");
    let child = program::program("inbox")
        .args(["--store", &place, "--security", "none"])
        .env("CDONTS_PASSWORD", SECRET)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    program.set(child.id()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
}
