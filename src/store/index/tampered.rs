//! What does not fit together in an index is noticed, and nothing of it is shown.

#![allow(clippy::disallowed_methods, reason = "tests may write files")]

use redb::{ReadableTable, WriteTransaction};

use super::access::Access;
use super::{BOXES, META, NAME, ROWS};
use crate::fs::{Dir, Modes, Probe};
use crate::looks::Fixture;
use crate::{MailServer, Session};

fn subjects(server: &MailServer) -> Vec<String> {
    let session = Session::logon_smtp(server, "", "jane@example.com").unwrap();
    let messages = session.inbox().messages().unwrap();
    let mut subjects: Vec<_> = messages
        .iter()
        .map(|message| message.subject().to_owned())
        .collect();
    subjects.sort();
    assert_eq!(session.inbox().count().unwrap(), subjects.len() as u64);
    let newest = session.inbox().newest_first().unwrap();
    assert_eq!(newest.map(Result::unwrap).count(), subjects.len());
    subjects
}

fn set(txn: &WriteTransaction, name: &str, change: impl Fn(&mut Vec<u8>)) {
    let mut meta = txn.open_table(META).unwrap();
    let mut value = meta.get(name).unwrap().unwrap().value().to_vec();
    change(&mut value);
    meta.insert(name, value.as_slice()).unwrap();
}

/// Changes each row, or takes it away.
fn rows(txn: &WriteTransaction, change: impl Fn(&[u8], &[u8]) -> Option<(Vec<u8>, Vec<u8>)>) {
    let mut table = txn.open_table(ROWS).unwrap();
    let all: Vec<_> = table
        .iter()
        .unwrap()
        .map(|row| row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())))
        .collect::<Result<_, _>>()
        .unwrap();
    for (key, value) in all {
        table.remove(key.as_slice()).unwrap();
        if let Some((key, value)) = change(&key, &value) {
            table.insert(key.as_slice(), value.as_slice()).unwrap();
        }
    }
}

#[test]
fn p10_an_index_that_does_not_fit_together_is_set_aside() {
    type Tamper = fn(&WriteTransaction);
    let tampers: [(&str, Tamper); 10] = [
        ("look changed", |txn| {
            set(txn, "look", |value| value[0] ^= 1);
        }),
        ("look cut", |txn| {
            set(txn, "look", |value| value.truncate(5));
        }),
        ("names changed", |txn| {
            set(txn, "recent", |value| value[3] ^= 1);
        }),
        ("names gone", |txn| set(txn, "recent", Vec::clear)),
        ("a row gone", |txn| rows(txn, |_, _| None)),
        ("a row changed", |txn| {
            rows(txn, |key, value| {
                let mut value = value.to_vec();
                *value.last_mut().unwrap() ^= 1;
                Some((key.to_vec(), value))
            });
        }),
        ("a row cut", |txn| {
            rows(txn, |key, _| Some((key.to_vec(), vec![1, 2])));
        }),
        ("rows twice", |txn| {
            let mut table = txn.open_table(ROWS).unwrap();
            let all: Vec<_> = table
                .iter()
                .unwrap()
                .map(|row| {
                    row.map(|(key, value)| ([key.value(), b"x"].concat(), value.value().to_vec()))
                })
                .collect::<Result<_, _>>()
                .unwrap();
            for (key, value) in all {
                table.insert(key.as_slice(), value.as_slice()).unwrap();
            }
        }),
        ("a sum cut", |txn| {
            let mut boxes = txn.open_table(BOXES).unwrap();
            let keys: Vec<u64> = boxes
                .iter()
                .unwrap()
                .map(|row| row.unwrap().0.value())
                .collect();
            for key in keys {
                boxes.insert(key, &[1, 2, 3][..]).unwrap();
            }
        }),
        ("an id too short", |txn| {
            set(txn, "id", |value| value.truncate(3));
        }),
    ];
    for (context, tamper) in tampers {
        let fixture = Fixture::new();
        fixture.write("one", &["jane"], "one");
        fixture.write("two", &["jane", "joe"], "two");
        fixture.rest(0);
        let server = || fixture.server_with(Probe::default());
        assert_eq!(subjects(&server()), ["one", "two"]);
        let state = fixture.drop_dir().with_file_name("State");
        let dir = Dir::open_path(&state, Modes::default(), &Probe::default()).unwrap();
        let access = Access::open(&dir, false).unwrap().unwrap();
        let txn = access.begin_write().unwrap();
        tamper(&txn);
        txn.commit().unwrap();
        drop(access);
        // A new file, so that the names are looked at too.
        fixture.write("three", &["jane"], "three");
        assert_eq!(subjects(&server()), ["one", "three", "two"], "{context}");
        let names = dir.all_names().unwrap();
        let is_aside = |name: &std::ffi::OsString| {
            name.to_string_lossy()
                .starts_with(&format!("{NAME}.aside-"))
        };
        assert_eq!(
            names.iter().filter(|name| is_aside(name)).count(),
            1,
            "{context}"
        );
        assert_eq!(
            subjects(&server()),
            ["one", "three", "two"],
            "{context}: afterwards"
        );
    }
}

/// Who wrote last did not close it: that is no damage, and it is written to again.
#[test]
fn one_that_its_last_writer_has_not_closed_is_repaired() {
    let fixture = Fixture::new();
    fixture.write("one", &["jane"], "one");
    fixture.rest(0);
    let writer = fixture.server_with(Probe::default());
    assert_eq!(subjects(&writer), ["one"]);
    let index = fixture.drop_dir().with_file_name("State").join(NAME);
    let unclosed = std::fs::read(&index).unwrap();
    drop(writer);
    std::fs::write(&index, unclosed).unwrap();
    let server = fixture.server_with(Probe::default());
    assert_eq!(subjects(&server), ["one"]);
    fixture.write("two", &["jane"], "two");
    assert_eq!(subjects(&server), ["one", "two"]);
    let state = std::fs::read_dir(index.parent().unwrap()).unwrap();
    let aside = state.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().contains("aside")
    });
    assert_eq!(aside.count(), 0);
}

/// One that was stopped while it writes: the others list without the index, and with it again when
/// he goes on.
#[test]
fn p10_a_writer_that_stands_still_holds_nobody_up() {
    let fixture = Fixture::new();
    fixture.write("one", &["jane"], "one");
    fixture.rest(0);
    let reading = fixture.server_with(Probe::default());
    assert_eq!(subjects(&reading), ["one"]);
    drop(reading);
    let reading = fixture.server_with(Probe::default());
    assert_eq!(subjects(&reading), ["one"]);
    let state = fixture.drop_dir().with_file_name("State");
    let dir = Dir::open_path(&state, Modes::default(), &Probe::default()).unwrap();
    let access = Access::open(&dir, false).unwrap().unwrap();
    let txn = access.begin_write().unwrap();
    fixture.write("two", &["jane"], "two");
    let inbox = Session::logon_smtp(&reading, "", "jane@example.com")
        .unwrap()
        .inbox();
    assert_eq!(inbox.messages().unwrap().len(), 2);
    drop(txn);
    drop(access);
    assert_eq!(subjects(&reading), ["one", "two"]);
}
