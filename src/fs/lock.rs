//! Locks that die with their holder.
//!
//! A lock is a file that is locked, never the mere presence of one: a process that is killed
//! leaves the file, but not the lock.

use std::ffi::OsStr;
use std::fs::TryLockError;

use super::{Dir, Failure, Op, Result, Stat};

/// A held lock. It is let go when dropped; [`Lock::release`] removes its file too.
#[derive(Debug)]
pub(crate) struct Lock {
    dir: Dir,
    name: String,
    file: std::fs::File,
}

impl Lock {
    pub(super) fn take(dir: &Dir, name: &str) -> Result<Option<Self>> {
        let file = dir.open_lock(OsStr::new(name))?;
        let failure = |source| Failure::new(Op::Lock, dir.path().join(name), source);
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(source)) => return Err(failure(source)),
        }
        // Its last holder may have removed the file between our open and our lock; then somebody
        // else can make and lock another one under the same name.
        let held = Stat::from(&file.metadata().map_err(failure)?);
        match dir.stat(name) {
            Ok(named) if named.stamp.inode == held.stamp.inode => Ok(Some(Self {
                dir: dir.clone(),
                name: name.to_owned(),
                file,
            })),
            Ok(_) => Ok(None),
            Err(failure) if failure.is_gone() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Removes the file and lets the lock go: what it protected is gone.
    pub(crate) fn release(self) -> Result<()> {
        let removed = self.dir.remove(&self.name);
        drop(self.file);
        match removed {
            Err(failure) if failure.is_gone() => Ok(()),
            removed => removed,
        }
    }
}

#[cfg(all(test, target_os = "linux", not(portable_fs)))]
#[allow(clippy::disallowed_methods, reason = "tests may write files")]
mod tests {
    use super::super::double::{Plan, place};
    use super::super::{Dir, Modes, Op, Probe};

    /// Its last holder removes the file between our open and our lock, and somebody else makes
    /// another, or nobody yet: a lock on the removed one protects nothing.
    #[test]
    fn a_lock_on_a_file_that_was_removed_is_none() {
        for is_made_anew in [true, false] {
            let (root, plan) = (place(), Plan::new());
            let dir = Dir::open_path(root.path(), Modes::default(), &plan.probe()).unwrap();
            let path = root.path().join("a");
            let mut is_first = true;
            plan.observe(move |op, _| {
                if op == Op::Lock && std::mem::take(&mut is_first) {
                    std::fs::remove_file(&path).unwrap();
                    if is_made_anew {
                        std::fs::write(&path, "").unwrap();
                    }
                }
            });
            assert!(dir.lock("a").unwrap().is_none());
            assert!(dir.lock("a").unwrap().is_some());
        }
    }

    #[test]
    fn a_held_lock_is_not_given_again() {
        let root = place();
        let dir = Dir::open_path(root.path(), Modes::default(), &Probe::default()).unwrap();
        let held = dir.lock("a").unwrap().unwrap();
        assert!(dir.lock("a").unwrap().is_none());
        held.release().unwrap();
        assert!(!root.path().join("a").exists());
        assert!(dir.lock("a").unwrap().is_some());
    }

    #[test]
    fn a_lock_whose_file_is_gone_is_let_go() {
        let root = place();
        let dir = Dir::open_path(root.path(), Modes::default(), &Probe::default()).unwrap();
        let lock = dir.lock("lock").unwrap().unwrap();
        std::fs::remove_file(root.path().join("lock")).unwrap();
        lock.release().unwrap();
    }
}
