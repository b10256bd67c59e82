//! Deleting: what was told as deleted never comes back, and nobody else loses anything.

use std::io::ErrorKind::Other;

use super::{Fixture, at_every_call, inbox_len};
use crate::fs::double::Fault;
use crate::fs::{Op, Probe};
use crate::{MailServer, Session};

const SHARED: &str = "x-sender: s@example.net\r\nx-receiver: jane@example.com\r\n\
    x-receiver: joe@example.com\r\nReceived: by x; Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\nbody\r\n";

fn delete_first(server: &MailServer, address: &str) -> crate::Result<()> {
    let session = Session::logon_smtp(server, "", address)?;
    match session.inbox().messages()?.get(0) {
        Some(message) => message.delete(),
        None => Ok(()),
    }
}

/// Deletes the first of Jane's messages while a call fails; whether one did.
fn delete_struck(
    fixture: &Fixture,
    server: &MailServer,
    n: usize,
    fault: Fault,
) -> (crate::Result<()>, bool) {
    let session = Session::logon_smtp(server, "", "jane@example.com").unwrap();
    let message = session.inbox().messages().unwrap().get(0).unwrap();
    fixture.plan.arm(n, fault);
    let deleted = message.delete();
    let struck = fixture.plan.struck();
    fixture.plan.disarm();
    (deleted, struck)
}

/// Whether what is left of it fits what was told.
fn assert_told(deleted: &crate::Result<()>, fault: Fault, left: usize, context: &str) {
    match (deleted, fault) {
        (Ok(()), _) => assert_eq!(left, 0, "it came back: {context}"),
        (Err(_), Fault::Crash) => assert!(left <= 1, "{context}"),
        (Err(error), _) => {
            assert_eq!(left, 1, "gone after an error: {error} {context}");
            assert!(error.path().is_some(), "no path: {error} {context}");
        }
    }
}

/// Deletes for one while a call fails; then nothing but that deletion, or nothing, has happened.
fn delete_at_every_call(content: &str, others: &[&str]) {
    at_every_call("a file is deleted", |fixture, n, fault| {
        let context = format!("{n} {fault:?}");
        let server = fixture.watched();
        fixture.write("Drop/a.eml", content);
        let (deleted, struck) = delete_struck(fixture, &server, n, fault);
        drop(server);
        let server = fixture.restarted();
        let left = inbox_len(&server, "jane@example.com");
        assert_told(&deleted, fault, left, &context);
        if matches!(fault, Fault::Full) && others.is_empty() {
            assert!(deleted.is_ok(), "a full disk cannot be emptied: {context}");
        }
        if deleted.is_ok() && matches!(fault, Fault::Lasting(_)) {
            let left = fixture.files("Drop").len();
            assert_eq!(
                left,
                usize::from(!others.is_empty()),
                "still there: {context}"
            );
        }
        for other in others {
            assert_eq!(
                inbox_len(&server, other),
                1,
                "taken from {other}: {context}"
            );
        }
        // Deleting to the end leaves nothing, whatever has happened before.
        delete_first(&server, "jane@example.com").unwrap();
        for other in others {
            delete_first(&server, other).unwrap();
        }
        assert_eq!(fixture.files("Drop"), [""; 0], "{context}");
        assert_eq!(fixture.files("State/marks"), [""; 0], "{context}");
        fixture.assert_state_is_clean(&context);
        struck
    });
}

#[test]
fn deleting_ones_own_file_is_done_or_not_done() {
    let own = SHARED.replace("x-receiver: joe@example.com\r\n", "");
    delete_at_every_call(&own, &[]);
}

#[test]
fn deleting_a_shared_file_never_takes_it_from_the_other() {
    delete_at_every_call(SHARED, &["joe@example.com"]);
}

