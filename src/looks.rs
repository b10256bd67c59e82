//! What a look at the drop costs: exactly which calls it makes, counted by the double of the file
//! system; and what it may not conclude.

#![allow(clippy::disallowed_methods, reason = "tests may write files")]

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::fs::double::Plan;
use crate::fs::{Op, Probe};
use crate::{MailServer, Session, Writer};

pub(crate) struct Fixture {
    root: TempDir,
    plan: Arc<Plan>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in ["Pickup", "Drop", "State"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        Self {
            root,
            plan: Plan::new(),
        }
    }

    pub(crate) fn drop_dir(&self) -> PathBuf {
        self.root.path().join("Drop")
    }

    pub(crate) fn server_with(&self, probe: Probe) -> MailServer {
        let mut builder = MailServer::builder()
            .mailroot(self.root.path())
            .drop_writer(Writer::Renames);
        builder.probe = probe;
        builder.open().unwrap()
    }

    /// Where another program writes in place.
    pub(crate) fn server_in_place(&self, probe: Probe) -> MailServer {
        let settle = Duration::from_millis(1);
        let mut builder = MailServer::builder()
            .mailroot(self.root.path())
            .drop_writer(Writer::InPlace { settle });
        builder.probe = probe;
        builder.open().unwrap()
    }

    /// A program that starts now, whose calls are counted.
    fn watched(&self) -> MailServer {
        let server = self.server_with(self.plan.probe());
        self.plan.disarm();
        server
    }

    pub(crate) fn write(&self, name: &str, to: &[&str], subject: &str) {
        let run: String = to
            .iter()
            .map(|to| format!("X-Receiver: {to}@example.com\r\n"))
            .collect();
        let text = format!("X-Sender: s@x.example\r\n{run}Subject: {subject}\r\n\r\ntext\r\n");
        std::fs::write(self.drop_dir().join(name), text).unwrap();
    }

    /// Makes the drop look as if nothing had happened in it for a while.
    pub(crate) fn rest(&self, seconds: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds);
        File::open(self.drop_dir())
            .unwrap()
            .set_modified(time)
            .unwrap();
    }

    /// Calls since the last time on the drop, and on what is in it.
    fn calls(&self) -> (Vec<Op>, Vec<(Op, String)>) {
        let drop = self.drop_dir();
        let calls = self.plan.disarm();
        let own = calls.iter().filter(|(_, path)| *path == drop);
        let within = calls.iter().filter_map(|(op, path)| {
            let name = path.strip_prefix(&drop).ok()?.to_str()?.to_owned();
            (!name.is_empty()).then_some((*op, name))
        });
        (own.map(|(op, _)| *op).collect(), within.collect())
    }
}

fn subjects(server: &MailServer, address: &str) -> Vec<String> {
    let session = Session::logon_smtp(server, "", format!("{address}@example.com")).unwrap();
    let messages = session.inbox().messages().unwrap();
    messages
        .iter()
        .map(|message| message.subject().to_owned())
        .collect()
}

#[test]
fn a_second_log_on_reads_no_message_and_does_not_list_the_drop() {
    let fixture = Fixture::new();
    for number in 0..5 {
        fixture.write(&format!("{number}.eml"), &["jane"], &number.to_string());
    }
    fixture.rest(0);
    let first = fixture.watched();
    assert_eq!(subjects(&first, "jane").len(), 5);
    let (own, within) = fixture.calls();
    assert_eq!(own.iter().filter(|op| **op == Op::List).count(), 1);
    let opened = within.iter().filter(|(op, _)| *op == Op::Open).count();
    let read = within.iter().filter(|(op, _)| *op == Op::Read).count();
    assert_eq!((opened, read), (5, 5), "{within:?}");
    // Another program.
    let second = fixture.watched();
    assert_eq!(subjects(&second, "jane").len(), 5);
    assert_eq!(subjects(&second, "joe").len(), 0);
    let (own, within) = fixture.calls();
    assert!(own.iter().all(|op| *op == Op::Stat), "{own:?}");
    assert_eq!(within, []);
}

