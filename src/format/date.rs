//! Reading a date and time (RFC 5322 section 3.3) with its tokens in whatever order they come.

use std::time::{Duration, SystemTime};

use chrono::{NaiveDate, NaiveDateTime};

use super::cursor::Cursor;

#[derive(Default)]
struct Found {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    time: Option<(u32, u32, u32)>,
    /// Minutes east of Greenwich.
    zone: Option<i32>,
    afternoon: Option<bool>,
}

/// Reads a date; seconds and zone may be missing (no zone means UTC).
pub(crate) fn parse(value: &[u8]) -> Option<SystemTime> {
    let text = without_comments(value);
    let mut found = Found::default();
    let is_space = |c: char| c.is_whitespace() || c == ',';
    for token in text.split(is_space).filter(|token| !token.is_empty()) {
        found.take(token);
    }
    found.system_time()
}

fn without_comments(value: &[u8]) -> String {
    let mut cursor = Cursor::new(value);
    let mut text = Vec::with_capacity(value.len());
    while let Some(byte) = cursor.next() {
        if byte == b'(' {
            cursor.comment();
            text.push(b' ');
        } else {
            text.push(byte);
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

impl Found {
    fn take(&mut self, token: &str) {
        if let Some(zone) = colon_zone(token) {
            self.zone = self.zone.or(Some(zone));
        } else if token.contains(':') {
            self.take_time(token);
        } else if let Some(time) = dotted_time(token) {
            self.take_time(&time);
        } else if let Some(month) = month(token) {
            self.month = self.month.or(Some(month));
        } else if let Some(zone) = zone(token) {
            // After the numeric zone some write its name too: the number stays.
            self.zone = self.zone.or(Some(zone));
        } else if token.eq_ignore_ascii_case("am") || token.eq_ignore_ascii_case("pm") {
            self.afternoon = Some(token.eq_ignore_ascii_case("pm"));
        } else if token.bytes().all(|byte| byte.is_ascii_digit()) {
            self.take_number(token);
        } else if token.contains(['-', '/']) {
            for piece in token.split(['-', '/']) {
                match month(piece) {
                    Some(month) => self.month = self.month.or(Some(month)),
                    None => self.take_number(piece),
                }
            }
        }
    }

    /// `10:00`, `10:00:00`, and with a zone or a fraction directly behind it.
    fn take_time(&mut self, token: &str) {
        let end = token
            .find(|c: char| !c.is_ascii_digit() && c != ':')
            .unwrap_or(token.len());
        let (time, rest) = token.split_at_checked(end).unwrap_or((token, ""));
        let mut numbers = time.split(':').map(|number| number.parse().ok());
        let (hour, minute) = (numbers.next().flatten(), numbers.next().flatten());
        if let (Some(hour), Some(minute)) = (hour, minute) {
            let second = numbers.next().flatten().unwrap_or(0);
            self.time = self.time.or(Some((hour, minute, second)));
        }
        let rest = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
        if let Some(zone) = colon_zone(rest) {
            self.zone = self.zone.or(Some(zone));
        } else if !rest.is_empty() && !rest.contains(':') {
            self.take(rest);
        }
    }

    fn take_number(&mut self, digits: &str) {
        let Ok(number) = digits.parse::<u32>() else {
            return;
        };
        if self.day.is_none() && digits.len() <= 2 && (1..=31).contains(&number) {
            self.day = Some(number);
        } else if self.year.is_none() {
            self.year = match (digits.len(), i32::try_from(number)) {
                // RFC 5322 section 4.3.
                (1 | 2, Ok(number)) if number < 50 => Some(number + 2000),
                (1..=3, Ok(number)) => Some(number + 1900),
                (4, Ok(number)) => Some(number),
                _ => None,
            };
        }
    }

    fn system_time(&self) -> Option<SystemTime> {
        let date = NaiveDate::from_ymd_opt(self.year?, self.month?, self.day?)?;
        let (mut hour, minute, second) = self.time.unwrap_or((0, 0, 0));
        match self.afternoon {
            Some(true) if hour < 12 => hour += 12,
            Some(false) if hour == 12 => hour = 0,
            _ => {}
        }
        // A leap second is read as the second before it.
        let local: NaiveDateTime = date.and_hms_opt(hour, minute, second.min(59))?;
        let seconds = local
            .and_utc()
            .timestamp()
            .checked_sub(i64::from(self.zone.unwrap_or(0)) * 60)?;
        let distance = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(distance)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(distance)
        }
    }
}

/// A zone with a colon, as other standards write it.
fn colon_zone(token: &str) -> Option<i32> {
    let (hours, minutes) = token.strip_prefix(['+', '-'])?.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    zone(&format!("{}{hours}{minutes}", token.get(..1)?))
}

/// `10.30.00`: three numbers of which none can be a year.
fn dotted_time(token: &str) -> Option<String> {
    let mut numbers = token.split('.');
    let is_number = |piece: Option<&str>, most: usize| {
        piece.is_some_and(|piece| {
            (1..=most).contains(&piece.len()) && piece.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let is_time = is_number(numbers.next(), 2)
        && numbers
            .next()
            .is_some_and(|minutes| is_number(Some(minutes), 2) && minutes.len() == 2)
        && numbers
            .next()
            .is_some_and(|seconds| is_number(Some(seconds), 2) && seconds.len() == 2)
        && numbers.next().is_none();
    is_time.then(|| token.replace('.', ":"))
}

fn month(token: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let start = token.get(..3)?.to_ascii_lowercase();
    let is_word = token.chars().all(|c| c.is_alphabetic() || c == '.');
    let index = MONTHS.iter().position(|month| *month == start)?;
    is_word.then(|| u32::try_from(index + 1).ok()).flatten()
}

/// Minutes east of Greenwich.
fn zone(token: &str) -> Option<i32> {
    let named = |name: &str| {
        ZONES
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known))
            .map(|&(_, minutes)| minutes)
    };
    if let Some(minutes) = named(token) {
        return Some(minutes);
    }
    let sign_at = token.find(['+', '-'])?;
    let (name, rest) = token.split_at_checked(sign_at)?;
    if !name.is_empty() && named(name) != Some(0) {
        return None;
    }
    let sign = if rest.starts_with('-') { -1 } else { 1 };
    let digits = rest.get(1..)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i32 = digits.parse().ok()?;
    let minutes = match digits.len() {
        1 | 2 => number * 60,
        3 | 4 => number / 100 * 60 + number % 100,
        _ => return None,
    };
    (minutes < 24 * 60).then_some(sign * minutes)
}

const ZONES: &[(&str, i32)] = &[
    ("Z", 0),
    ("UT", 0),
    ("UTC", 0),
    ("GMT", 0),
    ("WET", 0),
    ("BST", 60),
    ("CET", 60),
    ("MET", 60),
    ("MEZ", 60),
    ("WEST", 60),
    ("CEST", 120),
    ("EET", 120),
    ("MEST", 120),
    ("MESZ", 120),
    ("SAST", 120),
    ("EEST", 180),
    ("MSK", 180),
    ("MSD", 240),
    ("IST", 330),
    ("HKT", 480),
    ("SGT", 480),
    ("AWST", 480),
    ("JST", 540),
    ("KST", 540),
    ("AEST", 600),
    ("AEDT", 660),
    ("NZST", 720),
    ("NZDT", 780),
    ("NDT", -150),
    ("ADT", -180),
    ("BRT", -180),
    ("NST", -210),
    ("AST", -240),
    ("EDT", -240),
    ("CDT", -300),
    ("EST", -300),
    ("CST", -360),
    ("MDT", -360),
    ("MST", -420),
    ("PDT", -420),
    ("AKDT", -480),
    ("PST", -480),
    ("AKST", -540),
    ("HST", -600),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_the_forms_of_real_mail() {
        for (input, expected) in [
            (
                "Tue, 24 Nov 2026 10:00:00 +0100",
                Some("2026-11-24T09:00:00Z"),
            ),
            ("24 Nov 26 10:00 EST", Some("2026-11-24T15:00:00Z")),
            ("Tue Nov 24 10:00:00 2026", Some("2026-11-24T10:00:00Z")),
            (
                "Tue, 24-Nov-2026 10:00:00 GMT",
                Some("2026-11-24T10:00:00Z"),
            ),
            (
                "24 Nov 2026 10:00:00 -0000 (MET (x))",
                Some("2026-11-24T10:00:00Z"),
            ),
            ("24 Nov 1999 12:30 AM +0000", Some("1999-11-24T00:30:00Z")),
            (
                "24 November 99 1:2:3 pm gmt+0200",
                Some("1999-11-24T11:02:03Z"),
            ),
            (
                "Thu, 1 Jan 1969 00:00:00 +0000",
                Some("1969-01-01T00:00:00Z"),
            ),
            ("24 Nov 2026", Some("2026-11-24T00:00:00Z")),
            ("24 Nov. 2026", Some("2026-11-24T00:00:00Z")),
            ("24 Nov 2026 10:00:00 +05:00", Some("2026-11-24T05:00:00Z")),
            ("24 Nov 2026 10:00:00-05:30", Some("2026-11-24T15:30:00Z")),
            ("24 Nov 2026 10.30.00 +0000", Some("2026-11-24T10:30:00Z")),
            ("12+3:4", None),
            ("31 Feb 2026 10:00:00 +0000", None),
            ("", None),
            ("99999999999999 Nov 2026", None),
        ] {
            let read = parse(input.as_bytes()).map(crate::time::rfc3339);
            assert_eq!(read.as_deref(), expected, "{input}");
        }
    }

    /// Minutes east of Greenwich, by their names in RFC 5322 and in the mail of the world.
    #[test]
    fn zones_have_their_names() {
        for (name, minutes) in [
            ("EST", -300),
            ("EDT", -240),
            ("CST", -360),
            ("CDT", -300),
            ("MST", -420),
            ("MDT", -360),
            ("PST", -480),
            ("PDT", -420),
            ("AKST", -540),
            ("AKDT", -480),
            ("HST", -600),
            ("AST", -240),
            ("ADT", -180),
            ("NST", -210),
            ("NDT", -150),
            ("BRT", -180),
            ("WET", 0),
            ("BST", 60),
            ("CET", 60),
            ("CEST", 120),
            ("EET", 120),
            ("EEST", 180),
            ("MSK", 180),
            ("IST", 330),
            ("SGT", 480),
            ("JST", 540),
            ("AEST", 600),
            ("AEDT", 660),
            ("NZST", 720),
            ("NZDT", 780),
        ] {
            let of = |zone: &str| parse(format!("24 Nov 2026 12:00:00 {zone}").as_bytes()).unwrap();
            let sign = if minutes < 0 { '-' } else { '+' };
            let offset = i32::abs(minutes);
            let number = format!("{sign}{:02}{:02}", offset / 60, offset % 60);
            assert_eq!(of(name), of(&number), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_ends(text in "[0-9a-zA-Z:+, /.()-]{0,40}") {
            let _ = parse(text.as_bytes());
        }
    }
}
