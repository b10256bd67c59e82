//! Sending: a message is with all its recipients or with none, and an error gives the draft back.

use std::io::ErrorKind::{Interrupted, Other};
#[cfg(all(target_os = "linux", not(portable_fs)))]
use std::path::Path;

#[cfg(all(target_os = "linux", not(portable_fs)))]
use super::Fixture;
use super::{at_every_call, at_every_call_of, count, draft, faults, is_long};
use crate::fs::Op;
use crate::fs::double::Fault;
use crate::{NewMail, Session};

#[test]
fn of_many_sent_together_each_is_sent_or_not() {
    send_many_at_every_call(true);
}

/// The same where no file can be made without a name.
#[test]
fn of_many_sent_together_with_names_each_is_sent_or_not() {
    send_many_at_every_call(false);
}

fn send_many_at_every_call(has_unnamed: bool) {
    // Without names in a long run they fail in all ways, and in a short one in some.
    let kinds = faults().filter(|fault| {
        has_unnamed || is_long() || matches!(fault, Fault::Before(Other) | Fault::Crash)
    });
    at_every_call_of("many are sent together", kinds, |fixture, n, fault| {
        let context = format!("{n} {fault:?}");
        if !has_unnamed {
            fixture.plan.lack_unnamed();
        }
        let server = fixture.watched();
        let count_of = if has_unnamed { 4 } else { 2 };
        let addresses: Vec<_> = (0..count_of)
            .map(|n| format!("user{n}@example.com"))
            .collect();
        let drafts = addresses.iter().map(|address| {
            NewMail::new(&server)
                .from("shop@example.com")
                .to(address)
                .subject("Subject")
                .body("Text")
                .attach_bytes("data.bin", vec![7; 100_000])
                .into_draft()
        });
        let session = Session::logon_smtp(&server, "", "shop@example.com").unwrap();
        let drafts: Vec<_> = drafts.collect();
        fixture.plan.arm(n, fault);
        let results = session.outbox().send_all(drafts);
        let struck = fixture.plan.struck();
        fixture.plan.disarm();
        drop(session);
        drop(server);
        let server = fixture.restarted();
        assert_eq!(results.len(), addresses.len());
        for (result, address) in results.into_iter().zip(&addresses) {
            let visible = count(&server, address);
            match (result, fault) {
                (Ok(_), _) => assert_eq!(visible, 1, "{context}"),
                (Err(_), Fault::Crash) => assert!(visible <= 1, "{context}"),
                (Err(error), _) => {
                    assert_eq!(visible, 0, "visible after an error: {context}");
                    assert!(error.path().is_some(), "no path: {error} {context}");
                    let mut again = error.into_draft();
                    again.move_to(&server);
                    again.send().unwrap();
                    assert_eq!(count(&server, address), 1, "{context}");
                }
            }
        }
        struck
    });
}

/// Each piece of a copy may be the one that cannot be written.
#[test]
fn a_send_in_small_pieces_is_all_or_nothing() {
    for is_stuffed in [false, true] {
        send_in_small_pieces(is_stuffed);
    }
}

fn send_in_small_pieces(is_stuffed: bool) {
    for n in 0.. {
        let fixture = super::Fixture::new();
        fixture.plan.shorten(64);
        let mut builder = crate::MailServer::builder()
            .mailroot(fixture.root.path())
            .create_directories()
            .local_domain("example.com")
            .pickup_dot_stuffed(is_stuffed);
        builder.probe = fixture.plan.probe();
        let server = builder.open().unwrap();
        let mail = NewMail::new(&server).from("shop@example.com").subject("Hi");
        let mail = mail.to("jane@example.com; far@example.net").body("Text");
        fixture
            .plan
            .arm(n, Fault::Before(std::io::ErrorKind::StorageFull));
        let sent = mail.send();
        let struck = fixture.plan.struck();
        fixture.plan.disarm();
        let expected = usize::from(sent.is_ok());
        let server = fixture.restarted();
        assert_eq!(
            super::inbox_len(&server, "jane@example.com"),
            expected,
            "{n}"
        );
        let pickup = fixture.contents("Pickup");
        assert_eq!(pickup.len(), expected, "{n}");
        assert!(
            pickup.iter().all(|file| file.ends_with("\r\n\r\nText")),
            "{n} {pickup:?}"
        );
        if !struck {
            assert!(n > 20, "it was written at once");
            break;
        }
    }
}

