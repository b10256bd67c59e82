//! The way to a relay.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::server::{Kind, Server};
use super::{Then, at_each_call};
use crate::format::bytes::MessageBytes;
use crate::{Credentials, Outcome, RelayMessage, Security, Smtp, Transport};

const TEXT: &[u8] = b"Subject: Hi\r\n\r\n.text\r\n";

/// A message whose file cannot be read any more after so many reads.
struct Torn(AtomicUsize);

impl MessageBytes for Torn {
    fn len(&self) -> u64 {
        TEXT.len() as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> crate::Result<usize> {
        let left = self.0.load(Ordering::Relaxed);
        if left == 0 {
            return Err(crate::Error::new(crate::ErrorKind::Io, "the disk is gone"));
        }
        self.0.store(left - 1, Ordering::Relaxed);
        TEXT.to_vec().read_at(buffer, offset)
    }
}

fn message<'a>(id: &'a str, from: &'a str, to: &'a [String]) -> RelayMessage<'a> {
    RelayMessage {
        id,
        reverse_path: from,
        recipients: to,
        bytes: Arc::new(TEXT.to_vec()),
        range: 0..TEXT.len() as u64,
        credentials: None,
    }
}

fn way(server: &Server, security: Security) -> Smtp {
    Smtp::plain("localhost")
        .port(server.port)
        .security(security)
        .unwrap()
        .roots(&server.roots())
        .unwrap()
        .timeout(Duration::from_secs(20))
}

fn is_accepted(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Accepted(_))
}

#[test]
fn what_is_sent_is_with_the_relay_or_not_told_to_be_whatever_fails() {
    let password = || Some(Credentials::password("shop", "secret"));
    let token = || Some(Credentials::token("shop", "bearer"));
    let (clear, start, implicit) = (Security::None, Security::StartTls, Security::Implicit);
    let one = ["joe@example.net".to_owned()];
    let many: Vec<String> = (0..101).map(|n| format!("n{n}@example.net")).collect();
    let (kind, private) = (
        Kind::default(),
        Kind {
            is_implicit: true,
            ..Kind::default()
        },
    );
    let can = |can, kind| Kind { can, ..kind };
    let old = Kind {
        is_old: true,
        ..kind
    };
    let refusing = Kind {
        recipient: Some("550 5.1.1"),
        ..kind
    };
    let cases = [
        (clear, can(&["DSN", "SIZE 1000"], kind), None, &one[..]),
        (clear, old, None, &one),
        (clear, kind, None, &many),
        (clear, refusing, None, &one),
        (
            start,
            can(&["STARTTLS", "AUTH PLAIN"], kind),
            password(),
            &one,
        ),
        (implicit, can(&["AUTH LOGIN"], private), password(), &one),
        (implicit, can(&["AUTH XOAUTH2"], private), token(), &one),
    ];
    for (security, kind, credentials, to) in cases {
        let server = Server::start(kind);
        for then in [Then::Works, Then::Fails] {
            let sends = Cell::new(0);
            let send = || {
                let mut way = way(&server, security);
                if let Some(credentials) = &credentials {
                    way = way.credentials(credentials.clone());
                }
                // The second goes over the same connection.
                [(); 2].map(|()| {
                    sends.set(sends.get() + 1);
                    let from = format!("{}.{then:?}@example.com", sends.get());
                    let outcomes = way.send(&message("id", &from, to));
                    (from, outcomes)
                })
            };
            // Of many commands alike some are enough.
            let step = if to.len() > 1 { 17 } else { 1 };
            let mut all = Vec::new();
            let calls = at_each_call(then, step, send, |_, sent, _| all.extend(sent));
            let taken = server.taken.lock().unwrap().clone();
            for (from, outcomes) in all {
                let context = format!("{kind:?}: {from}: {outcomes:?}");
                assert_eq!(outcomes.len(), to.len(), "{context}");
                let is_taken = taken.iter().any(|line| line.contains(&format!("<{from}>")));
                let is_unknown = |one: &Outcome| matches!(one, Outcome::Unknown(_));
                if outcomes.iter().any(is_accepted) {
                    assert!(is_taken, "told and not taken: {context}");
                } else if !outcomes.iter().any(is_unknown) {
                    assert!(!is_taken, "taken and not told: {context}");
                }
            }
            assert!(calls > 8, "{kind:?} {calls}");
        }
    }
}

#[test]
fn what_cannot_be_read_to_its_end_is_not_sent() {
    let server = Server::start(Kind::default());
    let to = ["joe@example.net".to_owned()];
    for reads in 0.. {
        let torn = RelayMessage {
            bytes: Arc::new(Torn(reads.into())),
            ..message("id", "", &to)
        };
        let outcomes = way(&server, Security::None).send(&torn);
        if outcomes.iter().all(is_accepted) {
            assert!(
                reads > 1,
                "it is read when it is looked at and when it is sent"
            );
            break;
        }
        assert!(
            matches!(outcomes[..], [Outcome::Deferred(_)]),
            "{outcomes:?}"
        );
        assert!(server.taken.lock().unwrap().is_empty(), "{reads}");
    }
}

/// From whatever program it comes.
#[test]
fn what_is_no_address_or_no_line_never_gets_to_the_server() {
    let server = Server::start(Kind {
        can: &["DSN"],
        ..Kind::default()
    });
    let good = ["joe@example.net".to_owned()];
    let bad = "joe@example.net>\r\nRCPT TO:<ann@example.net";
    let both = [bad.to_owned(), good[0].clone()];
    let outcomes = way(&server, Security::None).send(&message("id", "", &both));
    assert!(
        matches!(outcomes[..], [Outcome::Refused(_), Outcome::Accepted(_)]),
        "{outcomes:?}"
    );
    let id = "id\r\nRCPT TO:<ann@example.net>";
    for message in [message("id", bad, &good), message(id, "", &good)] {
        let outcomes = way(&server, Security::None).send(&message);
        assert!(!outcomes.iter().any(is_accepted), "{outcomes:?}");
    }
    let heard = server.heard.lock().unwrap();
    assert!(!heard.iter().any(|line| line.contains("ann")), "{heard:?}");
}
