//! One round of the queue: what is due is handed to its relay, and what it answers is written down.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::file::{QueueFile, hold, ticket_of};
use super::report::{Action, Report, Told};
use super::ticket::{Ticket, Waiting};
use super::{Queue, Resting, names};
use crate::delivery::counters::add;
use crate::delivery::{Event, Spool, tell};
use crate::error::{Problem, Result};
use crate::format::fields;
use crate::sync::{Mutex, PoisonError, thread};
use crate::transport::{Outcome, RelayMessage, Reply, Transport};

/// Tries what is due, until `stops` says to end after what is in hand; returns what could not be
/// done.
pub(crate) fn work_off(spool: &Spool, stops: &(dyn Fn() -> bool + Sync)) -> Result<Vec<Problem>> {
    let Due {
        by_destination,
        mut problems,
    } = due(spool)?;
    thread::scope(|scope| {
        let work = |ids| scope.spawn(move || work_off_some(spool, ids, stops));
        let threads: Vec<_> = by_destination.into_values().map(work).collect();
        for thread in threads {
            problems.extend(thread.join().unwrap_or_default());
        }
    });
    Ok(problems)
}

/// What is to be tried now.
#[derive(Default)]
pub(crate) struct Due {
    /// Ids of messages.
    pub(crate) by_destination: HashMap<String, Vec<String>>,
    pub(crate) problems: Vec<Problem>,
}

pub(crate) fn due(spool: &Spool) -> Result<Due> {
    let mut due = Due::default();
    let Some(queue) = &spool.queue else {
        return Ok(due);
    };
    if queue.rests()? {
        return Ok(due);
    }
    let before = queue.rested_stamp();
    let names = names(&queue.dir)?;
    if let Err(error) = names.sweep(spool, queue) {
        due.problems.push(error.into());
    }
    let mut next = u64::MAX;
    for id in names.messages {
        match ticket_of(spool, queue, &id) {
            Ok(Some(ticket)) if queue.is_due(&ticket) && !queue.must_wait(&id) => {
                let destination = destination(queue, &ticket);
                due.by_destination.entry(destination).or_default().push(id);
            }
            Ok(Some(ticket)) => next = next.min(ticket.next),
            Ok(None) => {}
            Err(error) => due.problems.push(error.into()),
        }
    }
    if due.by_destination.is_empty() && due.problems.is_empty() {
        queue.rest_until(before, next);
    }
    Ok(due)
}

/// Tries messages of one destination, so many at once.
pub(crate) fn work_off_some(
    spool: &Spool,
    ids: Vec<String>,
    stops: &(dyn Fn() -> bool + Sync),
) -> Vec<Problem> {
    let Some(queue) = &spool.queue else {
        return Vec::new();
    };
    let threads = queue.at_once.min(ids.len());
    let (ids, problems) = (Mutex::new(ids), Mutex::new(Vec::new()));
    let next = || {
        let mut ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.pop().filter(|_| !stops())
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(id) = next() {
                    if let Err(error) = attempt(spool, queue, &id)
                        && let Ok(mut problems) = problems.lock()
                    {
                        problems.push(error.into());
                    }
                }
            });
        }
    });
    problems.into_inner().unwrap_or_default()
}

/// Where the first of those who wait is to be reached; all of a file have the same, unless the
/// ways were changed since.
fn destination(queue: &Queue, ticket: &Ticket) -> String {
    let first = ticket.waiting.first();
    let found = first.and_then(|one| queue.destination(domain(&one.address)));
    found.unwrap_or_default().to_owned()
}

fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// One message: its lock is held until the outcome is written.
fn attempt(spool: &Spool, queue: &Queue, id: &str) -> Result<()> {
    let Some((file, lock)) = hold(spool, queue, id)? else {
        return Ok(());
    };
    let Some(file) = file else {
        return lock.release().map_err(Into::into);
    };
    if !queue.is_due(&file.ticket) {
        // Somebody else was faster.
        return Ok(());
    }
    if file.ticket.waiting.is_empty() {
        // All that was left was to remove it.
        file.remove(spool)?;
        return lock.release().map_err(Into::into);
    }
    let age = queue.age(&file.ticket);
    let outcomes = if fields::is_loop(&file.section) {
        let reply = Reply::new(
            554,
            "5.4.6",
            "the message has come by too many servers: a loop",
        );
        vec![Outcome::Refused(reply); file.ticket.waiting.len()]
    } else if queue.held_up(&file.ticket).is_some() {
        if !queue.schedule.is_expired(age) {
            // Its turn comes when the destination can be reached again.
            return Ok(());
        }
        let reply = Reply::new(0, "4.4.1", "the relay could not be reached");
        vec![Outcome::Deferred(reply); file.ticket.waiting.len()]
    } else {
        let outcomes = hand_on(queue, &file);
        queue.remember(&file, &outcomes);
        outcomes
    };
    let is_done = settle(spool, queue, &file, &outcomes, age)?;
    queue.forget(&file.id);
    if is_done {
        lock.release()?;
    }
    Ok(())
}

/// How long a destination rests that could not be reached.
const REST: u64 = 60;

