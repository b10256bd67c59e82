//! Opening a mail server: what it demands, what it makes, what its errors say.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::time::Duration;

use cdonts::{
    CdoCode, Delivery, Durability, ErrorKind, Limits, MailServer, Messages, NewMail, Profile,
    Session, Writer,
};
use support::{Root, iis_file, messages, only, session, simple};

#[test]
fn a_missing_directory_is_named_with_what_to_do() {
    let root = Root::new();
    std::fs::remove_dir(root.join("Pickup")).unwrap();
    let error = MailServer::open(root.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PathNotFound);
    assert_eq!(error.cdo_code(), CdoCode::NotFound);
    assert_eq!(error.path(), Some(root.join("Pickup").as_path()));
    assert!(error.to_string().contains("create_directories"), "{error}");
    assert!(!format!("{error}{error:?}").contains('\n'));
}

#[test]
fn opening_makes_no_directory_unasked() {
    let root = Root::new();
    MailServer::open(root.path()).unwrap();
    assert_eq!(root.files("."), ["Drop", "Pickup"]);
    let root = tempfile::tempdir().unwrap();
    let root = root.path().join("new");
    MailServer::builder()
        .mailroot(&root)
        .create_directories()
        .open()
        .unwrap();
    for name in ["Pickup", "Drop", "Queue", "Badmail"] {
        assert!(root.join(name).is_dir(), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn directories_and_files_have_their_modes_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let mode =
        |path: std::path::PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for (shared, of_dir, of_file) in [(false, 0o700, 0o600), (true, 0o2770, 0o660)] {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().join("new");
        let server = MailServer::builder()
            .mailroot(&root)
            .create_directories()
            .group_shared(shared)
            .local_domain("example.com")
            .open()
            .unwrap();
        NewMail::new(&server)
            .from("a@example.com")
            .to("b@example.com; c@example.net")
            .send()
            .unwrap();
        for dir in [
            "",
            "Pickup",
            "Drop",
            "State",
            "State/staging",
            "State/marks",
        ] {
            assert_eq!(mode(root.join(dir)), of_dir, "{dir}");
        }
        for dir in ["Pickup", "Drop"] {
            let file = std::fs::read_dir(root.join(dir))
                .unwrap()
                .next()
                .unwrap()
                .unwrap()
                .path();
            assert_eq!(mode(file), of_file, "{dir}");
        }
    }
}

#[test]
fn settings_that_do_not_fit_together_are_refused() {
    let root = Root::new();
    let configuration = |builder: cdonts::MailServerBuilder, says: &str| {
        let error = builder.open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    };
    configuration(MailServer::builder(), "Pickup or a Drop");
    configuration(
        root.builder()
            .local_domain("example.com")
            .profile(Profile::Postfix),
        "iis-drop",
    );
    configuration(
        root.builder().local_domain("no domain"),
        "`no domain` is no domain",
    );
    configuration(
        MailServer::builder()
            .pickup_dir(root.join("Pickup"))
            .local_domain("example.com"),
        "needs a Drop",
    );
    for name in ["new", "cur", "tmp"] {
        root.dir(&format!("Drop/{name}"));
    }
    configuration(root.builder().local_domain("example.com"), "Maildir");
}

#[cfg(target_os = "linux")]
#[test]
fn local_delivery_across_file_systems_is_refused() {
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
    for builder in [
        root.builder().state_dir(other.path().join("State")),
        root.builder().pickup_dir(other.path()),
    ] {
        let error = builder.local_domain("example.com").open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("file system"), "{error}");
    }
}

#[test]
fn a_state_directory_of_other_rules_is_refused_and_can_be_taken_over() {
    let root = Root::new();
    root.write(
        "Drop/a.eml",
        simple(&["jane@example.com", "joe@example.com"], "s"),
    );
    only(&root.server(), "jane@example.com").delete().unwrap();
    for (builder, values) in [
        (
            root.builder().profile(Profile::Postfix),
            ["`iis-drop`", "`postfix`"],
        ),
        (root.builder().drop_dot_stuffed(true), ["`false`", "`true`"]),
        (
            root.builder().case_sensitive_local_part(true),
            ["`case-insensitive`", "`case-sensitive`"],
        ),
        (
            root.builder().drop_dir(root.dir("Other"), Profile::IisDrop),
            ["`Drop`", "`Other`"],
        ),
    ] {
        let error = builder.open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(
            values.iter().all(|value| error.to_string().contains(value)),
            "{error}"
        );
    }
    root.builder()
        .drop_dot_stuffed(true)
        .rebuild_state()
        .open()
        .unwrap();
    root.builder().drop_dot_stuffed(true).open().unwrap();
    assert!(root.builder().open().is_err());
}

#[test]
fn the_state_directory_is_by_default_beside_what_it_is_for() {
    let both = simple(&["jane@example.com", "joe@example.com"], "s");
    let root = Root::new();
    root.dir("alone/mail");
    root.write("alone/mail/a.eml", &both);
    root.write("Drop/a.eml", &both);
    for (drop_dir, state) in [("alone/mail", "alone/mail.state"), ("Drop", "State")] {
        let server = MailServer::builder()
            .drop_dir(root.join(drop_dir), Profile::IisDrop)
            .drop_writer(Writer::Renames)
            .open()
            .unwrap();
        only(&server, "jane@example.com").delete().unwrap();
        assert!(root.join(state).join("marks").is_dir(), "{state}");
        only(&server, "joe@example.com").delete().unwrap();
    }
}

#[test]
fn a_maildir_that_lost_a_folder_is_not_read_as_an_empty_drop() {
    let root = Root::new();
    for name in ["new", "cur", "tmp"] {
        root.dir(&format!("mail/{name}"));
    }
    let both = simple(&["jane@example.com", "joe@example.com"], "s");
    root.write("mail/new/1.a.b", both);
    let drop_dir = root.join("mail");
    only(
        &support::reader(&drop_dir, Profile::IisDrop),
        "jane@example.com",
    )
    .delete()
    .unwrap();
    std::fs::remove_dir(root.join("mail/tmp")).unwrap();
    let open = || {
        MailServer::builder()
            .drop_dir(&drop_dir, Profile::IisDrop)
            .open()
    };
    let error = open().unwrap_err();
    assert!(
        error.to_string().contains("`maildir`") && error.to_string().contains("`flat`"),
        "{error}"
    );
    root.dir("mail/tmp");
    assert_eq!(messages(&open().unwrap(), "jane@example.com").len(), 0);
}

#[test]
fn a_pickup_that_comes_later_leads_to_no_other_state() {
    let root = Root::new();
    root.dir("alone/Drop");
    root.write(
        "alone/Drop/a.eml",
        simple(&["jane@example.com", "joe@example.com"], "s"),
    );
    let open = || {
        let builder = MailServer::builder().drop_dir(root.join("alone/Drop"), Profile::IisDrop);
        builder.drop_writer(Writer::Renames).open().unwrap()
    };
    only(&open(), "jane@example.com").delete().unwrap();
    root.dir("alone/Pickup");
    assert_eq!(messages(&open(), "jane@example.com").len(), 0);
}

#[cfg(unix)]
#[test]
fn where_the_state_directory_is_is_never_guessed() {
    let root = Root::new();
    root.dir("odd/Drop");
    // Whether this is a directory nobody can tell.
    std::os::unix::fs::symlink("Pickup", root.join("odd/Pickup")).unwrap();
    let error = MailServer::builder()
        .drop_dir(root.join("odd/Drop"), Profile::IisDrop)
        .open()
        .unwrap_err();
    assert_eq!(error.path().unwrap().file_name().unwrap(), "Pickup");
}

#[test]
fn a_mailroot_can_be_moved_as_a_whole() {
    let root = Root::new();
    root.write(
        "Drop/a.eml",
        simple(&["jane@example.com", "joe@example.com"], "s"),
    );
    only(&root.server(), "jane@example.com").delete().unwrap();
    let moved = tempfile::tempdir().unwrap();
    let moved = moved.path().join("moved");
    std::fs::rename(root.path(), &moved).unwrap();
    let server = MailServer::builder()
        .mailroot(&moved)
        .drop_writer(Writer::Renames)
        .open()
        .unwrap();
    assert_eq!(messages(&server, "jane@example.com").len(), 0);
    std::fs::rename(&moved, root.path()).unwrap();
}

#[test]
fn a_temporary_server_is_gone_with_its_last_clone() {
    let server = MailServer::temporary().unwrap();
    let root = server.drop_dir().unwrap().parent().unwrap().to_path_buf();
    let clone = server.clone();
    drop(server);
    NewMail::new(&clone)
        .from("a@example.com")
        .to("b@example.com")
        .send()
        .unwrap();
    let message = only(&clone, "b@example.com");
    assert!(root.is_dir());
    drop(clone);
    drop(message);
    assert!(!root.exists());
}

#[test]
fn the_owner_decides_who_may_log_on() {
    let server = {
        let root = Root::new();
        root.builder()
            .authorize(|address| address == "jane@example.com")
            .open()
            .unwrap()
    };
    Session::logon_smtp(&server, "", "Jane@Example.com").unwrap();
    let error = Session::logon_smtp(&server, "", "joe@example.com").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LogonFailed);
    assert_eq!(error.cdo_code(), CdoCode::LogonFailed);
}

