//! What waits in the queue, for whoever looks after it.

use std::fmt;
use std::time::SystemTime;

use super::file::{QueueFile, hold};
use super::ticket::{Ticket, time_of};
use super::{Resting, names};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::Lock;

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
    /// Its destination could not be reached a moment ago.
    held_up: Option<Resting>,
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

    /// What was said of a recipient the last time. Before the first attempt it is why its destination
    /// could not be reached for another message, else empty.
    pub fn last_reply(&self, recipient: &str) -> &str {
        let mut waiting = self.ticket.waiting.iter();
        let found = waiting.find(|one| one.address == recipient);
        let reply = found.map(|one| one.reply.as_str());
        match (reply, &self.held_up) {
            (Some(""), Some(held_up)) => &held_up.reply,
            (reply, _) => reply.unwrap_or_default(),
        }
    }

    /// How often it was tried.
    pub fn attempts(&self) -> u32 {
        self.ticket.attempts
    }

    /// When it was sent.
    pub fn time_queued(&self) -> SystemTime {
        time_of(self.ticket.queued)
    }

    /// When it is tried again at the earliest: a time that has passed for what is due.
    pub fn next_attempt(&self) -> SystemTime {
        let due = match self.ticket.next {
            0 => self.ticket.queued,
            next => next,
        };
        let rests_until = self.held_up.as_ref().map_or(0, |rest| rest.until);
        time_of(due.max(rests_until))
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
        let held = spool
            .queue
            .as_ref()
            .map(|queue| hold(spool, queue, &self.id));
        let held = held.transpose()?.flatten().ok_or_else(|| {
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

/// All messages of the queue that can be understood, the oldest first.
pub(crate) fn list(server: &crate::MailServer) -> Result<Vec<QueuedMessage>> {
    let Some(queue) = &server.spool().queue else {
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    for id in names(&queue.dir)?.messages {
        // What is wrong with a file, the delivery tells.
        let Ok(Some(file)) = QueueFile::open(server.spool(), queue, &id) else {
            continue;
        };
        if !file.ticket.waiting.is_empty() {
            all.push(QueuedMessage {
                server: server.clone(),
                id,
                reverse_path: file.reverse_path,
                held_up: queue.held_up(&file.ticket),
                ticket: file.ticket,
            });
        }
    }
    all.sort_by(|a, b| (a.ticket.queued, &a.id).cmp(&(b.ticket.queued, &b.id)));
    Ok(all)
}
