//! The size of a Maildir++ with a quota is kept in a file, which whoever removes a message tells.

use super::drop::DropStore;

impl DropStore {
    /// Says that a message of that size is gone. Where nobody counts there is no such file; a count
    /// that is wrong is made anew by who checks the quota.
    pub(super) fn tell_quota(&self, size: u64) {
        if let Some(dir) = &self.rules.counted_in {
            let line = format!("-{size} -1\n");
            let _ = dir.append("maildirsize", line.as_bytes());
        }
    }
}
