//! Text and data in a form that survives mail: quoted-printable and base64 (RFC 2045 section 6).

mod lines;
mod quoted;

use crate::error::Result;
use lines::count;
pub(crate) use lines::{canonical_lines, is_plain};
use quoted::quoted_printable;

const COLUMNS: usize = 76;

/// Where the bytes of a message go; a failure tells which file could not be written.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]) -> Result<()>;
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.extend(bytes);
        Ok(())
    }
}

/// Where the bytes of an attachment come from; a failure tells which attachment it was.
pub(crate) trait Source {
    /// Fills `block` as far as there are bytes.
    fn fill(&mut self, block: &mut [u8]) -> Result<usize>;
}

impl Source for &[u8] {
    fn fill(&mut self, block: &mut [u8]) -> Result<usize> {
        let count = self.len().min(block.len());
        let (now, rest) = self.split_at(count);
        for (to, from) in block.iter_mut().zip(now) {
            *to = *from;
        }
        *self = rest;
        Ok(count)
    }
}

/// How a text goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextEncoding {
    SevenBit,
    QuotedPrintable,
    Base64,
}

impl TextEncoding {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SevenBit => "7bit",
            Self::QuotedPrintable => "quoted-printable",
            Self::Base64 => "base64",
        }
    }

    /// The plainest form in which the text, whose line ends are CR LF, arrives as it is.
    ///
    /// With `escapes` the octet that begins an escape sequence is plain (iso-2022-jp).
    pub(crate) fn of(bytes: &[u8], escapes: bool) -> Self {
        if is_plain(bytes, escapes) {
            return Self::SevenBit;
        }
        let odd = count(bytes, |byte| !byte.is_ascii());
        // Three octets for one against four for three.
        if odd.saturating_mul(6) <= bytes.len() {
            Self::QuotedPrintable
        } else {
            Self::Base64
        }
    }

    pub(crate) fn write(self, text: &[u8], to: &mut dyn Sink) -> Result<()> {
        match self {
            Self::SevenBit => to.put(text),
            Self::QuotedPrintable => to.put(&quoted_printable(text)),
            Self::Base64 => write_base64(&mut &*text, to),
        }
    }
}

/// `=XX` or `%XX`.
pub(crate) fn push_escape(out: &mut String, sign: u8, byte: u8) {
    let digit = |value: u8| {
        char::from(if value < 10 {
            b'0' + value
        } else {
            b'A' + value - 10
        })
    };
    out.push(char::from(sign));
    out.push(digit(byte >> 4));
    out.push(digit(byte & 15));
}

/// Writes what the source gives as lines of base64.
pub(crate) fn write_base64(from: &mut dyn Source, to: &mut dyn Sink) -> Result<()> {
    const LINE: usize = COLUMNS / 4 * 3;
    let mut block = vec![0; LINE * 1024];
    let (mut encoded, mut out) = (Vec::new(), Vec::new());
    let mut first = true;
    loop {
        let count = from.fill(&mut block)?;
        if count == 0 {
            return Ok(());
        }
        encoded.clear();
        out.clear();
        // A block is whole lines, but for the last one.
        base64_simd::STANDARD.encode_append(block.get(..count).unwrap_or_default(), &mut encoded);
        for line in encoded.chunks(COLUMNS) {
            if !first {
                out.extend_from_slice(b"\r\n");
            }
            first = false;
            out.extend_from_slice(line);
        }
        to.put(&out)?;
    }
}

/// Writes lines as they are, each ended by CR LF.
pub(crate) fn write_lines(from: &mut dyn Source, to: &mut dyn Sink) -> Result<()> {
    let mut block = vec![0; 64 * 1024];
    let mut last = 0;
    loop {
        let count = from.fill(&mut block)?;
        if count == 0 {
            return Ok(());
        }
        let mut out = Vec::with_capacity(count + count / 32);
        for &byte in block.get(..count).unwrap_or_default() {
            if byte == b'\n' && last != b'\r' {
                out.push(b'\r');
            }
            out.push(byte);
            last = byte;
        }
        to.put(&out)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plainest_safe_encoding_is_chosen() {
        use TextEncoding::{Base64, QuotedPrintable, SevenBit};
        let long = "x".repeat(999);
        for (text, expected) in [
            ("plain\r\ntext", SevenBit),
            ("", SevenBit),
            ("trailing \r\nblank", QuotedPrintable),
            ("From me", QuotedPrintable),
            (long.as_str(), QuotedPrintable),
            ("nul \0", QuotedPrintable),
            ("mostly plain, but with é", QuotedPrintable),
            ("漢字", Base64),
        ] {
            assert_eq!(TextEncoding::of(text.as_bytes(), false), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(text in "[a-cF .=é漢\u{0}\t\r\n]{0,200}") {
            let text = canonical_lines(&text);
            for encoding in [TextEncoding::QuotedPrintable, TextEncoding::Base64] {
                let mut out = Vec::new();
                encoding.write(text.as_bytes(), &mut out).unwrap();
                for line in out.split(|&byte| byte == b'\n') {
                    proptest::prop_assert!(line.strip_suffix(b"\r").unwrap_or(line).len() <= 76);
                }
                let part = format!("Content-Transfer-Encoding: {}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", encoding.name());
                let mut message = part.into_bytes();
                message.extend(out);
                let read = crate::MessageFile::from_bytes(message).unwrap();
                proptest::prop_assert_eq!(read.text().unwrap(), text.clone());
            }
        }
    }
}
