//! The power is cut after every call, and everything that was not synced may be lost or kept, each
//! by itself: whatever is left, the next start finds what was promised.

#![allow(
    clippy::case_sensitive_file_extension_comparisons,
    clippy::disallowed_methods,
    reason = "tests may write files, and know what they are called"
)]

mod disk;
mod explore;
mod states;

use std::collections::HashSet;
use std::path::Path;

use disk::{Disk, Reached, Recorder, Tree};
use explore::{Scope, each_state};

use crate::fs::Probe;
use crate::fs::double::{Plan, place};
use crate::{MailServer, NewMail, Session, Writer};

fn open(root: &Path, probe: Probe) -> MailServer {
    let mut builder = MailServer::builder()
        .mailroot(root)
        .create_directories()
        .local_domain("example.com")
        .drop_writer(Writer::Renames)
        .pickup_writer(Writer::Renames);
    builder.probe = probe;
    builder.open().unwrap()
}

/// Takes away what was sent: the directories it was sent by stay.
fn empty(root: &Path) {
    for dir in ["Drop", "Pickup"] {
        for file in std::fs::read_dir(root.join(dir)).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
    }
}

/// How many different states were looked at.
fn shown(workload: &str, disk: &Disk, states: usize) {
    println!(
        "power cut: {workload}: {} calls, {states} different states",
        disk.steps()
    );
}

/// Nothing is left on its way, and another start changes nothing.
fn assert_settled(root: &Path, context: &str) {
    let list = || {
        let all = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap);
        let mut all: Vec<_> = all
            .map(walkdir::DirEntry::into_path)
            .filter(|path| !path.to_string_lossy().contains("/index"))
            .collect();
        all.sort();
        all
    };
    let first = list();
    for dir in ["locks", "staging", "committed", "removing"] {
        let inside = root.join("State").join(dir);
        let left: Vec<_> = first
            .iter()
            .filter(|path| path.parent() == Some(&inside))
            .collect();
        assert!(left.is_empty(), "{left:?} {context}");
    }
    drop(open(root, Probe::default()));
    assert_eq!(first, list(), "a second start changes something: {context}");
}

fn texts(server: &MailServer, address: &str) -> Vec<String> {
    let session = Session::logon_smtp(server, "", address).unwrap();
    let messages = session.inbox().messages().unwrap();
    let mut texts: Vec<_> = messages
        .iter()
        .map(|message| {
            for attachment in &message.attachments().unwrap() {
                assert_eq!(
                    attachment.size().unwrap(),
                    ATTACHED.len() as u64,
                    "half a message"
                );
            }
            message.text().unwrap().trim_end().to_owned()
        })
        .collect();
    texts.sort();
    texts
}

/// Longer than a sector.
const ATTACHED: [u8; 3000] = [7; 3000];

/// A message for two Inboxes and another domain, with an attachment.
fn send(server: &MailServer) -> crate::Result<()> {
    let mail = NewMail::new(server)
        .from("shop@example.com")
        .to("jane@example.com; far@example.net")
        .bcc("blind@example.com")
        .subject("Subject")
        .body("Text")
        .attach_bytes("data.bin", ATTACHED);
    mail.send().map(drop).map_err(Into::into)
}

fn check_sent(disk: &Disk, step: usize, tree: &Tree) {
    let root = place();
    tree.build(root.path());
    let context = format!("after call {step}: {:#?}", tree.0.keys());
    let server = open(root.path(), Probe::default());
    let jane = texts(&server, "jane@example.com");
    let blind = texts(&server, "blind@example.com");
    let pickup: Vec<_> = std::fs::read_dir(root.path().join("Pickup"))
        .unwrap()
        .collect();
    let count = jane.len();
    assert!(
        jane.iter().chain(&blind).all(|text| text == "Text"),
        "{context}"
    );
    assert!(count <= 1, "twice: {context}");
    assert_eq!(
        (blind.len(), pickup.len()),
        (count, count),
        "not for all: {context}"
    );
    for file in pickup {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(text.ends_with("--\r\n"), "half a file: {context}");
    }
    if disk.told(step).next().is_some() {
        assert_eq!(count, 1, "send had returned: {context}");
    }
    drop(server);
    assert_settled(root.path(), &context);
}

