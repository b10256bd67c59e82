//! The index of a drop: a cache that may be lost, damaged, foreign or shared, and never shows what
//! a reading of all files would not show.
#![cfg(feature = "index")]
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::fs::File;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use cdonts::{Cursor, MailServer, Profile, Writer};
use proptest::prelude::*;
use support::{Root, messages, only, session, simple, subjects};

/// A mailroot that has an index.
fn root() -> Root {
    let root = Root::new();
    root.dir("State");
    root
}

/// Reads every file: it has no state directory.
fn without_index(root: &Root) -> MailServer {
    MailServer::builder()
        .drop_dir(root.join("Drop"), Profile::IisDrop)
        .state_dir(root.join("none"))
        .drop_writer(Writer::Renames)
        .open()
        .unwrap()
}

fn rest(drop: &Path) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    File::open(drop).unwrap().set_modified(time).unwrap();
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list
}

#[test]
fn it_lies_in_the_state_directory_and_is_rebuilt_when_it_is_lost() {
    let root = root();
    root.write("Drop/a.eml", simple(&["jane@example.com"], "a"));
    assert_eq!(subjects(&root.server(), "jane@example.com"), ["a"]);
    assert_eq!(root.files("Drop"), ["a.eml"]);
    assert!(root.files("State").contains(&"index".to_owned()));
    let server = root.server();
    assert_eq!(subjects(&server, "jane@example.com"), ["a"]);
    std::fs::remove_file(root.join("State/index")).unwrap();
    assert_eq!(subjects(&server, "jane@example.com"), ["a"]);
    assert_eq!(subjects(&root.server(), "jane@example.com"), ["a"]);
}

#[test]
fn who_only_looks_changes_nothing_in_it() {
    let root = root();
    root.write("Drop/a.eml", simple(&["jane@example.com"], "a"));
    rest(&root.join("Drop"));
    assert_eq!(subjects(&root.server(), "jane@example.com"), ["a"]);
    let index = root.join("State/index");
    let state = || {
        let written = std::fs::metadata(&index).unwrap().modified().unwrap();
        (std::fs::read(&index).unwrap(), written)
    };
    let before = state();
    let server = root.server();
    assert_eq!(subjects(&server, "jane@example.com"), ["a"]);
    assert!(state() == before, "while it is open");
    // Another one writes meanwhile, and this one sees it.
    root.write("Drop/b.eml", simple(&["jane@example.com"], "b"));
    assert_eq!(
        sorted(subjects(&root.server(), "jane@example.com")),
        ["a", "b"]
    );
    assert!(state() != before);
    assert_eq!(sorted(subjects(&server, "jane@example.com")), ["a", "b"]);
}

#[test]
fn what_a_listing_shows_is_as_the_file_says() {
    let root = root();
    let received = |name: &str, received: &str| {
        let fields = format!("X-Sender: <>\r\nX-Receiver: jane@example.com\r\n{received}");
        let below = format!("From: Sam <sam@example.net>\r\nSubject: {name}\r\n\r\ntext\r\n");
        root.write(&format!("Drop/{name}.eml"), fields + &below);
    };
    received(
        "new",
        "Received: from a by b; Tue, 24 Nov 2026 10:00:00 +0000\r\n",
    );
    received(
        "old",
        "Received: from a by b; Thu, 1 Jan 1969 00:00:00 +0000\r\n",
    );
    received("none", "");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    let file = File::options()
        .write(true)
        .open(root.join("Drop/none.eml"))
        .unwrap();
    file.set_modified(time).unwrap();
    let shown = |server: &MailServer| {
        let mut shown: Vec<_> = messages(server, "jane@example.com")
            .iter()
            .map(|message| {
                (
                    message.subject().to_owned(),
                    cdonts::time::rfc3339(message.time_received()),
                    message.sender().to_string(),
                    message.reverse_path().to_owned(),
                    message.delivered_to().to_owned(),
                    message.size(),
                )
            })
            .collect();
        shown.sort();
        shown
    };
    let times = |server: &MailServer| -> Vec<String> {
        shown(server)
            .into_iter()
            .map(|(_, time, ..)| time)
            .collect()
    };
    let expected = [
        "2026-11-24T10:00:00Z",
        "2020-09-13T12:26:40Z",
        "1969-01-01T00:00:00Z",
    ];
    assert_eq!(times(&without_index(&root)), expected);
    // Read, and then by the index alone.
    let server = root.server();
    for _ in 0..2 {
        assert_eq!(shown(&server), shown(&without_index(&root)));
    }
    assert_eq!(shown(&root.server()), shown(&without_index(&root)));
}

