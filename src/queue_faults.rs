//! Every call to the file system is made to fail, and the process to die there, while the queue
//! hands a message on, writes down what became of it, and tells the sender. After that nothing is
//! lost, nothing is told twice, and at worst a relay gets a message again.

#![allow(clippy::disallowed_methods, reason = "tests may write files")]

use std::collections::HashMap;
use std::io::ErrorKind::{Other, StorageFull};
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
        let mut builder = MailServer::builder()
            .mailroot(self.root.path())
            .create_directories()
            .local_domain("example.com")
            .pickup_writer(Writer::Renames)
            .relay(self.relay.clone())
            .clock(move || SystemTime::now() + Duration::from_secs(hours * 3600 + 1));
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
