//! The file under the index.
//!
//! It is synced only by who changes what it holds, and only where the owner asks for durability.

use std::fs::File;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// How long another process may write before this one lists without the index.
pub(super) const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 10 });

#[derive(Debug)]
pub(super) struct Backend {
    file: FileBackend,
    syncs: Arc<AtomicBool>,
}

impl Backend {
    /// It syncs from when `syncs` says so.
    pub(super) fn new(file: File, syncs: Arc<AtomicBool>) -> Result<Self, redb::DatabaseError> {
        FileBackend::new(file).map(|file| Self { file, syncs })
    }
}

/// Where tests break it.
#[cfg_attr(
    not(test),
    expect(clippy::unnecessary_wraps, reason = "in tests it fails")
)]
fn pass() -> Done {
    #[cfg(test)]
    crate::fuse::INDEX.with(crate::fuse::Fuse::burn)?;
    Ok(())
}

/// Waits for a lock that another process has, but not for ever: that one may have been stopped.
fn patiently(try_lock: impl Fn() -> Locked<bool>) -> Locked {
    const LONGEST: Duration = Duration::from_millis(2);
    let begin = Instant::now();
    let mut pause = Duration::from_micros(20);
    while !try_lock()? {
        if begin.elapsed() > PATIENCE {
            return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
        }
        std::thread::sleep(pause);
        pause = LONGEST.min(pause * 2);
    }
    Ok(())
}

type Done<T = ()> = Result<T, std::io::Error>;
type Locked<T = ()> = Result<T, BackendError>;

impl StorageBackend for Backend {
    fn len(&self) -> Done<u64> {
        pass()?;
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Done {
        pass()?;
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Done {
        pass()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Done {
        pass()?;
        if self.syncs.load(Ordering::Acquire) {
            self.file.sync_data()
        } else {
            Ok(())
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Done {
        pass()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> Done {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        pass()?;
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        pass()?;
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked {
        patiently(|| self.try_lock_range(start, end))
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked {
        patiently(|| self.try_lock_shared_range(start, end))
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.file.query_lock_range(start, end)
    }
}
