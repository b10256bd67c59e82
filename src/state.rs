//! The state directory: what a mail server must remember between two steps of its work.
//!
//! `locks/ staging/ committed/ removing/ marks/` and `setting`, which says for which drop and
//! under which rules it was made. It is made at the first use that needs it. Nothing in it is
//! anybody's message alone: staging and committed hold copies on their way.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::fs::{Dir, Lock, Modes, Probe};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, PoisonError};

mod setting;

pub(crate) use setting::Setting;

/// The directories inside the state directory.
#[derive(Debug)]
pub(crate) struct Dirs {
    /// The state directory itself.
    pub(crate) root: Dir,
    pub(crate) locks: Dir,
    pub(crate) staging: Dir,
    pub(crate) committed: Dir,
    pub(crate) removing: Dir,
    pub(crate) marks: Dir,
    /// This process has synced the state directory since it found them.
    is_durable: AtomicBool,
}

/// An id that is ours alone as long as its lock is held.
#[derive(Debug)]
pub(crate) struct Reserved {
    pub(crate) id: String,
    pub(crate) lock: Lock,
}

#[derive(Debug)]
pub(crate) struct State {
    path: Option<PathBuf>,
    /// It comes into being sooner or later, whatever the program does.
    #[cfg_attr(not(feature = "index"), expect(dead_code, reason = "for the index"))]
    is_wanted: bool,
    setting: Setting,
    modes: Modes,
    probe: Probe,
    opened: Mutex<Option<Arc<Dirs>>>,
}

impl State {
    pub(crate) fn new(
        path: Option<PathBuf>,
        is_wanted: bool,
        setting: Setting,
        modes: Modes,
        probe: Probe,
    ) -> Self {
        Self {
            path,
            is_wanted,
            setting,
            modes,
            probe,
            opened: Mutex::new(None),
        }
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What every call of the same mail server goes through.
    #[cfg(feature = "maildir")]
    pub(crate) fn probe(&self) -> &Probe {
        &self.probe
    }

    /// The directories, if there are any yet.
    pub(crate) fn existing(&self) -> Result<Option<Arc<Dirs>>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let (None, Some(path)) = (&*opened, &self.path) else {
            return Ok(opened.clone());
        };
        match Dir::open_path(path, self.modes, &self.probe) {
            Err(failure) if failure.is_gone() => Ok(None),
            Err(failure) => Err(failure.into()),
            Ok(root) => {
                *opened = Some(Arc::new(self.prepare(&root)?));
                Ok(opened.clone())
            }
        }
    }

    /// The directories for an index: made only where the owner has all directories made or mail
    /// delivered. Who only reads leaves nothing behind otherwise.
    #[cfg(feature = "index")]
    pub(crate) fn for_index(&self) -> Result<Option<Arc<Dirs>>> {
        match self.existing()? {
            None if self.is_wanted => self.ensure().map(Some),
            found => Ok(found),
        }
    }

    /// The directories, made when they are missing, and durable: for whoever writes into them.
    pub(crate) fn ensure(&self) -> Result<Arc<Dirs>> {
        let dirs = self.made()?;
        // Whoever made them may have died before this. Who only reads need not wait for a disk.
        if !dirs.is_durable.load(Ordering::Acquire) {
            dirs.root.sync()?;
            dirs.is_durable.store(true, Ordering::Release);
        }
        Ok(dirs)
    }

    fn made(&self) -> Result<Arc<Dirs>> {
        if let Some(dirs) = self.existing()? {
            return Ok(dirs);
        }
        let Some(path) = &self.path else {
            return Err(Error::new(
                ErrorKind::Configuration,
                "a state directory is needed for this; set one with `state_dir`",
            ));
        };
        Dir::make_path(path, self.modes, &self.probe)?;
        if let Some(parent) = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            Dir::open_path(parent, self.modes, &self.probe)?.sync()?;
        }
        self.existing()?.ok_or_else(|| {
            Error::new(ErrorKind::PathNotFound, "the state directory vanished").with_path(path)
        })
    }

    /// Writes the setting of now over another one, which belonged to other rules.
    pub(crate) fn rebuild(&self) -> Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        match Dir::open_path(path, self.modes, &self.probe) {
            Err(failure) if failure.is_gone() => Ok(()),
            Err(failure) => Err(failure.into()),
            Ok(root) => self.setting.replace_in(&root),
        }
    }

    fn prepare(&self, root: &Dir) -> Result<Dirs> {
        self.setting.agree_with(root)?;
        let dirs = Dirs {
            root: root.clone(),
            locks: root.ensure_dir("locks")?,
            staging: root.ensure_dir("staging")?,
            committed: root.ensure_dir("committed")?,
            removing: root.ensure_dir("removing")?,
            marks: root.ensure_dir("marks")?,
            is_durable: AtomicBool::new(false),
        };
        Ok(dirs)
    }
}

impl Dirs {
    /// A new id with its lock: whoever finds a directory of that id knows that we are at work.
    pub(crate) fn reserve(&self) -> Result<Reserved> {
        // A new id is free; only a sweeper can be at it for a moment.
        for _ in 0..MOST_TRIES {
            let id = new_id();
            if let Some(lock) = self.locks.lock(&id)? {
                return Ok(Reserved { id, lock });
            }
        }
        let message = "no lock could be taken; does the file system have locks?";
        Err(Error::new(ErrorKind::Io, message).with_path(self.locks.path()))
    }

    /// The lock of an id that somebody left; `None` while he is at work.
    pub(crate) fn take(&self, id: &str) -> Result<Option<Lock>> {
        Ok(self.locks.lock(id)?)
    }
}

const MOST_TRIES: usize = 20;

/// A file for this process alone that vanishes with its handle.
pub(crate) fn scratch_file(dir: &Dir) -> crate::fs::Result<crate::fs::NewFile> {
    if let Some(file) = dir.create_unnamed()? {
        return Ok(file);
    }
    let name = format!("scratch-{}", new_id());
    let file = dir.create(&name)?;
    dir.remove(&name)?;
    Ok(file)
}

/// A name that nobody has chosen or will choose.
pub(crate) fn new_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