#[test]
fn after_new_files_came_only_they_are_read() {
    let fixture = Fixture::new();
    for number in 0..300 {
        fixture.write(&format!("{number}.eml"), &["joe"], "old");
    }
    fixture.rest(0);
    assert_eq!(subjects(&fixture.watched(), "joe").len(), 300);
    fixture.write("new1.eml", &["jane"], "new");
    fixture.write("new2.eml", &["joe"], "new");
    fixture.rest(1);
    let server = fixture.watched();
    assert_eq!(subjects(&server, "jane"), ["new"]);
    let (own, within) = fixture.calls();
    assert_eq!(own.iter().filter(|op| **op == Op::List).count(), 1);
    let mut opened: Vec<_> = within
        .iter()
        .filter(|(op, _)| *op == Op::Open)
        .map(|(_, name)| name.as_str())
        .collect();
    opened.sort_unstable();
    assert_eq!(opened, ["new1.eml", "new2.eml"]);
}

#[test]
fn a_directory_as_young_as_the_clock_proves_nothing() {
    let fixture = Fixture::new();
    fixture.write("a.eml", &["jane"], "a");
    let young = SystemTime::now();
    let touch = || {
        let drop = File::open(fixture.drop_dir()).unwrap();
        drop.set_modified(young).unwrap();
    };
    touch();
    let server = fixture.watched();
    assert_eq!(subjects(&server, "jane"), ["a"]);
    // Within the same tick of the clock.
    fixture.write("b.eml", &["jane"], "b");
    touch();
    assert_eq!(subjects(&server, "jane"), ["a", "b"]);
}

/// What is renamed within one tick of the clock can be missed unseen.
#[test]
fn the_names_of_a_maildir_as_young_as_the_clock_are_read_twice() {
    let fixture = Fixture::new();
    for name in ["new", "cur", "tmp"] {
        std::fs::create_dir(fixture.drop_dir().join(name)).unwrap();
    }
    fixture.write("new/a", &["jane"], "a");
    let lists_at = |time: SystemTime| {
        for name in ["new", "cur"] {
            let dir = File::open(fixture.drop_dir().join(name)).unwrap();
            dir.set_modified(time).unwrap();
        }
        let server = fixture.watched();
        assert_eq!(subjects(&server, "jane"), ["a"]);
        let is_list = |(op, name): &&(Op, String)| *op == Op::List && name == "cur";
        fixture.calls().1.iter().filter(is_list).count()
    };
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    assert_eq!(lists_at(old), 1);
    assert_eq!(lists_at(SystemTime::now()), 2);
}

#[test]
fn a_file_that_was_unsettled_is_looked_at_again_although_the_directory_is_the_same() {
    let fixture = Fixture::new();
    let open = || {
        MailServer::builder()
            .mailroot(fixture.root.path())
            .drop_writer(Writer::InPlace {
                settle: Duration::from_millis(30),
            })
            .open()
            .unwrap()
    };
    std::fs::write(fixture.drop_dir().join("a.eml"), "").unwrap();
    fixture.rest(0);
    assert_eq!(subjects(&open(), "jane"), [""; 0]);
    fixture.write("a.eml", &["jane"], "now");
    fixture.rest(0);
    assert_eq!(subjects(&open(), "jane"), ["now"]);
}

#[test]
fn deleting_in_any_way_is_seen_by_every_program() {
    let fixture = Fixture::new();
    for name in ["a", "b", "c"] {
        fixture.write(&format!("{name}.eml"), &["jane", "joe"], name);
    }
    fixture.rest(0);
    let (one, two) = (fixture.server_with(Probe::default()), fixture.watched());
    assert_eq!(subjects(&one, "jane").len(), 3);
    assert_eq!(subjects(&two, "jane").len(), 3);
    // For one of two: the file stays, and so does the directory.
    let session = Session::logon_smtp(&one, "", "jane@example.com").unwrap();
    session
        .inbox()
        .messages()
        .unwrap()
        .get(0)
        .unwrap()
        .delete()
        .unwrap();
    fixture.rest(0);
    assert_eq!(subjects(&two, "jane"), ["b", "c"]);
    assert_eq!(subjects(&two, "joe"), ["a", "b", "c"]);
    let inbox = Session::logon_smtp(&two, "", "jane@example.com")
        .unwrap()
        .inbox();
    assert_eq!(inbox.count().unwrap(), 2);
    // By another program, without a word to the index.
    std::fs::remove_file(fixture.drop_dir().join("b.eml")).unwrap();
    assert_eq!(subjects(&two, "jane"), ["c"]);
    assert_eq!(subjects(&two, "joe"), ["a", "c"]);
}

