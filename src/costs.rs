//! What each operation costs: exactly how often it opens, reads, writes, syncs and names files,
//! counted by the double of the file system. A sync that is taken out, or one too many, fails here.

#![allow(clippy::disallowed_methods, reason = "tests may write files")]

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::fs::Op;
use crate::fs::double::Plan;
use crate::{
    Draft, Durability, MailServer, MailServerBuilder, NewMail, Outcome, RelayMessage, Reply,
    Session, Writer,
};

/// So many calls of each kind.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cost {
    lists: usize,
    opens: usize,
    reads: usize,
    writes: usize,
    /// Of files and of directories.
    syncs: usize,
    /// Links and renames.
    names: usize,
    removes: usize,
}

struct Fixture {
    root: TempDir,
    plan: Arc<Plan>,
    server: MailServer,
}

impl Fixture {
    fn new(durability: Durability) -> Self {
        Self::with(durability, |builder| builder)
    }

    fn with(
        durability: Durability,
        set: impl FnOnce(MailServerBuilder) -> MailServerBuilder,
    ) -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in ["Pickup", "Drop"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        let plan = Plan::new();
        let mut builder = MailServer::builder()
            .mailroot(root.path())
            .create_directories()
            .local_domain("example.com")
            .durability(durability)
            .drop_writer(Writer::Renames);
        builder.probe = plan.probe();
        let server = set(builder).open().unwrap();
        let fixture = Self { root, plan, server };
        // What is done once for a server is done.
        fixture.draft("first", &["x@example.com"]).send().unwrap();
        fixture.session("x").inbox().messages().unwrap();
        fixture
    }

    fn draft(&self, subject: &str, to: &[&str]) -> Draft {
        let mail = NewMail::new(&self.server).from("shop@example.com");
        let mail = to.iter().fold(mail, |mail, &to| mail.to(to));
        mail.subject(subject).body("text").into_draft()
    }

    fn session(&self, name: &str) -> Session {
        Session::logon_smtp(&self.server, "", format!("{name}@example.com")).unwrap()
    }

    /// Nothing has changed in a directory for long.
    fn age(&self, name: &str) {
        let old = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let dir = std::fs::File::open(self.root.path().join(name)).unwrap();
        dir.set_modified(old).unwrap();
    }

    /// The drop has rested, and what is known of it is written.
    fn rest(&self) {
        self.age("Drop");
        self.session("x").inbox().messages().unwrap();
    }

    fn cost(&self, work: impl FnOnce()) -> Cost {
        self.plan.disarm();
        work();
        let mut cost = Cost::default();
        for (op, _) in self.plan.disarm() {
            match op {
                Op::List => cost.lists += 1,
                Op::Open => cost.opens += 1,
                Op::Read => cost.reads += 1,
                Op::Write => cost.writes += 1,
                Op::Sync | Op::SyncDir => cost.syncs += 1,
                Op::Link | Op::Rename => cost.names += 1,
                Op::Remove => cost.removes += 1,
                _ => {}
            }
        }
        cost
    }
}

#[test]
fn sending_writes_each_file_once_and_syncs_it_and_its_directory() {
    let fixture = Fixture::new(Durability::Durable);
    let sent = |to: &[&str]| {
        let draft = fixture.draft("hello", to);
        fixture.cost(|| drop(draft.send().unwrap()))
    };
    // The file, written without a name; then the name.
    let one_file = Cost {
        opens: 1,
        writes: 1,
        syncs: 2,
        names: 1,
        ..Cost::default()
    };
    assert_eq!(sent(&["jane@example.com"]), one_file);
    assert_eq!(sent(&["a@x.example", "b@x.example"]), one_file);
    // Two files appear together: written into a directory of their own, synced with it and those
    // above it, handed over by one name, moved out by one name each, and cleared away.
    let handed_over = Cost {
        lists: 1,
        opens: 1,
        reads: 1,
        writes: 2,
        syncs: 9,
        names: 3,
        removes: 1,
    };
    assert_eq!(sent(&["jane@example.com", "joe@example.com"]), handed_over);
    // The same with a directory each for Drop and Pickup.
    let to_both = Cost {
        lists: 2,
        syncs: 12,
        ..handed_over
    };
    assert_eq!(sent(&["jane@example.com", "b@x.example"]), to_both);
}

