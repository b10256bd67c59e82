//! The same program over every store: one suite of checks, unchanged.
#![cfg(all(
    feature = "maildir",
    feature = "pop3",
    feature = "imap",
    feature = "smtp",
    feature = "sendmail"
))]
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

#[cfg(target_os = "linux")]
#[path = "support/certificate.rs"]
mod certificate;
#[path = "support/conformance.rs"]
mod conformance;
#[cfg(target_os = "linux")]
#[path = "support/dovecot.rs"]
mod dovecot;
#[cfg(target_os = "linux")]
#[path = "support/postfix.rs"]
mod postfix;
#[cfg(target_os = "linux")]
#[path = "support/program.rs"]
mod program;
mod support;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use cdonts::{
    Credentials, Durability, Imap, MailServer, MailServerBuilder, Maildir, Pop3, Roots, Sendmail,
    Session, Smtp,
};
use conformance::{Fixture, conforms, sends};

/// Two users of one server, and how mail comes to the first.
struct Users<L, D> {
    log_on: L,
    deliver: D,
}

impl<L: Fn(&str) -> Session, D: Fn(&str)> Fixture for Users<L, D> {
    fn log_on(&self) -> Session {
        (self.log_on)("ann")
    }

    fn log_on_other(&self) -> Session {
        (self.log_on)("bob")
    }

    fn deliver(&self, message: &str) {
        (self.deliver)(message);
    }
}

fn by_address(server: &MailServer) -> impl Fn(&str) -> Session {
    move |user| Session::logon_smtp(server, user, format!("{user}@example.com")).unwrap()
}

fn by_password(server: &MailServer) -> impl Fn(&str) -> Session {
    move |user| {
        let who = Credentials::password(format!("{user}@example.com"), format!("{user}pw"));
        Session::logon(server, who).unwrap()
    }
}

/// Puts a file into a directory as servers do, under a name that is in order.
fn put(dir: &Path, ending: &str, text: &str) {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    let number = NAMES.fetch_add(1, Ordering::Relaxed);
    let temporary = dir.with_file_name("being-written");
    std::fs::write(&temporary, text).unwrap();
    std::fs::rename(
        temporary,
        dir.join(format!("1700000000.M{number:06}.{ending}")),
    )
    .unwrap();
}

#[test]
fn a_drop_conforms() {
    let builder = MailServer::builder().local_domain("example.com");
    let server = builder
        .durability(Durability::Atomic)
        .open_temporary()
        .unwrap();
    let fields = "x-sender: sam@example.net\r\nx-receiver: ann@example.com\r\n";
    let drop = Users {
        log_on: by_address(&server),
        deliver: |message: &str| {
            let dir = server.drop_dir().unwrap();
            put(dir, "eml", &format!("{fields}{message}"));
        },
    };
    conforms(&drop);
    sends(&drop);
}

#[test]
fn a_maildir_conforms() {
    let dir = tempfile::tempdir().unwrap();
    for user in ["ann", "bob"] {
        make_maildir(&dir.path().join("example.com").join(user));
    }
    let pattern = dir.path().join("{domain}/{user}").display().to_string();
    let server = MailServer::builder()
        .inbox(Maildir::new(pattern))
        .open()
        .unwrap();
    let fields = "Return-Path: <sam@example.net>\nDelivered-To: ann@example.com\n";
    conforms(&Users {
        log_on: by_address(&server),
        deliver: |message: &str| {
            let message = message.replace("\r\n", "\n");
            let new = dir.path().join("example.com/ann/new");
            put(&new, "host", &format!("{fields}{message}"));
        },
    });
}

fn make_maildir(dir: &Path) {
    for name in ["new", "cur", "tmp"] {
        std::fs::create_dir_all(dir.join(name)).unwrap();
    }
}