#[test]
fn a_name_that_comes_again_is_seen_at_once() {
    let fixture = Fixture::new();
    fixture.write("a.eml", &["jane"], "first");
    fixture.rest(0);
    let (one, two) = (fixture.server_with(Probe::default()), fixture.watched());
    assert_eq!(subjects(&two, "jane"), ["first"]);
    for round in 0..20 {
        let session = Session::logon_smtp(&one, "", "jane@example.com").unwrap();
        session
            .inbox()
            .messages()
            .unwrap()
            .get(0)
            .unwrap()
            .delete()
            .unwrap();
        let subject = format!("again {round}");
        fixture.write("a.eml", &["jane"], &subject);
        assert_eq!(subjects(&one, "jane"), std::slice::from_ref(&subject));
        assert_eq!(subjects(&two, "jane"), [subject]);
    }
}

#[test]
fn a_full_check_is_due_when_the_clock_was_ahead() {
    let fixture = Fixture::new();
    let open = || {
        MailServer::builder()
            .mailroot(fixture.root.path())
            .drop_writer(Writer::InPlace {
                settle: Duration::ZERO,
            })
            .open()
            .unwrap()
    };
    fixture.write("a.eml", &["jane"], "hers");
    fixture.rest(0);
    let server = open();
    assert_eq!(subjects(&server, "jane"), ["hers"]);
    let session = Session::logon_smtp(&server, "", "jane@example.com").unwrap();
    let hers = session.inbox().messages().unwrap().get(0).unwrap();
    // In place: the directory does not change.
    fixture.write("a.eml", &["joes"], "his");
    fixture.rest(0);
    let server = open();
    assert_eq!(subjects(&server, "joes"), [""; 0]);
    assert!(hers.text().is_err());
    server
        .drop_store()
        .unwrap()
        .pretend_full_check_at(u64::MAX / 2);
    assert_eq!(subjects(&open(), "joes"), ["his"]);
    assert_eq!(subjects(&open(), "jane"), [""; 0]);
    // And whenever its owner wants.
    fixture.write("a.eml", &["jane"], "hers again");
    fixture.rest(0);
    let server = open();
    server.check_all().unwrap();
    assert_eq!(subjects(&server, "jane"), ["hers again"]);
}

/// The index has room for the times of some centuries.
#[test]
fn a_file_of_a_time_out_of_the_ordinary_is_told_and_hides_no_other() {
    let fixture = Fixture::new();
    fixture.write("now.eml", &["jane"], "now");
    fixture.write("then.eml", &["jane"], "then");
    let file = File::open(fixture.drop_dir().join("then.eml")).unwrap();
    let years = Duration::from_hours(400 * 365 * 24);
    file.set_modified(SystemTime::UNIX_EPOCH + years).unwrap();
    let server = fixture.watched();
    assert_eq!(subjects(&server, "jane"), ["now"]);
    let session = Session::logon_smtp(&server, "", "jane@example.com").unwrap();
    assert_eq!(session.inbox().messages().unwrap().unreadable(), 1);
    // When it is mended it is there.
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(subjects(&server, "jane").len(), 2);
}

/// A file that is written to between the look that found it complete and its reading is not judged
/// by halves.
#[test]
fn a_file_that_is_written_to_while_it_is_judged_waits() {
    for has_index in [true, false] {
        let fixture = Fixture::new();
        if !has_index {
            std::fs::create_dir(fixture.drop_dir().with_file_name("State").join("index")).unwrap();
        }
        written_to_while_judged(&fixture);
    }
}

