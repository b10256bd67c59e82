//! Every call to the file system is made to fail, and the process to die there, while the queue
//! hands a message on, writes down what became of it, and tells the sender. After that nothing is
//! lost, nothing is told twice, and at worst a relay gets a message again.

#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod left;
mod reports;

use std::collections::HashMap;
use std::io::ErrorKind::{Other, StorageFull};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::fs::Probe;
use crate::fs::double::{Fault, Plan, place};
use crate::{
    MailServer, NewMail, Outcome, RelayMessage, Reply, Report, Session, Transport, Writer,
};

const FAULTS: [Fault; 7] = [
    Fault::Before(Other),
    Fault::Before(StorageFull),
    Fault::After(Other),
    Fault::Lasting(Other),
    Fault::Syncs(Other),
    Fault::Full,
    Fault::Crash,
];

/// Accepts `yes`, refuses `no`, and takes `later` at the second time. Counts who got what.
#[derive(Clone, Default)]
struct Relay(Arc<Mutex<HashMap<String, usize>>>);

impl Relay {
    fn of(&self, address: &str) -> usize {
        self.0.lock().unwrap().get(address).copied().unwrap_or(0)
    }
}

impl Transport for Relay {
    fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome> {
        let mut times = self.0.lock().unwrap();
        let mut answer = |to: &String| {
            let time = times.entry(to.clone()).or_default();
            *time += 1;
            match to.as_str() {
                "no@example.net" => Outcome::Refused(Reply::new(550, "5.1.1", "no such user")),
                "later@example.net" if *time == 1 => {
                    Outcome::Deferred(Reply::new(451, "4.7.1", "later"))
                }
                _ => Outcome::Accepted(Reply::new(250, "2.0.0", "ok")),
            }
        };
        message.recipients().iter().map(&mut answer).collect()
    }
}

struct Fixture {
    root: TempDir,
    plan: Arc<Plan>,
    relay: Relay,
}

impl Fixture {
    fn empty() -> Self {
        let fixture = Self {
            root: place(),
            plan: Plan::new(),
            relay: Relay::default(),
        };
        fixture.open(Probe::default(), 0);
        fixture
    }

    /// With a message of another program in Pickup.
    fn with_foreign(to: &[&str]) -> Self {
        let fixture = Self::empty();
        let text = format!(
            "From: shop@example.com\r\nTo: {}\r\nSubject: Hi\r\n\r\ntext\r\n",
            to.join(", ")
        );
        std::fs::write(fixture.root.path().join("Pickup/a.eml"), text).unwrap();
        fixture
    }

    /// With a message in the queue.
    fn new(to: &[&str]) -> Self {
        let fixture = Self::empty();
        let server = fixture.open(Probe::default(), 0);
        let mail = NewMail::new(&server).from("shop@example.com").subject("Hi");
        let mail = to.iter().fold(mail, |mail, &to| mail.to(to));
        mail.body("text").send().unwrap();
        fixture
    }

    /// The server of a process that starts some hours later.
    fn open(&self, probe: Probe, hours: u64) -> MailServer {
        self.open_at(probe, &Arc::new(AtomicU64::new(hours)))
    }

    /// The same for a clock that goes on.
    fn open_at(&self, probe: Probe, hours: &Arc<AtomicU64>) -> MailServer {
        let hours = Arc::clone(hours);
        let now = move || {
            let hours = hours.load(Ordering::Relaxed);
            SystemTime::now() + Duration::from_secs(hours * 3600 + 1)
        };
        let mut builder = MailServer::builder()
            .mailroot(self.root.path())
            .create_directories()
            .local_domain("example.com")
            .pickup_writer(Writer::Renames)
            .relay(self.relay.clone())
            .clock(now);
        builder.probe = probe;
        builder.open().unwrap()
    }

    fn files(&self, dir: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.path().join(dir)).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    }
}

