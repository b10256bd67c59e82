//! Waiting for new messages.
#![cfg(feature = "watch")]
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::time::Duration;

use cdonts::{MailServer, NewMail, Profile, Writer};
use support::{Root, session, simple};

const LONG: Duration = Duration::from_secs(20);

#[test]
fn every_new_message_comes_once_and_no_old_one() {
    let root = Root::new();
    let server = root.delivering();
    let send = |subject: &str| {
        let mail = NewMail::new(&server)
            .from("a@example.com")
            .to("jane@example.com");
        mail.subject(subject).send().unwrap();
    };
    send("old");
    let mut watch = session(&server, "jane@example.com")
        .inbox()
        .watch()
        .unwrap();
    assert!(watch.next_within(Duration::ZERO).unwrap().is_none());
    for number in 0..300 {
        send(&number.to_string());
    }
    for number in 0..300 {
        let message = watch.next_within(LONG).unwrap().unwrap();
        assert_eq!(message.subject(), number.to_string());
        if number % 2 == 0 {
            message.delete().unwrap();
        }
    }
    assert!(
        watch
            .next_within(Duration::from_millis(50))
            .unwrap()
            .is_none()
    );
    // While it waits.
    let waiting = std::thread::spawn(move || watch.next().unwrap().unwrap().subject().to_owned());
    std::thread::sleep(Duration::from_millis(50));
    send("last");
    assert_eq!(waiting.join().unwrap(), "last");
}

#[test]
fn more_files_than_the_system_keeps_events_of_come_all_and_once() {
    // The queue of Linux holds 16,384 events, and each file makes several.
    const FILES: usize = 17_000;
    let root = Root::new();
    root.dir("State");
    let server = root.builder().drop_writer(Writer::Renames).open().unwrap();
    let mut watch = session(&server, "jane@example.com")
        .inbox()
        .watch()
        .unwrap();
    for number in 0..FILES {
        let to = ["jane@example.com", "joe@example.com"][number % 2];
        root.write(
            &format!("Pickup/{number}.tmp"),
            simple(&[to], &number.to_string()),
        );
        let from = root.join(format!("Pickup/{number}.tmp"));
        std::fs::rename(from, root.join(format!("Drop/{number}.eml"))).unwrap();
    }
    let mut seen = std::collections::HashSet::new();
    while let Some(message) = watch.next_within(Duration::from_millis(100)).unwrap() {
        assert!(seen.insert(message.subject().to_owned()));
    }
    assert_eq!(seen.len(), FILES / 2);
    assert!(seen.contains("0") && !seen.contains("1"));
}

/// How many events the system keeps of a watcher that is made now; as it was at the end.
#[cfg(target_os = "linux")]
struct Queue(String);

#[cfg(target_os = "linux")]
impl Queue {
    const PATH: &str = "/proc/sys/fs/inotify/max_queued_events";

    /// `None` where this user may not.
    fn of(events: u32) -> Option<Self> {
        let before = std::fs::read_to_string(Self::PATH).ok()?;
        std::fs::write(Self::PATH, events.to_string()).ok()?;
        Some(Self(before))
    }
}

#[cfg(target_os = "linux")]
impl Drop for Queue {
    fn drop(&mut self) {
        let _ = std::fs::write(Self::PATH, self.0.trim());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn events_that_the_system_has_thrown_away_lose_nothing() {
    use notify::Watcher;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const FILES: usize = 2000;
    let root = Root::new();
    root.dir("State");
    let server = root.builder().drop_writer(Writer::Renames).open().unwrap();
    let Some(queue) = Queue::of(1) else {
        println!("skipped: needs root");
        return;
    };
    let mut watch = session(&server, "jane@example.com")
        .inbox()
        .watch()
        .unwrap();
    // Beside it, one that shows that the system throws some away.
    let overflows = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&overflows);
    let mut beside = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let is_overflow = event.is_ok_and(|event| event.need_rescan());
        counted.fetch_add(usize::from(is_overflow), Ordering::Relaxed);
    })
    .unwrap();
    let drop = root.join("Drop");
    beside
        .watch(&drop, notify::RecursiveMode::NonRecursive)
        .unwrap();
    std::mem::drop(queue);

    for number in 0..FILES {
        let from = root.join(format!("Pickup/{number}.tmp"));
        std::fs::write(&from, simple(&["jane@example.com"], &number.to_string())).unwrap();
        std::fs::rename(from, drop.join(format!("{number}.eml"))).unwrap();
    }
    let mut seen = std::collections::HashSet::new();
    while seen.len() < FILES {
        let message = watch.next_within(LONG).unwrap().expect("all come");
        assert!(seen.insert(message.subject().to_owned()));
    }
    assert!(overflows.load(Ordering::Relaxed) > 0);
    assert!(watch.next_within(Duration::ZERO).unwrap().is_none());
}

#[test]
fn a_fault_that_lasts_keeps_no_processor_busy() {
    let root = Root::new();
    root.dir("State");
    let server = root.server();
    let mut watch = session(&server, "jane@example.com")
        .inbox()
        .watch()
        .unwrap();
    std::fs::remove_dir_all(root.join("Drop")).unwrap();
    root.write("Drop", "no directory");
    let begin = std::time::Instant::now();
    let mut faults = 0;
    while begin.elapsed() < Duration::from_millis(1500) && faults < 100 {
        faults += usize::from(watch.next_within(Duration::from_secs(5)).is_err());
    }
    assert!(faults < 5, "{faults} in a second and a half");
}

#[test]
fn it_needs_neither_an_index_nor_a_state_directory() {
    let root = Root::new();
    root.write("Drop/old.eml", simple(&["jane@example.com"], "old"));
    let server = MailServer::builder()
        .drop_dir(root.join("Drop"), Profile::IisDrop)
        .drop_writer(Writer::InPlace {
            settle: Duration::from_millis(20),
        })
        .open()
        .unwrap();
    let mut watch = session(&server, "jane@example.com")
        .inbox()
        .watch()
        .unwrap();
    root.write("Drop/new.eml", simple(&["jane@example.com"], "new"));
    root.write("Drop/joe.eml", simple(&["joe@example.com"], "his"));
    let message = watch.next_within(LONG).unwrap().unwrap();
    assert_eq!(message.subject(), "new");
    root.write("Drop/other.eml", simple(&["jane@example.com"], "another"));
    assert_eq!(
        watch.next_within(LONG).unwrap().unwrap().subject(),
        "another"
    );
    assert!(watch.next_within(Duration::ZERO).unwrap().is_none());
}
