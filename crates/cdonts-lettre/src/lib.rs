#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

use cdonts::{Envelope, Outbox, Sent};
use lettre::Transport;

/// An [`Outbox`] as a [`Transport`] of lettre. (The trait cannot stand on `Outbox` itself: neither
/// is this crate's own.)
#[derive(Clone, Debug)]
pub struct OutboxTransport(Outbox);

impl OutboxTransport {
    /// Sends through this Outbox.
    #[must_use]
    pub fn new(outbox: Outbox) -> Self {
        Self(outbox)
    }
}

impl From<Outbox> for OutboxTransport {
    fn from(outbox: Outbox) -> Self {
        Self::new(outbox)
    }
}

impl Transport for OutboxTransport {
    type Ok = Sent;
    type Error = cdonts::Error;

    fn send_raw(
        &self,
        envelope: &lettre::address::Envelope,
        email: &[u8],
    ) -> Result<Sent, cdonts::Error> {
        let reverse_path = envelope.from().map(ToString::to_string).unwrap_or_default();
        let recipients = envelope.to().iter().map(ToString::to_string);
        self.0
            .send_raw(&Envelope::new(reverse_path, recipients), email)
    }
}
