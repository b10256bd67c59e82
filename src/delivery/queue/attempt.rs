//! One round of the queue: what is due is handed to its relay, and what it answers is written down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::report::{Action, Report, Told};
use super::{Queue, QueueFile, Waiting, hold, names};
use crate::delivery::counters::add;
use crate::delivery::{Event, Spool, tell};
use crate::error::{Problem, Result};
use crate::format::fields;
use crate::transport::{Outcome, RelayMessage, Reply};

/// So many servers a message may have come by (RFC 5321 section 6.3): more is a loop.
pub(crate) const MOST_HOPS: usize = 50;

/// Tries what is due, until `stops` says to end after what is in hand; returns what could not be
/// done.
pub(crate) fn work_off(spool: &Spool, stops: &(dyn Fn() -> bool + Sync)) -> Result<Vec<Problem>> {
    let Some(queue) = &spool.queue else {
        return Ok(Vec::new());
    };
    if queue.rests()? {
        return Ok(Vec::new());
    }
    let before = queue.rested_stamp();
    let mut due: HashMap<String, Vec<String>> = HashMap::new();
    let mut problems = Vec::new();
    let names = names(queue)?;
    if let Err(error) = names.sweep(spool, queue) {
        problems.push(error.into());
    }
    let mut next = u64::MAX;
    for id in names.messages {
        match QueueFile::open(spool, queue, &id) {
            Ok(Some(file)) if file.ticket.next <= queue.now() => {
                due.entry(destination(queue, &file)).or_default().push(id);
            }
            Ok(Some(file)) => next = next.min(file.ticket.next),
            Ok(None) => {}
            Err(error) => problems.push(error.into()),
        }
    }
    if due.is_empty() && problems.is_empty() {
        queue.rest_until(before, next);
    }
    let problems = Mutex::new(problems);
    std::thread::scope(|scope| {
        for ids in due.into_values() {
            let threads = queue.at_once.min(ids.len());
            let ids = Arc::new(Mutex::new(ids));
            for _ in 0..threads {
                let (ids, problems) = (Arc::clone(&ids), &problems);
                scope.spawn(move || {
                    let next = || ids.lock().ok()?.pop().filter(|_| !stops());
                    while let Some(id) = next() {
                        if let Err(error) = attempt(spool, queue, &id)
                            && let Ok(mut problems) = problems.lock()
                        {
                            problems.push(error.into());
                        }
                    }
                });
            }
        }
    });
    Ok(problems.into_inner().unwrap_or_default())
}

/// Where the first of those who wait is to be reached; all of a file have the same, unless the
/// ways were changed since.
fn destination(queue: &Queue, file: &QueueFile) -> String {
    let first = file.ticket.waiting.first();
    let found = first.and_then(|one| queue.destination(domain(&one.address)));
    found.unwrap_or_default().to_owned()
}

fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// One message: its lock is held until the outcome is written.
fn attempt(spool: &Spool, queue: &Queue, id: &str) -> Result<()> {
    let Some((file, lock)) = hold(spool, id)? else {
        return Ok(());
    };
    let Some(file) = file else {
        return lock.release().map_err(Into::into);
    };
    if file.ticket.next > queue.now() {
        // Somebody else was faster.
        return Ok(());
    }
    if file.ticket.waiting.is_empty() {
        // All that was left was to remove it.
        file.remove(spool)?;
        return lock.release().map_err(Into::into);
    }
    let age = Duration::from_secs(queue.now().saturating_sub(file.ticket.queued));
    let hops = fields::fields(&file.section).filter(|field| field.is("Received"));
    let outcomes = if hops.count() > MOST_HOPS {
        let reply = Reply::new(
            554,
            "5.4.6",
            "the message has come by too many servers: a loop",
        );
        vec![Outcome::Refused(reply); file.ticket.waiting.len()]
    } else {
        hand_on(queue, &file)
    };
    if settle(spool, queue, &file, &outcomes, age)? {
        lock.release()?;
    }
    Ok(())
}

