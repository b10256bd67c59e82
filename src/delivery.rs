//! The embedded half of a mail server: from Pickup to Drop for the local domains, and by the queue
//! to the relay for the others.
//!
//! What each step writes, what is synced when, and what a crash finds is told in the module of
//! that step. The one instant that matters is [`handover`]'s rename.

mod counters;
mod events;
mod foreign;
mod handover;
mod queue;
mod recover;
mod spool;

pub(crate) use counters::Counters;
pub use counters::Counts;
pub(crate) use events::{Event, tell};
pub use foreign::Delivered;
pub(crate) use foreign::{deliver, deliver_pickup, without_doubles};
pub(crate) use handover::Handover;
pub(crate) use queue::{Clock, Queue, count_left, due, list as list_queue, work_off_some};
pub use queue::{QueuedMessage, RetrySchedule};
pub(crate) use recover::{has_committed, recover, recover_in};
pub(crate) use spool::{Outbox, Pickup, Spool};
