//! The way to a mailbox by POP3 and by IMAP.

use std::cell::Cell;
use std::time::Duration;

use super::broken::{altered, altered_by, refusing_pop3};
use super::dovecot::Dovecot;
use super::{Then, at_each_call};
use crate::fs::Probe;
use crate::fs::double::{Fault as Failing, Plan};
use crate::fuse::{Fuse, NET};
use crate::{
    Credentials, Cursor, ErrorKind, Imap, MailServer, MailServerBuilder, Message, Pop3, Roots,
    Security, Session,
};

const WHO: &str = "ann@example.com";
const TEXT: &str = "The first line.\r\nThe last line.\r\n";

fn password() -> Credentials {
    Credentials::password(WHO, "annpw")
}

/// Letters, and one with an attachment, which IMAP fetches apart.
fn fill(dovecot: &Dovecot) {
    dovecot.doveadm(&["expunge", "-u", WHO, "mailbox", "INBOX", "all"]);
    let head = format!("From: sam@example.net\r\nTo: {WHO}\r\nSubject");
    for subject in ["one", "two", "three"] {
        let letter = format!("{head}: {subject}\r\n\r\n{TEXT}");
        dovecot.deliver("ann", letter.as_bytes());
    }
    let data = "AAAA".repeat(19) + "\r\n";
    let parts = format!(
        "{head}: parts\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n{TEXT}\r\n--b\r\n\
         Content-Type: application/octet-stream; name=a.bin\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
        data.repeat(4000)
    );
    dovecot.deliver("ann", parts.as_bytes());
}

fn read(message: &Message) -> crate::Result<()> {
    assert_eq!(message.text()?.trim_end(), TEXT.trim_end());
    if message.subject() == "parts" {
        let attachments = message.attachments()?;
        assert_eq!(attachments.get(0).unwrap().read()?.len(), 4000 * 57);
    }
    message.headers().map(drop)
}

type Work = fn(&MailServer) -> crate::Result<()>;

/// How many messages are seen.
type Look = fn(&MailServer) -> crate::Result<usize>;

/// Each is a session of its own, which asks for some things.
const WORKS: [(&str, Work); 6] = [
    ("count", |server| {
        let inbox = Session::logon(server, password())?.inbox();
        inbox.count().map(|count| assert_eq!(count, 4))
    }),
    ("list and read", |server| {
        let messages = Session::logon(server, password())?.inbox().messages()?;
        messages.iter().try_for_each(|message| read(&message))
    }),
    ("pages", |server| {
        let inbox = Session::logon(server, password())?.inbox();
        for message in inbox.newest_first()? {
            read(&message?)?;
        }
        inbox.stream()?.try_for_each(|message| message.map(drop))
    }),
    ("since", |server| {
        let inbox = Session::logon(server, password())?.inbox();
        let since = inbox.messages_since(&Cursor::default());
        match since.and_then(|since| inbox.messages_since(&since.cursor)) {
            Err(error) if error.kind() == ErrorKind::NotSupported => Ok(()),
            since => since.map(|since| assert!(since.messages.is_empty())),
        }
    }),
    ("watch", |server| {
        let mut watch = Session::logon(server, password())?.inbox().watch()?;
        watch.next_within(Duration::from_millis(5)).map(drop)
    }),
    ("delete", |server| {
        let mut messages = Session::logon(server, password())?.inbox().messages()?;
        for subject in ["one", "two"] {
            let one = messages.iter().find(|one| one.subject() == subject);
            one.map_or(Ok(()), Message::delete)?;
        }
        messages.delete_all().map(drop)
    }),
];

/// What can be said of a mailbox that is not reached.
fn check(error: &crate::Error, context: &str) {
    let known = [
        ErrorKind::Network,
        ErrorKind::LogonFailed,
        ErrorKind::NotPrivate,
        ErrorKind::MessageGone,
        ErrorKind::OutcomeUnknown,
    ];
    assert!(known.contains(&error.kind()), "{error:?} {context}");
}

/// Each call in a long run, some in a short one.
fn step() -> usize {
    if crate::faults::is_long() { 1 } else { 5 }
}

