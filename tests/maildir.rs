//! Maildirs of users, beside programs that rename, mark and remove what is in them.
#![cfg(feature = "maildir")]
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cdonts::{ErrorKind, MailServer, Maildir, Message, Session};

struct User {
    dir: tempfile::TempDir,
    server: MailServer,
}

fn make(maildir: &Path) {
    for name in ["new", "cur", "tmp"] {
        std::fs::create_dir_all(maildir.join(name)).unwrap();
    }
}

impl User {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        make(&dir.path().join("Maildir"));
        let maildir = Maildir::of("ann@example.com", dir.path().join("Maildir"));
        let server = MailServer::builder().inbox(maildir).open().unwrap();
        Self { dir, server }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("Maildir").join(name)
    }

    fn put(&self, name: &str, subject: &str) {
        let letter = format!(
            "Return-Path: <sam@example.net>\nDelivered-To: ann@example.com\n\
             From: sam@example.net\nSubject: {subject}\n\nHello.\n"
        );
        let temporary = self.path("tmp/being-written");
        std::fs::write(&temporary, letter).unwrap();
        std::fs::rename(temporary, self.path(name)).unwrap();
    }

    fn session(&self) -> Session {
        Session::logon_smtp(&self.server, "Ann", "ann@example.com").unwrap()
    }

    fn subjects(&self) -> Vec<String> {
        let messages = self.session().inbox().messages().unwrap();
        let mut subjects: Vec<_> = messages
            .iter()
            .map(|one| one.subject().to_owned())
            .collect();
        subjects.sort();
        subjects
    }

    fn message(&self, subject: &str) -> Message {
        let messages = self.session().inbox().messages().unwrap();
        messages
            .iter()
            .find(|one| one.subject() == subject)
            .unwrap()
    }
}

#[test]
fn names_of_every_form_are_messages_and_others_are_not() {
    let user = User::new();
    user.put("new/1.a.host", "new");
    user.put("cur/2.b.host:2,S", "seen");
    user.put("cur/3.c.host", "cur without flags");
    user.put("new/4.d.host:2,S", "new with flags");
    user.put("cur/5.e.host,S=100,W=105:2,FRS", "sizes");
    user.put("cur/6.f.host:2,ST", "to be removed by another program");
    user.put("cur/7.g.host:2,DT", "the same");
    user.put("tmp/8.h.host", "not delivered");
    user.put("new/.9.i.host", "hidden");
    std::fs::create_dir(user.path("new/10.dir")).unwrap();
    std::fs::create_dir_all(user.path(".Sent/cur")).unwrap();
    user.put(".Sent/cur/11.j.host:2,S", "in another folder");
    let all = [
        "cur without flags",
        "new",
        "new with flags",
        "seen",
        "sizes",
    ];
    assert_eq!(user.subjects(), all);
    assert_eq!(user.session().inbox().count().unwrap(), 5);
}

#[test]
fn a_message_that_another_program_renames_stays_the_same() {
    let user = User::new();
    user.put("new/1.a.host", "one");
    let message = user.message("one");
    std::fs::rename(user.path("new/1.a.host"), user.path("cur/1.a.host:2,S")).unwrap();
    assert_eq!(message.text().unwrap(), "Hello.\n");
    std::fs::rename(
        user.path("cur/1.a.host:2,S"),
        user.path("cur/1.a.host:2,RS"),
    )
    .unwrap();
    assert_eq!(message.reverse_path(), "sam@example.net");
    message.clone().delete().unwrap();
    assert!(!user.path("cur/1.a.host:2,RS").exists());
    assert_eq!(message.delete().unwrap_err().kind(), ErrorKind::MessageGone);
    assert!(user.subjects().is_empty());
}

#[test]
fn a_message_that_another_program_marks_as_deleted_is_gone() {
    let user = User::new();
    user.put("cur/1.a.host:2,S", "one");
    user.put("cur/2.b.host:2,S", "two");
    // With an index, too.
    user.message("two").delete().unwrap();
    assert_eq!(user.subjects(), ["one"]);
    let message = user.message("one");
    std::fs::rename(
        user.path("cur/1.a.host:2,S"),
        user.path("cur/1.a.host:2,ST"),
    )
    .unwrap();
    assert!(user.subjects().is_empty());
    assert_eq!(message.text().unwrap_err().kind(), ErrorKind::MessageGone);
    // Unmarked, it is there again.
    std::fs::rename(
        user.path("cur/1.a.host:2,ST"),
        user.path("cur/1.a.host:2,S"),
    )
    .unwrap();
    assert_eq!(user.subjects(), ["one"]);
}

