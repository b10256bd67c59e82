//! The file under the index. Where the owner does not ask for durability it is not synced either:
//! after a power cut it may be damaged then, which is noticed.

use std::fs::File;
use std::ops::Bound;

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

#[derive(Debug)]
pub(super) struct Backend {
    file: FileBackend,
    durable: bool,
}

impl Backend {
    pub(super) fn new(file: File, durable: bool) -> Result<Self, redb::DatabaseError> {
        let file = FileBackend::new(file)?;
        Ok(Self { file, durable })
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
        if self.durable {
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
