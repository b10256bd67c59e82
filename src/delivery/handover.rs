//! The hand-over: the copies of one message, for several places, become sent at one instant.
//!
//! ```text
//!   begin      staging/<id>/ under the lock <id>          crash: not sent, swept
//!   claim      Pickup/x → staging/<id>/claim/x            crash: goes back to Pickup
//!   stage      staging/<id>/{drop,pickup,queue,badmail}/<name>  crash: as before
//!   hand_over  staging/<id> → committed/<id>              the instant
//!   move_out   committed/<id>/drop/<name> → Drop/<name>   crash: sent; recovery moves the rest
//! ```
//!
//! Names are chosen when a copy is staged and used at every later attempt. Copies move by renames
//! that do not replace, never by a second link: what is no longer in committed was delivered, also
//! when its reader has deleted it since. Nothing is keyed by what a message says.

use std::ffi::OsStr;
use std::sync::Arc;

use super::spool::Spool;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::fs::{Dir, Lock};
use crate::state::{Dirs, Reserved, new_id};
use crate::transport::{Content, Copier, Copy, Folder};

/// A message on its way to being sent. Dropped before the hand-over it was never there.
pub(crate) struct Handover<'a> {
    spool: &'a Spool,
    dirs: Arc<Dirs>,
    id: String,
    dir: Dir,
    /// `None` once it was handed over.
    lock: Option<Lock>,
}

/// The directory in which a claimed file waits under its own name.
pub(super) const CLAIM: &str = "claim";

impl<'a> Handover<'a> {
    pub(crate) fn begin(spool: &'a Spool) -> Result<Self> {
        let dirs = spool.state.ensure()?;
        let Reserved { id, lock } = dirs.reserve()?;
        let dir = match dirs.staging.make_dir(&id) {
            Ok(dir) => dir,
            Err(failure) => {
                if dirs.staging.is_without(&id) {
                    let _ = lock.release();
                }
                return Err(failure.into());
            }
        };
        Ok(Self {
            spool,
            dirs,
            id,
            dir,
            lock: Some(lock),
        })
    }

    /// Takes a file out of Pickup; returns the directory in which it is now. Its place is durable
    /// before, so that no power cut loses it.
    pub(super) fn claim(&self, pickup: &Dir, name: &OsStr) -> Result<Dir> {
        let claim = self.dir.make_dir(CLAIM)?;
        if self.spool.durable {
            self.dir.sync()?;
            self.dirs.staging.sync()?;
        }
        pickup.rename(name, &claim, name)?;
        if self.spool.durable {
            claim.sync()?;
            pickup.sync()?;
        }
        Ok(claim)
    }

    /// Writes the copies, each under its final name.
    pub(crate) fn stage(self, copies: &[Copy<'_>], content: &Content<'_>) -> Result<Self> {
        let mut copier = Copier::new(content, self.spool.durable);
        for folder in Folder::ALL {
            let mut of_folder = copies
                .iter()
                .filter(|copy| copy.folder == folder)
                .peekable();
            if of_folder.peek().is_none() {
                continue;
            }
            if self.spool.dir(folder).is_none() {
                return Err(no_folder(folder));
            }
            let dir = self.dir.make_dir(folder.name())?;
            for copy in of_folder {
                let file = dir.create(&copy.name)?;
                copier.write(copy, self.spool.is_stuffed(folder), file)?;
            }
            if self.spool.durable {
                dir.sync()?;
            }
        }
        if self.spool.durable {
            self.dir.sync()?;
            self.dirs.staging.sync()?;
        }
        Ok(self)
    }

    /// The instant. After an error nothing was sent; after `Ok` all is, whatever happens.
    pub(crate) fn hand_over(mut self) -> Result<Committed<'a>> {
        let (staging, committed) = (&self.dirs.staging, &self.dirs.committed);
        let outcome = match staging.rename(&self.id, committed, &self.id) {
            Ok(()) => self.sync_both().map_err(|failure| (failure, true)),
            Err(failure) => Err((failure, false)),
        };
        if let Err((failure, was_renamed)) = outcome
            && self.take_back(was_renamed)
        {
            return Err(failure.into());
        }
        Ok(Committed {
            spool: self.spool,
            dirs: Arc::clone(&self.dirs),
            id: std::mem::take(&mut self.id),
            lock: self.lock.take(),
        })
    }

    fn sync_both(&self) -> crate::fs::Result<()> {
        if self.spool.durable {
            self.dirs.committed.sync()?;
            self.dirs.staging.sync()?;
        }
        Ok(())
    }

    /// Whether it is back in staging. We hold the lock: nobody has touched it.
    fn take_back(&self, was_renamed: bool) -> bool {
        let (staging, committed) = (&self.dirs.staging, &self.dirs.committed);
        match committed.rename(&self.id, staging, &self.id) {
            Ok(()) => {
                if self.sync_both().is_ok() {
                    return true;
                }
                // After a power cut it might be in either place. Handed over it is sent for
                // certain; that is what the caller is told if it can be had.
                staging.rename(&self.id, committed, &self.id).is_err()
            }
            // A rename that failed was done only if it is there after all.
            Err(_) if !was_renamed => committed.stat(&self.id).is_err(),
            Err(_) => false,
        }
    }
}

