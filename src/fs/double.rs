//! The test double: records every call, and lets the n-th fail or the process die there.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Op, Probe};

/// A directory for a test, in memory where there is such a place: what a disk may lose is said by
/// the test, and it is not what a test should wait for.
pub(crate) fn place() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// How the chosen call fails.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// It does nothing and returns this error.
    Before(io::ErrorKind),
    /// It does its work and returns this error all the same.
    After(io::ErrorKind),
    /// It and every later call does nothing and returns this error.
    Lasting(io::ErrorKind),
    /// From it on nothing can be made or written: a full disk, on which all else works.
    Full,
    /// From it on every sync does nothing and returns this error; all else works: a failing disk.
    Syncs(io::ErrorKind),
    /// The process dies before the call: nothing happens any more.
    Crash,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<(Op, PathBuf)>,
    fault: Option<(usize, Fault)>,
    struck: bool,
    /// So many octets are read or written by one call at most.
    most: Option<usize>,
    /// No file can be made without a name.
    lacks_unnamed: bool,
}

/// Is shown each call after it was made.
type Observer = Box<dyn FnMut(Op, &Path) + Send>;

/// What a [`Probe`] follows.
#[derive(Default)]
pub(crate) struct Plan(Mutex<State>, Mutex<Option<Observer>>);

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Plan").field(&self.0).finish()
    }
}

impl Plan {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn probe(self: &Arc<Self>) -> Probe {
        Probe(Some(Arc::clone(self)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// From now on the `n`-th call (from 0) fails so.
    pub(crate) fn arm(&self, n: usize, fault: Fault) {
        let mut state = self.state();
        state.calls.clear();
        state.struck = false;
        state.fault = Some((n, fault));
    }

    /// From now on nothing fails; returns what was called since the plan was armed.
    pub(crate) fn disarm(&self) -> Vec<(Op, PathBuf)> {
        let mut state = self.state();
        state.fault = None;
        std::mem::take(&mut state.calls)
    }

    /// From now on no call reads or writes more than so many octets.
    pub(crate) fn shorten(&self, most: usize) {
        self.state().most = Some(most);
    }

    pub(super) fn most(&self, len: usize) -> usize {
        self.state().most.map_or(len, |most| most.min(len))
    }

    /// From now on the file system makes no files without a name, as many do not.
    pub(crate) fn lack_unnamed(&self) {
        self.state().lacks_unnamed = true;
    }

    pub(super) fn has_unnamed(&self) -> bool {
        !self.state().lacks_unnamed
    }

    /// From now on `observer` is shown each call after it was made.
    pub(crate) fn observe(&self, observer: impl FnMut(Op, &Path) + Send + 'static) {
        *self.1.lock().unwrap() = Some(Box::new(observer));
    }

    /// Whether the chosen call was reached.
    pub(crate) fn struck(&self) -> bool {
        self.state().struck
    }

    pub(super) fn run<T>(
        &self,
        op: Op,
        path: &Path,
        work: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let fault = {
            let mut state = self.state();
            let n = state.calls.len();
            state.calls.push((op, path.to_path_buf()));
            let fault = state.fault.and_then(|(at, fault)| match fault {
                Fault::Before(_) | Fault::After(_) if n == at => Some(fault),
                Fault::Lasting(_) | Fault::Crash if n >= at => Some(fault),
                Fault::Full
                    if n >= at && matches!(op, Op::Create | Op::MakeDir | Op::Write | Op::Lock) =>
                {
                    Some(Fault::Before(io::ErrorKind::StorageFull))
                }
                Fault::Syncs(_) if n >= at && matches!(op, Op::Sync | Op::SyncDir) => Some(fault),
                _ => None,
            });
            state.struck |= fault.is_some();
            fault
        };
        match fault {
            None => {
                let done = work();
                if let Some(observer) = &mut *self.1.lock().unwrap() {
                    observer(op, path);
                }
                done
            }
            Some(Fault::Before(kind) | Fault::Lasting(kind) | Fault::Syncs(kind)) => {
                Err(kind.into())
            }
            Some(Fault::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::After(kind)) => work().and(Err(kind.into())),
            Some(Fault::Crash) => Err(io::Error::other("the process is dead")),
        }
    }
}
