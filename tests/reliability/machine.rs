//! A machine that is full, read-only, out of descriptors, or rearranged while a program works.

use std::collections::HashSet;
#[cfg(not(portable_fs))]
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
#[cfg(not(portable_fs))]
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cdonts::{CdoCode, ErrorKind, FindingKind, MailServer, NewMail, Session, Writer};

use super::support::{Root, messages, role, simple, subjects};
use super::{can, runs};

/// Runs one of the tests below again, in a process with mounts of its own, on a small file system.
/// Whether it could be done.
fn on_a_small_disk(test: &str, options: &str) -> bool {
    if !can("root that may mount", "unshare", &["-m", "true"]) {
        return false;
    }
    let root = tempfile::tempdir().unwrap();
    let script = format!(
        "mount -t tmpfs -o {options} none \"$CDONTS_TEST_DIR\" && exec \"$0\" {test} --exact --nocapture"
    );
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env("CDONTS_TEST_ROLE", "on a small disk")
        .env("CDONTS_TEST_DIR", root.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{errors}"
    );
    true
}

fn small_server(root: &Path) -> MailServer {
    MailServer::builder()
        .mailroot(root)
        .create_directories()
        .local_domain("example.com")
        .drop_writer(Writer::Renames)
        .pickup_writer(Writer::Renames)
        .open()
        .unwrap()
}

fn mail(server: &MailServer, to: &str) -> cdonts::Draft {
    let mail = NewMail::new(server).from("shop@example.com").to(to);
    mail.subject("sent").body("Hello.").into_draft()
}

/// Sends until it cannot any more; how many could be sent, and the error.
fn fill(server: &MailServer, to: &str) -> (usize, cdonts::SendError) {
    for sent in 0..10_000 {
        if let Err(error) = mail(server, to).send() {
            return (sent, error);
        }
    }
    panic!("this disk has no end");
}

fn a_full_disk(root: &Path) {
    let server = small_server(root);
    // What is needed once is there.
    mail(&server, "jane@example.com; joe@example.com")
        .send()
        .unwrap();
    let shared = simple(&["ann@example.com", "bob@example.com"], "shared");
    std::fs::write(root.join("Drop/shared.eml"), shared).unwrap();
    let foreign = "X-Sender: a@x.example\r\nX-Receiver: jane@example.com\r\n\r\nHello.\r\n";
    std::fs::write(root.join("Pickup/foreign.eml"), foreign).unwrap();
    let (sent, error) = fill(&server, "jane@example.com");
    assert_eq!(error.cdo_code(), CdoCode::NotEnoughDisk, "{error}");
    assert!(error.path().is_some(), "{error}");
    let again = error.into_draft();
    // Who asks what is wrong is told.
    let findings = server.check().unwrap();
    assert!(findings.iter().any(|one| one.kind() == FindingKind::Space));
    // What cannot be delivered stays where it is.
    let done = server.deliver_now();
    assert!(done.is_err() || !done.unwrap().problems().is_empty());
    assert!(root.join("Pickup/foreign.eml").exists());
    // Reading works, with the index and for a process that begins now.
    for server in [&server, &small_server(root)] {
        let all = messages(server, "jane@example.com");
        assert_eq!((all.len(), all.problems()), (sent + 1, &[][..]));
        assert!(
            all.iter()
                .all(|message| message.text().unwrap().starts_with("Hello."))
        );
    }
    // So does deleting, which is how a person makes room.
    let all = messages(&server, "jane@example.com");
    for message in all.iter().take(sent / 2) {
        message.delete().unwrap();
    }
    for name in ["ann", "bob"] {
        messages(&server, &format!("{name}@example.com"))
            .get(0)
            .unwrap()
            .delete()
            .unwrap();
    }
    assert!(!root.join("Drop/shared.eml").exists());
    again.send().unwrap();
    assert_eq!(server.deliver_now().unwrap().problems(), []);
    let left = sent + 1 - sent / 2;
    assert_eq!(messages(&server, "jane@example.com").len(), left + 2);
}

#[test]
fn p2_a_full_disk_refuses_the_new_and_keeps_the_old() {
    match role() {
        Some((_, root)) => a_full_disk(&root),
        None => drop(on_a_small_disk(
            "machine::p2_a_full_disk_refuses_the_new_and_keeps_the_old",
            "size=512k",
        )),
    }
}

#[test]
fn p2_a_disk_without_room_for_names_refuses_the_new_and_keeps_the_old() {
    match role() {
        Some((_, root)) => a_full_disk(&root),
        None => drop(on_a_small_disk(
            "machine::p2_a_disk_without_room_for_names_refuses_the_new_and_keeps_the_old",
            "size=8m,nr_inodes=80",
        )),
    }
}

