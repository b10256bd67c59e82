//! Messages on their way to other domains: files that wait until a relay has them.
//!
//! ```text
//!   Queue/<id>.eml        the message, its envelope on top; written once, by a hand-over or at once
//!   Queue/<id>.state      who still waits and when the next attempt is due; absent at first
//!   Queue/<id>.new        the next state, until it takes the place of that one by a rename
//! ```
//!
//! Who works on a message holds the lock `<id>`. A state is whole and durable before it takes the
//! place of the one before; the message goes before its state, since without a state all its
//! recipients would get it again. A report to the sender and the state that says so are handed over
//! at one instant ([`Handover`](super::Handover)).

mod attempt;
mod report;
mod schedule;
mod ticket;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::spool::Spool;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::format::address::Address;
use crate::format::bytes::{Bytes, read_range};
use crate::format::encode::Sink;
use crate::format::envelope::{Head, header_end, read_run};
use crate::format::fields;
use crate::fs::{Dir, Lock, Stamp};
use crate::profile::Profile;
use crate::store::FileBytes;
use crate::transport::{Copy, Folder, OutFile, Transport};
pub(crate) use attempt::{MOST_HOPS, due, work_off, work_off_some};
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
    /// What is known of messages whose outcome could not be written down.
    pub(crate) memos: Mutex<HashMap<String, Memo>>,
    /// Destinations that could not be reached, and until when they rest.
    pub(crate) resting: Mutex<HashMap<String, u64>>,
    /// The time of the directory when nothing in it was due, and until when that holds.
    pub(crate) rest: Mutex<Option<(Stamp, u64)>>,
}

/// Who has a message already, though the disk does not say so, and when to try again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memo {
    accepted: HashSet<String>,
    attempts: u32,
    not_before: u64,
}

/// A clock may be this coarse: a directory that is younger proves nothing about what came since.
const GRAIN: Duration = Duration::from_secs(2);

impl Queue {
    /// Whether nothing can be due: the directory is as it was, and the first of its messages is not
    /// due yet.
    fn rests(&self) -> Result<bool> {
        let rest = *self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.dir.own_stat()?.stamp;
        Ok(rest.is_some_and(|(known, until)| {
            known == stamp && (until == u64::MAX || self.is_ahead(until))
        }))
    }

    /// The time of the directory, if it is old enough to tell of later changes.
    fn rested_stamp(&self) -> Option<Stamp> {
        let stamp = self.dir.own_stat().ok()?.stamp;
        let age = SystemTime::now().duration_since(stamp.modified()).ok()?;
        (age > GRAIN).then_some(stamp)
    }

    fn rest_until(&self, stamp: Option<Stamp>, until: u64) {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        *rest = stamp.map(|stamp| (stamp, until));
    }

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

    /// Whether it is to be tried.
    fn is_due(&self, ticket: &Ticket) -> bool {
        !self.is_ahead(ticket.next)
    }

