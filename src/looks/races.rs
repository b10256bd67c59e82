//! Files that others write to or take away while they are looked at.

use super::fixture::{Fixture, subjects};
use crate::Session;
use crate::fs::Op;

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

/// A file that goes when it has been listed, while another is read.
#[test]
fn a_file_that_goes_before_it_is_read_is_none() {
    let fixture = Fixture::new();
    for name in ["a", "b"] {
        fixture.write(name, &["jane"], name);
    }
    let server = fixture.watched();
    let drop = fixture.drop_dir();
    fixture.plan.observe(move |op, path| {
        if op == Op::Open && path.parent() == Some(&drop) {
            let other = if path.ends_with("a") { "b" } else { "a" };
            let _ = std::fs::remove_file(drop.join(other));
        }
    });
    let session = Session::logon_smtp(&server, "", "jane@example.com").unwrap();
    let messages = session.inbox().messages().unwrap();
    assert_eq!((messages.len(), messages.problems()), (1, &[][..]));
    let (_, within) = fixture.calls();
    let opened = within.iter().filter(|(op, _)| *op == Op::Open);
    assert_eq!(opened.count(), 2, "{within:?}");
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