#[test]
fn the_owner_sees_what_is_nobodys_and_sessions_do_not() {
    let root = Root::new();
    root.write(
        "Drop/nobody@example.com",
        "Subject: lost\r\nTo: jane@example.com\r\n\r\nx",
    );
    root.write("Drop/b.eml", simple(&["jane@example.com"], "hers"));
    let server = root.server();
    let unclaimed: Messages = server.unclaimed().unwrap();
    assert_eq!(unclaimed.len(), 1);
    let lost = unclaimed.get(0).unwrap();
    assert_eq!(lost.subject(), "lost");
    assert_eq!(lost.delivered_to(), "");
    let jane = messages(&server, "jane@example.com");
    assert_eq!(jane.len(), 1);
    assert_eq!((jane.problems().len(), jane.unreadable()), (0, 0));
    lost.delete().unwrap();
    assert_eq!(server.unclaimed().unwrap().len(), 0);
}

#[test]
fn one_directory_for_pickup_and_drop_is_refused() {
    let root = Root::new();
    let builder = root
        .builder()
        .pickup_dir(root.join("Drop"))
        .local_domain("example.com");
    let error = builder.open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("one directory"), "{error}");
}

#[test]
fn a_run_that_is_too_long_is_the_owners_problem_and_nobody_loses_by_it() {
    let root = Root::new();
    let recipients: Vec<_> = (0..200)
        .map(|n| format!("recipient-with-a-long-name-{n}@example.com"))
        .collect();
    let all: Vec<_> = recipients.iter().map(String::as_str).collect();
    root.write("Drop/long.eml", simple(&all, "s"));
    let mut limits = Limits::default();
    (limits.recipients, limits.header_section) = (10, 1000);
    let open = |limits| {
        root.builder()
            .drop_writer(Writer::Renames)
            .limits(limits)
            .open()
            .unwrap()
    };
    let server = open(limits);
    for address in [all[0], all[199]] {
        assert_eq!(messages(&server, address).len(), 0);
    }
    let problems = server.problems().unwrap();
    assert!(problems[0].text().contains("`recipients`"), "{problems:?}");
    let server = open(Limits::default());
    for address in [all[0], all[199]] {
        assert!(
            !support::source(&only(&server, address))
                .to_lowercase()
                .contains("x-receiver")
        );
    }
}

