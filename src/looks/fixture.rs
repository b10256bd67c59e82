//! A drop whose calls are counted.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::fs::double::Plan;
use crate::fs::{Op, Probe};
use crate::{MailServer, Session, Writer};

pub(crate) struct Fixture {
    pub(super) root: TempDir,
    pub(super) plan: Arc<Plan>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in ["Pickup", "Drop", "State"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        Self {
            root,
            plan: Plan::new(),
        }
    }

    pub(crate) fn drop_dir(&self) -> PathBuf {
        self.root.path().join("Drop")
    }

    pub(crate) fn server_with(&self, probe: Probe) -> MailServer {
        let mut builder = MailServer::builder()
            .mailroot(self.root.path())
            .drop_writer(Writer::Renames);
        builder.probe = probe;
        builder.open().unwrap()
    }

    /// Where another program writes in place.
    pub(crate) fn server_in_place(&self, probe: Probe) -> MailServer {
        let settle = Duration::from_millis(1);
        let mut builder = MailServer::builder()
            .mailroot(self.root.path())
            .drop_writer(Writer::InPlace { settle });
        builder.probe = probe;
        builder.open().unwrap()
    }

    /// A program that starts now, whose calls are counted.
    pub(super) fn watched(&self) -> MailServer {
        let server = self.server_with(self.plan.probe());
        self.plan.disarm();
        server
    }

    pub(crate) fn write(&self, name: &str, to: &[&str], subject: &str) {
        let run: String = to
            .iter()
            .map(|to| format!("X-Receiver: {to}@example.com\r\n"))
            .collect();
        let text = format!("X-Sender: s@x.example\r\n{run}Subject: {subject}\r\n\r\ntext\r\n");
        std::fs::write(self.drop_dir().join(name), text).unwrap();
    }

    /// Makes the drop look as if nothing had happened in it for a while.
    pub(crate) fn rest(&self, seconds: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds);
        File::open(self.drop_dir())
            .unwrap()
            .set_modified(time)
            .unwrap();
    }

    /// Calls since the last time on the drop, and on what is in it.
    pub(super) fn calls(&self) -> (Vec<Op>, Vec<(Op, String)>) {
        let drop = self.drop_dir();
        let calls = self.plan.disarm();
        let own = calls.iter().filter(|(_, path)| *path == drop);
        let within = calls.iter().filter_map(|(op, path)| {
            let name = path.strip_prefix(&drop).ok()?.to_str()?.to_owned();
            (!name.is_empty()).then_some((*op, name))
        });
        (own.map(|(op, _)| *op).collect(), within.collect())
    }
}

pub(super) fn subjects(server: &MailServer, address: &str) -> Vec<String> {
    let session = Session::logon_smtp(server, "", format!("{address}@example.com")).unwrap();
    let messages = session.inbox().messages().unwrap();
    messages
        .iter()
        .map(|message| message.subject().to_owned())
        .collect()
}
