//! Deleting: what is shared stays with the others, and what is deleted stays deleted.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::time::Duration;

use cdonts::{ErrorKind, Profile};
use support::{Root, messages, only, reader, simple, subjects};

#[test]
fn a_shared_file_stays_for_the_other_until_he_deletes_it_too() {
    let root = Root::new();
    root.write(
        "Drop/a.eml",
        simple(
            &["jane@example.com", "joe@example.com", "JOE@example.com"],
            "s",
        ),
    );
    let server = root.server();
    let again = only(&server, "jane@example.com");
    only(&server, "jane@example.com").delete().unwrap();
    assert_eq!(messages(&server, "jane@example.com").len(), 0);
    assert_eq!(messages(&root.server(), "jane@example.com").len(), 0);
    assert_eq!(again.delete().unwrap_err().kind(), ErrorKind::MessageGone);
    assert_eq!(
        only(&server, "joe@example.com").text().unwrap(),
        "Hello.\r\n"
    );
    only(&server, "joe@example.com").delete().unwrap();
    assert_eq!(root.files("Drop"), [""; 0]);
    assert_eq!(root.files("State/marks"), [""; 0]);
}

#[test]
fn a_list_as_exim_writes_it_is_shared_in_the_same_way() {
    let root = Root::new();
    for name in ["new", "cur", "tmp"] {
        root.dir(&format!("Drop/{name}"));
    }
    let file = "Return-path: <s@x>\nEnvelope-to: ann@example.com,\n bob@example.com\nDelivery-date: x\nReceived: x\n\nx\n";
    root.write("Drop/new/1.H1P2.host", file);
    let server = reader(&root.join("Drop"), Profile::Exim);
    only(&server, "ann@example.com").delete().unwrap();
    // Its flags change, its marks stay.
    std::fs::rename(
        root.join("Drop/new/1.H1P2.host"),
        root.join("Drop/cur/1.H1P2.host:2,S"),
    )
    .unwrap();
    assert_eq!(messages(&server, "ann@example.com").len(), 0);
    only(&server, "bob@example.com").delete().unwrap();
    assert_eq!(root.files("Drop/cur"), [""; 0]);
}

#[test]
fn a_new_file_under_the_name_of_a_deleted_one_is_seen() {
    let root = Root::new();
    let both = ["jane@example.com", "joe@example.com"];
    root.write("Drop/a.eml", simple(&both, "first"));
    let server = root.server();
    only(&server, "jane@example.com").delete().unwrap();
    // The server uses the name again, before and after the file is gone.
    std::fs::remove_file(root.join("Drop/a.eml")).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    root.write("Drop/a.eml", simple(&both, "again"));
    assert_eq!(subjects(&server, "jane@example.com"), ["again"]);
    assert_eq!(subjects(&server, "joe@example.com"), ["again"]);
    // Its old marks are gone, since they fit no more.
    assert_eq!(root.files("State/marks"), [""; 0]);
    for address in both {
        only(&server, address).delete().unwrap();
    }
    root.write("Drop/a.eml", simple(&["jane@example.com"], "third"));
    assert_eq!(subjects(&server, "jane@example.com"), ["third"]);
}

#[test]
fn marks_of_files_that_are_gone_are_swept_and_others_stay() {
    let root = Root::new();
    let both = ["jane@example.com", "joe@example.com"];
    for name in ["a", "b"] {
        root.write(&format!("Drop/{name}.eml"), simple(&both, name));
    }
    let server = root.server();
    messages(&server, "jane@example.com").delete_all().unwrap();
    assert_eq!(root.files("State/marks").len(), 2);
    std::fs::remove_file(root.join("Drop/a.eml")).unwrap();
    // A directory as young as the clock's grain proves nothing.
    assert_eq!(messages(&server, "joe@example.com").len(), 1);
    assert_eq!(root.files("State/marks").len(), 2);
    let old = std::time::SystemTime::now() - Duration::from_mins(1);
    std::fs::File::open(root.join("Drop"))
        .unwrap()
        .set_modified(old)
        .unwrap();
    assert_eq!(messages(&server, "joe@example.com").len(), 1);
    assert_eq!(root.files("State/marks").len(), 1);
    assert_eq!(messages(&server, "jane@example.com").len(), 0);
}

