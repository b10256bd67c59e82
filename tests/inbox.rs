//! The Inbox: what a session sees, in which order, and what it costs the others when a file is odd.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use cdonts::{ErrorKind, Folder, FolderType, Importance, MailServer, Profile, Session, Writer};
use support::{
    Root, iis_file, in_other_process, messages, modes_bind, only, reader, role, session, simple,
    source, subjects,
};

#[test]
fn a_session_knows_its_identity_and_its_folders() {
    let server = MailServer::temporary().unwrap();
    let jane = Session::logon_smtp(&server, "Jane Doe", "Jane@Example.COM").unwrap();
    assert_eq!(
        (jane.name(), jane.address()),
        ("Jane Doe", "Jane@example.com")
    );
    assert_eq!(jane.version(), env!("CARGO_PKG_VERSION"));
    let inbox = jane.get_default_folder(FolderType::Inbox);
    let outbox = jane.get_default_folder(FolderType::Outbox);
    assert!(matches!(
        (&inbox, &outbox),
        (Folder::Inbox(_), Folder::Outbox(_))
    ));
    assert_eq!((inbox.name(), outbox.name()), ("Inbox", "Outbox"));
    assert_eq!(jane.server().clone().unclaimed().unwrap().len(), 0);
    jane.logoff();
}

#[test]
fn a_log_on_that_cannot_be_is_refused_with_the_reason() {
    let server = MailServer::temporary().unwrap();
    for (name, address, kind) in [
        ("", "", ErrorKind::InvalidAddress),
        ("", "jane", ErrorKind::InvalidAddress),
        (
            "",
            "jane@example.com, joe@example.com",
            ErrorKind::InvalidAddress,
        ),
        (
            "",
            "jane@example.com\r\nBcc: x@y",
            ErrorKind::InvalidAddress,
        ),
        (
            "Jane\r\nBcc: x@y",
            "jane@example.com",
            ErrorKind::InvalidValue,
        ),
    ] {
        let error = Session::logon_smtp(&server, name, address).unwrap_err();
        assert_eq!(error.kind(), kind, "{address}");
        assert_eq!(error.cdo_code().name(), "CdoE_LOGON_FAILED");
        assert!(error.field().is_some() && !error.to_string().contains(['\r', '\n']));
    }
}

#[test]
fn each_address_sees_only_its_own_however_it_is_written() {
    let root = Root::new();
    root.write("Drop/1.eml", simple(&["Jane@EXAMPLE.com"], "upper"));
    root.write(
        "Drop/2.eml",
        simple(&["\"jane\"@example.com", "joe@example.com"], "quoted"),
    );
    root.write(
        "Drop/3.eml",
        simple(&["\"Jane\" <jane@example.com>"], "named"),
    );
    root.write("Drop/4.eml", simple(&["jane+x@example.com"], "detail"));
    root.write(
        "Drop/5.eml",
        simple(&["jane@xn--bcher-kva.example"], "idna"),
    );
    root.write(
        "Drop/6.eml",
        simple(&["\"jane@example.com, x\"@example.org"], "odd"),
    );
    let server = root.server();
    let mut seen = subjects(&server, "jane@example.com");
    seen.sort();
    assert_eq!(seen, ["named", "quoted", "upper"]);
    assert_eq!(subjects(&server, "joe@example.com"), ["quoted"]);
    assert_eq!(subjects(&server, "jane@bücher.example"), ["idna"]);
    assert_eq!(
        subjects(&server, "\"jane@example.com, x\"@example.org"),
        ["odd"]
    );
    let strict = root
        .builder()
        .case_sensitive_local_part(true)
        .drop_writer(Writer::Renames);
    assert_eq!(
        subjects(&strict.open().unwrap(), "Jane@example.com"),
        ["upper"]
    );
}

