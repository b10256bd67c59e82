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
mod file;
mod listed;
mod report;
mod schedule;
mod ticket;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::spool::Spool;
use crate::error::Result;
use crate::fs::{Dir, Stamp};
use crate::sync::{Mutex, PoisonError};
use crate::transport::Transport;
pub(crate) use attempt::{due, work_off, work_off_some};
use file::message_name;
pub use listed::QueuedMessage;
pub(crate) use listed::list;
pub use schedule::RetrySchedule;
use ticket::{Ticket, seconds};

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
    /// Destinations that could not be reached.
    pub(crate) resting: Mutex<HashMap<String, Resting>>,
    /// The time of the directory when nothing in it was due, and until when that holds.
    pub(crate) rest: Mutex<Option<(Stamp, u64)>>,
}

/// A destination that could not be reached.
#[derive(Clone, Debug)]
pub(crate) struct Resting {
    /// Until when nothing is tried there.
    until: u64,
    /// What was said instead of an answer.
    reply: String,
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

    /// How long a message waits. When it was queued in the future, the clock was wrong then or is
    /// wrong now: then it waits as long as its attempts take by the schedule.
    fn age(&self, ticket: &Ticket) -> Duration {
        match self.now().checked_sub(ticket.queued) {
            Some(age) => Duration::from_secs(age),
            None => self.schedule.waited(ticket.attempts),
        }
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

/// How many messages lie in a directory that was a queue.
pub(crate) fn count_left(dir: &Dir) -> Result<usize> {
    names(dir).map(|names| names.messages.len())
}

fn names(dir: &Dir) -> Result<Names> {
    let mut names = Names::default();
    for name in dir.all_names()? {
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
