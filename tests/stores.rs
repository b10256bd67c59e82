//! The same program over every store: one suite of checks, unchanged.
#![cfg(all(feature = "maildir", feature = "pop3", feature = "imap"))]
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

#[path = "support/conformance.rs"]
mod conformance;
#[cfg(target_os = "linux")]
#[path = "support/dovecot.rs"]
mod dovecot;
mod support;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use cdonts::{Credentials, Durability, Imap, MailServer, Maildir, Pop3, Roots, Session};
use conformance::{Fixture, conforms};

struct Drop {
    server: MailServer,
}

impl Fixture for Drop {
    fn log_on(&self) -> Session {
        Session::logon_smtp(&self.server, "Ann", "ann@example.com").unwrap()
    }

    fn log_on_other(&self) -> Session {
        Session::logon_smtp(&self.server, "Bob", "bob@example.com").unwrap()
    }

    fn deliver(&self, message: &str) {
        static NAMES: AtomicUsize = AtomicUsize::new(0);
        let number = NAMES.fetch_add(1, Ordering::Relaxed);
        let drop = self.server.drop_dir().unwrap();
        let text = format!("x-sender: sam@example.net\r\nx-receiver: ann@example.com\r\n{message}");
        write_renamed(drop, &format!("{number:06}.eml"), &text);
    }
}

fn write_renamed(dir: &Path, name: &str, text: &str) {
    let temporary = dir.with_file_name("being-written");
    std::fs::write(&temporary, text).unwrap();
    std::fs::rename(temporary, dir.join(name)).unwrap();
}

#[test]
fn a_drop_conforms() {
    let builder = MailServer::builder().local_domain("example.com");
    let server = builder
        .durability(Durability::Atomic)
        .open_temporary()
        .unwrap();
    conforms(&Drop { server });
}

struct Maildirs {
    dir: tempfile::TempDir,
    server: MailServer,
}

impl Fixture for Maildirs {
    fn log_on(&self) -> Session {
        Session::logon_smtp(&self.server, "Ann", "ann@example.com").unwrap()
    }

    fn log_on_other(&self) -> Session {
        Session::logon_smtp(&self.server, "Bob", "bob@example.com").unwrap()
    }

    fn deliver(&self, message: &str) {
        static NAMES: AtomicUsize = AtomicUsize::new(0);
        let number = NAMES.fetch_add(1, Ordering::Relaxed);
        let text = format!(
            "Return-Path: <sam@example.net>\nDelivered-To: ann@example.com\n{}",
            message.replace("\r\n", "\n")
        );
        let new = self.dir.path().join("example.com/ann/new");
        write_renamed(&new, &format!("1700000000.M{number:06}.host"), &text);
    }
}

#[test]
fn a_maildir_conforms() {
    let dir = tempfile::tempdir().unwrap();
    for user in ["ann", "bob"] {
        for name in ["new", "cur", "tmp"] {
            std::fs::create_dir_all(dir.path().join("example.com").join(user).join(name)).unwrap();
        }
    }
    let pattern = dir.path().join("{domain}/{user}").display().to_string();
    let server = MailServer::builder()
        .inbox(Maildir::new(pattern))
        .open()
        .unwrap();
    conforms(&Maildirs { dir, server });
}

#[cfg(target_os = "linux")]
struct OnDovecot<'a> {
    dovecot: &'a dovecot::Dovecot,
    server: MailServer,
}

#[cfg(target_os = "linux")]
impl Fixture for OnDovecot<'_> {
    fn log_on(&self) -> Session {
        let who = Credentials::password("ann@example.com", "annpw");
        Session::logon(&self.server, who).unwrap()
    }

    fn log_on_other(&self) -> Session {
        let who = Credentials::password("bob@example.com", "bobpw");
        Session::logon(&self.server, who).unwrap()
    }

    fn deliver(&self, message: &str) {
        self.dovecot.deliver("ann", message.as_bytes());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_pop3_mailbox_conforms() {
    let Some(dovecot) = dovecot::Dovecot::start() else {
        return;
    };
    let roots = Roots::Only(dovecot.certificate());
    let pop3 = Pop3::new("localhost")
        .unwrap()
        .port(dovecot.pop3s)
        .roots(&roots)
        .unwrap();
    let server = MailServer::builder().inbox(pop3).open().unwrap();
    conforms(&OnDovecot {
        dovecot: &dovecot,
        server,
    });
}

#[cfg(target_os = "linux")]
#[test]
fn an_imap_mailbox_conforms() {
    let Some(dovecot) = dovecot::Dovecot::start() else {
        return;
    };
    let roots = Roots::Only(dovecot.certificate());
    let imap = Imap::new("localhost")
        .unwrap()
        .port(dovecot.imaps)
        .roots(&roots)
        .unwrap();
    let server = MailServer::builder().inbox(imap).open().unwrap();
    conforms(&OnDovecot {
        dovecot: &dovecot,
        server,
    });
}
