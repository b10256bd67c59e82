//! One event for each change of a message's state, and nothing that is private in it.
#![cfg(feature = "tracing")]

mod support;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use cdonts::{NewMail, Outcome, RelayMessage, Reply, Transport};
use support::Root;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

#[derive(Clone, Default)]
struct Collect(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}

impl Subscriber for Collect {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("cdonts")
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Half;

impl Transport for Half {
    fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome> {
        let reply = Reply::new(550, "5.1.1", "no");
        let of = |to: &String| match to.as_str() {
            "no@example.net" => Outcome::Refused(reply.clone()),
            "later@example.net" => Outcome::Deferred(reply.clone()),
            _ => Outcome::Accepted(reply.clone()),
        };
        message.recipients().iter().map(of).collect()
    }
}

#[test]
fn each_change_is_told_with_the_ids_of_the_message_and_without_its_text() {
    let collect = Collect::default();
    tracing::subscriber::set_global_default(collect.clone()).unwrap();
    let root = Root::new();
    let server = root
        .builder()
        .create_directories()
        .local_domain("example.com")
        .relay(Half)
        .open()
        .unwrap();
    let sent = NewMail::new(&server)
        .from("shop@example.com")
        .to("yes@example.net; no@example.net; later@example.net")
        .subject("confidential subject")
        .body("confidential body")
        .send()
        .unwrap();
    server.deliver_now().unwrap();
    let told = collect.0.lock().unwrap().clone();
    let of_this: Vec<_> = told
        .iter()
        .filter(|line| line.contains(sent.message_id()) && line.contains(&sent.queued()[0]))
        .collect();
    for name in ["accepted", "relayed", "bounced", "deferred"] {
        assert!(
            of_this.iter().any(|line| line.contains(name)),
            "{name} {told:?}"
        );
    }
    assert_eq!(of_this.len(), 4, "{told:?}");
    assert!(!told.iter().any(|line| line.contains("confidential")));
}