#[test]
fn forged_fields_gain_nobody_anything() {
    let root = Root::new();
    let victim = "victor@example.com";
    let forged: String = [
        "X-Receiver",
        "X-Sender",
        "Delivered-To",
        "Envelope-To",
        "X-Original-To",
        "Return-Path",
        "To",
        "Cc",
        "Bcc",
        "Resent-To",
        "Apparently-To",
        "X-RcptTo",
    ]
    .iter()
    .map(|name| format!("{name}: {victim}\r\n"))
    .collect();
    root.write(
        "Drop/below.eml",
        iis_file(
            &["jane@example.com"],
            &format!("{forged}Subject: s\r\n\r\n{forged}"),
        ),
    );
    root.write(
        "Drop/none.eml",
        format!("Received: x\r\n{forged}\r\n{forged}"),
    );
    root.write(
        "Drop/space.eml",
        format!("X-Sender: a@b\r\nX-Receiver : {victim}\r\n\r\n"),
    );
    root.write(
        "Drop/fold.eml",
        format!("X-Sender: a@b\r\n X-Receiver: {victim}\r\nReceived: x\r\n\r\n"),
    );
    root.write("Drop/cut.eml", format!("X-Receiver: {victim}"));
    let server = root.server();
    assert_eq!(messages(&server, victim).len(), 0);
    assert_eq!(messages(&server, "jane@example.com").len(), 1);
    for profile in [
        Profile::Postfix,
        Profile::Exim,
        Profile::Dovecot,
        Profile::OpenSmtpd,
        Profile::None,
    ] {
        let server = reader(&root.join("Drop"), profile);
        assert_eq!(messages(&server, victim).len(), 0, "{profile:?}");
    }
}

#[test]
fn the_run_and_blind_recipients_are_shown_nowhere() {
    let root = Root::new();
    let below = "Bcc: hidden@example.org,\r\n other@example.org\r\nSubject: s\r\n\
        resent-bcc: hidden@example.org\r\nTo: jane@example.com\r\n\r\nBcc: text\r\n";
    root.write(
        "Drop/a.eml",
        iis_file(&["jane@example.com", "secret@example.com"], below),
    );
    let server = root.server();
    let message = only(&server, "jane@example.com");
    let shown = source(&message);
    assert_eq!(
        shown,
        "Received: from a by b; Tue, 24 Nov 2026 10:00:00 +0000\r\nSubject: s\r\n\
         To: jane@example.com\r\n\r\nBcc: text\r\n"
    );
    assert_eq!(message.size(), shown.len() as u64);
    let headers = message.headers().unwrap();
    let names: Vec<_> = headers.iter().map(cdonts::Header::name).collect();
    assert_eq!(names, ["Received", "Subject", "To"]);
    assert_eq!(message.recipients().unwrap().len(), 1);
    assert_eq!(message.reverse_path(), "sam@example.net");
    assert_eq!(message.delivered_to(), "jane@example.com");
    let everything = format!("{message:?}{headers:?}{:?}", message.problems());
    assert!(!everything.contains("secret") && !everything.contains("hidden"));
}

#[test]
fn a_message_tells_what_its_sender_wrote() {
    let root = Root::new();
    let below = "Received: from older by c; Mon, 23 Nov 2026 10:00:00 +0000\r\n\
        Date: Tue, 24 Nov 2026 09:30:00 +0100\r\nFrom: =?utf-8?Q?J=C3=B6rg?= <joerg@example.net>\r\n\
        To: Jane <jane@example.com>, b@example.org\r\nCc: c@example.org\r\n\
        Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\nX-Priority: 1 (Highest)\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n\
        Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\n\
        Content-Type: text/plain; charset=iso-8859-1\r\n\r\ncaf\u{e9}\r\n--a\r\n\
        Content-Type: text/html\r\n\r\n<b>caf&eacute;</b>\r\n--a--\r\n--m\r\n\
        Content-Type: application/pdf; name=\"..\\\\..\\\\evil.pdf\"\r\n\
        Content-Transfer-Encoding: base64\r\nContent-ID: <pic@x>\r\n\r\nJVBERg==\r\n--m--\r\n";
    let latin1: Vec<u8> = iis_file(&["jane@example.com"], below)
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect();
    root.write("Drop/a.eml", latin1);
    let message = only(&root.server(), "jane@example.com");
    assert_eq!(message.sender().name(), "Jörg");
    assert_eq!(message.sender().address(), "joerg@example.net");
    assert_eq!(message.sender().address_type(), "SMTP");
    assert_eq!(message.subject(), "Grüße");
    assert_eq!(message.importance().unwrap(), Importance::High);
    assert_eq!(
        cdonts::time::rfc3339(message.time_received()),
        "2026-11-24T10:00:00Z"
    );
    let sent = message.time_sent().unwrap().unwrap();
    assert_eq!(cdonts::time::rfc3339(sent), "2026-11-24T08:30:00Z");
    let recipients: Vec<_> = message
        .recipients()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        recipients,
        ["Jane <jane@example.com>", "b@example.org", "c@example.org"]
    );
    assert_eq!(message.text().unwrap(), "café");
    assert_eq!(
        message.html_part().unwrap().as_deref(),
        Some("<b>caf&eacute;</b>")
    );
    let attachments = message.attachments().unwrap();
    assert_eq!(attachments.len(), 1);
    let pdf = attachments.get(0).unwrap();
    assert_eq!(
        (pdf.name(), pdf.content_type()),
        ("evil.pdf", "application/pdf")
    );
    assert_eq!(pdf.content_id(), Some("pic@x"));
    assert_eq!(
        (pdf.size().unwrap(), pdf.read().unwrap()),
        (4, b"%PDF".to_vec())
    );
    assert_eq!(message.problems().unwrap(), []);
    let dir = root.dir("saved");
    let (first, second) = (
        pdf.write_to_dir(&dir).unwrap(),
        pdf.write_to_dir(&dir).unwrap(),
    );
    assert_eq!(
        (first, second),
        (dir.join("evil.pdf"), dir.join("evil (2).pdf"))
    );
    pdf.write_to_file(dir.join("evil.pdf")).unwrap();
    assert_eq!(std::fs::read(dir.join("evil.pdf")).unwrap(), b"%PDF");
    let error = pdf.write_to_file(dir.join("no/such/dir")).unwrap_err();
    assert_eq!(error.path(), Some(dir.join("no/such/dir").as_path()));
}

