//! Waiting for new messages.
#![cfg(feature = "watch")]
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::time::Duration;

use cdonts::{MailServer, NewMail, Profile, Writer};
use support::{Root, session, simple};

const LONG: Duration = Duration::from_secs(20);

#[test]
fn every_new_message_comes_once_and_no_old_one() {
    let root = Root::new();
    let server = root.delivering();
    let send = |subject: &str| {
        let mail = NewMail::new(&server)
            .from("a@example.com")
            .to("jane@example.com");
        mail.subject(subject).send().unwrap();
    };
    send("old");
    let mut watch = session(&server, "jane@example.com")
        .inbox()
        .watch()
        .unwrap();
    assert!(watch.next_within(Duration::ZERO).unwrap().is_none());
    for number in 0..300 {
        send(&number.to_string());
    }
    for number in 0..300 {
        let message = watch.next_within(LONG).unwrap().unwrap();
        assert_eq!(message.subject(), number.to_string());
        if number % 2 == 0 {
            message.delete().unwrap();
        }
    }
    assert!(
        watch
            .next_within(Duration::from_millis(50))
            .unwrap()
            .is_none()
    );
    // While it waits.
    let waiting = std::thread::spawn(move || watch.next().unwrap().unwrap().subject().to_owned());
    std::thread::sleep(Duration::from_millis(50));
    send("last");
    assert_eq!(waiting.join().unwrap(), "last");
}

#[test]
fn it_needs_neither_an_index_nor_a_state_directory() {
    let root = Root::new();
    root.write("Drop/old.eml", simple(&["jane@example.com"], "old"));
    let server = MailServer::builder()
        .drop_dir(root.join("Drop"), Profile::IisDrop)
        .drop_writer(Writer::InPlace {
            settle: Duration::from_millis(20),
        })
        .open()
        .unwrap();
    let mut watch = session(&server, "jane@example.com")
        .inbox()
        .watch()
        .unwrap();
    root.write("Drop/new.eml", simple(&["jane@example.com"], "new"));
    root.write("Drop/joe.eml", simple(&["joe@example.com"], "his"));
    let message = watch.next_within(LONG).unwrap().unwrap();
    assert_eq!(message.subject(), "new");
    root.write("Drop/other.eml", simple(&["jane@example.com"], "another"));
    assert_eq!(
        watch.next_within(LONG).unwrap().unwrap().subject(),
        "another"
    );
    assert!(watch.next_within(Duration::ZERO).unwrap().is_none());
}
