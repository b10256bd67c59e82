//! The way to a mailbox by POP3 and by IMAP.

use std::time::Duration;

use super::at_each_call;
use super::dovecot::Dovecot;
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
            one.map_or(Ok(()), |one| one.delete())?;
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
    let all = std::env::var("CDONTS_RUNS").is_ok_and(|runs| runs == "all");
    if all { 1 } else { 5 }
}

fn each_works_or_tells(name: &str, dovecot: &Dovecot, open: impl Fn() -> MailServerBuilder) {
    for (work_name, work) in WORKS {
        fill(dovecot);
        for lasts in [false, true] {
            let run = || {
                let server = open().open().unwrap();
                let done = work(&server);
                (server, done)
            };
            let calls = at_each_call(lasts, step(), run, |n, (server, done), has_failed| {
                let context = format!("{name}: {work_name}, call {n}, {lasts}");
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
                    session.and_then(|session| session.inbox().count())
                };
                let calls = at_each_call(true, 1, run, |n, done, _| {
                    if let Err(error) = done {
                        check(&error, &format!("{name} {security:?}, call {n}"));
                    }
                });
                assert!(calls > 4, "{name} {calls}");
            }
        }
    }
}
