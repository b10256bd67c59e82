//! Listing and reading: what cannot be read is told, and what is shown is whole and the reader's.

use std::collections::HashSet;

use super::{Fixture, at_every_call, count, draft};
use crate::fs::double::Fault;
use crate::{Message, Session};

const MESSAGES: usize = 12;

/// Every second one is somebody else's.
fn fill(fixture: &Fixture) {
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

fn read(message: &Message) -> crate::Result<String> {
    let text = message.text()?;
    let (first, end) = text.split_once('\n').unwrap();
    assert_eq!(end.trim_end(), "end", "half a message");
    assert!(first.starts_with("jane "), "it is not hers: {first}");
    Ok(first.to_owned())
}

/// One entry that fails hides no other, an error names its path, and when the disk works again all
/// is there, index or not.
#[test]
fn one_that_cannot_be_read_hides_no_other() {
    at_every_call("a folder is listed and read", |fixture, n, fault| {
        let context = format!("{n} {fault:?}");
        fill(fixture);
        let server = fixture.watched();
        fixture.plan.arm(n, fault);
        let session = Session::logon_smtp(&server, "", "jane@example.com").unwrap();
        let listed = session.inbox().messages();
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
            // It may be another's that could not be judged.
            assert!(whole.len() + lost >= MESSAGES / 2, "untold: {context}");
        }
        let struck = fixture.plan.struck();
        fixture.plan.disarm();
        drop(session);
        // The same server, which keeps what it has learnt, and another process.
        for server in [&server, &fixture.restarted()] {
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