/// The first message of all: the directories too are made on the way.
#[test]
fn what_send_said_yes_to_is_there_after_a_power_cut() {
    let root = place();
    for dir in ["Pickup", "Drop"] {
        std::fs::create_dir(root.path().join(dir)).unwrap();
    }
    let plan = Plan::new();
    let server = open(root.path(), plan.probe());
    let recorder = Recorder::new(root.path(), &plan);
    send(&server).unwrap();
    recorder.note("sent");
    let disk = recorder.disk();
    let states = each_state(&disk, Scope::All, |step, tree| {
        check_sent(&disk, step, tree);
    });
    shown("W1, a message is sent", &disk, states);
    assert!(states > 100, "{states}");
}

/// A message for one place is published there directly.
#[test]
fn what_one_recipient_was_sent_is_there_after_a_power_cut() {
    let root = place();
    for dir in ["Pickup", "Drop"] {
        std::fs::create_dir(root.path().join(dir)).unwrap();
    }
    let plan = Plan::new();
    let server = open(root.path(), plan.probe());
    let recorder = Recorder::new(root.path(), &plan);
    let mail = NewMail::new(&server)
        .from("shop@example.com")
        .to("jane@example.com");
    mail.body("Text")
        .attach_bytes("data.bin", ATTACHED)
        .send()
        .unwrap();
    recorder.note("sent");
    let disk = recorder.disk();
    let states = each_state(&disk, Scope::All, |step, tree| {
        let root = place();
        tree.build(root.path());
        let jane = texts(&open(root.path(), Probe::default()), "jane@example.com");
        let context = format!("after call {step}: {:#?}", tree.0.keys());
        assert!(jane.len() <= 1, "twice: {context}");
        if disk.told(step).next().is_some() {
            assert_eq!(jane, ["Text"], "send had returned: {context}");
        }
        assert_settled(root.path(), &context);
    });
    shown("a message for one is sent", &disk, states);
}

/// What the power cut left of a message that was handed over is moved by the next start; the power
/// is cut during that too.
#[test]
fn a_recovery_survives_a_power_cut() {
    let (root, plan) = (place(), Plan::new());
    let server = open(root.path(), plan.probe());
    send(&server).unwrap();
    let recorder = Recorder::new(root.path(), &plan);
    send(&server).unwrap();
    drop(server);
    let left = {
        let disk = recorder.disk();
        let mut handed_over =
            (0..disk.steps()).map(|step| disk.tree(step, |_| true, |_| Reached::All));
        handed_over
            .find(|tree| !tree.names("State/committed").is_empty())
            .unwrap()
    };
    let (root, plan) = (place(), Plan::new());
    left.build(root.path());
    empty(root.path());
    let recorder = Recorder::new(root.path(), &plan);
    // It was told as sent before.
    recorder.note("sent");
    drop(open(root.path(), plan.probe()));
    let disk = recorder.disk();
    let states = each_state(&disk, Scope::All, |step, tree| {
        check_sent(&disk, step, tree);
    });
    shown("W1, the recovery", &disk, states);
    assert!(states > 10, "{states}");
}

const FOREIGN: usize = 10;

