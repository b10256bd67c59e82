//! The state of a file, and what of it tells one file from another.

use std::fs::Metadata;
use std::time::{Duration, SystemTime};

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Other,
}

/// The state of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    pub(crate) kind: Kind,
    pub(crate) stamp: Stamp,
    /// The file system it is on; 0 where the system does not say.
    pub(crate) device: u64,
}

/// Two looks at a name saw the same unchanged file if the stamps are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stamp {
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: i128,
    /// The number of the file on its file system; 0 where the system has none.
    pub(crate) inode: u64,
}

impl Stamp {
    pub(crate) fn modified(&self) -> SystemTime {
        let nanos = self.modified.unsigned_abs();
        let duration = Duration::new(
            u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX),
            (nanos % 1_000_000_000) as u32,
        );
        let time = if self.modified < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(duration)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(duration)
        };
        time.unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

impl From<&Metadata> for Stat {
    fn from(metadata: &Metadata) -> Self {
        let kind = if metadata.is_file() {
            Kind::File
        } else if metadata.is_dir() {
            Kind::Directory
        } else {
            Kind::Other
        };
        let (inode, device) = numbers(metadata);
        let modified = metadata.modified().map_or(0, nanoseconds);
        let stamp = Stamp {
            size: metadata.len(),
            modified,
            inode,
        };
        Self {
            kind,
            stamp,
            device,
        }
    }
}

#[cfg(unix)]
fn numbers(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.ino(), metadata.dev())
}

#[cfg(not(unix))]
fn numbers(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

fn nanoseconds(time: SystemTime) -> i128 {
    let signed = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => signed(after),
        Err(before) => -signed(before.duration()),
    }
}