/// One outcome for each who waits.
fn hand_on(queue: &Queue, file: &QueueFile) -> Vec<Outcome> {
    let waiting = &file.ticket.waiting;
    let of = |one: &Waiting| queue.destination(domain(&one.address));
    let mut outcomes: Vec<Option<Outcome>> = vec![None; waiting.len()];
    while let Some(first) = outcomes.iter().position(Option::is_none) {
        let destination = waiting.get(first).and_then(of);
        let group: Vec<usize> = (first..waiting.len())
            .filter(|&at| waiting.get(at).and_then(of) == destination)
            .collect();
        let recipients: Vec<String> = group
            .iter()
            .filter_map(|&at| Some(waiting.get(at)?.address.clone()))
            .collect();
        let message = RelayMessage {
            id: &file.id,
            reverse_path: &file.reverse_path,
            recipients: &recipients,
            bytes: Arc::clone(&file.bytes),
            range: file.range.clone(),
        };
        let way = destination.and_then(|destination| queue.way(destination));
        let answers = way.map_or_else(Vec::new, |way| way.send(&message));
        let missing = match way {
            Some(_) => Outcome::Unknown(Reply::new(0, "4.4.2", "the relay gave no answer")),
            None => Outcome::Deferred(Reply::new(0, "4.4.4", "no relay leads to this domain")),
        };
        let mut answers = answers.into_iter();
        for at in group {
            if let Some(outcome) = outcomes.get_mut(at) {
                *outcome = Some(answers.next().unwrap_or_else(|| missing.clone()));
            }
        }
    }
    outcomes.into_iter().flatten().collect()
}

/// Writes down what became of each, and tells the sender what he must know; whether the message is
/// done with.
fn settle(
    spool: &Spool,
    queue: &Queue,
    file: &QueueFile,
    outcomes: &[Outcome],
    age: Duration,
) -> Result<bool> {
    let is_expired = queue.schedule.is_expired(age);
    let mut ticket = file.ticket.clone();
    ticket.attempts = ticket.attempts.saturating_add(1);
    ticket.waiting.clear();
    let (mut relayed, mut failed, mut delayed) = (0, Vec::new(), Vec::new());
    for (one, outcome) in file.ticket.waiting.iter().zip(outcomes) {
        let reply = outcome.reply();
        match outcome {
            Outcome::Accepted(_) => relayed += 1,
            Outcome::Refused(_) => failed.push(Told::new(one, reply.clone())),
            _ if is_expired => failed.push(Told::new(one, reply.clone())),
            _ => {
                delayed.push(Told::new(one, reply.clone()));
                ticket.waiting.push(Waiting {
                    address: one.address.clone(),
                    reply: reply.to_string(),
                });
            }
        }
    }
    let wait = queue.schedule.wait(ticket.attempts);
    // Without anybody who waits it is to be removed, as soon as somebody comes by.
    ticket.next = match ticket.waiting.as_slice() {
        [] => 0,
        _ => queue.now().saturating_add(wait.as_secs()),
    };
    for (event, count) in [
        (Event::Relayed, relayed),
        (Event::Deferred, ticket.waiting.len()),
        (Event::Bounced, failed.len()),
    ] {
        if count > 0 {
            tell(event, count, &file.message_id(), &file.id);
        }
    }
    let counters = &spool.counters;
    add(&counters.relayed, relayed);
    add(&counters.deferred, ticket.waiting.len());
    add(&counters.bounced, failed.len());
    let is_delayed = queue.schedule.is_delayed(age) && !ticket.waiting.is_empty();
    let report = if !failed.is_empty() {
        Some(Report::new(spool, file, Action::Failed, failed))
    } else if is_delayed && !ticket.is_told {
        ticket.is_told = true;
        tell(Event::Delayed, 0, &file.message_id(), &file.id);
        Report::delayed(spool, file, delayed)
    } else {
        None
    };
    match report {
        Some(report) => report.hand_over(&ticket.encode())?,
        None if ticket.waiting.is_empty() => {}
        None => file.replace_ticket(spool, &ticket)?,
    }
    if ticket.waiting.is_empty() {
        file.remove(spool)?;
    }
    Ok(ticket.waiting.is_empty())
}
