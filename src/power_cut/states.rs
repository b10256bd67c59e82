//! The states of one message as `docs/states.md` lists them: each that a power cut leaves is one of
//! its rows, each row is left by some cut, and the next start does what the row says.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::disk::{Disk, Recorder, Tree};
use super::explore::{Scope, each_state};
use super::{ATTACHED, empty, open, send, shown, texts};
use crate::fs::Probe;
use crate::fs::double::{Plan, place};
use crate::{MailServer, NewMail, Outcome, RelayMessage, Reply, Session, Transport, Writer};

/// A row of the page: its name, and its cells.
struct Row {
    name: String,
    cells: Vec<String>,
}

/// The rows whose names begin with that letter.
fn rows(letter: char) -> Vec<Row> {
    let page = include_str!("../../docs/states.md");
    let rows = page.lines().filter_map(|line| {
        let mut cells = line
            .strip_prefix("| ")?
            .split('|')
            .map(|cell| cell.trim().to_owned());
        let name = cells.next()?;
        let is_row = name.starts_with(letter) && name[1..2].parse::<u32>().is_ok();
        is_row.then(|| Row {
            name,
            cells: cells.collect(),
        })
    });
    rows.collect()
}

/// Which rows were seen.
struct Visits {
    rows: Vec<Row>,
    seen: BTreeSet<String>,
}

impl Visits {
    fn new(letter: char) -> Self {
        Self {
            rows: rows(letter),
            seen: BTreeSet::new(),
        }
    }

    /// The row whose first cells are these.
    fn row(&mut self, shape: &[&str], tree: &Tree) -> &Row {
        let fits = |row: &&Row| {
            let mut cells = row.cells.iter().zip(shape);
            cells.all(|(cell, word)| cell == "any" || cell.split(" or ").any(|one| one == *word))
        };
        let Some(row) = self.rows.iter().find(fits) else {
            panic!("{shape:?} is in no row: {:#?}", tree.0.keys());
        };
        self.seen.insert(row.name.clone());
        row
    }

    fn assert_all_seen(&self) {
        let missed: Vec<_> = self.rows.iter().map(|row| &row.name).collect();
        let missed: Vec<_> = missed
            .into_iter()
            .filter(|name| !self.seen.contains(*name))
            .collect();
        assert!(missed.is_empty(), "no cut left {missed:?}");
        assert!(!self.rows.is_empty());
    }
}

/// The copies of a message below a directory: how many are whole, and whether there are others.
fn copies(tree: &Tree, below: &str, is_copy: impl Fn(&str) -> bool, end: &[u8]) -> (usize, bool) {
    let within = tree.0.iter().filter(|(path, _)| path.starts_with(below));
    let files = within.filter_map(|(path, left)| Some((path.to_str()?, left.as_ref()?)));
    let (mut whole, mut is_cut) = (0, false);
    for (_, left) in files.filter(|(path, _)| is_copy(path)) {
        if left.bytes.ends_with(end) {
            whole += 1;
        } else {
            is_cut = true;
        }
    }
    (whole, is_cut)
}

