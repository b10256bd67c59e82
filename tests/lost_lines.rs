//! A line to a mailbox that is gone for good, from any word of the server on: whatever is asked
//! after it ends in what was known before or in a typed error, and nothing is shown by halves.
//!
//! `CDONTS_RUNS=all` cuts at each word, otherwise at each second one.
#![cfg(all(
    target_os = "linux",
    feature = "pop3",
    feature = "imap",
    feature = "watch"
))]
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

#[path = "support/broken.rs"]
mod broken;
#[path = "support/certificate.rs"]
mod certificate;
#[path = "support/dovecot.rs"]
mod dovecot;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use broken::{Broken, Fault, LONG, altered, altered_by, refusing_pop3};
use cdonts::{
    Credentials, Cursor, Error, ErrorKind, Header, Imap, Limits, MailServer, MailServerBuilder,
    Message, Pop3, Roots, Security, Session,
};
use dovecot::Dovecot;

const WHO: &str = "ann@example.com";
const TEXT: &str = "The first line.\r\n.A line with a dot.\r\nThe last line.\r\n";
/// As long as a client waits where nothing comes.
const SHORT: Duration = Duration::from_millis(500);

fn password() -> Credentials {
    Credentials::password(WHO, "annpw")
}

/// A letter, one with parts, and two that will be deleted.
fn fill(dovecot: &Dovecot) {
    let letter = |subject: &str| {
        format!("From: sam@example.net\r\nTo: {WHO}\r\nSubject: {subject}\r\n\r\n{TEXT}")
    };
    dovecot.deliver("ann", letter("letter").as_bytes());
    dovecot.deliver("ann", letter("doomed").as_bytes());
    dovecot.deliver("ann", letter("doomed").as_bytes());
    let data = "AAAA".repeat(247) + "\r\n";
    let parts = format!(
        "From: sam@example.net\r\nTo: {WHO}\r\nSubject: parts\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n{TEXT}\r\n--b\r\n\
         Content-Type: application/octet-stream; name=a.bin\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
        data.repeat(700)
    );
    dovecot.deliver("ann", parts.as_bytes());
}

fn check_letter(message: &Message) -> cdonts::Result<()> {
    if message.subject() == "parts" {
        assert_eq!(message.text()?.trim_end(), TEXT.trim_end());
        let attachments = message.attachments()?;
        let attachment = attachments.get(0).unwrap();
        assert_eq!(attachment.size()?, 700 * 741);
        assert!(attachment.read()?.iter().all(|&octet| octet == 0));
    } else {
        assert_eq!(message.text()?, TEXT);
        let headers = message.headers()?;
        assert_eq!(headers.get("To").map(Header::value), Some(WHO));
    }
    let mut source = Vec::new();
    message.write_to(&mut source)?;
    let mut lines = source.split(|&octet| octet == b'\n');
    assert!(lines.any(|line| line == b"To: ann@example.com\r"));
    Ok(())
}

/// Everything that a program may ask of a mailbox, until something is refused.
fn look(server: &MailServer) -> cdonts::Result<()> {
    let session = Session::logon(server, password())?;
    let inbox = session.inbox();
    assert_eq!(inbox.count()?, 4);
    let mut newest = inbox.newest_first()?;
    assert_eq!(newest.next().unwrap()?.subject(), "parts");
    let messages = inbox.messages()?;
    for message in &messages {
        check_letter(&message)?;
    }
    for message in inbox.stream()? {
        message?;
    }
    let since = inbox.messages_since(&Cursor::default());
    match since.and_then(|since| inbox.messages_since(&since.cursor)) {
        // POP3 has no lasting order.
        Err(error) if error.kind() == ErrorKind::NotSupported => {}
        since => assert!(since?.messages.is_empty()),
    }
    let mut watch = inbox.watch()?;
    assert!(watch.next_within(Duration::from_millis(20))?.is_none());
    drop(watch);
    // What could not be read when it was listed is told, and is not there.
    let mut doomed = messages.iter().filter(|one| one.subject() == "doomed");
    doomed.try_for_each(Message::delete)
}

fn is_typed(error: &Error, context: &str) {
    let known = [
        ErrorKind::Network,
        ErrorKind::LogonFailed,
        ErrorKind::NotPrivate,
        ErrorKind::MessageGone,
        ErrorKind::NotSupported,
        ErrorKind::OutcomeUnknown,
        ErrorKind::Refused,
    ];
    assert!(known.contains(&error.kind()), "{error:?} {context}");
    let text = format!("{error} {error:?}");
    assert!(!text.contains("annpw"), "the password is told: {context}");
}

