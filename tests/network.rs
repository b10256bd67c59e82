//! A line that breaks at any place: between this library and a server that works stands somebody who
//! cuts, holds, repeats or garbles any one line of what the server says. Whatever it is, each call
//! ends, in an answer or a typed error; nothing is lost; and when the line is good again, all goes on.
//!
//! `CDONTS_RUNS=all` breaks every line in every way.
#![cfg(all(
    target_os = "linux",
    feature = "smtp",
    feature = "pop3",
    feature = "imap"
))]
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

#[path = "support/broken.rs"]
mod broken;
#[path = "support/certificate.rs"]
mod certificate;
#[path = "support/dovecot.rs"]
mod dovecot;
mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use broken::{Broken, FAULTS, Fault, LONG, PATIENCE};
use cdonts::{Credentials, ErrorKind, Imap, MailServer, NewMail, Pop3, Session, Smtp, Writer};
use dovecot::Dovecot;
use support::Root;

fn runs_all() -> bool {
    std::env::var("CDONTS_RUNS").is_ok_and(|all| all == "all")
}

/// Strikes each line of a conversation of so many lines in every way, or some of both.
fn at_each_line(lines: usize, mut run: impl FnMut(usize, Fault)) -> usize {
    let step = if runs_all() { 1 } else { 4 };
    let mut count = 0;
    for (number, fault) in FAULTS.into_iter().enumerate() {
        for at in (number % step..lines).step_by(step) {
            run(at, fault);
            count += 1;
        }
    }
    count
}

const WHO: &str = "ann@example.com";

const TEXT: &str = "The first line.\r\n.A line with a dot.\r\nThe last line.\r\n";

fn letter(subject: &str) -> String {
    format!("From: sam@example.net\r\nTo: {WHO}\r\nSubject: {subject}\r\n\r\n{TEXT}")
}

/// Two messages in the mailbox, and no other.
fn fill(dovecot: &Dovecot) {
    let imap = Imap::plain("127.0.0.1").port(dovecot.imap);
    let server = MailServer::builder().inbox(imap).open().unwrap();
    let session = Session::logon(&server, Credentials::password(WHO, "annpw")).unwrap();
    session.inbox().messages().unwrap().delete_all().unwrap();
    for subject in ["one", "two"] {
        dovecot.deliver("ann", letter(subject).as_bytes());
    }
}

/// Logs on, lists, reads the first and deletes it; what was told of the deletion.
fn use_mailbox(server: &MailServer, fault: Fault, context: &str) -> Option<bool> {
    let typed = |error: &cdonts::Error| {
        let known = [
            ErrorKind::Network,
            ErrorKind::LogonFailed,
            ErrorKind::NotPrivate,
            ErrorKind::MessageGone,
            ErrorKind::NotSupported,
            ErrorKind::TooLarge,
            ErrorKind::OutcomeUnknown,
        ];
        assert!(
            known.contains(&error.kind()),
            "{:?} {error} {context}",
            error.kind()
        );
        let text = format!("{error} {error:?}");
        assert!(!text.contains("annpw"), "the password is told: {context}");
        assert!(
            !error.to_string().contains(char::is_control),
            "{error:?} {context}"
        );
    };
    let session = Session::logon(server, Credentials::password(WHO, "annpw"));
    let session = session.inspect_err(typed).ok()?;
    let messages = session.inbox().messages().inspect_err(typed).ok()?;
    if fault.is_honest() {
        assert_eq!(
            messages.len() + messages.unreadable(),
            2,
            "not all are listed: {context}"
        );
    }
    let first = messages.iter().find(|message| message.subject() == "one")?;
    match first.text() {
        Ok(text) if fault.is_honest() => assert_eq!(text, TEXT, "half a message: {context}"),
        Ok(_) => {}
        Err(error) => typed(&error),
    }
    Some(first.delete().inspect_err(typed).is_ok())
}

/// After it the line is good: what was told as deleted is not shown, and all else is there, whole.
fn check_mailbox(server: &MailServer, deleted: Option<bool>, context: &str) {
    let session = Session::logon(server, Credentials::password(WHO, "annpw")).unwrap();
    let messages = session.inbox().messages().unwrap();
    let times = |subject: &str| {
        let of = messages
            .iter()
            .filter(|message| message.subject() == subject);
        of.inspect(|message| assert_eq!(message.text().unwrap(), TEXT, "{context}"))
            .count()
    };
    assert_eq!(times("two"), 1, "lost: {context}");
    match deleted {
        Some(true) => assert_eq!(times("one"), 0, "it came back: {context}"),
        Some(false) => assert!(times("one") <= 1, "{context}"),
        None => assert_eq!(times("one"), 1, "lost: {context}"),
    }
}

/// A broken line before a mailbox of Dovecot's.
fn break_mailbox(
    name: &str,
    port: impl Fn(&Dovecot) -> u16,
    open: impl Fn(u16, Duration) -> cdonts::MailServerBuilder,
) {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    let state = tempfile::tempdir().unwrap();
    let server = |port: u16, time| {
        let builder = open(port, time).state_dir(state.path().join("State"));
        builder.open().unwrap()
    };
    fill(&dovecot);
    let whole = Broken::new(port(&dovecot), usize::MAX, Fault::CutBefore);
    let done = use_mailbox(&server(whole.port, LONG), Fault::CutBefore, "a good line");
    assert_eq!(done, Some(true));
    let lines = whole.lines();
    assert!(lines > 10, "{lines}");
    let count = at_each_line(lines, |at, fault| {
        fill(&dovecot);
        let context = format!("{name}: line {at} {fault:?}");
        let broken = Broken::new(port(&dovecot), at, fault);
        let deleted = use_mailbox(&server(broken.port, PATIENCE), fault, &context);
        check_mailbox(&server(port(&dovecot), LONG), deleted, &context);
    });
    println!("network: {name}: {count} runs over {lines} lines");
}

