//! The open database: for reading, until something is to be written.
//!
//! A program that merely looks things up changes nothing in the file, however it ends: the database
//! notes in its header when somebody opens it to write, and repairs itself if he did not close it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redb::{
    Builder, ConcurrencyMode, Database, DatabaseError, ReadOnlyDatabase, ReadTransaction,
    ReadableDatabase, TransactionError, WriteTransaction,
};

use super::backend::{Backend, PATIENCE};
use super::{Answered, Fault, NAME, caught, fault};
use crate::fs::Dir;

/// What redb may keep in memory.
const CACHE: usize = 16 * 1024 * 1024;

pub(super) struct Access {
    /// Where the file lies.
    dir: Dir,
    inode: u64,
    held: Mutex<Held>,
    /// Of those who go over to writing one does it; who reads does not wait for him.
    changing: Mutex<()>,
    durable: bool,
    /// Whether the file is synced: from the first commit on.
    syncs: Arc<AtomicBool>,
}

enum Held {
    Reading(ReadOnlyDatabase),
    Writing(Arc<Database>),
}

impl Access {
    /// Opens the index in this directory; `None` if there is none.
    pub(super) fn open(dir: &Dir, durable: bool) -> Result<Option<Self>, Fault> {
        let Some((file, inode)) = file_in(dir)? else {
            return Ok(None);
        };
        let syncs = Arc::new(AtomicBool::new(false));
        let backend = Backend::new(file, Arc::clone(&syncs)).answered()?;
        let held = caught(|| match builder().open_read_only_with_backend(backend) {
            Ok(database) => Ok(Held::Reading(database)),
            // Who wrote last did not close it: it is repaired.
            Err(DatabaseError::RepairAborted) => {
                syncs.store(durable, Ordering::Release);
                writable(dir, inode, &syncs).map(Held::Writing)
            }
            Err(error) => Err(fault(error)),
        })?;
        Ok(Some(Self {
            dir: dir.clone(),
            inode,
            held: Mutex::new(held),
            changing: Mutex::default(),
            durable,
            syncs,
        }))
    }

    /// Makes an empty database in a new file.
    pub(super) fn create(dir: &Dir, name: &str, durable: bool) -> Result<Self, Fault> {
        let file = dir.create(name)?;
        let inode = file.stat()?.stamp.inode;
        let syncs = Arc::new(AtomicBool::new(false));
        let held = Mutex::new(Held::Writing(Arc::new(database(file.into_std(), &syncs)?)));
        Ok(Self {
            dir: dir.clone(),
            inode,
            held,
            changing: Mutex::default(),
            durable,
            syncs,
        })
    }

    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    pub(super) fn inode(&self) -> u64 {
        self.inode
    }

    pub(super) fn begin_read(&self) -> Result<ReadTransaction, Fault> {
        let begun = match &*self.held() {
            Held::Reading(database) => database.begin_read(),
            Held::Writing(database) => database.begin_read(),
        };
        begun.answered()
    }

    /// Waits for other writers, but not for ever: one may have been stopped.
    pub(super) fn begin_write(&self) -> Result<WriteTransaction, Fault> {
        let begin = Instant::now();
        loop {
            match self.try_begin()? {
                Some(begun) => return Ok(begun),
                None if begin.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                None => return Err(Fault::Unavailable),
            }
        }
    }

    /// From now on what the database syncs is synced. Before it has anything to commit that is the
    /// length of its file again and again, which the first sync of the commit writes down as well.
    pub(super) fn sync(&self) {
        self.syncs.store(self.durable, Ordering::Release);
    }

    /// `None` while another process writes.
    fn try_begin(&self) -> Result<Option<WriteTransaction>, Fault> {
        match self.writing()?.try_begin_write() {
            Ok(begun) => Ok(Some(begun)),
            Err(TransactionError::WouldBlock) => Ok(None),
            Err(error) => Err(fault(error)),
        }
    }

    /// The database to write into, opened anew if it was only read until now.
    fn writing(&self) -> Result<Arc<Database>, Fault> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Held::Writing(database) = &*self.held() {
            return Ok(Arc::clone(database));
        }
        let database = writable(&self.dir, self.inode, &self.syncs)?;
        *self.held() = Held::Writing(Arc::clone(&database));
        Ok(database)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let writes = matches!(&*self.held(), Held::Writing(_));
        f.debug_struct("Access")
            .field("inode", &self.inode)
            .field("writes", &writes)
            .finish_non_exhaustive()
    }
}

/// Where a test breaks the file each read of it shall be one that can fail.
fn cache() -> usize {
    #[cfg(test)]
    if crate::fuse::INDEX.with(crate::fuse::Fuse::is_set) {
        return 0;
    }
    CACHE
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .set_cache_size(cache())
        .set_concurrency_mode(ConcurrencyMode::MultiWriter);
    builder
}

/// The file of the index, and its number.
fn file_in(dir: &Dir) -> Result<Option<(std::fs::File, u64)>, Fault> {
    let file = match dir.open_own(NAME) {
        Err(failure) if failure.is_gone() => return Ok(None),
        opened => opened?,
    };
    let stamp = file.stat()?.stamp;
    // An empty file would be taken for a new database, and no rule says so.
    if stamp.size == 0 {
        return Err(Fault::Damaged);
    }
    Ok(Some((file.into_std(), stamp.inode)))
}

/// Opens the same file to write.
fn writable(dir: &Dir, inode: u64, syncs: &Arc<AtomicBool>) -> Result<Arc<Database>, Fault> {
    match file_in(dir)? {
        Some((file, found)) if found == inode => database(file, syncs).map(Arc::new),
        // Another process has set it aside.
        _ => Err(Fault::Unavailable),
    }
}

fn database(file: std::fs::File, syncs: &Arc<AtomicBool>) -> Result<Database, Fault> {
    let backend = Backend::new(file, Arc::clone(syncs)).answered()?;
    caught(|| builder().create_with_backend(backend).answered())
}
