//! The file under the index.
//!
//! It is synced only by who changes what it holds, and only where the owner asks for durability. A
//! program that merely looks things up opens and closes it, which the database notes in its header
//! and would wait for the disk five times to have durable. After a power cut the index may be
//! damaged by that; it is noticed, and built anew.

use std::fs::File;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

#[derive(Debug)]
pub(super) struct Backend {
    file: FileBackend,
    syncs: Arc<AtomicBool>,
}

impl Backend {
    /// It syncs from when `syncs` says so.
    pub(super) fn new(file: File, syncs: Arc<AtomicBool>) -> Result<Self, redb::DatabaseError> {
        let file = FileBackend::new(file)?;
        Ok(Self { file, syncs })
    }
}

type Done<T = ()> = Result<T, std::io::Error>;
type Locked<T = ()> = Result<T, BackendError>;

impl StorageBackend for Backend {
    fn len(&self) -> Done<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Done {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Done {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Done {
        if self.syncs.load(Ordering::Acquire) {
            self.file.sync_data()
        } else {
            Ok(())
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Done {
        self.file.write(offset, data)
    }

    fn close(&self) -> Done {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.file.query_lock_range(start, end)
    }
}