/// The word of the page for so many copies of three.
fn word(exists: bool, copies: (usize, bool), all: usize, none: &'static str) -> &'static str {
    match copies {
        _ if !exists => "–",
        (0, false) => none,
        (whole, false) if whole == all => "all",
        _ => "part",
    }
}

fn exists(tree: &Tree, dir: &str) -> bool {
    !tree.names(dir).is_empty()
}

fn is_claim(path: &str) -> bool {
    path.contains("/claim/")
}

#[test]
fn each_state_of_sending_is_left_by_a_cut_and_ends_as_the_table_says() {
    let (root, plan) = (place(), Plan::new());
    let server = open(root.path(), plan.probe());
    // The directories are there, as they are after the first message.
    send(&server).unwrap();
    empty(root.path());
    let recorder = Recorder::new(root.path(), &plan);
    send(&server).unwrap();
    let disk = recorder.disk();
    let mut visits = Visits::new('S');
    let states = each_state(&disk, Scope::All, |_, tree| {
        let of = |dir: &str| copies(tree, dir, |_| true, b"--\r\n");
        let (drop, pickup) = (of("Drop"), of("Pickup"));
        let shape = [
            word(
                exists(tree, "State/staging"),
                of("State/staging"),
                3,
                "part",
            ),
            word(
                exists(tree, "State/committed"),
                of("State/committed"),
                3,
                "empty",
            ),
            word(true, (drop.0 + pickup.0, drop.1 || pickup.1), 3, "–"),
        ];
        let row = visits.row(&shape, tree);
        let root = place();
        tree.build(root.path());
        let server = open(root.path(), Probe::default());
        let is_sent = texts(&server, "jane@example.com").len() == 1;
        assert_eq!(
            row.cells[3],
            if is_sent { "yes" } else { "no" },
            "{}",
            row.name
        );
        for dir in ["staging", "committed", "locks"] {
            let left = std::fs::read_dir(root.path().join("State").join(dir)).unwrap();
            assert_eq!(left.count(), 0, "{dir} {}", row.name);
        }
    });
    shown("the states of sending", &disk, states);
    visits.assert_all_seen();
}

#[test]
fn each_state_of_a_claim_is_left_by_a_cut_and_ends_as_the_table_says() {
    let (root, plan) = (place(), Plan::new());
    let server = open(root.path(), plan.probe());
    send(&server).unwrap();
    empty(root.path());
    let text = "X-Sender: app@example.com\r\nX-Receiver: jane@example.com\r\n\
        X-Receiver: joe@example.com\r\nX-Receiver: far@example.net\r\n\r\nbody\r\n";
    std::fs::write(root.path().join("Pickup/claim.eml"), text).unwrap();
    let recorder = Recorder::new(root.path(), &plan);
    server.deliver_now().unwrap();
    let disk = recorder.disk();
    let mut visits = Visits::new('F');
    let all = 3;
    let states = each_state(&disk, Scope::All, |_, tree| {
        let is_foreign = |path: &str| path.ends_with("Pickup/claim.eml");
        let claim = |dir: &str| copies(tree, dir, is_claim, b"body\r\n").0 == 1;
        let own = |dir: &str| {
            copies(
                tree,
                dir,
                |path| !is_claim(path) && !is_foreign(path),
                b"body\r\n",
            )
        };
        let with_claim = |dir: &str, none: &'static str| match (
            claim(dir),
            word(exists(tree, dir), own(dir), all, "none"),
        ) {
            (true, "none") => "claim".to_owned(),
            (false, "none") => none.to_owned(),
            (true, word) => format!("claim, {word}"),
            (false, word) => word.to_owned(),
        };
        let (drop, pickup) = (own("Drop"), own("Pickup"));
        let is_waiting = copies(tree, "Pickup", is_foreign, b"body\r\n").0 == 1;
        let shape = [
            if is_waiting { "claim" } else { "–" },
            &with_claim("State/staging", "part"),
            &with_claim("State/committed", "empty"),
            word(true, (drop.0 + pickup.0, drop.1 || pickup.1), all, "–"),
        ];
        let row = visits.row(&shape, tree);
        let root = place();
        tree.build(root.path());
        // A start alone brings on what is sent and puts back what is not.
        let server = open(root.path(), Probe::default());
        let is_sent = texts(&server, "jane@example.com").len() == 1;
        assert_eq!(
            row.cells[4],
            if is_sent { "yes" } else { "no" },
            "{}",
            row.name
        );
        let is_back = root.path().join("Pickup/claim.eml").exists();
        assert_eq!(is_back, !is_sent, "{}", row.name);
        server.deliver_now().unwrap();
        for name in ["jane", "joe"] {
            let got = texts(&server, &format!("{name}@example.com"));
            assert_eq!(got, ["body"], "{}", row.name);
        }
    });
    shown("the states of a claim", &disk, states);
    visits.assert_all_seen();
}

