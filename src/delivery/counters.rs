//! What a mail server has done since it was opened.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of a server since this process opened it, for monitoring.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # use cdonts::*;
/// let server = MailServer::temporary()?;
/// NewMail::new(&server).from("a@example.com").to("jane@example.com").send()?;
/// let counts = server.counts();
/// assert_eq!((counts.accepted, counts.delivered, counts.bounced), (1, 1, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Messages taken over: sent by the program, or found in Pickup.
    pub accepted: u64,
    /// Copies that went into local Inboxes.
    pub delivered: u64,
    /// Recipients for whom a relay has taken a message over.
    pub relayed: u64,
    /// Attempts after which a recipient waits on.
    pub deferred: u64,
    /// Recipients given up: their senders got a report.
    pub bounced: u64,
    /// Messages that went to Badmail.
    pub bad: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) accepted: AtomicU64,
    pub(crate) delivered: AtomicU64,
    pub(crate) relayed: AtomicU64,
    pub(crate) deferred: AtomicU64,
    pub(crate) bounced: AtomicU64,
    pub(crate) bad: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

impl Counters {
    /// A message was sent, and so many local Inboxes have it.
    pub(crate) fn sent(&self, delivered: usize) {
        add(&self.accepted, 1);
        add(&self.delivered, delivered);
    }

    pub(crate) fn read(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            accepted: of(&self.accepted),
            delivered: of(&self.delivered),
            relayed: of(&self.relayed),
            deferred: of(&self.deferred),
            bounced: of(&self.bounced),
            bad: of(&self.bad),
        }
    }
}
