//! Every call to the file system is made to fail, and the process to die there, while messages are
//! sent, delivered and deleted: what is promised must hold each time.

#![allow(clippy::disallowed_methods, reason = "tests may write files")]

use std::io::ErrorKind::{Interrupted, Other, PermissionDenied, StorageFull};
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use crate::fs::double::{Fault, Plan};
use crate::fs::{Op, Probe};
use crate::{Draft, MailServer, NewMail, Session, Writer};

const FAULTS: [Fault; 7] = [
    Fault::Before(Other),
    Fault::Before(StorageFull),
    Fault::Before(PermissionDenied),
    Fault::After(Other),
    Fault::Lasting(Other),
    Fault::Syncs(Other),
    Fault::Crash,
];

struct Fixture {
    root: TempDir,
    plan: Arc<Plan>,
}

impl Fixture {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            plan: Plan::new(),
        }
    }

    /// A server whose calls follow the plan.
    fn watched(&self) -> MailServer {
        self.open(self.plan.probe())
    }

    /// The server of a process that starts later, on a file system that works.
    fn restarted(&self) -> MailServer {
        self.open(Probe::default())
    }

    fn open(&self, probe: Probe) -> MailServer {
        let mut builder = MailServer::builder()
            .mailroot(self.root.path())
            .create_directories()
            .local_domain("example.com")
            .pickup_writer(Writer::Renames);
        builder.probe = probe;
        builder.open().unwrap()
    }

    fn write(&self, path: &str, content: &str) {
        std::fs::write(self.root.path().join(path), content).unwrap();
    }

    fn files(&self, dir: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.path().join(dir)).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    }

    fn contents(&self, dir: &str) -> Vec<String> {
        let read = |name: String| std::fs::read_to_string(self.path(dir).join(name)).unwrap();
        self.files(dir).into_iter().map(read).collect()
    }

    fn path(&self, dir: &str) -> std::path::PathBuf {
        self.root.path().join(dir)
    }

    /// After recovery nothing is left on its way.
    fn assert_state_is_clean(&self, context: &str) {
        for dir in ["locks", "staging", "committed", "removing"] {
            let left = self.files(&format!("State/{dir}"));
            assert_eq!(left, [""; 0], "{dir} {context}");
        }
    }
}

fn count(server: &MailServer, address: &str) -> usize {
    let session = Session::logon_smtp(server, "", address).unwrap();
    let messages = session.inbox().messages().unwrap();
    for message in &messages {
        assert_eq!(message.text().unwrap(), "Text", "half a message is visible");
        assert_eq!(
            message
                .attachments()
                .unwrap()
                .get(0)
                .unwrap()
                .size()
                .unwrap(),
            100_000
        );
    }
    messages.len()
}

fn draft(server: &MailServer, to: &str) -> Draft {
    NewMail::new(server)
        .from("shop@example.com")
        .to(to)
        .bcc("blind@example.com")
        .subject("Subject")
        .body("Text")
        .attach_bytes("data.bin", vec![7; 100_000])
        .into_draft()
}

/// Runs `check` for each call that `work` makes and each way in which it can fail.
fn at_every_call(check: impl Fn(&Fixture, usize, Fault) -> bool) {
    for fault in FAULTS {
        for n in 0.. {
            if !check(&Fixture::new(), n, fault) {
                assert!(n > 3, "the plan was never followed");
                break;
            }
        }
    }
}

