//! Local delivery: what is sent is there, once, whoever else is at work.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::collections::HashSet;
use std::time::Duration;

use cdonts::{Durability, MailServer, NewMail, Writer};
use support::{
    Root, iis_file, in_other_process, messages, only, role, session, simple, source, subjects,
};

#[test]
fn a_local_recipient_has_the_message_when_send_returns() {
    let root = Root::new();
    let server = root.delivering();
    let sent = NewMail::new(&server)
        .from("shop@example.com")
        .to("jane@example.com; far@example.net")
        .cc("joe@EXAMPLE.COM; jane@example.com")
        .bcc("blind@example.com; away@example.org")
        .subject("s")
        .send()
        .unwrap();
    let mut delivered = sent.delivered().to_vec();
    delivered.sort();
    assert_eq!(
        delivered,
        ["blind@example.com", "jane@example.com", "joe@example.com"]
    );
    for address in &delivered {
        let message = only(&server, address);
        assert_eq!(message.delivered_to(), address);
        assert_eq!(message.reverse_path(), "shop@example.com");
        assert!(source(&message).starts_with("Received: by example.com (cdonts)"));
        assert!(!source(&message).contains("blind"));
    }
    // One file for all others, which names only them.
    let file = root.only_file("Pickup");
    let receivers: Vec<_> = file
        .lines()
        .filter(|line| line.starts_with("X-Receiver"))
        .collect();
    assert_eq!(
        receivers,
        [
            "X-Receiver: far@example.net",
            "X-Receiver: away@example.org"
        ]
    );
    assert_eq!(root.files("Drop").len(), 3);
    for dir in ["staging", "committed", "locks"] {
        assert_eq!(root.files(&format!("State/{dir}")), [""; 0]);
    }
}

#[test]
fn all_copies_are_the_same_message() {
    let root = Root::new();
    let server = root.delivering();
    let mail = NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com; c@example.com; d@example.net");
    mail.body("<p>x</p>")
        .body_format(cdonts::BodyFormat::Html)
        .attach_bytes("a", vec![3; 300_000])
        .send()
        .unwrap();
    let below_received = |text: String| text.split_once("\r\nDate: ").unwrap().1.to_owned();
    let one = below_received(source(&only(&server, "b@example.com")));
    let other = below_received(source(&only(&server, "c@example.com")));
    let remote = below_received(root.only_file("Pickup"));
    assert!(one.len() > 400_000 && one == other && one == remote);
}

#[test]
fn dots_are_stuffed_for_each_directory_as_its_setting_says() {
    for (pickup, drop_) in [(true, false), (false, true), (true, true)] {
        let root = Root::new();
        let server = root
            .builder()
            .local_domain("example.com")
            .pickup_dot_stuffed(pickup)
            .drop_dot_stuffed(drop_)
            .open()
            .unwrap();
        let mail = NewMail::new(&server)
            .from("a@example.com")
            .to("b@example.com; c@example.net; d@example.com");
        mail.body(".x\n.").send().unwrap();
        let ends = |stuffed: bool| {
            if stuffed {
                "\r\n\r\n..x\r\n.."
            } else {
                "\r\n\r\n.x\r\n."
            }
        };
        assert!(root.only_file("Pickup").ends_with(ends(pickup)));
        for file in root.files("Drop") {
            let file = std::fs::read_to_string(root.join("Drop").join(file)).unwrap();
            assert!(file.ends_with(ends(drop_)));
        }
        assert_eq!(only(&server, "d@example.com").text().unwrap(), ".x\r\n.");
    }
}

#[test]
fn files_of_other_programs_are_delivered_when_told_to() {
    let root = Root::new();
    let server = root.delivering();
    root.write("Pickup/run.eml", "X-Sender: app@example.com\nX-Receiver: \"Victor\" <jane@example.com>\n\
        X-Receiver: far@example.net\nBcc: v@example.com\nX-Receiver: v@example.com\nSubject: run\n\nx\n");
    root.write(
        "Pickup/header.eml",
        "From: app@example.com\r\nTo: Jane <jane@example.com>, team: a@example.net;\r\n\
        Bcc: joe@example.com\r\nSubject: header\r\n\r\ny\r\n",
    );
    let done = server.deliver_now().unwrap();
    assert_eq!(
        (done.messages(), done.badmail().len(), done.problems().len()),
        (2, 0, 0)
    );
    let mut seen = subjects(&server, "jane@example.com");
    seen.sort();
    assert_eq!(seen, ["header", "run"]);
    assert_eq!(subjects(&server, "joe@example.com"), ["header"]);
    // The sender's text cannot lengthen the run, not even when Bcc above it is taken out.
    assert_eq!(messages(&server, "v@example.com").len(), 0);
    for file in root.files("Pickup") {
        let file = std::fs::read_to_string(root.join("Pickup").join(file)).unwrap();
        assert_eq!(
            file.lines()
                .filter(|line| line.starts_with("X-Receiver: "))
                .count(),
            1 + usize::from(file.contains("Subject: run"))
        );
        assert!(file.contains("@example.net\r\nReceived: by example.com") && !file.contains("Bcc"));
    }
    assert_eq!(root.files("Pickup").len(), 2);
    // What is only for other domains stays for the real server.
    assert_eq!(server.deliver_now().unwrap().messages(), 0);
    assert_eq!(root.files("Pickup").len(), 2);
}

