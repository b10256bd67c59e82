//! What does not fit together in an index is noticed, and nothing of it is shown.

#![allow(clippy::disallowed_methods, reason = "tests may write files")]

use std::path::Path;

use redb::{ReadableTable, WriteTransaction};

use super::access::Access;
use super::{BOXES, Fault, Index, META, NAME, ROWS};
use crate::fs::double::{Fault as Failing, Plan, place};
use crate::fs::{Dir, Modes, Op, Probe};
use crate::looks::Fixture;
use crate::{MailServer, Session};

/// A way of looking, which may be the first that meets what is damaged.
type Look = fn(&MailServer);

const LOOKS: [Look; 4] = [
    |server| {
        let jane = Session::logon_smtp(server, "", "jane@example.com").unwrap();
        assert_eq!(jane.inbox().count().unwrap(), 3);
    },
    |server| {
        let jane = Session::logon_smtp(server, "", "jane@example.com").unwrap();
        // A page does not find out what is missing on others.
        assert!(jane.inbox().newest_first().unwrap().all(|one| one.is_ok()));
    },
    |server| {
        // Nor this.
        let all = server.addresses().unwrap();
        assert!(all.contains(&"jane@example.com".to_owned()), "{all:?}");
    },
    |server| server.check_all().unwrap(),
];

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
    let all = tampers.iter().flat_map(|one| {
        let first = LOOKS.iter().map(Some);
        first.chain([None]).map(move |look| (one, look))
    });
    for ((context, tamper), look) in all {
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
        if let Some(look) = look {
            look(&server());
        }
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

/// By whatever wrote over it, or a file system that lost its end.
#[test]
fn p10_an_index_that_was_cut_or_written_over_is_set_aside() {
    type Harm = fn(&mut Vec<u8>);
    let harms: [(&str, Harm); 5] = [
        ("emptied", Vec::clear),
        ("its beginning is gone", |file| file[..64].fill(0)),
        ("a little of its beginning is left", |file| {
            file.truncate(100);
        }),
        ("one page is left", |file| file.truncate(4096)),
        ("half of it is left", |file| file.truncate(file.len() / 2)),
    ];
    for (context, harm) in harms {
        let fixture = Fixture::new();
        fixture.write("one", &["jane"], "one");
        fixture.rest(0);
        assert_eq!(subjects(&fixture.server_with(Probe::default())), ["one"]);
        let state = fixture.drop_dir().with_file_name("State");
        let mut file = std::fs::read(state.join(NAME)).unwrap();
        harm(&mut file);
        std::fs::write(state.join(NAME), file).unwrap();
        let server = fixture.server_with(Probe::default());
        assert_eq!(subjects(&server), ["one"], "{context}");
        let aside = std::fs::read_dir(&state).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().contains("aside")
        });
        assert_eq!(aside.count(), 1, "{context}");
    }
}

/// Names stand in runs, each with a checksum; and what has one may still be no names.
#[test]
fn a_run_of_names_that_is_damaged_is_not_believed() {
    for is_sealed in [false, true] {
        let root = place();
        let dir = Dir::open_path(root.path(), Modes::default(), &Probe::default()).unwrap();
        let index = Index::default().open(&dir, b"test", false).unwrap();
        let writing = index.write().unwrap();
        let mut look = super::Look {
            runs: 1,
            ..super::Look::default()
        };
        writing.finish(&mut look, None).unwrap();
        assert!(index.read().unwrap().known().is_ok());
        let txn = index.access.begin_write().unwrap();
        let mut run = b"no names".to_vec();
        let sum = index.hash(&[b"names 0", &run]);
        run.extend(if is_sealed { sum } else { !sum }.to_le_bytes());
        txn.open_table(META)
            .unwrap()
            .insert("names 0", run.as_slice())
            .unwrap();
        txn.commit().unwrap();
        let known = index.read().unwrap().known();
        assert!(matches!(known, Err(Fault::Damaged)), "{is_sealed}");
    }
}

/// It is not tried without end, and not beside one that cannot be moved away.
#[test]
fn p10_an_index_that_is_damaged_again_at_once_serves_nobody() {
    let (fixture, plan) = (Fixture::new(), Plan::new());
    fixture.write("one", &["jane"], "one");
    let server = fixture.server_with(plan.probe());
    let store = server.drop_store().unwrap();
    assert!(!store.pretend_damage(|| {}));
    assert!(!store.pretend_damage(|| plan.arm(0, Failing::Lasting(std::io::ErrorKind::Other))));
    assert!(plan.struck());
    plan.disarm();
    assert_eq!(subjects(&server), ["one"]);
}