#[test]
fn reading_changes_no_name_and_no_flag() {
    let user = User::new();
    user.put("new/1.a.host", "one");
    let message = user.message("one");
    message.text().unwrap();
    let mut source = Vec::new();
    message.write_to(&mut source).unwrap();
    assert!(user.path("new/1.a.host").exists());
    assert!(!String::from_utf8(source).unwrap().contains("Delivered-To"));
    assert_eq!(message.delivered_to(), "ann@example.com");
}

#[test]
fn a_missing_directory_is_no_empty_inbox() {
    let user = User::new();
    user.put("new/1.a.host", "one");
    let session = user.session();
    session.inbox().messages().unwrap();
    std::fs::rename(user.path("new"), user.path("gone")).unwrap();
    std::fs::remove_dir(user.path("cur")).unwrap();
    // Where a directory that was opened is still looked at, it has the message; else it is an error.
    assert!(session.inbox().count().map_or(true, |count| count == 1));
    drop(session);
    let maildir = Maildir::of("ann@example.com", user.path(""));
    let server = MailServer::builder().inbox(maildir).open().unwrap();
    let error = Session::logon_smtp(&server, "", "ann@example.com").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let nowhere = Maildir::new(user.dir.path().join("{user}").display().to_string());
    let server = MailServer::builder().inbox(nowhere).open().unwrap();
    let error = Session::logon_smtp(&server, "", "bob@example.com").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LogonFailed);
    assert!(
        !error.to_string().contains("bob"),
        "nobody learns who has a mailbox"
    );
    let nowhere = Maildir::of("ann@example.com", user.dir.path().join("nowhere"));
    let server = MailServer::builder().inbox(nowhere).open().unwrap();
    let error = Session::logon_smtp(&server, "", "ann@example.com").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PathNotFound);
}

#[test]
fn each_user_has_a_maildir_of_his_own() {
    let dir = tempfile::tempdir().unwrap();
    for user in ["ann", "bob"] {
        make(&dir.path().join("example.com").join(user));
    }
    let letter = "Delivered-To: bob@example.com\nFrom: a@example.net\nSubject: s\n\nx\n";
    // What a file says of its recipient counts for nothing: the directory tells.
    std::fs::write(dir.path().join("example.com/ann/new/1.a"), letter).unwrap();
    let pattern = dir.path().join("{domain}/{user}").display().to_string();
    let server = MailServer::builder()
        .inbox(Maildir::new(pattern))
        .open()
        .unwrap();
    let count = |address: &str| {
        let session = Session::logon_smtp(&server, "", address)?;
        session.inbox().count()
    };
    assert_eq!(count("ann@example.com").unwrap(), 1);
    assert_eq!(count("Ann@EXAMPLE.com").unwrap(), 1);
    assert_eq!(count("bob@example.com").unwrap(), 0);
    for odd in [
        "\"../ann\"@example.com",
        "\".\"@example.com",
        "\"a/b\"@example.com",
    ] {
        let error = count(odd).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LogonFailed, "{odd}");
    }
}

#[test]
fn a_folder_is_a_directory_of_maildir_plus_plus() {
    let user = User::new();
    make(&user.path(".Tickets.Open"));
    user.put(".Tickets.Open/new/1.a.host", "ticket");
    user.put("new/1.a.host", "inbox");
    let maildir = Maildir::of("ann@example.com", user.path("")).folder("Tickets/Open");
    let server = MailServer::builder().inbox(maildir).open().unwrap();
    let session = Session::logon_smtp(&server, "", "ann@example.com").unwrap();
    let messages = session.inbox().messages().unwrap();
    assert_eq!(
        (messages.len(), messages.get(0).unwrap().subject()),
        (1, "ticket")
    );
    assert_eq!(user.subjects(), ["inbox"]);
}

#[test]
fn a_quota_is_told_of_what_is_removed() {
    let user = User::new();
    user.put("new/1.a.host", "one");
    let size = std::fs::metadata(user.path("new/1.a.host")).unwrap().len();
    std::fs::write(user.path("maildirsize"), "1000000S\n500 1\n").unwrap();
    user.message("one").delete().unwrap();
    let counted = std::fs::read_to_string(user.path("maildirsize")).unwrap();
    assert_eq!(counted, format!("1000000S\n500 1\n-{size} -1\n"));
    // Of a folder too: there is one count for all.
    make(&user.path(".Tickets"));
    user.put(".Tickets/new/1.a.host", "one");
    let maildir = Maildir::of("ann@example.com", user.path("")).folder("Tickets");
    let server = MailServer::builder().inbox(maildir).open().unwrap();
    let session = Session::logon_smtp(&server, "", "ann@example.com").unwrap();
    session.inbox().messages().unwrap().delete_all().unwrap();
    let counted = std::fs::read_to_string(user.path("maildirsize")).unwrap();
    assert_eq!(counted.matches(" -1\n").count(), 2, "{counted}");
    std::fs::remove_file(user.path("maildirsize")).unwrap();
    user.put("new/2.b.host", "two");
    user.message("two").delete().unwrap();
    assert!(!user.path("maildirsize").exists());
}

