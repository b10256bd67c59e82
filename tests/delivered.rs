//! Files as seven mail servers write them: each address that is meant sees them, and no other.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cdonts::{MailServer, Profile, Writer};
use serde_json::Value;
use support::{corpus, messages, package, source};

/// What the set says of one file.
struct Expected {
    file: String,
    recipients: BTreeSet<String>,
    note: String,
    subject: String,
}

struct Set {
    name: String,
    dir: PathBuf,
    profile: Profile,
    files: Vec<Expected>,
}

fn sets() -> Vec<Set> {
    let mut roots = vec![package().join("tests/data/delivered")];
    roots.extend(corpus().map(|corpus| corpus.join("delivered")));
    let mut found = Vec::new();
    for root in roots {
        for entry in std::fs::read_dir(root).unwrap() {
            let dir = entry.unwrap().path();
            if dir.is_dir() {
                found.push(set(&dir));
            }
        }
    }
    found
}

fn set(dir: &Path) -> Set {
    let text = std::fs::read_to_string(dir.join("expect.json")).unwrap();
    let expect: Value = serde_json::from_str(&text).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(text).collect()
    };
    let profile = Profile::from_name(&text(&expect["profile"])).unwrap();
    let files = expect["files"].as_array().unwrap().iter().map(|file| {
        let nobody = profile == Profile::None || file["derivable"] == false;
        let recipients = if nobody {
            Vec::new()
        } else {
            strings(&file["recipients"])
        };
        Expected {
            file: text(&file["file"]),
            recipients: recipients.iter().map(|address| key(address)).collect(),
            note: text(&file["note"]),
            subject: text(&file["subject"]),
        }
    });
    Set {
        name: dir.file_name().unwrap().to_string_lossy().into_owned(),
        dir: dir.to_path_buf(),
        profile,
        files: files.collect(),
    }
}

fn key(address: &str) -> String {
    address.to_lowercase()
}

fn open(set: &Set) -> (tempfile::TempDir, MailServer) {
    let root = tempfile::tempdir().unwrap();
    let drop = root.path().join("Drop");
    std::fs::create_dir(&drop).unwrap();
    for file in &set.files {
        std::fs::copy(set.dir.join(&file.file), drop.join(&file.file)).unwrap();
    }
    let server = MailServer::builder()
        .drop_dir(&drop, set.profile)
        .drop_writer(Writer::Renames)
        .drop_dot_stuffed(set.name.contains("dotstuffed"))
        .state_dir(root.path().join("State"))
        .open()
        .unwrap();
    (root, server)
}

/// Every address that stands anywhere in the set, and some that do not.
fn addresses(sets: &[Set]) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = [
        "victor@example.com",
        "vera@example.org",
        "second@example.com",
        "stranger@example.com",
        "team@example.com",
        "ann@example.com",
        "bob@example.com",
        "walter@example.org",
        "x@example.com",
        "sam@example.net",
    ]
    .map(str::to_owned)
    .into();
    for file in sets.iter().flat_map(|set| &set.files) {
        all.extend(file.recipients.iter().cloned());
    }
    all
}

#[test]
fn each_address_sees_its_files_and_no_other_does() {
    let sets = sets();
    let addresses = addresses(&sets);
    let mut files = 0;
    for set in &sets {
        let (_root, server) = open(set);
        files += set.files.len();
        let mut claimed = BTreeSet::new();
        for address in &addresses {
            let seen: BTreeSet<String> = messages(&server, address)
                .iter()
                .map(|message| message.file_name().to_string_lossy().into_owned())
                .collect();
            let meant: BTreeSet<String> = set
                .files
                .iter()
                .filter(|file| file.recipients.contains(address))
                .map(|file| file.file.clone())
                .collect();
            assert_eq!(seen, meant, "{address} in {}", set.name);
            claimed.extend(seen);
        }
        let unclaimed = server.unclaimed().unwrap();
        assert_eq!(
            unclaimed.len() + claimed.len(),
            set.files.len(),
            "{}",
            set.name
        );
    }
    println!("{files} files in {} sets", sets.len());
    assert!(files > 0);
}

#[test]
fn what_the_server_wrote_on_top_is_visible_nowhere() {
    for set in sets() {
        let (root, server) = open(&set);
        for file in &set.files {
            let original = std::fs::read(root.path().join("Drop").join(&file.file)).unwrap();
            for address in &file.recipients {
                let all = messages(&server, address);
                let message = all
                    .iter()
                    .find(|message| message.file_name() == Path::new(&file.file))
                    .unwrap();
                let mut shown = Vec::new();
                message.write_to(&mut shown).unwrap();
                if !set.name.contains("dotstuffed") {
                    assert!(original.ends_with(&shown), "{} {}", set.name, file.file);
                    assert_eq!(
                        message.size(),
                        shown.len() as u64,
                        "{} {}",
                        set.name,
                        file.file
                    );
                }
                let headers = message.headers().unwrap();
                // Below the run servers write their own Received; pickup writers do not.
                if !set.name.contains("pickup") {
                    assert!(key(&String::from_utf8_lossy(&shown)).starts_with("received:"));
                    assert_eq!(key(headers.iter().next().unwrap().name()), "received");
                }
                for recipient in file
                    .recipients
                    .iter()
                    .filter(|&recipient| recipient != address)
                {
                    let is_forged = file.note.contains("forge") || set.name.contains("constructed");
                    let in_header = ["To", "Cc"].iter().any(|name| {
                        headers
                            .get_all(name)
                            .any(|header| key(header.value()).contains(recipient))
                    });
                    let visible = key(&String::from_utf8_lossy(&shown)).contains(recipient);
                    assert!(
                        !visible || is_forged || in_header,
                        "{recipient} in {} {}",
                        set.name,
                        file.file
                    );
                }
                assert_eq!(key(message.delivered_to()), *address);
            }
        }
    }
}

#[test]
fn the_subjects_are_as_their_senders_meant_them() {
    let odd = [
        "forge-ws",
        "forge-barelf",
        "forge-cont",
        "fold",
        "leadblank",
        "mboxfrom",
        "nosep",
    ];
    for set in sets() {
        let (_root, server) = open(&set);
        for file in &set.files {
            if odd.iter().any(|note| file.note.starts_with(note)) {
                continue;
            }
            for address in &file.recipients {
                let all = messages(&server, address);
                let is_it =
                    |message: &cdonts::Message| message.file_name() == Path::new(&file.file);
                let message = all.iter().find(is_it).unwrap();
                assert_eq!(
                    message.subject(),
                    file.subject,
                    "{} {}",
                    set.name,
                    file.file
                );
            }
        }
    }
}

#[test]
fn stuffed_dots_are_read_as_they_were_meant() {
    let mut read = 0;
    for set in sets()
        .iter()
        .filter(|set| set.name.starts_with("iis-style-drop"))
    {
        let (_root, server) = open(set);
        for file in set
            .files
            .iter()
            .filter(|file| file.note.starts_with("dots"))
        {
            let address = file.recipients.first().unwrap();
            let all = messages(&server, address);
            let is_it = |message: &cdonts::Message| message.file_name() == Path::new(&file.file);
            let message = all.iter().find(is_it).unwrap();
            let text = message.text().unwrap();
            let lines: Vec<_> = text.lines().collect();
            for line in [".", "..", "...", ".leading", "..two", "end."] {
                assert!(lines.contains(&line), "`{line}` in {} {lines:?}", set.name);
            }
            assert!(source(&message).contains("\r\n.\r\n"));
            read += 1;
        }
    }
    assert!(read > 0);
}