/// Takes `yes`, refuses `no`, and takes `later` at the second time.
struct Relay {
    recorder: Option<Recorder>,
    taken: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Transport for Relay {
    fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome> {
        let mut taken = self.taken.lock().unwrap();
        let mut answer = |to: &String| {
            taken.push(to.clone());
            let is_first = taken.iter().filter(|one| *one == to).count() == 1;
            match to.split('@').next() {
                Some("no") => Outcome::Refused(Reply::new(550, "5.1.1", "no such user")),
                Some("later") if is_first && self.recorder.is_some() => {
                    Outcome::Deferred(Reply::new(451, "4.7.1", "later"))
                }
                _ => {
                    if let Some(recorder) = &self.recorder {
                        recorder.note(format!("taken {to}"));
                    }
                    Outcome::Accepted(Reply::new(250, "2.0.0", "ok"))
                }
            }
        };
        message.recipients().iter().map(&mut answer).collect()
    }
}

fn open_relaying(root: &Path, probe: Probe, relay: Relay, hours: u64) -> MailServer {
    let mut builder = MailServer::builder()
        .mailroot(root)
        .create_directories()
        .local_domain("example.com")
        .drop_writer(Writer::Renames)
        .pickup_writer(Writer::Renames)
        .relay(relay)
        .clock(move || SystemTime::now() + Duration::from_secs(hours * 3600 + 1));
    builder.probe = probe;
    builder.open().unwrap()
}

/// What lies in the queue and what was handed over with it, in the words of the page.
fn queue_shape(tree: &Tree) -> [String; 3] {
    let files = |dir: &str| {
        let below = tree.0.iter().filter(|(path, _)| path.starts_with(dir));
        let files = below.filter(|(_, left)| left.is_some());
        files
            .filter_map(|(path, _)| path.to_str())
            .collect::<Vec<_>>()
    };
    let say = |words: &[(&str, bool)], none: &str| {
        let said: Vec<_> = words.iter().filter(|(_, is_there)| *is_there).collect();
        match said.as_slice() {
            [] => none.to_owned(),
            said => said
                .iter()
                .map(|(word, _)| *word)
                .collect::<Vec<_>>()
                .join(", "),
        }
    };
    let (queue, committed) = (files("Queue"), files("State/committed"));
    let has = |files: &[&str], what: &dyn Fn(&str) -> bool| files.iter().any(|path| what(path));
    let queue = say(
        &[
            ("message", has(&queue, &|path| path.ends_with(".eml"))),
            ("state", has(&queue, &|path| path.ends_with(".state"))),
        ],
        "–",
    );
    let none = if exists(tree, "State/committed") {
        "empty"
    } else {
        "–"
    };
    let committed = say(
        &[
            ("report", has(&committed, &|path| path.contains("/drop/"))),
            ("state", has(&committed, &|path| path.ends_with(".state"))),
        ],
        none,
    );
    let inbox = say(&[("report", !files("Drop").is_empty())], "–");
    [queue, committed, inbox]
}

#[test]
fn each_state_of_waiting_for_a_relay_is_left_by_a_cut_and_ends_as_the_table_says() {
    let (root, plan) = (place(), Plan::new());
    let relay = |recorder: Option<&Recorder>, taken: &Arc<std::sync::Mutex<Vec<String>>>| Relay {
        recorder: recorder.cloned(),
        taken: Arc::clone(taken),
    };
    let taken = Arc::default();
    let server = open_relaying(root.path(), Probe::default(), relay(None, &taken), 0);
    let mail = NewMail::new(&server).from("shop@example.com").subject("Hi");
    let mail = mail.to("yes@example.net; no@example.net; later@example.net");
    mail.body("text")
        .attach_bytes("data.bin", ATTACHED)
        .send()
        .unwrap();
    drop(server);
    let recorder = Recorder::new(root.path(), &plan);
    for hours in [0, 2] {
        let relay = relay(Some(&recorder), &taken);
        let server = open_relaying(root.path(), plan.probe(), relay, hours);
        server.deliver_now().unwrap();
    }
    assert_eq!(recorder.disk().told(usize::MAX).count(), 2);
    let disk = recorder.disk();
    let mut visits = Visits::new('Q');
    let states = each_state(&disk, Scope::All, |step, tree| {
        let shape = queue_shape(tree);
        let row = visits.row(&shape.each_ref().map(String::as_str), tree);
        let root = place();
        tree.build(root.path());
        let again = Arc::default();
        for hours in [0, 4, 8] {
            let relay = relay(None, &again);
            let server = open_relaying(root.path(), Probe::default(), relay, hours);
            assert_eq!(server.deliver_now().unwrap().problems(), [], "{}", row.name);
        }
        check_queue_end(&disk, step, root.path(), &again.lock().unwrap(), &row.name);
    });
    shown("W5, the states of waiting for a relay", &disk, states);
    visits.assert_all_seen();
}

/// In the end each has the message, or the sender was told, and told once.
fn check_queue_end(disk: &Disk, step: usize, root: &Path, again: &[String], row: &str) {
    for to in ["yes@example.net", "later@example.net"] {
        let before = disk
            .told(step)
            .filter(|told| *told == format!("taken {to}"))
            .count();
        let after = again.iter().filter(|one| *one == to).count();
        assert!(
            (1..=2).contains(&(before + after)),
            "{to}: {before} and {after}, {row}"
        );
    }
    assert_eq!(
        std::fs::read_dir(root.join("Queue")).unwrap().count(),
        0,
        "{row}"
    );
    let server = super::open(root, Probe::default());
    let session = Session::logon_smtp(&server, "", "shop@example.com").unwrap();
    assert_eq!(session.inbox().count().unwrap(), 1, "told once: {row}");
}

#[test]
fn each_state_of_deleting_is_left_by_a_cut_and_ends_as_the_table_says() {
    let (root, plan) = (place(), Plan::new());
    drop(open(root.path(), Probe::default()));
    let text = "X-Sender: s@example.net\r\nX-Receiver: jane@example.com\r\n\
        X-Receiver: joe@example.com\r\n\r\nbody\r\n";
    std::fs::write(root.path().join("Drop/a.eml"), text).unwrap();
    let server = open(root.path(), plan.probe());
    // The directories are there, and who looks once more has swept what was left.
    send(&server).unwrap();
    for file in std::fs::read_dir(root.path().join("Drop")).unwrap() {
        let file = file.unwrap();
        if file.file_name() != "a.eml" {
            std::fs::remove_file(file.path()).unwrap();
        }
    }
    let recorder = Recorder::new(root.path(), &plan);
    for name in ["jane", "joe"] {
        let session = Session::logon_smtp(&server, "", format!("{name}@example.com")).unwrap();
        let message = session.inbox().messages().unwrap().get(0).unwrap();
        message.delete().unwrap();
        recorder.note(name);
    }
    let disk = recorder.disk();
    let mut visits = Visits::new('D');
    let states = each_state(&disk, Scope::All, |step, tree| {
        let is_there = |dir: &str| copies(tree, dir, |_| true, b"body\r\n").0 == 1;
        let removing = match (is_there("State/removing"), exists(tree, "State/removing")) {
            (true, _) => "file",
            (false, true) => "empty",
            (false, false) => "–",
        };
        let marks = ["–", "one", "each"][tree.names("State/marks").len()];
        let shape = [if is_there("Drop") { "file" } else { "–" }, marks, removing];
        let row = visits.row(&shape, tree);
        let root = place();
        tree.build(root.path());
        let server = open(root.path(), Probe::default());
        let seers =
            ["jane", "joe"].map(|name| texts(&server, &format!("{name}@example.com")).len());
        let wanted: &[[usize; 2]] = match row.cells[3].as_str() {
            "all" => &[[1, 1]],
            "the others" => &[[0, 1]],
            _ => &[[0, 0]],
        };
        assert!(wanted.contains(&seers), "{seers:?} {}", row.name);
        for (name, seen) in ["jane", "joe"].iter().zip(seers) {
            if disk.told(step).any(|told| told == *name) {
                assert_eq!(seen, 0, "it came back to {name}: {}", row.name);
            }
        }
        let left = root
            .path()
            .join("State/removing")
            .read_dir()
            .unwrap()
            .count();
        assert_eq!(left, 0, "{}", row.name);
        assert_eq!(
            root.path().join("Drop/a.eml").exists(),
            seers != [0, 0],
            "{}",
            row.name
        );
    });
    shown("the states of deleting", &disk, states);
    visits.assert_all_seen();
}
