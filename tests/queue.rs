//! Messages for other domains: the queue, its relays, and the reports to the sender.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use cdonts::{
    Action, Envelope, ErrorKind, MailServer, MailServerBuilder, NewMail, Outcome, RecipientType,
    RelayMessage, Reply, Report, RetrySchedule, Transport,
};
use support::{Root, messages, session, simple};

/// What a relay got.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Got {
    reverse_path: String,
    recipients: Vec<String>,
    source: String,
}

/// A relay that answers as it is told, by recipient; it accepts who is not mentioned.
#[derive(Clone, Default)]
struct Scripted {
    got: Arc<Mutex<Vec<Got>>>,
    answers: Arc<Mutex<HashMap<String, Outcome>>>,
}

impl Scripted {
    fn answer(&self, recipient: &str, outcome: Outcome) {
        let mut answers = self.answers.lock().unwrap();
        answers.insert(recipient.to_owned(), outcome);
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

impl Transport for Scripted {
    fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome> {
        let mut source = Vec::new();
        let size = message.write_to(&mut source).unwrap();
        assert_eq!(size, message.size());
        self.got.lock().unwrap().push(Got {
            reverse_path: message.reverse_path().to_owned(),
            recipients: message.recipients().to_vec(),
            source: String::from_utf8(source).unwrap(),
        });
        let answers = self.answers.lock().unwrap();
        let accepted = Outcome::Accepted(Reply::new(250, "2.0.0", "ok"));
        let of = |to: &String| answers.get(to).unwrap_or(&accepted).clone();
        message.recipients().iter().map(of).collect()
    }
}

fn deferred() -> Outcome {
    Outcome::Deferred(Reply::new(451, "4.7.1", "greylisted"))
}

fn refused() -> Outcome {
    Outcome::Refused(Reply::new(550, "5.1.1", "no such user"))
}

/// A clock that stands until it is moved.
#[derive(Clone)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self(Arc::new(AtomicU64::new(now.unwrap().as_secs() + 1)))
    }

    fn move_on(&self, minutes: u64) {
        self.0.fetch_add(minutes * 60, Ordering::Relaxed);
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

fn builder(root: &Root, relay: &Scripted, hand: &Hand) -> MailServerBuilder {
    let hand = hand.clone();
    root.builder()
        .create_directories()
        .local_domain("example.com")
        .relay(relay.clone())
        .clock(move || hand.now())
}

fn send(server: &MailServer, to: &[&str]) -> cdonts::Sent {
    let mail = NewMail::new(server)
        .from("shop@example.com")
        .subject("Your order");
    let mail = to.iter().fold(mail, |mail, &to| mail.to(to));
    mail.bcc("audit@example.org").body("text").send().unwrap()
}

#[test]
fn a_relay_gets_the_message_and_its_envelope_and_the_queue_is_empty_then() {
    let (root, relay, hand) = (Root::new(), Scripted::default(), Hand::new());
    let server = builder(&root, &relay, &hand).open().unwrap();
    let sent = send(&server, &["jane@example.com", "joe@example.net"]);
    assert_eq!((sent.queued().len(), sent.files().len()), (1, 0));
    assert_eq!(sent.delivered(), ["jane@example.com"]);
    let waiting = server.queue().unwrap();
    assert_eq!(waiting[0].id(), sent.queued()[0]);
    assert_eq!(
        waiting[0].recipients(),
        ["joe@example.net", "audit@example.org"]
    );
    assert_eq!(waiting[0].reverse_path(), "shop@example.com");
    assert_eq!(server.deliver_now().unwrap().problems(), []);
    let got = relay.got();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].reverse_path, "shop@example.com");
    assert_eq!(got[0].recipients, ["joe@example.net", "audit@example.org"]);
    assert!(got[0].source.starts_with("Date: "), "{}", got[0].source);
    assert!(!got[0].source.contains("audit"));
    assert!(server.queue().unwrap().is_empty());
    assert_eq!(root.files("Queue"), [""; 0]);
    server.deliver_now().unwrap();
    assert_eq!(relay.got().len(), 1);
    let counts = server.counts();
    assert_eq!(
        (counts.accepted, counts.delivered, counts.relayed),
        (1, 1, 2)
    );
}

