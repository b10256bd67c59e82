//! The new files of a look: settled, read, and written into the index.

use std::collections::HashSet;
use std::num::NonZero;

use super::judge::{Judged, New, judge};
use super::{CHUNK, Looking};
use crate::error::{Error, Problem};
use crate::fs::Kind;
use crate::store::index::{Order, Row, Seen, Stop, name_bytes};
use crate::store::settle::{Verdict, Writer};

/// So many octets of rows are held at once.
const HELD: usize = 20 << 20;
/// So few new files are read by one thread.
const FEW: usize = 64;

impl Looking<'_> {
    pub(super) fn judge(&mut self, names: Vec<New>) -> Result<(), Stop> {
        let mut complete = Vec::with_capacity(names.len());
        for new in names {
            complete.extend(self.settled(new, true));
        }
        self.judge_complete(&complete)
    }

    /// The name if its file is complete; otherwise it is kept for later.
    fn settled(&mut self, mut new: New, may_wait: bool) -> Option<New> {
        if self.store.settling.writer() == Writer::Renames {
            return Some(new);
        }
        let stat = self.store.place(new.place)?.stat(&new.name);
        match stat {
            Ok(stat) if stat.kind != Kind::File => None,
            Ok(stat) => {
                new.stamp = Some(stat.stamp);
                match self.store.settling.judge(&new.name, stat.stamp, self.look) {
                    Verdict::Complete => return Some(new),
                    Verdict::Empty => self.leave(&new, None),
                    Verdict::Wait(time) if may_wait => {
                        self.wait = self.wait.max(time);
                        self.unsettled.push(new);
                    }
                    Verdict::Wait(_) => {
                        let path = self
                            .store
                            .root()
                            .path()
                            .join(new.place.relative_path(&new.name));
                        self.leave(
                            &new,
                            Some(Problem::at(path, "the file is still being written")),
                        );
                    }
                }
                None
            }
            Err(failure) if failure.is_gone() => None,
            Err(failure) => {
                self.leave(&new, Some(Error::from(failure).into()));
                None
            }
        }
    }

    pub(super) fn judge_unsettled(&mut self) -> Result<(), Stop> {
        if self.unsettled.is_empty() {
            return Ok(());
        }
        std::thread::sleep(self.wait);
        let mut complete = Vec::new();
        for new in std::mem::take(&mut self.unsettled) {
            complete.extend(self.settled(new, false));
        }
        complete
            .chunks(CHUNK)
            .try_for_each(|chunk| self.judge_complete(chunk))
    }

    fn leave(&mut self, new: &New, problem: Option<Problem>) {
        if let Some(name) = name_bytes(&new.name) {
            self.pending.push((new.place, name.to_vec()));
        }
        self.problems.extend(problem);
    }

    fn judge_complete(&mut self, names: &[New]) -> Result<(), Stop> {
        let judged = self.read_all(names);
        let mut rows = Vec::new();
        for (new, judged) in names.iter().zip(judged) {
            match judged {
                Judged::Rows(found) => rows.push((new, found)),
                Judged::Pending(problem) => self.leave(new, problem),
                Judged::Nothing => {}
            }
        }
        if !rows.is_empty() {
            self.add(rows)?;
        }
        self.progress.read += names.len() as u64;
        self.store.rules.progress.tell(self.progress);
        Ok(())
    }

    fn add(&mut self, files: Vec<(&New, Vec<(u64, Row)>)>) -> Result<(), Stop> {
        self.begin()?;
        let (Some(known), Some(writing)) = (&mut self.known, &mut self.writing) else {
            return Ok(());
        };
        let mut came = Vec::with_capacity(files.len());
        let mut left = Vec::new();
        for (new, rows) in files {
            if self.is_contested && !known.of(new.hash).is_empty() {
                // Another process was faster.
                continue;
            }
            for (mailbox, row) in rows {
                let order = Order::new(self.number, row.entry.stamp.modified);
                let written =
                    order.and_then(|order| Some((order, row.encode(self.index, mailbox, order)?)));
                match written {
                    Some((order, row)) => {
                        self.rows.push_encoded(&row);
                        came.push(Seen {
                            hash: new.hash,
                            mailbox,
                            order,
                        });
                    }
                    None => left.push(new),
                }
            }
        }
        known.add(came);
        writing.spill(known)?;
        if self.rows.size() > HELD {
            writing.add(&std::mem::take(&mut self.rows))?;
        }
        for new in left {
            let text = "the index cannot hold this file: its name or time is out of the ordinary";
            self.leave(new, Some(Problem::new(text)));
        }
        Ok(())
    }

    /// Reads new files, many of them by several threads.
    fn read_all(&mut self, names: &[New]) -> Vec<Judged> {
        let threads = match names.len() {
            ..FEW => NonZero::<usize>::MIN,
            _ => self.store.rules.threads(),
        };
        let share = names.len().div_ceil(threads.get()).max(1);
        let (store, index, marked) = (self.store, self.index, &self.marked);
        let work = |names: &[New]| {
            let mut misfits = HashSet::new();
            let judged: Vec<_> = names
                .iter()
                .map(|new| judge(store, index, marked, new, &mut misfits))
                .collect();
            (judged, misfits)
        };
        let done: Vec<_> = if threads == NonZero::<usize>::MIN {
            vec![work(names)]
        } else {
            std::thread::scope(|scope| {
                let spawned: Vec<_> = names
                    .chunks(share)
                    .map(|names| (names, scope.spawn(move || work(names))))
                    .collect();
                spawned
                    .into_iter()
                    // A thread that ended badly has judged nothing: this one does.
                    .map(|(names, thread)| thread.join().unwrap_or_else(|_| work(names)))
                    .collect()
            })
        };
        let mut all = Vec::with_capacity(names.len());
        for (judged, misfits) in done {
            all.extend(judged);
            self.misfits.extend(misfits);
        }
        all
    }
}
