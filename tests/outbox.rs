//! The Outbox: what a sent message is on disk, and what a send that fails leaves.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use cdonts::{
    Draft, ErrorKind, Importance, MailServer, MessageFile, NewMail, RecipientType, Session,
};
use support::{Root, messages, modes_bind, only, session};

fn draft(server: &MailServer) -> Draft {
    let session = Session::logon_smtp(server, "Help Desk", "help@example.com").unwrap();
    let mut draft = session.outbox().messages().add("Ticket", "Text");
    draft
        .recipients_mut()
        .add("Far", "far@example.net", RecipientType::To);
    draft
}

/// The message below the run, which ends where our own Date begins.
fn below_the_run(file: &str) -> &str {
    let run = file.lines().take_while(|line| line.starts_with("X-"));
    let len: usize = run.map(|line| line.len() + 2).sum();
    &file[len..]
}

#[test]
fn a_pickup_file_has_the_iis_form() {
    let root = Root::new();
    let server = root.server();
    let mut draft = draft(&server);
    draft
        .recipients_mut()
        .add("", "SMTP:copy@example.org", RecipientType::Cc);
    draft
        .recipients_mut()
        .add("Secret", "blind@example.org", RecipientType::Bcc);
    draft
        .recipients_mut()
        .add("Again", "FAR@EXAMPLE.NET", RecipientType::Bcc);
    let sent = draft.send().unwrap();
    assert_eq!(sent.files(), root.files("Pickup"));
    assert_eq!((sent.delivered().len(), sent.pending().len()), (0, 0));
    let file = root.only_file("Pickup");
    let date = file
        .lines()
        .find_map(|line| line.strip_prefix("Date: "))
        .unwrap();
    assert_eq!(
        file,
        format!(
            "X-Sender: help@example.com\r\nX-Receiver: far@example.net\r\n\
             X-Receiver: copy@example.org\r\nX-Receiver: blind@example.org\r\n\
             Date: {date}\r\nFrom: Help Desk <help@example.com>\r\nTo: Far <far@example.net>\r\n\
             Cc: copy@example.org\r\nSubject: Ticket\r\nMessage-ID: {}\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
             Text",
            sent.message_id()
        )
    );
    assert!(sent.message_id().ends_with("@example.com>"));
    assert!(!below_the_run(&file).contains("blind"));
}

#[test]
fn the_outbox_is_always_empty() {
    let server = MailServer::temporary().unwrap();
    let outbox = Session::logon_smtp(&server, "", "a@example.com")
        .unwrap()
        .outbox();
    let mut draft = outbox.messages().add("s", "t");
    assert_eq!(
        (outbox.messages().len(), outbox.messages().is_empty()),
        (0, true)
    );
    draft
        .recipients_mut()
        .add("", "b@example.com", RecipientType::To);
    draft.send().unwrap();
    assert_eq!(outbox.messages().len(), 0);
}

#[test]
fn a_draft_is_read_and_changed_like_any_value() {
    let server = MailServer::temporary().unwrap();
    let mut draft = draft(&server);
    assert_eq!(draft.sender().to_string(), "Help Desk <help@example.com>");
    draft
        .set_subject("New")
        .set_importance(Importance::Low)
        .set_html_text("<p>A &amp; B</p>");
    assert_eq!(
        (draft.subject(), draft.importance()),
        ("New", Importance::Low)
    );
    // What was set is kept, whichever came last.
    assert_eq!(
        (&*draft.text(), &*draft.html_text()),
        ("Text", "<p>A &amp; B</p>")
    );
    let recipients = draft.recipients_mut();
    recipients.add("Joe", "joe@example.com", RecipientType::To);
    recipients
        .get_mut(0)
        .unwrap()
        .set_name("N")
        .set_address("n@example.com")
        .set_recipient_type(RecipientType::Cc);
    assert_eq!(recipients.remove(1).unwrap().address(), "joe@example.com");
    assert!(recipients.remove(5).is_none());
    assert_eq!(recipients.get(0).unwrap().to_string(), "N <n@example.com>");
    recipients.delete_all();
    assert!(draft.recipients().is_empty());
    let attachments = draft.attachments_mut();
    attachments.add_bytes("a.txt", "a");
    attachments.add_bytes("b.txt", "b");
    attachments.get_mut(1).unwrap().set_name("c.pdf");
    assert!(attachments.remove(0) && !attachments.remove(9));
    assert_eq!(
        attachments.get(0).unwrap().content_type(),
        "application/pdf"
    );
    attachments.delete_all();
    assert!(attachments.is_empty());
}