#[test]
fn it_is_tried_again_after_15_30_60_and_then_every_240_minutes() {
    let (root, relay, hand) = (Root::new(), Scripted::default(), Hand::new());
    relay.answer("joe@example.net", deferred());
    relay.answer("audit@example.org", deferred());
    let open = || builder(&root, &relay, &hand).open().unwrap();
    send(&open(), &["joe@example.net"]);
    let mut attempts = Vec::new();
    for minute in 0..24 * 60 {
        let before = relay.got().len();
        // Another process each time.
        if minute % 5 == 0 {
            open().deliver_now().unwrap();
        }
        if relay.got().len() > before {
            attempts.push(minute);
        }
        hand.move_on(1);
    }
    assert_eq!(attempts, [0, 15, 45, 105, 345, 585, 825, 1065, 1305]);
    let server = open();
    let waiting = &server.queue().unwrap()[0];
    assert_eq!(waiting.attempts(), 9);
    assert_eq!(
        waiting.last_reply("joe@example.net"),
        "451 4.7.1 greylisted"
    );
    assert_eq!(
        waiting
            .next_attempt()
            .duration_since(hand.now())
            .unwrap()
            .as_secs()
            / 60,
        105
    );
}

#[test]
fn the_sender_is_told_once_of_a_delay_and_at_last_that_it_failed() {
    let (root, relay, hand) = (Root::new(), Scripted::default(), Hand::new());
    relay.answer("joe@example.net", deferred());
    let server = builder(&root, &relay, &hand).open().unwrap();
    let sent = send(&server, &["joe@example.net"]);
    let mut told = Vec::new();
    for hour in 0..60 {
        server.deliver_now().unwrap();
        for message in &messages(&server, "shop@example.com") {
            let Some(Report::Delivery(report)) = message.report().unwrap() else {
                panic!("{:?}", message.subject());
            };
            assert_eq!(report.original_message_id(), Some(sent.message_id()));
            assert_eq!(message.reverse_path(), "");
            assert!(message.is_automatic().unwrap());
            let recipient = &report.recipients()[0];
            assert_eq!(report.recipients().len(), 1);
            assert_eq!(recipient.address(), "joe@example.net");
            assert!(!recipient.is_permanent());
            assert!(message.text().unwrap().contains("greylisted"));
            told.push((hour, recipient.action()));
            message.delete().unwrap();
        }
        hand.move_on(60);
    }
    let hours: Vec<_> = told.iter().map(|(_, action)| *action).collect();
    assert_eq!(hours, [Action::Delayed, Action::Failed]);
    assert!(
        (12..17).contains(&told[0].0) && (48..53).contains(&told[1].0),
        "{told:?}"
    );
    assert!(server.queue().unwrap().is_empty());
    assert_eq!(root.files("Queue"), [""; 0]);
    assert_eq!(server.counts().bounced, 1);
}

/// A relay of few words.
#[test]
fn a_report_has_a_status_where_the_relay_told_none() {
    let (root, relay, hand) = (Root::new(), Scripted::default(), Hand::new());
    relay.answer(
        "no@example.net",
        Outcome::Refused(Reply::new(550, "", "no")),
    );
    let later = Outcome::Deferred(Reply::new(450, "", "later"));
    relay.answer("later@example.net", later);
    let server = builder(&root, &relay, &hand).open().unwrap();
    send(&server, &["no@example.net", "later@example.net"]);
    for _ in 0..60 {
        server.deliver_now().unwrap();
        hand.move_on(60);
    }
    let mut told: Vec<_> = messages(&server, "shop@example.com")
        .iter()
        .flat_map(|message| match message.report().unwrap() {
            Some(Report::Delivery(report)) => report.recipients().to_vec(),
            other => panic!("{other:?}"),
        })
        .map(|one| format!("{} {}", one.address(), one.status().unwrap()))
        .collect();
    told.dedup();
    assert_eq!(told, ["no@example.net 5.0.0", "later@example.net 4.0.0"]);
}

#[test]
fn without_a_relay_there_is_no_queue_to_look_into() {
    let server = MailServer::temporary().unwrap();
    assert!(server.queue().unwrap().is_empty());
}

