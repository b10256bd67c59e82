//! Reading quoted-printable (RFC 2045 section 6.7) as mail has it: a bad escape is text.

use memchr::memchr;

/// Decodes block by block.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// From the last `=` on, as long as what follows it has not decided what it is.
    held: Vec<u8>,
    damaged: bool,
}

/// A soft line break may have blanks behind its `=`; this many are looked at.
const LOOK: usize = 256;

enum Escape {
    /// The byte that the escape stands for, and how long the escape is.
    Byte(u8, usize),
    SoftBreak(usize),
    Literal,
    /// More input decides.
    Unknown,
}

impl Decoder {
    pub(super) fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let joined;
        let mut rest = if self.held.is_empty() {
            input
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.extend(input);
            joined = held;
            &joined
        };
        while let Some(found) = next_equals(rest) {
            let (before, at) = rest.split_at(found);
            out.extend(before);
            let used = match read_escape(at) {
                Escape::Byte(byte, len) => {
                    out.push(byte);
                    len
                }
                Escape::SoftBreak(len) => len,
                Escape::Literal => {
                    self.damaged = true;
                    out.push(b'=');
                    1
                }
                Escape::Unknown => {
                    self.held = at.to_vec();
                    return;
                }
            };
            rest = at.get(used..).unwrap_or_default();
        }
        out.extend(rest);
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        // A soft break at the very end lacks only its line end.
        let blank = held
            .iter()
            .skip(1)
            .all(|byte| matches!(byte, b' ' | b'\t' | b'\r'));
        if !held.is_empty() && !blank {
            self.damaged = true;
            out.extend(held);
        }
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.damaged
    }
}

/// A call for each of many escapes side by side would cost more than the escapes.
fn next_equals(rest: &[u8]) -> Option<usize> {
    match rest.first() {
        Some(b'=') => Some(0),
        _ => memchr(b'=', rest),
    }
}

fn read_escape(at: &[u8]) -> Escape {
    match (at.get(1), at.get(2)) {
        (Some(b'\n'), _) => return Escape::SoftBreak(2),
        (Some(b'\r'), Some(b'\n')) => return Escape::SoftBreak(3),
        (Some(&first), Some(&second)) => {
            if let (Some(high), Some(low)) = (hex(first), hex(second)) {
                return Escape::Byte(high << 4 | low, 3);
            }
        }
        (Some(&first), None) if hex(first).is_some() => return Escape::Unknown,
        (None, _) => return Escape::Unknown,
        _ => {}
    }
    for (index, &byte) in at.iter().enumerate().skip(1).take(LOOK) {
        match byte {
            b'\n' => return Escape::SoftBreak(index + 1),
            b' ' | b'\t' | b'\r' => {}
            _ => return Escape::Literal,
        }
    }
    if at.len() > LOOK {
        Escape::Literal
    } else {
        Escape::Unknown
    }
}

/// The Q encoding of an encoded word (RFC 2047 section 4.2).
pub(super) fn decode_word(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'_' => out.push(b' '),
            b'=' => match (
                after.first().and_then(|&byte| hex(byte)),
                after.get(1).and_then(|&byte| hex(byte)),
            ) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = after.get(2..).unwrap_or_default();
                }
                _ => out.push(b'='),
            },
            _ => out.push(first),
        }
    }
    out
}

pub(super) fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(input: &[u8], cut: usize) -> Vec<u8> {
        let mut decoder = Decoder::default();
        let mut out = Vec::new();
        for piece in input.chunks(cut) {
            decoder.feed(piece, &mut out);
        }
        decoder.finish(&mut out);
        out
    }

    #[test]
    fn escapes_are_resolved_and_bad_ones_stay() {
        for (input, expected) in [
            ("caf=C3=A9", "café"),
            ("a=\r\nb=  \r\nc=\nd", "abcd"),
            ("1=2 =XY =", "1=2 =XY "),
            ("trailing  \r\nx", "trailing  \r\nx"),
            ("end=4", "end=4"),
            ("=3d=3D", "=="),
        ] {
            for cut in 1..9 {
                let read = decode(input.as_bytes(), cut);
                assert_eq!(String::from_utf8_lossy(&read), expected, "{input} {cut}");
            }
        }
    }
}
