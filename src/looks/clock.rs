//! What a look may not conclude from the times that files and directories have.

use std::fs::File;
use std::time::{Duration, SystemTime};

use super::fixture::{Fixture, subjects};
use crate::fs::Op;
use crate::{MailServer, Session, Writer};

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