#[test]
fn what_is_shown_of_a_header_holds_no_controls_and_no_second_address() {
    let root = Root::new();
    let below = "From: =?utf-8?Q?Jane=0D=0A?= <jane@example.net>\r\n\
        Reply-To: =?utf-8?B?ZXZpbEBleGFtcGxlLmNvbSwgSmFuZQ==?= <jane@example.org>\r\n\
        Subject: enc =?utf-8?Q?a=0D=0ABcc:_x@y.z?=\r\n\r\n";
    root.write("Drop/a.eml", iis_file(&["jane@example.com"], below));
    let message = only(&root.server(), "jane@example.com");
    assert_eq!(message.subject(), "enc a  Bcc: x@y.z");
    assert_eq!(message.sender().name(), "Jane");
    let answer_to = message.reply_to().unwrap();
    assert_eq!(answer_to.len(), 1);
    assert_eq!(
        (answer_to[0].name(), answer_to[0].address()),
        ("evil@example.com, Jane", "jane@example.org")
    );
    for header in &message.headers().unwrap() {
        assert!(!header.value().chars().any(char::is_control));
    }
}

#[test]
fn text_and_html_are_made_from_each_other_but_never_kept_for_sent() {
    let root = Root::new();
    let html =
        "Content-Type: text/html\r\n\r\n<p>A &amp; B</p><p><a href=\"http://x.example\">C</a></p>";
    root.write("Drop/html.eml", iis_file(&["jane@example.com"], html));
    root.write(
        "Drop/text.eml",
        iis_file(&["joe@example.com"], "Subject: x\r\n\r\nx < y"),
    );
    let server = root.server();
    let html = only(&server, "jane@example.com");
    assert_eq!(html.text().unwrap(), "A & B\r\n\r\nC <http://x.example>");
    assert_eq!(html.text_part().unwrap(), None);
    let text = only(&server, "joe@example.com");
    assert!(text.html_text().unwrap().contains("x &lt; y"));
    assert_eq!(text.html_part().unwrap(), None);
}

