//! Programs that send, deliver, read and delete, and say what they were told; and the one that
//! looks afterwards whether it was true.
//!
//! A program prints `begin <what>` before a call that changes something and `ok <what>` after it
//! returned `Ok`. It runs in a process of its own: this test binary, asked by the environment.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use cdonts::{MailServer, NewMail, Outcome, RelayMessage, Reply, Report, Transport, Writer};

use super::support::{Root, messages, role, simple};

/// The test that is the program.
const PROGRAM: &str = "workload::program";

/// What is sent beside octets.
const ATTACHED: &str = "attached.bin";

/// How many foreign messages are delivered, and how many files are shared.
pub(super) const MANY: usize = 10;

pub(super) fn open(root: &Path) -> cdonts::Result<MailServer> {
    MailServer::builder()
        .mailroot(root)
        .create_directories()
        .local_domain("example.com")
        .drop_writer(Writer::Renames)
        .pickup_writer(Writer::Renames)
        .open()
}

/// Does nothing unless it is asked to be one of the programs.
#[test]
fn program() {
    let Some((role, root)) = role() else {
        return;
    };
    let done = match role.as_str() {
        "send" => send(&root),
        "deliver" => deliver(&root),
        "read" | "read without an index" => read(&root),
        "delete" => delete(&root),
        "deliver and delete" => deliver(&root).and_then(|()| delete(&root)),
        "relay" => relay(&root),
        "recover" => open(&root).map(drop),
        "check" => look_after(&root),
        _ => panic!("there is no program {role}"),
    };
    if let Err(error) = done {
        // An error that can be acted on says where.
        println!("failed {} {}", error.path().is_some(), error);
        std::process::exit(1);
    }
}

fn send(root: &Path) -> cdonts::Result<()> {
    let server = open(root)?;
    println!("begin sent");
    let mail = NewMail::new(&server)
        .from("shop@example.com")
        .to("jane@example.com; joe@example.com; far@example.net")
        .subject("sent")
        .body("Hello.")
        .attach_bytes("data.bin", vec![7; 10_000])
        .attach_file(root.join(ATTACHED));
    match mail.send() {
        Ok(_) => println!("ok sent"),
        Err(error) => {
            println!("failed {} {error}", error.path().is_some());
            // It can be sent again: the draft is whole.
            assert_eq!(error.into_draft().recipients().len(), 3);
            std::process::exit(1);
        }
    }
    Ok(())
}

/// What the owner is told of the directories.
fn look_after(root: &Path) -> cdonts::Result<()> {
    for finding in open(root)?.check()? {
        println!("ok {finding:?}");
    }
    Ok(())
}

fn deliver(root: &Path) -> cdonts::Result<()> {
    let delivered = open(root)?.deliver_now()?;
    if delivered.problems().is_empty() {
        println!("ok delivered");
    }
    Ok(())
}

/// Takes what is for an even number, refuses the others, and says what it took.
#[derive(Clone, Default)]
struct Sink {
    taken: Arc<Mutex<Vec<String>>>,
    /// It is in the program, and not in the check.
    tells: bool,
}

impl Transport for Sink {
    fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome> {
        let answer = |to: &String| {
            if to.starts_with(['1', '3', '5', '7', '9']) {
                return Outcome::Refused(Reply::new(550, "5.1.1", "no such user"));
            }
            if self.tells {
                println!("ok taken {to}");
            }
            self.taken.lock().unwrap().push(to.clone());
            Outcome::Accepted(Reply::new(250, "2.0.0", "ok"))
        };
        message.recipients().iter().map(answer).collect()
    }
}

/// A server whose clock is so many hours ahead: what was deferred is due then.
fn open_relaying(root: &Path, sink: &Sink, hours: u64) -> cdonts::Result<MailServer> {
    MailServer::builder()
        .mailroot(root)
        .create_directories()
        .local_domain("example.com")
        .drop_writer(Writer::Renames)
        .pickup_writer(Writer::Renames)
        .relay(sink.clone())
        .clock(move || SystemTime::now() + Duration::from_hours(hours))
        .relays_at_once(std::num::NonZero::<usize>::MIN)
        .open()
}