#[test]
fn parts_are_nested_as_readers_like_them() {
    let root = Root::new();
    let server = root.server();
    let mut draft = draft(&server);
    draft.set_html_text("<img src=\"cid:logo@x\"><img src=\"photo.gif\"><p>Hällo</p>");
    let attachments = draft.attachments_mut();
    attachments
        .add_bytes("logo.png", [0x89, b'P'])
        .set_content_id("logo@x");
    attachments
        .add_bytes("photo.gif", "GIF")
        .set_content_location("photo.gif");
    attachments.add_bytes("résumé.pdf", "%PDF");
    attachments
        .add_bytes("note.eml", "Subject: x\r\n\r\n")
        .set_content_type("message/rfc822");
    draft.send().unwrap();
    let file = root.only_file("Pickup");
    let types: Vec<_> = file
        .lines()
        .filter_map(|line| line.strip_prefix("Content-Type: "))
        .map(|value| value.split(';').next().unwrap())
        .collect();
    assert_eq!(
        types,
        [
            "multipart/mixed",
            "multipart/alternative",
            "text/plain",
            "multipart/related",
            "text/html",
            "image/png",
            "image/gif",
            "application/pdf",
            "application/octet-stream"
        ]
    );
    assert!(file.contains("\r\nContent-ID: <logo@x>\r\n"));
    assert!(file.contains("\r\nContent-Location: photo.gif\r\n"));
    assert!(file.contains(";\r\n filename*=utf-8''r%C3%A9sum%C3%A9.pdf"));
    assert!(file.lines().all(|line| line.len() <= 78), "{file}");
    let read = MessageFile::from_bytes(below_the_run(&file)).unwrap();
    assert_eq!(read.text().unwrap(), "Text");
    let html = read.html_part().unwrap().unwrap();
    assert!(html.ends_with("<p>Hällo</p>"));
    let names: Vec<_> = read
        .attachments()
        .unwrap()
        .iter()
        .map(|a| a.name().to_owned())
        .collect();
    assert_eq!(names, ["logo.png", "photo.gif", "résumé.pdf", "note.eml"]);
    assert_eq!(read.problems().unwrap(), []);
}

#[test]
fn html_alone_gets_a_text_and_text_alone_no_html() {
    let root = Root::new();
    let server = root.server();
    let mail = NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.net");
    mail.body("<p>x &lt; y</p>")
        .body_format(cdonts::BodyFormat::Html)
        .send()
        .unwrap();
    let file = root.only_file("Pickup");
    let read = MessageFile::from_bytes(below_the_run(&file)).unwrap();
    assert_eq!(read.text_part().unwrap().as_deref(), Some("x < y"));
    assert_eq!(
        read.html_part().unwrap().as_deref(),
        Some("<p>x &lt; y</p>")
    );
}

#[test]
fn a_message_to_blind_recipients_alone_names_nobody() {
    let root = Root::new();
    let server = root.server();
    NewMail::new(&server)
        .from("a@example.com")
        .bcc("b@example.net; c@example.net")
        .send()
        .unwrap();
    let file = root.only_file("Pickup");
    assert!(file.starts_with(
        "X-Sender: a@example.com\r\nX-Receiver: b@example.net\r\nX-Receiver: c@example.net\r\n"
    ));
    assert!(below_the_run(&file).contains("\r\nTo: undisclosed-recipients:;\r\n"));
    assert!(!below_the_run(&file).contains("example.net"));
}