#[test]
fn what_cannot_be_understood_goes_to_badmail_with_the_reason() {
    let root = Root::new();
    let server = root.delivering();
    let cases = [
        ("no recipient", "From: a@example.com\r\nSubject: x\r\n\r\nx"),
        ("no recipient", "just some words"),
        (
            "no sender",
            "X-Receiver: \"j\u{1}e\"@example.com\r\nSubject: x\r\n\r\nx",
        ),
        (
            "no address",
            "X-Sender: a@b\r\nX-Receiver: nonsense\r\nSubject: x\r\n\r\nx",
        ),
        (
            "sender's address",
            "X-Sender: a b c\r\nX-Receiver: \"j\u{1}e\"@example.com\r\nSubject: x\r\n\r\nx",
        ),
        (
            "recipient's address",
            "X-Sender: a@b\r\nX-Receiver: \"j\u{1}e\"@example.com\r\nSubject: x\r\n\r\nx",
        ),
        (
            "no address",
            "X-Sender: a@b\r\nX-Receiver: ja ne@example.com\r\nSubject: x\r\n\r\nx",
        ),
    ];
    for (reason, file) in cases {
        root.write("Pickup/bad.eml", file);
        let done = server.deliver_now().unwrap();
        assert_eq!((done.messages(), done.badmail().len()), (0, 1), "{file}");
        let stem = &done.badmail()[0];
        let read = |ending: &str| {
            std::fs::read_to_string(root.join(format!("Badmail/{stem}.{ending}"))).unwrap()
        };
        assert_eq!(read("BAD"), file);
        assert!(read("BDR").contains(reason), "{reason}: {}", read("BDR"));
        assert!(read("BDP").starts_with("sender: <"));
        assert_eq!(root.files("Pickup"), [""; 0]);
    }
}

#[test]
fn what_is_not_a_message_to_take_stays_in_pickup() {
    let root = Root::new();
    let server = root.delivering();
    let names = [
        ".dot.eml",
        "a.json",
        "b.tmp",
        "c.log",
        "temp.d",
        "e.bad",
        "empty.eml",
    ];
    for name in names {
        let content = if name == "empty.eml" {
            String::new()
        } else {
            simple(&["jane@example.com"], "s")
        };
        root.write(&format!("Pickup/{name}"), content);
    }
    root.dir("Pickup/directory.eml");
    #[cfg(unix)]
    std::os::unix::fs::symlink(root.join("Pickup/a.json"), root.join("Pickup/link.eml")).unwrap();
    assert_eq!(server.deliver_now().unwrap().messages(), 0);
    assert_eq!(messages(&server, "jane@example.com").len(), 0);
    assert_eq!(
        root.files("Pickup").len(),
        names.len() + 1 + usize::from(cfg!(unix))
    );
}

#[cfg(unix)]
#[test]
fn a_file_that_lacks_read_permission_stays_and_is_a_problem() {
    use std::os::unix::fs::PermissionsExt;
    if !support::modes_bind() {
        return;
    }
    let root = Root::new();
    let server = root.delivering();
    let path = root.write("Pickup/a.eml", simple(&["jane@example.com"], "s"));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
    let done = server.deliver_now().unwrap();
    assert_eq!((done.messages(), done.problems().len()), (0, 1));
    assert_eq!(done.problems()[0].path(), Some(path.as_path()));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(server.deliver_now().unwrap().messages(), 1);
}