    /// Whether that time is to be waited for. A clock that was ahead when it was set, and is not any
    /// more, holds up nothing.
    fn is_ahead(&self, time: u64) -> bool {
        let now = self.now();
        let latest = now.saturating_add(self.schedule.longest_wait().as_secs());
        time > now && time <= latest
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
        if let Some(queue) = &spool.queue {
            queue.wake(&self.id);
        }
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
    for id in names(queue)?.messages {
        match QueueFile::open(server.spool(), queue, &id) {
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

/// What lies in the queue, by id.
#[derive(Default)]
struct Names {
    messages: HashSet<String>,
    /// What stands beside messages, or beside none any more.
    others: Vec<(String, &'static str)>,
}

const ENDINGS: [&str; 2] = [STATE, NEW];
const STATE: &str = "state";
const NEW: &str = "new";

fn names(queue: &Queue) -> Result<Names> {
    let mut names = Names::default();
    for name in queue.dir.all_names()? {
        // Only names that we give: an id is a lock, and a part of a path.
        let is_id = |id: &str| {
            id.len() == 32
                && id
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let parts = name.to_str().and_then(|name| name.split_once('.'));
        let Some((id, ending)) = parts.filter(|(id, _)| is_id(id)) else {
            continue;
        };
        if ending == "eml" {
            names.messages.insert(id.to_owned());
        } else if let Some(ending) = ENDINGS.into_iter().find(|one| *one == ending) {
            names.others.push((id.to_owned(), ending));
        }
    }
    Ok(names)
}

impl Names {
    /// Removes what a process has left that died: states whose message is gone, and states that
    /// did not come to be.
    fn sweep(&self, spool: &Spool, queue: &Queue) -> Result<()> {
        let left = self.others.iter();
        for (id, ending) in
            left.filter(|(id, ending)| *ending == NEW || !self.messages.contains(id))
        {
            let Some(lock) = spool.state.ensure()?.take(id)? else {
                continue;
            };
            let is_gone = || {
                let message = queue.dir.stat(message_name(id));
                message.is_err_and(|failure| failure.is_gone())
            };
            if *ending == NEW || is_gone() {
                let _ = queue.dir.remove(format!("{id}.{ending}"));
            }
            lock.release()?;
        }
        Ok(())
    }
}

fn message_name(id: &str) -> String {
    format!("{id}.eml")
}

fn state_name(id: &str) -> String {
    format!("{id}.{STATE}")
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
    ticket: Ticket,
}

/// What is written of a message; `None` before the first attempt.
fn read_ticket(queue: &Queue, id: &str) -> Result<Option<Ticket>> {
    let file = match queue.dir.open(state_name(id)) {
        Err(failure) if failure.is_gone() => return Ok(None),
        opened => opened?,
    };
    let path = file.path().to_owned();
    let state = FileBytes::new(file)?;
    let text = String::from_utf8(read_range(&state, 0, state.len())?);
    let ticket = text.ok().and_then(|text| Ticket::decode(&text));
    let ticket = ticket.ok_or_else(|| {
        let text = "this state of the queue cannot be understood; remove it to send the message to \
                    all its recipients again";
        Error::new(ErrorKind::Corrupt, text).with_path(path)
    })?;
    Ok(Some(ticket))
}

/// The same, by the message itself where nothing is written yet; `None` if it is gone.
fn ticket_of(spool: &Spool, queue: &Queue, id: &str) -> Result<Option<Ticket>> {
    match read_ticket(queue, id)? {
        Some(ticket) => Ok(Some(ticket)),
        None => Ok(QueueFile::open(spool, queue, id)?.map(|file| file.ticket)),
    }
}

/// Who sweeps locks holds each for a moment.
fn take_lock(spool: &Spool, id: &str) -> Result<Option<Lock>> {
    let dirs = spool.state.ensure()?;
    for _ in 0..3 {
        if let Some(lock) = dirs.take(id)? {
            return Ok(Some(lock));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(None)
}

/// The beginning of a file: its run and the header section, and little more.
fn head_of(bytes: &dyn Bytes, spool: &Spool) -> Result<Vec<u8>> {
    const FIRST: u64 = 16 * 1024;
    // A run is one short line for each recipient.
    let most = (spool.limits.recipients as u64).saturating_mul(400);
    let most = most.saturating_add(spool.limits.header_section as u64);
    let mut wanted = FIRST;
    loop {
        let head = read_range(bytes, 0, wanted.min(most))?;
        let is_all = head.len() as u64 == bytes.len();
        // Behind the run is the header section, and an empty line ends it.
        if is_all || wanted >= most || header_end(&head).is_some() {
            return Ok(head);
        }
        wanted = wanted.saturating_mul(4);
    }
}

/// Whether a state of the message is handed over and not in its place yet.
fn is_handed_over(spool: &Spool, id: &str) -> Result<bool> {
    let Some(dirs) = spool.state.existing()? else {
        return Ok(false);
    };
    for name in dirs.committed.all_names()? {
        let staged = dirs.committed.open_dir(&name);
        let staged = staged.and_then(|dir| dir.open_dir(Folder::Queue.name()));
        match staged.and_then(|dir| dir.stat(state_name(id))) {
            Ok(_) => return Ok(true),
            Err(failure) if failure.is_gone() => {}
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(false)
}

/// Takes a message for oneself; `None` while another has it. Its state is the newest then: what a
/// process that died had handed over is moved first.
fn hold(spool: &Spool, id: &str) -> Result<Option<(Option<QueueFile>, Lock)>> {
    let Some(queue) = &spool.queue else {
        return Ok(None);
    };
    let Some(lock) = take_lock(spool, id)? else {
        return Ok(None);
    };
    if super::has_committed(spool)? {
        super::recover(spool)?;
        if is_handed_over(spool, id)? {
            // Its newest state cannot be moved to its place now.
            return Ok(None);
        }
    }
    let file = QueueFile::open(spool, queue, id)?;
    Ok(Some((file, lock)))
}

impl QueueFile {
    fn message_id(&self) -> String {
        let field = fields::first(&self.section, "Message-ID");
        field.map(|field| field.text()).unwrap_or_default()
    }

    /// `None` if it is gone.
    fn open(spool: &Spool, queue: &Queue, id: &str) -> Result<Option<Self>> {
        let file = match queue.dir.open(message_name(id)) {
            Err(failure) if failure.is_gone() => return Ok(None),
            opened => opened?,
        };
        let modified = file.opened().stamp.modified();
        let path = file.path().to_owned();
        let corrupt = |text: &str| Error::new(ErrorKind::Corrupt, text).with_path(&path);
        let bytes: Arc<dyn Bytes> = Arc::new(FileBytes::new(file)?);
        let head = head_of(bytes.as_ref(), spool)?;
        let run = match read_run(Profile::IisDrop, &head, head.len() as u64 == bytes.len()) {
            Head::Run(run) if !run.recipients.is_empty() => run,
            _ => return Err(corrupt("this file of the queue has no envelope; remove it")),
        };
        let below = head.get(run.end..).unwrap_or_default();
        let end = header_end(below).unwrap_or(below.len());
        let ticket = match read_ticket(queue, id)? {
            Some(ticket) => ticket,
            None => Ticket {
                queued: seconds(modified),
                next: 0,
                attempts: 0,
                is_told: false,
                waiting: run.recipients.iter().map(waiting).collect(),
            },
        };
        Ok(Some(Self {
            id: id.to_owned(),
            reverse_path: run.reverse_path,
            range: run.end as u64..bytes.len(),
            section: below.get(..end).unwrap_or_default().to_vec(),
            bytes,
            ticket,
        }))
    }

    /// Writes the next state, which takes the place of the one before.
    fn replace_ticket(&self, spool: &Spool, ticket: &Ticket) -> Result<()> {
        let Some(queue) = &spool.queue else {
            return Ok(());
        };
        let new = format!("{}.{NEW}", self.id);
        let state = state_name(&self.id);
        // Of a process that died; we hold the lock.
        let _ = queue.dir.remove(&new);
        let mut out = OutFile::new(queue.dir.create(&new)?);
        out.put(ticket.encode().as_bytes())?;
        out.finish(spool.durable)?;
        queue.dir.replace(&new, &queue.dir, &state)?;
        if spool.durable {
            queue.dir.sync()?;
        }
        Ok(())
    }

    /// The next state, as a copy that is handed over beside others.
    fn state_copy<'t>(&self, text: &'t str) -> Copy<'t> {
        Copy {
            folder: Folder::Queue,
            name: state_name(&self.id),
            top: String::new(),
            instead: Some(text),
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
        match queue.dir.remove(state_name(&self.id)) {
            Err(failure) if !failure.is_gone() => Err(failure.into()),
            _ => Ok(()),
        }
    }
}

fn waiting(address: &Address) -> Waiting {
    Waiting {
        address: address.to_string(),
        reply: String::new(),
    }
}