#[test]
fn a_dot_stuffed_pickup_gets_its_dots_doubled() {
    let root = Root::new();
    let server = root.builder().pickup_dot_stuffed(true).open().unwrap();
    NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.net")
        .body(".\n.x\ny.")
        .send()
        .unwrap();
    // A line that is a dot alone could end a message for an old server: its dot is encoded only
    // when the text is quoted-printable anyway; here stuffing protects it.
    assert!(
        root.only_file("Pickup")
            .ends_with("\r\n\r\n..\r\n..x\r\ny.")
    );
}

/// Every setter that takes text, each with what would break out of its field.
#[test]
#[allow(clippy::too_many_lines, reason = "it is one table")]
fn controls_are_refused_in_every_value_and_the_field_is_named() {
    type Setter = (&'static str, fn(&mut Draft, String));
    let setters: &[Setter] = &[
        ("From", |draft, value| {
            draft.set_sender(value, "a@example.com");
        }),
        ("From", |draft, value| {
            draft.set_sender("", value);
        }),
        ("Subject", |draft, value| {
            draft.set_subject(value);
        }),
        ("To", |draft, value| {
            draft
                .recipients_mut()
                .add(value, "b@example.net", RecipientType::To);
        }),
        ("To", |draft, value| {
            draft.recipients_mut().add("", value, RecipientType::To);
        }),
        ("Cc", |draft, value| {
            draft
                .recipients_mut()
                .add(value, "b@example.net", RecipientType::Cc);
        }),
        ("Cc", |draft, value| {
            draft.recipients_mut().add("", value, RecipientType::Cc);
        }),
        ("Bcc", |draft, value| {
            draft.recipients_mut().add("", value, RecipientType::Bcc);
        }),
        ("Bcc", |draft, value| {
            draft
                .recipients_mut()
                .add(value, "b@example.net", RecipientType::Bcc);
        }),
        ("X-Own", |draft, value| {
            draft.add_header("X-Own", value);
        }),
        ("Reply-To", |draft, value| {
            draft.add_header("Reply-To", value);
        }),
        ("Sender", |draft, value| {
            draft.add_header("Sender", value);
        }),
        ("Subject", |draft, value| {
            draft.add_header("Subject", value);
        }),
        ("To", |draft, value| {
            draft.add_header("To", value);
        }),
        ("Cc", |draft, value| {
            draft.add_header("Cc", value);
        }),
        ("Bcc", |draft, value| {
            draft.add_header("Bcc", value);
        }),
        ("Importance", |draft, value| {
            draft.add_header("Importance", value);
        }),
        ("Attachment name", |draft, value| {
            draft.attachments_mut().add_bytes(value, "x");
        }),
        ("a.txt", |draft, value| {
            draft
                .attachments_mut()
                .add_bytes("a.txt", "x")
                .set_content_type(value);
        }),
        ("a.txt", |draft, value| {
            draft
                .attachments_mut()
                .add_bytes("a.txt", "x")
                .set_content_id(value);
        }),
        ("a.txt", |draft, value| {
            draft
                .attachments_mut()
                .add_bytes("a.txt", "x")
                .set_content_location(value);
        }),
    ];
    let root = Root::new();
    let server = root.server();
    for (field, set) in setters {
        for evil in [
            "x\r\nX-Evil: 1",
            "x\nBcc: v@example.net",
            "x\rY",
            "x\0y",
            "x\u{1b}[31m",
            "x\u{7f}",
            "\r\n\r\nbody",
            "x\u{85}y",
            "x\u{2028}y",
        ] {
            let mut draft = draft(&server);
            set(&mut draft, evil.to_owned());
            let check = draft.check().unwrap_err();
            let error = draft.send().unwrap_err();
            assert_eq!(error.field(), Some(*field), "{evil:?} {error}");
            assert!(matches!(
                error.kind(),
                ErrorKind::InvalidValue | ErrorKind::InvalidAddress
            ));
            assert_eq!(error.cdo_code().name(), "CdoE_INVALID_PARAMETER");
            assert_eq!(check.to_string(), error.to_string());
            assert!(!error.to_string().chars().any(char::is_control), "{error}");
        }
    }
    for name in ["X-A\r\nX-Evil", "X A", "X:", "", "Xé"] {
        let mut draft = draft(&server);
        draft.add_header(name, "v");
        let error = draft.send().unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::InvalidValue, Some(name))
        );
    }
    assert_eq!(root.files("Pickup"), [""; 0]);
}

