//! The disk fails under the index, at each of its calls in turn: a listing shows what is there all
//! the same, and so does the next one.

#![allow(clippy::disallowed_methods, reason = "tests may write files")]

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use crate::fs::Probe;
use crate::fs::double::{Fault, Plan};
use crate::fuse::{Fuse, INDEX};
use crate::looks::Fixture;
use crate::{Cursor, ErrorKind, MailServer, Session};

/// What Jane sees, by every way of looking.
fn seen(server: &MailServer, addresses: &[&str]) -> Vec<String> {
    let inbox = Session::logon_smtp(server, "", "jane@example.com")
        .unwrap()
        .inbox();
    let mut seen: Vec<String> = inbox
        .messages()
        .unwrap()
        .iter()
        .map(|message| message.subject().to_owned())
        .collect();
    seen.sort();
    assert_eq!(inbox.count().unwrap(), seen.len() as u64);
    let newest = inbox.newest_first().unwrap();
    let mut newest: Vec<_> = newest
        .map(|message| message.unwrap().subject().to_owned())
        .collect();
    newest.sort();
    assert_eq!(newest, seen);
    match inbox.messages_since(&Cursor::default()) {
        Ok(since) => {
            let mut since: Vec<_> = since
                .messages
                .iter()
                .map(|message| message.subject().to_owned())
                .collect();
            since.sort();
            assert_eq!(since, seen);
        }
        // There is no lasting order without an index.
        Err(error) => assert_eq!(error.kind(), ErrorKind::NotSupported, "{error}"),
    }
    assert_eq!(
        server.addresses().unwrap(),
        addresses
            .iter()
            .map(|one| format!("{one}@example.com"))
            .collect::<Vec<_>>()
    );
    server.check_all().unwrap();
    seen
}

/// Without the index it is finished too.
#[test]
fn a_removal_that_died_is_finished_without_the_index() {
    let fixture = Fixture::new();
    fixture.write("shared", &[&ALL[..], &["lea"]].concat(), "shared");
    delete_for_all(&fixture, death());
    let index = fixture.drop_dir().with_file_name("State").join("index");
    std::fs::remove_file(&index).unwrap();
    std::fs::create_dir(&index).unwrap();
    let server = fixture.server_with(Probe::default());
    assert_eq!(server.addresses().unwrap(), [""; 0]);
    assert!(!fixture.drop_dir().join("shared").exists());
}

/// In which state the index is when the disk begins to fail.
#[derive(Clone, Copy, Debug)]
enum Begin {
    /// There is none.
    Without,
    /// It knows all.
    Known,
    /// It is open, and files came and went since.
    Changed,
    /// The same, but the program starts anew.
    Reopened,
    /// One has deleted a file that another still has, and a name has come again.
    Marked,
    /// A file was empty that another program has written since, in place.
    Pending,
    /// There is none, and another program writes in place.
    InPlace,
    /// A file had a time that the index cannot hold, and has another since.
    Mended,
    /// All have deleted a file, and the process died that was to remove it.
    Dead,
}

const ALL: [&str; 4] = ["jane", "joe", "ann", "bob"];

/// All delete a file, and the last of them dies at a call.
fn delete_for_all(fixture: &Fixture, n: usize) {
    for address in ALL.iter().chain(&["lea"]) {
        let plan = Plan::new();
        let server = fixture.server_with(plan.probe());
        let session = Session::logon_smtp(&server, "", format!("{address}@example.com"));
        let messages = session.unwrap().inbox().messages().unwrap();
        let shared = messages.iter().find(|one| one.subject() == "shared");
        if *address == "lea" {
            plan.arm(n, Fault::Crash);
        }
        let _ = shared.unwrap().delete();
        plan.disarm();
    }
}

/// The call at which he dies when all is said and nothing removed.
fn death() -> usize {
    static DEATH: OnceLock<usize> = OnceLock::new();
    *DEATH.get_or_init(|| {
        let is_it = |n: &usize| {
            let fixture = Fixture::new();
            fixture.write("shared", &[&ALL[..], &["lea"]].concat(), "shared");
            delete_for_all(&fixture, *n);
            let is_there = fixture.drop_dir().join("shared").exists();
            let server = fixture.server_with(Probe::default());
            is_there && server.addresses().unwrap().is_empty()
        };
        (0..100).find(is_it).unwrap()
    })
}