/// The recipients of whom the sender was told.
fn told(server: &MailServer) -> Vec<String> {
    let session = Session::logon_smtp(server, "", "shop@example.com").unwrap();
    let mut told = Vec::new();
    for message in &session.inbox().messages().unwrap() {
        let Some(Report::Delivery(report)) = message.report().unwrap() else {
            panic!("no report: {}", message.subject());
        };
        told.extend(report.recipients().iter().map(|to| to.address().to_owned()));
    }
    told
}

#[test]
fn nothing_is_lost_or_told_twice_whatever_fails_while_a_message_is_handed_on() {
    for to in [
        &["yes@example.net", "no@example.net", "later@example.net"][..],
        &["no@example.net"],
        &["yes@example.net", "later@example.net"],
        &["yes@example.net"],
    ] {
        for fault in FAULTS {
            for n in 0.. {
                if !survives(&Fixture::new(to), to, n, fault) {
                    assert!(n > 3, "the plan was never followed");
                    break;
                }
            }
        }
    }
}

#[test]
fn nothing_is_lost_or_told_twice_whatever_fails_while_a_foreign_message_is_taken() {
    let to = ["yes@example.net", "no@example.net", "jane@example.com"];
    for fault in [Fault::Before(Other), Fault::After(Other), Fault::Crash] {
        for n in 0.. {
            let fixture = Fixture::with_foreign(&to);
            if !survives(&fixture, &to, n, fault) {
                assert!(n > 3, "the plan was never followed");
                break;
            }
            let server = fixture.open(Probe::default(), 0);
            let session = Session::logon_smtp(&server, "", "jane@example.com").unwrap();
            assert_eq!(session.inbox().count().unwrap(), 1, "{n} {fault:?}");
            assert_eq!(fixture.files("Pickup"), [""; 0], "{n} {fault:?}");
        }
    }
}

/// Delivers with that fault, and then as later processes do; whether the fault was reached.
fn survives(fixture: &Fixture, to: &[&str], n: usize, fault: Fault) -> bool {
    let context = format!("{n} {fault:?} {to:?}");
    let server = fixture.open(fixture.plan.probe(), 0);
    fixture.plan.arm(n, fault);
    let _ = server.deliver_now();
    let struck = fixture.plan.struck();
    fixture.plan.disarm();
    drop(server);
    let mut server = fixture.open(Probe::default(), 0);
    for hours in 1..4 {
        server = fixture.open(Probe::default(), hours);
        let done = server.deliver_now().unwrap();
        assert_eq!(done.problems(), [], "{context}");
    }
    assert!(server.queue().unwrap().is_empty(), "{context}");
    assert_eq!(fixture.files("Queue"), [""; 0], "{context}");
    for dir in ["locks", "staging", "committed"] {
        let left = fixture.files(&format!("State/{dir}"));
        assert_eq!(left, [""; 0], "{dir} {context}");
    }
    let mut refused = to.to_vec();
    refused.retain(|to| *to == "no@example.net");
    assert_eq!(told(&server), refused, "{context}");
    for address in to.iter().filter(|to| to.ends_with("@example.net")) {
        let times = fixture.relay.of(address);
        let once = if *address == "later@example.net" {
            2
        } else {
            1
        };
        let most = if struck { once + 1 } else { once };
        assert!(
            (once..=most).contains(&times),
            "{address} {times} {context}"
        );
    }
    struck
}

