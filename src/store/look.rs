//! Looking at a drop with the index: only what is new is read.
//!
//! What a look concludes: a directory whose time is the recorded one, which was older than the
//! grain of the clock when it was recorded, has the entries it had then; only the names that were
//! left pending are looked at again. Otherwise it is listed: a name that is not known is read, a
//! known name that is not there is looked for by itself, since a scan shows presence, not absence.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::num::NonZero;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use super::drop::{DropStore, Place};
use super::index::{Fault, Known, Look, Opened, Order, Row, Rows, Seen, Stop, Writing};
use super::index::{guarded, name_bytes, os_name, row};
use super::listing::{Entries, Listing, Page, Position};
use super::marks::{self, Marked};
use super::origin::OpenedEntry;
use super::scan::Whose;
use super::settle::{Verdict, Writer};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::fs::{Kind, Stamp};
use crate::server::ScanProgress;

/// How often the state of every file is compared where a program may rewrite files in place.
const FULL_CHECK: Duration = Duration::from_secs(600);
/// So many names are held at once.
const CHUNK: usize = 16 * 1024;
/// So many octets of rows are held at once.
const HELD: usize = 20 << 20;
/// So few new files are read by one thread.
const FEW: usize = 64;
/// So many rows of an address are compared with their files when the directory has changed.
const COMPARED: usize = 1000;

/// A name of the drop that is not known, or not any more.
struct New {
    place: Place,
    name: OsString,
    hash: u64,
    /// The state of the file in the first look; only where a writer writes in place.
    stamp: Option<Stamp>,
}

/// What a new file is.
enum Judged {
    /// The rows of its addresses.
    Rows(Vec<(u64, Row)>),
    /// Not to be judged now, perhaps with a reason that its owner must know.
    Pending(Option<Problem>),
    /// No message, or none any more.
    Nothing,
}

/// How thorough a look is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// What is new.
    New,
    /// The state of every file is compared.
    Full,
}

impl DropStore {
    /// The messages of somebody by the index; `None` when it cannot serve.
    pub(super) fn list_by_index(&self, whose: Whose<'_>) -> Option<Result<Listing>> {
        self.with_index(Depth::New, |index, looked| {
            let mailbox = self.mailbox(index, whose);
            let mut rows = index.read()?.rows(mailbox)?;
            if looked.has_listed && self.compare(index, &rows)? {
                self.look(index, Depth::New)?;
                rows = index.read()?.rows(mailbox)?;
            }
            self.hide_marked(&mut rows)?;
            let most = self.rules.limits.message;
            let problems = (0..rows.len())
                .filter_map(|at| rows.get(at))
                .filter(|row| row.entry.summary.size > most)
                .filter_map(|row| self.problem_of(&row.entry));
            Ok(Listing {
                problems: problems.collect(),
                unreadable: looked.problems.len(),
                entries: Entries::Indexed(rows),
            })
        })
    }

    /// How many messages somebody has, by the index alone.
    pub(super) fn count_by_index(&self, whose: Whose<'_>) -> Option<Result<u64>> {
        self.with_index(Depth::New, |index, _| {
            let mailbox = self.mailbox(index, whose);
            let reader = index.read()?;
            if Marked::look(&self.state)?.is_empty() {
                return Ok(reader.count(mailbox)?);
            }
            let mut rows = reader.rows(mailbox)?;
            self.hide_marked(&mut rows)?;
            Ok(rows.len() as u64)
        })
    }

    /// At most `most` messages of somebody on one side of a key, without reading the rest. A key
    /// of another index counts for none. Looks at the drop first if `looks`.
    pub(super) fn page_by_index(
        &self,
        whose: Whose<'_>,
        from: Option<&Position>,
        backwards: bool,
        most: usize,
        looks: bool,
    ) -> Option<Result<Page>> {
        let page = |index: &Opened| {
            let mailbox = self.mailbox(index, whose);
            let of_this = from.filter(|from| from.index == index.id());
            let from = of_this.map(|from| row::key_of(mailbox, &from.key));
            let mut rows = index
                .read()?
                .page(mailbox, from.as_deref(), backwards, most)?;
            let is_last = rows.len() < most;
            let last = rows.raw(rows.len().wrapping_sub(1));
            let end = last
                .and_then(|(key, _)| row::below_mailbox(key))
                .map(|key| Position {
                    index: index.id(),
                    key: key.to_vec(),
                });
            self.hide_marked(&mut rows)?;
            let rows = (0..rows.len()).filter_map(|at| rows.get(at));
            Ok(Page {
                entries: rows.map(|row| Arc::new(row.entry)).collect(),
                end: end.or_else(|| of_this.cloned()),
                is_last,
            })
        };
        if looks {
            self.with_index(Depth::New, |index, _| page(index))
        } else {
            self.with_opened(page)
        }
    }