#[test]
fn the_owner_is_told_for_whom_there_is_mail() {
    let root = root();
    root.write("Drop/1.eml", simple(&["Jane@EXAMPLE.com"], "one"));
    root.write(
        "Drop/2.eml",
        simple(&["jane@example.com", "joe@example.com"], "two"),
    );
    root.write("Drop/3.eml", simple(&[], "nobody's"));
    let with_index = root.server();
    let addresses = |server: &MailServer| -> Vec<String> {
        let found = server.addresses().unwrap();
        found.iter().map(|one| one.to_lowercase()).collect()
    };
    let both = ["jane@example.com", "joe@example.com"];
    assert_eq!(addresses(&with_index), both);
    assert_eq!(addresses(&without_index(&root)), both);
    // The file stays for Jane.
    only(&with_index, "joe@example.com").delete().unwrap();
    assert_eq!(addresses(&with_index), both[..1]);
    let of_files = MailServer::builder()
        .drop_dir(root.join("Drop"), Profile::IisDrop)
        .state_dir(root.join("State"));
    std::fs::remove_file(root.join("State/index")).unwrap();
    std::fs::create_dir(root.join("State/index")).unwrap();
    assert_eq!(addresses(&of_files.open().unwrap()), both[..1]);
}

#[test]
fn a_damaged_one_is_set_aside_and_never_believed() {
    let root = root();
    for number in 0..40 {
        let to = if number % 2 == 0 { "jane" } else { "joe" };
        let file = simple(
            &[&format!("{to}@example.com")],
            &format!("subject {number}"),
        );
        root.write(&format!("Drop/{number}.eml"), file);
    }
    rest(&root.join("Drop"));
    let expected = subjects(&root.server(), "jane@example.com");
    assert_eq!(expected.len(), 20);
    let index = root.join("State/index");
    let good = std::fs::read(&index).unwrap();
    // What is in use lies at the beginning; zeros beyond are free.
    let used = good.iter().rposition(|&byte| byte != 0).unwrap();
    let flips = (0..used).step_by((used / 250).max(1));
    let flipped = flips.map(|at| {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        bad
    });
    let cuts = [0, 1, 100, 4096, good.len() / 2, good.len() - 1].map(|len| good[..len].to_vec());
    let others = [
        b"not an index at all".to_vec(),
        vec![0; 8192],
        vec![0xff; good.len()],
    ];
    for (number, bad) in flipped.chain(cuts).chain(others).enumerate() {
        std::fs::write(&index, &bad).unwrap();
        rest(&root.join("Drop"));
        let found = subjects(&root.server(), "jane@example.com");
        assert_eq!(sorted(found), sorted(expected.clone()), "damage {number}");
    }
    let aside = root.files("State");
    let aside = aside.iter().filter(|name| name.starts_with("index.aside"));
    assert!(aside.count() <= 1, "only the last one is kept");
}