fn runs_all() -> bool {
    std::env::var("CDONTS_RUNS").is_ok_and(|all| all == "all")
}

/// What is done with a server.
type Work<'a> = &'a dyn Fn(&MailServer) -> cdonts::Result<()>;

/// Does something over a line that is gone from each word of the server on, and at last over one
/// that is not.
fn at_each_line(
    name: &str,
    port: u16,
    prepare: impl Fn(),
    open: impl Fn(u16, Duration) -> MailServerBuilder,
    work: impl Fn(&MailServer) -> cdonts::Result<()>,
) {
    prepare();
    let whole = Broken::new(port, usize::MAX, Fault::Gone);
    work(&open(whole.port, LONG).open().unwrap()).unwrap();
    let lines = whole.lines();
    let mut failed = 0;
    for at in 0..lines {
        if at % 2 > 0 && !runs_all() {
            continue;
        }
        // Of the content of an attachment one line in many is enough.
        if lines > 500 && at > 150 && lines - at > 150 && at % 29 > 0 {
            continue;
        }
        prepare();
        let broken = Broken::new(port, at, Fault::Gone);
        if let Err(error) = work(&open(broken.port, SHORT).open().unwrap()) {
            is_typed(&error, &format!("{name}: from line {at} on"));
            failed += 1;
        }
    }
    println!("lost lines: {name}: {failed} errors over {lines} lines");
    assert!(failed > lines.min(40) / 4, "{name}: {failed} of {lines}");
}

#[test]
fn whatever_is_asked_of_a_mailbox_ends_when_the_line_is_gone() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    let imap = |port, time| {
        let imap = Imap::plain("127.0.0.1").port(port).timeout(time);
        MailServer::builder().inbox(imap.poll_every(Duration::from_millis(5)))
    };
    let pop3 = |port, time| {
        let pop3 = Pop3::plain("127.0.0.1").port(port).timeout(time);
        MailServer::builder().inbox(pop3.poll_every(Duration::from_millis(5)))
    };
    let fresh = || {
        let server = imap(dovecot.imap, LONG).open().unwrap();
        let session = Session::logon(&server, password()).unwrap();
        let mut messages = session.inbox().messages().unwrap();
        if messages.len() != 4 {
            messages.delete_all().unwrap();
            fill(&dovecot);
        }
    };
    at_each_line("IMAP", dovecot.imap, fresh, imap, look);
    // What a deletion that was cut has marked and not removed, POP3 would show.
    dovecot.doveadm(&["expunge", "-u", WHO, "mailbox", "INBOX", "deleted"]);
    at_each_line("POP3", dovecot.pop3, fresh, pop3, look);
}