/// What the owner asks for is done or not done, and then the message is still handed on.
#[test]
fn nothing_is_lost_or_told_twice_whatever_fails_while_the_owner_is_at_work() {
    type Work = fn(&crate::QueuedMessage) -> crate::Result<()>;
    let works: [(Work, bool); 2] = [
        (crate::QueuedMessage::retry_now, false),
        (crate::QueuedMessage::cancel, true),
    ];
    for (work, cancels) in works {
        for fault in FAULTS {
            for n in 0.. {
                let context = format!("{n} {fault:?} {cancels}");
                let to = "yes@example.net";
                let fixture = Fixture::new(&[to, "later@example.net"]);
                fixture.open(Probe::default(), 0).deliver_now().unwrap();
                let server = fixture.open(fixture.plan.probe(), 0);
                let queued = server.queue().unwrap();
                assert_eq!(queued.len(), 1);
                fixture.plan.arm(n, fault);
                let done = work(&queued[0]);
                let looked = server.queue();
                let struck = fixture.plan.struck();
                fixture.plan.disarm();
                if let Err(error) = looked {
                    assert!(error.path().is_some(), "no path: {error} {context}");
                }
                drop((queued, server));
                let server = fixture.open(Probe::default(), 0);
                assert_eq!(server.deliver_now().unwrap().problems(), [], "{context}");
                let server = fixture.open(Probe::default(), 9);
                assert_eq!(server.deliver_now().unwrap().problems(), [], "{context}");
                let times = fixture.relay.of("later@example.net");
                match (&done, cancels) {
                    (Ok(()), true) => assert_eq!(times, 1, "{context}"),
                    (Ok(()), false) => assert_eq!(times, 2, "{context}"),
                    (Err(_), _) => assert!(times == 2 || cancels, "{times} {context}"),
                }
                assert_eq!(fixture.relay.of(to), 1, "{context}");
                assert_eq!(fixture.files("Queue"), [""; 0], "{context}");
                assert_eq!(told(&server), [""; 0], "{context}");
                if !struck {
                    let is_rare = matches!(fault, Fault::Syncs(_) | Fault::Full);
                    assert!(n > 3 || is_rare, "the plan was never followed");
                    break;
                }
            }
        }
    }
}

#[test]
fn the_owner_waits_for_a_state_that_is_not_in_its_place() {
    let fixture = Fixture::new(&["later@example.net"]);
    let server = fixture.open(Probe::default(), 0);
    server.deliver_now().unwrap();
    let queued = server.queue().unwrap().remove(0);
    // The newest state was handed over, and cannot be moved.
    let name = format!("{}.state", queued.id());
    let state = fixture.root.path().join("Queue").join(&name);
    let committed = fixture.root.path().join("State/committed");
    let committed = committed.join(crate::state::new_id()).join("queue");
    std::fs::create_dir_all(&committed).unwrap();
    std::fs::rename(&state, committed.join(&name)).unwrap();
    std::fs::create_dir_all(state.join("in the way")).unwrap();
    let error = queued.cancel().unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::TimedOut, "{error}");
    assert_eq!(fixture.files("Queue").len(), 2);
    std::fs::remove_dir_all(&state).unwrap();
    queued.cancel().unwrap();
    assert_eq!(fixture.files("Queue"), [""; 0]);
    let error = queued.retry_now().unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::MessageGone, "{error}");
}

/// A disk that is full takes no outcome: who has the message does not get it at every round.
#[test]
fn an_outcome_that_cannot_be_written_is_known_to_the_process() {
    let mut met = 0;
    for n in 0..100 {
        let fixture = Fixture::new(&["yes@example.net", "later@example.net"]);
        let hours = Arc::new(AtomicU64::new(0));
        let server = fixture.open_at(fixture.plan.probe(), &hours);
        fixture.plan.arm(n, Fault::Full);
        let done = server.deliver_now().unwrap();
        fixture.plan.disarm();
        if fixture.relay.of("yes@example.net") == 0 || done.problems().is_empty() {
            continue;
        }
        met += 1;
        // It is not tried again at once, and then only for whom has not got it.
        for (later, times) in [(0, 1), (5, 2), (10, 2)] {
            hours.store(later, Ordering::Relaxed);
            assert_eq!(server.deliver_now().unwrap().problems(), [], "{n} {later}");
            assert_eq!(fixture.relay.of("later@example.net"), times, "{n} {later}");
            assert_eq!(fixture.relay.of("yes@example.net"), 1, "{n} {later}");
        }
        assert_eq!(fixture.files("Queue"), [""; 0], "{n}");
    }
    assert!(met > 0, "no outcome was lost");
}
