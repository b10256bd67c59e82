//! What the tests of behaviour share: a mail server in a directory of its own.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::missing_panics_doc,
    reason = "each test file uses its part, and tests may write files"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use cdonts::{MailServer, MailServerBuilder, Message, Messages, Profile, Session, Writer};
use tempfile::TempDir;

pub struct Root(TempDir);

impl Root {
    /// A mailroot with Pickup and Drop.
    pub fn new() -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        root.dir("Pickup");
        root.dir("Drop");
        root
    }

    /// The same in memory where there is such a place: for many short runs.
    pub fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() {
            Self(tempfile::tempdir_in(memory).unwrap())
        } else {
            Self(tempfile::tempdir().unwrap())
        };
        root.dir("Pickup");
        root.dir("Drop");
        root
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.path().join(path)
    }

    pub fn dir(&self, name: &str) -> PathBuf {
        let dir = self.join(name);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(path);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The names in a directory, sorted.
    pub fn files(&self, dir: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.join(dir)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// The only file of a directory.
    pub fn only_file(&self, dir: &str) -> String {
        let names = self.files(dir);
        assert_eq!(names.len(), 1, "{names:?}");
        std::fs::read_to_string(self.join(dir).join(&names[0])).unwrap()
    }

    pub fn builder(&self) -> MailServerBuilder {
        MailServer::builder().mailroot(self.path())
    }

    /// A server that reads complete files.
    pub fn server(&self) -> MailServer {
        self.builder().drop_writer(Writer::Renames).open().unwrap()
    }

    /// A server that delivers `example.com` itself.
    pub fn delivering(&self) -> MailServer {
        self.builder()
            .local_domain("example.com")
            .pickup_writer(Writer::Renames)
            .open()
            .unwrap()
    }
}

/// A server over one drop directory alone.
pub fn reader(drop: &Path, profile: Profile) -> MailServer {
    let mut state = drop.as_os_str().to_owned();
    state.push(".state");
    MailServer::builder()
        .drop_dir(drop, profile)
        .drop_writer(Writer::Renames)
        .state_dir(state)
        .open()
        .unwrap()
}

pub fn session(server: &MailServer, address: &str) -> Session {
    Session::logon_smtp(server, "", address).unwrap()
}

pub fn messages(server: &MailServer, address: &str) -> Messages {
    session(server, address).inbox().messages().unwrap()
}

pub fn subjects(server: &MailServer, address: &str) -> Vec<String> {
    let subject = |message: Message| message.subject().to_owned();
    messages(server, address).into_iter().map(subject).collect()
}

pub fn only(server: &MailServer, address: &str) -> Message {
    let messages = messages(server, address);
    assert_eq!(messages.len(), 1, "{address}");
    messages.get(0).unwrap()
}

pub fn source(message: &Message) -> String {
    let mut bytes = Vec::new();
    message.write_to(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A file as the SMTP service of IIS writes it into Drop.
pub fn iis_file(recipients: &[&str], below: &str) -> String {
    let mut file = String::from("x-sender: sam@example.net\r\n");
    for recipient in recipients {
        file += &format!("x-receiver: {recipient}\r\n");
    }
    file + "Received: from a by b; Tue, 24 Nov 2026 10:00:00 +0000\r\n" + below
}

pub fn simple(recipients: &[&str], subject: &str) -> String {
    iis_file(
        recipients,
        &format!("From: Sam <sam@example.net>\r\nSubject: {subject}\r\n\r\nHello.\r\n"),
    )
}

/// Whether file modes bind this user; root reads and writes everything.
pub fn modes_bind() -> bool {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("probe");
    std::fs::write(&path, "").unwrap();
    let mut permissions = std::fs::metadata(&path).unwrap().permissions();
    #[cfg(unix)]
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o000);
    #[cfg(not(unix))]
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions).unwrap();
    let binds = std::fs::File::open(&path).is_err();
    if !binds {
        println!("this user reads everything: the part about access rights is left out");
    }
    binds
}

/// The directory of this package, also when the tests run in a copy of it.
pub fn package() -> PathBuf {
    let dir = std::env::var_os("CARGO_MANIFEST_DIR");
    dir.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// The shared corpus; `None` where it is not at hand, which is an error where it must be.
pub fn corpus() -> Option<PathBuf> {
    let corpus = package().join("../shared/corpus");
    if corpus.is_dir() {
        return Some(corpus);
    }
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "the corpus is missing"
    );
    println!("the corpus is not here: only the messages in tests/data are read");
    None
}

/// Runs `work` in another process: this test again, told by the environment what to do there.
pub fn in_other_process(test: &str, role: &str, dir: &Path) -> std::process::Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env("CDONTS_TEST_ROLE", role)
        .env("CDONTS_TEST_DIR", dir)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

/// What this process is asked to do, if it is such another one.
pub fn role() -> Option<(String, PathBuf)> {
    let role = std::env::var("CDONTS_TEST_ROLE").ok()?;
    Some((role, std::env::var_os("CDONTS_TEST_DIR")?.into()))
}

/// Waits until `done` holds, for at most ten seconds.
pub fn eventually(mut done: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it did not come about in ten seconds");
}