#[test]
fn only_a_complete_file_is_taken_from_pickup() {
    let root = Root::new();
    let settle = Duration::from_millis(100);
    let server = root
        .builder()
        .local_domain("example.com")
        .pickup_writer(Writer::InPlace { settle })
        .open()
        .unwrap();
    let whole = simple(&["jane@example.com"], "whole");
    let path = root.write("Pickup/a.eml", &whole[..whole.len() / 2]);
    let writer = std::thread::spawn(move || {
        std::thread::sleep(settle / 2);
        std::fs::write(path, whole).unwrap();
    });
    assert_eq!(server.deliver_now().unwrap().messages(), 0);
    writer.join().unwrap();
    assert_eq!(server.deliver_now().unwrap().messages(), 1);
    assert_eq!(
        only(&server, "jane@example.com").text().unwrap(),
        "Hello.\r\n"
    );
}

#[test]
fn two_messages_with_one_message_id_are_two_messages() {
    let root = Root::new();
    let server = root.delivering();
    let file = iis_file(
        &["jane@example.com", "joe@example.com"],
        "Message-ID: <same@x>\r\nFrom: a@b\r\n\r\nsame",
    );
    for name in ["a.eml", "b.eml"] {
        root.write(&format!("Pickup/{name}"), &file);
    }
    assert_eq!(server.deliver_now().unwrap().messages(), 2);
    for address in ["jane@example.com", "joe@example.com"] {
        assert_eq!(messages(&server, address).len(), 2);
    }
}

/// What a process that died after the hand-over leaves: some copies moved, some not.
fn leave_committed(root: &Root, id: &str, copies: &[(&str, &str)]) {
    for (name, recipient) in copies {
        root.dir(&format!("State/committed/{id}/drop"));
        root.write(
            &format!("State/committed/{id}/drop/{name}"),
            simple(&[recipient], "committed"),
        );
    }
    root.dir("State/locks");
    root.write(&format!("State/locks/{id}"), "");
}

#[test]
fn what_a_reader_has_deleted_before_a_recovery_does_not_come_back() {
    let root = Root::new();
    drop(root.delivering());
    leave_committed(&root, "0123", &[("b.eml", "joe@example.com")]);
    // Jane's copy was moved, and she has read and deleted it since.
    let server = root.delivering();
    assert_eq!(messages(&server, "jane@example.com").len(), 0);
    assert_eq!(messages(&server, "joe@example.com").len(), 1);
    assert_eq!(root.files("State/committed"), [""; 0]);
    assert_eq!(root.files("State/locks"), [""; 0]);
}

#[test]
fn an_inbox_shows_what_another_process_handed_over_and_did_not_move() {
    let root = Root::new();
    let server = root.delivering();
    NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com; c@example.com")
        .send()
        .unwrap();
    leave_committed(&root, "4567", &[("x.eml", "jane@example.com")]);
    assert_eq!(subjects(&server, "jane@example.com"), ["committed"]);
    server.deliver_pending(Duration::from_secs(1)).unwrap();
}

#[test]
fn a_name_that_is_taken_is_left_alone_and_the_copy_gets_another() {
    let root = Root::new();
    drop(root.delivering());
    root.write("Drop/x.eml", simple(&["joe@example.com"], "was there"));
    leave_committed(&root, "89ab", &[("x.eml", "jane@example.com")]);
    let server = root.delivering();
    assert_eq!(subjects(&server, "jane@example.com"), ["committed"]);
    assert_eq!(subjects(&server, "joe@example.com"), ["was there"]);
}

#[cfg(unix)]
#[test]
fn a_copy_that_is_in_its_place_already_is_not_delivered_again() {
    let root = Root::new();
    drop(root.delivering());
    leave_committed(&root, "89ac", &[("x.eml", "jane@example.com")]);
    std::fs::hard_link(
        root.join("State/committed/89ac/drop/x.eml"),
        root.join("Drop/x.eml"),
    )
    .unwrap();
    let server = root.delivering();
    assert_eq!(messages(&server, "jane@example.com").len(), 1);
    assert_eq!(root.files("Drop"), ["x.eml"]);
}

#[test]
fn a_claim_of_a_dead_process_goes_back_under_another_name_if_its_own_is_taken() {
    let root = Root::new();
    drop(root.delivering());
    NewMail::new(&root.delivering())
        .from("a@example.com")
        .to("b@example.com; c@example.com")
        .send()
        .unwrap();
    root.dir("State/staging/dead/claim");
    root.dir("State/staging/dead/drop");
    root.write(
        "State/staging/dead/claim/a.eml",
        simple(&["jane@example.com"], "claimed"),
    );
    root.write(
        "State/staging/dead/drop/x.eml",
        simple(&["jane@example.com"], "half"),
    );
    root.write("Pickup/a.eml", simple(&["jane@example.com"], "newer"));
    let server = root.delivering();
    assert_eq!(root.files("State/staging"), [""; 0]);
    let pickup = root.files("Pickup");
    assert_eq!(pickup.len(), 2);
    assert!(pickup.iter().all(|name| {
        std::path::Path::new(name)
            .extension()
            .is_some_and(|end| end == "eml")
    }));
    server.deliver_now().unwrap();
    let mut seen = subjects(&server, "jane@example.com");
    seen.sort();
    assert_eq!(seen, ["claimed", "newer"]);
}