#[test]
fn of_many_sent_together_each_is_sent_or_not() {
    at_every_call(|fixture, n, fault| {
        let context = format!("{n} {fault:?}");
        let server = fixture.watched();
        let addresses: Vec<_> = (0..4).map(|n| format!("user{n}@example.com")).collect();
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

fn send_at_every_call(to: &str, local: &[&str], has_remote: bool) {
    at_every_call(|fixture, n, fault| {
        let context = format!("{to} {n} {fault:?}");
        let server = fixture.watched();
        let draft = draft(&server, to);
        fixture.plan.arm(n, fault);
        let sent = draft.send();
        let struck = fixture.plan.struck();
        let calls = fixture.plan.disarm();
        if sent.is_err() {
            let is_room = calls.get(n).is_some_and(|(op, _)| *op == Op::MakeDir);
            if matches!(fault, Fault::Before(_)) && is_room && fixture.path("State/locks").exists()
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
    });
}

#[test]
fn a_send_to_several_places_is_all_or_nothing() {
    let local = ["jane@example.com", "joe@example.com", "blind@example.com"];
    send_at_every_call(
        "jane@example.com; joe@example.com; far@example.net",
        &local,
        true,
    );
}

#[test]
fn a_send_to_one_place_is_all_or_nothing() {
    send_at_every_call("", &["blind@example.com"], false);
}

const FOREIGN: &str = "X-Sender: app@example.com\r\nX-Receiver: jane@example.com\r\n\
    X-Receiver: joe@example.com\r\nX-Receiver: far@example.net\r\nSubject: s\r\n\r\nbody\r\n";

fn inbox_len(server: &MailServer, address: &str) -> usize {
    let session = Session::logon_smtp(server, "", address).unwrap();
    session.inbox().messages().unwrap().len()
}

#[test]
fn a_foreign_file_is_delivered_once_and_never_lost() {
    at_every_call(|fixture, n, fault| {
        let context = format!("{n} {fault:?}");
        let server = fixture.watched();
        fixture.write("Pickup/a.eml", FOREIGN);
        fixture.write("Pickup/bad.eml", "no message at all");
        fixture.plan.arm(n, fault);
        let _ = server.deliver_now();
        let struck = fixture.plan.struck();
        fixture.plan.disarm();
        for file in fixture.contents("Drop") {
            assert!(file.ends_with("body\r\n"), "half a file: {context}");
        }
        drop(server);
        let server = fixture.restarted();
        let done = server.deliver_now().unwrap();
        assert!(
            done.problems().is_empty(),
            "{:?} {context}",
            done.problems()
        );
        for address in ["jane@example.com", "joe@example.com"] {
            assert_eq!(inbox_len(&server, address), 1, "{address} {context}");
        }
        let pickup = fixture.contents("Pickup");
        assert_eq!(pickup.len(), 1, "{context}");
        assert!(
            pickup[0].contains("X-Receiver: far@example.net\r\nReceived: "),
            "{context}"
        );
        let bad = fixture.files("Badmail");
        for ending in [".BAD", ".BDR", ".BDP"] {
            let count = bad.iter().filter(|name| name.ends_with(ending)).count();
            assert_eq!(count, 1, "{ending} {context}");
        }
        fixture.assert_state_is_clean(&context);
        struck
    });
}

#[test]
fn a_signal_changes_nothing() {
    at_every_call(|fixture, n, fault| {
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
    });
}

const SHARED: &str = "x-sender: s@example.net\r\nx-receiver: jane@example.com\r\n\
    x-receiver: joe@example.com\r\nReceived: by x; Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\nbody\r\n";

fn delete_first(server: &MailServer, address: &str) -> crate::Result<()> {
    let session = Session::logon_smtp(server, "", address)?;
    match session.inbox().messages()?.get(0) {
        Some(message) => message.delete(),
        None => Ok(()),
    }
}

/// Deletes for one while a call fails; then nothing but that deletion, or nothing, has happened.
fn delete_at_every_call(content: &str, others: &[&str]) {
    at_every_call(|fixture, n, fault| {
        let context = format!("{n} {fault:?}");
        let server = fixture.watched();
        fixture.write("Drop/a.eml", content);
        let session = Session::logon_smtp(&server, "", "jane@example.com").unwrap();
        let message = session.inbox().messages().unwrap().get(0).unwrap();
        fixture.plan.arm(n, fault);
        let deleted = message.delete();
        let struck = fixture.plan.struck();
        fixture.plan.disarm();
        drop((session, server));
        let server = fixture.restarted();
        let left = inbox_len(&server, "jane@example.com");
        match (&deleted, fault) {
            (Ok(()), _) => assert_eq!(left, 0, "it came back: {context}"),
            (Err(_), Fault::Crash) => assert!(left <= 1, "{context}"),
            (Err(error), _) => {
                assert_eq!(left, 1, "gone after an error: {error} {context}");
                assert!(error.path().is_some(), "no path: {error} {context}");
            }
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
    at_every_call(|fixture, n, fault| {
        let context = format!("{n} {fault:?}");
        fixture.open(Probe::default());
        fixture.write("Drop/a.eml", SHARED);
        delete_first(&fixture.restarted(), "joe@example.com").unwrap();
        let server = fixture.watched();
        let session = Session::logon_smtp(&server, "", "jane@example.com").unwrap();
        let message = session.inbox().messages().unwrap().get(0).unwrap();
        fixture.plan.arm(n, fault);
        let deleted = message.delete();
        let struck = fixture.plan.struck();
        fixture.plan.disarm();
        drop((session, server));
        let server = fixture.restarted();
        assert_eq!(
            inbox_len(&server, "joe@example.com"),
            0,
            "it came back: {context}"
        );
        let left = inbox_len(&server, "jane@example.com");
        match (deleted, fault) {
            (Ok(()), _) => assert_eq!(left, 0, "it came back: {context}"),
            (Err(_), Fault::Crash) => assert!(left <= 1, "{context}"),
            (Err(error), _) => assert_eq!(left, 1, "gone after an error: {error} {context}"),
        }
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

/// A recovery that dies, at every step, and the one after it.
#[test]
fn recovery_may_die_too() {
    // Leaves one message handed over and not moved, and one claim.
    let prepare = |fixture: &Fixture| {
        let server = fixture.watched();
        let to = "jane@example.com; far@example.net";
        // The second and the third send make the same calls.
        draft(&server, to).send().unwrap();
        fixture.plan.arm(usize::MAX, Fault::Crash);
        draft(&server, to).send().unwrap();
        let calls = fixture.plan.disarm();
        let is_move = |path: &Path| path.starts_with(fixture.path("Drop"));
        let first = calls.iter().position(|(_, path)| is_move(path)).unwrap();
        for dir in ["Drop", "Pickup"] {
            for file in fixture.files(dir) {
                std::fs::remove_file(fixture.path(dir).join(file)).unwrap();
            }
        }
        let draft = draft(&server, to);
        fixture.plan.arm(first, Fault::Crash);
        draft.send().unwrap();
        fixture.plan.disarm();
        assert_eq!(fixture.files("Drop"), [""; 0]);
        assert_eq!(fixture.files("State/committed").len(), 1);
    };
    for n in 0.. {
        let fixture = Fixture::new();
        prepare(&fixture);
        fixture.plan.arm(n, Fault::Crash);
        let probe = fixture.plan.probe();
        let mut builder = MailServer::builder()
            .mailroot(fixture.root.path())
            .local_domain("example.com");
        builder.probe = probe;
        drop(builder.open());
        let struck = fixture.plan.struck();
        fixture.plan.disarm();
        let server = fixture.restarted();
        assert_eq!(count(&server, "jane@example.com"), 1, "{n}");
        assert_eq!(count(&server, "blind@example.com"), 1, "{n}");
        assert_eq!(fixture.files("Pickup").len(), 1, "{n}");
        fixture.assert_state_is_clean(&n.to_string());
        if !struck {
            break;
        }
    }
}