fn each_works_or_tells(name: &str, dovecot: &Dovecot, open: impl Fn() -> MailServerBuilder) {
    for (work_name, work) in WORKS {
        fill(dovecot);
        let mut kinds = vec![Then::Works, Then::Fails];
        // What is begun over another connection fails there too.
        if work_name == "delete" {
            let some = if step() == 1 { 0..14 } else { 9..10 };
            kinds.extend(some.map(Then::FailsAfter));
        }
        for then in kinds {
            let run = || {
                let server = open().open().unwrap();
                let done = work(&server);
                (server, done)
            };
            let calls = at_each_call(then, step(), run, |n, (server, done), has_failed| {
                let context = format!("{name}: {work_name}, call {n}, {then:?}");
                match done {
                    Ok(()) => {}
                    Err(error) if has_failed => check(&error, &context),
                    Err(error) => panic!("{context}: {error}"),
                }
                // The same server finds its way again.
                let session = Session::logon(&server, password()).unwrap();
                let messages = session.inbox().messages().unwrap();
                assert_eq!(messages.problems(), [], "{context}");
                if work_name == "delete" {
                    fill(dovecot);
                } else {
                    assert_eq!(messages.len(), 4, "{context}");
                }
            });
            assert!(calls > 4, "{name} {work_name} {calls}");
        }
    }
}

#[test]
fn whatever_fails_of_the_line_to_a_mailbox_is_told_and_it_is_found_again() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    let time = Duration::from_secs(20);
    let imap = || {
        let imap = Imap::plain("127.0.0.1").port(dovecot.imap).timeout(time);
        MailServer::builder().inbox(imap.poll_every(Duration::from_millis(5)))
    };
    let pop3 = || {
        let pop3 = Pop3::plain("127.0.0.1").port(dovecot.pop3).timeout(time);
        MailServer::builder().inbox(pop3.poll_every(Duration::from_millis(5)))
    };
    each_works_or_tells("IMAP", &dovecot, imap);
    each_works_or_tells("POP3", &dovecot, pop3);
}

#[test]
fn whatever_fails_of_a_log_on_is_told() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    dovecot.doveadm(&["mailbox", "create", "-u", WHO, "Sub", "Sub.ü"]);
    let roots = || Roots::Only(dovecot.certificate());
    let time = Duration::from_secs(20);
    for (security, imap, pop3) in [
        (Security::StartTls, dovecot.imap, dovecot.pop3),
        (Security::Implicit, dovecot.imaps, dovecot.pop3s),
    ] {
        let imap = || {
            let imap = Imap::new("localhost").port(imap).timeout(time);
            let imap = imap.security(security).roots(roots()).folder("Sub/ü");
            MailServer::builder().inbox(imap)
        };
        let pop3 = || {
            let pop3 = Pop3::new("localhost").port(pop3).timeout(time);
            MailServer::builder().inbox(pop3.security(security).roots(roots()))
        };
        let opens: [(&str, &dyn Fn() -> MailServerBuilder); 2] = [("IMAP", &imap), ("POP3", &pop3)];
        for (name, open) in opens {
            for credentials in [password(), Credentials::token(WHO, "no token")] {
                let run = || {
                    let server = open().open().unwrap();
                    let session = Session::logon(&server, credentials.clone());
                    session.and_then(|session| {
                        session
                            .inbox()
                            .newest_first()?
                            .try_for_each(|one| one.map(drop))
                    })
                };
                let calls = at_each_call(Then::Fails, 1, run, |n, done, _| {
                    if let Err(error) = done {
                        check(&error, &format!("{name} {security:?}, call {n}"));
                    }
                });
                assert!(calls > 4, "{name} {calls}");
            }
        }
    }
}

/// Servers that can do less, or say less than they were asked.
#[test]
fn whatever_fails_of_the_line_to_a_poor_server_is_told() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    fill(&dovecot);
    let time = Duration::from_secs(20);
    let pop3 =
        |port| MailServer::builder().inbox(Pop3::plain("127.0.0.1").port(port).timeout(time));
    let imap =
        |port| MailServer::builder().inbox(Imap::plain("127.0.0.1").port(port).timeout(time));
    let is_size = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_number = |word: &&str| word.bytes().all(|byte| byte.is_ascii_digit());
        // Not how many there are.
        let is_of_one = words.len() == 3 && words[0] == "+OK" && words[1] != "4";
        is_of_one && words[1..].iter().all(is_number)
    };
    let without = |words: &'static [&'static str], port| {
        let is_kept = move |line: &str| !words.contains(&line.trim_end());
        altered_by(port, move |line| is_kept(line).then(|| line.to_owned()))
    };
    let poor = [
        (
            "no pipelining",
            pop3(without(&["PIPELINING"], dovecot.pop3)),
        ),
        (
            "nothing",
            pop3(without(&["PIPELINING", "TOP"], dovecot.pop3)),
        ),
        (
            "no sizes",
            pop3(altered_by(dovecot.pop3, move |line| {
                Some(if is_size(line) { "-ERR no\r\n" } else { line }.to_owned())
            })),
        ),
        (
            "no sizes of IMAP",
            imap(altered(dovecot.imap, "RFC822.SIZE ", "RFC822.SIZE x")),
        ),
    ];
    for (name, builder) in poor {
        let server = builder.open().unwrap();
        for then in [Then::Works, Then::Fails] {
            let run = || {
                let messages = Session::logon(&server, password())?.inbox().messages()?;
                for message in &messages {
                    read(&message)?;
                }
                crate::Result::Ok(messages.len())
            };
            let calls = at_each_call(then, step(), run, |n, done, has_failed| {
                let context = format!("{name}: {n}, {then:?}");
                match done {
                    Ok(count) => assert_eq!(count, 4, "{context}"),
                    Err(error) => {
                        assert!(
                            has_failed || name == "no sizes of IMAP",
                            "{context} {error}"
                        );
                        check(&error, &context);
                    }
                }
            });
            assert!(calls > 4, "{name} {calls}");
        }
    }
}