#[test]
fn what_is_remembered_lies_in_the_maildir_and_moves_with_it() {
    let user = User::new();
    user.put("new/1.a.host", "one");
    user.put("new/2.b.host", "two");
    user.message("one").delete().unwrap();
    assert!(user.path("cdonts").is_dir());
    let elsewhere = user.dir.path().join("elsewhere");
    std::fs::rename(user.path(""), &elsewhere).unwrap();
    let maildir = Maildir::of("ann@example.com", &elsewhere);
    let server = MailServer::builder().inbox(maildir).open().unwrap();
    let session = Session::logon_smtp(&server, "", "ann@example.com").unwrap();
    assert_eq!(session.inbox().count().unwrap(), 1);
    session.inbox().messages().unwrap().delete_all().unwrap();
    assert_eq!(session.inbox().count().unwrap(), 0);
}

#[test]
fn messages_that_are_renamed_all_the_time_are_all_listed() {
    const COUNT: usize = 200;
    let user = User::new();
    for number in 0..COUNT {
        user.put(&format!("new/{number}.a.host"), &format!("{number:04}"));
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0;
            while !stop.load(Ordering::Relaxed) {
                for number in (0..COUNT).step_by(7) {
                    let (new, cur) = (
                        format!("new/{number}.a.host"),
                        format!("cur/{number}.a.host:2,S"),
                    );
                    let (from, to) = if round % 2 == 0 {
                        (new, cur)
                    } else {
                        (cur, new)
                    };
                    std::fs::rename(user.path(&from), user.path(&to)).unwrap();
                }
                round += 1;
                std::thread::sleep(Duration::from_millis(3));
            }
        });
        // A failure must end the renaming too.
        let listed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..30 {
                let subjects = user.subjects();
                let unique: HashSet<_> = subjects.iter().collect();
                assert_eq!(unique.len(), subjects.len(), "one comes twice");
                assert_eq!(subjects.len(), COUNT);
            }
        }));
        stop.store(true, Ordering::Relaxed);
        listed.unwrap();
    });
}

#[test]
fn two_programs_delete_the_same_messages_and_each_is_deleted_once() {
    let user = User::new();
    for number in 0..100 {
        user.put(&format!("new/{number}.a.host"), &number.to_string());
    }
    let delete = || {
        let maildir = Maildir::of("ann@example.com", user.path(""));
        let server = MailServer::builder().inbox(maildir).open().unwrap();
        let session = Session::logon_smtp(&server, "", "ann@example.com").unwrap();
        session.inbox().messages().unwrap().delete_all().unwrap()
    };
    let deleted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(delete)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(deleted, 100);
    assert!(user.subjects().is_empty());
}

#[cfg(feature = "watch")]
#[test]
fn a_watch_sees_what_is_renamed_into_new() {
    let user = User::new();
    user.put("new/1.a.host", "one");
    let mut watch = user.session().inbox().watch().unwrap();
    user.put("new/2.b.host", "two");
    let message = watch.next_within(Duration::from_secs(20)).unwrap().unwrap();
    assert_eq!(message.subject(), "two");
    // A message that is only marked as read is none that is new.
    std::fs::rename(user.path("new/1.a.host"), user.path("cur/1.a.host:2,S")).unwrap();
    assert!(
        watch
            .next_within(Duration::from_millis(700))
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_place_that_cannot_be_a_mailbox_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("Maildir");
    for name in ["new", "cur", "tmp"] {
        std::fs::create_dir_all(path.join(name)).unwrap();
    }
    let open = |maildir: Maildir| {
        let server = MailServer::builder().inbox(maildir).open().unwrap();
        Session::logon_smtp(&server, "", "ann@example.com").map(drop)
    };
    let own = || Maildir::of("ann@example.com", &path);
    open(own().durable(false).group_shared(true)).unwrap();
    for (maildir, kind) in [
        (Maildir::of("no address", &path), ErrorKind::InvalidAddress),
        (own().folder("a//b"), ErrorKind::InvalidValue),
        (own().folder("a.b"), ErrorKind::InvalidValue),
        (own().folder("../up"), ErrorKind::InvalidValue),
        (own().folder("none"), ErrorKind::PathNotFound),
        (
            Maildir::of("ann@example.com", dir.path()),
            ErrorKind::Configuration,
        ),
    ] {
        let told = format!("{maildir:?}");
        let error = open(maildir).unwrap_err();
        assert_eq!(error.kind(), kind, "{told}: {error}");
    }
}
