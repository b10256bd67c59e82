//! The directories of one mail server and the rules under which they are used.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::counters::Counters;
use super::queue::Queue;
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Result};
use crate::format::address::Address;
use crate::fs::{Dir, Modes, Probe};
use crate::limits::Limits;
use crate::state::State;
use crate::store::DropStore;
use crate::store::settle::Settling;
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::transport::{Folder, PickupFormat, Transport};

/// Where messages to be sent are put.
#[derive(Debug)]
pub(crate) struct Pickup {
    pub(crate) dir: Dir,
    pub(crate) dot_stuffed: bool,
    pub(crate) format: PickupFormat,
    /// Of the other programs that put files there.
    pub(crate) settling: Settling,
    pub(crate) looks: AtomicU64,
}

/// A way out that is used while `send` waits.
pub(crate) struct Outbox(pub(crate) Arc<dyn Transport>);

impl std::ops::Deref for Outbox {
    type Target = Arc<dyn Transport>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(crate) struct Spool {
    pub(crate) pickup: Option<Pickup>,
    pub(crate) drop: Option<Arc<DropStore>>,
    /// Where messages to other domains wait, if they are handed on by ourselves.
    pub(crate) queue: Option<Queue>,
    /// Where they would wait, when no way out is set.
    pub(crate) left_queue: Option<PathBuf>,
    /// A way out without files, instead of Pickup and queue.
    pub(crate) outbox: Option<Outbox>,
    pub(crate) counters: Counters,
    pub(crate) state: Arc<State>,
    /// Made when the first message goes there.
    pub(crate) badmail: Option<PathBuf>,
    pub(crate) badmail_opened: Mutex<Option<Dir>>,
    /// In comparison form.
    pub(crate) local_domains: Vec<String>,
    pub(crate) case_sensitive: bool,
    pub(crate) durable: bool,
    pub(crate) limits: Limits,
    pub(crate) modes: Modes,
    pub(crate) probe: Probe,
}

impl Spool {
    /// Whether anything can be sent by whoever has these credentials: asked before anything else.
    pub(crate) fn check_way(&self, credentials: Option<&Credentials>) -> Result<()> {
        let has_way = self.pickup.is_some() || self.queue.is_some() || self.outbox.is_some();
        if !has_way && self.local_domains.is_empty() {
            return Err(crate::transport::no_way());
        }
        let way = self.outbox.as_ref();
        if credentials.is_none() && way.is_some_and(|way| way.needs_credentials()) {
            let message = "the way out asks for credentials: log on with `Session::logon`, or give \
                           it some of its own";
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        Ok(())
    }

    pub(crate) fn is_local(&self, address: &Address) -> bool {
        self.local_domains
            .iter()
            .any(|domain| domain == address.domain())
    }

    /// The destination of the queue that an address has, if it has one.
    pub(crate) fn destination(&self, address: &Address) -> Option<&str> {
        self.queue.as_ref()?.destination(address.domain())
    }

    pub(crate) fn dir(&self, folder: Folder) -> Option<Dir> {
        match folder {
            Folder::Drop => self.drop.as_ref().map(|drop| drop.root().clone()),
            Folder::Pickup => self.pickup.as_ref().map(|pickup| pickup.dir.clone()),
            Folder::Queue => self.queue.as_ref().map(|queue| queue.dir.clone()),
            Folder::Badmail => self.badmail_lock().clone(),
        }
    }

    fn badmail_lock(&self) -> MutexGuard<'_, Option<Dir>> {
        self.badmail_opened
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_stuffed(&self, folder: Folder) -> bool {
        match folder {
            Folder::Drop => self
                .drop
                .as_ref()
                .is_some_and(|drop| drop.rules.dot_stuffed),
            Folder::Pickup => self
                .pickup
                .as_ref()
                .is_some_and(|pickup| pickup.dot_stuffed),
            Folder::Queue | Folder::Badmail => false,
        }
    }

    /// Opens Badmail, and makes it when it is missing: also when somebody has removed it since.
    pub(crate) fn open_badmail(&self) -> Result<()> {
        let Some(path) = &self.badmail else {
            return Err(Error::new(
                ErrorKind::Configuration,
                "the mail server has no Pickup, so that it has no Badmail either",
            ));
        };
        let mut opened = self.badmail_lock();
        if let Some(dir) = opened.as_ref()
            && is_still(dir, path, &self.probe)
        {
            return Ok(());
        }
        Dir::make_path(path, self.modes, &self.probe)?;
        *opened = Some(Dir::open_path(path, self.modes, &self.probe)?);
        Ok(())
    }
}

/// Whether the directory that was opened is the one that is there.
fn is_still(dir: &Dir, path: &Path, probe: &Probe) -> bool {
    let now = Dir::open_path(path, Modes::default(), probe).and_then(|now| now.own_stat());
    match (now, dir.own_stat()) {
        (Ok(now), Ok(ours)) => (now.device, now.stamp.inode) == (ours.device, ours.stamp.inode),
        _ => false,
    }
}
