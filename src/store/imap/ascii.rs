//! What a server says in the letters of its own language, made readable to a parser of ASCII.
//!
//! `IMAP4rev2` allows UTF-8 in the text of a status (RFC 9051 section 9), and servers write it there
//! without having been asked. Such a text is for people: each octet that is not ASCII becomes a
//! question mark. Data are left as they are, in literals and in quoted strings alike: what the parser
//! does not understand of them is told as an error, never shown as something else.

use std::borrow::Cow;

/// So much of the beginning of a line tells what it is, and of its end whether a literal follows.
const ENOUGH: usize = 64;

/// Where in its lines and literals the server is.
#[derive(Default)]
pub(super) struct Ascii {
    /// Octets of a literal that are to come.
    literal: u64,
    /// The first and the last octets of a line that has no end yet.
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Ascii {
    /// The same octets, the text of a status as ASCII.
    pub(super) fn of<'o>(&mut self, octets: &'o [u8]) -> Cow<'o, [u8]> {
        let mut shown = Cow::Borrowed(octets);
        let mut at = 0;
        while let Some(rest) = octets.get(at..).filter(|rest| !rest.is_empty()) {
            if self.literal > 0 {
                let left = usize::try_from(self.literal);
                let skipped = left.map_or(rest.len(), |left| left.min(rest.len()));
                self.literal -= skipped as u64;
                at += skipped;
                continue;
            }
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let line = rest.get(..end).unwrap_or_default();
            let room = ENOUGH.saturating_sub(self.head.len()).min(line.len());
            self.head
                .extend_from_slice(line.get(..room).unwrap_or_default());
            if !line.is_ascii() && is_status(&self.head) {
                let line = shown.to_mut().get_mut(at..at + end).unwrap_or_default();
                line.iter_mut()
                    .filter(|octet| !octet.is_ascii())
                    .for_each(|octet| *octet = b'?');
            }
            self.pass(line);
            at += end;
        }
        shown
    }

    fn pass(&mut self, line: &[u8]) {
        let last = line.len().saturating_sub(ENOUGH);
        self.tail
            .extend_from_slice(line.get(last..).unwrap_or_default());
        let over = self.tail.len().saturating_sub(ENOUGH);
        self.tail.drain(..over);
        if self.tail.ends_with(b"\n") {
            self.literal = announced(&self.tail).unwrap_or(0);
            self.head.clear();
            self.tail.clear();
        }
    }
}

/// Whether a line that begins so is a status, or a request to go on, and not data.
fn is_status(head: &[u8]) -> bool {
    let Some(space) = memchr::memchr(b' ', head) else {
        return false;
    };
    let (tag, rest) = head.split_at(space);
    let is = |word: &str| {
        let start = rest.get(1..=word.len()).unwrap_or_default();
        start.eq_ignore_ascii_case(word.as_bytes()) && rest.get(word.len() + 1) == Some(&b' ')
    };
    tag == b"+" || !tag.is_empty() && ["OK", "NO", "BAD", "BYE"].into_iter().any(is)
}

/// How long the literal is that the end of a line announces.
fn announced(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\r\n")?.strip_suffix(b"}")?;
    let line = line.strip_suffix(b"+").unwrap_or(line);
    let start = memchr::memrchr(b'{', line)?;
    let digits = line.get(start + 1..).unwrap_or_default();
    let is_number = digits.iter().all(u8::is_ascii_digit);
    let digits = str::from_utf8(digits).ok().filter(|_| is_number);
    digits
        .and_then(|digits| digits.parse::<u32>().ok())
        .map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_in_braces_announces_a_literal() {
        for (line, len) in [
            ("* 1 FETCH (BODY[] {12}\r\n", Some(12)),
            ("{7+}\r\n", Some(7)),
            ("* no brace 12}\r\n", None),
            ("* {x12}\r\n", None),
            ("* {}\r\n", None),
            ("* {99999999999}\r\n", None),
            ("* {12} \r\n", None),
            ("* {12}", None),
        ] {
            assert_eq!(announced(line.as_bytes()), len, "{line}");
        }
    }

    const SAID: &str = "* NO für alle\r\n* 1 FETCH (BODY[] {8}\r\nüüü\r\n ENVELOPE \"ä\")\r\n\
        * 2 FETCH (BODY[] {4+}\r\nüü X {9}x\r\nü\r\n* 3 FETCH (BODY[] \"* OK ü\")\r\na oK ü {}\r\n\
        + ü {2}\n* OKü\r\n* BYE ü {0005}\r\nüü\r* X ü {99999999999}\r\nc7 BAD ü\r\n";
    const SHOWN: &str = "* NO f??r alle\r\n* 1 FETCH (BODY[] {8}\r\nüüü\r\n ENVELOPE \"ä\")\r\n\
        * 2 FETCH (BODY[] {4+}\r\nüü X {9}x\r\nü\r\n* 3 FETCH (BODY[] \"* OK ü\")\r\na oK ?? {}\r\n\
        + ?? {2}\n* OKü\r\n* BYE ?? {0005}\r\nüü\r* X ü {99999999999}\r\nc7 BAD ??\r\n";

    #[test]
    fn the_text_of_a_status_becomes_ascii_and_data_stay_however_they_arrive() {
        for first in 0..=SAID.len() {
            for second in (first..=SAID.len()).step_by(7) {
                let (mut ascii, mut shown) = (Ascii::default(), Vec::new());
                let all = SAID.as_bytes();
                for piece in [&all[..first], &all[first..second], &all[second..]] {
                    shown.extend_from_slice(&ascii.of(piece));
                }
                assert_eq!(String::from_utf8_lossy(&shown), SHOWN, "{first} {second}");
            }
        }
    }

    #[test]
    fn ascii_is_not_copied() {
        let mut ascii = Ascii::default();
        assert!(matches!(ascii.of(b"a OK done\r\n"), Cow::Borrowed(_)));
        assert!(matches!(
            ascii.of(b"* 1 FETCH (BODY[] {2}\r\n\xc3\xbc"),
            Cow::Borrowed(_)
        ));
    }
}