#[cfg(all(target_os = "linux", not(portable_fs)))]
#[test]
fn many_share_the_sync_of_the_directory() {
    let fixture = Fixture::new();
    let server = fixture.watched();
    let session = Session::logon_smtp(&server, "", "shop@example.com").unwrap();
    let drafts: Vec<_> = (0..20)
        .map(|n| {
            let mut draft = session.outbox().messages().add("Subject", "Text");
            let address = format!("user{n}@example.com");
            draft
                .recipients_mut()
                .add("", address, crate::RecipientType::To);
            draft
        })
        .collect();
    fixture.plan.disarm();
    let results = session.outbox().send_all(drafts);
    assert!(results.iter().all(Result::is_ok));
    let calls = fixture.plan.disarm();
    let syncs = |path: &Path| {
        let of = calls
            .iter()
            .filter(|(op, at)| matches!(op, Op::Sync | Op::SyncDir) && at == path);
        of.count()
    };
    // A file without a name is called by its directory: twenty of them, and the directory once.
    assert_eq!(syncs(&fixture.path("Drop")), 21);
    assert_eq!(calls.iter().filter(|(op, _)| *op == Op::Link).count(), 20);
}

/// The disk cannot say that the name is there for good, but a reader has taken the file already.
#[cfg(all(target_os = "linux", not(portable_fs)))]
#[test]
fn what_a_reader_has_already_was_sent_whatever_the_disk_says() {
    let fixture = Fixture::new();
    let server = fixture.watched();
    let send = || {
        let mail = NewMail::new(&server).from("shop@example.com");
        let mail = mail.to("jane@example.com").subject("Subject");
        mail.body("Text").send().unwrap()
    };
    let drop = fixture.path("Drop");
    // The second and the third make the same calls.
    send();
    fixture.plan.disarm();
    send();
    let calls = fixture.plan.disarm();
    let is_sync = |(op, path): &(Op, std::path::PathBuf)| *op == Op::SyncDir && *path == drop;
    let at = calls.iter().position(is_sync).unwrap();
    let taken = drop.clone();
    fixture.plan.observe(move |op, _| {
        if op == Op::Link {
            for entry in std::fs::read_dir(&taken).unwrap() {
                std::fs::remove_file(entry.unwrap().path()).unwrap();
            }
        }
    });
    fixture.plan.arm(at, Fault::Before(Other));
    let sent = send();
    assert!(fixture.plan.struck());
    assert_eq!(sent.pending().len(), 1, "{:?}", sent.pending());
    assert_eq!(fixture.files("Drop"), [""; 0]);
}

fn send_at_every_call(to: &str, local: &[&str], has_remote: bool, has_unnamed: bool) {
    at_every_call(
        &format!("a message is sent to `{to}`"),
        |fixture, n, fault| {
            let context = format!("{to} {n} {fault:?}");
            if !has_unnamed {
                fixture.plan.lack_unnamed();
            }
            let server = fixture.watched();
            let draft = draft(&server, to);
            fixture.plan.arm(n, fault);
            let sent = draft.send();
            let struck = fixture.plan.struck();
            let calls = fixture.plan.disarm();
            if sent.is_err() {
                let is_room = calls.get(n).is_some_and(|(op, _)| *op == Op::MakeDir);
                if matches!(fault, Fault::Before(_))
                    && is_room
                    && fixture.path("State/locks").exists()
                {
                    assert_eq!(
                        fixture.files("State/locks"),
                        [""; 0],
                        "a lock is left: {context}"
                    );
                }
                assert_eq!(
                    fixture.files("Drop"),
                    [""; 0],
                    "visible after an error: {context}"
                );
                assert_eq!(
                    fixture.files("Pickup"),
                    [""; 0],
                    "visible after an error: {context}"
                );
            }
            drop(server);
            let server = fixture.restarted();
            let copies: Vec<_> = local
                .iter()
                .map(|address| count(&server, address))
                .collect();
            let pickup = fixture.contents("Pickup");
            let expected = match (&sent, fault) {
                // The process died: all or nothing.
                (Err(_), Fault::Crash) => copies[0],
                (Err(_), _) => 0,
                (Ok(_), _) => 1,
            };
            assert!(
                copies.iter().all(|&copies| copies == expected),
                "{copies:?} {context}"
            );
            assert_eq!(
                pickup.len(),
                expected * usize::from(has_remote),
                "{context}"
            );
            for file in pickup {
                assert_eq!(file.matches("X-Receiver").count(), 1, "{context}");
                assert!(file.ends_with("--\r\n"), "half a file: {context}");
            }
            if fixture.path("State").exists() {
                fixture.assert_state_is_clean(&context);
            }
            if let Err(error) = sent
                && !matches!(fault, Fault::Crash)
            {
                assert!(error.path().is_some(), "no path: {error} {context}");
                let mut again = error.into_draft();
                again.move_to(&server);
                again.send().unwrap();
                assert!(
                    local.iter().all(|address| count(&server, address) == 1),
                    "{context}"
                );
            }
            struck
        },
    );
}

