//! Threads that share a server, in every order that a scheduler finds: no two wait for each other,
//! each message comes once, and no hint of a watched folder is lost.
//!
//! `RUSTFLAGS='--cfg shuttle' cargo test --no-default-features --features watch --lib threads`;
//! `CDONTS_SCHEDULES` says how many orders are tried.

#![allow(clippy::disallowed_methods, reason = "tests may write files")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use shuttle::thread;

use crate::fs::double::place;
use crate::store::told::Told;
use crate::sync::Mutex;
use crate::{
    ErrorKind, Listing, LogOn, MailServer, Mailbox, MessageBytes, NewMail, Outcome, RelayMessage,
    Reply, Session, Store, StoredMessage, Summary, Transport, Waiter, Writer,
};

/// Tries so many orders of the threads of `work`; where one fails, its schedule is printed.
fn in_every_order(work: impl Fn() + Send + Sync + 'static) {
    let wanted = std::env::var("CDONTS_SCHEDULES").ok();
    let count = wanted.map_or(300, |wanted| wanted.parse().unwrap());
    shuttle::check_pct(work, count, 3);
    println!("threads: {count} schedules");
}

fn open(root: &Path) -> crate::MailServerBuilder {
    MailServer::builder()
        .mailroot(root)
        .create_directories()
        .local_domain("example.com")
        .drop_writer(Writer::Renames)
        .pickup_writer(Writer::Renames)
}

fn texts(server: &MailServer, address: &str) -> Vec<String> {
    let session = Session::logon_smtp(server, "", address).unwrap();
    let messages = session.inbox().messages().unwrap();
    let mut texts: Vec<_> = messages.iter().map(|one| one.text().unwrap()).collect();
    texts.sort();
    texts
}

fn send(server: &MailServer, text: &str) {
    let mail = NewMail::new(server).from("shop@example.com");
    mail.to("jane@example.com; joe@example.com")
        .body(text)
        .send()
        .unwrap();
}

/// Who sends makes the state directory with others who send, and delivers beside who delivers.
#[test]
fn senders_readers_and_deliveries_share_a_server() {
    in_every_order(|| {
        let root = place();
        let server = open(root.path()).open().unwrap();
        let foreign = "X-Sender: a@x.example\r\nX-Receiver: jane@example.com\r\n\r\nforeign";
        std::fs::write(root.path().join("Pickup/a.eml"), foreign).unwrap();
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let server = server.clone();
                thread::spawn(move || match number {
                    0 | 1 => send(&server, &format!("{number}")),
                    2 => drop(server.deliver_now().unwrap()),
                    _ => drop(texts(&server, "jane@example.com")),
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        server.deliver_now().unwrap();
        assert_eq!(texts(&server, "jane@example.com"), ["0", "1", "foreign"]);
        assert_eq!(texts(&server, "joe@example.com"), ["0", "1"]);
    });
}

/// Both recipients of a file delete it, one of them twice at once.
#[test]
fn a_shared_message_is_deleted_by_each_once() {
    in_every_order(|| {
        let root = place();
        let server = open(root.path()).open().unwrap();
        let shared = "X-Sender: a@x.example\r\nX-Receiver: jane@example.com\r\n\
            X-Receiver: joe@example.com\r\n\r\nshared";
        std::fs::write(root.path().join("Drop/a.eml"), shared).unwrap();
        let threads: Vec<_> = ["jane", "joe", "jane"]
            .map(|name| {
                let server = server.clone();
                thread::spawn(move || {
                    let address = format!("{name}@example.com");
                    let session = Session::logon_smtp(&server, "", address).unwrap();
                    let message = session.inbox().messages().unwrap().get(0);
                    message.is_some_and(|message| match message.delete() {
                        Ok(()) => true,
                        Err(error) if error.kind() == ErrorKind::MessageGone => false,
                        Err(error) => panic!("{error}"),
                    })
                })
            })
            .into_iter()
            .collect();
        let done = threads.into_iter().map(|thread| thread.join().unwrap());
        let done = done.filter(|&done| done).count();
        assert!(done >= 2, "{done}");
        assert_eq!(
            std::fs::read_dir(root.path().join("Drop")).unwrap().count(),
            0
        );
    });
}

/// Takes everything, and counts.
#[derive(Clone, Default)]
struct Relay(Arc<std::sync::Mutex<usize>>);

impl Transport for Relay {
    fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome> {
        *self.0.lock().unwrap() += 1;
        thread::yield_now();
        let yes = || Outcome::Accepted(Reply::new(250, "2.0.0", "ok"));
        message.recipients().iter().map(|_| yes()).collect()
    }
}

/// Two deliveries of one queue: a relay gets each message once.
#[test]
fn two_deliveries_hand_each_message_on_once() {
    in_every_order(|| {
        let (root, relay) = (place(), Relay::default());
        let server = open(root.path()).relay(relay.clone()).open().unwrap();
        for _ in 0..2 {
            let mail = NewMail::new(&server).from("shop@example.com");
            mail.to("far@example.net").body("text").send().unwrap();
        }
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let server = server.clone();
                thread::spawn(move || drop(server.deliver_now().unwrap()))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        server.deliver_now().unwrap();
        assert_eq!(*relay.0.lock().unwrap(), 2);
        assert!(server.queue().unwrap().is_empty());
    });
}

/// A mailbox in memory, whose changes are hinted at.
#[derive(Clone, Debug, Default)]
struct Held(Arc<Mutex<Vec<u32>>>, Arc<std::sync::Mutex<Option<Hints>>>);

struct Hints(Told);

impl std::fmt::Debug for Hints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hints")
    }
}