#[test]
fn the_last_deletion_of_a_shared_file_survives_a_death_at_any_step() {
    at_every_call("the last of two deletes a file", |fixture, n, fault| {
        let context = format!("{n} {fault:?}");
        fixture.open(Probe::default());
        fixture.write("Drop/a.eml", SHARED);
        delete_first(&fixture.restarted(), "joe@example.com").unwrap();
        let server = fixture.watched();
        let (deleted, struck) = delete_struck(fixture, &server, n, fault);
        drop(server);
        let server = fixture.restarted();
        assert_eq!(
            inbox_len(&server, "joe@example.com"),
            0,
            "it came back: {context}"
        );
        let left = inbox_len(&server, "jane@example.com");
        assert_told(&deleted, fault, left, &context);
        delete_first(&server, "jane@example.com").unwrap();
        assert_eq!(inbox_len(&server, "jane@example.com"), 0, "{context}");
        assert_eq!(fixture.files("Drop"), [""; 0], "{context}");
        struck
    });
}

/// A deletion was told as done, but its file is still on its way out: no failure of a recovery
/// may bring it back.
#[test]
fn what_was_deleted_does_not_come_back_by_a_recovery_that_fails() {
    let own = SHARED.replace("x-receiver: joe@example.com\r\n", "");
    for fault in [Fault::Before(Other), Fault::After(Other), Fault::Crash] {
        for n in 0.. {
            let fixture = Fixture::new();
            let server = fixture.watched();
            let delete = |n, fault| {
                fixture.write("Drop/a.eml", &own);
                fixture.plan.arm(n, fault);
                delete_first(&server, "jane@example.com").unwrap();
                fixture.plan.disarm()
            };
            // The second and the third deletion make the same calls.
            delete(usize::MAX, Fault::Crash);
            let calls = delete(usize::MAX, Fault::Crash);
            let is_unlink = |(op, path): &(Op, std::path::PathBuf)| {
                *op == Op::Remove && path.ends_with("a.eml")
            };
            delete(
                calls.iter().position(is_unlink).unwrap(),
                Fault::Lasting(Other),
            );
            assert_eq!(fixture.files("State/removing").len(), 1);
            drop(server);
            fixture.plan.arm(n, fault);
            let mut builder = MailServer::builder()
                .mailroot(fixture.root.path())
                .local_domain("example.com");
            builder.probe = fixture.plan.probe();
            drop(builder.open());
            let struck = fixture.plan.struck();
            fixture.plan.disarm();
            let left = inbox_len(&fixture.restarted(), "jane@example.com");
            assert_eq!(left, 0, "it came back: {n} {fault:?}");
            fixture.assert_state_is_clean(&format!("{n} {fault:?}"));
            if !struck {
                break;
            }
        }
    }
}

/// Another file takes the name between the look at it and its removal: it goes back, and the reader
/// is told that his is gone.
#[test]
fn a_file_that_takes_the_name_at_the_last_instant_goes_back() {
    let fixture = Fixture::new();
    let own = SHARED.replace("x-receiver: joe@example.com\r\n", "");
    let server = fixture.watched();
    fixture.write("Drop/a.eml", &own);
    // Its directories are made.
    delete_first(&server, "jane@example.com").unwrap();
    fixture.write("Drop/a.eml", &own);
    let session = Session::logon_smtp(&server, "", "jane@example.com").unwrap();
    let message = session.inbox().messages().unwrap().get(0).unwrap();
    fixture.write("other", &SHARED.replace("jane", "mary"));
    let (from, to) = (fixture.path("other"), fixture.path("Drop/a.eml"));
    let mut is_first = true;
    fixture.plan.observe(move |op, _| {
        if op == Op::MakeDir && std::mem::take(&mut is_first) {
            std::fs::rename(&from, &to).unwrap();
        }
    });
    let error = message.delete().unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::MessageGone);
    assert_eq!(inbox_len(&server, "mary@example.com"), 1);
    assert_eq!(inbox_len(&server, "jane@example.com"), 0);
    fixture.assert_state_is_clean("swapped");
}

