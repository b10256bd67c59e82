//! When a message that waits is tried again, and when it is given up.

use std::time::Duration;

/// When the queue tries again; the default is that of the SMTP service of IIS.
///
/// ```
/// use std::time::Duration;
/// use cdonts::RetrySchedule;
///
/// let impatient = RetrySchedule::default()
///     .retry_after([Duration::from_secs(60), Duration::from_secs(600)])
///     .expire_after(Duration::from_secs(6 * 3600));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrySchedule {
    retries: Vec<Duration>,
    notice: Duration,
    expiry: Duration,
}

impl Default for RetrySchedule {
    /// After 15, 30 and 60 minutes, then every 240; a notice of the delay after 12 hours; given up
    /// after 2 days.
    fn default() -> Self {
        Self {
            retries: [15, 30, 60, 240].map(Duration::from_mins).to_vec(),
            notice: Duration::from_hours(12),
            expiry: Duration::from_hours(48),
        }
    }
}

impl RetrySchedule {
    /// How long to wait after each attempt that failed; the last one is repeated. Without any, the
    /// message is tried again at every round.
    pub fn retry_after(mut self, waits: impl IntoIterator<Item = Duration>) -> Self {
        self.retries = waits.into_iter().collect();
        self
    }

    /// After how long the sender is told once that the message is delayed.
    pub fn notice_after(mut self, time: Duration) -> Self {
        self.notice = time;
        self
    }

    /// After how long the message goes back to the sender.
    pub fn expire_after(mut self, time: Duration) -> Self {
        self.expiry = time;
        self
    }

    /// The wait after so many attempts.
    pub(super) fn wait(&self, attempts: u32) -> Duration {
        let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = self.retries.get(index).or(self.retries.last());
        wait.copied().unwrap_or_default()
    }

    /// How long so many attempts take together, with the waits after them.
    pub(super) fn waited(&self, attempts: u32) -> Duration {
        let known = u32::try_from(self.retries.len()).unwrap_or(u32::MAX);
        let first: Duration = (1..=attempts.min(known))
            .map(|attempt| self.wait(attempt))
            .sum();
        let rest = attempts.saturating_sub(known);
        first.saturating_add(self.wait(u32::MAX).saturating_mul(rest))
    }

    pub(super) fn longest_wait(&self) -> Duration {
        self.retries.iter().max().copied().unwrap_or_default()
    }

    pub(super) fn is_delayed(&self, age: Duration) -> bool {
        age >= self.notice
    }

    pub(super) fn is_expired(&self, age: Duration) -> bool {
        age >= self.expiry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_waits_15_30_60_and_then_240_minutes() {
        let schedule = RetrySchedule::default();
        let minutes = [1, 2, 3, 4, 5, 99].map(|attempts| schedule.wait(attempts).as_secs() / 60);
        assert_eq!(minutes, [15, 30, 60, 240, 240, 240]);
        let together = [0, 1, 2, 4, 6].map(|attempts| schedule.waited(attempts).as_secs() / 60);
        assert_eq!(together, [0, 15, 45, 345, 825]);
        assert!(!schedule.is_delayed(Duration::from_secs(12 * 3600 - 1)));
        assert!(schedule.is_delayed(Duration::from_hours(12)));
        assert!(!schedule.is_expired(Duration::from_secs(48 * 3600 - 1)));
        assert!(schedule.is_expired(Duration::from_hours(48)));
    }
}