#[test]
fn one_obstacle_holds_up_no_other_recovery() {
    let root = Root::new();
    drop(root.delivering());
    NewMail::new(&root.delivering())
        .from("a@example.com")
        .to("b@example.com; c@example.com")
        .send()
        .unwrap();
    // A claim of a Pickup that this server does not have, and something that nobody made.
    root.dir("State/staging/0claim/claim");
    root.write("State/staging/0claim/claim/a.eml", "x");
    root.dir("State/removing/0strange/strange");
    root.dir("State/staging/1dead/drop");
    root.write("State/staging/1dead/drop/x.eml", "half");
    let room = "State/removing/1dead/flat_1_2_3";
    root.dir(room);
    root.write(
        &format!("{room}/back.eml"),
        simple(&["jane@example.com"], "goes back"),
    );
    let server = MailServer::builder()
        .drop_dir(root.join("Drop"), cdonts::Profile::IisDrop)
        .drop_writer(Writer::Renames)
        .open()
        .unwrap();
    assert_eq!(subjects(&server, "jane@example.com"), ["goes back"]);
    assert_eq!(root.files("State/staging"), ["0claim"]);
    assert_eq!(root.files("State/removing"), ["0strange"]);
}

#[test]
fn an_empty_line_on_top_of_a_foreign_file_does_not_end_its_header() {
    let root = Root::new();
    let server = root.delivering();
    root.write(
        "Pickup/a.eml",
        "\r\n\nFrom: a@example.com\r\nBcc: jane@example.com\r\nSubject: s\r\n\r\nbody",
    );
    assert_eq!(server.deliver_now().unwrap().messages(), 1);
    let message = only(&server, "jane@example.com");
    assert_eq!(
        (message.subject(), message.text().unwrap().as_str()),
        ("s", "body")
    );
    assert!(!source(&message).contains("Bcc"));
}

#[test]
fn what_another_process_is_at_work_on_is_left_alone() {
    let root = Root::new();
    let server = root.delivering();
    NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com; c@example.com")
        .send()
        .unwrap();
    leave_committed(&root, "cdef", &[("x.eml", "jane@example.com")]);
    let lock = std::fs::File::open(root.join("State/locks/cdef")).unwrap();
    lock.lock().unwrap();
    assert_eq!(messages(&root.delivering(), "jane@example.com").len(), 0);
    let error = server
        .deliver_pending(Duration::from_millis(30))
        .unwrap_err();
    assert_eq!(error.kind(), cdonts::ErrorKind::TimedOut);
    drop(lock);
    assert_eq!(messages(&server, "jane@example.com").len(), 1);
}

#[test]
fn two_processes_empty_one_pickup() {
    const TEST: &str = "two_processes_empty_one_pickup";
    let open = |root: &std::path::Path| {
        MailServer::builder()
            .mailroot(root)
            .local_domain("example.com")
            .pickup_writer(Writer::Renames)
            .open()
            .unwrap()
    };
    if let Some((_, dir)) = role() {
        let server = open(&dir);
        while !dir.join("stop").exists() {
            server.deliver_now().unwrap();
        }
        return;
    }
    let root = Root::new();
    let server = root.delivering();
    let mut others: Vec<_> = (0..2)
        .map(|_| in_other_process(TEST, "deliver", root.path()))
        .collect();
    for number in 0..150 {
        root.write(
            "part",
            simple(
                &["jane@example.com", "joe@example.com"],
                &number.to_string(),
            ),
        );
        std::fs::rename(root.join("part"), root.join(format!("Pickup/{number}.eml"))).unwrap();
        if number == 70 {
            // One of them is killed, and another takes over.
            others[0].kill().unwrap();
            others[0].wait().unwrap();
            others.push(in_other_process(TEST, "deliver", root.path()));
        }
    }
    support::eventually(|| {
        root.files("Pickup").is_empty() && root.files("State/staging").is_empty() && {
            server.deliver_now().unwrap();
            messages(&server, "joe@example.com").len() == 150
        }
    });
    root.write("stop", "");
    for other in &mut others[1..] {
        assert!(other.wait().unwrap().success());
    }
    for address in ["jane@example.com", "joe@example.com"] {
        let mut seen: Vec<u32> = subjects(&server, address)
            .iter()
            .map(|s| s.parse().unwrap())
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..150).collect::<Vec<_>>());
    }
}

