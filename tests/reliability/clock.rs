//! Clocks that stand still or jump, and processes that are each other's doubles.

use std::collections::HashSet;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use cdonts::{MailServer, NewMail, Outcome, RelayMessage, Reply, Transport, Writer};

use super::support::{Root, messages, role};
use super::{can, runs, workload};

const DAY: u64 = 86_400;

/// Defers everything, and counts.
#[derive(Clone, Default)]
struct Never(Arc<Mutex<usize>>);

impl Transport for Never {
    fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome> {
        *self.0.lock().unwrap() += 1;
        let later = || Outcome::Deferred(Reply::new(451, "4.7.1", "later"));
        message.recipients().iter().map(|_| later()).collect()
    }
}

/// A server whose clock is that number of seconds.
fn relaying(root: &Root, relay: &Never, seconds: &Arc<AtomicU64>) -> MailServer {
    let seconds = Arc::clone(seconds);
    MailServer::builder()
        .mailroot(root.path())
        .create_directories()
        .local_domain("example.com")
        .pickup_writer(Writer::Renames)
        .drop_writer(Writer::Renames)
        .relay(relay.clone())
        .clock(move || {
            SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.load(Ordering::Relaxed))
        })
        .open()
        .unwrap()
}

/// A clock that jumps to 1970, to 2200 and back: the relay is neither flooded nor forgotten.
#[test]
fn a_clock_that_jumps_neither_floods_nor_stalls_a_relay() {
    let root = Root::in_memory();
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let seconds = Arc::new(AtomicU64::new(now));
    let relay = Never::default();
    let server = relaying(&root, &relay, &seconds);
    let mail = NewMail::new(&server)
        .from("shop@example.com")
        .to("far@example.net");
    mail.subject("x").body("x").send().unwrap();
    let tried = || *relay.0.lock().unwrap();
    let deliver = |at: u64| {
        seconds.store(at, Ordering::Relaxed);
        for _ in 0..20 {
            assert_eq!(server.deliver_now().unwrap().problems(), []);
        }
    };
    deliver(now);
    assert_eq!(tried(), 1);
    // 1970: one more at most, however often it is asked.
    deliver(10);
    assert!(tried() <= 2, "{} times", tried());
    // Back in the present: it goes on within the longest wait of the schedule.
    deliver(now + DAY / 4);
    let before = tried();
    deliver(now + DAY / 2);
    assert!(
        (before..=before + 1).contains(&tried()),
        "{} times",
        tried()
    );
    assert!(tried() >= 2, "it was never tried again");
    assert_eq!(
        server.queue().unwrap().len(),
        1,
        "given up for what the clock said for a moment"
    );
    // A year ahead: it is given up, and the sender is told once, whenever that is looked at.
    deliver(now + 365 * DAY);
    deliver(7_258_118_400);
    deliver(now + DAY);
    assert!(server.queue().unwrap().is_empty());
    let told = messages(&server, "shop@example.com");
    let failed = |message: &cdonts::Message| match message.report().unwrap() {
        Some(cdonts::Report::Delivery(report)) => {
            report.recipients()[0].action() == cdonts::Action::Failed
        }
        _ => false,
    };
    assert_eq!(told.iter().filter(failed).count(), 1);
}

/// A message that was queued while the clock was far ahead is tried, and given up in the end.
#[test]
fn what_was_queued_in_the_future_is_given_up_by_its_attempts() {
    let root = Root::in_memory();
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let seconds = Arc::new(AtomicU64::new(now));
    let relay = Never::default();
    let server = relaying(&root, &relay, &seconds);
    let mail = NewMail::new(&server)
        .from("shop@example.com")
        .to("far@example.net");
    mail.subject("x").body("x").send().unwrap();
    // It came in a year to come, its file says.
    let file = root.join("Queue").join(&root.files("Queue")[0]);
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 84_000))
        .unwrap();
    for hours in 0..60 {
        seconds.store(now + hours * 3600, Ordering::Relaxed);
        server.deliver_now().unwrap();
    }
    assert!(server.queue().unwrap().is_empty(), "it waits for ever");
    let tried = *relay.0.lock().unwrap();
    assert!((10..20).contains(&tried), "{tried} times");
}

