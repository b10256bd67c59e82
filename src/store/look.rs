//! Looking at a drop with the index: only what is new is read.
//!
//! What a look concludes: a directory whose time is the recorded one, which was older than the
//! grain of the clock when it was recorded, has the entries it had then; only the names that were
//! left pending are looked at again. Otherwise it is listed: a name that is not known is read, a
//! known name that is not there is looked for by itself, since a scan shows presence, not absence.

mod judge;
mod names;
mod news;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use super::drop::{DropStore, Place};
use super::index::{Known, Look, Names, Opened, Sorter, Stop, Writing, os_name};
use super::marks::Marked;
use super::origin::OpenedEntry;
use super::settle::Writer;
use crate::error::Problem;
use crate::fs::Stamp;
use crate::server::ScanProgress;
use judge::New;

/// How often the state of every file is compared where a program may rewrite files in place.
const FULL_CHECK: Duration = Duration::from_mins(10);
/// So many names are held at once.
const CHUNK: usize = if cfg!(test) { 5 } else { 2 * 1024 };

/// How thorough a look is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// What is new.
    New,
    /// The state of every file is compared.
    Full,
}

/// What a look found beside what went into the index.
pub(super) struct Looked {
    pub(super) problems: Vec<Problem>,
    /// The directory had changed.
    pub(super) has_listed: bool,
}

/// What the names of files begin with: all of it, but for the flags of a Maildir.
type Bases = HashSet<Vec<u8>>;

/// A look while it goes on.
struct Looking<'a> {
    store: &'a DropStore,
    index: &'a Opened,
    before: Look,
    marked: Arc<Marked>,
    known: Option<Known>,
    writing: Option<Writing<'a>>,
    /// The number of this look.
    number: u32,
    pending: Vec<(Place, Vec<u8>)>,
    problems: Vec<Problem>,
    misfits: HashSet<String>,
    /// Rows that are not written yet: many at once take less room.
    rows: Sorter,
    /// Another process has written since this look began.
    is_contested: bool,
    unsettled: Vec<New>,
    wait: Duration,
    look: u64,
    progress: ScanProgress,
}

impl DropStore {
    pub(super) fn look(&self, index: &Opened, depth: Depth) -> Result<Looked, Stop> {
        let _one = self
            .index
            .looking
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let before = index.read()?.look()?;
        let now = seconds_since_1970();
        let is_due = before.full_check > now
            || now - before.full_check >= FULL_CHECK.as_secs() && before.full_check > 0;
        let is_full = depth == Depth::Full || is_due && self.settling.writer() != Writer::Renames;
        let times = self.stamps();
        let suspects = !self
            .suspects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty();
        let is_unchanged = !is_full && !suspects && times.is_some() && before.proven == times;
        // Taken before the directory is read: a time that was young then can hide what came after.
        let rested = self.times();
        let mut looking = Looking::new(self, index, before)?;
        if is_unchanged {
            looking.at_pending()?;
        } else {
            looking.at_all(is_full, rested.as_ref())?;
        }
        looking.finish(rested, is_unchanged, is_full.then_some(now))
    }
}

impl<'a> Looking<'a> {
    fn new(store: &'a DropStore, index: &'a Opened, before: Look) -> Result<Self, Stop> {
        Ok(Self {
            store,
            index,
            number: before.number.wrapping_add(1),
            before,
            marked: Arc::new(Marked::look(&store.state)?),
            known: None,
            writing: None,
            pending: Vec::new(),
            problems: Vec::new(),
            misfits: HashSet::new(),
            rows: Sorter::default(),
            is_contested: false,
            unsettled: Vec::new(),
            wait: Duration::ZERO,
            look: store.next_look(),
            progress: ScanProgress::default(),
        })
    }

    /// The names that could not be judged the last time.
    fn at_pending(&mut self) -> Result<(), Stop> {
        let mut again = Vec::new();
        for (place, name) in self.before.pending.clone() {
            let Some(name) = os_name(&name) else { continue };
            let stat = self.store.place(place).map(|dir| dir.stat(&name));
            if let Some(Ok(stat)) = stat {
                let hash = self.store.name_hash(self.index, &name, stat.stamp.inode);
                again.push(New {
                    place,
                    name,
                    hash,
                    stamp: None,
                });
            }
        }
        self.progress.found = again.len() as u64;
        self.judge(again)?;
        self.judge_unsettled()
    }

    fn at_all(&mut self, is_full: bool, rested: Option<&Vec<Stamp>>) -> Result<(), Stop> {
        let known = self.index.read()?.known()?;
        let mut names = Names::new(known.hashes());
        self.known = Some(known);
        let bases = std::thread::scope(|scope| self.at_names(scope, &mut names, is_full))?;
        self.judge_unsettled()?;
        for hash in names.others() {
            self.vanished(hash)?;
        }
        if let Some(present) = bases {
            // Absence is shown only by a directory that rested while it was read.
            let store = self.store;
            let is_absence =
                store.nothing_in_removal() && rested.is_some() && rested == store.stamps().as_ref();
            store.sweep_marks(&self.marked, &self.misfits, is_absence.then_some(&present));
        }
        Ok(())
    }