/// What lies on a disk that became read-only is read; what would change it is a typed error.
#[test]
fn p8_a_read_only_disk_is_read() {
    let Some((_, root)) = role() else {
        on_a_small_disk("machine::p8_a_read_only_disk_is_read", "size=512k");
        return;
    };
    let server = small_server(&root);
    mail(&server, "jane@example.com; far@example.net")
        .send()
        .unwrap();
    let remounted = Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(&root)
        .status()
        .unwrap();
    assert!(remounted.success());
    for server in [&server, &small_server(&root)] {
        let jane = messages(server, "jane@example.com");
        assert_eq!(jane.len(), 1);
        let message = jane.get(0).unwrap();
        assert!(message.text().unwrap().starts_with("Hello."));
        let error = message.delete().unwrap_err();
        assert_eq!(error.cdo_code(), CdoCode::NoAccess, "{error}");
        assert!(error.path().is_some(), "{error}");
        let error = mail(server, "jane@example.com").send().unwrap_err();
        assert_eq!(error.cdo_code(), CdoCode::NoAccess, "{error}");
        assert_eq!(messages(server, "jane@example.com").len(), 1);
    }
}

/// Runs one of the tests below again, in a process that may have so many files open.
fn with_few_descriptors(test: &str, root: &Path, most: usize) {
    let script = format!("ulimit -n {most}; exec \"$0\" {test} --exact --nocapture");
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env("CDONTS_TEST_ROLE", "few descriptors")
        .env("CDONTS_TEST_DIR", root)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{errors}"
    );
}

/// With few descriptors a folder of any size is listed, by many threads.
#[test]
fn p8_a_listing_needs_few_descriptors() {
    const TEST: &str = "machine::p8_a_listing_needs_few_descriptors";
    const MESSAGES: usize = 1000;
    if let Some((_, root)) = role() {
        let server = MailServer::builder()
            .mailroot(&root)
            .drop_writer(Writer::Renames)
            .scan_threads(std::num::NonZero::new(20).unwrap())
            .open()
            .unwrap();
        assert_eq!(messages(&server, "jane@example.com").len(), MESSAGES);
        return;
    }
    let root = Root::in_memory();
    for number in 0..MESSAGES {
        root.write(
            &format!("Drop/{number}.eml"),
            simple(&["jane@example.com"], "x"),
        );
    }
    // Twenty threads that each hold one file, and what the program and the server hold.
    with_few_descriptors(TEST, root.path(), 64);
}

/// When there are too few, it is told, and nothing is taken for read.
#[test]
fn p8_too_few_descriptors_are_told() {
    const TEST: &str = "machine::p8_too_few_descriptors_are_told";
    if let Some((_, root)) = role() {
        let server = MailServer::builder()
            .mailroot(&root)
            .drop_writer(Writer::Renames)
            .open()
            .unwrap();
        let session = Session::logon_smtp(&server, "", "jane@example.com").unwrap();
        let mut held = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            held.push(file);
        }
        match session.inbox().messages() {
            Ok(messages) => assert_eq!(messages.len() + messages.unreadable(), 5),
            Err(error) => assert!(error.path().is_some(), "{error}"),
        }
        let error = mail(&server, "jane@example.com").send().unwrap_err();
        assert!(error.path().is_some(), "{error}");
        drop(held);
        assert_eq!(session.inbox().messages().unwrap().len(), 5);
        error.into_draft().send().unwrap();
        return;
    }
    let root = Root::in_memory();
    for number in 0..5 {
        root.write(
            &format!("Drop/{number}.eml"),
            simple(&["jane@example.com"], "x"),
        );
    }
    with_few_descriptors(TEST, root.path(), 40);
}

/// Sending, reading and deleting leave no descriptor open.
#[test]
fn no_descriptor_is_left_open() {
    const TEST: &str = "machine::no_descriptor_is_left_open";
    let Some((_, dir)) = role() else {
        // Alone: other tests open files too.
        let root = Root::in_memory();
        let mut child = super::support::in_other_process(TEST, "count", root.path());
        assert!(child.wait().unwrap().success());
        return;
    };
    let server = small_server(&dir);
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let round = || {
        mail(&server, "jane@example.com; far@example.net")
            .send()
            .unwrap();
        let jane = messages(&server, "jane@example.com");
        let message = jane.get(0).unwrap();
        assert!(message.text().unwrap().starts_with("Hello."));
        message.delete().unwrap();
    };
    round();
    let before = open();
    for _ in 0..runs(200, 10_000) {
        round();
    }
    assert_eq!(open(), before);
}

/// Only the Linux form holds its directories open; the other one says that it does not.
#[cfg(not(portable_fs))]
fn exchange(one: &Path, other: &Path) {
    let flags = rustix::fs::RenameFlags::EXCHANGE;
    let at = rustix::fs::CWD;
    rustix::fs::renameat_with(at, one, at, other, flags).unwrap();
}