#[test]
fn one_of_another_drop_or_other_rules_is_not_believed() {
    let (one, two) = (root(), root());
    one.write("Drop/a.eml", simple(&["jane@example.com"], "one"));
    two.write("Drop/a.eml", simple(&["jane@example.com"], "two"));
    for root in [&one, &two] {
        rest(&root.join("Drop"));
        subjects(&root.server(), "jane@example.com");
    }
    std::fs::copy(one.join("State/index"), two.join("State/index")).unwrap();
    assert_eq!(subjects(&two.server(), "jane@example.com"), ["two"]);
    // Under another profile the files are other people's.
    let file = "Return-Path: <s@x>\r\nDelivered-To: joe@example.com\r\nSubject: his\r\n\r\n";
    one.write("Drop/b.eml", file);
    assert_eq!(subjects(&one.server(), "joe@example.com"), [""; 0]);
    let postfix = one
        .builder()
        .drop_dir(one.join("Drop"), Profile::Postfix)
        .drop_writer(Writer::Renames)
        .rebuild_state()
        .open()
        .unwrap();
    assert_eq!(subjects(&postfix, "joe@example.com"), ["his"]);
    assert_eq!(subjects(&postfix, "jane@example.com"), [""; 0]);
}

#[test]
fn a_file_older_than_all_is_new_when_it_is_renamed_in() {
    let root = root();
    let server = root.server();
    root.write("Drop/a.eml", simple(&["jane@example.com"], "a"));
    let inbox = session(&server, "jane@example.com").inbox();
    let since = inbox.messages_since(&Cursor::default()).unwrap();
    assert_eq!(since.messages.len(), 1);
    let old = root.write("old.eml", simple(&["jane@example.com"], "old"));
    let ancient = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    File::options()
        .write(true)
        .open(&old)
        .unwrap()
        .set_modified(ancient)
        .unwrap();
    std::fs::rename(&old, root.join("Drop/old.eml")).unwrap();
    let since = inbox.messages_since(&since.cursor).unwrap();
    assert_eq!(since.messages.len(), 1);
    assert_eq!(since.messages[0].subject(), "old");
    // First sight is the order.
    assert_eq!(subjects(&server, "jane@example.com"), ["a", "old"]);
    let nothing = inbox.messages_since(&since.cursor).unwrap();
    assert_eq!(nothing.messages.len(), 0);
    // Another program takes the cursor up where this one stopped.
    let stored: Cursor = nothing.cursor.to_string().parse().unwrap();
    let again = session(&root.server(), "jane@example.com").inbox();
    assert_eq!(again.messages_since(&stored).unwrap().messages.len(), 0);
    // With another index it begins anew: rather twice than not at all.
    std::fs::remove_file(root.join("State/index")).unwrap();
    assert_eq!(again.messages_since(&stored).unwrap().messages.len(), 2);
    assert!("no cursor".parse::<Cursor>().is_err() && "zz".repeat(40).parse::<Cursor>().is_err());
}

#[test]
fn a_folder_of_any_size_is_read_from_either_end() {
    let root = root();
    let all: Vec<String> = (0..700).map(|number| format!("{number:04}")).collect();
    for number in &all {
        let path = root.write(
            &format!("Drop/{number}.eml"),
            simple(&["jane@example.com"], number),
        );
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(number.parse().unwrap());
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(time)
            .unwrap();
    }
    let told = std::sync::Arc::new(Mutex::new(Vec::new()));
    let hook = std::sync::Arc::clone(&told);
    let server = root
        .builder()
        .drop_writer(Writer::Renames)
        .scan_threads(NonZero::new(3).unwrap())
        .on_scan(move |scan| hook.lock().unwrap().push(scan))
        .open()
        .unwrap();
    let inbox = session(&server, "jane@example.com").inbox();
    let forwards: Vec<String> = inbox
        .stream()
        .unwrap()
        .map(|m| m.unwrap().subject().to_owned())
        .collect();
    assert_eq!(forwards, all);
    let last = *told.lock().unwrap().last().unwrap();
    assert_eq!((last.found(), last.read()), (700, 700));
    let newest: Vec<String> = inbox
        .newest_first()
        .unwrap()
        .take(300)
        .map(|m| m.unwrap().subject().to_owned())
        .collect();
    let expected: Vec<String> = all.iter().rev().take(300).cloned().collect();
    assert_eq!(newest, expected);
    assert_eq!(inbox.count().unwrap(), 700);
    assert_eq!(subjects(&server, "jane@example.com"), all);
    // The same without an index.
    let plain = session(&without_index(&root), "jane@example.com").inbox();
    assert_eq!(plain.count().unwrap(), 700);
    let first = plain.newest_first().unwrap().next().unwrap().unwrap();
    assert_eq!(first.subject(), "0699");
    let error = plain.messages_since(&Cursor::default()).unwrap_err();
    assert_eq!(error.kind(), cdonts::ErrorKind::NotSupported);
}