    /// Removes a file that the last of its readers has deleted, if he died over it.
    fn finish_marked(&mut self, place: Place, name: &OsStr, hash: u64) -> Result<(), Stop> {
        let store = self.store;
        let Ok((file, place, name)) = store.open(place, name) else {
            return Ok(());
        };
        let Ok(opened) = OpenedEntry::read(store, file) else {
            return Ok(());
        };
        let deleted = store.deleted_by(&self.marked, &name, &opened, &mut self.misfits);
        if deleted.is_ok_and(|by| !by.is_empty() && store.is_deleted_by_all(&opened.run, &by)) {
            store.finish_removal(place, &name, &opened);
            self.forget(&mut vec![hash])?;
        }
        Ok(())
    }

    /// Whether the state of a known file is not the one in the index.
    fn has_changed(&self, place: Place, name: &OsStr, hash: u64) -> Result<bool, Stop> {
        let Some(seen) = self
            .known
            .as_ref()
            .and_then(|known| known.of(hash).first().copied())
        else {
            return Ok(true);
        };
        let rows = self.index.read()?.rows_at(&seen)?;
        let stat = self.store.place(place).map(|dir| dir.stat(name));
        let base = self.store.base(name);
        let row = (0..rows.len())
            .filter_map(|at| rows.get(at))
            .find(|row| self.store.base(&row.entry.name) == base);
        Ok(match (row, stat) {
            (Some(row), Some(Ok(stat))) => row.entry.stamp != stat.stamp,
            _ => true,
        })
    }

    /// A known name that the scan did not come by: perhaps only renamed while it ran.
    fn vanished(&mut self, hash: u64) -> Result<(), Stop> {
        let Some(seen) = self
            .known
            .as_ref()
            .and_then(|known| known.of(hash).first().copied())
        else {
            return Ok(());
        };
        let rows = self.index.read()?.rows_at(&seen)?;
        let row = (0..rows.len()).filter_map(|at| rows.get(at)).find(|row| {
            let entry = &row.entry;
            self.store
                .name_hash(self.index, &entry.name, entry.stamp.inode)
                == hash
        });
        let Some(row) = row else { return Ok(()) };
        let found = self
            .store
            .place(row.entry.place)
            .map(|dir| dir.stat(&row.entry.name));
        match found {
            Some(Ok(stat)) if stat.stamp.inode == row.entry.stamp.inode => Ok(()),
            Some(Err(failure)) if !failure.is_gone() => Ok(()),
            // In a Maildir it may have another name since.
            _ => match self.store.find_moved(&row.entry.name) {
                Some((file, ..)) if file.opened().stamp.inode == row.entry.stamp.inode => Ok(()),
                _ => self.forget(&mut vec![hash]),
            },
        }
    }

    /// Removes the rows of names.
    fn forget(&mut self, hashes: &mut Vec<u64>) -> Result<(), Stop> {
        for hash in hashes.drain(..) {
            self.begin()?;
            let (Some(known), Some(writing)) = (&mut self.known, &mut self.writing) else {
                return Ok(());
            };
            for seen in known.of(hash) {
                let index = self.index;
                let store = self.store;
                writing.remove(&seen, |row| {
                    let entry = &row.entry;
                    store.name_hash(index, &entry.name, entry.stamp.inode) == hash
                })?;
            }
            known.remove(hash);
        }
        Ok(())
    }

    /// Begins to write. What another process has written since this look began is known then.
    fn begin(&mut self) -> Result<(), Stop> {
        if self.writing.is_some() {
            return Ok(());
        }
        let writing = self.index.write()?;
        let now = writing.look()?;
        self.is_contested = now.generation != self.before.generation;
        if self.known.is_none() || self.is_contested {
            self.known = Some(writing.known()?);
        }
        self.number = now.number.wrapping_add(1);
        self.before.generation = now.generation;
        self.writing = Some(writing);
        Ok(())
    }

    fn finish(
        mut self,
        rested: Option<Vec<Stamp>>,
        was_unchanged: bool,
        full_check: Option<u64>,
    ) -> Result<Looked, Stop> {
        self.store.settling.forget_before(self.look);
        let proven = if was_unchanged {
            self.before.proven.clone()
        } else {
            // Only if nothing changed while the directory was read, and not just before.
            rested.filter(|rested| self.store.stamps().as_ref() == Some(rested))
        };
        self.pending.sort_unstable();
        self.pending.dedup();
        let is_first = self.before.full_check == 0;
        let is_news = self.writing.is_some()
            || self.pending != self.before.pending
            || proven.is_some() && proven != self.before.proven
            || full_check.is_some()
            || is_first;
        let looked = Looked {
            problems: std::mem::take(&mut self.problems),
            has_listed: !was_unchanged,
        };
        if !is_news {
            return Ok(looked);
        }
        self.begin()?;
        let Some(mut writing) = self.writing.take() else {
            return Ok(looked);
        };
        let now = writing.look()?;
        let full = full_check.or(is_first.then(seconds_since_1970));
        let mut look = Look {
            generation: now.generation.wrapping_add(1),
            runs: now.runs,
            number: self.number,
            // Another process has written since this look began: perhaps that a file is gone which
            // this one took for known. The next look lists once more.
            proven: proven.filter(|_| !self.is_contested),
            pending: self.pending,
            full_check: full.unwrap_or(now.full_check),
        };
        writing.add(self.rows)?;
        writing.finish(&mut look, self.known.as_mut())?;
        Ok(looked)
    }
}

fn seconds_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(1, |since| since.as_secs().max(1))
}
