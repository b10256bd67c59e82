//! Reading base64 (RFC 2045 section 6.8) as mail has it: with foreign characters, without its
//! padding, or with padding in the middle where two texts were put together.

use memchr::memchr;

/// Decodes block by block.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    bits: u32,
    count: u8,
    /// After padding: the characters since, up to the end of the line that decides.
    after: Option<Vec<u8>>,
    done: bool,
    damaged: bool,
    scratch: Vec<u8>,
}

/// How far the text after padding is looked at before it is believed.
const LOOK: usize = 256;

impl Decoder {
    pub(crate) fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut rest = input;
        // Mail is clean but for damage: whole lines are decoded at once, the others one octet after
        // the other.
        let mut is_clean = true;
        while !rest.is_empty() && !self.done {
            if is_clean {
                let clean = self.feed_clean(rest, out);
                is_clean = clean.is_some();
                rest = rest.get(clean.unwrap_or(0)..).unwrap_or_default();
            }
            let end = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let (line, after) = rest.split_at(end);
            self.feed_line(line, out);
            rest = after;
        }
    }

    fn feed_line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        for &byte in line {
            if self.done {
                return;
            }
            if self.after.is_some() {
                self.judge(byte, out);
            } else {
                self.digit(byte, out);
            }
        }
    }

    /// Decodes the clean lines at the beginning and tells how much that was; `None` when what
    /// looked clean was not.
    fn feed_clean(&mut self, input: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        if self.after.is_some() || self.count != 0 {
            return Some(0);
        }
        self.scratch.clear();
        let mut taken = 0;
        while let Some(rest) = input.get(taken..)
            && let Some(end) = memchr(b'\n', rest)
            && let Some(line) = rest.get(..=end)
            && let Some(text) = clean_line(line)
        {
            self.scratch.extend_from_slice(text);
            taken += line.len();
            // The lines of one body are as long as its first.
            let others = rest.chunks_exact(line.len()).skip(1);
            for text in others.map_while(clean_line) {
                self.scratch.extend_from_slice(text);
                taken += line.len();
            }
        }
        let before = out.len();
        match base64_simd::STANDARD.decode_append(self.scratch.as_slice(), out) {
            Ok(()) => Some(taken),
            Err(_) => {
                out.truncate(before);
                None
            }
        }
    }

    /// An incomplete last group gives the bytes that are whole.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(after) = self.after.take() {
            self.resume(&after, out);
        }
        self.damaged |= self.count == 1;
        self.group(out);
    }

    /// Whether there were characters that do not belong there.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged
    }

    fn digit(&mut self, byte: u8, out: &mut Vec<u8>) {
        let Some(value) = value(byte) else {
            match byte {
                b'=' => {
                    if self.count > 1 {
                        self.group(out);
                        self.after = Some(Vec::new());
                    }
                }
                b' ' | b'\t' | b'\r' | b'\n' => {}
                _ => self.damaged = true,
            }
            return;
        };
        self.bits = self.bits << 6 | u32::from(value);
        self.count += 1;
        if self.count == 4 {
            self.group(out);
        }
    }

    fn group(&mut self, out: &mut Vec<u8>) {
        let [_, first, second, third] = match self.count {
            4 => self.bits,
            3 => self.bits << 6,
            2 => self.bits << 12,
            _ => 0,
        }
        .to_be_bytes();
        match self.count {
            4 => out.extend([first, second, third]),
            3 => out.extend([first, second]),
            2 => out.push(first),
            _ => {}
        }
        self.bits = 0;
        self.count = 0;
    }

    /// What follows padding is more base64 only if the rest of the line, or the next, is clean.
    fn judge(&mut self, byte: u8, out: &mut Vec<u8>) {
        let Some(after) = &mut self.after else { return };
        let decided = match byte {
            b'\n' => !after.is_empty(),
            b'\r' => false,
            // A blank within the line is what text has.
            b' ' | b'\t' => {
                if !after.is_empty() {
                    after.push(byte);
                }
                false
            }
            b'=' => {
                after.push(byte);
                false
            }
            _ => {
                after.push(byte);
                after.len() >= LOOK
            }
        };
        if decided {
            let after = self.after.take().unwrap_or_default();
            self.resume(&after, out);
        }
    }

    fn resume(&mut self, after: &[u8], out: &mut Vec<u8>) {
        let line = after.trim_ascii_end();
        let is_whole = line.len().is_multiple_of(4) || line.len() >= LOOK;
        let mut clean = line
            .iter()
            .all(|&byte| byte == b'=' || value(byte).is_some());
        clean &= is_whole || line.iter().all(|&byte| byte == b'=');
        if clean {
            for &byte in line {
                self.digit(byte, out);
            }
        } else {
            self.done = true;
            self.damaged = true;
        }
    }
}

pub(crate) fn decode(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(input.len() / 4 * 3 + 3);
    let mut decoder = Decoder::default();
    decoder.feed(input, &mut out);
    decoder.finish(&mut out);
    out
}

/// A line without its end, if that is there; padding and a line that holds a part of a group are
/// looked at more closely.
fn clean_line(line: &[u8]) -> Option<&[u8]> {
    let text = line.strip_suffix(b"\n")?;
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    (text.len().is_multiple_of(4) && !text.ends_with(b"=")).then_some(text)
}

fn value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_base64_gives_what_is_whole() {
        for (input, expected) in [
            ("aGVsbG8=", "hello"),
            ("aGVsbG8", "hello"),
            ("aGV\r\nsb!G8=", "hello"),
            ("aGVsbG8=\n\nKind regards", "hello"),
            ("aGVsbG8=\n\nRegards", "hello"),
            ("aGVsbG8=\r\naGVsbG8=", "hellohello"),
            ("aGVsbG8=\r\n\r\n-- \r\nnot base64.", "hello"),
            ("aGVsb", "hel"),
            ("=aGVsbG8=", "hello"),
            ("", ""),
        ] {
            assert_eq!(decode(input.as_bytes()), expected.as_bytes(), "{input}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_a_library_encodes_is_read_back(bytes: Vec<u8>, cut in 1usize..9) {
            use ::base64::Engine;
            let encoded = ::base64::engine::general_purpose::STANDARD.encode(&bytes);
            let mut decoder = Decoder::default();
            let mut out = Vec::new();
            for piece in encoded.as_bytes().chunks(cut) {
                decoder.feed(piece, &mut out);
            }
            decoder.finish(&mut out);
            proptest::prop_assert_eq!(out, bytes);
            proptest::prop_assert!(!decoder.is_damaged());
        }
    }
}