#[test]
fn a_file_rewritten_in_place_is_never_shown_to_its_old_reader() {
    let root = root();
    let path = root.write("Drop/a.eml", simple(&["jane@example.com"], "hers"));
    rest(&root.join("Drop"));
    let server = root
        .builder()
        .drop_writer(Writer::InPlace {
            settle: Duration::ZERO,
        })
        .open()
        .unwrap();
    let hers = messages(&server, "jane@example.com").get(0).unwrap();
    std::fs::write(&path, simple(&["joes@example.com"], "his!")).unwrap();
    let listed = messages(&server, "jane@example.com");
    for message in listed.iter().chain([hers]) {
        assert_eq!(
            message.text().unwrap_err().kind(),
            cdonts::ErrorKind::MessageGone
        );
    }
    // Whoever noticed has it read anew.
    assert_eq!(subjects(&server, "joes@example.com"), ["his!"]);
    assert_eq!(subjects(&server, "jane@example.com"), [""; 0]);
}

#[test]
fn many_programs_use_one_index_and_may_be_killed() {
    if let Some((_, dir)) = support::role() {
        return visit(&dir);
    }
    let root = root();
    let test = "many_programs_use_one_index_and_may_be_killed";
    for round in 0..3 {
        let mut children: Vec<_> = (0..4)
            .map(|_| support::in_other_process(test, "visit", root.path()))
            .collect();
        for number in 0..200 {
            let name = format!("Drop/{round}-{number}.eml");
            let temporary = root.write(
                &format!("{round}-{number}"),
                simple(&["jane@example.com"], &name),
            );
            std::fs::rename(temporary, root.join(&name)).unwrap();
        }
        for (number, child) in children.iter_mut().enumerate() {
            if number % 2 == 0 {
                child.kill().unwrap();
            }
            let status = child.wait().unwrap();
            assert!(number % 2 == 0 || status.success());
        }
        let by_index = sorted(subjects(&root.server(), "jane@example.com"));
        let by_reading = sorted(subjects(&without_index(&root), "jane@example.com"));
        assert_eq!(by_index.len(), (round + 1) * 200);
        assert_eq!(by_index, by_reading);
    }
}

/// Lists for a while; no message is ever listed twice.
fn visit(dir: &Path) {
    let server = MailServer::builder()
        .mailroot(dir)
        .drop_writer(Writer::Renames)
        .open()
        .unwrap();
    for _ in 0..40 {
        let mut found = subjects(&server, "jane@example.com");
        let count = found.len();
        found.sort();
        found.dedup();
        assert_eq!(found.len(), count);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Rename(u8, u8),
    Remove(u8),
    Delete(u8),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u8..6, 0u8..4).prop_map(|(name, to)| Step::Put(name, to)),
        1 => (0u8..6, 0u8..6).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => (0u8..6).prop_map(Step::Remove),
        2 => (0u8..2).prop_map(Step::Delete),
        1 => Just(Step::Restart),
    ]
}

const READERS: [&str; 2] = ["jane@example.com", "joe@example.com"];