#[cfg(target_os = "linux")]
fn on_dovecot(dovecot: &dovecot::Dovecot, server: &MailServer) -> impl Fixture {
    Users {
        log_on: by_password(server),
        deliver: |message: &str| dovecot.deliver("ann", message.as_bytes()),
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_pop3_mailbox_conforms() {
    let Some(dovecot) = dovecot::Dovecot::start() else {
        return;
    };
    let pop3 = Pop3::new("localhost").port(dovecot.pop3s);
    let pop3 = pop3.roots(Roots::Only(dovecot.certificate()));
    let server = MailServer::builder().inbox(pop3).open().unwrap();
    conforms(&on_dovecot(&dovecot, &server));
}

#[cfg(target_os = "linux")]
#[test]
fn an_imap_mailbox_conforms() {
    let Some(dovecot) = dovecot::Dovecot::start() else {
        return;
    };
    let imap = Imap::new("localhost").port(dovecot.imaps);
    let imap = imap.roots(Roots::Only(dovecot.certificate()));
    let server = MailServer::builder().inbox(imap).open().unwrap();
    conforms(&on_dovecot(&dovecot, &server));
}

/// What the program `inbox` or `read` prints of a store, as JSON, but for the names of messages.
#[cfg(target_os = "linux")]
fn printed(name: &str, args: &[&str]) -> Vec<serde_json::Value> {
    let output = program::program(name)
        .args(args)
        .arg("--json")
        .env("CDONTS_PASSWORD", "annpw")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && told.is_empty(),
        "{args:?}: {told}"
    );
    let lines = String::from_utf8(output.stdout).unwrap();
    let without_name = |line: &str| {
        let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
        let object = value.as_object_mut().unwrap();
        object.shift_remove("file");
        object.shift_remove("path");
        value
    };
    lines.lines().map(without_name).collect()
}

/// Puts the messages of the free part of the corpus into both, and tells which.
#[cfg(target_os = "linux")]
fn fill(drop: &Path, maildir: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = walkdir::WalkDir::new("tests/data/mime")
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "eml"))
        .collect();
    files.sort();
    assert!(files.len() > 20, "{}", files.len());
    for (number, path) in files.iter().enumerate() {
        let message = std::fs::read(path).unwrap();
        // As servers deliver it: line ends as in mail, a field of theirs on top.
        let text = message.split(|&byte| byte == b'\n');
        let lines = text.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let message = lines.collect::<Vec<_>>().join(&b"\r\n"[..]);
        let message = [
            &message[..],
            if message.ends_with(b"\n") {
                b""
            } else {
                b"\r\n"
            },
        ]
        .concat();
        let received = b"Received: from a by b; Tue, 24 Nov 2026 10:00:00 +0000\r\n";
        let own = b"Return-Path: <sam@example.net>\r\nDelivered-To: ann@example.com\r\n";
        let name = format!("1700000000.M{number:06}.host");
        std::fs::write(
            maildir.join("new").join(name),
            [&own[..], received, &message].concat(),
        )
        .unwrap();
        let iis = b"x-sender: sam@example.net\r\nx-receiver: ann@example.com\r\n";
        std::fs::write(
            drop.join(format!("{number:06}.eml")),
            [&iis[..], received, &message].concat(),
        )
        .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    files
}

#[cfg(target_os = "linux")]
#[test]
fn the_same_programs_print_the_same_of_the_same_messages() {
    let Some(dovecot) = dovecot::Dovecot::start() else {
        return;
    };
    dovecot.fill("ann", 0);
    let maildir = dovecot.maildir("ann");
    let drop = support::Root::new();
    let files = fill(&drop.join("Drop"), &maildir);
    let (drop, maildir) = (drop.join("Drop"), maildir.display().to_string());
    let of_drop = printed(
        "inbox",
        &[
            "--drop",
            drop.to_str().unwrap(),
            "--address",
            "ann@example.com",
            "--settle",
            "0",
        ],
    );
    assert_eq!(of_drop.len(), files.len());
    let certificate = dovecot.path("cert.pem").display().to_string();
    let maildir = format!("maildir:{maildir}");
    let pop3 = format!("pop3://ann@example.com@localhost:{}", dovecot.pop3s);
    let imap = format!("imap://ann@example.com@localhost:{}", dovecot.imap);
    let stores: [&[&str]; 3] = [
        &["--store", &maildir, "--address", "ann@example.com"],
        &["--store", &pop3, "--ca", &certificate],
        &[
            "--store",
            &imap,
            "--ca",
            &certificate,
            "--security",
            "starttls",
        ],
    ];
    let read = printed("read", stores[0]);
    for store in stores {
        let of_store = printed("inbox", store);
        for (at, (one, other)) in of_store.iter().zip(&of_drop).enumerate() {
            assert_eq!(one, other, "{store:?}: {}", files[at].display());
        }
        assert_eq!(of_store.len(), of_drop.len(), "{store:?}");
        assert_eq!(printed("read", store), read, "{store:?}");
    }
    let wrong = program::program("inbox")
        .args(stores[2])
        .env("CDONTS_PASSWORD", "secret")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&wrong.stderr);
    assert!(
        !wrong.status.success() && told.contains("credentials") && !told.contains("secret"),
        "{told}"
    );
}

