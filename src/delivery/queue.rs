//! Messages on their way to other domains: files that wait until a relay has them.
//!
//! ```text
//!   Queue/<id>.eml        the message, its envelope on top; written once, by a hand-over or at once
//!   Queue/<id>.<n>.state  who still waits and when the next attempt is due, after n changes
//! ```
//!
//! Who works on a message holds the lock `<id>`. A state is written and durable before the one
//! before it goes; the message goes before its last state, since without a state all its
//! recipients would get it again. A report to the sender and the state that says so are handed over
//! at one instant ([`Handover`](super::Handover)).

mod attempt;
mod report;
mod schedule;
mod ticket;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use super::spool::Spool;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::format::address::Address;
use crate::format::bytes::{Bytes, read_range};
use crate::format::envelope::{Head, header_end, read_run};
use crate::fs::{Dir, Lock};
use crate::profile::Profile;
use crate::store::FileBytes;
use crate::transport::{Copy, Folder, Transport, publish};
pub(crate) use attempt::{MOST_HOPS, work_off};
pub use schedule::RetrySchedule;
use ticket::{Ticket, Waiting, seconds, time_of};

pub(crate) type Clock = dyn Fn() -> SystemTime + Send + Sync;

/// Where messages to other domains wait, and the ways out of it.
pub(crate) struct Queue {
    pub(crate) dir: Dir,
    /// For every domain without a way of its own.
    pub(crate) relay: Option<Arc<dyn Transport>>,
    /// By domain, in comparison form.
    pub(crate) routes: HashMap<String, Arc<dyn Transport>>,
    pub(crate) schedule: RetrySchedule,
    /// So many messages at once for one destination.
    pub(crate) at_once: usize,
    pub(crate) clock: Option<Box<Clock>>,
}

impl Queue {
    /// The destination of a domain: its own name where it has a way of its own, else the relay's,
    /// which is empty. `None` when no way leads there.
    pub(crate) fn destination(&self, domain: &str) -> Option<&str> {
        match self.routes.get_key_value(domain) {
            Some((domain, _)) => Some(domain),
            None => self.relay.is_some().then_some(""),
        }
    }

    fn way(&self, destination: &str) -> Option<&Arc<dyn Transport>> {
        self.routes.get(destination).or(self.relay.as_ref())
    }

    fn now(&self) -> u64 {
        seconds(
            self.clock
                .as_ref()
                .map_or_else(SystemTime::now, |clock| clock()),
        )
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("dir", &self.dir.path())
            .field("schedule", &self.schedule)
            .finish_non_exhaustive()
    }
}

/// A message that waits for its relay: see [`MailServer::queue`](crate::MailServer::queue).
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # let server = cdonts::MailServer::temporary()?;
/// for message in server.queue()? {
///     println!("{} to {:?}, {} attempts", message.id(), message.recipients(), message.attempts());
///     if message.attempts() > 3 {
///         message.cancel()?;
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct QueuedMessage {
    server: crate::MailServer,
    id: String,
    reverse_path: String,
    ticket: Ticket,
}

impl QueuedMessage {
    /// The name under which the queue has it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Who gets a report when it cannot be delivered; empty for nobody.
    pub fn reverse_path(&self) -> &str {
        &self.reverse_path
    }

    /// The addresses that do not have it yet.
    pub fn recipients(&self) -> Vec<&str> {
        let waiting = self.ticket.waiting.iter();
        waiting.map(|one| one.address.as_str()).collect()
    }

    /// What was said of a recipient the last time; empty before the first attempt.
    pub fn last_reply(&self, recipient: &str) -> &str {
        let mut waiting = self.ticket.waiting.iter();
        let found = waiting.find(|one| one.address == recipient);
        found.map_or("", |one| &one.reply)
    }

    /// How often it was tried.
    pub fn attempts(&self) -> u32 {
        self.ticket.attempts
    }

    /// When it was sent.
    pub fn time_queued(&self) -> SystemTime {
        time_of(self.ticket.queued)
    }

    /// When it is tried again at the earliest.
    pub fn next_attempt(&self) -> SystemTime {
        time_of(self.ticket.next)
    }

    /// Makes it due now; the next round of the delivery tries it.
    ///
    /// # Errors
    /// [`MessageGone`](ErrorKind::MessageGone) when it is delivered or cancelled meanwhile;
    /// [`TimedOut`](ErrorKind::TimedOut) while somebody works on it.
    pub fn retry_now(&self) -> Result<()> {
        let spool = self.server.spool();
        let (file, lock) = self.hold()?;
        let mut ticket = file.ticket.clone();
        ticket.next = 0;
        file.replace_ticket(spool, &ticket)?;
        drop(lock);
        Ok(())
    }