#[test]
fn a_log_on_ends_when_the_line_is_gone() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    dovecot.doveadm(&["mailbox", "create", "-u", WHO, "Sub", "Sub.ü"]);
    let roots = || Roots::Only(dovecot.certificate());
    let imap = |port, time, security| {
        let imap = Imap::new("localhost").port(port).timeout(time);
        let imap = imap.security(security).roots(roots()).folder("Sub/ü");
        MailServer::builder().inbox(imap)
    };
    let pop3 = |port, time, security| {
        let pop3 = Pop3::new("localhost").port(port).timeout(time);
        MailServer::builder().inbox(pop3.security(security).roots(roots()))
    };
    let log_on = |server: &MailServer| {
        let session = Session::logon(server, password())?;
        session.inbox().messages().map(drop)
    };
    let by_token = |server: &MailServer| {
        let error = Session::logon(server, Credentials::token(WHO, "no token")).unwrap_err();
        match error.kind() {
            ErrorKind::LogonFailed => Ok(()),
            _ => Err(error),
        }
    };
    let works: [(&str, Work<'_>); 2] = [("a password", &log_on), ("a token", &by_token)];
    for (with, work) in works {
        let both = [
            (Security::StartTls, dovecot.imap, dovecot.pop3),
            (Security::Implicit, dovecot.imaps, dovecot.pop3s),
        ];
        for (security, imap_port, pop3_port) in both {
            let name = format!("log on by {with}, {security:?}");
            let open = |port, time| imap(port, time, security);
            at_each_line(&format!("IMAP, {name}"), imap_port, || {}, open, work);
            let open = |port, time| pop3(port, time, security);
            at_each_line(&format!("POP3, {name}"), pop3_port, || {}, open, work);
        }
    }
}

/// Nothing is lost but what was deleted.
fn check_left(server: &MailServer, at: usize) {
    let session = Session::logon(server, password()).unwrap();
    let messages = session.inbox().messages().unwrap();
    for subject in ["letter", "parts"] {
        let is_there = messages.iter().any(|one| one.subject() == subject);
        assert!(is_there, "{at}: {subject} is lost");
    }
}

#[test]
fn whatever_an_imap_server_refuses_ends_in_an_error_or_is_done_without() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    let server = |port| {
        let imap = Imap::plain("127.0.0.1").port(port).timeout(LONG);
        let imap = imap.poll_every(Duration::from_millis(5));
        MailServer::builder().inbox(imap).open().unwrap()
    };
    fill(&dovecot);
    let whole = Broken::new(dovecot.imap, usize::MAX, Fault::Refused);
    look(&server(whole.port)).unwrap();
    let (commands, mut refused) = (whole.lines(), 0);
    for at in 0..commands {
        dovecot.doveadm(&["expunge", "-u", WHO, "mailbox", "INBOX", "all"]);
        fill(&dovecot);
        let broken = Broken::new(dovecot.imap, at, Fault::Refused);
        if let Err(error) = look(&server(broken.port)) {
            is_typed(&error, &format!("IMAP: command {at} refused"));
            refused += 1;
        }
        check_left(&server(dovecot.imap), at);
    }
    println!("lost lines: IMAP: {refused} errors of {commands} refused commands");
    assert!(refused > 5, "{refused} of {commands}");
}

#[test]
fn a_message_over_the_limit_is_told_and_costs_no_other() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    fill(&dovecot);
    let mut limits = Limits::default();
    limits.message = 300_000;
    let imap = Imap::plain("127.0.0.1").port(dovecot.imap);
    let pop3 = Pop3::plain("127.0.0.1").port(dovecot.pop3);
    for builder in [
        MailServer::builder().inbox(imap),
        MailServer::builder().inbox(pop3),
    ] {
        let server = builder.limits(limits.clone()).open().unwrap();
        let session = Session::logon(&server, password()).unwrap();
        let messages = session.inbox().messages().unwrap();
        assert_eq!(messages.len(), 4);
        for message in &messages {
            let read = message.text();
            match message.subject() {
                "parts" => assert_eq!(read.unwrap_err().kind(), ErrorKind::TooLarge),
                _ => assert_eq!(read.unwrap(), TEXT),
            }
        }
    }
}

#[test]
fn what_an_imap_server_says_wrongly_of_a_large_message_is_not_shown_as_its_text() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    fill(&dovecot);
    for (from, to, is_read) in [
        ("", "", true),
        // What is said of its parts does not fit them: it is read as any other.
        ("\"base64\" 693000", "\"base64\" 693001", true),
        ("\"base64\" 693000", "\"base64\" 692999", true),
        ("\"base64\" 693000", "\"base64\" 6", true),
        ("BODYSTRUCTURE (", "BODYSTRUCTURE ((", true),
        ("BODYSTRUCTURE (", "X-STRUCTURE (", true),
        ("BODY[1.MIME]", "BODY[7.MIME]", true),
        ("BODY[2.MIME]<0> {", "BODY[2.MIME]<1> {", true),
        ("BODY[1]<0>", "BODY[7]<0>", true),
        ("BODY[2]<0>", "BODY[7]<0>", true),
        ("BODY[2]<262144>", "BODY[2]<262145>", true),
        // Nor are its octets had.
        ("BODY[]<0>", "BODY[]<7>", false),
        ("BODY[]<524288>", "BODY[]<7>", false),
        // It is another message of which it is said.
        (" BODYSTRUCTURE (", "9 BODYSTRUCTURE (", false),
        (" BODY[]<0>", "9 BODY[]<0>", false),
        ("RFC822.SIZE ", "RFC822.SIZE 9", true),
        ("RFC822.SIZE 69", "RFC822.SIZE 1", true),
    ] {
        let port = altered(dovecot.imap, from, to);
        let imap = Imap::plain("127.0.0.1").port(port).timeout(LONG);
        let server = MailServer::builder().inbox(imap).open().unwrap();
        let session = Session::logon(&server, password()).unwrap();
        // A reader that was misled is told so; the next one reads the message itself.
        let read = || {
            let messages = session.inbox().messages()?;
            let parts = messages.iter().find(|one| one.subject() == "parts");
            check_letter(&parts.unwrap())
        };
        let read = read().or_else(|_| read());
        match read {
            Ok(()) => assert!(is_read, "{from} {to}"),
            Err(error) => {
                assert!(!is_read, "{from} {to}: {error}");
                is_typed(&error, from);
            }
        }
    }
}