#[test]
fn what_is_no_mark_deletes_nothing_and_a_mark_is_its_name() {
    let root = Root::new();
    root.write(
        "Drop/a.eml",
        simple(&["jane@example.com", "joe@example.com"], "s"),
    );
    let server = root.server();
    only(&server, "jane@example.com").delete().unwrap();
    let name = root.files("State/marks").remove(0);
    // What it holds is for people.
    root.write(&format!("State/marks/{name}"), "");
    assert_eq!(messages(&root.server(), "jane@example.com").len(), 0);
    std::fs::remove_file(root.join("State/marks").join(&name)).unwrap();
    root.write(&format!("State/marks/{}", &name[..name.len() - 1]), "cut");
    root.write("State/marks/strange", [0xff; 9000]);
    root.dir("State/marks/a-directory");
    assert_eq!(messages(&root.server(), "jane@example.com").len(), 1);
    assert_eq!(messages(&root.server(), "joe@example.com").len(), 1);
}

#[test]
fn a_file_with_a_recipient_nobody_can_be_is_never_removed_by_the_others() {
    let root = Root::new();
    root.write(
        "Drop/a.eml",
        simple(&["jane@example.com", "no address"], "s"),
    );
    let server = root.server();
    only(&server, "jane@example.com").delete().unwrap();
    assert_eq!(messages(&server, "jane@example.com").len(), 0);
    assert_eq!(root.files("Drop"), ["a.eml"]);
}

#[test]
fn a_file_that_was_swapped_goes_back_where_it_was() {
    let root = Root::new();
    let server = root.server();
    root.write("Drop/a.eml", simple(&["jane@example.com"], "hers"));
    let message = only(&server, "jane@example.com");
    root.write("Drop/a.eml", simple(&["joe@example.com"], "his is longer"));
    assert_eq!(message.delete().unwrap_err().kind(), ErrorKind::MessageGone);
    assert_eq!(subjects(&server, "joe@example.com"), ["his is longer"]);
}

#[cfg(unix)]
#[test]
fn what_a_removal_left_behind_is_judged_by_what_it_had_judged() {
    use std::os::unix::fs::MetadataExt;
    let root = Root::new();
    drop(root.server());
    root.write(
        "Drop/x.eml",
        simple(&["jane@example.com", "joe@example.com"], "x"),
    );
    only(&root.server(), "jane@example.com").delete().unwrap();
    // Two removals that died after their rename: of the right file, and of another.
    let leave = |id: &str, right: bool| {
        let name = format!("{id}.eml");
        let path = root.write(&format!("Drop/{name}"), simple(&["jane@example.com"], id));
        let state = std::fs::metadata(&path).unwrap();
        let modified = i128::from(state.mtime()) * 1_000_000_000 + i128::from(state.mtime_nsec());
        let size = state.size() + u64::from(!right);
        let room = format!("State/removing/{id}/flat_{size}_{modified}_{}", state.ino());
        root.dir(&room);
        std::fs::rename(path, root.join(room).join(name)).unwrap();
    };
    leave("right", true);
    leave("wrong", false);
    assert_eq!(subjects(&root.server(), "jane@example.com"), ["wrong"]);
    assert_eq!(root.files("State/removing"), [""; 0]);
}

/// On a disk that has no room for a directory a file is judged in `removing` itself.
#[cfg(unix)]
#[test]
fn what_a_removal_on_a_full_disk_left_behind_is_judged_too() {
    use std::os::unix::fs::MetadataExt;
    let root = Root::new();
    for dir in ["locks", "staging", "committed", "removing", "marks"] {
        root.dir(&format!("State/{dir}"));
    }
    let leave = |name: &str, right: bool| {
        let path = root.write(name, simple(&["jane@example.com"], name));
        let state = std::fs::metadata(&path).unwrap();
        let modified = i128::from(state.mtime()) * 1_000_000_000 + i128::from(state.mtime_nsec());
        let size = state.size() + u64::from(!right);
        let id = "0123456789abcdef0123456789abcdef";
        let new = format!(
            "State/removing/flat_{size}_{modified}_{}_{id}.eml",
            state.ino()
        );
        std::fs::rename(path, root.join(new)).unwrap();
    };
    leave("right", true);
    leave("wrong", false);
    root.write("State/removing/somebody's", "");
    assert_eq!(subjects(&root.server(), "jane@example.com"), ["wrong"]);
    // What it was called is not known any more, but what it is.
    let back = root.only_file("Drop");
    assert!(back.contains("Subject: wrong"));
    let name = root.files("Drop").remove(0);
    assert_eq!(name.rsplit('.').next(), Some("eml"));
    assert_eq!(root.files("State/removing"), ["somebody's"]);
}
