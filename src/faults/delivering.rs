//! Taking what other programs put into Pickup, and recovery from a death at any step.

use std::path::Path;

use super::{Fixture, at_every_call, count, draft, inbox_len};
use crate::MailServer;
use crate::fs::double::Fault;

const FOREIGN: &str = "X-Sender: app@example.com\r\nX-Receiver: jane@example.com\r\n\
    X-Receiver: joe@example.com\r\nX-Receiver: far@example.net\r\nSubject: s\r\n\r\nbody\r\n";

#[test]
fn a_foreign_file_is_delivered_once_and_never_lost() {
    at_every_call("foreign files are delivered", |fixture, n, fault| {
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

/// A service that is to stop takes no more.
#[test]
fn a_delivery_that_is_to_end_begins_nothing() {
    let fixture = Fixture::new();
    let server = fixture.restarted();
    fixture.write("Pickup/a.eml", FOREIGN);
    let done = crate::delivery::deliver_pickup(server.spool(), &|| true).unwrap();
    assert_eq!((done.messages(), done.problems()), (0, &[][..]));
    assert_eq!(fixture.files("Pickup"), ["a.eml"]);
}

/// Somebody writes into the file while it is taken: it goes back, and nothing of it is sent.
#[test]
fn a_file_that_changes_while_it_is_taken_is_not_sent_by_halves() {
    use crate::fs::Op;
    let (good, bad) = (FOREIGN, "no message at all");
    let elsewhere = "X-Sender: a@example.com\r\nX-Receiver: far@example.org\r\n\r\nx\r\n";
    for (content, at, then, is_gone) in [
        // When it is claimed, and when its copies are made.
        (good, "claim", FOREIGN, false),
        (good, "drop", FOREIGN, false),
        (good, "claim", elsewhere, true),
        (bad, "claim", bad, false),
        (bad, "badmail", bad, false),
    ] {
        let context = format!("{at} {content:.8} {then:.20}");
        let fixture = Fixture::new();
        let server = fixture.watched();
        fixture.write("Pickup/a.eml", content);
        let mut is_first = true;
        fixture.plan.observe(move |op, path| {
            let folder = path.parent().unwrap_or(path);
            let is_there = match at {
                "claim" => op == Op::Rename && folder.ends_with("claim"),
                folder_name => op == Op::Create && folder.ends_with(folder_name),
            };
            if is_there && std::mem::take(&mut is_first) {
                let claim = folder.parent().unwrap().join("claim/a.eml");
                let more = if then == elsewhere {
                    String::new()
                } else {
                    content.to_owned()
                };
                std::fs::write(claim, more + then).unwrap();
            }
        });
        let done = server.deliver_now().unwrap();
        assert_eq!((done.messages(), done.badmail().len()), (0, 0), "{context}");
        assert_eq!(fixture.files("Pickup"), ["a.eml"], "{context}");
        assert_eq!(fixture.files("Drop"), [""; 0], "{context}");
        fixture.assert_state_is_clean(&context);
        // It is taken the next time, as it is then.
        let done = fixture.restarted().deliver_now().unwrap();
        assert_eq!(
            done.messages() + done.badmail().len(),
            usize::from(!is_gone),
            "{context}"
        );
    }
}