    /// Takes it out of the queue: who does not have it yet never gets it, and nobody a report.
    ///
    /// # Errors
    /// As [`retry_now`](QueuedMessage::retry_now).
    pub fn cancel(&self) -> Result<()> {
        let (file, lock) = self.hold()?;
        file.remove(self.server.spool())?;
        lock.release()?;
        Ok(())
    }

    fn hold(&self) -> Result<(QueueFile, Lock)> {
        let spool = self.server.spool();
        let held = hold(spool, &self.id)?.ok_or_else(|| {
            let message = "the message is being delivered just now; try again";
            Error::new(ErrorKind::TimedOut, message)
        })?;
        match held {
            (Some(file), lock) => Ok((file, lock)),
            (None, lock) => {
                lock.release()?;
                let message = "the message is not in the queue any more";
                Err(Error::new(ErrorKind::MessageGone, message))
            }
        }
    }
}

impl fmt::Debug for QueuedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueuedMessage")
            .field("id", &self.id)
            .field("recipients", &self.recipients())
            .finish_non_exhaustive()
    }
}

/// All messages of the queue, the oldest first.
pub(crate) fn list(server: &crate::MailServer) -> Result<(Vec<QueuedMessage>, Vec<Problem>)> {
    let Some(queue) = &server.spool().queue else {
        return Ok((Vec::new(), Vec::new()));
    };
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    for (id, changes) in names(queue)? {
        match QueueFile::open(server.spool(), queue, &id, changes) {
            Ok(Some(file)) if file.ticket.waiting.is_empty() => {}
            Ok(Some(file)) => all.push(QueuedMessage {
                server: server.clone(),
                id,
                reverse_path: file.reverse_path,
                ticket: file.ticket,
            }),
            Ok(None) => {}
            Err(error) => problems.push(error.into()),
        }
    }
    all.sort_by(|a, b| (a.ticket.queued, &a.id).cmp(&(b.ticket.queued, &b.id)));
    Ok((all, problems))
}

/// What a name in the queue is.
enum Name<'n> {
    Message(&'n str),
    State(&'n str, u32),
}

/// Only names that we give: an id is a lock, and a part of a path.
fn parse_name(name: &str) -> Option<Name<'_>> {
    let (id, rest) = name.split_once('.')?;
    let is_id = id.len() == 32
        && id
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    match (is_id, rest.strip_suffix(".state")) {
        (true, None) if rest == "eml" => Some(Name::Message(id)),
        (true, Some(number)) => Some(Name::State(id, number.parse().ok()?)),
        _ => None,
    }
}

/// The ids in the queue, and the highest state of each.
fn names(queue: &Queue) -> Result<Vec<(String, u32)>> {
    let mut messages: HashMap<String, u32> = HashMap::new();
    let mut states: HashMap<String, u32> = HashMap::new();
    for name in queue.dir.all_names()? {
        match name.to_str().and_then(parse_name) {
            Some(Name::Message(id)) => {
                messages.insert(id.to_owned(), 0);
            }
            Some(Name::State(id, number)) => {
                let highest = states.entry(id.to_owned()).or_default();
                *highest = number.max(*highest);
            }
            None => {}
        }
    }
    for (id, number) in states {
        if let Some(highest) = messages.get_mut(&id) {
            *highest = number;
        }
    }
    Ok(messages.into_iter().collect())
}

fn message_name(id: &str) -> String {
    format!("{id}.eml")
}

fn state_name(id: &str, changes: u32) -> String {
    format!("{id}.{changes}.state")
}

/// A message of the queue and where it stands.
struct QueueFile {
    id: String,
    reverse_path: String,
    /// Octets that go on: without the run.
    range: Range<u64>,
    bytes: Arc<dyn Bytes>,
    /// The header section.
    section: Vec<u8>,
    /// How many states were written.
    changes: u32,
    ticket: Ticket,
}

/// Takes a message for oneself; `None` while another has it. Its state is the newest then: what a
/// process that died had handed over is moved first.
fn hold(spool: &Spool, id: &str) -> Result<Option<(Option<QueueFile>, Lock)>> {
    let Some(queue) = &spool.queue else {
        return Ok(None);
    };
    let Some(lock) = spool.state.ensure()?.take(id)? else {
        return Ok(None);
    };
    if super::has_committed(spool)? {
        super::recover(spool)?;
    }
    // States follow one another, and only who holds the lock writes them.
    let mut names = names(queue)?.into_iter();
    let changes = names.find(|(one, _)| one == id).map(|(_, changes)| changes);
    let file = match changes {
        Some(changes) => QueueFile::open(spool, queue, id, changes)?,
        None => None,
    };
    Ok(Some((file, lock)))
}