fn apply(step: &Step, root: &Root, server: &mut MailServer, count: &mut usize) {
    let path = |name: u8| -> PathBuf { root.join(format!("Drop/{name}.eml")) };
    *count += 1;
    match step {
        Step::Put(name, to) => {
            let to: &[&str] = match to {
                0 => &READERS[..1],
                1 => &READERS[1..],
                2 => &READERS,
                _ => &["other@example.com"],
            };
            let new = root.write("new", simple(to, &format!("s{count}")));
            std::fs::rename(new, path(*name)).unwrap();
        }
        Step::Rename(from, to) => {
            let _ = std::fs::rename(path(*from), path(*to));
        }
        Step::Remove(name) => {
            let _ = std::fs::remove_file(path(*name));
        }
        Step::Delete(reader) => {
            let all = messages(server, READERS[usize::from(*reader)]);
            if let Some(message) = all.get(0) {
                message.delete().unwrap();
            }
        }
        Step::Restart => *server = root.server(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn whatever_happens_it_shows_what_a_reading_of_all_files_shows(
        steps in proptest::collection::vec(step(), 1..25)
    ) {
        let root = root();
        let mut server = root.server();
        let mut count = 0;
        for step in &steps {
            apply(step, &root, &mut server, &mut count);
            for reader in READERS {
                let by_index = sorted(subjects(&server, reader));
                // A fresh program with the same marks and an empty index.
                let fresh = root.builder().drop_writer(Writer::Renames).open().unwrap();
                let aside = root.join("State/index");
                let kept = root.join("kept");
                std::fs::rename(&aside, &kept).unwrap();
                let by_reading = sorted(subjects(&fresh, reader));
                drop(fresh);
                std::fs::remove_file(&aside).unwrap();
                std::fs::rename(&kept, &aside).unwrap();
                prop_assert_eq!(by_index, by_reading, "{:?} for {}", steps, reader);
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn a_message_that_was_read_in_a_maildir_stays_the_same_message() {
    let root = Root::new();
    for name in ["box/new", "box/cur", "box/tmp", "state"] {
        root.dir(name);
    }
    let file = "Return-Path: <s@x.example>\nDelivered-To: jane@example.com\nSubject: s\n\ntext";
    root.write("box/new/1.host", file);
    let open = || {
        MailServer::builder()
            .drop_dir(root.join("box"), Profile::Postfix)
            .state_dir(root.join("state"))
            .open()
            .unwrap()
    };
    let server = open();
    let inbox = session(&server, "jane@example.com").inbox();
    let since = inbox.messages_since(&Cursor::default()).unwrap();
    assert_eq!(since.messages.len(), 1);
    std::fs::rename(root.join("box/new/1.host"), root.join("box/cur/1.host:2,S")).unwrap();
    assert_eq!(subjects(&server, "jane@example.com"), ["s"]);
    assert_eq!(
        inbox.messages_since(&since.cursor).unwrap().messages.len(),
        0
    );
    let message = messages(&open(), "jane@example.com").get(0).unwrap();
    assert_eq!(message.text().unwrap(), "text");
    message.delete().unwrap();
    assert_eq!(root.files("box/cur"), [""; 0]);
    assert_eq!(inbox.count().unwrap(), 0);
}

#[test]
fn a_message_over_a_limit_is_told_without_opening_it() {
    let root = root();
    root.write("Drop/a.eml", simple(&["jane@example.com"], "small"));
    let large = simple(&["jane@example.com"], "large") + &"x".repeat(5000);
    root.write("Drop/b.eml", large);
    let mut limits = cdonts::Limits::default();
    limits.message = 2000;
    for _ in 0..2 {
        let server = root
            .builder()
            .drop_writer(Writer::Renames)
            .limits(limits.clone());
        let found = messages(&server.open().unwrap(), "jane@example.com");
        assert_eq!(found.len(), 2);
        let paths: Vec<_> = found.problems().iter().map(cdonts::Problem::path).collect();
        assert_eq!(paths, [Some(Path::new("b.eml"))]);
    }
}