#[test]
fn limits_can_be_as_good_as_none() {
    let root = Root::new();
    root.write("Drop/a.eml", simple(&["jane@example.com"], "s"));
    root.write("Pickup/b.eml", simple(&["joe@example.com"], "t"));
    let mut limits = Limits::default();
    (limits.message, limits.header_section, limits.field) = (u64::MAX, usize::MAX, usize::MAX);
    (limits.fields, limits.parts, limits.depth) = (usize::MAX, usize::MAX, usize::MAX);
    (limits.recipients, limits.decoded_text) = (usize::MAX, usize::MAX);
    let server = root
        .builder()
        .local_domain("example.com")
        .pickup_writer(Writer::Renames)
        .limits(limits)
        .open()
        .unwrap();
    server.deliver_now().unwrap();
    assert_eq!(
        only(&server, "jane@example.com").text().unwrap(),
        "Hello.\r\n"
    );
    let message = only(&server, "joe@example.com");
    assert_eq!(message.headers().unwrap().len(), 4);
    assert_eq!(message.recipients().unwrap().len(), 0);
}

#[test]
fn a_wrong_profile_is_told_to_the_owner() {
    let root = Root::new();
    root.write("Drop/a.eml", simple(&["jane@example.com"], "s"));
    let builder = root.builder().drop_writer(Writer::Renames);
    let problems = builder
        .profile(Profile::Postfix)
        .open()
        .unwrap()
        .problems()
        .unwrap();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0]
            .text()
            .starts_with("1 files have no recipient that the profile `postfix`")
    );
    assert_eq!(root.server().problems().unwrap(), []);
}

#[test]
fn a_temporary_server_can_have_settings_of_its_own() {
    let builder = MailServer::builder().local_domain("shop.example");
    let server = builder.open_temporary().unwrap();
    NewMail::new(&server)
        .from("a@shop.example")
        .to("b@shop.example; c@example.com")
        .send()
        .unwrap();
    assert_eq!(messages(&server, "b@shop.example").len(), 1);
    let pickup = server.pickup_dir().unwrap().to_path_buf();
    assert_eq!(std::fs::read_dir(&pickup).unwrap().count(), 1);
    assert!(server.drop_dir().unwrap().is_dir());
    drop(server);
    assert!(!pickup.exists());
}