/// The first thing that a program does with its state.
#[test]
fn a_deletion_that_needs_the_state_first_is_one_or_none() {
    at_every_call("a file is deleted first of all", |fixture, n, fault| {
        let context = format!("{n} {fault:?}");
        drop(fixture.restarted());
        fixture.write(
            "Drop/a.eml",
            &SHARED.replace("x-receiver: joe@example.com\r\n", ""),
        );
        let mut builder = MailServer::builder()
            .mailroot(fixture.root.path())
            .drop_writer(crate::Writer::Renames);
        builder.probe = fixture.plan.probe();
        let server = builder.open().unwrap();
        let (deleted, struck) = delete_struck(fixture, &server, n, fault);
        let left = inbox_len(&fixture.restarted(), "jane@example.com");
        assert_told(&deleted, fault, left, &context);
        struck
    });
}

/// Another program puts a new file in the place of the judged one at the last moment: it goes back,
/// whatever fails.
#[test]
fn a_file_that_came_in_the_place_of_another_goes_back_whatever_fails() {
    for n in 0.. {
        let fixture = Fixture::new();
        let server = fixture.watched();
        let own = SHARED.replace("x-receiver: joe@example.com\r\n", "");
        fixture.write("Drop/a.eml", &own);
        let session = Session::logon_smtp(&server, "", "jane@example.com").unwrap();
        let message = session.inbox().messages().unwrap().get(0).unwrap();
        let (name, new) = (fixture.path("Drop/a.eml"), own.replace("body", "another"));
        let mut is_first = true;
        fixture.plan.observe(move |op, path| {
            // The last call before the file is taken.
            if op == Op::SyncDir && path.ends_with("removing") && std::mem::take(&mut is_first) {
                std::fs::remove_file(&name).unwrap();
                std::fs::write(&name, &new).unwrap();
            }
        });
        fixture.plan.arm(n, Fault::Before(Other));
        let deleted = message.delete();
        let struck = fixture.plan.struck();
        fixture.plan.disarm();
        fixture.plan.observe(|_, _| {});
        drop((session, server));
        let server = fixture.restarted();
        let session = Session::logon_smtp(&server, "", "jane@example.com").unwrap();
        let messages = session.inbox().messages().unwrap();
        assert_eq!(messages.len(), 1, "{n}");
        let text = messages.get(0).unwrap().text().unwrap();
        // It is not deleted, or deleted and another.
        assert!(text.contains("another") || deleted.is_err(), "{n}: {text}");
        fixture.assert_state_is_clean(&n.to_string());
        if !struck {
            assert_eq!(deleted.unwrap_err().kind(), crate::ErrorKind::MessageGone);
            break;
        }
    }
}

/// The mark of it is written in small pieces, each of which may be the one that fails; and another
/// session of the same address is faster.
#[test]
fn a_deletion_is_written_down_once_whatever_fails() {
    for n in 0.. {
        let fixture = Fixture::new();
        let server = fixture.watched();
        fixture.write("Drop/a.eml", SHARED);
        let session = Session::logon_smtp(&server, "", "jane@example.com").unwrap();
        let message = session.inbox().messages().unwrap().get(0).unwrap();
        fixture.plan.shorten(8);
        fixture.plan.arm(n, Fault::Before(Other));
        let deleted = message.delete();
        let struck = fixture.plan.struck();
        fixture.plan.disarm();
        let left = inbox_len(&fixture.restarted(), "jane@example.com");
        assert_eq!(left, usize::from(deleted.is_err()), "{n}");
        assert_eq!(inbox_len(&fixture.restarted(), "joe@example.com"), 1, "{n}");
        if !struck {
            break;
        }
    }
    let fixture = Fixture::new();
    let server = fixture.watched();
    fixture.write("Drop/a.eml", SHARED);
    let session = Session::logon_smtp(&server, "", "jane@example.com").unwrap();
    let message = session.inbox().messages().unwrap().get(0).unwrap();
    let faster = fixture.restarted();
    let mut is_first = true;
    fixture.plan.observe(move |op, path| {
        if op == Op::Create && path.ends_with("marks") && std::mem::take(&mut is_first) {
            delete_first(&faster, "jane@example.com").unwrap();
        }
    });
    message.delete().unwrap();
    assert_eq!(inbox_len(&fixture.restarted(), "jane@example.com"), 0);
    assert_eq!(inbox_len(&fixture.restarted(), "joe@example.com"), 1);
}
