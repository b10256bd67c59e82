//! The example programs, run as a person would, with their output checked.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

#[path = "support/program.rs"]
mod program;
mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use program::program;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Root, iis_file, simple};

fn run(name: &str, args: &[&str]) -> Output {
    program(name)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn run_with_input(name: &str, args: &[&str], input: &str) -> Output {
    let mut child = program(name)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn round_trip_tells_what_happened() {
    let output = run("round_trip", &[]);
    assert!(output.status.success());
    let told = text(&output.stdout);
    for sentence in [
        "Jane reads \"Lunch?\" from Joe <joe@example.com>: At noon?",
        "delivered to joe@example.com and audit@example.com.",
        "importance high",
        "Joe saves map.txt: two streets down",
        "0 messages are left",
        "still there: 1 message",
    ] {
        assert!(told.contains(sentence), "{sentence}\n{told}");
    }
}

const RICH: &str = "Date: Tue, 24 Nov 2026 09:30:00 +0100\r\nFrom: =?utf-8?Q?J=C3=B6rg?= <j@example.net>\r\n\
    To: Jane <jane@example.com>, b@example.org\r\nCc: c@example.org\r\nSubject: one\r\nX-Long: a\r\n b\r\n\
    Importance: high\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n\r\ntext\r\n--m\r\n\
    Content-Type: image/png; name=p.png\r\nContent-ID: <pic@x>\r\nContent-Transfer-Encoding: base64\r\n\r\n\
    AAEC\r\n--m--\r\n";

#[test]
fn inbox_lists_as_json_in_the_agreed_form() {
    let root = Root::new();
    root.write(
        "Drop/a.eml",
        iis_file(&["jane@example.com", "secret@example.com"], RICH),
    );
    root.write("Drop/b.eml", simple(&["joe@example.com"], "his"));
    let drop = root.join("Drop");
    let output = run(
        "inbox",
        &[
            "--drop",
            path(&drop),
            "--address",
            "jane@example.com",
            "--settle",
            "0",
            "--json",
        ],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let listed = lines(&output);
    let sha256: String = Sha256::digest([0, 1, 2])
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let size = RICH.len() + "Received: from a by b; Tue, 24 Nov 2026 10:00:00 +0000\r\n".len();
    assert_eq!(
        listed,
        [json!({
            "file": "a.eml",
            "from": {"name": "Jörg", "address": "j@example.net"},
            "to": [{"name": "Jane", "address": "jane@example.com"}, {"name": null, "address": "b@example.org"}],
            "cc": [{"name": null, "address": "c@example.org"}],
            "subject": "one",
            "date": "2026-11-24T08:30:00Z",
            "size": size,
            "importance": "high",
            "text": "text",
            "html": null,
            "attachments": [{"name": "p.png", "size": 3, "content_type": "image/png", "content_id": "pic@x", "sha256": sha256}],
            "headers": [
                ["Received", "from a by b; Tue, 24 Nov 2026 10:00:00 +0000"],
                ["Date", "Tue, 24 Nov 2026 09:30:00 +0100"],
                ["From", "Jörg <j@example.net>"],
                ["To", "Jane <jane@example.com>, b@example.org"],
                ["Cc", "c@example.org"],
                ["Subject", "one"],
                ["X-Long", "a b"],
                ["Importance", "high"],
                ["Content-Type", "multipart/mixed; boundary=m"],
            ],
            "problems": [],
        })]
    );
    let first = text(&output.stdout);
    let keys: Vec<_> = listed[0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "file",
            "from",
            "to",
            "cc",
            "subject",
            "date",
            "size",
            "importance",
            "text",
            "html",
            "attachments",
            "headers",
            "problems"
        ]
    );
    assert!(!first.contains("secret"));
    // Nothing but what was asked for: no state is made by looking.
    assert_eq!(root.files("."), ["Drop", "Pickup"]);
}

#[test]
fn inbox_deletes_by_the_name_it_shows_and_saves() {
    let root = Root::new();
    let drop = root.join("Drop");
    root.write(
        "Drop/a.eml",
        iis_file(&["jane@example.com", "joe@example.com"], RICH),
    );
    #[cfg(target_os = "linux")]
    let odd = {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"o\\d\xff.eml");
        std::fs::write(drop.join(name), simple(&["jane@example.com"], "odd")).unwrap();
        "o\\\\d\\xff.eml"
    };
    #[cfg(not(target_os = "linux"))]
    let odd = {
        root.write("Drop/odd.eml", simple(&["jane@example.com"], "odd"));
        "odd.eml"
    };
    let inbox = |more: &[&str]| {
        let mut args = vec![
            "--drop",
            path(&drop),
            "--address",
            "jane@example.com",
            "--settle",
            "0",
            "--json",
        ];
        args.extend(more);
        run("inbox", &args)
    };
    let saved = root.join("saved");
    let listed = inbox(&["--save", path(&saved)]);
    assert_eq!(lines(&listed).len(), 2);
    let number = 1 + lines(&listed)
        .iter()
        .position(|line| line["subject"] == "one")
        .unwrap();
    let source = std::fs::read_to_string(saved.join(format!("{number}.eml"))).unwrap();
    assert!(source.starts_with("Received: ") && source.ends_with(RICH));
    assert_eq!(
        std::fs::read(saved.join(format!("{number}/p.png"))).unwrap(),
        [0, 1, 2]
    );
    assert!(
        lines(&inbox(&["--delete", odd]))
            .iter()
            .all(|line| line["subject"] == "one")
    );
    assert_eq!(lines(&inbox(&["--delete", "a.eml"])).len(), 0);
    // Joe still has the shared one; the state is beside the drop, since Pickup lies there too.
    assert_eq!(root.files("Drop"), ["a.eml"]);
    assert!(root.join("State/marks").is_dir());
    let missing = inbox(&["--delete", "a.eml"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("a.eml"));
}

#[test]
fn inbox_reads_a_maildir_under_its_profile_and_counts_what_it_cannot_judge() {
    let root = Root::new();
    for name in ["new", "cur", "tmp"] {
        root.dir(&format!("mail/{name}"));
    }
    root.write(
        "mail/new/1.a.b",
        "Return-Path: <s@x>\nDelivered-To: jane@example.com\nReceived: x\nSubject: m\n\nx\n",
    );
    #[cfg(unix)]
    std::os::unix::fs::symlink(root.join("mail/new/1.a.b"), root.join("mail/new/link")).unwrap();
    let drop = root.join("mail");
    let args = [
        "--drop",
        path(&drop),
        "--address",
        "jane@example.com",
        "--profile",
        "postfix",
        "--json",
    ];
    let output = run("inbox", &args);
    assert!(output.status.success());
    assert_eq!(lines(&output)[0]["file"], "new/1.a.b");
    if cfg!(unix) {
        assert_eq!(
            text(&output.stderr),
            "1 files of the drop could not be judged\n"
        );
    }
    let wrong = run(
        "inbox",
        &[
            "--drop",
            path(&drop),
            "--address",
            "jane@example.com",
            "--profile",
            "pine",
        ],
    );
    assert_eq!(wrong.status.code(), Some(1));
    let usage = run("inbox", &["--dorp", "x"]);
    assert_eq!(usage.status.code(), Some(2));
    assert!(text(&usage.stderr).contains("usage: inbox"));
}

#[test]
fn read_gives_one_line_a_file_and_goes_on_after_an_error() {
    let root = Root::new();
    let good = root.write("good.eml", RICH);
    let missing = root.join("missing.eml");
    let listed = lines(&run(
        "read",
        &["--json", "--content", path(&missing), path(&good)],
    ));
    assert_eq!(listed[0]["path"], path(&missing));
    assert!(listed[0]["error"].as_str().unwrap().contains("missing.eml"));
    assert_eq!(listed[1]["path"], path(&good));
    assert_eq!(listed[1]["attachments"][0]["content_b64"], "AAEC");
    let input = format!("{}\n{}\n", path(&good), path(&good));
    let listed = lines(&run_with_input("read", &["--json"], &input));
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["subject"], "one");
    assert!(listed[0]["attachments"][0].get("content_b64").is_none());
    let plain = text(&run("read", &[path(&good)]).stdout);
    assert!(plain.contains("From:    Jörg <j@example.net>"), "{plain}");
}

#[test]
fn send_takes_a_message_from_its_command_line() {
    let root = Root::new();
    let (pickup, drop) = (root.join("Pickup"), root.join("Drop"));
    let file = root.write("a.txt", "attached");
    let output = run(
        "send",
        &[
            "--pickup",
            path(&pickup),
            "--drop",
            path(&drop),
            "--local-domain",
            "example.com",
            "--from",
            "a@example.com",
            "--to",
            "b@example.com",
            "--to",
            "c@example.net",
            "--bcc",
            "d@example.com",
            "--subject",
            "S",
            "--text",
            "T",
            "--attach",
            path(&file),
        ],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = &lines(&output)[0];
    assert_eq!(told["ok"], true);
    assert_eq!(told["files"], json!(root.files("Pickup")));
    assert_eq!(told["delivered"], json!(["b@example.com", "d@example.com"]));
    assert!(
        told["message_id"]
            .as_str()
            .unwrap()
            .ends_with("@example.com>")
    );
    let listed = lines(&run(
        "inbox",
        &[
            "--drop",
            path(&drop),
            "--address",
            "d@example.com",
            "--settle",
            "0",
            "--json",
        ],
    ));
    assert_eq!(
        (&listed[0]["subject"], &listed[0]["text"]),
        (&json!("S"), &json!("T"))
    );
    assert_eq!(listed[0]["attachments"][0]["name"], "a.txt");
    let wrong = run(
        "send",
        &[
            "--pickup",
            path(&pickup),
            "--from",
            "a@example.com",
            "--to",
            "b@@example.com",
        ],
    );
    assert_eq!(wrong.status.code(), Some(1));
    assert_eq!(
        lines(&wrong),
        [
            json!({"ok": false, "kind": "invalid_address", "field": "To", "code": "CdoE_INVALID_PARAMETER",
            "error": "To: `b@@example.com` has two at-signs"})
        ]
    );
}

#[cfg(unix)]
#[test]
fn no_umask_changes_the_modes_of_what_is_made() {
    use std::os::unix::fs::PermissionsExt;
    for umask in ["000", "077", "777"] {
        let root = Root::new();
        let send = program("send").get_program().to_str().unwrap().to_owned();
        let script = format!(
            "umask {umask}; exec {send} --pickup Pickup --drop Drop --local-domain example.com \
             --from a@example.com --to b@example.com --to c@example.com --to d@example.net"
        );
        let status = Command::new("sh")
            .args(["-c", &script])
            .current_dir(root.path())
            .stdout(Stdio::null())
            .status();
        assert!(status.unwrap().success(), "{umask}");
        let mode = |path: String| {
            let state = std::fs::metadata(root.join(path)).unwrap();
            state.permissions().mode() & 0o7777
        };
        for dir in ["State", "State/locks", "State/marks"] {
            assert_eq!(mode(dir.to_owned()), 0o700, "{dir} {umask}");
        }
        for dir in ["Pickup", "Drop"] {
            for file in root.files(dir) {
                assert_eq!(mode(format!("{dir}/{file}")), 0o600, "{dir} {umask}");
            }
        }
    }
}

#[test]
fn send_takes_many_from_lines_and_goes_on_after_an_error() {
    let root = Root::new();
    let pickup = root.join("Pickup");
    let file = root.write("a.bin", [1, 2, 3]);
    let spec = [
        json!({"from": {"name": "Jörg", "address": "j@example.com"}, "to": [{"name": null, "address": "a@example.net"}],
            "cc": [{"name": "C", "address": "c@example.net"}], "bcc": [{"name": null, "address": "d@example.net"}],
            "subject": "Grüße", "text": "T", "html": "<img src=\"cid:p@x\">", "importance": "low",
            "headers": [["Keywords", "one"], ["Keywords", "two"]],
            "attachments": [{"path": path(&file)}, {"content_b64": "AAEC", "name": "p.png", "content_type": "image/png", "content_id": "p@x"}]})
        .to_string(),
        json!({"from": {"address": "j@example.com"}, "to": [{"address": "a@example.net"}], "subject": "x\r\nBcc: v@x"}).to_string(),
        json!({"to": [{"address": "a@example.net"}]}).to_string(),
        "not json".to_owned(),
        json!({"from": {"address": "j@example.com"}}).to_string(),
        json!({"from": {"address": "j@example.com"}, "to": [{"address": "z@example.net"}]}).to_string(),
    ];
    let output = run_with_input(
        "send",
        &["--pickup", path(&pickup), "--spec", "-"],
        &spec.join("\n"),
    );
    assert_eq!(output.status.code(), Some(1));
    let told = lines(&output);
    let kinds: Vec<_> = told
        .iter()
        .map(|line| line["kind"].as_str().unwrap_or("sent"))
        .collect();
    assert_eq!(
        kinds,
        [
            "sent",
            "invalid_value",
            "missing_field",
            "invalid_value",
            "no_recipients",
            "sent"
        ]
    );
    assert_eq!(
        (&told[1]["field"], &told[2]["field"]),
        (&json!("Subject"), &json!("From"))
    );
    assert_eq!(told[4]["code"], "CdoE_NO_RECIPIENTS");
    assert_eq!(root.files("Pickup").len(), 2);
    let first = root
        .join("Pickup")
        .join(told[0]["files"][0].as_str().unwrap());
    let sent = std::fs::read_to_string(first).unwrap();
    assert!(
        sent.contains("X-Receiver: d@example.net\r\n") && sent.matches("Keywords: ").count() == 2
    );
    assert!(sent.contains("filename=\"a.bin\"") && sent.contains("Content-ID: <p@x>"));
    assert!(sent.contains("Importance: low\r\n"));
}

#[test]
fn deliver_says_what_it_did() {
    let root = Root::new();
    let (pickup, drop) = (root.join("Pickup"), root.join("Drop"));
    root.write(
        "Pickup/a.eml",
        simple(&["jane@example.com", "far@example.net"], "s"),
    );
    root.write("Pickup/bad.eml", "nonsense");
    let args = [
        "--pickup",
        path(&pickup),
        "--drop",
        path(&drop),
        "--local-domain",
        "example.com",
        "--settle",
        "0",
    ];
    let output = run("deliver", &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(
        told.starts_with(
            "1 files delivered, as 1 messages; 1 to Badmail\ndelivered to jane@example.com\nbad: "
        ),
        "{told}"
    );
    assert_eq!(root.files("Badmail").len(), 3);
    let listed = run(
        "inbox",
        &[
            "--drop",
            path(&drop),
            "--address",
            "jane@example.com",
            "--settle",
            "0",
            "--json",
        ],
    );
    assert_eq!(lines(&listed)[0]["subject"], "s");
    assert!(text(&run("deliver", &args).stdout).starts_with("0 files"));
}

/// `script` (util-linux) runs a program on a terminal.
#[cfg(target_os = "linux")]
#[test]
fn inbox_shows_on_a_terminal_how_far_the_first_look_has_come() {
    let root = Root::new();
    for number in 0..300 {
        let file = simple(&["jane@example.com"], "hello");
        root.write(&format!("Drop/{number}.eml"), file);
    }
    let state = root.dir("State");
    let drop = root.join("Drop");
    let inbox = program("inbox");
    let command = format!(
        "'{}' --drop '{}' --state '{}' --address jane@example.com",
        path(Path::new(inbox.get_program())),
        path(&drop),
        path(&state),
    );
    let on_terminal = || {
        let output = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .stdin(Stdio::null())
            .output()
            .expect("`script` of util-linux is there");
        assert!(output.status.success());
        text(&output.stdout)
    };
    let shown = on_terminal();
    let full = format!("\r[{}] 300 of 300 files", "#".repeat(40));
    assert!(shown.contains(&full), "{:?}", shown.get(..400));
    // What is known needs no bar, and nobody sees one who is not at a terminal.
    assert!(!on_terminal().contains("300 of 300"));
    std::fs::remove_file(state.join("index")).unwrap();
    let args = ["--drop", path(&drop), "--address", "jane@example.com"];
    assert_eq!(text(&run("inbox", &args).stderr), "");
}

#[test]
fn serve_empties_pickup_until_its_input_ends() {
    let root = Root::new();
    let mut child = program("serve")
        .args([
            "--mailroot",
            path(root.path()),
            "--local-domain",
            "example.com",
        ])
        .args(["--every", "0.05", "--settle", "0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    root.write("Pickup/a.eml", simple(&["jane@example.com"], "served"));
    support::eventually(|| root.join("Drop").exists() && !root.files("Drop").is_empty());
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let told = "accepted 1, delivered 1, relayed 0, deferred 0, bounced 0, bad 0\n";
    assert_eq!(text(&output.stdout), told);
    assert_eq!(root.files("Pickup"), [""; 0]);
    let wrong = run("serve", &["--local-domain", "example.com"]);
    assert!(!wrong.status.success());
    assert!(text(&wrong.stderr).contains("mailroot"));
}
