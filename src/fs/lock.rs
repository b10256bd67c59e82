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