#[test]
fn whatever_a_pop3_server_refuses_ends_in_an_error_or_is_done_without() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    let server = |port| {
        let pop3 = Pop3::plain("127.0.0.1").port(port).timeout(LONG);
        let pop3 = pop3.poll_every(Duration::from_millis(5));
        MailServer::builder().inbox(pop3).open().unwrap()
    };
    fill(&dovecot);
    let (port, answers) = refusing_pop3(dovecot.pop3, usize::MAX);
    look(&server(port)).unwrap();
    let (answers, mut refused) = (answers.load(Ordering::Relaxed), 0);
    for at in 0..answers {
        dovecot.doveadm(&["expunge", "-u", WHO, "mailbox", "INBOX", "all"]);
        fill(&dovecot);
        let (port, _) = refusing_pop3(dovecot.pop3, at);
        if let Err(error) = look(&server(port)) {
            is_typed(&error, &format!("POP3: answer {at} refused"));
            refused += 1;
        }
        check_left(&server(dovecot.pop3), at);
    }
    println!("lost lines: POP3: {refused} errors of {answers} refused answers");
    assert!(refused > 5, "{refused} of {answers}");
}

/// A structure that is of no multipart, or of more parts than are asked for: the message is read as
/// any other.
#[test]
fn an_imap_server_that_says_a_structure_of_something_else_is_done_without() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    fill(&dovecot);
    let read = |port| {
        let imap = Imap::plain("127.0.0.1").port(port).timeout(LONG);
        let server = MailServer::builder().inbox(imap).open().unwrap();
        let session = Session::logon(&server, password()).unwrap();
        let messages = session.inbox().messages().unwrap();
        let parts = messages.iter().find(|one| one.subject() == "parts");
        check_letter(&parts.unwrap())
    };
    let part = r#"("TEXT" "PLAIN" NIL NIL NIL "7BIT" 10 1)"#;
    for structure in [
        part.to_owned(),
        format!("({} \"MIXED\")", part.repeat(5000)),
    ] {
        let port = altered_by(dovecot.imap, move |line| {
            let start = line.find("BODYSTRUCTURE (");
            Some(start.map_or(line.to_owned(), |start| {
                format!("{}BODYSTRUCTURE {structure})\r\n", &line[..start])
            }))
        });
        read(port).unwrap();
    }
    // The headers of the parts are another message's: this one is not there any more.
    let port = altered_by(dovecot.imap, |line| {
        Some(if line.contains(".MIME]") {
            line.replace(" BODY[", "9 BODY[")
        } else {
            line.to_owned()
        })
    });
    assert_eq!(read(port).unwrap_err().kind(), ErrorKind::MessageGone);
}

/// Not as one that is not there, but as nothing at all.
#[test]
fn what_an_imap_server_does_not_understand_is_told() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    dovecot.doveadm(&["mailbox", "create", "-u", WHO, "Sub", "Sub.ü"]);
    for (end, is_ok) in [
        ("Examine completed", false),
        ("List completed", false),
        ("nothing of it", true),
    ] {
        let port = altered_by(dovecot.imap, move |line| {
            let tag = line.split(' ').next().unwrap_or_default();
            Some(if line.contains(end) {
                format!("{tag} BAD what?\r\n")
            } else {
                line.to_owned()
            })
        });
        let imap = Imap::plain("127.0.0.1")
            .port(port)
            .timeout(LONG)
            .folder("Sub/ü");
        let server = MailServer::builder().inbox(imap).open().unwrap();
        let session = Session::logon(&server, password());
        let listed = session.and_then(|session| session.inbox().messages());
        match listed {
            Ok(_) => assert!(is_ok, "{end}"),
            Err(error) => {
                assert!(!is_ok, "{end} {error}");
                is_typed(&error, end);
            }
        }
    }
}