#[test]
fn a_snapshot_keeps_its_order_and_its_length() {
    let root = Root::new();
    for (name, age) in [("c", 30), ("a", 20), ("b", 20), ("d", 10)] {
        let path = root.write(
            &format!("Drop/{name}.eml"),
            simple(&["jane@example.com"], name),
        );
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age))
            .unwrap();
    }
    let server = root.server();
    assert_eq!(subjects(&server, "jane@example.com"), ["c", "a", "b", "d"]);
    let mut snapshot = messages(&server, "jane@example.com");
    let newest: Vec<_> = snapshot
        .iter()
        .rev()
        .map(|message| message.subject().to_owned())
        .collect();
    assert_eq!(newest, ["d", "b", "a", "c"]);
    snapshot.get(1).unwrap().delete().unwrap();
    root.write("Drop/e.eml", simple(&["jane@example.com"], "e"));
    assert_eq!(snapshot.len(), 4);
    let gone = snapshot.get(1).unwrap();
    assert_eq!(gone.subject(), "a");
    assert_eq!(gone.text().unwrap_err().kind(), ErrorKind::MessageGone);
    assert_eq!(gone.delete().unwrap_err().kind(), ErrorKind::MessageGone);
    assert!(snapshot.get(4).is_none());
    // Only what the snapshot saw, and is still there.
    assert_eq!(snapshot.delete_all().unwrap(), 3);
    assert_eq!(subjects(&server, "jane@example.com"), ["e"]);
}

#[test]
fn the_cursor_steps_as_in_cdonts() {
    let root = Root::new();
    for name in ["1", "2", "3"] {
        root.write(
            &format!("Drop/{name}.eml"),
            simple(&["jane@example.com"], name),
        );
    }
    let server = root.server();
    let mut messages = messages(&server, "jane@example.com");
    let mut all: Vec<_> = messages
        .iter()
        .map(|message| message.subject().to_owned())
        .collect();
    let subject = |message: Option<cdonts::Message>| message.map(|m| m.subject().to_owned());
    let mut walked = Vec::new();
    let mut next = messages.get_first();
    while let Some(message) = next {
        walked.push(message.subject().to_owned());
        next = messages.get_next();
    }
    assert_eq!(walked, all);
    assert!(messages.get_next().is_none());
    assert_eq!(subject(messages.get_previous()), all.pop());
    assert_eq!(subject(messages.get_previous()), all.pop());
    assert_eq!(subject(messages.get_previous()), all.pop());
    assert!(messages.get_previous().is_none() && messages.get_previous().is_none());
    assert!(messages.get_next().is_some());
    assert_eq!(subject(messages.get_last()), subject(messages.get(2)));
    // Without a first step.
    assert_eq!(subject(messages.clone().get_next()), None);
    let mut fresh = support::messages(&server, "jane@example.com");
    assert!(fresh.get_next().is_some());
    let mut empty = support::messages(&server, "nobody@example.com");
    assert!(empty.is_empty() && empty.get_first().is_none() && empty.get_last().is_none());
    assert!(empty.get_next().is_none() && empty.get_previous().is_none());
}

#[test]
fn a_maildir_is_read_in_new_and_cur_and_never_in_tmp() {
    let root = Root::new();
    for name in ["new", "cur", "tmp"] {
        root.dir(&format!("Drop/{name}"));
    }
    let file = |subject: &str| {
        format!(
            "Return-Path: <s@x>\nDelivered-To: jane@example.com\nReceived: x\nSubject: {subject}\n\nx\n"
        )
    };
    root.write("Drop/new/1.a.host", file("new"));
    root.write("Drop/cur/2.a.host:2,S", file("cur"));
    root.write("Drop/tmp/3.a.host", file("tmp"));
    root.write("Drop/flat", file("flat"));
    let server = reader(&root.join("Drop"), Profile::Postfix);
    let mut seen = subjects(&server, "jane@example.com");
    seen.sort();
    assert_eq!(seen, ["cur", "new"]);
    // Another program moves a message while we hold it.
    let held: Vec<_> = messages(&server, "jane@example.com").into_iter().collect();
    std::fs::rename(
        root.join("Drop/new/1.a.host"),
        root.join("Drop/cur/1.a.host:2,S"),
    )
    .unwrap();
    std::fs::rename(
        root.join("Drop/cur/2.a.host:2,S"),
        root.join("Drop/cur/2.a.host:2,RS"),
    )
    .unwrap();
    for message in held {
        assert_eq!(message.text().unwrap(), "x\n");
        message.delete().unwrap();
    }
    assert_eq!(root.files("Drop/cur"), [""; 0]);
}