fn run(begin: Begin, calls: usize, lasts: bool) -> bool {
    let fixture = Fixture::new();
    let server = || match begin {
        Begin::Pending | Begin::InPlace => fixture.server_in_place(Probe::default()),
        _ => fixture.server_with(Probe::default()),
    };
    let write = |name: &str, to: &[&str]| fixture.write(name, to, name);
    write("one", &["jane"]);
    write("two", &["jane", "joe"]);
    write("gone", &ALL);
    write("shared", &[&ALL[..], &["lea"]].concat());
    write("only", &["max"]);
    let addresses: &[&str] = match begin {
        Begin::Without | Begin::Known | Begin::Pending | Begin::InPlace | Begin::Mended => {
            &["ann", "bob", "jane", "joe", "lea", "max"]
        }
        Begin::Changed | Begin::Reopened => &["ann", "bob", "jane", "joe", "lea"],
        Begin::Marked | Begin::Dead => &["ann", "bob", "jane", "joe", "max"],
    };
    let everybody = ["ann", "bob", "jane", "joe", "lea", "max"];
    if matches!(begin, Begin::Pending) {
        std::fs::write(fixture.drop_dir().join("late"), "").unwrap();
        fixture.rest(0);
    }
    let set_time = |hours: u64| {
        let late = std::fs::File::open(fixture.drop_dir().join("late")).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_hours(hours);
        late.set_modified(time).unwrap();
    };
    if matches!(begin, Begin::Mended) {
        write("late", &["jane"]);
        set_time(400 * 365 * 24);
        fixture.rest(0);
    }
    let mut looking = server();
    if !matches!(begin, Begin::Without | Begin::InPlace) {
        let before = seen(&looking, &everybody);
        assert_eq!(before, ["gone", "one", "shared", "two"]);
    }
    if matches!(begin, Begin::Marked) {
        for address in ["jane@example.com", "lea@example.com"] {
            let session = Session::logon_smtp(&looking, "", address).unwrap();
            let messages = session.inbox().messages().unwrap();
            let shared = messages.iter().find(|one| one.subject() == "shared");
            shared.unwrap().delete().unwrap();
        }
        std::fs::remove_file(fixture.drop_dir().join("one")).unwrap();
        write("one", &["joe", "jane"]);
    }
    if matches!(begin, Begin::Pending) {
        write("late", &["jane"]);
    }
    if matches!(begin, Begin::Mended) {
        set_time(0);
    }
    if matches!(begin, Begin::Dead) {
        delete_for_all(&fixture, death());
    }
    if matches!(begin, Begin::Changed | Begin::Reopened) {
        for gone in ["gone", "only"] {
            std::fs::remove_file(fixture.drop_dir().join(gone)).unwrap();
        }
        write("new", &ALL);
    }
    if matches!(begin, Begin::Reopened) {
        looking = server();
    }
    let there: &[&str] = match begin {
        Begin::Without | Begin::Known | Begin::InPlace => &["gone", "one", "shared", "two"],
        Begin::Changed | Begin::Reopened => &["new", "one", "shared", "two"],
        Begin::Pending | Begin::Mended => &["gone", "late", "one", "shared", "two"],
        Begin::Marked | Begin::Dead => &["gone", "one", "two"],
    };
    INDEX.with(|fuse| fuse.set(calls, lasts));
    let while_it_fails = seen(&looking, addresses);
    let has_failed = INDEX.with(Fuse::take);
    let context = format!("{begin:?}, call {calls}, {lasts}");
    assert_eq!(while_it_fails, there, "{context}");
    assert_eq!(seen(&looking, addresses), there, "{context}: afterwards");
    assert_eq!(
        seen(&server(), addresses),
        there,
        "{context}: another program"
    );
    has_failed
}

/// Each call in a long run, each 17th in a short one.
fn step() -> usize {
    if crate::faults::is_long() { 1 } else { 17 }
}

#[test]
fn p10_a_disk_that_fails_under_the_index_hides_nothing() {
    let mut runs = 0;
    for begin in [
        Begin::Without,
        Begin::Known,
        Begin::Changed,
        Begin::Reopened,
        Begin::Marked,
        Begin::Pending,
        Begin::InPlace,
        Begin::Mended,
        Begin::Dead,
    ] {
        for lasts in [false, true] {
            let mut calls = 0;
            while run(begin, calls, lasts) {
                calls += step();
                runs += 1;
            }
        }
    }
    println!("index: {runs} runs with a call that fails");
    assert!(runs > 80, "{runs}");
}