    /// As if the last full check had been at that time.
    #[cfg(test)]
    pub(crate) fn pretend_full_check_at(&self, time: u64) {
        let done = self.with_opened(|index| {
            let writing = index.write()?;
            let mut look = writing.look()?;
            look.full_check = time;
            Ok(writing.finish(&mut look, None)?)
        });
        done.unwrap().unwrap();
    }

    /// Looks at the drop and compares the state of every file.
    pub(super) fn check_by_index(&self) -> Option<Result<()>> {
        self.with_index(Depth::Full, |_, _| Ok(()))
    }

    fn with_index<T>(
        &self,
        depth: Depth,
        work: impl Fn(&Opened, &Looked) -> Result<T, Stop>,
    ) -> Option<Result<T>> {
        self.with_opened(|index| {
            let looked = self.look(index, depth)?;
            work(index, &looked)
        })
    }

    /// An index that turns out to be damaged is set aside, and the work done once more with a new.
    fn with_opened<T>(&self, work: impl Fn(&Opened) -> Result<T, Stop>) -> Option<Result<T>> {
        for _ in 0..2 {
            let root = self.state.for_index().ok()??.root.clone();
            let done = guarded(|| {
                let identity = self.identity().map_err(|_| Fault::Unavailable)?;
                let index = self.index.open(&root, &identity, self.rules.durable)?;
                work(&index)
            });
            match done {
                Ok(done) => return Some(Ok(done)),
                Err(Stop::Error(error)) => return Some(Err(error)),
                Err(Stop::Fault(Fault::Unavailable)) => return None,
                Err(Stop::Fault(Fault::Damaged | Fault::Foreign)) => {
                    self.index.set_aside(&root).ok()?;
                }
            }
        }
        None
    }

    /// What an index is bound to: these directories, read under these rules.
    fn identity(&self) -> Result<Vec<u8>> {
        let rules = &self.rules;
        let mut text = format!(
            "{} case_sensitive={} dot_stuffed={}",
            rules.profile.name(),
            rules.case_sensitive,
            rules.dot_stuffed
        );
        for (place, dir) in &self.places {
            let stat = dir.own_stat()?;
            text += &format!(" {}={}:{}", place.name(), stat.device, stat.stamp.inode);
        }
        Ok(text.into_bytes())
    }

    fn mailbox(&self, index: &Opened, whose: Whose<'_>) -> u64 {
        match whose {
            Whose::Address(key) => index.hash(&[b"address", key.as_bytes()]),
            Whose::Nobody => index.hash(&[b"nobody"]),
        }
    }

    /// Takes away what its reader has deleted: the file is others' too.
    fn hide_marked(&self, rows: &mut Rows) -> Result<(), Stop> {
        let marked = Marked::look(&self.state)?;
        if !marked.is_empty() {
            rows.retain(|row| match row.marks {
                Some(state) => {
                    let address = &row.entry.summary.delivered_to;
                    !marked.holds(self.base(&row.entry.name), state, address)
                }
                None => true,
            });
        }
        Ok(())
    }

    /// Whether a row of a changed directory is not its file's any more; its name is looked at anew.
    /// This finds a name that came again under the same number, for the few rows of an address.
    fn compare(&self, index: &Opened, rows: &Rows) -> Result<bool, Stop> {
        if rows.len() > COMPARED {
            return Ok(false);
        }
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        for row in (0..rows.len()).filter_map(|at| rows.get(at)) {
            let stat = self
                .place(row.entry.place)
                .map(|dir| dir.stat(&row.entry.name));
            if let Some(Ok(stat)) = stat
                && stat.stamp != row.entry.stamp
            {
                suspects.insert(self.name_hash(index, &row.entry.name, row.entry.stamp.inode));
            }
        }
        Ok(!suspects.is_empty())
    }

