//! The message as it goes over the wire: lines that end with CR LF, and stuffed dots.

use std::io::{self, Write};

use super::super::relay::RelayMessage;

/// What a message needs of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// Octets on the wire, without the dots that are stuffed.
    pub(super) size: u64,
    /// It has octets that are not ASCII, so that 8BITMIME is needed.
    pub(super) is_eight_bit: bool,
    /// Its header section has, in UTF-8, so that SMTPUTF8 is needed. Octets of another character set
    /// are what they always were, and go as those of a body.
    pub(super) is_utf8_header: bool,
}

impl Content {
    pub(super) fn look(message: &RelayMessage<'_>) -> io::Result<Self> {
        let mut looking = Looking::default();
        let mut wire = Wire::new(&mut looking, false);
        let written = message.write_to(&mut wire);
        written.and_then(|_| wire.finish())?;
        let header = std::str::from_utf8(&looking.header);
        looking.content.is_utf8_header = header.is_ok_and(|header| !header.is_ascii());
        Ok(looking.content)
    }
}

/// Counts, and looks for what is not ASCII.
#[derive(Default)]
struct Looking {
    content: Content,
    /// How much of the empty line that ends the header section was seen last.
    ending: usize,
    /// The header section, as far as is looked at.
    header: Vec<u8>,
}

const MOST_HEADER: usize = 1 << 20;

impl Write for Looking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        const END: &[u8] = b"\r\n\r\n";
        self.content.size += bytes.len() as u64;
        let is_ascii = bytes.is_ascii();
        self.content.is_eight_bit |= !is_ascii;
        for &byte in bytes {
            if self.ending == END.len() {
                break;
            }
            if self.header.len() < MOST_HEADER {
                self.header.push(byte);
            }
            self.ending = match END.get(self.ending) {
                Some(&wanted) if wanted == byte => self.ending + 1,
                _ => usize::from(byte == b'\r'),
            };
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes every line end CR LF, a lone CR or LF too, since servers differ in what they take for the
/// end of a message; and stuffs dots (RFC 5321 section 4.5.2).
pub(super) struct Wire<'a, W: Write> {
    to: &'a mut W,
    stuffs: bool,
    is_line_start: bool,
    had_cr: bool,
    out: Vec<u8>,
}

impl<'a, W: Write> Wire<'a, W> {
    pub(super) fn new(to: &'a mut W, stuffs: bool) -> Self {
        Self {
            to,
            stuffs,
            is_line_start: true,
            had_cr: false,
            out: Vec::new(),
        }
    }

    /// Ends the last line, if it has no end.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.clear();
        if self.had_cr || !self.is_line_start {
            self.out.extend_from_slice(b"\r\n");
        }
        self.to.write_all(&self.out)
    }

    fn end_line(&mut self) {
        self.out.extend_from_slice(b"\r\n");
        self.had_cr = false;
        self.is_line_start = true;
    }
}

impl<W: Write> Write for Wire<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.clear();
        for &byte in bytes {
            match byte {
                b'\n' => self.end_line(),
                _ => {
                    if self.had_cr {
                        self.end_line();
                    }
                    if byte == b'\r' {
                        self.had_cr = true;
                        continue;
                    }
                    if byte == b'.' && self.is_line_start && self.stuffs {
                        self.out.push(b'.');
                    }
                    self.out.push(byte);
                    self.is_line_start = false;
                }
            }
        }
        self.to.write_all(&self.out)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wired(text: &str, cut: usize) -> String {
        let mut out = Vec::new();
        let mut wire = Wire::new(&mut out, true);
        for piece in text.as_bytes().chunks(cut) {
            wire.write_all(piece).unwrap();
        }
        wire.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn no_line_end_is_left_to_interpretation() {
        for (text, expected) in [
            ("a\r\nb\r\n", "a\r\nb\r\n"),
            ("a\nb", "a\r\nb\r\n"),
            (".\r\n..\r\n", "..\r\n...\r\n"),
            ("a\n.\nMAIL", "a\r\n..\r\nMAIL\r\n"),
            ("a\r.\rMAIL", "a\r\n..\r\nMAIL\r\n"),
            ("a\n.\r\nb\r\r\n.\n", "a\r\n..\r\nb\r\n\r\n..\r\n"),
            ("a\r", "a\r\n"),
            ("", ""),
        ] {
            for cut in 1..9 {
                assert_eq!(wired(text, cut), expected, "{text:?} {cut}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_ends_the_message_early(text in "[a.\r\n]{0,60}", cut in 1usize..9) {
            let wire = wired(&text, cut);
            let left = wire.replace("\r\n", "");
            proptest::prop_assert!(!left.contains(['\r', '\n']));
            proptest::prop_assert!(!wire.starts_with(".\r\n") && !wire.contains("\r\n.\r\n"));
            proptest::prop_assert!(wire.is_empty() || wire.ends_with("\r\n"));
        }
    }
}