/// The `sendmail` of a Postfix that is not the machine's.
#[cfg(target_os = "linux")]
fn sendmail_of(postfix: &postfix::Postfix) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let program = postfix.path("sendmail");
    let script = format!(
        "#!/bin/sh\nexec /usr/sbin/sendmail -C {} \"$@\"\n",
        postfix.path("pf").display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

/// Each way out of the machine's own Postfix, and each store that it delivers into.
#[cfg(target_os = "linux")]
#[test]
fn what_is_sent_by_each_way_out_arrives_in_each_store() {
    let Some(dovecot) = dovecot::Dovecot::start() else {
        return;
    };
    let lmtp = format!("virtual_transport = lmtp:inet:127.0.0.1:{}", dovecot.lmtp);
    let Some(postfix) = postfix::Postfix::start(&[&lmtp], "") else {
        return;
    };
    let roots = Roots::Only(dovecot.certificate());
    let stores = || -> [MailServerBuilder; 3] {
        let imap = Imap::new("localhost")
            .port(dovecot.imaps)
            .roots(roots.clone());
        let pop3 = Pop3::new("localhost")
            .port(dovecot.pop3s)
            .roots(roots.clone());
        let pattern = dovecot.path("home/{user}/Maildir").display().to_string();
        let maildir = MailServer::builder()
            .inbox(Maildir::new(pattern))
            .authenticate(|who| who.is_password(&format!("{}pw", &who.user()[..3])));
        let poll = std::time::Duration::from_millis(200);
        [
            MailServer::builder().inbox(imap.poll_every(poll)),
            MailServer::builder().inbox(pop3.poll_every(poll)),
            maildir,
        ]
    };
    let by_smtp = || Smtp::plain("127.0.0.1").port(postfix.port);
    let program = sendmail_of(&postfix);
    let by_sendmail = || Sendmail::at(&program);
    for user in ["ann", "bob"] {
        dovecot.fill(user, 0);
    }
    for builder in stores() {
        let server = builder.outbox(by_smtp()).open().unwrap();
        sends(&on_dovecot(&dovecot, &server));
    }
    for builder in stores() {
        let server = builder.outbox(by_sendmail()).open().unwrap();
        sends(&on_dovecot(&dovecot, &server));
    }
}

/// Postfix itself delivers into the Maildirs that are read.
#[cfg(target_os = "linux")]
#[test]
fn maildirs_that_postfix_fills_are_read() {
    let maps =
        "virtual_mailbox_maps = inline:{ {ann@example.com = ann/}, {bob@example.com = bob/} }";
    let Some(postfix) = postfix::Postfix::start(&[maps], "") else {
        return;
    };
    for user in ["ann", "bob"] {
        make_maildir(&postfix.path("mail").join(user));
    }
    let chowned = std::process::Command::new("chown")
        .args(["-R", "nobody"])
        .arg(postfix.path("mail"))
        .status();
    assert!(chowned.unwrap().success());
    let server = MailServer::builder()
        .inbox(Maildir::new(
            postfix.path("mail/{user}").display().to_string(),
        ))
        .outbox(Smtp::plain("127.0.0.1").port(postfix.port))
        .open()
        .unwrap();
    sends(&Users {
        log_on: by_address(&server),
        // What is sent is delivered.
        deliver: |_: &str| {},
    });
}
