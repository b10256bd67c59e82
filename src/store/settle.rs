//! Whether a file was written to its end.
//!
//! A writer that renames files into place is done once the name is there. With one that writes
//! in place nothing tells it but time: a file is complete when it is not empty and its size and
//! time stood still over two looks, by a clock that cannot jump.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::fs::Stamp;
use crate::sync::{Mutex, PoisonError};

/// How the program that fills a directory writes its files.
///
/// ```
/// use std::time::Duration;
/// use cdonts::{MailServer, Profile, Writer};
///
/// let builder = MailServer::builder()
///     .drop_dir("/var/spool/drop", Profile::IisDrop)
///     .drop_writer(Writer::InPlace { settle: Duration::from_secs(5) });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// It gives a file its name when the file is complete, as every Maildir writer does.
    Renames,
    /// It writes under the final name. A file is complete when it is not empty and did not change
    /// for the time `settle`; a program that looks once waits that long, once for all files.
    InPlace {
        /// How long a file must stand still; one second is usual, five on a network disk.
        settle: Duration,
    },
}

#[derive(Debug)]
pub(crate) struct Settling {
    writer: Writer,
    /// Keyed by a hash of the name: a million names would be much memory. Two names of one hash
    /// would also need the same state to be taken for each other.
    seen: Mutex<HashMap<u64, Seen>>,
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    stamp: Stamp,
    since: Instant,
    look: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Complete,
    /// Perhaps after this time.
    Wait(Duration),
    /// Not before it changes.
    Empty,
}

impl Settling {
    pub(crate) fn new(writer: Writer) -> Self {
        Self {
            writer,
            seen: Mutex::default(),
            hasher: RandomState::new(),
        }
    }

    pub(crate) fn writer(&self) -> Writer {
        self.writer
    }

    /// Judges the state of a file in the `look`-th look at the directory.
    pub(crate) fn judge(&self, name: &OsStr, stamp: Stamp, look: u64) -> Verdict {
        let settle = match self.writer {
            Writer::Renames => return Verdict::Complete,
            Writer::InPlace { settle } => settle,
        };
        if stamp.size == 0 {
            return Verdict::Empty;
        }
        if settle.is_zero() {
            return Verdict::Complete;
        }
        let now = Instant::now();
        let key = self.hasher.hash_one(name);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let since = match seen.get(&key) {
            Some(before) if before.stamp == stamp => before.since,
            _ => now,
        };
        seen.insert(key, Seen { stamp, since, look });
        let stood = now.duration_since(since);
        match settle.checked_sub(stood) {
            Some(left) if !left.is_zero() => Verdict::Wait(left),
            _ => Verdict::Complete,
        }
    }

    /// Forgets the files that were not there in the last whole look.
    pub(crate) fn forget_before(&self, look: u64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, seen| seen.look >= look);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_millis(20);

    fn stamp(size: u64, modified: i128) -> Stamp {
        Stamp {
            size,
            modified,
            inode: 1,
        }
    }

    #[test]
    fn a_file_must_stand_still_over_two_looks() {
        let settling = Settling::new(Writer::InPlace { settle: SETTLE });
        let name = OsStr::new("a");
        assert_eq!(settling.judge(name, stamp(0, 1), 1), Verdict::Empty);
        assert!(matches!(
            settling.judge(name, stamp(1, 1), 2),
            Verdict::Wait(_)
        ));
        std::thread::sleep(SETTLE);
        assert!(matches!(
            settling.judge(name, stamp(1, 2), 3),
            Verdict::Wait(_)
        ));
        std::thread::sleep(SETTLE);
        assert_eq!(settling.judge(name, stamp(1, 2), 4), Verdict::Complete);
    }

    #[test]
    fn the_time_of_the_file_is_never_compared_with_the_clock() {
        let settling = Settling::new(Writer::InPlace { settle: SETTLE });
        let ancient = stamp(1, -1_000_000_000);
        assert!(matches!(
            settling.judge(OsStr::new("a"), ancient, 1),
            Verdict::Wait(_)
        ));
    }

    #[test]
    fn a_writer_that_renames_is_believed() {
        let settling = Settling::new(Writer::Renames);
        assert_eq!(
            settling.judge(OsStr::new("a"), stamp(0, 1), 1),
            Verdict::Complete
        );
    }
}