/// A server that refuses one of its answers, and is gone then: why nothing is known of a message
/// cannot be found out.
#[test]
fn whatever_fails_after_a_refusal_is_told() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    fill(&dovecot);
    let time = Duration::from_secs(20);
    let mut told = 0;
    for refused in 4..16 {
        let run = || {
            let (port, _) = refusing_pop3(dovecot.pop3, refused);
            let pop3 = Pop3::plain("127.0.0.1").port(port).timeout(time);
            let server = MailServer::builder().inbox(pop3).open().unwrap();
            let messages = Session::logon(&server, password())?.inbox().messages()?;
            messages.iter().try_for_each(|message| read(&message))
        };
        at_each_call(Then::Fails, step(), run, |n, done, _| {
            if let Err(error) = done {
                check(&error, &format!("answer {refused} refused, call {n}"));
                told += 1;
            }
        });
    }
    assert!(told > 12, "{told}");
}

/// What was to be deleted when the line was lost is not shown any more, whatever fails then: of the
/// line, and of the disk on which it is written down.
#[test]
fn whatever_fails_of_what_is_to_be_deleted_again_is_told() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    let time = Duration::from_secs(20);
    for name in ["IMAP", "POP3"] {
        let open = |state: &std::path::Path, probe: Probe| {
            let builder = MailServer::builder().state_dir(state);
            let mut builder = if name == "IMAP" {
                builder.inbox(Imap::plain("127.0.0.1").port(dovecot.imap).timeout(time))
            } else {
                builder.inbox(Pop3::plain("127.0.0.1").port(dovecot.pop3).timeout(time))
            };
            builder.probe = probe;
            builder.open().unwrap()
        };
        // A deletion of which nobody knows whether it was done; from that call on it is so.
        let first = Cell::new(0);
        let noted = |state: &std::path::Path| {
            for n in first.get().. {
                first.set(n);
                fill(&dovecot);
                let server = open(state, Probe::default());
                let mut messages = Session::logon(&server, password())
                    .unwrap()
                    .inbox()
                    .messages()
                    .unwrap();
                NET.with(|fuse| fuse.set_then(n, Then::Fails));
                let deleted = messages.delete_all();
                assert!(NET.with(Fuse::take), "{name}: it was never unknown");
                let is_unknown = |error: &crate::Error| error.kind() == ErrorKind::OutcomeUnknown;
                if deleted.is_err_and(|error| is_unknown(&error)) {
                    break;
                }
            }
        };
        let looks: [(&str, Look); 2] = [
            ("list", |server| {
                Ok(Session::logon(server, password())?
                    .inbox()
                    .messages()?
                    .len())
            }),
            ("page", |server| {
                let newest = Session::logon(server, password())?.inbox().newest_first()?;
                newest.map(|one| one.map(|_| 1)).sum()
            }),
        ];
        for (look_name, look) in looks {
            // So many calls of each are made to fail.
            for n in (0..30).step_by(1 + step()) {
                for of_disk in [false, true] {
                    let context = format!("{name} {look_name} {n} {of_disk}");
                    let (state, plan) = (tempfile::tempdir().unwrap(), Plan::new());
                    noted(state.path());
                    let server = open(state.path(), plan.probe());
                    if of_disk {
                        plan.arm(n, Failing::Before(std::io::ErrorKind::Other));
                    } else {
                        NET.with(|fuse| fuse.set_then(n, Then::Fails));
                    }
                    match look(&server) {
                        Ok(count) => assert_eq!(count, 0, "{context}"),
                        Err(error) if of_disk => assert!(error.path().is_some(), "{context}"),
                        Err(error) => check(&error, &context),
                    }
                    NET.with(Fuse::take);
                    plan.disarm();
                    assert_eq!(look(&server).unwrap(), 0, "{context}");
                }
            }
        }
    }
}
