//! Sending many messages together.
//!
//! What a durable send waits for is the disk. Many files are written and synced side by side, so
//! that their syncs overlap, and the names of all are made durable by one sync of the directory.

use std::thread;

use super::Draft;
use crate::error::{Problem, Result, SendError};
use crate::sent::Sent;
use crate::transport::{self, Prepared, Submitted, Unnamed};

/// So many messages share a sync; each has an open file meanwhile.
const BATCH: usize = 64;
/// So many files are written at once.
const THREADS: usize = 16;

/// Sends all, and answers for each in its place.
pub(crate) fn send_all(drafts: Vec<Draft>) -> Vec<Result<Sent, SendError>> {
    let mut results = Vec::with_capacity(drafts.len());
    let mut drafts = drafts.into_iter().peekable();
    while drafts.peek().is_some() {
        let batch: Vec<Draft> = drafts.by_ref().take(BATCH).collect();
        results.extend(send_batch(batch));
    }
    results
}

/// A file that lacks its name, and whose it is.
struct Waiting {
    place: usize,
    message_id: String,
    submitted: Submitted,
    durable: bool,
}

fn send_batch(drafts: Vec<Draft>) -> Vec<Result<Sent, SendError>> {
    let prepared = prepare(&drafts);
    let mut results: Vec<Option<Result<Sent>>> = Vec::with_capacity(drafts.len());
    let (mut waiting, mut files) = (Vec::new(), Vec::new());
    for (place, one) in prepared.into_iter().enumerate() {
        results.push(match one {
            Ok((message_id, Prepared::Done(submitted))) => {
                Some(Ok(Sent::new(message_id, submitted)))
            }
            Ok((message_id, Prepared::Unnamed(file, submitted))) => {
                let durable = drafts
                    .get(place)
                    .is_none_or(|draft| draft.server.spool().durable);
                waiting.push(Waiting {
                    place,
                    message_id,
                    submitted,
                    durable,
                });
                files.push(*file);
                None
            }
            Err(error) => Some(Err(error)),
        });
    }
    for (place, result) in publish(waiting, files) {
        if let (Ok(sent), Some(draft)) = (&result, drafts.get(place)) {
            draft.server.spool().counters.sent(sent.delivered().len());
        }
        if let Some(slot) = results.get_mut(place) {
            *slot = Some(result);
        }
    }
    let answered = drafts.into_iter().zip(results);
    answered
        .filter_map(|(draft, result)| Some(result?.map_err(|error| SendError::new(error, draft))))
        .collect()
}

type Ready = Result<(String, Prepared)>;

/// Checks and writes all of a batch; each thread takes a share.
fn prepare(drafts: &[Draft]) -> Vec<Ready> {
    let share = drafts.len().div_ceil(THREADS).max(1);
    let work = |drafts: &[Draft]| -> Vec<Ready> {
        let one = |draft: &Draft| draft.hand_on(draft.identity(), transport::prepare);
        drafts.iter().map(one).collect()
    };
    if drafts.len() == 1 {
        return work(drafts);
    }
    thread::scope(|scope| {
        let threads: Vec<_> = drafts
            .chunks(share)
            .map(|drafts| scope.spawn(move || work(drafts)))
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Vec<Ready>>| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().flat_map(join).collect()
    })
}

/// Names the files, those of one directory together.
fn publish(waiting: Vec<Waiting>, files: Vec<Unnamed>) -> Vec<(usize, Result<Sent>)> {
    let mut rest: Vec<(Waiting, Unnamed)> = waiting.into_iter().zip(files).collect();
    let mut done = Vec::with_capacity(rest.len());
    while let Some((first, file)) = rest.first() {
        let (dir, durable) = (file.directory().to_owned(), first.durable);
        let (group, others): (Vec<_>, Vec<_>) = rest
            .into_iter()
            .partition(|(one, file)| file.directory() == dir && one.durable == durable);
        let (waiting, files): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let published = transport::publish_all(&files, durable);
        for (one, published) in waiting.into_iter().zip(published) {
            done.push((one.place, published.map(|problem| one.sent(problem))));
        }
        rest = others;
    }
    done
}

impl Waiting {
    fn sent(self, problem: Option<Problem>) -> Sent {
        let mut submitted = self.submitted;
        submitted.pending.extend(problem);
        Sent::new(self.message_id, submitted)
    }
}