    /// Remembers that a name may come again under the same number, since its file was removed.
    pub(super) fn suspect(&self, name: &OsStr, inode: u64) {
        if let Some(index) = self.index.current() {
            let hash = self.name_hash(&index, name, inode);
            let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
            suspects.insert(hash);
        }
    }

    fn name_hash(&self, index: &Opened, name: &OsStr, inode: u64) -> u64 {
        index.hash(&[self.base(name), &inode.to_le_bytes()])
    }
}

/// What a look found beside what went into the index.
pub(super) struct Looked {
    problems: Vec<Problem>,
    /// The directory had changed.
    has_listed: bool,
}

/// A look while it goes on.
struct Looking<'a> {
    store: &'a DropStore,
    index: &'a Opened,
    before: Look,
    marked: Marked,
    known: Option<Known>,
    writing: Option<Writing<'a>>,
    /// The number of this look.
    number: u32,
    pending: Vec<(Place, Vec<u8>)>,
    problems: Vec<Problem>,
    misfits: HashSet<String>,
    /// Rows that are not written yet: many at once take less room.
    rows: Rows,
    /// Another process has written since this look began.
    is_contested: bool,
    unsettled: Vec<New>,
    wait: Duration,
    look: u64,
    progress: ScanProgress,
    changed: bool,
}

impl DropStore {
    fn look(&self, index: &Opened, depth: Depth) -> Result<Looked, Stop> {
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
        let mut looking = Looking::new(self, index, before)?;
        if is_unchanged {
            looking.at_pending()?;
        } else {
            looking.at_all(is_full)?;
        }
        looking.finish(times, is_unchanged, is_full.then_some(now))
    }
}

