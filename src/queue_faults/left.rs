//! What a process that died has left in the queue, on a disk that fails at any call.

use super::*;

/// Its message, a state of it that says that nobody waits, states without a message, and one that
/// was never finished.
#[test]
fn what_is_left_in_the_queue_is_cleared_away_whatever_fails() {
    let to = ["yes@example.net"];
    for fault in FAULTS {
        for n in 0.. {
            let context = format!("{n} {fault:?}");
            let fixture = Fixture::new(&["gone@example.net"]);
            let queue = fixture.root.path().join("Queue");
            let done = fixture.files("Queue").remove(0);
            let done = done.strip_suffix(".eml").unwrap();
            let nobody = "cdonts queue 1\nqueued 1\nnext 0\nattempts 1\ntold 0\nend\n";
            let (gone, other) = (crate::state::new_id(), crate::state::new_id());
            for name in [
                format!("{done}.state"),
                format!("{gone}.state"),
                format!("{done}.new"),
                format!("{other}.new"),
            ] {
                std::fs::write(queue.join(name), nobody).unwrap();
            }
            let locks = fixture.root.path().join("State/locks");
            std::fs::create_dir_all(&locks).unwrap();
            std::fs::write(locks.join(&other), "").unwrap();
            let server = fixture.open(Probe::default(), 0);
            let mail = NewMail::new(&server).from("shop@example.com").to(to[0]);
            mail.subject("Hi").body("text").send().unwrap();
            drop(server);
            let struck = survives(&fixture, &to, n, fault);
            assert_eq!(fixture.relay.of("gone@example.net"), 0, "{context}");
            if !struck {
                assert!(n > 3, "the plan was never followed");
                break;
            }
        }
    }
}

/// Another service has the message in hand, or had it a moment ago.
#[test]
fn what_another_is_at_work_on_is_left_to_him() {
    let fixture = Fixture::new(&["later@example.net"]);
    let server = fixture.open(Probe::default(), 0);
    let name = fixture.files("Queue").remove(0);
    let id = name.strip_suffix(".eml").unwrap();
    let new = fixture.root.path().join(format!("Queue/{id}.new"));
    std::fs::write(&new, "half").unwrap();
    let dirs = server.spool().state.ensure().unwrap();
    let lock = dirs.take(id).unwrap().unwrap();
    let at_work = |id: &str| {
        let tried = crate::delivery::work_off_some(server.spool(), vec![id.to_owned()], &|| false);
        assert_eq!(tried, []);
        fixture.relay.of("later@example.net")
    };
    server.deliver_now().unwrap();
    assert_eq!(at_work(id), 0);
    assert!(new.exists());
    drop(lock);
    // It is tried once, and then not before its time.
    assert_eq!(at_work(id), 1);
    assert_eq!(at_work(id), 1);
    server.deliver_now().unwrap();
    assert!(!new.exists());
}

/// The owner is told that it is gone, or what failed.
#[test]
fn what_the_owner_asks_of_a_message_that_is_gone_is_an_error_whatever_fails() {
    for fault in FAULTS {
        for n in 0.. {
            let context = format!("{n} {fault:?}");
            let fixture = Fixture::new(&["yes@example.net"]);
            let server = fixture.open(fixture.plan.probe(), 0);
            let queued = server.queue().unwrap().remove(0);
            queued.cancel().unwrap();
            fixture.plan.arm(n, fault);
            let error = queued.retry_now().unwrap_err();
            let struck = fixture.plan.struck();
            fixture.plan.disarm();
            let is_gone = error.kind() == crate::ErrorKind::MessageGone;
            assert!(
                is_gone || (struck && error.path().is_some()),
                "{context} {error}"
            );
            if !struck {
                break;
            }
        }
    }
}

