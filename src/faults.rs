//! Every call to the file system is made to fail, and the process to die there, while messages are
//! sent, delivered and deleted: what is promised must hold each time.

#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod deleting;
mod delivering;
mod looking;
mod reading;
mod recovering;
mod sending;

use std::cell::Cell;
use std::io::ErrorKind::{
    InvalidFilename, Other, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
};
use std::sync::Arc;

use tempfile::TempDir;

use crate::fs::Probe;
use crate::fs::double::{Fault, Plan, place};
use crate::{Draft, MailServer, NewMail, Session, Writer};

/// Each once, and from the call on: what a system says of a disk that fails, is full, over a quota,
/// read-only, or does not let us. A short run makes the first ones.
const FAULTS: [Fault; 13] = [
    Fault::Before(Other),
    Fault::Before(StorageFull),
    Fault::After(Other),
    Fault::Lasting(Other),
    Fault::Syncs(Other),
    Fault::Full,
    Fault::Crash,
    Fault::Before(QuotaExceeded),
    Fault::Before(PermissionDenied),
    Fault::Before(ReadOnlyFilesystem),
    Fault::Before(InvalidFilename),
    Fault::Lasting(StorageFull),
    Fault::Lasting(ReadOnlyFilesystem),
];

const SHORT: usize = 7;

/// A long run breaks each call in each way.
pub(crate) fn is_long() -> bool {
    std::env::var("CDONTS_RUNS").is_ok_and(|runs| runs == "all")
}

fn faults() -> impl Iterator<Item = Fault> {
    let count = if is_long() { FAULTS.len() } else { SHORT };
    FAULTS.into_iter().take(count)
}

struct Fixture {
    root: TempDir,
    plan: Arc<Plan>,
}

impl Fixture {
    fn new() -> Self {
        Self {
            root: place(),
            plan: Plan::new(),
        }
    }

    /// A server whose calls follow the plan.
    fn watched(&self) -> MailServer {
        self.open(self.plan.probe())
    }

    /// The server of a process that starts later, on a file system that works.
    fn restarted(&self) -> MailServer {
        self.open(Probe::default())
    }

    fn open(&self, probe: Probe) -> MailServer {
        let mut builder = MailServer::builder()
            .mailroot(self.root.path())
            .create_directories()
            .local_domain("example.com")
            .pickup_writer(Writer::Renames);
        builder.probe = probe;
        builder.open().unwrap()
    }

    fn write(&self, path: &str, content: &str) {
        std::fs::write(self.root.path().join(path), content).unwrap();
    }

    fn files(&self, dir: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.path().join(dir)).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    }

    fn contents(&self, dir: &str) -> Vec<String> {
        let read = |name: String| std::fs::read_to_string(self.path(dir).join(name)).unwrap();
        self.files(dir).into_iter().map(read).collect()
    }

    fn path(&self, dir: &str) -> std::path::PathBuf {
        self.root.path().join(dir)
    }

    /// After recovery nothing is left on its way.
    fn assert_state_is_clean(&self, context: &str) {
        for dir in ["locks", "staging", "committed", "removing"] {
            let left = self.files(&format!("State/{dir}"));
            assert_eq!(left, [""; 0], "{dir} {context}");
        }
    }
}

fn count(server: &MailServer, address: &str) -> usize {
    let session = Session::logon_smtp(server, "", address).unwrap();
    let messages = session.inbox().messages().unwrap();
    for message in &messages {
        assert_eq!(message.text().unwrap(), "Text", "half a message is visible");
        assert_eq!(
            message
                .attachments()
                .unwrap()
                .get(0)
                .unwrap()
                .size()
                .unwrap(),
            100_000
        );
    }
    messages.len()
}

fn draft(server: &MailServer, to: &str) -> Draft {
    NewMail::new(server)
        .from("shop@example.com")
        .to(to)
        .bcc("blind@example.com")
        .subject("Subject")
        .body("Text")
        .attach_bytes("data.bin", vec![7; 100_000])
        .into_draft()
}

/// Runs `check` for each call that `work` makes and each way in which it can fail.
fn at_every_call(work: &str, check: impl Fn(&Fixture, usize, Fault) -> bool) {
    at_every_call_of(work, faults(), check);
}

/// The same for some of the ways.
fn at_every_call_of(
    work: &str,
    faults: impl Iterator<Item = Fault>,
    check: impl Fn(&Fixture, usize, Fault) -> bool,
) {
    let runs = Cell::new(0);
    for fault in faults {
        for n in 0.. {
            runs.set(runs.get() + 1);
            if !check(&Fixture::new(), n, fault) {
                // Who only reads syncs and makes nothing.
                let is_rare = matches!(fault, Fault::Syncs(_) | Fault::Full);
                assert!(n > 1 || is_rare, "the plan was never followed");
                break;
            }
        }
    }
    println!("faults: {work}: {} runs", runs.get());
}

fn inbox_len(server: &MailServer, address: &str) -> usize {
    let session = Session::logon_smtp(server, "", address).unwrap();
    session.inbox().messages().unwrap().len()
}