/// Whoever sends while the clock stands still gets other names and ids each time.
#[test]
fn p1_names_and_ids_do_not_come_from_the_clock() {
    const TEST: &str = "clock::p1_names_and_ids_do_not_come_from_the_clock";
    const FROZEN: &str = "2026-01-02 03:04:05";
    let count = runs(2000, 1_000_000);
    let Some((_, root)) = role() else {
        if !can("faketime", "faketime", &["-f", FROZEN, "true"]) {
            return;
        }
        let root = Root::in_memory();
        let output = Command::new("faketime")
            .args(["-f", FROZEN])
            .arg(std::env::current_exe().unwrap())
            .args([TEST, "--exact", "--nocapture"])
            .env("CDONTS_TEST_ROLE", "frozen")
            .env("CDONTS_TEST_DIR", root.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}"
        );
        return;
    };
    let server = workload::open(&root).unwrap();
    let two = NewMail::new(&server).from("shop@example.com");
    two.to("ann@example.com; bob@example.com").send().unwrap();
    // The file system's clock goes on.
    let findings = server.check().unwrap();
    assert!(
        findings
            .iter()
            .any(|one| one.kind() == cdonts::FindingKind::Clock)
    );
    let mut ids = HashSet::new();
    for number in 0..count {
        let mail = NewMail::new(&server)
            .from("shop@example.com")
            .to("jane@example.com");
        let draft = mail.body("Hello.").into_draft();
        let mut message = Vec::new();
        draft.write_to(&mut message).unwrap();
        let message = String::from_utf8(message).unwrap();
        let field = |name: &str| {
            let mut lines = message.lines();
            lines
                .find(|line| line.starts_with(name))
                .unwrap()
                .to_owned()
        };
        assert!(
            field("Date:").contains("2 Jan 2026"),
            "the clock goes: {message}"
        );
        assert!(ids.insert(field("Message-ID:")), "an id comes twice");
        if number < 500 {
            draft.send().unwrap();
        }
    }
    assert_eq!(messages(&server, "jane@example.com").len(), 500);
}

/// Sends so many, and says their names and ids.
fn send_and_tell(root: &std::path::Path, count: usize) {
    let server = workload::open(root).unwrap();
    for number in 0..count {
        let mail = NewMail::new(&server)
            .from("shop@example.com")
            .to("jane@example.com");
        let sent = mail
            .subject(format!("{number}"))
            .body("Hello.")
            .send()
            .unwrap();
        println!("id {}", sent.message_id());
    }
}

fn told_ids(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output).into_owned();
    let ids = text.lines().filter_map(|line| line.split_once("id <"));
    ids.map(|(_, id)| id.to_owned()).collect()
}

/// Two processes with the same number, in two containers, on one directory.
#[test]
fn p1_processes_of_the_same_number_take_no_name_from_each_other() {
    const TEST: &str = "clock::p1_processes_of_the_same_number_take_no_name_from_each_other";
    let count = runs(200, 2000);
    if let Some((_, root)) = role() {
        println!("process {}", std::process::id());
        return send_and_tell(&root, count);
    }
    if !can(
        "root with process namespaces",
        "unshare",
        &["--pid", "--fork", "true"],
    ) {
        return;
    }
    let root = Root::in_memory();
    let children: Vec<_> = (0..2)
        .map(|_| {
            Command::new("unshare")
                .args(["--pid", "--fork"])
                .arg(std::env::current_exe().unwrap())
                .args([TEST, "--exact", "--nocapture", "--test-threads=1"])
                .env("CDONTS_TEST_ROLE", "send")
                .env("CDONTS_TEST_DIR", root.path())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut ids = Vec::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("process 1\n"), "{text}");
        ids.extend(told_ids(&output.stdout));
    }
    assert_eq!(ids.len(), 2 * count);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 2 * count);
    assert_eq!(root.files("Drop").len(), 2 * count);
}

/// A process that splits in two after its start.
#[test]
fn p1_after_a_fork_both_have_names_of_their_own() {
    const TEST: &str = "clock::p1_after_a_fork_both_have_names_of_their_own";
    let count = runs(200, 1000);
    if let Some((_, root)) = role() {
        send_and_tell(&root, 5);
        let child = fork::fork().unwrap();
        send_and_tell(&root, count);
        if let fork::Fork::Parent(pid) = child {
            fork::waitpid(pid).unwrap();
        }
        return;
    }
    let root = Root::in_memory();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([TEST, "--exact", "--nocapture", "--test-threads=1"])
        .env("CDONTS_TEST_ROLE", "fork")
        .env("CDONTS_TEST_DIR", root.path())
        .output()
        .unwrap();
    assert!(output.status.success());
    let ids = told_ids(&output.stdout);
    assert_eq!(root.files("Drop").len(), 5 + 2 * count);
    // What two processes print at once may be torn; the files may not.
    let server = workload::open(root.path()).unwrap();
    let written: HashSet<_> = messages(&server, "jane@example.com")
        .iter()
        .map(|message| message.message_id().unwrap().unwrap_or_default())
        .collect();
    assert_eq!(written.len(), 5 + 2 * count);
    assert!(!ids.is_empty());
}