#[test]
fn a_listing_keeps_little_of_a_long_field() {
    let root = Root::new();
    let below = format!(
        "From: {0} <a@example.net>\r\nSubject: {0}\r\n\r\n",
        "x".repeat(60_000)
    );
    root.write("Drop/a.eml", iis_file(&["jane@example.com"], &below));
    let message = only(&root.server(), "jane@example.com");
    assert!(message.subject().len() < 5000 && message.sender().name().len() < 5000);
    assert_eq!(
        message
            .headers()
            .unwrap()
            .get("Subject")
            .unwrap()
            .value()
            .len(),
        60_000
    );
}

#[cfg(unix)]
#[test]
fn who_may_only_read_reads_although_something_waits_to_be_moved() {
    use std::os::unix::fs::PermissionsExt;
    if !modes_bind() {
        return;
    }
    let root = Root::new();
    root.write(
        "Drop/a.eml",
        simple(&["jane@example.com", "joe@example.com"], "s"),
    );
    only(&root.server(), "joe@example.com").delete().unwrap();
    root.dir("State/committed/0123/drop");
    for dir in ["State/locks", "State/committed"] {
        std::fs::set_permissions(root.join(dir), PermissionsExt::from_mode(0o500)).unwrap();
    }
    assert_eq!(subjects(&root.server(), "jane@example.com"), ["s"]);
    for dir in ["State/locks", "State/committed"] {
        std::fs::set_permissions(root.join(dir), PermissionsExt::from_mode(0o700)).unwrap();
    }
}

#[test]
fn one_odd_file_costs_the_others_nothing() {
    let root = Root::new();
    root.write("Drop/good.eml", simple(&["jane@example.com"], "good"));
    root.write("Drop/empty.eml", "");
    root.write("Drop/binary.eml", [0u8, 255, 10, 13, 0]);
    root.write("Drop/.hidden", simple(&["jane@example.com"], "hidden"));
    root.dir("Drop/directory.eml");
    root.write("outside", simple(&["jane@example.com"], "outside"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(root.join("outside"), root.join("Drop/link.eml")).unwrap();
        std::os::unix::fs::symlink(root.join("nowhere"), root.join("Drop/dangling.eml")).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(root.join("Drop/pipe.eml"))
            .status();
        assert!(made.unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(root.join("Drop/socket.eml")).unwrap();
    }
    let huge = std::fs::File::create(root.join("Drop/huge.eml")).unwrap();
    huge.set_len(20_000_000_000).unwrap();
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"Drop/na\xffme\n\\.eml");
        std::fs::write(root.join(name), simple(&["jane@example.com"], "odd name")).unwrap();
    }
    let server = root.server();
    let mut seen = subjects(&server, "jane@example.com");
    seen.sort();
    if cfg!(target_os = "linux") {
        assert_eq!(seen, ["good", "odd name"]);
    } else {
        assert_eq!(seen, ["good"]);
    }
    let listed = messages(&server, "jane@example.com");
    assert_eq!(listed.problems(), []);
    #[cfg(unix)]
    {
        assert_eq!(listed.unreadable(), 4);
        let problems = server.problems().unwrap();
        let named = |name: &str| {
            problems
                .iter()
                .any(|problem| problem.path().unwrap().ends_with(name))
        };
        assert!(
            named("link.eml") && named("dangling.eml") && named("pipe.eml") && named("socket.eml")
        );
        assert!(!named("directory.eml"));
    }
    for message in listed {
        message.delete().unwrap();
    }
    assert_eq!(messages(&server, "jane@example.com").len(), 0);
    assert!(root.join("outside").exists());
}

#[cfg(unix)]
#[test]
fn a_file_without_read_permission_is_the_owners_problem() {
    use std::os::unix::fs::PermissionsExt;
    if !modes_bind() {
        return;
    }
    let root = Root::new();
    root.write("Drop/good.eml", simple(&["jane@example.com"], "good"));
    let closed = root.write("Drop/closed.eml", simple(&["jane@example.com"], "closed"));
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
    let server = root.server();
    let listed = messages(&server, "jane@example.com");
    assert_eq!((listed.len(), listed.unreadable()), (1, 1));
    assert_eq!(server.problems().unwrap()[0].path(), Some(closed.as_path()));
    // A drop that cannot be written to can be read, and deleting from it is refused.
    let message = listed.get(0).unwrap();
    std::fs::set_permissions(root.join("Drop"), PermissionsExt::from_mode(0o500)).unwrap();
    let error = message.clone().delete().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoAccess, "{error}");
    assert_eq!(message.text().unwrap(), "Hello.\r\n");
    std::fs::set_permissions(root.join("Drop"), PermissionsExt::from_mode(0o700)).unwrap();
    message.delete().unwrap();
}