#[test]
fn names_that_are_not_the_callers_are_refused() {
    let root = Root::new();
    let server = root.server();
    for name in [
        "Date",
        "message-id",
        "MIME-Version",
        "Content-Type",
        "Received",
        "Return-Path",
        "X-Sender",
        "x-receiver",
        "Delivered-To",
        "Resent-Bcc",
        "DKIM-Signature",
        "ARC-Seal",
        "Auto-Submitted",
    ] {
        let mut draft = draft(&server);
        draft.add_header(name, "v");
        let error = draft.send().unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::InvalidValue, Some(name)),
            "{name}"
        );
    }
    let mut draft = draft(&server);
    draft.add_header("From", "other@example.com");
    assert_eq!(draft.send().unwrap_err().field(), Some("From"));
}

#[test]
fn the_first_wrong_field_is_named_and_the_draft_comes_back() {
    let root = Root::new();
    let server = root.server();
    let mail = || {
        NewMail::new(&server)
            .from("a@example.com")
            .to("b@example.net")
    };
    for (mail, kind, field) in [
        (
            NewMail::new(&server).to("b@example.net"),
            ErrorKind::MissingField,
            "From",
        ),
        (
            NewMail::new(&server).from("a@example.com"),
            ErrorKind::NoRecipients,
            "To",
        ),
        (
            mail().to("jane@@example.com"),
            ErrorKind::InvalidAddress,
            "To",
        ),
        (
            mail().cc("x y@example.com"),
            ErrorKind::InvalidAddress,
            "Cc",
        ),
        (mail().bcc("nobody"), ErrorKind::InvalidAddress, "Bcc"),
        (
            mail().value("Importance", "very"),
            ErrorKind::InvalidValue,
            "Importance",
        ),
        (mail().to("é@example.net"), ErrorKind::InvalidAddress, "To"),
        (
            mail().value("List-Unsubscribe", "<http://é>"),
            ErrorKind::InvalidValue,
            "List-Unsubscribe",
        ),
        (
            mail().attach_file(root.join("missing.pdf")),
            ErrorKind::PathNotFound,
            "missing.pdf",
        ),
    ] {
        let error = mail.subject("kept").send().unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (kind, Some(field)),
            "{error}"
        );
        assert!(!error.is_transient());
        assert_eq!(error.draft().subject(), "kept");
        assert_eq!(error.into_draft().subject(), "kept");
    }
    let error = mail().to("jane@@example.com").send().unwrap_err();
    assert_eq!(
        error.to_string(),
        "To: `jane@@example.com` has two at-signs"
    );
    assert_eq!(format!("{error:?}"), error.to_string());
    let error = mail().bcc("secret@@example.com").send().unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    let error = mail()
        .attach_file(root.join("missing.pdf"))
        .send()
        .unwrap_err();
    assert_eq!(error.path(), Some(root.join("missing.pdf").as_path()));
    let source = std::error::Error::source(error.error()).unwrap();
    assert_eq!(
        source.downcast_ref::<io::Error>().unwrap().kind(),
        io::ErrorKind::NotFound
    );
    let error = mail().attach_file(root.path()).send().unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::InvalidValue, false)
    );
    assert_eq!(root.files("Pickup"), [""; 0]);
    assert_eq!(root.files("."), ["Drop", "Pickup"]);
}