impl QueueFile {
    /// `None` if it is gone.
    fn open(spool: &Spool, queue: &Queue, id: &str, changes: u32) -> Result<Option<Self>> {
        let file = match queue.dir.open(message_name(id)) {
            Err(failure) if failure.is_gone() => return Ok(None),
            opened => opened?,
        };
        let modified = file.opened().stamp.modified();
        let path = file.path().to_owned();
        let corrupt = |text: &str| Error::new(ErrorKind::Corrupt, text).with_path(&path);
        let bytes: Arc<dyn Bytes> = Arc::new(FileBytes::new(file)?);
        // A run is one short line for each recipient.
        let most = (spool.limits.recipients as u64).saturating_mul(400);
        let most = most.saturating_add(spool.limits.header_section as u64);
        let head = read_range(bytes.as_ref(), 0, most)?;
        let run = match read_run(Profile::IisDrop, &head, head.len() as u64 == bytes.len()) {
            Head::Run(run) if !run.recipients.is_empty() => run,
            _ => return Err(corrupt("this file of the queue has no envelope; remove it")),
        };
        let below = head.get(run.end..).unwrap_or_default();
        let end = header_end(below).unwrap_or(below.len());
        let ticket = match changes {
            0 => Ticket {
                queued: seconds(modified),
                next: 0,
                attempts: 0,
                is_told: false,
                waiting: run.recipients.iter().map(waiting).collect(),
            },
            _ => {
                let name = state_name(id, changes);
                let state = match queue.dir.open(&name) {
                    Err(failure) if failure.is_gone() => return Ok(None),
                    opened => FileBytes::new(opened?)?,
                };
                let text = String::from_utf8(read_range(&state, 0, state.len())?);
                let ticket = text.ok().and_then(|text| Ticket::decode(&text));
                ticket.ok_or_else(|| {
                    let text = "this state of the queue cannot be understood; remove it to send \
                                the message to all its recipients again";
                    Error::new(ErrorKind::Corrupt, text).with_path(queue.dir.path().join(&name))
                })?
            }
        };
        Ok(Some(Self {
            id: id.to_owned(),
            reverse_path: run.reverse_path,
            range: run.end as u64..bytes.len(),
            section: below.get(..end).unwrap_or_default().to_vec(),
            bytes,
            changes,
            ticket,
        }))
    }

    /// Writes the next state and removes the one before.
    fn replace_ticket(&self, spool: &Spool, ticket: &Ticket) -> Result<()> {
        let Some(queue) = &spool.queue else {
            return Ok(());
        };
        let text = ticket.encode();
        let copy = self.state_copy(&text);
        let content = |_: &mut dyn crate::format::encode::Sink| Ok(());
        let mut copier = crate::transport::Copier::new(&content, spool.durable);
        publish(
            &queue.dir,
            &copy.name,
            &spool.state,
            spool.durable,
            |file| copier.write(&copy, false, file),
        )?;
        self.remove_state(queue);
        Ok(())
    }

    fn state_copy<'t>(&self, text: &'t str) -> Copy<'t> {
        Copy {
            folder: Folder::Queue,
            name: state_name(&self.id, self.changes + 1),
            top: String::new(),
            instead: Some(text),
        }
    }

    /// The state that does not count any more; one that stays is lower than the newest.
    fn remove_state(&self, queue: &Queue) {
        if self.changes > 0 {
            let _ = queue.dir.remove(state_name(&self.id, self.changes));
        }
    }

    /// Removes message and state, in this order.
    fn remove(&self, spool: &Spool) -> Result<()> {
        let Some(queue) = &spool.queue else {
            return Ok(());
        };
        match queue.dir.remove(message_name(&self.id)) {
            Err(failure) if !failure.is_gone() => return Err(failure.into()),
            _ => {}
        }
        if spool.durable {
            queue.dir.sync()?;
        }
        for changes in self.changes.saturating_sub(1)..=self.changes.saturating_add(1) {
            let _ = queue.dir.remove(state_name(&self.id, changes));
        }
        Ok(())
    }
}

fn waiting(address: &Address) -> Waiting {
    Waiting {
        address: address.to_string(),
        reply: String::new(),
    }
}