/// The reader of a large message, from whatever a server says of it.
fn read_parts(port: u16) -> cdonts::Result<()> {
    let imap = Imap::plain("127.0.0.1").port(port).timeout(LONG);
    let server = MailServer::builder().inbox(imap).open().unwrap();
    let session = Session::logon(&server, password()).unwrap();
    let messages = session.inbox().messages()?;
    let parts = messages.iter().find(|one| one.subject() == "parts");
    check_letter(&parts.unwrap())
}

#[test]
fn an_imap_server_may_name_a_message_after_what_it_says_of_it() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    fill(&dovecot);
    let port = altered_by(dovecot.imap, |line| {
        let moved = line.strip_suffix(")\r\n").and_then(|line| {
            let (before, rest) = line.split_once(" FETCH (UID ")?;
            let (uid, rest) = rest.split_once(' ')?;
            Some(format!("{before} FETCH ({rest} UID {uid})\r\n"))
        });
        Some(moved.unwrap_or(line.to_owned()))
    });
    read_parts(port).unwrap();
}

/// It gave all octets when it was opened, and does not when they are read.
#[test]
fn a_message_that_ends_elsewhere_than_before_is_not_shown_by_halves() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    fill(&dovecot);
    let (times, skips) = (AtomicUsize::new(0), AtomicBool::new(false));
    let port = altered_by(dovecot.imap, move |line| {
        if skips.load(Ordering::Relaxed) {
            let is_end = line.contains(" OK ");
            skips.store(!is_end, Ordering::Relaxed);
            return is_end.then(|| line.to_owned());
        }
        let start = line.find("BODY[]<524288> {");
        match start.filter(|_| times.fetch_add(1, Ordering::Relaxed) > 0) {
            Some(start) => {
                skips.store(true, Ordering::Relaxed);
                Some(format!("{}BODY[]<524288> \"\")\r\n", &line[..start]))
            }
            // Its parts are not asked for one by one.
            None => Some(line.replace("BODYSTRUCTURE (", "X-STRUCTURE (")),
        }
    });
    let error = read_parts(port).unwrap_err();
    is_typed(&error, "it ends elsewhere");
}

/// More than is fetched at once stands above its text.
#[test]
fn a_message_with_a_header_section_without_end_is_read_or_refused() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    let field = format!("X-Field: {}\r\n", "x".repeat(900));
    let text = format!(
        "From: sam@example.net\r\nSubject: long\r\n{}Content-Type: multipart/mixed; \
         boundary=b\r\n\r\n--b\r\n\r\n{TEXT}\r\n--b--\r\n",
        field.repeat(700)
    );
    dovecot.deliver("ann", text.as_bytes());
    let imap = Imap::plain("127.0.0.1").port(dovecot.imap).timeout(LONG);
    let server = MailServer::builder().inbox(imap).open().unwrap();
    let session = Session::logon(&server, password()).unwrap();
    let messages = session.inbox().messages().unwrap();
    let message = messages.get(0).unwrap();
    assert_eq!(message.subject(), "long");
    match message.text() {
        Ok(text) => assert!(!text.contains("X-Field"), "a field is its text"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}"),
    }
}

/// A message that is more than is held in memory needs a file, and there is no place for one.
#[test]
fn without_a_place_for_a_large_message_it_is_not_read_by_halves() {
    const NAME: &str = "without_a_place_for_a_large_message_it_is_not_read_by_halves";
    if let Ok(port) = std::env::var("CDONTS_TEST_PORT") {
        let pop3 = Pop3::plain("127.0.0.1").port(port.parse().unwrap());
        let server = MailServer::builder()
            .inbox(pop3.timeout(LONG))
            .open()
            .unwrap();
        let session = Session::logon(&server, password()).unwrap();
        let messages = session.inbox().messages().unwrap();
        let of = |subject: &str| {
            messages
                .iter()
                .find(|one| one.subject() == subject)
                .unwrap()
        };
        assert!(of("parts").text().is_err());
        assert_eq!(of("letter").text().unwrap(), TEXT);
        println!("it was told");
        return;
    }
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    fill(&dovecot);
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", NAME])
        .env("CDONTS_TEST_PORT", dovecot.pop3.to_string())
        .env("TMPDIR", "/nowhere")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("it was told"), "{said}");
}