#[test]
fn a_send_error_turns_into_the_error_of_any_program() {
    fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let server = MailServer::temporary()?;
        NewMail::new(&server).send()?;
        Ok(())
    }
    fn own() -> cdonts::Result<()> {
        NewMail::new(&MailServer::temporary()?).send()?;
        Ok(())
    }
    assert!(main().unwrap_err().to_string().starts_with("From: "));
    assert_eq!(own().unwrap_err().kind(), ErrorKind::MissingField);
}

/// Fails half-way until it is mended, and keeps what is on the disk then.
struct Broken {
    inner: Cursor<Vec<u8>>,
    is_mended: Arc<AtomicBool>,
    staging: std::path::PathBuf,
    on_disk: Arc<Mutex<String>>,
}

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.inner.position() > 200_000 && !self.is_mended.load(Ordering::Relaxed) {
            let staged = std::fs::read_dir(&self.staging)?
                .next()
                .unwrap()?
                .path()
                .join("drop");
            let file = std::fs::read_dir(staged)?.next().unwrap()?.path();
            *self.on_disk.lock().unwrap() = std::fs::read_to_string(file)?;
            return Err(io::Error::other("the cable is out"));
        }
        let most = buffer.len().min(10_000);
        self.inner.read(&mut buffer[..most])
    }
}

impl Seek for Broken {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// The message below what delivery wrote, without what may differ between two attempts.
fn without_boundaries(file: &str) -> String {
    let message = &file[file.find("\r\nDate: ").unwrap()..];
    let at = message.find("boundary=\"=_").unwrap();
    let boundary = message[at + 10..].split('"').next().unwrap();
    let seed = boundary.rsplit('_').next().unwrap();
    message.replace(seed, "")
}

#[test]
fn a_send_that_failed_half_way_is_sent_again_as_the_same_message() {
    let root = Root::new();
    let server = root.delivering();
    let content: Vec<u8> = (0..250_000u32).map(|n| n.to_le_bytes()[0]).collect();
    let is_mended = Arc::new(AtomicBool::new(false));
    let on_disk = Arc::new(Mutex::new(String::new()));
    let mut draft = NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com; c@example.com")
        .body("<p>x</p>")
        .body_format(cdonts::BodyFormat::Html)
        .into_draft();
    draft.attachments_mut().add_reader(
        "data.bin",
        Broken {
            inner: Cursor::new(content.clone()),
            is_mended: Arc::clone(&is_mended),
            staging: root.join("State/staging"),
            on_disk: Arc::clone(&on_disk),
        },
    );
    let error = draft.send().unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Io, Some("data.bin"))
    );
    assert!(error.is_transient() && error.to_string().contains("the cable is out"));
    assert_eq!(
        (root.files("Drop").len(), root.files("State/staging").len()),
        (0, 0)
    );
    std::thread::sleep(std::time::Duration::from_millis(1100));
    is_mended.store(true, Ordering::Relaxed);
    error.into_draft().send().unwrap();
    let message = only(&server, "b@example.com");
    assert_eq!(
        message
            .attachments()
            .unwrap()
            .get(0)
            .unwrap()
            .read()
            .unwrap(),
        content
    );
    let first = without_boundaries(&on_disk.lock().unwrap());
    let second = without_boundaries(&support::source(&message));
    // Date and Message-ID too are those of the first attempt.
    assert!(first.len() > 100_000 && second.starts_with(&first));
}

/// Gives less than it said, once it was measured.
struct Shrinking(Cursor<Vec<u8>>);

impl Read for Shrinking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.position() >= 50 {
            Ok(0)
        } else {
            self.0.read(&mut buffer[..10])
        }
    }
}

