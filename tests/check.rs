//! What `MailServer::check` finds: each fault of a set-up by its kind, and nothing where all is well.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::fs::File;
use std::time::{Duration, SystemTime};

use cdonts::{FindingKind, MailServer, NewMail, Outcome, Profile, RelayMessage, Reply, Writer};
use support::{Root, simple};

/// The kinds of what is found, each once; room is not the test's.
fn kinds(server: &MailServer) -> Vec<FindingKind> {
    let mut kinds = Vec::new();
    for finding in server.check().unwrap() {
        assert!(!finding.text().is_empty() && !finding.advice().is_empty());
        assert!(!finding.to_string().contains(char::is_control), "{finding}");
        if finding.kind() != FindingKind::Space && !kinds.contains(&finding.kind()) {
            kinds.push(finding.kind());
        }
    }
    kinds
}

fn long_ago(file: &File, minutes: u64) {
    file.set_modified(SystemTime::now() - Duration::from_secs(60 * minutes))
        .unwrap();
}

#[test]
fn where_all_is_well_nothing_is_found() {
    let server = MailServer::temporary().unwrap();
    NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com")
        .send()
        .unwrap();
    assert_eq!(kinds(&server), []);
}

#[cfg(unix)]
#[test]
fn who_may_do_more_than_is_good_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let root = Root::new();
    let server = root.delivering();
    NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com; c@example.com")
        .send()
        .unwrap();
    let mode = |dir: &str, mode| {
        std::fs::set_permissions(root.join(dir), PermissionsExt::from_mode(mode)).unwrap();
    };
    for dir in ["Pickup", "Drop"] {
        mode(dir, 0o700);
    }
    assert_eq!(kinds(&server), []);
    for (dir, open) in [("Pickup", 0o777), ("Drop", 0o755), ("State", 0o707)] {
        mode(dir, open);
        let findings = server.check().unwrap();
        let rights = findings
            .iter()
            .find(|one| one.kind() == FindingKind::Rights)
            .unwrap();
        assert_eq!(rights.path(), root.join(dir));
        mode(dir, 0o700);
    }
    if support::modes_bind() {
        mode("Drop", 0o500);
        assert_eq!(kinds(&server), [FindingKind::Rights]);
        mode("Drop", 0o700);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_state_directory_from_which_nothing_can_be_moved_is_told() {
    use std::os::unix::fs::MetadataExt;
    let root = Root::new();
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else {
        println!("no second file system here: left out");
        return;
    };
    let device = |path: &std::path::Path| std::fs::metadata(path).unwrap().dev();
    if device(other.path()) == device(root.path()) {
        println!("no second file system here: left out");
        return;
    }
    let server = root.builder().state_dir(other.path()).open().unwrap();
    assert!(kinds(&server).contains(&FindingKind::FileSystems));
}

#[test]
fn a_profile_that_does_not_fit_and_a_file_that_is_none_are_told() {
    let root = Root::new();
    private(&root);
    root.write("Drop/a.eml", simple(&["jane@example.com"], "x"));
    let open = |profile| {
        root.builder()
            .profile(profile)
            .drop_writer(Writer::Renames)
            .open()
            .unwrap()
    };
    assert_eq!(kinds(&open(Profile::IisDrop)), []);
    let mut few = cdonts::Limits::default();
    few.recipients = 1;
    few.header_section = 10;
    let many: Vec<_> = (0..1000)
        .map(|number| format!("user{number}@example.com"))
        .collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let path = root.write("Drop/many.eml", simple(&many, "x"));
    let limited = root
        .builder()
        .limits(few)
        .drop_writer(Writer::Renames)
        .open()
        .unwrap();
    assert_eq!(kinds(&limited), [FindingKind::Unreadable]);
    std::fs::remove_file(path).unwrap();
    std::fs::remove_dir_all(root.join("State")).ok();
    assert_eq!(kinds(&open(Profile::Exim)), [FindingKind::Profile]);
}

#[test]
fn a_writer_that_writes_in_place_is_told_where_it_should_not() {
    let root = Root::new();
    private(&root);
    let server = root.server();
    let path = root.write("Drop/a.eml", simple(&["jane@example.com"], "x"));
    let grower = std::thread::spawn(move || {
        for _ in 0..60 {
            use std::io::Write;
            let mut file = File::options().append(true).open(&path).unwrap();
            file.write_all(b"more\r\n").unwrap();
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    assert_eq!(kinds(&server), [FindingKind::Writer]);
    grower.join().unwrap();
    // It is known as such a writer, or it has ended.
    assert_eq!(kinds(&server), []);
}

#[test]
fn a_pickup_that_nobody_empties_is_told() {
    let root = Root::new();
    private(&root);
    let server = root.server();
    NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.net")
        .send()
        .unwrap();
    assert_eq!(kinds(&server), []);
    let name = root.files("Pickup").remove(0);
    let file = File::options()
        .write(true)
        .open(root.join("Pickup").join(name))
        .unwrap();
    long_ago(&file, 11);
    assert_eq!(kinds(&server), [FindingKind::Pickup]);
}

#[test]
fn a_queue_whose_relay_was_left_out_is_told() {
    let root = Root::new();
    private(&root);
    let busy = |message: &RelayMessage<'_>| {
        vec![Outcome::Deferred(Reply::new(451, "4.3.0", "later")); message.recipients().len()]
    };
    let with_relay = root.builder().relay(busy).open().unwrap();
    let new = NewMail::new(&with_relay).from("a@example.com");
    new.to("b@example.net").send().unwrap();
    private(&root);
    assert_eq!(kinds(&with_relay), []);
    drop(with_relay);
    assert_eq!(kinds(&root.server()), [FindingKind::Queue]);
    let again = root.builder().relay(busy).open().unwrap();
    assert_eq!(again.queue().unwrap().len(), 1);
    assert_eq!(kinds(&again), []);
}

#[test]
fn what_is_not_in_its_place_after_a_minute_is_told() {
    let root = Root::new();
    private(&root);
    let server = root.delivering();
    NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com; c@example.com")
        .send()
        .unwrap();
    // Somebody is at work on it, so that no look at the Inbox finishes it.
    let id = "0123456789abcdef0123456789abcdef";
    let lock = root.write(&format!("State/locks/{id}"), "");
    let lock = File::options().write(true).open(lock).unwrap();
    lock.lock().unwrap();
    let left = File::open(root.dir(&format!("State/committed/{id}"))).unwrap();
    assert_eq!(kinds(&server), []);
    long_ago(&left, 2);
    assert_eq!(kinds(&server), [FindingKind::Unfinished]);
}

/// For nobody but us, whatever the umask of the test is.
fn private(root: &Root) {
    #[cfg(unix)]
    for dir in ["Pickup", "Drop"] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(root.join(dir), mode).unwrap();
    }
    #[cfg(not(unix))]
    let _ = root;
}