#[test]
fn a_send_to_several_places_is_all_or_nothing() {
    let local = ["jane@example.com", "joe@example.com", "blind@example.com"];
    send_at_every_call(
        "jane@example.com; joe@example.com; far@example.net",
        &local,
        true,
        true,
    );
}

#[test]
fn a_send_to_one_place_is_all_or_nothing() {
    // Where a file can be made without a name, and where it cannot.
    for has_unnamed in [true, false] {
        send_at_every_call("", &["blind@example.com"], false, has_unnamed);
    }
}

#[test]
fn a_signal_changes_nothing() {
    at_every_call(
        "a signal comes while a message is sent",
        |fixture, n, fault| {
            if !matches!(fault, Fault::Crash) {
                return n < 4;
            }
            let server = fixture.watched();
            let draft = draft(&server, "jane@example.com; far@example.net");
            fixture.plan.arm(n, Fault::Before(Interrupted));
            draft.send().unwrap();
            assert_eq!(count(&server, "jane@example.com"), 1);
            let struck = fixture.plan.struck();
            fixture.plan.disarm();
            struck
        },
    );
}

/// A system that wrote less than it said.
#[test]
fn a_copy_that_is_not_as_long_as_it_was_written_is_not_sent() {
    let fixture = super::Fixture::new();
    fixture.plan.lack_unnamed();
    let server = fixture.watched();
    let mut last = std::path::PathBuf::new();
    fixture.plan.observe(move |op, path| match op {
        Op::Create if path.extension().is_some_and(|end| end == "eml") => last = path.to_path_buf(),
        Op::Sync if path == last => {
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_len(7).unwrap();
        }
        _ => {}
    });
    let error = draft(&server, "jane@example.com").send().unwrap_err();
    assert!(error.to_string().contains("octets were written"), "{error}");
    assert!(error.path().is_some());
    drop(error);
    assert_eq!(fixture.files("Drop"), [""; 0]);
    fixture.assert_state_is_clean("cut");
}

/// Somebody has taken the name of a copy in Drop: his file stays, and the copy comes under another.
/// If it is the copy itself, by a second link, it is there already.
#[cfg(unix)]
#[test]
fn a_name_that_is_taken_costs_neither_file() {
    for is_same in [false, true] {
        let fixture = super::Fixture::new();
        let server = fixture.watched();
        let (committed, to) = (fixture.path("State/committed"), fixture.path("Drop"));
        fixture.plan.observe(move |op, path| {
            if op != crate::fs::Op::Rename || path.parent() != Some(&committed) {
                return;
            }
            for copy in std::fs::read_dir(path.join("drop")).unwrap() {
                let copy = copy.unwrap();
                let taken = to.join(copy.file_name());
                if is_same {
                    std::fs::hard_link(copy.path(), taken).unwrap();
                } else {
                    std::fs::write(taken, "somebody's").unwrap();
                }
            }
        });
        let sent = draft(&server, "jane@example.com").send().unwrap();
        assert_eq!(sent.pending(), []);
        for address in ["jane@example.com", "blind@example.com"] {
            assert_eq!(count(&server, address), 1, "{address} {is_same}");
        }
        let files = fixture.contents("Drop");
        let others = files.iter().filter(|file| *file == "somebody's").count();
        assert_eq!((files.len(), others), if is_same { (2, 0) } else { (4, 2) });
        fixture.assert_state_is_clean("taken");
    }
}