#[test]
fn each_recipient_has_an_outcome_of_its_own() {
    let (root, relay, hand) = (Root::new(), Scripted::default(), Hand::new());
    relay.answer("no@example.net", refused());
    relay.answer("later@example.net", deferred());
    let lost = Reply::new(0, "", "connection lost");
    relay.answer("lost@example.net", Outcome::Unknown(lost));
    let server = builder(&root, &relay, &hand).open().unwrap();
    let all = [
        "yes@example.net",
        "no@example.net",
        "later@example.net",
        "lost@example.net",
    ];
    send(&server, &all);
    server.deliver_now().unwrap();
    let bounces = messages(&server, "shop@example.com");
    assert_eq!(bounces.len(), 1);
    let bounce = bounces.get(0).unwrap();
    let Some(Report::Delivery(report)) = bounce.report().unwrap() else {
        panic!("no report");
    };
    let recipient = &report.recipients()[0];
    assert_eq!(
        (report.recipients().len(), recipient.address()),
        (1, "no@example.net")
    );
    assert!(recipient.is_permanent());
    assert_eq!(recipient.status(), Some("5.1.1"));
    assert_eq!(
        server.queue().unwrap()[0].recipients(),
        ["later@example.net", "lost@example.net"]
    );
    hand.move_on(15);
    relay.answers.lock().unwrap().clear();
    server.deliver_now().unwrap();
    let got = relay.got();
    assert_eq!(got[1].recipients, ["later@example.net", "lost@example.net"]);
    assert_eq!(got[1].source, got[0].source);
    assert!(server.queue().unwrap().is_empty());
    assert_eq!(messages(&server, "shop@example.com").len(), 1);
}

#[test]
fn a_report_is_never_answered_and_what_nobody_can_be_told_of_goes_to_badmail() {
    let (root, relay, hand) = (Root::new(), Scripted::default(), Hand::new());
    relay.answer("no@example.net", refused());
    relay.answer("sender@example.org", refused());
    let server = builder(&root, &relay, &hand).open().unwrap();
    let outbox = session(&server, "shop@example.com").outbox();
    let raw = "From: s@example.org\r\nTo: no@example.net\r\nSubject: hi\r\n\r\ntext\r\n";
    let envelope = Envelope::new("sender@example.org", ["no@example.net"]);
    outbox.send_raw(&envelope, raw.as_bytes()).unwrap();
    server.deliver_now().unwrap();
    // The report goes the same way back, from nobody.
    assert_eq!(
        server.queue().unwrap()[0].recipients(),
        ["sender@example.org"]
    );
    assert_eq!(root.files("Badmail"), [""; 0]);
    server.deliver_now().unwrap();
    let got = relay.got();
    assert_eq!((got.len(), got[1].reverse_path.as_str()), (2, ""));
    assert!(
        got[1]
            .source
            .contains("Final-Recipient: rfc822; no@example.net")
    );
    assert!(server.queue().unwrap().is_empty());
    let bad = root.files("Badmail");
    let endings: Vec<_> = bad
        .iter()
        .map(|name| name.rsplit_once('.').unwrap().1)
        .collect();
    assert_eq!(endings, ["BAD", "BDP", "BDR"]);
    let read = |at: usize| std::fs::read_to_string(root.join("Badmail").join(&bad[at])).unwrap();
    assert!(read(0).contains("X-Receiver: sender@example.org"));
    assert!(read(0).contains("no@example.net"));
    assert!(read(1).contains("recipient: <sender@example.org>"));
    assert!(read(2).contains("550 5.1.1 no such user"));
    assert_eq!(server.counts().bad, 1);
    server.deliver_now().unwrap();
    assert_eq!((relay.got().len(), root.files("Badmail").len()), (2, 3));
}

#[test]
fn a_domain_may_have_a_way_of_its_own() {
    let (root, relay, hand) = (Root::new(), Scripted::default(), Hand::new());
    let partner = Scripted::default();
    let server = builder(&root, &relay, &hand)
        .route("Partner.example", partner.clone())
        .open()
        .unwrap();
    let sent = send(
        &server,
        &["joe@example.net", "a@partner.example", "b@PARTNER.example"],
    );
    assert_eq!(sent.queued().len(), 2);
    server.deliver_now().unwrap();
    assert_eq!(
        partner.got()[0].recipients,
        ["a@partner.example", "b@partner.example"]
    );
    assert_eq!(
        relay.got()[0].recipients,
        ["joe@example.net", "audit@example.org"]
    );
    // Without a relay for all, the others go where another server takes them.
    let (root, partner) = (Root::new(), Scripted::default());
    let server = root
        .builder()
        .create_directories()
        .route("partner.example", partner.clone());
    let server = server.open().unwrap();
    let sent = send(&server, &["joe@example.net", "a@partner.example"]);
    assert_eq!((sent.queued().len(), sent.files().len()), (1, 1));
    assert_eq!(root.files("Pickup").len(), 1);
}