fn relay(root: &Path) -> cdonts::Result<()> {
    let sink = Sink {
        tells: true,
        ..Sink::default()
    };
    let relayed = open_relaying(root, &sink, 0)?.deliver_now()?;
    if relayed.problems().is_empty() {
        println!("ok relayed");
    }
    Ok(())
}

/// Each has its message, at worst twice, or the sender was told, and told once.
fn check_relayed(root: &Root, told: &HashSet<String>, context: &str) {
    let sink = Sink::default();
    let mut server = open_relaying(root.path(), &sink, 0).unwrap();
    for hours in [0, 1, 8] {
        server = open_relaying(root.path(), &sink, hours).unwrap();
        assert_eq!(server.deliver_now().unwrap().problems(), [], "{context}");
    }
    assert!(server.queue().unwrap().is_empty(), "{context}");
    assert_eq!(root.files("Queue"), [""; 0], "{context}");
    let after = sink.taken.lock().unwrap();
    let mut refused = Vec::new();
    for message in &messages(&server, "shop@example.com") {
        let Some(Report::Delivery(report)) = message.report().unwrap() else {
            panic!("no report: {context}");
        };
        refused.extend(
            report
                .recipients()
                .iter()
                .map(|one| one.address().to_owned()),
        );
    }
    refused.sort();
    let odd: Vec<_> = (0..MANY)
        .filter(|number| number % 2 == 1)
        .map(address)
        .collect();
    assert_eq!(refused, odd, "{context}");
    for to in (0..MANY).filter(|number| number % 2 == 0).map(address) {
        let before = usize::from(told.contains(&format!("ok taken {to}")));
        let after = after.iter().filter(|one| **one == to).count();
        assert!(
            (1..=2).contains(&(before + after)),
            "{to}: {before}, {after}, {context}"
        );
    }
}

fn address(number: usize) -> String {
    format!("{number}@example.net")
}

fn read(root: &Path) -> cdonts::Result<()> {
    let server = open(root)?;
    for message in &messages(&server, "jane@example.com") {
        if let Ok(text) = message.text() {
            assert!(text.starts_with("Hello."), "half a message: {text}");
        }
    }
    println!("ok read");
    Ok(())
}

fn delete(root: &Path) -> cdonts::Result<()> {
    let server = open(root)?;
    let list = |name: &str| -> Vec<_> {
        let of = messages(&server, &format!("{name}@example.com"));
        let of = of
            .iter()
            .filter(|message| message.subject().starts_with("shared"));
        of.map(|message| (name.to_owned(), message)).collect()
    };
    for (name, message) in list("jane").into_iter().chain(list("joe")) {
        let what = format!("{name} {}", message.subject());
        println!("begin {what}");
        message.delete()?;
        println!("ok {what}");
    }
    Ok(())
}

/// The mailroot before a program runs.
pub(super) fn prepare(role: &str) -> Root {
    let root = Root::in_memory();
    open(root.path()).unwrap();
    if role == "send" {
        root.write(ATTACHED, vec![7; 10_000]);
    }
    if role.contains("deliver") {
        for number in 0..MANY {
            let text = format!(
                "X-Sender: app@example.com\r\nX-Receiver: jane@example.com\r\n\
                 X-Receiver: joe@example.com\r\nX-Receiver: far@example.net\r\n\
                 Subject: foreign {number}\r\n\r\nHello.\r\nend\r\n"
            );
            root.write(&format!("Pickup/{number}.eml"), text);
        }
    }
    if role == "read without an index" {
        std::fs::create_dir_all(root.join("State/index")).unwrap();
    }
    if role.contains("delete") || role.starts_with("read") {
        let to = ["jane@example.com", "joe@example.com", "mary@example.com"];
        for number in 0..MANY {
            let to = if number % 2 == 0 { &to[..2] } else { &to[..] };
            root.write(
                &format!("Drop/s{number}.eml"),
                simple(to, &format!("shared {number}")),
            );
        }
    }
    if role == "relay" {
        let server = open_relaying(root.path(), &Sink::default(), 0).unwrap();
        for number in 0..MANY {
            let mail = NewMail::new(&server)
                .from("shop@example.com")
                .to(address(number));
            mail.subject("x").body("Hello.").send().unwrap();
        }
    }
    root
}