#[test]
fn many_sent_together_share_the_sync_of_the_directory() {
    let fixture = Fixture::new(Durability::Durable);
    let outbox = fixture.session("shop").outbox();
    let drafts: Vec<_> = (0..16)
        .map(|_| fixture.draft("hello", &["jane@example.com"]))
        .collect();
    let cost = fixture.cost(|| assert!(outbox.send_all(drafts).iter().all(Result::is_ok)));
    let expected = Cost {
        opens: 16,
        writes: 16,
        syncs: 17,
        names: 16,
        ..Cost::default()
    };
    assert_eq!(cost, expected);
}

#[test]
fn without_durability_nothing_is_synced() {
    let fixture = Fixture::new(Durability::Atomic);
    let draft = fixture.draft("hello", &["jane@example.com"]);
    let expected = Cost {
        opens: 1,
        writes: 1,
        names: 1,
        ..Cost::default()
    };
    assert_eq!(fixture.cost(|| drop(draft.send().unwrap())), expected);
}

#[test]
fn what_is_known_costs_no_file() {
    let fixture = Fixture::new(Durability::Durable);
    fixture
        .draft("hello", &["jane@example.com"])
        .send()
        .unwrap();
    fixture.rest();
    assert_eq!(
        fixture.cost(|| drop(fixture.session("jane"))),
        Cost::default()
    );
    let inbox = fixture.session("jane").inbox();
    // Where deletions leave their marks.
    let marks = Cost {
        lists: 3,
        ..Cost::default()
    };
    assert_eq!(fixture.cost(|| drop(inbox.messages().unwrap())), marks);
    assert_eq!(
        fixture.cost(|| assert_eq!(inbox.count().unwrap(), 1)),
        marks
    );
    let message = inbox.messages().unwrap().get(0).unwrap();
    let shown = || assert_eq!((message.subject(), message.size() > 0), ("hello", true));
    assert_eq!(fixture.cost(shown), Cost::default());
}

#[test]
fn a_queue_in_which_nothing_is_due_is_not_listed() {
    let busy = |message: &RelayMessage<'_>| {
        vec![Outcome::Deferred(Reply::new(450, "4.3.2", "busy")); message.recipients().len()]
    };
    let fixture = Fixture::with(Durability::Durable, |builder| builder.relay(busy));
    fixture.draft("out", &["a@x.example"]).send().unwrap();
    fixture.server.deliver_now().unwrap();
    let deliver =
        || fixture.cost(|| assert_eq!(fixture.server.deliver_now().unwrap().messages(), 0));
    fixture.age("Queue");
    let first = deliver();
    let second = deliver();
    assert_eq!(second.lists + 1, first.lists);
    assert_eq!(second.opens, 0);
    // Something happened there.
    fixture.draft("out", &["b@x.example"]).send().unwrap();
    assert!(deliver().lists >= first.lists);
    assert_eq!(fixture.server.queue().unwrap()[1].attempts(), 1);
}

#[test]
fn a_text_is_read_with_its_file_opened_once() {
    let fixture = Fixture::new(Durability::Durable);
    fixture
        .draft("hello", &["jane@example.com"])
        .send()
        .unwrap();
    let message = fixture.session("jane").inbox().messages().unwrap();
    let message = message.get(0).unwrap();
    let text = || assert_eq!(message.text().unwrap(), "text");
    // Once more to find out where its parts are: that is kept.
    let first = fixture.cost(text);
    let again = fixture.cost(text);
    assert_eq!((first.opens, first.reads), (2, 6));
    assert_eq!((again.opens, again.reads), (1, 3));
}

#[test]
fn deleting_is_one_rename_that_is_synced_on_both_sides_and_one_removal() {
    let fixture = Fixture::new(Durability::Durable);
    fixture
        .draft("hello", &["jane@example.com"])
        .send()
        .unwrap();
    let message = fixture.session("jane").inbox().messages().unwrap();
    let message = message.get(0).unwrap();
    let expected = Cost {
        opens: 1,
        reads: 1,
        syncs: 3,
        names: 1,
        // The file, and the lock.
        removes: 2,
        ..Cost::default()
    };
    assert_eq!(fixture.cost(|| message.delete().unwrap()), expected);
}