#[test]
fn a_message_that_waits_can_be_tried_at_once_or_taken_out() {
    let (root, relay, hand) = (Root::new(), Scripted::default(), Hand::new());
    relay.answer("joe@example.net", deferred());
    relay.answer("audit@example.org", deferred());
    let server = builder(&root, &relay, &hand).open().unwrap();
    send(&server, &["joe@example.net"]);
    server.deliver_now().unwrap();
    server.deliver_now().unwrap();
    assert_eq!(relay.got().len(), 1);
    let waiting = server.queue().unwrap().remove(0);
    waiting.retry_now().unwrap();
    server.deliver_now().unwrap();
    assert_eq!(relay.got().len(), 2);
    assert_eq!(server.queue().unwrap()[0].attempts(), 2);
    waiting.cancel().unwrap();
    assert!(server.queue().unwrap().is_empty());
    assert_eq!(root.files("Queue"), [""; 0]);
    assert_eq!(waiting.cancel().unwrap_err().kind(), ErrorKind::MessageGone);
    hand.move_on(9999);
    server.deliver_now().unwrap();
    assert_eq!(
        (
            relay.got().len(),
            messages(&server, "shop@example.com").len()
        ),
        (2, 0)
    );
}

#[test]
fn a_program_that_writes_into_pickup_is_relayed_too_and_a_loop_is_broken() {
    let (root, relay, hand) = (Root::new(), Scripted::default(), Hand::new());
    let server = builder(&root, &relay, &hand)
        .pickup_writer(cdonts::Writer::Renames)
        .open()
        .unwrap();
    let plain = "From: Shop <shop@example.com>\r\nTo: joe@example.net\r\nBcc: x@example.org\r\n\
        Subject: hi\r\n\r\ntext\r\n";
    root.write("Pickup/plain.eml", plain);
    root.write(
        "Pickup/iis.eml",
        simple(&["jane@example.com", "y@example.net"], "iis"),
    );
    let hop = "Received: from a by b; Tue, 24 Nov 2026 10:00:00 +0000\r\n";
    root.write("Pickup/loop.eml", hop.repeat(60) + plain);
    let delivered = server.deliver_now().unwrap();
    assert_eq!((delivered.messages(), delivered.badmail().len()), (2, 1));
    assert_eq!(root.files("Pickup"), [""; 0]);
    let mut to: Vec<_> = relay.got().into_iter().map(|got| got.recipients).collect();
    to.sort();
    assert_eq!(
        to,
        [
            vec!["joe@example.net", "x@example.org"],
            vec!["y@example.net"]
        ]
    );
    assert!(relay.got().iter().all(|got| !got.source.contains("Bcc")));
    assert_eq!(messages(&server, "jane@example.com").len(), 1);
    // A message of the queue that goes round comes to an end too.
    let outbox = session(&server, "shop@example.com").outbox();
    let envelope = Envelope::new("shop@example.com", ["joe@example.net"]);
    let raw = hop.repeat(60) + plain;
    outbox.send_raw(&envelope, raw.as_bytes()).unwrap();
    server.deliver_now().unwrap();
    assert_eq!(relay.got().len(), 2);
    let bounce = messages(&server, "shop@example.com").get(0).unwrap();
    assert!(bounce.text().unwrap().contains("5.4.6"));
}

#[test]
fn several_services_share_one_queue_and_none_hands_a_message_on_twice() {
    let (root, relay, hand) = (Root::new(), Scripted::default(), Hand::new());
    let server = builder(&root, &relay, &hand).open().unwrap();
    for number in 0..60 {
        NewMail::new(&server)
            .from("shop@example.com")
            .recipient("", format!("{number}@example.net"), RecipientType::To)
            .send()
            .unwrap();
    }
    let services: Vec<_> = (0..3)
        .map(|_| builder(&root, &relay, &hand).open().unwrap())
        .collect();
    std::thread::scope(|scope| {
        for service in &services {
            scope.spawn(|| assert_eq!(service.deliver_now().unwrap().problems(), []));
        }
    });
    assert!(server.queue().unwrap().is_empty());
    let mut to: Vec<_> = relay
        .got()
        .into_iter()
        .flat_map(|got| got.recipients)
        .collect();
    to.sort();
    assert_eq!(to.len(), 60);
    to.dedup();
    assert_eq!(to.len(), 60);
}

