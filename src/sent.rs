//! What became of a message that was sent.

use crate::delivery::{Event, tell};
use crate::error::Problem;
use crate::transport::Submitted;

/// What [`Draft::send`](crate::Draft::send) did.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # use cdonts::*;
/// # let server = MailServer::temporary()?;
/// let sent = NewMail::new(&server)
///     .from("shop@example.com")
///     .to("jane@example.com; joe@example.net")
///     .subject("Your order")
///     .send()?;
/// assert_eq!(sent.delivered(), ["jane@example.com"]);
/// assert_eq!(sent.files().len(), 1); // for joe, at the mail server that takes it from Pickup
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sent {
    message_id: String,
    submitted: std::sync::Arc<Submitted>,
}

impl Sent {
    /// What was sent just now.
    pub(crate) fn new(message_id: String, submitted: Submitted) -> Self {
        let queued = submitted.queued.first().map_or("", String::as_str);
        tell(Event::Accepted, 0, &message_id, queued);
        Self {
            message_id,
            submitted: std::sync::Arc::new(submitted),
        }
    }

    /// The Message-ID, with its brackets; replies and delivery reports name it.
    pub fn message_id(&self) -> &str {
        &self.message_id
    }

    /// The addresses that have the message in their Inbox now.
    pub fn delivered(&self) -> &[String] {
        &self.submitted.delivered
    }

    /// The names of the files that were put into Pickup for other domains: none or one.
    pub fn files(&self) -> &[String] {
        &self.submitted.files
    }

    /// The addresses for which another server has taken the message over: those of an
    /// [Outbox](crate::MailServerBuilder::outbox) that hands it on at once.
    pub fn accepted(&self) -> &[String] {
        &self.submitted.accepted
    }

    /// The ids under which the queue has it for other domains: one for each destination, none
    /// without a relay. [`MailServer::queue`](crate::MailServer::queue) tells how far they are.
    pub fn queued(&self) -> &[String] {
        &self.submitted.queued
    }

    /// Usually empty. The message is sent, but some copy could not be moved to its place yet, or
    /// its directory not be synced: what and why. It is tried again by
    /// [`MailServer::deliver_pending`](crate::MailServer::deliver_pending), when the server is
    /// opened, and when an Inbox is looked at.
    pub fn pending(&self) -> &[Problem] {
        &self.submitted.pending
    }
}