#[test]
fn a_pop3_line_that_breaks_anywhere_loses_nothing() {
    break_mailbox(
        "POP3",
        |dovecot| dovecot.pop3,
        |port, time| {
            let pop3 = Pop3::plain("127.0.0.1").port(port).timeout(time);
            MailServer::builder().inbox(pop3)
        },
    );
}

#[test]
fn an_imap_line_that_breaks_anywhere_loses_nothing() {
    break_mailbox(
        "IMAP",
        |dovecot| dovecot.imap,
        |port, time| {
            let imap = Imap::plain("127.0.0.1").port(port).timeout(time);
            MailServer::builder().inbox(imap)
        },
    );
}

/// For whom messages were, and what was in them.
type Taken = Mutex<Vec<(Vec<String>, String)>>;

/// A relay that works, and what it took.
fn relay() -> (u16, Arc<Taken>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&taken);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let list = Arc::clone(&list);
            std::thread::spawn(move || serve(stream, &list));
        }
    });
    (port, taken)
}

fn serve(mut out: TcpStream, taken: &Taken) -> Option<()> {
    let mut lines = BufReader::new(out.try_clone().ok()?);
    let mut line = || {
        let mut line = String::new();
        let count = lines.read_line(&mut line).ok()?;
        (count > 0).then_some(line)
    };
    out.write_all(b"220 relay ready\r\n").ok()?;
    let mut recipients = Vec::new();
    loop {
        let command = line()?;
        let reply = match command.get(..4)?.to_ascii_uppercase().as_str() {
            "EHLO" => "250-relay\r\n250-8BITMIME\r\n250 SIZE 1000000\r\n",
            "MAIL" | "RSET" => {
                recipients.clear();
                "250 2.0.0 ok\r\n"
            }
            "RCPT" => {
                recipients.push(command.trim_end()[8..].trim_matches(['<', '>']).to_owned());
                "250 2.1.5 ok\r\n"
            }
            "DATA" => {
                out.write_all(b"354 go on\r\n").ok()?;
                let mut text = String::new();
                loop {
                    let line = line()?;
                    if line == ".\r\n" {
                        break;
                    }
                    text += line.strip_prefix('.').unwrap_or(&line);
                }
                taken.lock().unwrap().push((recipients.clone(), text));
                "250 2.0.0 taken\r\n"
            }
            "QUIT" => {
                let _ = out.write_all(b"221 bye\r\n");
                return None;
            }
            _ => "500 what?\r\n",
        };
        out.write_all(reply.as_bytes()).ok()?;
    }
}

/// A server whose clock is so many hours ahead.
fn sender(root: &Root, port: u16, hours: &Arc<AtomicU64>) -> MailServer {
    let hours = Arc::clone(hours);
    MailServer::builder()
        .mailroot(root.path())
        .create_directories()
        .local_domain("example.com")
        .pickup_writer(Writer::Renames)
        .drop_writer(Writer::Renames)
        .relay(Smtp::plain("127.0.0.1").port(port).timeout(PATIENCE * 3))
        .clock(move || {
            SystemTime::now() + Duration::from_secs(hours.load(Ordering::Relaxed) * 3600)
        })
        .open()
        .unwrap()
}

#[test]
fn an_smtp_line_that_breaks_anywhere_loses_nothing() {
    let send = |server: &MailServer| {
        let mail = NewMail::new(server).from("shop@example.com").subject("Hi");
        let mail = mail.to("jane@example.net; joe@example.net");
        mail.body("one\n.\n..two").send().unwrap();
    };
    let lines = {
        let (root, hours) = (Root::in_memory(), Arc::default());
        let (port, taken) = relay();
        let broken = Broken::new(port, usize::MAX, Fault::CutBefore);
        let server = sender(&root, broken.port, &hours);
        send(&server);
        server.deliver_now().unwrap();
        assert_eq!(taken.lock().unwrap().len(), 1);
        drop(server);
        broken.lines()
    };
    let count = at_each_line(lines, |at, fault| {
        let context = format!("SMTP: line {at} {fault:?}");
        let (root, hours) = (Root::in_memory(), Arc::new(AtomicU64::new(0)));
        let (port, taken) = relay();
        let broken = Broken::new(port, at, fault);
        let server = sender(&root, broken.port, &hours);
        send(&server);
        for later in [0, 1, 6, 12, 24] {
            hours.store(later, Ordering::Relaxed);
            assert_eq!(server.deliver_now().unwrap().problems(), [], "{context}");
        }
        assert!(
            server.queue().unwrap().is_empty(),
            "it waits for ever: {context}"
        );
        let taken = taken.lock().unwrap();
        let reports = root.files("Drop").len();
        assert!(reports <= 1, "told more than once: {context}");
        for to in ["jane@example.net", "joe@example.net"] {
            let of = taken
                .iter()
                .filter(|(all, _)| all.iter().any(|one| one == to));
            let texts: Vec<_> = of.map(|(_, text)| text).collect();
            let is_whole = |text: &&String| text.ends_with("\r\n\r\none\r\n.\r\n..two\r\n");
            assert!(texts.iter().all(is_whole), "{texts:?} {context}");
            assert!(texts.len() <= 2, "{} times: {context}", texts.len());
            assert!(!texts.is_empty() || reports == 1, "lost: {context}");
            if fault.is_honest() {
                assert!(
                    !texts.is_empty(),
                    "given up for a line that was cut: {context}"
                );
            }
        }
    });
    println!("network: SMTP: {count} runs over {lines} lines");
}