#[test]
fn files_that_do_not_belong_there_are_left_alone() {
    let (root, relay, hand) = (Root::new(), Scripted::default(), Hand::new());
    let server = builder(&root, &relay, &hand)
        .retry(RetrySchedule::default().retry_after([Duration::ZERO]))
        .open()
        .unwrap();
    let id = "0123456789abcdef0123456789abcdef";
    for name in ["notes.txt", "x.eml", "../../x.eml", ".hidden"] {
        if !name.contains('/') {
            root.write(&format!("Queue/{name}"), "something");
        }
    }
    root.write(&format!("Queue/{id}.eml"), "no envelope\r\n\r\n");
    let problems = server.deliver_now().unwrap().problems().to_vec();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].text().contains("no envelope"), "{problems:?}");
    std::fs::remove_file(root.join(format!("Queue/{id}.eml"))).unwrap();
    // A state that was cut is not guessed at.
    relay.answer("joe@example.net", deferred());
    let sent = send(&server, &["joe@example.net"]);
    server.deliver_now().unwrap();
    let state = format!("Queue/{}.state", sent.queued()[0]);
    let text = std::fs::read_to_string(root.join(&state)).unwrap();
    std::fs::write(root.join(&state), &text[..text.len() / 2]).unwrap();
    let before = relay.got().len();
    let problems = server.deliver_now().unwrap().problems().to_vec();
    assert!(
        problems[0].text().contains("cannot be understood"),
        "{problems:?}"
    );
    assert_eq!(relay.got().len(), before);
}

/// Defers every tenth message at its first attempt.
#[derive(Clone, Default)]
struct Moody(Arc<Mutex<HashMap<String, usize>>>);

impl Transport for Moody {
    fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome> {
        let mut times = self.0.lock().unwrap();
        let mut answer = |to: &String| {
            let number: usize = to.split('@').next().unwrap().parse().unwrap();
            let time = times.entry(to.clone()).or_default();
            *time += 1;
            if number.is_multiple_of(10) && *time == 1 {
                deferred()
            } else {
                Outcome::Accepted(Reply::new(250, "", "ok"))
            }
        };
        message.recipients().iter().map(&mut answer).collect()
    }
}

#[test]
fn under_load_with_two_services_all_arrive_and_each_once() {
    const THREADS: usize = 16;
    const MESSAGES: usize = 1600;
    let (root, relay) = (Root::new(), Moody::default());
    let open = || {
        root.builder()
            .create_directories()
            .local_domain("example.com")
            .durability(cdonts::Durability::Atomic)
            .relay(relay.clone())
            .retry(RetrySchedule::default().retry_after([Duration::ZERO]))
            .open()
            .unwrap()
    };
    let services: Vec<_> = (0..2)
        .map(|_| {
            let server = open();
            let delivery = cdonts::Delivery::start(&server, Duration::from_millis(20)).unwrap();
            (server, delivery)
        })
        .collect();
    let server = open();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let server = &server;
            scope.spawn(move || {
                for number in 0..MESSAGES / THREADS {
                    let to = format!("{}@example.net", thread * MESSAGES / THREADS + number);
                    let mail = NewMail::new(server).from("shop@example.com");
                    mail.to(to).body("text").send().unwrap();
                }
            });
        }
    });
    support::eventually(|| server.queue().unwrap().is_empty());
    for (_, delivery) in services {
        assert_eq!(delivery.problems(), []);
        delivery.stop();
    }
    let times = relay.0.lock().unwrap();
    assert_eq!(times.len(), MESSAGES);
    for (to, times) in times.iter() {
        let number: usize = to.split('@').next().unwrap().parse().unwrap();
        assert_eq!(
            *times,
            if number.is_multiple_of(10) { 2 } else { 1 },
            "{to}"
        );
    }
    drop(times);
    assert!(messages(&server, "shop@example.com").is_empty());
    for dir in ["Queue", "State/locks", "State/staging", "State/committed"] {
        assert_eq!(root.files(dir), [""; 0], "{dir}");
    }
}

