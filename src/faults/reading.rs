//! Listing and reading: what cannot be read is told, and what is shown is whole and the reader's.

use std::collections::HashSet;
use std::time::Duration;

use std::io::ErrorKind::Other;

use super::{Fixture, at_every_call, count, draft};
use crate::fs::Probe;
use crate::fs::double::Fault;
use crate::{Inbox, MailServer, Message, Profile, Session, Writer};

const MESSAGES: usize = 12;

/// Every second one is somebody else's.
pub(super) fn fill(fixture: &Fixture) {
    drop(fixture.restarted());
    for number in 0..MESSAGES {
        let to = if number % 2 == 0 { "jane" } else { "joe" };
        let text = format!(
            "X-Sender: s@example.net\r\nX-Receiver: {to}@example.com\r\n\
             Subject: {number}\r\n\r\n{to} {number}\r\nend\r\n"
        );
        fixture.write(&format!("Drop/{number}.eml"), &text);
    }
}

pub(super) fn read(message: &Message) -> crate::Result<String> {
    let text = message.text()?;
    let (first, end) = text.split_once('\n').unwrap();
    assert_eq!(end.trim_end(), "end", "half a message");
    assert!(first.starts_with("jane "), "it is not hers: {first}");
    Ok(first.to_owned())
}

/// One entry that fails hides no other, an error names its path, and when the disk works again all
/// is there, index or not.
fn each_failure_hides_nothing(
    work: &str,
    fill: impl Fn(&Fixture),
    open: impl Fn(&Fixture, Probe) -> MailServer,
) {
    at_every_call(work, |fixture, n, fault| {
        let context = format!("{work}: {n} {fault:?}");
        fill(fixture);
        let server = open(fixture, fixture.plan.probe());
        fixture.plan.arm(n, fault);
        let session = Session::logon_smtp(&server, "", "jane@example.com");
        let counted = session.as_ref().map_or(Ok(0), |one| one.inbox().count());
        let is_counted = fixture.plan.struck();
        let listed = session.and_then(|session| session.inbox().messages());
        if let Err(error) = &listed {
            assert!(error.path().is_some(), "no path: {error} {context}");
        }
        let mut whole = HashSet::new();
        let mut lost = 0;
        for message in listed.iter().flatten() {
            match read(&message) {
                Ok(text) => assert!(whole.insert(text), "twice: {context}"),
                Err(error) => {
                    assert!(error.path().is_some(), "no path: {error} {context}");
                    lost += 1;
                }
            }
        }
        let is_once = matches!(fault, Fault::Before(_) | Fault::After(_));
        if let Ok(messages) = &listed
            && is_once
        {
            lost += messages.problems().len() + messages.unreadable();
            assert!(lost <= 1, "one fault cost {lost} messages: {context}");
            // It may be another's that could not be judged, or the count that it struck.
            let told = whole.len() + lost + usize::from(is_counted);
            assert!(told >= MESSAGES / 2, "untold: {context}");
        }
        if let Err(error) = counted {
            assert!(error.path().is_some(), "no path: {error} {context}");
        }
        let struck = fixture.plan.struck();
        fixture.plan.disarm();
        // The same server, which keeps what it has learnt, and another process.
        for server in [&server, &open(fixture, Probe::default())] {
            let session = Session::logon_smtp(server, "", "jane@example.com").unwrap();
            let messages = session.inbox().messages().unwrap();
            assert_eq!(messages.problems(), [], "{context}");
            assert_eq!(messages.unreadable(), 0, "{context}");
            let all: Result<HashSet<_>, _> = messages.iter().map(|one| read(&one)).collect();
            assert_eq!(all.unwrap().len(), MESSAGES / 2, "{context}");
        }
        struck
    });
}

#[test]
fn one_that_cannot_be_read_hides_no_other() {
    each_failure_hides_nothing("a folder is listed and read", fill, Fixture::open);
}

/// Only the drop, without a place for an index, where another program writes in place.
#[test]
fn one_that_cannot_be_read_hides_no_other_without_an_index() {
    let open = |fixture: &Fixture, probe| {
        let mut builder = MailServer::builder()
            .drop_dir(fixture.path("Drop"), Profile::IisDrop)
            .state_dir(fixture.path("none"))
            .drop_writer(Writer::InPlace {
                settle: Duration::ZERO,
            });
        builder.probe = probe;
        builder.open().unwrap()
    };
    each_failure_hides_nothing("files are listed and read", fill, open);
}

/// The same where the index reads what another program writes in place.
#[cfg(feature = "index")]
#[test]
fn one_that_cannot_be_read_hides_no_other_while_it_settles() {
    let settle = Duration::from_millis(1);
    let open = |fixture: &Fixture, probe| open_in_place(fixture, probe, settle);
    each_failure_hides_nothing("settling files are listed and read", fill, open);
}

#[cfg(feature = "maildir")]
#[test]
fn one_that_cannot_be_read_hides_no_other_in_a_maildir() {
    in_a_maildir("");
}

#[cfg(feature = "maildir")]
#[test]
fn one_that_cannot_be_read_hides_no_other_in_a_folder_in_a_maildir() {
    in_a_maildir("/.Sub");
}