#[test]
fn limits_are_the_servers() {
    let root = Root::new();
    root.write("Drop/a.eml", simple(&["jane@example.com"], "s"));
    let mut limits = Limits::default();
    limits.message = 100;
    let server = root
        .builder()
        .drop_writer(Writer::Renames)
        .limits(limits)
        .open()
        .unwrap();
    let listed = messages(&server, "jane@example.com");
    let message = listed.get(0).unwrap();
    assert_eq!(message.subject(), "s");
    let error = message.text().unwrap_err();
    assert_eq!(
        (error.kind(), error.cdo_code()),
        (ErrorKind::TooLarge, CdoCode::TooBig)
    );
    assert!(error.to_string().contains("`message` of 100"), "{error}");
    assert_eq!(listed.problems().len(), 1);
    assert_eq!(listed.problems()[0].path().unwrap().to_str(), Some("a.eml"));
    let error = NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com")
        .body("x".repeat(200))
        .send();
    assert_eq!(error.unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn without_a_way_out_or_in_the_error_says_which_setting() {
    let root = Root::new();
    let server = MailServer::builder()
        .drop_dir(root.join("Drop"), Profile::IisDrop)
        .open()
        .unwrap();
    let error = NewMail::new(&server).send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("pickup_dir"), "{error}");
    let server = MailServer::builder()
        .pickup_dir(root.join("Pickup"))
        .open()
        .unwrap();
    let error = session(&server, "a@example.com")
        .inbox()
        .messages()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("drop_dir"), "{error}");
    let error = server.deliver_now().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    // On Linux, sending into a Pickup alone needs no state; elsewhere it is made beside it.
    NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.net")
        .send()
        .unwrap();
    assert_eq!(root.files("Pickup").len(), 1);
}

#[test]
fn atomic_durability_sends_the_same_message() {
    let root = Root::new();
    let server = root
        .builder()
        .durability(Durability::Atomic)
        .open()
        .unwrap();
    NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.net")
        .send()
        .unwrap();
    assert!(
        root.only_file("Pickup")
            .starts_with("X-Sender: a@example.com\r\n")
    );
}

#[test]
fn delivery_in_the_background_delivers_what_comes() {
    let root = Root::new();
    let server = root.delivering();
    let delivery = Delivery::start(&server, Duration::from_millis(10)).unwrap();
    root.write(
        "part",
        iis_file(&["jane@example.com"], "Subject: late\r\n\r\nx"),
    );
    std::fs::rename(root.join("part"), root.join("Pickup/late.eml")).unwrap();
    support::eventually(|| messages(&server, "jane@example.com").len() == 1);
    assert_eq!(delivery.problems(), []);
    delivery.stop();
    root.write("Pickup/later.eml", simple(&["jane@example.com"], "later"));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(messages(&server, "jane@example.com").len(), 1);
}

#[test]
fn a_background_delivery_does_not_keep_its_server_alive() {
    let server = MailServer::temporary().unwrap();
    let drop_dir = server.drop_dir().unwrap().to_path_buf();
    let _delivery = Delivery::start(&server, Duration::from_millis(5)).unwrap();
    drop(server);
    support::eventually(|| !drop_dir.exists());
}

/// Handles are shared between threads and outlive what they came from.
#[test]
fn every_handle_is_send_sync_and_static() {
    fn good<T: Send + Sync + 'static>() {}
    good::<MailServer>();
    good::<Session>();
    good::<cdonts::Inbox>();
    good::<cdonts::Outbox>();
    good::<Messages>();
    good::<cdonts::MessagesIter>();
    good::<cdonts::Message>();
    good::<cdonts::MessageFile>();
    good::<cdonts::Attachment>();
    good::<cdonts::AttachmentReader>();
    good::<cdonts::Draft>();
    good::<NewMail>();
    good::<cdonts::Error>();
    good::<cdonts::SendError>();
    good::<Delivery>();
}

#[test]
fn a_drop_that_is_made_for_a_server_that_fills_maildirs_is_one() {
    let root = Root::new();
    let drop = root.join("shared");
    let open = || {
        MailServer::builder()
            .drop_dir(&drop, Profile::Postfix)
            .create_directories()
            .open()
            .unwrap()
    };
    let server = open();
    for name in ["new", "cur", "tmp"] {
        assert!(drop.join(name).is_dir(), "{name}");
    }
    let session = Session::logon_smtp(&server, "", "jane@example.com").unwrap();
    assert_eq!(session.inbox().messages().unwrap().len(), 0);
    root.write(
        "shared/new/1",
        "Return-Path: <a@b.example>\nDelivered-To: jane@example.com\nReceived: by x\nSubject: x\n\n",
    );
    assert_eq!(session.inbox().messages().unwrap().len(), 1);
    open();
}