#[test]
fn a_file_written_in_place_is_seen_when_it_stands_still() {
    let root = Root::new();
    let settle = Duration::from_millis(100);
    let server = root
        .builder()
        .drop_writer(Writer::InPlace { settle })
        .open()
        .unwrap();
    let whole = simple(&["jane@example.com"], "whole");
    root.write("Drop/a.eml", &whole[..whole.len() - 5]);
    root.write("Drop/empty.eml", "");
    let path = root.join("Drop/a.eml");
    // The writer goes on while the first look waits.
    let writer = {
        let (path, whole) = (path.clone(), whole.clone());
        std::thread::spawn(move || {
            std::thread::sleep(settle / 2);
            std::fs::write(path, whole).unwrap();
        })
    };
    let first = messages(&server, "jane@example.com");
    writer.join().unwrap();
    assert_eq!(first.len(), 0);
    let second = messages(&server, "jane@example.com");
    assert_eq!(second.get(0).unwrap().text().unwrap(), "Hello.\r\n");
    // Half a run may name the wrong one.
    root.write("Drop/b.eml", "x-sender: a@b\r\nx-receiver: jane@example.co");
    assert_eq!(messages(&server, "jane@example.co").len(), 0);
}

#[test]
fn a_message_of_exactly_the_limit_is_read() {
    let root = Root::new();
    root.write("Drop/1.eml", simple(&["jane@example.com"], "whole"));
    let size = only(&root.server(), "jane@example.com").size();
    let with_limit = |message: u64| {
        let mut limits = cdonts::Limits::default();
        limits.message = message;
        root.builder().limits(limits).open().unwrap()
    };
    let server = with_limit(size);
    assert_eq!(messages(&server, "jane@example.com").problems(), []);
    assert_eq!(
        only(&server, "jane@example.com").text().unwrap(),
        "Hello.\r\n"
    );
    let server = with_limit(size - 1);
    assert_eq!(messages(&server, "jane@example.com").problems().len(), 1);
    let error = only(&server, "jane@example.com").text().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

/// Exim alone writes through such names.
#[test]
fn a_name_that_another_server_would_write_through_is_a_message() {
    let root = Root::new();
    root.write("Drop/temp.1.eml", simple(&["jane@example.com"], "hers"));
    assert_eq!(subjects(&root.server(), "jane@example.com"), ["hers"]);
}

#[test]
fn a_subject_below_a_long_header_section_is_listed() {
    let root = Root::new();
    let run = "x-sender: a@example.net\r\nx-receiver: jane@example.com\r\n";
    for (name, octets) in [("1", 3_000), ("2", 9_000), ("3", 100_000), ("4", 600_000)] {
        let long = format!("X-Long: {}\r\n", "x".repeat(60)).repeat(octets / 70);
        let body = "text\r\n".repeat(200_000);
        let message = format!("{run}{long}Subject: {name}\r\nFrom: a@example.net\r\n\r\n{body}");
        root.write(&format!("Drop/{name}.eml"), message);
    }
    let mut seen = subjects(&root.server(), "jane@example.com");
    seen.sort();
    assert_eq!(seen, ["1", "2", "3", "4"]);
}

#[test]
fn a_file_that_never_stands_still_is_told_and_holds_up_no_other() {
    let root = Root::new();
    root.dir("State");
    root.write("Drop/whole.eml", simple(&["jane@example.com"], "whole"));
    let path = root.write("Drop/grows.eml", simple(&["jane@example.com"], "grows"));
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = {
        let is_over = Arc::clone(&is_over);
        std::thread::spawn(move || {
            let mut file = File::options().append(true).open(path).unwrap();
            while !is_over.load(Ordering::Relaxed) {
                file.write_all(b"more\r\n").unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
        })
    };
    let settle = Duration::from_millis(200);
    let builder = root.builder().drop_writer(Writer::InPlace { settle });
    let server = builder.open().unwrap();
    let seen = messages(&server, "jane@example.com");
    let owner = server.problems().unwrap();
    is_over.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert_eq!((seen.len(), seen.unreadable()), (1, 1));
    assert!(
        owner
            .iter()
            .any(|one| one.text().contains("still being written")),
        "{owner:?}"
    );
}

#[test]
fn without_a_setting_a_flat_drop_is_read_as_written_in_place() {
    let root = Root::new();
    let server = root.builder().open().unwrap();
    root.write("Drop/a.eml", simple(&["jane@example.com"], "s"));
    let begin = std::time::Instant::now();
    assert_eq!(messages(&server, "jane@example.com").len(), 1);
    assert!(
        begin.elapsed() >= Duration::from_millis(900),
        "it did not wait"
    );
    // What stood still once is not waited for again; that would take a second each time.
    let begin = std::time::Instant::now();
    for _ in 0..20 {
        assert_eq!(messages(&server, "jane@example.com").len(), 1);
    }
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "it waits every time"
    );
}

#[test]
fn a_file_that_becomes_another_is_never_shown_to_the_old_reader() {
    let root = Root::new();
    let path = root.write("Drop/a.eml", simple(&["jane@example.com"], "hers"));
    let server = root.server();
    let hers = only(&server, "jane@example.com");
    assert_eq!(hers.text().unwrap(), "Hello.\r\n");
    let attachment_reader = {
        let body = "Content-Type: application/x\r\n\r\n".to_owned() + &"a".repeat(200_000);
        root.write("Drop/b.eml", iis_file(&["jane@example.com"], &body));
        let all = messages(&server, "jane@example.com");
        let message = all.iter().find(|m| m.subject().is_empty()).unwrap();
        message
            .attachments()
            .unwrap()
            .get(0)
            .unwrap()
            .reader()
            .unwrap()
    };
    // In place, of the same length.
    std::fs::write(&path, simple(&["joes@example.com"], "his!")).unwrap();
    assert_eq!(hers.text().unwrap_err().kind(), ErrorKind::MessageGone);
    let mut sink = Vec::new();
    assert_eq!(
        hers.write_to(&mut sink).unwrap_err().kind(),
        ErrorKind::MessageGone
    );
    assert_eq!(sink, b"");
    assert_eq!(hers.delete().unwrap_err().kind(), ErrorKind::MessageGone);
    assert_eq!(subjects(&server, "joes@example.com"), ["his!"]);
    // While it is read.
    let mut attachment_reader = attachment_reader;
    let mut block = [0; 10];
    std::io::Read::read_exact(&mut attachment_reader, &mut block).unwrap();
    let body = "Content-Type: application/x\r\n\r\n".to_owned() + &"b".repeat(200_000);
    std::fs::write(
        root.join("Drop/b.eml"),
        iis_file(&["joes@example.com"], &body),
    )
    .unwrap();
    let mut rest = Vec::new();
    let error = std::io::Read::read_to_end(&mut attachment_reader, &mut rest).unwrap_err();
    assert!(error.to_string().contains("deleted or replaced"), "{error}");
    assert!(!rest.contains(&b'b'));
}

/// Rewritten in place with the same size and time, so that nothing but the run tells it.
#[test]
fn a_file_whose_run_alone_has_changed_is_not_opened_by_the_old_reader() {
    let root = Root::new();
    let path = root.write("Drop/a.eml", simple(&["jane@example.com"], "hers"));
    let server = root.server();
    let message = support::only(&server, "jane@example.com");
    let time = std::fs::metadata(&path).unwrap().modified().unwrap();
    root.write("Drop/a.eml", simple(&["mary@example.com"], "hers"));
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(time).unwrap();
    assert_eq!(message.text().unwrap_err().kind(), ErrorKind::MessageGone);
    // And another that is hers under the same name is not the one that was listed.
    let server = root.server();
    let message = support::only(&server, "mary@example.com");
    root.write("Drop/a.eml", simple(&["mary@example.com"], "another"));
    assert_eq!(message.text().unwrap_err().kind(), ErrorKind::MessageGone);
}

#[test]
fn an_attachment_is_read_on_when_its_message_is_deleted() {
    let root = Root::new();
    let body = "Content-Type: application/x\r\n\r\n".to_owned() + &"a".repeat(200_000);
    root.write("Drop/b.eml", iis_file(&["jane@example.com"], &body));
    let message = only(&root.server(), "jane@example.com");
    let mut reader = message
        .attachments()
        .unwrap()
        .get(0)
        .unwrap()
        .reader()
        .unwrap();
    message.delete().unwrap();
    let mut content = Vec::new();
    assert_eq!(
        std::io::Read::read_to_end(&mut reader, &mut content).unwrap(),
        200_000
    );
}

#[test]
fn files_that_come_and_go_while_they_are_listed_hide_no_other() {
    let root = Root::new();
    for number in 0..50 {
        root.write(
            &format!("Drop/{number}.eml"),
            simple(&["jane@example.com"], "stays"),
        );
    }
    let server = root.server();
    let folder = root.join("Drop");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let helper = std::thread::spawn(move || {
        let file = simple(&["jane@example.com"], "comes and goes");
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            for number in 0..20 {
                let path = folder.join(format!("x{number}.eml"));
                std::fs::write(&path, &file).unwrap();
                std::fs::rename(&path, folder.join(format!("y{number}.eml"))).unwrap();
                std::fs::remove_file(folder.join(format!("y{number}.eml"))).unwrap();
            }
        }
    });
    for _ in 0..100 {
        let listed = messages(&server, "jane@example.com");
        let staying = listed
            .iter()
            .filter(|message| message.subject() == "stays")
            .count();
        assert_eq!(staying, 50);
        for message in listed.iter().filter(|message| message.subject() != "stays") {
            match message.text() {
                Ok(text) => assert_eq!(text, "Hello.\r\n"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::MessageGone),
            }
        }
    }
    drop(stop);
    helper.join().unwrap();
}

