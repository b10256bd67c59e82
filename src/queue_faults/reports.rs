//! Who is told that a message could not be delivered, and what becomes of it when nobody can be.

use std::path::Path;

use super::*;
use crate::{PickupFormat, Profile};

/// From elsewhere, to somebody whom the relay refuses.
fn refused(server: &MailServer) {
    let mail = NewMail::new(server).from("shop@elsewhere.example");
    let mail = mail.to("no@example.net").subject("Hi").body("text");
    mail.send().unwrap();
}

#[test]
fn a_sender_elsewhere_is_told_by_pickup() {
    let fixture = Fixture::empty();
    let builder = || {
        MailServer::builder()
            .mailroot(fixture.root.path())
            .route("example.net", fixture.relay.clone())
    };
    let server = builder().open().unwrap();
    refused(&server);
    assert_eq!(server.deliver_now().unwrap().problems(), []);
    let pickup = fixture.files("Pickup").remove(0);
    let pickup = fixture.root.path().join("Pickup").join(pickup);
    let report = std::fs::read_to_string(pickup).unwrap().to_lowercase();
    assert!(
        report.starts_with("x-sender: <>\r\nx-receiver: shop@elsewhere.example\r\n"),
        "{report}"
    );
    assert!(
        report.contains("final-recipient: rfc822; no@example.net"),
        "{report}"
    );
    assert_eq!(fixture.files("Badmail"), [""; 0]);
}

/// Of many together too.
#[test]
fn what_exchange_cannot_be_told_is_an_error_of_that_message_alone() {
    let fixture = Fixture::empty();
    let server = MailServer::builder()
        .mailroot(fixture.root.path())
        .local_domain("example.com")
        .pickup_format(PickupFormat::Exchange)
        .open()
        .unwrap();
    let session = Session::logon_smtp(&server, "", "shop@example.com").unwrap();
    let draft = |count: usize| {
        let mail = NewMail::new(&server).from("shop@example.com").subject("Hi");
        let to = (0..count).map(|n| format!("n{n}@example.net"));
        to.fold(mail, NewMail::bcc).into_draft()
    };
    let sent = session.outbox().send_all(vec![draft(101), draft(1)]);
    let is_sent: Vec<_> = sent.iter().map(Result::is_ok).collect();
    assert_eq!(is_sent, [false, true]);
    assert_eq!(fixture.files("Pickup").len(), 1);
}

/// A report has no sender, and Exchange takes the sender from the header.
#[test]
fn a_sender_whom_exchange_cannot_tell_has_his_message_in_badmail() {
    let fixture = Fixture::empty();
    let server = MailServer::builder()
        .mailroot(fixture.root.path())
        .pickup_format(PickupFormat::Exchange)
        .route("example.net", fixture.relay.clone())
        .open()
        .unwrap();
    refused(&server);
    assert_eq!(server.deliver_now().unwrap().problems(), []);
    assert_eq!(fixture.files("Pickup"), [""; 0]);
    assert_eq!(fixture.files("Badmail").len(), 3);
}

/// A message that can be neither delivered nor reported stays where it is, and that is told.
#[test]
fn without_a_place_for_bad_mail_it_stays_in_the_queue() {
    let fixture = Fixture::empty();
    let at = |name: &str| fixture.root.path().join(name);
    let server = MailServer::builder()
        .drop_dir(at("Drop"), Profile::IisDrop)
        .state_dir(at("State"))
        .queue_dir(at("Queue"))
        .route("example.net", fixture.relay.clone())
        .open()
        .unwrap();
    refused(&server);
    let done = server.deliver_now().unwrap();
    let told: Vec<_> = done.problems().iter().map(crate::Problem::text).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("no Badmail"), "{told:?}");
    assert_eq!(server.queue().unwrap().len(), 1);
}

/// Each piece of a report may be the one that cannot be written.
#[test]
fn a_report_is_whole_or_none_whatever_fails_while_it_is_written() {
    let to = ["yes@example.net", "no@example.net", "later@example.net"];
    for fault in [Fault::Before(Other), Fault::Lasting(StorageFull)] {
        for n in 0.. {
            let fixture = Fixture::new(&to);
            fixture.plan.shorten(32);
            if !survives(&fixture, &to, n, fault) {
                assert!(n > 40, "the report is written at once: {n}");
                break;
            }
        }
    }
}

/// The same of a message that goes to Badmail.
#[test]
fn bad_mail_is_whole_whatever_fails_while_it_is_written() {
    let text = "x-sender: <>\r\nx-receiver: no@example.net\r\nSubject: Hi\r\n\r\ntext\r\n";
    for fault in [Fault::Before(Other), Fault::Lasting(StorageFull)] {
        for n in 0.. {
            let context = format!("{n} {fault:?}");
            let fixture = Fixture::empty();
            let queued = format!("Queue/{}.eml", crate::state::new_id());
            std::fs::write(fixture.root.path().join(queued), text).unwrap();
            fixture.plan.shorten(16);
            let server = fixture.open(fixture.plan.probe(), 0);
            fixture.plan.arm(n, fault);
            let _ = server.deliver_now();
            let struck = fixture.plan.struck();
            fixture.plan.disarm();
            drop(server);
            let server = fixture.open(Probe::default(), 1);
            assert_eq!(server.deliver_now().unwrap().problems(), [], "{context}");
            let bad = fixture.files("Badmail");
            let is_message = |name: &&String| Path::new(name).extension() == Some("BAD".as_ref());
            assert_eq!(bad.len(), 3, "{context} {bad:?}");
            let message = bad.iter().find(is_message).unwrap();
            let message = fixture.root.path().join("Badmail").join(message);
            let message = std::fs::read_to_string(message).unwrap();
            assert!(
                message.ends_with("Subject: Hi\r\n\r\ntext\r\n"),
                "{context} {message}"
            );
            assert_eq!(fixture.files("Queue"), [""; 0], "{context}");
            if !struck {
                break;
            }
        }
    }
}

/// One that waits for a destination that rests is given up in its time too.
#[test]
fn what_expires_while_its_destination_rests_is_reported() {
    let fixture = Fixture::empty();
    let calls = Arc::new(AtomicU64::new(0));
    let hours = Arc::new(AtomicU64::new(0));
    let (counted, now) = (Arc::clone(&calls), Arc::clone(&hours));
    let server = MailServer::builder()
        .mailroot(fixture.root.path())
        .create_directories()
        .local_domain("example.com")
        .relays_at_once(std::num::NonZero::new(1).unwrap())
        .clock(move || SystemTime::now() + Duration::from_secs(now.load(Ordering::Relaxed) * 3600))
        .relay(move |message: &RelayMessage<'_>| {
            counted.fetch_add(1, Ordering::Relaxed);
            let reply = Reply::new(0, "4.4.1", "nobody answers");
            vec![Outcome::Deferred(reply); message.recipients().len()]
        })
        .open()
        .unwrap();
    for to in ["one@example.net", "two@example.net"] {
        let mail = NewMail::new(&server).from("shop@example.com").to(to);
        mail.subject("Hi").send().unwrap();
    }
    server.deliver_now().unwrap();
    hours.store(24 * 30, Ordering::Relaxed);
    server.deliver_now().unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 2, "each time one was tried");
    let mut told = told(&server);
    told.sort();
    assert_eq!(told, ["one@example.net", "two@example.net"]);
    assert_eq!(fixture.files("Queue"), [""; 0]);
}
