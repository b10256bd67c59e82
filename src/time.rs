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

use chrono::{DateTime, Datelike, Timelike, Utc};

/// The date as mail writes it (RFC 5322 section 3.3), in UTC.
pub fn rfc5322(time: SystemTime) -> String {
    let time = in_utc(time);
    // Every message has one or two of them: a form that is read each time costs more than it says.
    let mut text = String::with_capacity(31);
    text.push_str(
        DAYS.get(time.weekday().num_days_from_monday() as usize)
            .unwrap_or(&""),
    );
    text.push_str(", ");
    push_two(&mut text, time.day());
    text.push(' ');
    text.push_str(MONTHS.get(time.month0() as usize).unwrap_or(&""));
    text.push(' ');
    let year = time.year().unsigned_abs();
    push_two(&mut text, year / 100);
    push_two(&mut text, year % 100);
    for (before, value) in [
        (' ', time.hour()),
        (':', time.minute()),
        (':', time.second()),
    ] {
        text.push(before);
        push_two(&mut text, value);
    }
    text.push_str(" +0000");
    text
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

fn push_two(to: &mut String, value: u32) {
    for digit in [value / 10 % 10, value % 10] {
        to.extend(char::from_digit(digit, 10));
    }
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

    proptest::proptest! {
        #[test]
        fn a_date_of_mail_is_as_the_library_of_dates_writes_it(seconds in 0..253_402_300_799_u64) {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let expected = in_utc(time).format("%a, %d %b %Y %H:%M:%S +0000").to_string();
            proptest::prop_assert_eq!(rfc5322(time), expected);
        }
    }
}