/// Holds each message for a moment, and remembers how many it had at once.
#[derive(Clone, Default)]
struct Slow {
    now: Arc<AtomicU64>,
    most: Arc<AtomicU64>,
    taken: Arc<AtomicU64>,
}

impl Transport for Slow {
    fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.taken.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(15));
        self.now.fetch_sub(1, Ordering::SeqCst);
        let accepted = Outcome::Accepted(Reply::new(250, "", ""));
        vec![accepted; message.recipients().len()]
    }
}

#[test]
fn no_destination_gets_more_at_once_than_it_should_and_a_stop_settles_what_is_in_hand() {
    let (root, relay, partner) = (Root::new(), Slow::default(), Slow::default());
    let server = root
        .builder()
        .create_directories()
        .relay(relay.clone())
        .route("partner.example", partner.clone())
        .relays_at_once(std::num::NonZero::new(3).unwrap())
        .open()
        .unwrap();
    let send = |to: &str| {
        let mail = NewMail::new(&server).from("shop@example.com");
        mail.to(to).body("text").send().unwrap();
    };
    for number in 0..20 {
        send(&format!("{number}@example.net"));
        send(&format!("{number}@partner.example"));
    }
    server.deliver_now().unwrap();
    for slow in [&relay, &partner] {
        assert_eq!(slow.most.load(Ordering::SeqCst), 3);
        assert_eq!(slow.taken.load(Ordering::SeqCst), 20);
    }
    assert!(server.queue().unwrap().is_empty());
    // Stopped in the middle: what was given away is written down, the rest waits.
    for number in 0..200 {
        send(&format!("{number}@example.net"));
    }
    let delivery = cdonts::Delivery::start(&server, Duration::from_mins(1)).unwrap();
    support::eventually(|| relay.taken.load(Ordering::SeqCst) > 23);
    delivery.stop();
    let taken = relay.taken.load(Ordering::SeqCst) - 20;
    assert!(taken < 200, "it went on to the end");
    let waiting = server.queue().unwrap().len() as u64;
    assert_eq!(waiting, 200 - taken);
    assert_eq!(root.files("State/locks"), [""; 0]);
}

#[test]
fn who_has_a_message_does_not_get_it_again_when_that_cannot_be_written() {
    // The report goes nowhere: nobody is to be told, and Badmail cannot be made.
    let (root, relay, hand) = (Root::new(), Scripted::default(), Hand::new());
    relay.answer("no@example.net", refused());
    let server = builder(&root, &relay, &hand).open().unwrap();
    std::fs::remove_dir(root.join("Badmail")).unwrap();
    root.write("Badmail", "a file is in the way");
    let outbox = session(&server, "shop@example.com").outbox();
    let raw = "From: s@example.com\r\nTo: no@example.net\r\n\r\ntext\r\n";
    let envelope = Envelope::new("", ["good@example.net", "no@example.net"]);
    outbox.send_raw(&envelope, raw.as_bytes()).unwrap();
    for _ in 0..5 {
        assert!(!server.deliver_now().unwrap().problems().is_empty() || relay.got().len() == 1);
    }
    let tries = relay.got().len();
    assert_eq!(tries, 1, "it waits before it tries again");
    for _ in 0..3 {
        hand.move_on(300);
        server.deliver_now().unwrap();
    }
    let got = relay.got();
    let good = got
        .iter()
        .filter(|got| got.recipients.contains(&"good@example.net".to_owned()));
    assert_eq!(good.count(), 1);
    // When the way is free again, all is settled, and nothing was lost.
    std::fs::remove_file(root.join("Badmail")).unwrap();
    hand.move_on(300);
    server.deliver_now().unwrap();
    assert!(server.queue().unwrap().is_empty());
    assert_eq!(root.files("Badmail").len(), 3);
    // Somebody clears Badmail away while the service runs.
    std::fs::remove_dir_all(root.join("Badmail")).unwrap();
    let envelope = Envelope::new("", ["no@example.net"]);
    outbox.send_raw(&envelope, raw.as_bytes()).unwrap();
    server.deliver_now().unwrap();
    assert_eq!(root.files("Badmail").len(), 3);
    assert_eq!(root.files("State/committed"), [""; 0]);
}