/// Files that go between the listing and the look at each.
#[test]
fn a_file_that_goes_while_it_is_looked_at_is_none() {
    for has_index in [true, false] {
        let fixture = Fixture::new();
        if !has_index {
            std::fs::create_dir(fixture.drop_dir().with_file_name("State").join("index")).unwrap();
        }
        for name in ["a", "b", "c"] {
            fixture.write(name, &["jane"], name);
        }
        let server = fixture.server_in_place(fixture.plan.probe());
        let drop = fixture.drop_dir();
        fixture.plan.observe(move |op, path| {
            if op == Op::Stat && path.parent() == Some(&drop) {
                for name in ["a", "b", "c"].iter().filter(|name| !path.ends_with(name)) {
                    let _ = std::fs::remove_file(drop.join(name));
                }
            }
        });
        assert!(subjects(&server, "jane").len() <= 1, "{has_index}");
        let session = Session::logon_smtp(&server, "", "jane@example.com").unwrap();
        let messages = session.inbox().messages().unwrap();
        assert_eq!(messages.problems(), [], "{has_index}");
    }
}

/// A directory from the future proves nothing.
#[test]
fn a_drop_whose_time_is_ahead_is_looked_at_each_time() {
    let fixture = Fixture::new();
    let server = fixture.watched();
    let ahead = 5_000_000_000;
    for number in 1..4 {
        fixture.write(&number.to_string(), &["jane"], "new");
        fixture.rest(ahead);
        assert_eq!(subjects(&server, "jane").len(), number);
    }
}

fn written_to_while_judged(fixture: &Fixture) {
    fixture.write("a.eml", &["jane"], "whole");
    std::fs::create_dir(fixture.drop_dir().join("directory.eml")).unwrap();
    let server = fixture.server_in_place(fixture.plan.probe());
    let path = fixture.drop_dir().join("a.eml");
    let mut is_first = true;
    fixture.plan.observe(move |op, at| {
        if op == Op::Open && at == path && std::mem::take(&mut is_first) {
            let more = std::fs::read(&path).unwrap().repeat(2);
            std::fs::write(&path, more).unwrap();
        }
    });
    // It is opened before it is written to, and looked at after.
    let messages = || {
        let session = Session::logon_smtp(&server, "", "jane@example.com").unwrap();
        session.inbox().messages().unwrap()
    };
    let _ = messages();
    let again = messages();
    assert_eq!(again.len(), 1);
    let text = again.get(0).unwrap().text().unwrap();
    assert!(text.contains("whole"), "it was judged by halves: {text}");
}

/// A disk that failed once does not cost every later listing a reading of all files.
#[test]
fn an_index_whose_file_failed_once_is_opened_anew() {
    use crate::fuse::{Fuse, INDEX};
    let fixture = Fixture::new();
    for number in 0..5 {
        fixture.write(&format!("{number}.eml"), &["jane"], &number.to_string());
    }
    fixture.rest(0);
    let server = fixture.watched();
    assert_eq!(subjects(&server, "jane").len(), 5);
    let mut failed = 0;
    for calls in 0..40 {
        fixture.write("new.eml", &["jane"], "new");
        fixture.rest(calls + 1);
        INDEX.with(|fuse| fuse.set(usize::try_from(calls).unwrap(), false));
        assert_eq!(subjects(&server, "jane").len(), 6, "{calls}");
        failed += usize::from(INDEX.with(Fuse::take));
        std::fs::remove_file(fixture.drop_dir().join("new.eml")).unwrap();
        fixture.rest(100 + calls);
        assert_eq!(subjects(&server, "jane").len(), 5, "{calls}");
        fixture.calls();
        assert_eq!(subjects(&server, "jane").len(), 5, "{calls}");
        let (_, within) = fixture.calls();
        assert_eq!(within, [], "{calls}");
    }
    assert!(failed > 10, "{failed}");
}