impl Queue {
    /// Whether an outcome that could not be written holds the message up.
    fn must_wait(&self, id: &str) -> bool {
        let memos = self.memos.lock().unwrap_or_else(PoisonError::into_inner);
        memos
            .get(id)
            .is_some_and(|memo| self.is_ahead(memo.not_before))
    }

    /// Who has the message by now, until that is written down; a disk that is full must not have
    /// them get it at every round.
    fn remember(&self, file: &QueueFile, outcomes: &[Outcome]) {
        let mut memos = self.memos.lock().unwrap_or_else(PoisonError::into_inner);
        let memo = memos.entry(file.id.clone()).or_default();
        for (one, outcome) in file.ticket.waiting.iter().zip(outcomes) {
            if matches!(outcome, Outcome::Accepted(_)) {
                memo.accepted.insert(one.address.clone());
            }
        }
        memo.attempts = memo.attempts.saturating_add(1);
        let wait = self.schedule.wait(memo.attempts).as_secs();
        memo.not_before = self.now().saturating_add(wait);
        drop(memos);
        // Nobody answered: the others need not find that out one by one.
        let is_unreached = |outcome: &Outcome| match outcome {
            Outcome::Deferred(reply) => {
                reply.code() == 0 && matches!(reply.enhanced(), "4.4.1" | "4.7.5")
            }
            _ => false,
        };
        if let Some(first) = outcomes.first()
            && outcomes.iter().all(is_unreached)
        {
            let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
            let rest = Resting {
                until: self.now().saturating_add(REST),
                reply: first.reply().to_string(),
            };
            resting.insert(destination(self, &file.ticket), rest);
        }
    }

    /// Nothing holds the message up any more.
    pub(super) fn wake(&self, id: &str) {
        let mut memos = self.memos.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(memo) = memos.get_mut(id) {
            memo.not_before = 0;
        }
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.clear();
    }

    fn forget(&self, id: &str) {
        let mut memos = self.memos.lock().unwrap_or_else(PoisonError::into_inner);
        memos.remove(id);
    }

    fn has_accepted(&self, id: &str, address: &str) -> bool {
        let memos = self.memos.lock().unwrap_or_else(PoisonError::into_inner);
        memos
            .get(id)
            .is_some_and(|memo| memo.accepted.contains(address))
    }

    /// The rest of its destination, if that could not be reached a moment ago.
    pub(super) fn held_up(&self, ticket: &Ticket) -> Option<Resting> {
        let resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.now();
        // A clock that was set back does not lengthen it.
        let is_now = |rest: &&Resting| rest.until > now && rest.until - now <= REST;
        resting
            .get(&destination(self, ticket))
            .filter(is_now)
            .cloned()
    }
}

/// One outcome for each who waits.
fn hand_on(queue: &Queue, file: &QueueFile) -> Vec<Outcome> {
    let waiting = &file.ticket.waiting;
    let of = |one: &Waiting| queue.destination(domain(&one.address));
    let known = Outcome::Accepted(Reply::new(0, "2.0.0", "accepted before"));
    let has_it = |one: &Waiting| queue.has_accepted(&file.id, &one.address);
    let mut outcomes: Vec<Option<Outcome>> = waiting
        .iter()
        .map(|one| has_it(one).then(|| known.clone()))
        .collect();
    while let Some(first) = outcomes.iter().position(Option::is_none) {
        let destination = waiting.get(first).and_then(of);
        let is_open = |at: &usize| outcomes.get(*at).is_some_and(Option::is_none);
        let group: Vec<usize> = (first..waiting.len())
            .filter(|at| is_open(at) && waiting.get(*at).and_then(of) == destination)
            .collect();
        let recipients: Vec<String> = group
            .iter()
            .filter_map(|&at| waiting.get(at))
            .map(|one| one.address.clone())
            .collect();
        let message = RelayMessage {
            credentials: None,
            id: &file.id,
            reverse_path: &file.reverse_path,
            recipients: &recipients,
            bytes: Arc::clone(&file.bytes),
            range: file.range.clone(),
        };
        let way = destination.and_then(|destination| queue.way(destination));
        // One that panics has perhaps given it away.
        let send = |way: &Arc<dyn Transport>| {
            catch_unwind(AssertUnwindSafe(|| way.send(&message))).unwrap_or_default()
        };
        let answers = way.map_or_else(Vec::new, send);
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
    if report.is_some() && relayed > 0 {
        // Should the report fail, those who have the message do not get it again.
        let mut interim = file.ticket.clone();
        interim.waiting = file
            .ticket
            .waiting
            .iter()
            .zip(outcomes)
            .filter(|(_, outcome)| !matches!(outcome, Outcome::Accepted(_)))
            .map(|(one, _)| one.clone())
            .collect();
        file.replace_ticket(spool, &interim)?;
    }
    match report {
        Some(report) => report.hand_over(&ticket.encode())?,
        None if ticket.waiting.is_empty() => {}
        None => file.replace_ticket(spool, &ticket)?,
    }
    if ticket.waiting.is_empty()
        && let Err(error) = file.remove(spool)
    {
        // It cannot be removed; that nobody waits can perhaps be written.
        file.replace_ticket(spool, &ticket)?;
        return Err(error);
    }
    Ok(ticket.waiting.is_empty())
}