#[test]
fn a_slow_destination_holds_up_neither_another_nor_local_mail() {
    /// It answers when it is let.
    #[derive(Clone, Default)]
    struct Held(Arc<Mutex<()>>);
    impl Transport for Held {
        fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome> {
            let _wait = self.0.lock().unwrap();
            let accepted = Outcome::Accepted(Reply::new(250, "", ""));
            vec![accepted; message.recipients().len()]
        }
    }
    let (root, slow, fast) = (Root::new(), Held::default(), Scripted::default());
    let server = root
        .builder()
        .create_directories()
        .local_domain("example.com")
        .pickup_writer(cdonts::Writer::Renames)
        .relay(slow.clone())
        .route("fast.example", fast.clone())
        .open()
        .unwrap();
    let held = slow.0.lock().unwrap();
    let send = |to: &str| {
        let mail = NewMail::new(&server).from("shop@example.com");
        mail.to(to).body("text").send().unwrap();
    };
    for number in 0..20 {
        send(&format!("{number}@slow.example"));
    }
    let delivery = cdonts::Delivery::start(&server, Duration::from_millis(20)).unwrap();
    let locks = root.join("State/locks");
    support::eventually(|| locks.exists() && root.files("State/locks").len() >= 4);
    send("joe@fast.example");
    root.write("Pickup/a.eml", simple(&["jane@example.com"], "local"));
    support::eventually(|| fast.got().len() == 1);
    support::eventually(|| !messages(&server, "jane@example.com").is_empty());
    drop(held);
    support::eventually(|| server.queue().unwrap().is_empty());
    assert_eq!(server.counts().relayed, 21);
    delivery.stop();
}

#[test]
fn a_relay_that_panics_or_cannot_be_reached_ends_nothing() {
    struct Panics;
    impl Transport for Panics {
        fn send(&self, _: &RelayMessage<'_>) -> Vec<Outcome> {
            panic!("a relay of somebody else's");
        }
    }
    let (root, relay, hand) = (Root::new(), Scripted::default(), Hand::new());
    let server = builder(&root, &relay, &hand)
        .route("odd.example", Panics)
        .open()
        .unwrap();
    send(&server, &["a@odd.example", "b@example.net"]);
    server.deliver_now().unwrap();
    assert_eq!(server.counts().relayed, 2);
    assert_eq!(
        server.queue().unwrap()[0].last_reply("a@odd.example"),
        "4.4.2 the relay gave no answer"
    );
    // Nobody answers: it is asked again in a while, not once for each message.
    let unreached = Outcome::Deferred(Reply::new(0, "4.4.1", "no route to host"));
    relay.answer("b@example.net", unreached.clone());
    relay.answer("audit@example.org", unreached);
    for _ in 0..20 {
        send(&server, &["b@example.net"]);
    }
    let before = relay.got().len();
    server.deliver_now().unwrap();
    let tries = relay.got().len() - before;
    assert!((1..=4).contains(&tries), "{tries}");
    server.deliver_now().unwrap();
    assert_eq!(relay.got().len() - before, tries);
    relay.answers.lock().unwrap().clear();
    hand.move_on(60);
    server.deliver_now().unwrap();
    assert_eq!(server.counts().relayed, 42);
}

#[test]
fn what_waits_for_a_destination_that_rests_says_why_and_until_when() {
    let unreached = |message: &RelayMessage<'_>| {
        let reply = Reply::new(0, "4.4.1", "connection refused");
        vec![Outcome::Deferred(reply); message.recipients().len()]
    };
    let server = MailServer::builder()
        .relay(unreached)
        .relays_at_once(1.try_into().unwrap())
        .open_temporary()
        .unwrap();
    for to in ["a@x.example", "b@x.example", "c@x.example"] {
        send(&server, &[to]);
    }
    // Due at once, as it was sent.
    let sent = server.queue().unwrap();
    assert!(
        sent.iter()
            .all(|one| one.next_attempt() == one.time_queued())
    );
    let now = SystemTime::now();
    server.deliver_now().unwrap();
    let queue = server.queue().unwrap();
    assert_eq!(queue.iter().filter(|one| one.attempts() == 0).count(), 2);
    for one in &queue {
        let to = one.recipients()[0];
        assert!(one.last_reply(to).contains("connection refused"), "{to}");
        assert_eq!(one.last_reply("nobody@x.example"), "");
        assert!(one.next_attempt() > now + Duration::from_secs(30), "{to}");
    }
    queue[0].retry_now().unwrap();
    let woken = server.queue().unwrap();
    assert!(woken.iter().filter(|one| one.attempts() == 0).all(|one| {
        one.next_attempt() == one.time_queued() && one.last_reply(one.recipients()[0]).is_empty()
    }));
}