/// The newest state of a message was handed over by a process that died, and one of another.
#[test]
fn what_the_owner_asks_is_done_to_the_newest_state_whatever_fails() {
    for fault in FAULTS {
        for n in 0.. {
            let context = format!("{n} {fault:?}");
            let fixture = Fixture::new(&["yes@example.net", "later@example.net"]);
            fixture.open(Probe::default(), 0).deliver_now().unwrap();
            let server = fixture.open(fixture.plan.probe(), 0);
            let queued = server.queue().unwrap().remove(0);
            let committed = fixture.root.path().join("State/committed");
            let leave = |folder: &str| {
                let left = committed.join(crate::state::new_id()).join(folder);
                std::fs::create_dir_all(&left).unwrap();
                left
            };
            let name = format!("{}.state", queued.id());
            let state = fixture.root.path().join("Queue").join(&name);
            std::fs::rename(state, leave("queue").join(name)).unwrap();
            let text = "x-sender: s@example.com\r\nx-receiver: jane@example.com\r\n\r\ntext\r\n";
            std::fs::write(leave("drop").join("a.eml"), text).unwrap();
            fixture.plan.arm(n, fault);
            let _ = queued.retry_now();
            let struck = fixture.plan.struck();
            fixture.plan.disarm();
            drop((queued, server));
            for hours in [0, 9] {
                let server = fixture.open(Probe::default(), hours);
                assert_eq!(server.deliver_now().unwrap().problems(), [], "{context}");
            }
            assert_eq!(fixture.relay.of("yes@example.net"), 1, "{context}");
            assert_eq!(fixture.relay.of("later@example.net"), 2, "{context}");
            assert_eq!(fixture.files("Queue"), [""; 0], "{context}");
            assert_eq!(fixture.files("Drop").len(), 1, "{context}");
            if !struck {
                break;
            }
        }
    }
}

/// Whoever has handed its newest state over is at work still, or somebody has the message itself.
#[test]
fn the_owner_waits_for_who_is_at_work_whatever_fails() {
    for n in 0.. {
        let fixture = Fixture::new(&["later@example.net"]);
        fixture.open(Probe::default(), 0).deliver_now().unwrap();
        let server = fixture.open(fixture.plan.probe(), 0);
        let queued = server.queue().unwrap().remove(0);
        let state = fixture.root.path().join("State");
        let id = crate::state::new_id();
        let committed = state.join("committed").join(&id).join("queue");
        std::fs::create_dir_all(&committed).unwrap();
        let name = format!("{}.state", queued.id());
        let own = fixture.root.path().join("Queue").join(&name);
        std::fs::copy(own, committed.join(name)).unwrap();
        let lock = |id: &str| {
            let lock = std::fs::File::create(state.join("locks").join(id)).unwrap();
            lock.lock().unwrap();
            lock
        };
        let at_work = lock(&id);
        fixture.plan.arm(n, Fault::Before(Other));
        let error = queued.retry_now().unwrap_err();
        let struck = fixture.plan.struck();
        fixture.plan.disarm();
        let waits = error.kind() == crate::ErrorKind::TimedOut;
        assert!(waits || (struck && error.path().is_some()), "{n} {error}");
        drop(at_work);
        let at_work = lock(queued.id());
        let error = queued.retry_now().unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::TimedOut, "{n} {error}");
        drop(at_work);
        queued.retry_now().unwrap();
        if !struck {
            assert!(n > 5, "{n}");
            break;
        }
    }
}

/// A directory from the future does not tell of later changes.
#[test]
fn a_queue_whose_time_is_ahead_is_looked_at_each_time() {
    let fixture = Fixture::new(&["later@example.net"]);
    let server = fixture.open(Probe::default(), 0);
    let ahead = SystemTime::now() + Duration::from_secs(1_000_000);
    for messages in [1, 2] {
        let queue = std::fs::File::open(fixture.root.path().join("Queue")).unwrap();
        queue.set_modified(ahead).unwrap();
        server.deliver_now().unwrap();
        let mail = NewMail::new(&server).from("shop@example.com");
        mail.to(format!("more{messages}@example.net"))
            .subject("Hi")
            .send()
            .unwrap();
        queue.set_modified(ahead).unwrap();
        server.deliver_now().unwrap();
        assert_eq!(fixture.relay.of(&format!("more{messages}@example.net")), 1);
    }
}