/// Messages of another program, each for an Inbox of its own, one of all and another domain.
#[test]
fn foreign_messages_are_delivered_once_after_a_power_cut() {
    let (root, plan) = (place(), Plan::new());
    drop(open(root.path(), Probe::default()));
    for number in 0..FOREIGN {
        let text = format!(
            "X-Sender: app@example.com\r\nX-Receiver: jane@example.com\r\n\
             X-Receiver: user{number}@example.com\r\nX-Receiver: far@example.net\r\n\
             Subject: s\r\n\r\ntext {number}\r\n"
        );
        std::fs::write(root.path().join(format!("Pickup/{number}.eml")), text).unwrap();
    }
    let server = open(root.path(), plan.probe());
    let recorder = Recorder::new(root.path(), &plan);
    server.deliver_now().unwrap();
    let disk = recorder.disk();
    let mut all: Vec<_> = (0..FOREIGN)
        .map(|number| format!("text {number}"))
        .collect();
    all.sort();
    let states = each_state(&disk, Scope::some(400), |step, tree| {
        let root = place();
        tree.build(root.path());
        let context = format!("after call {step}: {:#?}", tree.0.keys());
        let server = open(root.path(), Probe::default());
        let done = server.deliver_now().unwrap();
        assert_eq!(done.problems(), [], "{context}");
        assert_eq!(texts(&server, "jane@example.com"), all, "{context}");
        for number in 0..FOREIGN {
            let own = texts(&server, &format!("user{number}@example.com"));
            assert_eq!(own, [format!("text {number}")], "{context}");
        }
        let pickup = std::fs::read_dir(root.path().join("Pickup")).unwrap();
        let far = pickup.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        let mut far: Vec<_> = far
            .map(|text| text.lines().last().unwrap().to_owned())
            .collect();
        far.sort();
        assert_eq!(far, all, "{context}");
        assert_settled(root.path(), &context);
    });
    shown("W2, ten foreign messages are delivered", &disk, states);
}

const SHARED: usize = 100;

/// Two delete the same files, now one first and now the other; a third keeps what he has of them.
#[test]
fn what_was_deleted_stays_deleted_and_nothing_else_after_a_power_cut() {
    let (root, plan) = (place(), Plan::new());
    drop(open(root.path(), Probe::default()));
    for number in 0..SHARED {
        let third = if number % 10 == 0 {
            "X-Receiver: mary@example.com\r\n"
        } else {
            ""
        };
        let text = format!(
            "X-Sender: s@example.net\r\nX-Receiver: jane@example.com\r\n\
             X-Receiver: joe@example.com\r\n{third}Subject: s\r\n\r\ntext {number:02}\r\n"
        );
        std::fs::write(root.path().join(format!("Drop/{number:02}.eml")), text).unwrap();
    }
    let server = open(root.path(), plan.probe());
    let log_on = |name: &str| {
        let session = Session::logon_smtp(&server, "", format!("{name}@example.com")).unwrap();
        let messages = session.inbox().messages().unwrap();
        (name.to_owned(), messages.iter().collect::<Vec<_>>())
    };
    let (jane, joe) = (log_on("jane"), log_on("joe"));
    let recorder = Recorder::new(root.path(), &plan);
    for number in 0..SHARED {
        let order = if number % 2 == 0 {
            [&jane, &joe]
        } else {
            [&joe, &jane]
        };
        for (name, messages) in order {
            let text = messages[number].text().unwrap().trim_end().to_owned();
            recorder.note(format!("begun {name} {text}"));
            messages[number].clone().delete().unwrap();
            recorder.note(format!("done {name} {text}"));
        }
    }
    let disk = recorder.disk();
    let states = each_state(&disk, Scope::some(400), |step, tree| {
        let root = place();
        tree.build(root.path());
        let server = open(root.path(), Probe::default());
        let told: HashSet<_> = disk.told(step).collect();
        for name in ["jane", "joe", "mary"] {
            let left = texts(&server, &format!("{name}@example.com"));
            for number in (0..SHARED).filter(|number| name != "mary" || number % 10 == 0) {
                let text = format!("text {number:02}");
                let times = left.iter().filter(|one| **one == text).count();
                let is_done = told.contains(format!("done {name} {text}").as_str());
                let is_begun = told.contains(format!("begun {name} {text}").as_str());
                let right = match (is_begun, is_done) {
                    (_, true) => times == 0,
                    (true, false) => times <= 1,
                    (false, false) => times == 1,
                };
                assert!(
                    right,
                    "{text} of {name}: {times}, after call {step}: {told:?}"
                );
            }
        }
    });
    shown("W4, two delete the same hundred files", &disk, states);
}
