//! One event for each change of a message's state, for whoever watches (feature `tracing`). It names
//! the message by its Message-ID and by the id that the queue has for it; never a body, nor a
//! password.

/// What became of a message, or of some of its recipients.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// It was sent by the program, or found in Pickup.
    Accepted,
    /// A relay has taken it over.
    Relayed,
    /// Recipients wait on.
    Deferred,
    /// Recipients were given up, and the sender told.
    Bounced,
    /// The sender was told of a delay.
    Delayed,
    /// It went to Badmail.
    Bad,
}

/// `recipients` is 0 where it is about the whole message.
#[cfg(feature = "tracing")]
pub(crate) fn tell(event: Event, recipients: usize, message_id: &str, queue_id: &str) {
    let name = match event {
        Event::Accepted => "accepted",
        Event::Relayed => "relayed",
        Event::Deferred => "deferred",
        Event::Bounced => "bounced",
        Event::Delayed => "delayed",
        Event::Bad => "bad",
    };
    tracing::info!(target: "cdonts", message_id, queue_id, recipients, "{name}");
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn tell(_: Event, _: usize, _: &str, _: &str) {}
