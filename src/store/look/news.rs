//! The new files of a look: settled, read, and written into the index.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

use super::Looking;
use super::judge::{Judge, Judged, New};
use crate::error::{Error, Problem};
use crate::fs::Kind;
use crate::store::index::{Rows, Stop, name_bytes, seen};
use crate::store::settle::{Verdict, Writer};

/// So few new files are read by one thread.
const FEW: usize = if cfg!(test) { 3 } else { 64 };

/// So many names a thread takes at a time.
const SHARE: usize = 64;

/// Threads that find out what new files are, while this one lists and takes in. There are none for
/// a few files.
pub(super) struct Readers<'scope, 'a> {
    scope: &'scope Scope<'scope, 'a>,
    threads: usize,
    /// What the threads have not done, by number.
    open: HashMap<usize, Arc<Vec<New>>>,
    count: usize,
    /// Where the threads take their work, and where they leave it; made for the first of it.
    ways: Option<Ways<'scope>>,
}

struct Ways<'scope> {
    work: SyncSender<Job>,
    done: Receiver<(usize, Found)>,
    threads: Vec<ScopedJoinHandle<'scope, ()>>,
}

/// Names, and their number.
type Job = (usize, Arc<Vec<New>>);

/// What some names are, in their order, and the marks that fit none of them.
struct Found {
    judged: Vec<Judged>,
    /// Their rows.
    rows: Rows,
    misfits: HashSet<String>,
}

impl<'scope, 'a> Readers<'scope, 'a> {
    pub(super) fn new(scope: &'scope Scope<'scope, 'a>, threads: usize) -> Self {
        Self {
            scope,
            threads,
            open: HashMap::new(),
            count: 0,
            ways: None,
        }
    }

    /// Hands names to the threads.
    fn begin(&mut self, judge: &Judge<'a>, names: Arc<Vec<New>>) {
        let (scope, threads) = (self.scope, self.threads);
        let ways = self.ways.get_or_insert_with(|| {
            // Enough to do for all of them until this thread has listed more.
            let (work, jobs) = mpsc::sync_channel(4 * threads);
            let (results, done) = mpsc::channel();
            let jobs = Arc::new(Mutex::new(jobs));
            let start = |_| {
                let (jobs, results, judge) = (Arc::clone(&jobs), results.clone(), judge.clone());
                scope.spawn(move || work_off(&jobs, &results, judge))
            };
            let threads = (0..threads).map(start).collect();
            Ways {
                work,
                done,
                threads,
            }
        });
        self.count += 1;
        self.open.insert(self.count, Arc::clone(&names));
        // It cannot be sent if all threads ended badly; then this one finds it open.
        let _ = ways.work.send((self.count, names));
    }

    /// What was found out since.
    fn found(&mut self) -> Vec<(Arc<Vec<New>>, Found)> {
        let results = self.ways.iter().flat_map(|ways| ways.done.try_iter());
        let open = &mut self.open;
        results
            .filter_map(|(number, found)| open.remove(&number).map(|names| (names, found)))
            .collect()
    }

    /// Waits for the threads to end.
    fn finish(&mut self) -> Vec<(Arc<Vec<New>>, Found)> {
        let Some(Ways {
            work,
            done,
            threads,
        }) = self.ways.take()
        else {
            return Vec::new();
        };
        drop(work);
        let results: Vec<_> = done.iter().collect();
        for thread in threads {
            // One that ended badly has left its names open.
            let _ = thread.join();
        }
        let named = results.into_iter();
        named
            .filter_map(|(number, found)| self.open.remove(&number).map(|names| (names, found)))
            .collect()
    }
}

/// Until there is no more to do, or nobody waits for it.
fn work_off(jobs: &Mutex<Receiver<Job>>, results: &Sender<(usize, Found)>, mut judge: Judge<'_>) {
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
    let mut jobs = std::iter::from_fn(|| next().ok());
    jobs.try_for_each(|(number, names)| {
        let judged = names.iter().map(|new| judge.judge(new)).collect();
        let found = Found {
            judged,
            rows: std::mem::take(&mut judge.rows),
            misfits: std::mem::take(&mut judge.misfits),
        };
        results.send((number, found)).ok()
    });
}

impl<'a> Looking<'a> {
    /// Finds out what names are, by this thread alone.
    pub(super) fn judge(&mut self, names: Vec<New>) -> Result<(), Stop> {
        let mut complete = Vec::with_capacity(names.len());
        for new in names {
            complete.extend(self.settled(new, true));
        }
        self.judge_complete(&complete)
    }