/// Whatever call fails while a damaged one is moved away and another made: the next time it is.
#[test]
fn p10_a_damaged_index_is_made_anew_whatever_fails() {
    let mut runs = 0;
    for n in 0.. {
        let (root, plan) = (place(), Plan::new());
        let dir = Dir::open_path(root.path(), Modes::default(), &plan.probe()).unwrap();
        std::fs::write(root.path().join("index.aside-before"), "").unwrap();
        std::fs::write(root.path().join(NAME), "no database").unwrap();
        plan.arm(n, Failing::Before(std::io::ErrorKind::Other));
        let index = Index::default();
        let opened = index.open(&dir, b"test", false);
        let has_failed = plan.struck();
        plan.disarm();
        assert!(
            !matches!(opened, Err(Fault::Damaged | Fault::Foreign)),
            "{n}"
        );
        drop(opened);
        index.forget();
        let again = index.open(&dir, b"test", false);
        assert!(again.is_ok(), "{n}: {again:?}");
        if !has_failed {
            break;
        }
        runs += 1;
    }
    assert!(runs > 6, "{runs}");
}

/// Two programs begin at once.
#[test]
fn of_two_that_are_made_at_once_one_is_everybodys() {
    type Other = fn(&Path);
    type Check = fn(Result<(), Fault>);
    let others: [(Other, Check); 3] = [
        (
            |path| {
                let dir = Dir::open_path(path, Modes::default(), &Probe::default()).unwrap();
                Index::default().open(&dir, b"test", false).unwrap();
            },
            |opened| opened.unwrap(),
        ),
        (
            |path| std::fs::write(path.join(NAME), "no database").unwrap(),
            |opened| assert!(matches!(opened, Err(Fault::Damaged))),
        ),
        (
            // It is there when a name is asked for, and moved away when it is opened.
            |path| {
                let name = path.join(NAME);
                if name.exists() {
                    std::fs::remove_file(name).unwrap();
                } else {
                    std::fs::write(name, "").unwrap();
                }
            },
            |opened| assert!(matches!(opened, Err(Fault::Unavailable))),
        ),
    ];
    for (other, check) in others {
        let (root, plan) = (place(), Plan::new());
        let dir = Dir::open_path(root.path(), Modes::default(), &plan.probe()).unwrap();
        let path = root.path().to_path_buf();
        let removes = std::ptr::fn_addr_eq(other, others[2].0);
        plan.observe(move |op, _| {
            if op == Op::Create || (op == Op::Rename && removes) {
                other(&path);
            }
        });
        let opened = Index::default().open(&dir, b"test", false);
        let left = dir.all_names().unwrap();
        assert!(left.iter().all(|name| name == NAME), "{left:?}");
        check(opened.map(drop));
    }
}

/// Nothing was there to be moved.
#[test]
fn one_that_is_gone_need_not_be_set_aside() {
    let root = place();
    let dir = Dir::open_path(root.path(), Modes::default(), &Probe::default()).unwrap();
    Index::default().set_aside(&dir).unwrap();
    assert_eq!(dir.all_names().unwrap().len(), 0);
}

/// Another process found it damaged and made one anew.
#[test]
fn one_that_was_replaced_is_not_written_to() {
    let root = place();
    let dir = Dir::open_path(root.path(), Modes::default(), &Probe::default()).unwrap();
    drop(Index::default().open(&dir, b"test", false).unwrap());
    let access = Access::open(&dir, false).unwrap().unwrap();
    Index::default().set_aside(&dir).unwrap();
    Index::default().open(&dir, b"test", false).unwrap();
    assert!(matches!(access.begin_write(), Err(Fault::Unavailable)));
    access.begin_read().unwrap();
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
    let writing = reading;
    let reading = fixture.server_with(Probe::default());
    assert_eq!(subjects(&reading), ["one"]);
    let state = fixture.drop_dir().with_file_name("State");
    let dir = Dir::open_path(&state, Modes::default(), &Probe::default()).unwrap();
    let access = Access::open(&dir, false).unwrap().unwrap();
    let txn = access.begin_write().unwrap();
    fixture.write("two", &["jane"], "two");
    for server in [&reading, &writing] {
        let session = Session::logon_smtp(server, "", "jane@example.com").unwrap();
        assert_eq!(session.inbox().messages().unwrap().len(), 2);
    }
    drop(txn);
    drop(access);
    for server in [&reading, &writing] {
        assert_eq!(subjects(server), ["one", "two"]);
    }
}
