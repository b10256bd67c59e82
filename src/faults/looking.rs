//! Each way to look at a folder: what fails is told, and nobody sees what is somebody else's.

use std::io::ErrorKind::Other;
use std::time::Duration;

use super::reading::{fill, jane, open_in_place, read};
use super::{Fixture, at_every_call_of, faults, is_long};
use crate::fs::Probe;
use crate::fs::double::Fault;
use crate::{Cursor, ErrorKind, MailServer, Session};

/// What one sees of a folder, by one of the ways to look at it.
type Seen = crate::Result<Vec<String>>;

const WAYS: [fn(&MailServer) -> Seen; 6] = [
    |server| {
        let count = jane(server)?.count()?;
        Ok(vec!["jane".to_owned(); usize::try_from(count).unwrap()])
    },
    |server| {
        jane(server)?
            .newest_first()?
            .map(|one| read(&one?))
            .collect()
    },
    |server| {
        let first = jane(server)?.messages_since(&Cursor::default())?;
        let then = jane(server)?.messages_since(&first.cursor)?;
        first
            .messages
            .iter()
            .chain(&then.messages)
            .map(read)
            .collect()
    },
    |server| server.addresses(),
    |server| server.check_all().map(|()| Vec::new()),
    |server| {
        let messages = jane(server)?.messages()?;
        messages.iter().map(|one| read(&one)).collect()
    },
];

/// Of a folder in which somebody has deleted his share of a file.
#[test]
fn each_way_of_looking_tells_what_failed_and_shows_nobody_elses() {
    look_at_every_call("by the index", Fixture::open);
}

/// The same where another program writes in place.
#[test]
fn each_way_of_looking_at_what_settles_tells_what_failed_and_shows_nobody_elses() {
    look_at_every_call("by a new index, in place", |fixture, probe| {
        let _ = std::fs::remove_file(fixture.path("State/index"));
        open_in_place(fixture, probe, Duration::ZERO)
    });
}

/// The same where the index cannot be had, and another program writes in place.
#[test]
fn each_way_of_looking_without_an_index_tells_what_failed_and_shows_nobody_elses() {
    look_at_every_call("by the files", |fixture, probe| {
        let index = fixture.path("State/index");
        if !index.is_dir() {
            let _ = std::fs::remove_file(&index);
            std::fs::create_dir(&index).unwrap();
        }
        open_in_place(fixture, probe, Duration::ZERO)
    });
}

fn look_at_every_call(how: &str, open: impl Fn(&Fixture, Probe) -> MailServer) {
    let fill = |fixture: &Fixture| {
        fill(fixture);
        let both = "X-Sender: s@example.net\r\nX-Receiver: jane@example.com\r\n\
                    X-Receiver: joe@example.com\r\nX-Receiver: lea@example.com\r\nSubject: both\r\n\r\njane both\r\nend\r\n";
        fixture.write("Drop/both.eml", both);
        let server = fixture.restarted();
        // One of them has nothing else.
        for address in ["jane@example.com", "lea@example.com"] {
            let session = Session::logon_smtp(&server, "", address).unwrap();
            let messages = session.inbox().messages().unwrap();
            let shared = messages.iter().find(|one| one.subject() == "both");
            shared.unwrap().delete().unwrap();
        }
        // What went since, and what came, with more above it than is read at once.
        std::fs::remove_file(fixture.path("Drop/1.eml")).unwrap();
        let field = format!("X-Field: {}\r\n", "x".repeat(900));
        let large = format!(
            "X-Sender: s@example.net\r\nX-Receiver: jane@example.com\r\n\
             X-Receiver: joe@example.com\r\n{}Subject: large\r\n\r\njane large\r\nend\r\n",
            field.repeat(100)
        );
        fixture.write("Drop/large.eml", &large);
        // What came since is looked at by whoever looks next.
        let new = "X-Sender: s@example.net\r\nX-Receiver: joe@example.com\r\n\
                   Subject: new\r\n\r\njoe new\r\nend\r\n";
        fixture.write("Drop/new.eml", new);
    };
    for (number, way) in WAYS.iter().enumerate() {
        // As it is where nothing fails. What is new is judged by who looks.
        let other = Fixture::new();
        fill(&other);
        let whole = way(&open(&other, Probe::default()));
        // Who looks writes nothing but the index: the others fail nearly as this does.
        let kinds = faults().filter(|fault| is_long() || matches!(fault, Fault::Before(Other)));
        at_every_call_of(
            &format!("way {number} of looking {how}"),
            kinds,
            |fixture, n, fault| {
                let context = format!("way {number} {how}: {n} {fault:?}");
                fill(fixture);
                let server = open(fixture, fixture.plan.probe());
                fixture.plan.arm(n, fault);
                let seen = way(&server);
                let struck = fixture.plan.struck();
                fixture.plan.disarm();
                let Ok(whole) = &whole else {
                    // There is no lasting order without an index.
                    assert!(seen.is_err(), "{context}");
                    return struck;
                };
                match seen {
                    Ok(seen) => assert!(seen.iter().all(|one| whole.contains(one)), "{context}"),
                    Err(error) => assert!(
                        error.path().is_some() || error.kind() == ErrorKind::NotSupported,
                        "{error} {context}"
                    ),
                }
                for server in [&server, &open(fixture, Probe::default())] {
                    let mut again = way(server).unwrap();
                    let mut whole = whole.clone();
                    again.sort();
                    whole.sort();
                    assert_eq!(again, whole, "{context}");
                }
                struck
            },
        );
    }
}

/// Who has deleted all that he had is known by a second look at the marks.
#[test]
fn addresses_are_told_whatever_fails_of_the_marks() {
    for n in 0.. {
        let mut struck = false;
        // Their order is another in each index.
        for _ in 0..6 {
            let fixture = Fixture::new();
            drop(fixture.restarted());
            let both = "X-Sender: s@example.net\r\nX-Receiver: joe@example.com\r\n\
                        X-Receiver: lea@example.com\r\nSubject: both\r\n\r\ntext\r\n";
            fixture.write("Drop/both.eml", both);
            let lea = Session::logon_smtp(&fixture.restarted(), "", "lea@example.com");
            let messages = lea.unwrap().inbox().messages().unwrap();
            messages.get(0).unwrap().delete().unwrap();
            let server = fixture.watched();
            fixture.plan.arm(n, Fault::Before(Other));
            match server.addresses() {
                Ok(addresses) => assert_eq!(addresses, ["joe@example.com"], "{n}"),
                Err(error) => assert!(error.path().is_some(), "{n} {error}"),
            }
            struck |= fixture.plan.struck();
            fixture.plan.disarm();
            assert_eq!(server.addresses().unwrap(), ["joe@example.com"], "{n}");
        }
        if !struck {
            assert!(n > 4, "the plan was never followed");
            break;
        }
    }
}