#[cfg(feature = "maildir")]
fn in_a_maildir(folder: &str) {
    let fill = |fixture: &Fixture| {
        for dir in ["new", "cur", "tmp"].map(|dir| format!("Maildir{folder}/{dir}")) {
            std::fs::create_dir_all(fixture.path(&dir)).unwrap();
        }
        for number in (0..MESSAGES).step_by(2) {
            let text =
                format!("From: s@example.net\r\nSubject: {number}\r\n\r\njane {number}\r\nend\r\n");
            let name = match number % 4 {
                0 => format!("Maildir{folder}/new/170000000{number}.M1P1.host"),
                _ => format!("Maildir{folder}/cur/170000000{number}.M1P1.host:2,S"),
            };
            fixture.write(&name, &text);
        }
    };
    let open = |fixture: &Fixture, probe| {
        let mut maildir = crate::Maildir::of("jane@example.com", fixture.path("Maildir"));
        if !folder.is_empty() {
            maildir = maildir.folder("Sub");
        }
        let mut builder = MailServer::builder().inbox(maildir);
        builder.probe = probe;
        builder.open().unwrap()
    };
    each_failure_hides_nothing("a Maildir is listed and read", fill, open);
}

/// One that another program has moved is found under its new name, or it is told what failed.
#[cfg(feature = "maildir")]
#[test]
fn one_that_moves_in_a_maildir_is_found_whatever_fails() {
    at_every_call("a message that moved is read", |fixture, n, fault| {
        for dir in ["new", "cur", "tmp"] {
            std::fs::create_dir_all(fixture.path("Maildir").join(dir)).unwrap();
        }
        let text = "From: s@example.net\r\nSubject: x\r\n\r\njane x\r\nend\r\n";
        fixture.write("Maildir/new/1700000000.M1P1.host", text);
        let maildir = crate::Maildir::of("jane@example.com", fixture.path("Maildir"));
        let mut builder = MailServer::builder().inbox(maildir);
        builder.probe = fixture.plan.probe();
        let server = builder.open().unwrap();
        let message = jane(&server).unwrap().messages().unwrap().get(0).unwrap();
        std::fs::rename(
            fixture.path("Maildir/new/1700000000.M1P1.host"),
            fixture.path("Maildir/cur/1700000000.M1P1.host:2,S"),
        )
        .unwrap();
        fixture.plan.arm(n, fault);
        let done = read(&message);
        let struck = fixture.plan.struck();
        fixture.plan.disarm();
        if let Err(error) = done {
            assert!(struck, "{n} {fault:?}: {error}");
        }
        read(&message).unwrap();
        struck
    });
}

pub(super) fn jane(server: &MailServer) -> crate::Result<Inbox> {
    Ok(Session::logon_smtp(server, "", "jane@example.com")?.inbox())
}

/// Where another program writes in place.
pub(super) fn open_in_place(fixture: &Fixture, probe: Probe, settle: Duration) -> MailServer {
    let mut builder = MailServer::builder()
        .mailroot(fixture.root.path())
        .drop_writer(Writer::InPlace { settle });
    builder.probe = probe;
    builder.open().unwrap()
}

/// A part that cannot be read to its end leaves no file.
#[test]
fn an_attachment_is_saved_whole_or_not_at_all() {
    for n in 0.. {
        let fixture = Fixture::new();
        drop(fixture.restarted());
        let data = ("QUJD".repeat(19) + "\r\n").repeat(4000);
        let text = format!(
            "X-Sender: s@example.net\r\nX-Receiver: jane@example.com\r\n\
             Content-Type: application/octet-stream; name=a.bin\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{data}"
        );
        fixture.write("Drop/a.eml", &text);
        let jane = jane(&fixture.watched()).unwrap();
        let message = jane.messages().unwrap().get(0).unwrap();
        let attachments = message.attachments().unwrap();
        let saved = fixture.path("saved");
        fixture.plan.arm(n, Fault::Before(Other));
        let done = attachments.get(0).unwrap().write_to_dir(&saved);
        let struck = fixture.plan.struck();
        fixture.plan.disarm();
        let whole = std::fs::metadata(saved.join("a.bin")).map(|file| file.len());
        assert_eq!(whole.ok(), done.is_ok().then_some(4000 * 57), "{n}");
        if !struck {
            assert!(n > 2, "the plan was never followed: {n}");
            break;
        }
    }
}

/// A system may read or write less than it is asked to.
#[test]
fn short_reads_and_writes_change_no_byte() {
    for most in [1, 3, 1000] {
        let fixture = Fixture::new();
        let server = fixture.watched();
        fixture.plan.shorten(most);
        draft(&server, "jane@example.com; far@example.net")
            .send()
            .unwrap();
        assert_eq!(count(&server, "jane@example.com"), 1);
        let pickup = fixture.contents("Pickup");
        assert!(pickup[0].ends_with("--\r\n"), "{pickup:?}");
        assert_eq!(count(&fixture.restarted(), "blind@example.com"), 1);
    }
}
