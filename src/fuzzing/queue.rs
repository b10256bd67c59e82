//! A queue in which anything may lie: nothing ends the delivery, and the others go on.

#![allow(clippy::disallowed_methods, reason = "tests may write files")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use crate::state::new_id;
use crate::{MailServer, Outcome, RelayMessage, Reply, Transport, Writer};

/// Takes everything.
struct Relay;

impl Transport for Relay {
    fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome> {
        let yes = || Outcome::Accepted(Reply::new(250, "2.0.0", "ok"));
        message.recipients().iter().map(|_| yes()).collect()
    }
}

fn mailroot() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() {
            memory.to_path_buf()
        } else {
            std::env::temp_dir()
        };
        let root = parent.join(format!("cdonts-fuzz-{}", new_id()));
        std::fs::create_dir(&root).unwrap();
        root
    })
}

const GOOD: &str = "X-Sender: a@example.com\r\nX-Receiver: b@example.net\r\n\r\ntext\r\n";

/// The state of a message, and behind the first 0xff the message.
pub fn queue(data: &[u8]) {
    let root = mailroot();
    let server = MailServer::builder()
        .mailroot(root)
        .create_directories()
        .local_domain("example.com")
        .pickup_writer(Writer::Renames)
        .relay(Relay)
        // A state may say that its time comes late; none may say that it never does.
        .clock(|| SystemTime::now() + Duration::from_hours(24 * 365 * 100))
        .open()
        .unwrap();
    let at = data
        .iter()
        .position(|&byte| byte == 0xff)
        .unwrap_or(data.len());
    let (state, message) = data.split_at(at);
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(root.join("Queue").join(name), bytes).unwrap();
    };
    let (odd, good) = (new_id(), new_id());
    write(
        &format!("{odd}.eml"),
        message.get(1..).unwrap_or(GOOD.as_bytes()),
    );
    write(&format!("{odd}.state"), state);
    write(&format!("{good}.eml"), GOOD.as_bytes());
    for _ in 0..2 {
        server.deliver_now().unwrap();
        server.queue().unwrap();
    }
    let is_left = |name: &str| root.join("Queue").join(name).exists();
    assert!(!is_left(&format!("{good}.eml")), "it holds up another");
    // What cannot be understood stays, or is set aside: it is not this function's to lose it.
    drop(server);
    for dir in ["Queue", "Badmail", "Drop", "Pickup"] {
        for file in std::fs::read_dir(root.join(dir)).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
    }
}