/// The command that runs a program, under `wrapper` if there is one.
pub(super) fn command(role: &str, root: &Path, wrapper: &[&str]) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut command = match wrapper {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    command
        .args([PROGRAM, "--exact", "--nocapture", "--test-threads=1"])
        .env("CDONTS_TEST_ROLE", role)
        .env("CDONTS_TEST_DIR", root)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

pub(super) fn start(role: &str, root: &Path) -> Child {
    command(role, root, &[]).spawn().unwrap()
}

/// What a program was told before it ended, and how it ended.
pub(super) fn told(output: &Output) -> (HashSet<String>, bool) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // The harness prints the name of the test in front of the first line.
    let lines = text.lines().filter_map(|line| {
        let at = ["begin ", "ok ", "failed "]
            .iter()
            .filter_map(|word| line.find(word))
            .min()?;
        Some(line[at..].to_owned())
    });
    (lines.collect(), output.status.success())
}

/// Holds what lies there to what was told, as a process finds it that starts now.
pub(super) fn check(role: &str, root: &Root, told: &HashSet<String>, context: &str) {
    if role == "relay" {
        check_relayed(root, told, context);
    }
    let server = open(root.path()).unwrap();
    let is_told = |what: String| told.contains(&what);
    let subjects = |name: &str| -> Vec<String> {
        let of = messages(&server, &format!("{name}@example.com"));
        assert_eq!(of.problems(), [], "{context}");
        let subject = |message: cdonts::Message| {
            assert!(
                message.text().unwrap().starts_with("Hello."),
                "half: {context}"
            );
            for attachment in &message.attachments().unwrap() {
                assert_eq!(attachment.size().unwrap(), 10_000, "half: {context}");
            }
            message.subject().to_owned()
        };
        of.iter().map(subject).collect()
    };
    let times = |all: &[String], what: &str| all.iter().filter(|one| *one == what).count();
    if role == "send" {
        let copies = ["jane", "joe"].map(|name| times(&subjects(name), "sent"));
        let far = root.files("Pickup").len();
        assert!(
            copies[0] == copies[1] && copies[0] == far,
            "{copies:?} {far} {context}"
        );
        assert!(far <= 1, "twice: {context}");
        if is_told("ok sent".to_owned()) {
            assert_eq!(far, 1, "it said Ok: {context}");
        }
        if told.iter().any(|line| line.starts_with("failed")) {
            assert_eq!(far, 0, "it said Err: {context}");
        }
    }
    if role.contains("deliver") {
        let done = server.deliver_now().unwrap();
        assert_eq!(done.problems(), [], "{context}");
        for name in ["jane", "joe"] {
            let all = subjects(name);
            for number in 0..MANY {
                let count = times(&all, &format!("foreign {number}"));
                assert_eq!(count, 1, "{name} {number} {context}");
            }
        }
        assert_eq!(root.files("Pickup").len(), MANY, "{context}");
    }
    if role.contains("delete") {
        for name in ["jane", "joe", "mary"] {
            let all = subjects(name);
            for number in (0..MANY).filter(|number| name != "mary" || number % 2 == 1) {
                let what = format!("{name} shared {number}");
                let count = times(&all, &format!("shared {number}"));
                let right = match (
                    is_told(format!("begin {what}")),
                    is_told(format!("ok {what}")),
                ) {
                    (_, true) => count == 0,
                    (true, false) => count <= 1,
                    (false, false) => count == 1,
                };
                assert!(right, "{what}: {count} {context}");
            }
        }
    }
    drop(server);
    if !root.join("State").exists() {
        return;
    }
    for dir in ["staging", "committed", "removing", "locks"] {
        assert_eq!(
            root.files(&format!("State/{dir}")),
            [""; 0],
            "{dir} {context}"
        );
    }
}
