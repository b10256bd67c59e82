//! Many at once: who deletes beside others who are killed, who lists beside a folder that changes.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cdonts::ErrorKind;

use super::runs;
use super::support::{Root, in_other_process, messages, role, simple};

const RECIPIENTS: usize = 5;

/// Eight processes delete the same 200 files for five recipients in an order of their own, and some
/// are killed on their way: each recipient deletes his own, and the last takes the file.
#[test]
fn p4_eight_who_delete_the_same_files_take_nothing_from_each_other() {
    const TEST: &str = "crowd::p4_eight_who_delete_the_same_files_take_nothing_from_each_other";
    const FILES: usize = 200;
    if let Some((role, dir)) = role() {
        let (address, seed) = role.split_once(' ').unwrap();
        let server = super::workload::open(&dir).unwrap();
        let mut all: Vec<_> = messages(&server, address).iter().collect();
        fastrand::Rng::with_seed(seed.parse().unwrap()).shuffle(&mut all);
        for message in all {
            match message.delete() {
                Ok(()) => {}
                // Another process of the same address was faster.
                Err(error) => assert_eq!(error.kind(), ErrorKind::MessageGone, "{error}"),
            }
        }
        return;
    }
    for round in 0..runs(1, 20) {
        let root = Root::in_memory();
        let addresses: Vec<_> = (0..RECIPIENTS)
            .map(|n| format!("user{n}@example.com"))
            .collect();
        let all: Vec<_> = addresses.iter().map(String::as_str).collect();
        for number in 0..FILES {
            root.write(&format!("Drop/{number}.eml"), simple(&all, "shared"));
        }
        let mut kept = all.clone();
        kept.push("kept@example.com");
        root.write("Drop/kept.eml", simple(&kept, "kept"));
        let mut random = fastrand::Rng::with_seed(20_261_127 + round as u64);
        let start = |address: &str, random: &mut fastrand::Rng| {
            let role = format!("{address} {}", random.u32(..));
            in_other_process(TEST, &role, root.path())
        };
        let mut children: Vec<_> = (0..8)
            .map(|number| start(&addresses[number % RECIPIENTS], &mut random))
            .collect();
        // Three of them are killed; two others are of the same address as a third.
        for child in children.iter_mut().skip(5) {
            std::thread::sleep(Duration::from_millis(random.u64(5..60)));
            let _ = child.kill();
        }
        for (number, child) in children.iter_mut().enumerate() {
            let status = child.wait().unwrap();
            assert!(
                number >= 5 || status.success(),
                "number {number} of round {round}"
            );
        }
        let server = super::workload::open(root.path()).unwrap();
        for address in &addresses {
            assert_eq!(
                messages(&server, address).len(),
                0,
                "{address} of round {round}"
            );
        }
        assert_eq!(messages(&server, "kept@example.com").len(), 1);
        assert_eq!(root.files("Drop"), ["kept.eml"], "round {round}");
        for dir in ["removing", "staging", "committed"] {
            assert_eq!(
                root.files(&format!("State/{dir}")),
                [""; 0],
                "round {round}"
            );
        }
    }
}

/// Files are renamed, cut, swapped and removed while they are listed and read: each message is
/// whole, the reader's own, and comes once; what is told instead is that it is gone.
#[test]
fn p6_what_is_shown_is_judged_on_what_was_opened() {
    let changes = runs(10_000, 200_000);
    let root = Root::in_memory();
    let folder = root.join("Drop");
    let text = |to: &str| simple(&[&format!("{to}@example.com")], &format!("for {to}"));
    for number in 0..50 {
        root.write(&format!("Drop/stays-{number}.eml"), text("jane"));
    }
    for number in 0..20 {
        let to = if number % 2 == 0 { "jane" } else { "joe" };
        root.write(&format!("Drop/moves-{number}.eml"), text(to));
    }
    let server = root.server();
    let done = AtomicBool::new(false);
    let mut listed = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = fastrand::Rng::with_seed(20_261_127);
            let scratch = root.join("scratch");
            for _ in 0..changes {
                let path = folder.join(format!("moves-{}.eml", random.u32(0..20)));
                let other = folder.join(format!("moves-{}.eml", random.u32(0..20)));
                let _ = match random.u32(0..5) {
                    // Somebody else's file takes the name; a file takes another's place; it is cut.
                    0 => std::fs::write(&scratch, text("joe"))
                        .and_then(|()| std::fs::rename(&scratch, &path)),
                    1 => std::fs::write(&scratch, text("jane"))
                        .and_then(|()| std::fs::rename(&scratch, &path)),
                    2 => std::fs::rename(&path, &other),
                    3 => std::fs::File::options()
                        .write(true)
                        .open(&path)
                        .and_then(|file| file.set_len(random.u64(0..60))),
                    _ => std::fs::remove_file(&path),
                };
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            listed += 1;
            let all = messages(&server, "jane@example.com");
            let staying = all.iter().filter(|message| {
                let name = message.text();
                name.is_ok_and(|text| text.starts_with("Hello."))
            });
            assert!(staying.count() >= 50);
            for message in &all {
                match (message.subject(), message.headers()) {
                    ("for joe", _) => panic!("it is another's"),
                    (_, Ok(headers)) => {
                        let subject = headers.get("Subject").map(|one| one.value().to_owned());
                        assert!(subject.is_none_or(|subject| subject != "for joe"));
                    }
                    (_, Err(error)) => assert_eq!(error.kind(), ErrorKind::MessageGone),
                }
            }
        }
    });
    println!("crowd: {listed} listings beside {changes} changes");
    assert!(listed > 3);
    // In the end all agree: the index, and a reading of all files without one.
    let by_index: HashSet<_> = messages(&server, "jane@example.com")
        .iter()
        .map(|message| message.subject().to_owned())
        .collect();
    assert!(!by_index.contains("for joe"));
}
