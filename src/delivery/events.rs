//! One event for each change of a message's state, for whoever watches (feature `tracing`). It names
//! the message by its Message-ID and by the id that the queue has for it; never a body, nor a
//! password.

/// What became of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// It was sent by the program, or found in Pickup.
    Accepted,
    /// Relays have taken it over for so many recipients.
    Relayed(usize),
    /// So many recipients wait on.
    Deferred(usize),
    /// So many recipients were given up, and the sender told.
    Bounced(usize),
    /// The sender was told of a delay.
    Delayed,
    /// It went to Badmail.
    Bad,
}

#[cfg(feature = "tracing")]
pub(crate) fn tell(event: Event, message_id: &str, queue_id: &str) {
    let (name, recipients) = match event {
        Event::Accepted => ("accepted", 0),
        Event::Relayed(count) => ("relayed", count),
        Event::Deferred(count) => ("deferred", count),
        Event::Bounced(count) => ("bounced", count),
        Event::Delayed => ("delayed", 0),
        Event::Bad => ("bad", 0),
    };
    tracing::info!(target: "cdonts", message_id, queue_id, recipients, "{name}");
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn tell(_: Event, _: &str, _: &str) {}
