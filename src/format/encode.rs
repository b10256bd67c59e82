//! Text and data in a form that survives mail: quoted-printable and base64 (RFC 2045 section 6).

use std::borrow::Cow;

use memchr::{memchr_iter, memchr2};

use crate::error::Result;

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
        if is_seven_bit(bytes, escapes) {
            return Self::SevenBit;
        }
        let odd = bytes.iter().filter(|byte| !byte.is_ascii()).count();
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
            Self::QuotedPrintable => to.put(quoted_printable(text).as_bytes()),
            Self::Base64 => write_base64(&mut &*text, to),
        }
    }
}

/// Whether a text, whose line ends are CR LF, arrives as it is.
fn is_seven_bit(text: &[u8], escapes: bool) -> bool {
    let escape = if escapes { 0x1b } else { b' ' };
    let is_plain = |&byte: &u8| {
        (b' '..=b'~').contains(&byte) || matches!(byte, b'\t' | b'\r' | b'\n') || byte == escape
    };
    if prefix_len(text, is_plain) < text.len() || text.starts_with(b"From ") {
        return false;
    }
    let mut start = 0;
    for end in memchr_iter(b'\n', text).chain([text.len()]) {
        let line = text.get(start..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let is_odd = line.len() > 998
            || matches!(line.last(), Some(b' ' | b'\t'))
            || line.first() == Some(&b'F') && line.starts_with(b"From ");
        if is_odd {
            return false;
        }
        start = end + 1;
    }
    // A CR that ends no line is none that arrives.
    is_canonical(text)
}

/// How many octets at the beginning are of a kind, many looked at together.
fn prefix_len(bytes: &[u8], is_kind: impl Fn(&u8) -> bool) -> usize {
    const TOGETHER: usize = 32;
    let (chunks, _) = bytes.as_chunks::<TOGETHER>();
    // Without a way out of the inner loop the compiler goes over the octets side by side.
    let is_whole = |chunk: &&[u8; TOGETHER]| {
        let odd = chunk.iter().map(|byte| u8::from(!is_kind(byte)));
        odd.fold(0, |all, one| all | one) == 0
    };
    let start = chunks.iter().take_while(is_whole).count() * TOGETHER;
    let rest = bytes.get(start..).unwrap_or_default();
    start
        + rest
            .iter()
            .position(|byte| !is_kind(byte))
            .unwrap_or(rest.len())
}

/// Whether every line end is CR LF and no CR or LF stands alone.
fn is_canonical(text: &[u8]) -> bool {
    let mut ends = 0;
    for end in memchr_iter(b'\n', text) {
        let before = end.checked_sub(1).and_then(|before| text.get(before));
        if before != Some(&b'\r') {
            return false;
        }
        ends += 1;
    }
    memchr_iter(b'\r', text).count() == ends
}

/// Every line end as CR LF, a lone CR or LF too.
pub(crate) fn canonical_lines(text: &str) -> Cow<'_, str> {
    if is_canonical(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + text.len() / 32);
    let mut rest = text;
    while let Some(at) = memchr2(b'\r', b'\n', rest.as_bytes()) {
        let (line, end) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(line);
        out.push_str("\r\n");
        let end_len = if end.starts_with("\r\n") { 2 } else { 1 };
        rest = end.get(end_len..).unwrap_or_default();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Quoted-printable of a text whose line ends are CR LF.
fn quoted_printable(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(line) => {
                quoted_printable_line(line, &mut out);
                out.push_str("\r\n");
            }
            None => quoted_printable_line(line, &mut out),
        }
    }
    out
}

fn quoted_printable_line(line: &[u8], out: &mut String) {
    let mut column = 0;
    let mut rest = line;
    while let Some(&byte) = rest.first() {
        let run = plain_run(rest, column == 0);
        // One octet less than fits, where the mark of a soft break must follow.
        let room = COLUMNS - 1 - column;
        let is_all = run == rest.len() && run <= room + 1;
        let taken = if is_all { run } else { run.min(room) };
        let width = if run == 0 { 3 } else { taken };
        let is_last = run == 0 && rest.len() == 1;
        if width == 0 || column + width > COLUMNS - usize::from(!is_all && !is_last) {
            out.push_str("=\r\n");
            column = 0;
            continue;
        }
        if run == 0 {
            push_escape(out, b'=', byte);
        } else {
            let piece = rest.get(..taken).unwrap_or_default();
            out.push_str(std::str::from_utf8(piece).unwrap_or_default());
        }
        column += width;
        rest = rest.get(taken.max(1)..).unwrap_or_default();
    }
}

/// How many octets stand as they are. A blank at the end of a line does not, nor what a mail box
/// file or an SMTP client would change at the beginning of one.
fn plain_run(rest: &[u8], at_start: bool) -> usize {
    if at_start && (rest == b"." || rest.starts_with(b"From ")) {
        return 0;
    }
    let run = prefix_len(
        rest,
        |byte| matches!(byte, b' '..=b'<' | b'>'..=b'~' | b'\t'),
    );
    let ends_in_blank = run == rest.len() && matches!(rest.last(), Some(b' ' | b'\t'));
    run - usize::from(ends_in_blank)
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

    #[test]
    fn quoted_printable_has_exact_bytes() {
        for (text, expected) in [
            ("a=b", "a=3Db"),
            ("end \r\n\ttab\t", "end=20\r\n\ttab=09"),
            (".\r\n..\r\n.x", "=2E\r\n..\r\n.x"),
            ("From x\r\nFrom", "=46rom x\r\nFrom"),
            ("é", "=C3=A9"),
            ("a\rb\0", "a=0Db=00"),
        ] {
            assert_eq!(quoted_printable(text.as_bytes()), expected, "{text:?}");
        }
        let long = quoted_printable("é".repeat(40).as_bytes());
        assert!(long.split("\r\n").all(|line| line.len() <= 76));
        let exact = quoted_printable("x".repeat(76).as_bytes());
        assert_eq!(exact, "x".repeat(76));
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
