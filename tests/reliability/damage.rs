//! Files of the queue that a disk has damaged.

use cdonts::{MailServer, NewMail, Outcome, RelayMessage, Reply, Transport, Writer};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::runs;
use super::support::Root;

/// Notes who gets something.
#[derive(Clone, Default)]
struct Relay {
    got: Arc<Mutex<Vec<String>>>,
    defers: bool,
}

impl Transport for Relay {
    fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome> {
        let mut got = self.got.lock().unwrap();
        got.extend(message.recipients().iter().cloned());
        let answer = || {
            if self.defers {
                Outcome::Deferred(Reply::new(451, "4.7.1", "later"))
            } else {
                Outcome::Accepted(Reply::new(250, "2.0.0", "ok"))
            }
        };
        message.recipients().iter().map(|_| answer()).collect()
    }
}

fn open(root: &Root, relay: &Relay, hours: u64) -> MailServer {
    MailServer::builder()
        .mailroot(root.path())
        .create_directories()
        .local_domain("example.com")
        .pickup_writer(Writer::Renames)
        .drop_writer(Writer::Renames)
        .relay(relay.clone())
        .clock(move || {
            std::time::SystemTime::now() + std::time::Duration::from_secs(hours * 3600 + 1)
        })
        .open()
        .unwrap()
}

/// A queue with a message that was tried once and one behind it; the path of the first one's file
/// that has this ending.
fn queue(ending: &str) -> (Root, PathBuf) {
    let root = Root::in_memory();
    let deferring = Relay {
        defers: true,
        ..Relay::default()
    };
    let server = open(&root, &deferring, 0);
    let mail = |to: &str| {
        let mail = NewMail::new(&server).from("shop@example.com").to(to);
        mail.subject("x").body("Hello.").send().unwrap();
    };
    mail("first@example.net");
    server.deliver_now().unwrap();
    let name = root
        .files("Queue")
        .into_iter()
        .find(|name| name.ends_with(ending))
        .unwrap();
    mail("second@example.net");
    let path = root.join("Queue").join(name);
    (root, path)
}

/// Delivers beside the damage: the other message goes out, and the damaged one too, or it is told
/// and still there, or in Badmail.
fn check(root: &Root, damage: &str) {
    let relay = Relay::default();
    let server = open(root, &relay, 1);
    let mut told = 0;
    for _ in 0..3 {
        match server.deliver_now() {
            Ok(done) => told += done.problems().len(),
            Err(error) => panic!("{damage}: {error}"),
        }
    }
    let got = relay.got.lock().unwrap();
    let of = |to: &str| got.iter().filter(|one| *one == to).count();
    assert_eq!(of("second@example.net"), 1, "{damage}: the other");
    let left = root.files("Queue").len();
    let bad = if root.join("Badmail").exists() {
        root.files("Badmail").len()
    } else {
        0
    };
    let reports = root.files("Drop").len();
    assert!(
        !got.is_empty() && (got.len() > 1 || left > 0 || bad > 0 || reports > 0),
        "{damage}: it is lost"
    );
    assert!(got.len() <= 3, "{damage}: {got:?}");
    // What waits for a person is said each time, and never tried without end.
    assert!(told == 0 || left > 0 || bad > 0, "{damage}");
}

#[test]
fn p8_a_damaged_state_of_the_queue_holds_up_no_other_message() {
    let (original, path) = queue(".state");
    let bytes = std::fs::read(path).unwrap();
    drop(original);
    let step = runs(29, 1);
    for bit in (0..bytes.len() * 8).step_by(step) {
        let (root, path) = queue(".state");
        let mut bytes = std::fs::read(&path).unwrap();
        let bit = bit.min(bytes.len() * 8 - 1);
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(path, bytes).unwrap();
        check(&root, &format!("bit {bit}"));
    }
    for len in (0..bytes.len()).step_by(runs(7, 1)) {
        let (root, path) = queue(".state");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(path, &bytes[..len]).unwrap();
        check(&root, &format!("cut at {len}"));
    }
}

#[test]
fn p8_a_damaged_message_of_the_queue_holds_up_no_other_message() {
    let (original, path) = queue(".eml");
    let bytes = std::fs::read(path).unwrap();
    drop(original);
    for bit in (0..bytes.len() * 8).step_by(runs(97, 1)) {
        let (root, path) = queue(".eml");
        let mut bytes = std::fs::read(&path).unwrap();
        let bit = bit.min(bytes.len() * 8 - 1);
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(path, bytes).unwrap();
        check(&root, &format!("bit {bit}"));
    }
    for len in (0..bytes.len()).step_by(runs(17, 1)) {
        let (root, path) = queue(".eml");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(path, &bytes[..len]).unwrap();
        check(&root, &format!("cut at {len}"));
    }
}