#[derive(Debug)]
struct Letter(u32, Summary);

impl Store for Held {
    fn open(&self, _: &LogOn<'_>) -> crate::Result<Arc<dyn Mailbox>> {
        Ok(Arc::new(self.clone()))
    }
}

impl Mailbox for Held {
    fn list(&self) -> crate::Result<Listing> {
        let numbers = self.0.lock().unwrap().clone();
        let letter = |number| -> Arc<dyn StoredMessage> {
            let text = format!("Subject: {number}\r\n\r\n");
            let summary = Summary::of_message(text.as_bytes(), text.len() as u64);
            Arc::new(Letter(number, summary))
        };
        Ok(Listing::new(numbers.into_iter().map(letter).collect()))
    }

    fn waiter(&self) -> Box<dyn Waiter> {
        Box::new(self.1.lock().unwrap().take().unwrap().0)
    }
}

impl StoredMessage for Letter {
    fn name(&self) -> PathBuf {
        self.0.to_string().into()
    }

    fn summary(&self) -> crate::Result<&Summary> {
        Ok(&self.1)
    }

    fn open(&self) -> crate::Result<Arc<dyn MessageBytes>> {
        Ok(Arc::new(b"\r\n".to_vec()))
    }

    fn delete(&self) -> crate::Result<()> {
        Ok(())
    }
}

/// No hint is lost: here no clock leads to a look, so that a lost one would wait for ever.
#[test]
fn a_watch_is_led_to_every_message_by_hints_alone() {
    const MESSAGES: u32 = 4;
    in_every_order(|| {
        let (told, hint) = Told::by_hand();
        let held = Held::default();
        *held.1.lock().unwrap() = Some(Hints(told));
        let server = MailServer::builder().inbox(held.clone()).open().unwrap();
        let session = Session::logon_smtp(&server, "", "jane@example.com").unwrap();
        let mut watch = session.inbox().watch().unwrap();
        for half in 0..2 {
            let (held, hint) = (held.clone(), hint.clone());
            thread::spawn(move || {
                for number in 0..MESSAGES / 2 {
                    held.0.lock().unwrap().push(half * 100 + number);
                    hint();
                }
            });
        }
        let mut seen = Vec::new();
        for _ in 0..MESSAGES {
            let message = watch.next_within(Duration::MAX).unwrap().unwrap();
            seen.push(message.subject().to_owned());
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), MESSAGES as usize);
    });
}