impl Seek for Shrinking {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn what_was_written_and_what_is_sent_is_one_message() {
    let root = Root::new();
    let server = root.delivering();
    let mail = NewMail::new(&server).from("a@example.com");
    let draft = mail.to("b@example.com").into_draft();
    let id = draft.message_id().unwrap();
    let mut written = Vec::new();
    draft.write_to(&mut written).unwrap();
    let written = cdonts::MessageFile::from_bytes(written).unwrap();
    assert_eq!(written.message_id().unwrap(), Some(id.clone()));
    let sent = draft.send().unwrap();
    assert_eq!(sent.message_id(), id);
    let to = sent.delivered().first().unwrap();
    let received = only(&server, to);
    assert_eq!(received.message_id().unwrap(), Some(id));
    assert_eq!(received.time_sent().unwrap(), written.time_sent().unwrap());
    let nobody = NewMail::new(&server).into_draft();
    assert_eq!(nobody.message_id().unwrap_err().field(), Some("From"));
}

#[test]
fn a_reader_that_gives_less_than_it_measured_fails_the_send() {
    let root = Root::new();
    let server = root.server();
    let mut draft = draft(&server);
    draft
        .attachments_mut()
        .add_reader("log.txt", Shrinking(Cursor::new(vec![0; 100])));
    let error = draft.send().unwrap_err();
    assert_eq!(error.field(), Some("log.txt"));
    assert!(
        error.to_string().contains("less than it had measured"),
        "{error}"
    );
    assert_eq!(root.files("Pickup"), [""; 0]);
}

#[test]
fn an_attached_file_may_be_gone_when_the_draft_is_sent() {
    let server = MailServer::temporary().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("invoice.txt");
    std::fs::write(&path, "42").unwrap();
    let mail = NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com")
        .attach_file(&path);
    std::fs::remove_file(&path).unwrap();
    mail.attach_file_as(dir.path().join("missing"), "x")
        .send()
        .unwrap_err();
    std::fs::write(&path, "43").unwrap();
    NewMail::new(&server)
        .from("a@example.com")
        .to("b@example.com")
        .attach_file_as(&path, "renamed.txt")
        .send()
        .unwrap();
    let message = only(&server, "b@example.com");
    let attachments = message.attachments().unwrap();
    assert_eq!(attachments.get(0).unwrap().name(), "renamed.txt");
    assert_eq!(attachments.get(0).unwrap().read().unwrap(), b"43");
}

#[cfg(unix)]
#[test]
fn a_pickup_that_cannot_be_written_to_is_named() {
    use std::os::unix::fs::PermissionsExt;
    if !modes_bind() {
        return;
    }
    let root = Root::new();
    let server = root.server();
    std::fs::set_permissions(root.join("Pickup"), PermissionsExt::from_mode(0o500)).unwrap();
    let error = draft(&server).send().unwrap_err();
    assert_eq!(
        (error.kind(), error.cdo_code().name()),
        (ErrorKind::NoAccess, "CdoE_NO_ACCESS")
    );
    assert!(error.path().unwrap().starts_with(root.path()));
    std::fs::set_permissions(root.join("Pickup"), PermissionsExt::from_mode(0o700)).unwrap();
    error.into_draft().send().unwrap();
    assert_eq!(root.files("Pickup").len(), 1);
}

#[test]
fn what_was_composed_is_read_back_by_the_recipient() {
    let server = MailServer::temporary().unwrap();
    let session =
        Session::logon_smtp(&server, "Jörg \"J\" Müller, Dr.", "joerg@example.com").unwrap();
    let text = "From here\n.\n..\r\ntrailing \r\nlone\rreturn\n漢字 and a very long line: "
        .to_owned()
        + &"x".repeat(2000);
    let mut draft = session
        .outbox()
        .messages()
        .add("=?utf-8?Q?fake?= — ünï 漢字 ".repeat(9), &text);
    draft.recipients_mut().add(
        "Jane, \"the\" Doe <jane@evil.example>",
        "jane@example.com",
        RecipientType::To,
    );
    draft
        .add_header("Keywords", "one")
        .add_header("Keywords", "two");
    draft
        .add_header("Reply-To", "\"Doe, J\" <j@example.com>; k@example.com")
        .add_header("Sender", "boss@example.com");
    draft.send().unwrap();
    let message = only(&server, "jane@example.com");
    assert_eq!(message.sender().name(), "Jörg \"J\" Müller, Dr.");
    assert_eq!(
        message.subject(),
        "=?utf-8?Q?fake?= — ünï 漢字 ".repeat(9).trim()
    );
    assert_eq!(
        message.text().unwrap().replace("\r\n", "\n"),
        text.replace("\r\n", "\n").replace('\r', "\n")
    );
    let to = message.recipients().unwrap().get(0).unwrap().clone();
    assert_eq!(
        (to.name(), to.address()),
        ("Jane, \"the\" Doe <jane@evil.example>", "jane@example.com")
    );
    let headers = message.headers().unwrap();
    let values = |name: &str| {
        headers
            .get_all(name)
            .map(|header| header.value().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(values("Keywords"), ["one", "two"]);
    assert_eq!(
        values("Reply-To"),
        ["\"Doe, J\" <j@example.com>, k@example.com"]
    );
    assert_eq!(values("Sender"), ["boss@example.com"]);
    assert_eq!(messages(&server, "joerg@example.com").len(), 0);
}

#[test]
fn many_messages_are_sent_together_each_with_its_own_answer() {
    let root = Root::new();
    let server = root.delivering();
    let outbox = session(&server, "shop@example.com").outbox();
    let addresses: Vec<String> = (0..150)
        .map(|number| match number {
            7 => "no address".to_owned(),
            8 => "a@example.com; b@example.com; far@example.net".to_owned(),
            9 => "far@example.net".to_owned(),
            _ => format!("user{number}@example.com"),
        })
        .collect();
    let drafts = addresses.iter().enumerate().map(|(number, address)| {
        let mut draft = outbox.messages().add(format!("{number}"), "text");
        for address in address.split("; ") {
            draft.recipients_mut().add("", address, RecipientType::To);
        }
        draft
    });
    let results = outbox.send_all(drafts);
    assert_eq!(results.len(), 150);
    for (number, result) in results.iter().enumerate() {
        match (number, result) {
            (7, Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::InvalidAddress);
                assert_eq!(error.draft().subject(), "7");
            }
            (8, Ok(sent)) => {
                assert_eq!(sent.delivered(), ["a@example.com", "b@example.com"]);
                assert_eq!(sent.files().len(), 1);
            }
            (9, Ok(sent)) => assert_eq!(sent.files().len(), 1),
            (_, result) => assert_eq!(
                result.as_ref().unwrap().delivered(),
                [addresses[number].clone()]
            ),
        }
    }
    assert_eq!(root.files("Pickup").len(), 2);
    assert_eq!(root.files("Drop").len(), 149);
    let only = only(&server, "user149@example.com");
    assert_eq!(
        (only.subject(), only.text().unwrap().as_str()),
        ("149", "text")
    );
    assert!(outbox.send_all([]).is_empty());
}

#[test]
fn too_many_recipients_and_those_who_cannot_be_reached_are_told() {
    let root = Root::new();
    let mut limits = cdonts::Limits::default();
    limits.recipients = 2;
    let server = root.builder().limits(limits).open().unwrap();
    let mail = || NewMail::new(&server).from("a@example.com").body("x");
    let three = mail().to("b@example.net; c@example.net; d@example.net");
    let error = three.send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    mail().to("b@example.net; c@example.net").send().unwrap();
    // Without a Pickup, a queue or a relay there is no way to other domains.
    let server = MailServer::builder()
        .drop_dir(root.join("Drop"), cdonts::Profile::IisDrop)
        .state_dir(root.join("Own"))
        .local_domain("example.com")
        .open()
        .unwrap();
    let mail = NewMail::new(&server).from("a@example.com").body("x");
    let error = mail.to("far@example.net").send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
}
