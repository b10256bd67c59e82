//! The way out that has no files: the message is handed to another server while `send` waits.

use std::sync::Arc;

use super::relay::{Outcome, RelayMessage, Transport};
use super::submit::{Outgoing, Submitted};
use crate::error::{Error, ErrorKind, Result};
use crate::scratch::Scratch;
use crate::state::new_id;

/// Hands a message over to all its recipients.
pub(super) fn hand_over(way: &dyn Transport, outgoing: &Outgoing<'_>) -> Result<Submitted> {
    let mut scratch = Scratch::default();
    let written = (outgoing.content)(&mut scratch);
    let bytes = written.and_then(|()| scratch.finish())?;
    let recipients: Vec<String> = outgoing
        .recipients
        .iter()
        .map(ToString::to_string)
        .collect();
    let id = new_id();
    let outcomes = way.send(&RelayMessage {
        id: &id,
        reverse_path: &outgoing
            .reverse_path
            .map(ToString::to_string)
            .unwrap_or_default(),
        recipients: &recipients,
        range: 0..bytes.len(),
        bytes: Arc::clone(&bytes),
        credentials: outgoing.credentials,
    });
    judge(recipients, outcomes)
}

/// Who has it counts as sent; an error names the others alone.
fn judge(recipients: Vec<String>, outcomes: Vec<Outcome>) -> Result<Submitted> {
    let mut outcomes = outcomes.into_iter();
    let (mut accepted, mut failed) = (Vec::new(), Vec::new());
    for recipient in recipients {
        match outcomes.next() {
            Some(Outcome::Accepted(_)) => accepted.push(recipient),
            other => failed.push((recipient, other)),
        }
    }
    let Some((_, first)) = failed.first() else {
        return Ok(Submitted {
            accepted,
            ..Submitted::default()
        });
    };
    let kind = first.as_ref().map_or(ErrorKind::OutcomeUnknown, kind_of);
    let said = first
        .as_ref()
        .map_or_else(String::new, |one| one.reply().to_string());
    let count = failed.len();
    let message = match (count, accepted.len()) {
        (_, 0) => format!("the mail server did not take the message: {said}"),
        (_, some) => format!(
            "the mail server took the message for {some} recipients and not for {count}: {said}"
        ),
    };
    let error = Error::new(kind, message);
    // The addresses are in order: the server as such was not.
    let is_about_all = matches!(kind, ErrorKind::LogonFailed | ErrorKind::NotPrivate)
        || first.as_ref().is_some_and(|one| one.reply().code() == 0);
    let is_of_recipients = !accepted.is_empty() || !is_about_all;
    let error = error.with_taken(accepted);
    Err(if is_of_recipients {
        error.with_field("To")
    } else {
        error
    })
}

/// A relay tries everything again; who waits is told what trying again is no help for.
fn kind_of(outcome: &Outcome) -> ErrorKind {
    match outcome {
        Outcome::Accepted(_) | Outcome::Unknown(_) => ErrorKind::OutcomeUnknown,
        Outcome::Refused(reply) | Outcome::Deferred(reply)
            if matches!(reply.code(), 534 | 535 | 538) =>
        {
            ErrorKind::LogonFailed
        }
        Outcome::Deferred(reply) if reply.code() == 0 && reply.enhanced() == "4.7.5" => {
            ErrorKind::NotPrivate
        }
        Outcome::Refused(_) => ErrorKind::Refused,
        Outcome::Deferred(_) => ErrorKind::Network,
    }
}