#[test]
fn a_sender_that_is_killed_has_sent_all_or_nothing() {
    const TEST: &str = "a_sender_that_is_killed_has_sent_all_or_nothing";
    let to = "a@example.com; b@example.com; far@example.net";
    if let Some((_, dir)) = role() {
        let server = MailServer::builder()
            .mailroot(dir)
            .local_domain("example.com")
            .open()
            .unwrap();
        for number in 0.. {
            NewMail::new(&server)
                .from("s@example.com")
                .to(to)
                .subject(format!("{number}"))
                .send()
                .unwrap();
        }
    }
    let root = Root::new();
    for round in 0..6u64 {
        let mut other = in_other_process(TEST, "send", root.path());
        let before = root.files("Drop").len();
        support::eventually(|| root.files("Drop").len() > before);
        std::thread::sleep(Duration::from_micros(700 * round));
        other.kill().unwrap();
        other.wait().unwrap();
        let server = root.delivering();
        let subjects_of = |address| {
            let mut all = subjects(&server, address);
            all.sort();
            all
        };
        let (a, b) = (subjects_of("a@example.com"), subjects_of("b@example.com"));
        assert_eq!(a, b);
        assert_eq!(a.len(), root.files("Pickup").len());
        assert!(!a.is_empty());
        for dir in ["staging", "committed", "locks"] {
            assert_eq!(root.files(&format!("State/{dir}")), [""; 0]);
        }
    }
}

#[test]
fn ten_thousand_sends_by_eight_threads_are_all_there_each_once() {
    let root = Root::new();
    let server = root
        .builder()
        .local_domain("example.com")
        .durability(Durability::Atomic)
        .open()
        .unwrap();
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let outbox = session(&server, &format!("sender{thread}@example.com")).outbox();
            std::thread::spawn(move || {
                for number in 0..1250 {
                    let mut draft = outbox.messages().add(format!("{thread}-{number}"), "x");
                    draft
                        .recipients_mut()
                        .add("", "jane@example.com", cdonts::RecipientType::To);
                    if number % 10 == 0 {
                        draft.recipients_mut().add(
                            "",
                            "joe@example.com",
                            cdonts::RecipientType::Cc,
                        );
                    }
                    draft.send().unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let seen = subjects(&server, "jane@example.com");
    assert_eq!(seen.len(), 10_000);
    assert_eq!(seen.into_iter().collect::<HashSet<_>>().len(), 10_000);
    assert_eq!(messages(&server, "joe@example.com").len(), 1000);
    assert_eq!(root.files("State/locks"), [""; 0]);
}

#[test]
fn what_is_over_a_limit_goes_to_badmail_and_says_which() {
    let root = Root::new();
    let mut limits = cdonts::Limits::default();
    (limits.header_section, limits.message, limits.recipients) = (1000, 5000, 2);
    let server = root
        .builder()
        .create_directories()
        .local_domain("example.com")
        .pickup_writer(Writer::Renames)
        .limits(limits)
        .open()
        .unwrap();
    let run = |to: &[&str]| {
        let lines = to
            .iter()
            .map(|to| format!("X-Receiver: {to}@example.com\r\n"));
        format!("X-Sender: <>\r\n{}", lines.collect::<String>())
    };
    let many = vec!["jane"; 200];
    for (name, text, reason) in [
        (
            "header",
            run(&["jane"]) + &"X-Long: x\r\n".repeat(300) + "\r\ntext\r\n",
            "header section",
        ),
        ("run", run(&many), "header section"),
        (
            "large",
            run(&["jane"]) + "Subject: x\r\n\r\n" + &"text\r\n".repeat(1000),
            "too large",
        ),
        (
            "many",
            run(&["jane", "joe", "ann"]) + "\r\ntext\r\n",
            "too many recipients",
        ),
    ] {
        root.write(&format!("Pickup/{name}.eml"), text);
        let done = server.deliver_now().unwrap();
        assert_eq!((done.messages(), done.problems().len()), (0, 0), "{name}");
        let stem = done.badmail().first().unwrap();
        let told = std::fs::read_to_string(root.join(format!("Badmail/{stem}.BDR"))).unwrap();
        assert!(told.contains(reason), "{name}: {told}");
    }
    // The null reverse-path is a sender too.
    root.write(
        "Pickup/good.eml",
        run(&["jane"]) + "Subject: good\r\n\r\ntext\r\n",
    );
    assert_eq!(server.deliver_now().unwrap().messages(), 1);
    assert_eq!(only(&server, "jane@example.com").reverse_path(), "");
}