impl<'a> Looking<'a> {
    fn new(store: &'a DropStore, index: &'a Opened, before: Look) -> Result<Self, Stop> {
        Ok(Self {
            store,
            index,
            number: before.number.wrapping_add(1),
            before,
            marked: Marked::look(&store.state)?,
            known: None,
            writing: None,
            pending: Vec::new(),
            problems: Vec::new(),
            misfits: HashSet::new(),
            rows: Rows::default(),
            is_contested: false,
            unsettled: Vec::new(),
            wait: Duration::ZERO,
            look: store.next_look(),
            progress: ScanProgress::default(),
            changed: false,
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

    fn at_all(&mut self, is_full: bool) -> Result<(), Stop> {
        let store = self.store;
        let known = self.index.read()?.known()?;
        let mut unseen = known.hashes();
        let suspects = std::mem::take(
            &mut *store
                .suspects
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        self.known = Some(known);
        let mut again = Vec::new();
        let mut chunk = Vec::new();
        // Only a Maildir can have one file under two names at once.
        let mut bases = store.is_maildir().then(HashSet::new);
        let mut marked_bases = (!self.marked.is_empty()).then(HashSet::new);
        for (place, dir) in &store.places {
            for entry in dir.entries().map_err(Error::from)? {
                let entry =
                    entry.map_err(|error| Error::io("list a directory", dir.path(), error))?;
                if !store.is_candidate(&entry.name) {
                    continue;
                }
                let base = store.base(&entry.name);
                let hash = store.name_hash(self.index, &entry.name, entry.inode);
                if let Some(bases) = &mut bases
                    && !bases.insert(self.index.hash(&[base]))
                {
                    continue;
                }
                let is_known = unseen.remove(&hash);
                if let Some(marked) = &mut marked_bases {
                    marked.insert(base.to_vec());
                    if is_known && self.marked.has_base(base) {
                        self.finish_marked(*place, &entry.name, hash)?;
                    }
                }
                let is_old = is_known && !suspects.contains(&hash);
                if is_old && !(is_full && self.has_changed(*place, &entry.name, hash)?) {
                    continue;
                }
                if is_known {
                    again.push(hash);
                }
                chunk.push(New {
                    place: *place,
                    name: entry.name,
                    hash,
                    stamp: None,
                });
                if chunk.len() == CHUNK {
                    self.forget(&mut again)?;
                    self.progress.found += chunk.len() as u64;
                    self.judge(std::mem::take(&mut chunk))?;
                }
            }
        }
        self.forget(&mut again)?;
        self.progress.found += chunk.len() as u64;
        self.judge(chunk)?;
        self.judge_unsettled()?;
        for hash in unseen {
            self.vanished(hash)?;
        }
        if let Some(present) = marked_bases {
            let times = store.times();
            let is_absence =
                store.nothing_in_removal() && times.is_some() && times == store.stamps();
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
            _ => self.forget(&mut vec![hash]),
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
        self.changed = true;
        Ok(())
    }

    fn judge(&mut self, names: Vec<New>) -> Result<(), Stop> {
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

    fn judge_unsettled(&mut self) -> Result<(), Stop> {
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
                        self.rows.push(&row.0, &row.1);
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

    fn finish(
        mut self,
        times: Option<Vec<Stamp>>,
        was_unchanged: bool,
        full_check: Option<u64>,
    ) -> Result<Looked, Stop> {
        self.store.settling.forget_before(self.look);
        let proven = if was_unchanged {
            self.before.proven.clone()
        } else {
            // Only if nothing changed while the directory was read, and not just before.
            times.filter(|times| {
                self.store.stamps().as_ref() == Some(times) && self.store.times().is_some()
            })
        };
        self.pending.sort_unstable();
        self.pending.dedup();
        let is_first = self.before.full_check == 0;
        let is_news = self.changed
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
            proven,
            pending: self.pending,
            full_check: full.unwrap_or(now.full_check),
        };
        writing.add(&self.rows)?;
        writing.finish(&mut look, self.known.as_mut())?;
        Ok(looked)
    }
}

/// What a complete file is to whom.
fn judge(
    store: &DropStore,
    index: &Opened,
    marked: &Marked,
    new: &New,
    misfits: &mut HashSet<String>,
) -> Judged {
    match try_judge(store, index, marked, new, misfits) {
        Ok(judged) => judged,
        Err(error) if error.kind() == ErrorKind::MessageGone => Judged::Nothing,
        Err(_) if store.is_directory(new.place, &new.name) => Judged::Nothing,
        Err(error) => Judged::Pending(Some(error.into())),
    }
}

fn try_judge(
    store: &DropStore,
    index: &Opened,
    marked: &Marked,
    new: &New,
    misfits: &mut HashSet<String>,
) -> Result<Judged> {
    let (file, place, name) = store.open(new.place, &new.name)?;
    let mut opened = OpenedEntry::read(store, file)?;
    if new.stamp.is_some_and(|stamp| stamp != opened.stamp) {
        // It was rewritten since it was found complete.
        return Ok(Judged::Pending(None));
    }
    let deleted_by = store.deleted_by(marked, &name, &opened, misfits)?;
    if !deleted_by.is_empty() && store.is_deleted_by_all(&opened.run, &deleted_by) {
        store.finish_removal(place, &name, &opened);
        return Ok(Judged::Nothing);
    }
    let keys: HashSet<String> = store.keys(&opened.run).collect();
    let marks = match store.has_one_owner(&opened.run) {
        true => None,
        false => Some(marks::state_of(store.base(&name), &opened)?),
    };
    let mut rows = Vec::with_capacity(keys.len().max(1));
    let mut row = |whose: Whose<'_>| -> Result<()> {
        let reader = match whose {
            Whose::Address(key) => Some(key),
            Whose::Nobody => None,
        };
        let entry = store.entry(place, &name, &mut opened, reader)?;
        rows.push((store.mailbox(index, whose), Row { entry, marks }));
        Ok(())
    };
    if keys.is_empty() {
        row(Whose::Nobody)?;
    }
    for key in &keys {
        row(Whose::Address(key))?;
    }
    Ok(Judged::Rows(rows))
}

fn seconds_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(1, |since| since.as_secs().max(1))
}
