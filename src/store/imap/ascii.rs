//! What a server says in the letters of its own language, made readable to a parser of ASCII.
//!
//! `IMAP4rev2` allows UTF-8 in texts and quoted strings (RFC 9051 section 9), and servers write it
//! there without having been asked. Such a text is for people: each octet that is not ASCII becomes
//! a question mark. What stands in literals, and so all of a message, is left as it is.

use std::borrow::Cow;

/// No announcement of a literal is longer.
const LONGEST: usize = 24;

/// Where in its lines and literals the server is.
#[derive(Default)]
pub(super) struct Ascii {
    /// Octets of a literal that are to come.
    literal: u64,
    /// The last octets of a line that has no end yet.
    tail: Vec<u8>,
}

impl Ascii {
    /// The same octets, those outside of literals as ASCII.
    pub(super) fn of<'o>(&mut self, octets: &'o [u8]) -> Cow<'o, [u8]> {
        let mut shown = Cow::Borrowed(octets);
        let mut at = 0;
        while let Some(rest) = octets.get(at..).filter(|rest| !rest.is_empty()) {
            if self.literal > 0 {
                let skipped =
                    usize::try_from(self.literal).map_or(rest.len(), |left| left.min(rest.len()));
                self.literal -= skipped as u64;
                at += skipped;
                continue;
            }
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let line = rest.get(..end).unwrap_or_default();
            if !line.is_ascii() {
                let line = shown.to_mut().get_mut(at..at + end).unwrap_or_default();
                line.iter_mut()
                    .filter(|octet| !octet.is_ascii())
                    .for_each(|octet| *octet = b'?');
            }
            self.take_line(line);
            at += end;
        }
        shown
    }

    fn take_line(&mut self, line: &[u8]) {
        let last = line.len().saturating_sub(LONGEST);
        self.tail
            .extend_from_slice(line.get(last..).unwrap_or_default());
        let over = self.tail.len().saturating_sub(LONGEST);
        self.tail.drain(..over);
        if self.tail.ends_with(b"\n") {
            self.literal = announced(&self.tail).unwrap_or(0);
            self.tail.clear();
        }
    }
}

/// How long the literal is that the end of a line announces.
fn announced(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\r\n")?.strip_suffix(b"}")?;
    let line = line.strip_suffix(b"+").unwrap_or(line);
    let start = memchr::memrchr(b'{', line)?;
    let digits = line.get(start + 1..)?;
    let is_number = digits.iter().all(u8::is_ascii_digit);
    str::from_utf8(digits)
        .ok()
        .filter(|_| is_number)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "* NO für alle\r\n* 1 FETCH (BODY[] {8}\r\nüüü\r\n ENVELOPE \"ä\")\r\n\
        * 2 FETCH (BODY[] {4+}\r\nüü X {9}x\r\nü\r\na OK ü {}\r\nü {2}\nü\r\n";
    const SHOWN: &str = "* NO f??r alle\r\n* 1 FETCH (BODY[] {8}\r\nüüü\r\n ENVELOPE \"??\")\r\n\
        * 2 FETCH (BODY[] {4+}\r\nüü X {9}x\r\n??\r\na OK ?? {}\r\n?? {2}\n??\r\n";

    #[test]
    fn what_stands_in_literals_is_left_as_it_is_however_it_arrives() {
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