/// A directory that is exchanged for a link or another directory while mail is sent: nothing is
/// written outside of what was opened, and what `send` said yes to is in one of the two.
#[cfg(not(portable_fs))]
#[test]
fn p6_an_exchanged_directory_leads_nowhere_else() {
    let root = Root::in_memory();
    let outside = Root::in_memory();
    let server = small_server(root.path());
    mail(&server, "jane@example.com; far@example.net")
        .send()
        .unwrap();
    // A link in place of Drop, one in place of Pickup, and again.
    for name in ["Drop", "Pickup"] {
        symlink(outside.join(name), root.join(format!("{name}.link"))).unwrap();
    }
    let stop = AtomicBool::new(false);
    let (mut sent, mut failed) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for name in ["Drop", "Pickup"] {
                    exchange(&root.join(name), &root.join(format!("{name}.link")));
                }
            }
        });
        for _ in 0..runs(300, 5000) {
            match mail(&server, "jane@example.com; far@example.net").send() {
                Ok(_) => sent += 1,
                Err(_) => failed += 1,
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    for name in ["Drop", "Pickup"] {
        assert_eq!(outside.files(name), [""; 0], "written through a link");
        let real = if root.join(name).is_symlink() {
            format!("{name}.link")
        } else {
            name.to_owned()
        };
        assert_eq!(root.files(&real).len(), sent + 1, "{failed} failed");
    }
}

/// A sparse file of 10 GB is listed by its head, refused when it is read, and costs the others
/// nothing.
#[test]
fn p7_a_file_of_ten_gigabytes_is_told_as_too_big() {
    const TEST: &str = "machine::p7_a_file_of_ten_gigabytes_is_told_as_too_big";
    let Some((_, dir)) = role() else {
        let root = Root::in_memory();
        let path = root.write("Drop/huge.eml", simple(&["jane@example.com"], "huge"));
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_len(10_000_000_000).unwrap();
        root.write("Drop/small.eml", simple(&["jane@example.com"], "small"));
        let mut child = super::support::in_other_process(TEST, "read", root.path());
        assert!(child.wait().unwrap().success());
        return;
    };
    let server = small_server(&dir);
    let listed: HashSet<_> = subjects(&server, "jane@example.com").into_iter().collect();
    assert_eq!(listed.len(), 2);
    for message in &messages(&server, "jane@example.com") {
        match message.text() {
            Ok(text) => assert!(text.starts_with("Hello.") && message.subject() == "small"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
                message.delete().unwrap();
            }
        }
    }
    assert_eq!(subjects(&server, "jane@example.com"), ["small"]);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 256 * 1024, "{peak} kB of memory");
}

/// A program that may not read a file counts it, lists the others, and names it to the owner alone.
#[test]
fn p8_without_rights_the_others_are_listed() {
    const TEST: &str = "machine::p8_without_rights_the_others_are_listed";
    if let Some((_, root)) = role() {
        let server = MailServer::builder()
            .mailroot(&root)
            .drop_writer(Writer::Renames)
            .open()
            .unwrap();
        let jane = messages(&server, "jane@example.com");
        assert_eq!((jane.len(), jane.unreadable()), (1, 1));
        assert_eq!(jane.problems(), []);
        let problems = server.problems().unwrap();
        assert!(
            problems
                .iter()
                .any(|problem| problem.to_string().contains("secret.eml"))
        );
        let error = jane.get(0).unwrap().delete().unwrap_err();
        assert_eq!(error.cdo_code(), CdoCode::NoAccess, "{error}");
        return;
    }
    if !can(
        "root and setpriv",
        "setpriv",
        &["--reuid", "65534", "--clear-groups", "true"],
    ) {
        return;
    }
    let root = Root::in_memory();
    let secret = root.write("Drop/secret.eml", simple(&["jane@example.com"], "secret"));
    root.write("Drop/open.eml", simple(&["jane@example.com"], "open"));
    let mode = |path: &Path, mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(path, mode).unwrap();
    };
    mode(&secret, 0o600);
    mode(root.path(), 0o755);
    // The binary where that user can run it.
    let program = root.join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    mode(&program, 0o755);
    let status = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(&program)
        .args([TEST, "--exact"])
        .env("CDONTS_TEST_ROLE", "no rights")
        .env("CDONTS_TEST_DIR", root.path())
        .status()
        .unwrap();
    assert!(status.success());
}

/// A second delivery service on the same directories: each message is delivered by one of them.
#[test]
fn p5_two_services_deliver_each_message_once() {
    let root = Root::in_memory();
    let servers = [small_server(root.path()), small_server(root.path())];
    let services = servers
        .each_ref()
        .map(|server| cdonts::Delivery::start(server, Duration::from_millis(1)).unwrap());
    for number in 0..50 {
        let text = format!(
            "X-Sender: a@x.example\r\nX-Receiver: jane@example.com\r\n\
             Subject: {number}\r\n\r\nHello.\r\n"
        );
        let waiting = root.write(&format!("{number}.eml"), text);
        std::fs::rename(waiting, root.join(format!("Pickup/{number}.eml"))).unwrap();
    }
    super::support::eventually(|| subjects(&servers[0], "jane@example.com").len() >= 50);
    std::thread::sleep(Duration::from_millis(50));
    let all = subjects(&servers[1], "jane@example.com");
    assert_eq!(all.len(), all.iter().collect::<HashSet<_>>().len());
    assert_eq!(all.len(), 50);
    drop(services);
}