impl Drop for Handover<'_> {
    /// Before the hand-over: the claim goes back, the rest goes away. What fails here is done by
    /// whoever recovers, when the lock is let go.
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take()
            && super::recover::clear_staging(self.spool, &self.dirs, &self.id).is_ok()
        {
            let _ = lock.release();
        }
    }
}

/// A message that is sent. What is left to do is done now or by recovery.
pub(crate) struct Committed<'a> {
    spool: &'a Spool,
    dirs: Arc<Dirs>,
    id: String,
    /// Held to the end.
    lock: Option<Lock>,
}

impl<'a> Committed<'a> {
    /// What somebody left, under its lock.
    pub(super) fn adopt(spool: &'a Spool, dirs: &Arc<Dirs>, id: &str, lock: Lock) -> Self {
        Self {
            spool,
            dirs: Arc::clone(dirs),
            id: id.to_owned(),
            lock: Some(lock),
        }
    }

    /// Moves the copies to where they go; tells what could not be moved yet.
    pub(crate) fn move_out(self) -> Vec<Problem> {
        let mut problems = Vec::new();
        match self.dirs.committed.open_dir(&self.id) {
            Ok(dir) => {
                for folder in Folder::ALL {
                    self.move_folder(&dir, folder, &mut problems);
                }
                if problems.is_empty() {
                    remember(self.clear(&dir), &mut problems);
                }
            }
            Err(failure) if failure.is_gone() => {}
            Err(failure) => problems.push(Error::from(failure).into()),
        }
        if problems.is_empty() {
            let released = self.lock.map_or(Ok(()), Lock::release);
            remember(released.map_err(Error::from), &mut problems);
        }
        problems
    }

    fn move_folder(&self, dir: &Dir, folder: Folder, problems: &mut Vec<Problem>) {
        let moved = (|| {
            let from = match dir.open_dir(folder.name()) {
                Err(failure) if failure.is_gone() => return Ok(()),
                opened => opened?,
            };
            if folder == Folder::Badmail {
                self.spool.open_badmail()?;
            }
            let to = self.spool.dir(folder).ok_or_else(|| no_folder(folder))?;
            for name in from.all_names()? {
                let moved = if is_state(folder, &name) {
                    replace(&from, &name, &to)
                } else {
                    move_copy(&from, &name, &to)
                };
                remember(moved, problems);
            }
            if self.spool.durable {
                to.sync()?;
                from.sync()?;
            }
            if problems.is_empty() {
                dir.remove_dir(folder.name())?;
            }
            Ok(())
        })();
        remember(moved, problems);
    }

    /// The claim goes last: its message is everywhere it should be.
    fn clear(&self, dir: &Dir) -> Result<()> {
        match dir.open_dir(CLAIM) {
            Err(failure) if failure.is_gone() => {}
            opened => {
                let claim = opened?;
                for name in claim.all_names()? {
                    claim.remove(&name)?;
                }
                dir.remove_dir(CLAIM)?;
            }
        }
        self.dirs.committed.remove_dir(&self.id)?;
        Ok(())
    }
}

/// The state of a message in the queue takes the place of the one before it.
fn is_state(folder: Folder, name: &OsStr) -> bool {
    folder == Folder::Queue && name.as_encoded_bytes().ends_with(b".state")
}

fn replace(from: &Dir, name: &OsStr, to: &Dir) -> Result<()> {
    match from.replace(name, to, name) {
        // A rename can fail after it was done.
        Err(_) if from.stat(name).is_err_and(|failure| failure.is_gone()) => Ok(()),
        replaced => Ok(replaced?),
    }
}

/// Moves one copy to its place under its own name.
fn move_copy(from: &Dir, name: &OsStr, to: &Dir) -> Result<()> {
    match from.rename(name, to, name) {
        Ok(()) => Ok(()),
        Err(failure) if failure.is_taken() => {
            let (ours, theirs) = (from.stat(name)?, to.stat(name)?);
            if (ours.device, ours.stamp.inode) == (theirs.device, theirs.stamp.inode)
                && ours.stamp.inode != 0
            {
                from.remove(name)?;
                return Ok(());
            }
            // Another file has our name: it stays, and the copy gets a new one here first, so that
            // a crash finds it under the name that it will have.
            let new = format!("{}.eml", new_id());
            from.rename(name, from, &new)?;
            from.rename(&new, to, &new)?;
            Ok(())
        }
        // A rename can fail after it was done.
        Err(_) if from.stat(name).is_err_and(|failure| failure.is_gone()) => Ok(()),
        Err(failure) => Err(failure.into()),
    }
}

fn no_folder(folder: Folder) -> Error {
    match folder {
        Folder::Pickup => crate::transport::no_way(),
        Folder::Drop | Folder::Queue | Folder::Badmail => Error::new(
            ErrorKind::Configuration,
            format!("the mail server has no {} directory", folder.name()),
        ),
    }
}

fn remember(result: Result<()>, problems: &mut Vec<Problem>) {
    if let Err(error) = result {
        problems.push(error.into());
    }
}