#[test]
fn waiting_for_a_message_ends_with_it_or_with_the_time() {
    let server = MailServer::temporary().unwrap();
    let jane = session(&server, "jane@example.com");
    let waiting = {
        let inbox = jane.inbox();
        std::thread::spawn(move || {
            inbox.wait_for_message(
                |message| message.subject() == "second",
                Duration::from_secs(10),
            )
        })
    };
    for subject in ["first", "second"] {
        let mail = cdonts::NewMail::new(&server)
            .from("a@example.com")
            .to("jane@example.com");
        mail.subject(subject).send().unwrap();
    }
    assert_eq!(waiting.join().unwrap().unwrap().subject(), "second");
    let error = jane
        .inbox()
        .wait_for_message(|_| false, Duration::from_millis(20))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.is_transient());
}

#[test]
fn two_processes_read_and_delete_in_one_drop() {
    const TEST: &str = "two_processes_read_and_delete_in_one_drop";
    if let Some((address, dir)) = role() {
        let server = MailServer::builder()
            .mailroot(dir)
            .drop_writer(Writer::Renames)
            .open()
            .unwrap();
        let mut all = messages(&server, &address);
        all.delete_all().unwrap();
        return;
    }
    let root = Root::new();
    let addresses = ["a@example.com", "b@example.com"];
    for number in 0..100 {
        root.write(&format!("Drop/s{number}.eml"), simple(&addresses, "shared"));
        root.write(
            &format!("Drop/o{number}.eml"),
            simple(&addresses[number % 2..=number % 2], "own"),
        );
    }
    let mut others: Vec<_> = addresses
        .iter()
        .map(|address| in_other_process(TEST, address, root.path()))
        .collect();
    let server = root.server();
    for other in &mut others {
        assert!(other.wait().unwrap().success());
    }
    for address in addresses {
        assert_eq!(messages(&server, address).len(), 0);
    }
    assert_eq!(root.files("Drop"), [""; 0]);
    assert_eq!(root.files("State/removing"), [""; 0]);
    assert_eq!(root.files("State/locks"), [""; 0]);
}

#[test]
fn a_dot_stuffed_drop_is_read_unstuffed() {
    let root = Root::new();
    root.write(
        "Drop/a.eml",
        iis_file(
            &["jane@example.com"],
            "Subject: s\r\n\r\n..\r\n..x\r\ny\r\n",
        ),
    );
    let server = root
        .builder()
        .drop_dot_stuffed(true)
        .drop_writer(Writer::Renames)
        .open()
        .unwrap();
    let message = only(&server, "jane@example.com");
    assert_eq!(message.text().unwrap(), ".\r\n.x\r\ny\r\n");
    assert!(source(&message).ends_with("\r\n\r\n.\r\n.x\r\ny\r\n"));
}
