//! Dates in and out of [`SystemTime`], the only form of a date in this crate's API.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//!
//! let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_514_400);
//! assert_eq!(cdonts::time::rfc5322(time), "Tue, 24 Nov 2026 10:00:00 +0000");
//! assert_eq!(cdonts::time::rfc3339(time), "2026-11-24T10:00:00Z");
//! ```

use std::time::SystemTime;

use chrono::{DateTime, Utc};

/// The date as mail writes it (RFC 5322 section 3.3), in UTC.
pub fn rfc5322(time: SystemTime) -> String {
    in_utc(time).to_rfc2822()
}

/// The date as data formats write it (RFC 3339), in UTC, whole seconds.
pub fn rfc3339(time: SystemTime) -> String {
    in_utc(time).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn in_utc(time: SystemTime) -> DateTime<Utc> {
    let seconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => {
            let before = before.duration();
            let whole = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            -whole - i64::from(before.subsec_nanos() > 0)
        }
    };
    // Both forms have four digits for the year; what they cannot say becomes their first or last.
    let seconds = seconds.clamp(-62_135_596_800, 253_402_300_799);
    DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_date_that_neither_form_can_say_is_the_first_or_the_last() {
        let far = Duration::from_secs(1 << 40);
        let (after, before) = (SystemTime::UNIX_EPOCH + far, SystemTime::UNIX_EPOCH - far);
        assert_eq!(rfc5322(after), "Fri, 31 Dec 9999 23:59:59 +0000");
        assert_eq!(rfc5322(before), "Mon, 1 Jan 0001 00:00:00 +0000");
        assert_eq!(rfc3339(after), "9999-12-31T23:59:59Z");
        assert_eq!(rfc3339(before), "0001-01-01T00:00:00Z");
    }
}