    /// Has names read, by the readers if there are many of them, and takes in what they have read
    /// meanwhile.
    pub(super) fn read(
        &mut self,
        readers: &mut Readers<'_, 'a>,
        names: Vec<New>,
    ) -> Result<(), Stop> {
        let is_first = readers.ways.is_none();
        if readers.threads < 2 || is_first && names.len() < FEW {
            return self.judge(names);
        }
        let mut names = names.into_iter();
        while names.len() > 0 {
            let mut share = Vec::with_capacity(SHARE);
            for new in names.by_ref().take(SHARE) {
                share.extend(self.settled(new, true));
            }
            readers.begin(&self.judging(), Arc::new(share));
            self.take_found(readers.found())?;
        }
        Ok(())
    }

    /// Takes in all that the readers have to do.
    pub(super) fn read_rest(&mut self, readers: &mut Readers<'_, 'a>) -> Result<(), Stop> {
        let found = readers.finish();
        self.take_found(found)?;
        for (_, names) in std::mem::take(&mut readers.open) {
            self.judge_complete(&names)?;
        }
        Ok(())
    }

    fn take_found(&mut self, all: Vec<(Arc<Vec<New>>, Found)>) -> Result<(), Stop> {
        for (names, found) in all {
            self.misfits.extend(found.misfits);
            self.take_in(&names, found.judged, found.rows)?;
        }
        Ok(())
    }

    fn judging(&self) -> Judge<'a> {
        Judge::new(
            self.store,
            self.index,
            Arc::clone(&self.marked),
            self.number,
        )
    }

    fn judge_complete(&mut self, names: &[New]) -> Result<(), Stop> {
        let mut judge = self.judging();
        let judged = names.iter().map(|new| judge.judge(new)).collect();
        self.misfits.extend(judge.misfits);
        self.take_in(names, judged, judge.rows)
    }

    /// The name if its file is complete; otherwise it is kept for later.
    fn settled(&mut self, mut new: New, may_wait: bool) -> Option<New> {
        if self.store.settling.writer() == Writer::Renames {
            return Some(new);
        }
        let stat = self.store.place(new.place).map(|dir| dir.stat(&new.name));
        match stat {
            Some(Ok(stat)) if stat.kind == Kind::File => {
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
            Some(Err(failure)) if !failure.is_gone() => {
                self.leave(&new, Some(Error::from(failure).into()));
                None
            }
            // No file, or none any more.
            _ => None,
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
        self.judge_complete(&complete)
    }

    fn leave(&mut self, new: &New, problem: Option<Problem>) {
        if let Some(name) = name_bytes(&new.name) {
            self.pending.push((new.place, name.to_vec()));
        }
        self.problems.extend(problem);
    }

    /// Takes in what some names are.
    fn take_in(&mut self, names: &[New], judged: Vec<Judged>, rows: Rows) -> Result<(), Stop> {
        let mut files = Vec::with_capacity(names.len());
        for (new, judged) in names.iter().zip(judged) {
            match judged {
                Judged::Rows(count) => files.push((new.hash, count)),
                Judged::Pending(problem) => self.leave(new, problem),
                Judged::Nothing => {}
            }
        }
        if !files.is_empty() {
            self.add(&files, rows)?;
        }
        self.progress.read += names.len() as u64;
        self.store.rules.progress.tell(self.progress);
        Ok(())
    }

    /// Adds the rows of files: so many of each.
    fn add(&mut self, files: &[(u64, usize)], mut rows: Rows) -> Result<(), Stop> {
        self.begin()?;
        let (Some(known), Some(writing)) = (&mut self.known, &mut self.writing) else {
            return Ok(());
        };
        rows.move_to(self.index, self.number);
        let mut came = Vec::with_capacity(rows.len());
        let mut next = 0..0;
        for &(hash, count) in files {
            next = next.end..next.end + count;
            if self.is_contested && !known.of(hash).is_empty() {
                // Another process was faster.
                continue;
            }
            for row in next.clone().filter_map(|at| rows.checked(at)) {
                came.extend(seen(row.0, hash));
                self.rows.push(row);
            }
        }
        known.add(came);
        writing.spill(known)?;
        if self.rows.is_full() {
            self.rows.spill(self.index.dir())?;
        }
        Ok(())
    }
}