#[test]
fn a_queue_needs_no_pickup_and_survives_a_clock_that_was_ahead() {
    let (root, relay, hand) = (Root::new(), Scripted::default(), Hand::new());
    let clock = hand.clone();
    let server = MailServer::builder()
        .drop_dir(root.dir("Inbox"), cdonts::Profile::IisDrop)
        .state_dir(root.join("Inbox.state"))
        .queue_dir(root.join("Outgoing"))
        .retry(
            RetrySchedule::default()
                .expire_after(Duration::from_hours(24 * 4000))
                .notice_after(Duration::from_hours(24 * 4000)),
        )
        .relay(relay.clone())
        .clock(move || clock.now())
        .open()
        .unwrap();
    relay.answer("joe@example.net", deferred());
    relay.answer("audit@example.org", deferred());
    let now = hand.now();
    hand.move_on(60 * 24 * 3650);
    send(&server, &["joe@example.net"]);
    server.deliver_now().unwrap();
    let ahead = hand.now().duration_since(now).unwrap();
    hand.0.fetch_sub(ahead.as_secs(), Ordering::Relaxed);
    relay.answers.lock().unwrap().clear();
    server.deliver_now().unwrap();
    assert_eq!((relay.got().len(), server.counts().relayed), (2, 2));
}

#[test]
fn a_destination_that_has_no_way_any_more_is_waited_for() {
    let (root, relay, hand) = (Root::new(), Scripted::default(), Hand::new());
    let to = "joe@example.net";
    send(&builder(&root, &relay, &hand).open().unwrap(), &[to]);
    let elsewhere = root
        .builder()
        .local_domain("example.com")
        .route("example.info", relay.clone())
        .open()
        .unwrap();
    assert_eq!(elsewhere.deliver_now().unwrap().problems(), []);
    let queue = elsewhere.queue().unwrap();
    assert!(
        queue[0].last_reply(to).contains("no relay leads"),
        "{queue:?}"
    );
    drop(queue);
    drop(elsewhere);
    hand.move_on(60);
    let server = builder(&root, &relay, &hand).open().unwrap();
    assert_eq!(server.deliver_now().unwrap().problems(), []);
    assert_eq!(relay.got().len(), 1);
}

#[test]
fn a_state_in_which_nobody_waits_is_the_end_of_its_message() {
    let (root, relay, hand) = (Root::new(), Scripted::default(), Hand::new());
    let server = builder(&root, &relay, &hand).open().unwrap();
    relay.answer("joe@example.net", deferred());
    relay.answer("audit@example.org", deferred());
    send(&server, &["joe@example.net"]);
    server.deliver_now().unwrap();
    let names = root.files("Queue");
    let state = names.iter().find(|name| name.contains(".state")).unwrap();
    let state = root.join(format!("Queue/{state}"));
    let whole = std::fs::read_to_string(&state).unwrap();
    // It is read whole or not at all, and what is not understood is never sent.
    for cut in [
        "cdonts queue 2\nend\n",
        "cdonts queue 1\nqueued x\nend\n",
        "to a\nend\n",
        "",
    ] {
        std::fs::write(&state, cut).unwrap();
        hand.move_on(600);
        assert_eq!(server.deliver_now().unwrap().problems().len(), 1, "{cut}");
    }
    let odd = whole.replace("to joe", "for joe");
    std::fs::write(&state, odd).unwrap();
    assert_eq!(server.deliver_now().unwrap().problems().len(), 1);
    assert_eq!(relay.got().len(), 1);
    // All have it: only its removal was left.
    let none: String = whole
        .lines()
        .filter(|line| !line.starts_with("to "))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&state, none).unwrap();
    hand.move_on(600);
    assert_eq!(server.deliver_now().unwrap().problems(), []);
    assert_eq!((relay.got().len(), root.files("Queue").len()), (1, 0));
}
