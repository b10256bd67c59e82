//! Names that a file system allows and nobody expects.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::support::{Root, messages, simple, subjects};

fn odd_names() -> Vec<OsString> {
    let mut names: Vec<OsString> = [
        &b"caf\xe9.eml"[..],
        b"line\nend.eml",
        b"bell\x07.eml",
        "composed-\u{e9}.eml".as_bytes(),
        "decomposed-e\u{301}.eml".as_bytes(),
        b" blanks .eml",
        b"*?\"<>|.eml",
        b"-rf.eml",
        b"%s%n.eml",
        b"con.eml",
    ]
    .iter()
    .map(|name| OsStr::from_bytes(name).to_owned())
    .collect();
    names.push(format!("{}.eml", "x".repeat(251)).into());
    names
}

/// Each is listed and can be deleted, alone and when it is shared.
#[test]
fn p8_odd_names_are_listed_and_can_be_deleted() {
    let root = Root::in_memory();
    for (number, name) in odd_names().iter().enumerate() {
        let path = root.join("Drop").join(name);
        let to = ["jane@example.com", "joe@example.com"];
        std::fs::write(path, simple(&to[..=number % 2], &format!("{number}"))).unwrap();
    }
    let count = odd_names().len();
    let server = root.server();
    assert_eq!(subjects(&server, "jane@example.com").len(), count);
    for message in &messages(&server, "jane@example.com") {
        message.delete().unwrap();
    }
    assert_eq!(subjects(&server, "jane@example.com"), [""; 0]);
    assert_eq!(subjects(&server, "joe@example.com").len(), count / 2);
    assert_eq!(
        messages(&server, "joe@example.com").delete_all().unwrap(),
        count / 2
    );
    assert_eq!(root.files("Drop"), [""; 0]);
    assert_eq!(root.files("State/marks"), [""; 0]);
}

/// In an error a name is one line, whatever stands in it.
#[test]
fn a_name_in_an_error_is_one_line() {
    let root = Root::in_memory();
    let name = OsStr::from_bytes(b"line\nFrom: \x1b[2J\xff.eml");
    symlink("nowhere", root.join("Drop").join(name)).unwrap();
    let path = root
        .join("Drop")
        .join(OsStr::from_bytes(b"no\nmessage.eml"));
    Command::new("mkfifo").arg(path).status().unwrap();
    root.write("Drop/good.eml", simple(&["jane@example.com"], "good"));
    let server = root.server();
    assert_eq!(subjects(&server, "jane@example.com"), ["good"]);
    let problems = server.problems().unwrap();
    for problem in &problems {
        let text = problem.to_string();
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
}
