//! What a look at the drop costs: exactly which calls it makes, counted by the double of the file
//! system; and what it may not conclude.

#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod clock;
mod fixture;
mod races;

use std::time::Duration;

use crate::fs::{Op, Probe};
use crate::{MailServer, Session, Writer};
use fixture::subjects;

pub(crate) use fixture::Fixture;

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
