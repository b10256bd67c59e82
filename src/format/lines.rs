//! The lines of a message, one after the other, in bounded memory whatever their length.

use memchr::memchr;

use super::bytes::MessageBytes;
use crate::error::Result;

const BLOCK: usize = 64 * 1024;

/// Where a line is. It ends with LF, CRLF or the end of the bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) start: u64,
    /// Without the line end.
    pub(super) text_end: u64,
    /// With the line end.
    pub(super) end: u64,
}

pub(super) struct Lines<'a> {
    bytes: &'a dyn MessageBytes,
    block: Vec<u8>,
    /// What of `block` was not given out yet.
    at: usize,
    /// The offset of `block`'s end in the bytes.
    block_end: u64,
    end: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a dyn MessageBytes) -> Self {
        Self {
            bytes,
            block: Vec::new(),
            at: 0,
            block_end: 0,
            end: bytes.len(),
        }
    }

    /// The next line; `text` gets its first `keep` bytes without the line end.
    pub(super) fn next(&mut self, text: &mut Vec<u8>, keep: usize) -> Result<Option<Line>> {
        text.clear();
        let start = self.position();
        let mut last = 0;
        loop {
            let rest = self.block.get(self.at..).unwrap_or_default();
            if rest.is_empty() {
                if self.fill()? {
                    continue;
                }
                break;
            }
            let piece_len = memchr(b'\n', rest).unwrap_or(rest.len());
            let piece = rest.get(..piece_len).unwrap_or_default();
            let room = keep.saturating_sub(text.len());
            text.extend_from_slice(piece.get(..piece_len.min(room)).unwrap_or_default());
            if let Some(&byte) = piece.last() {
                last = byte;
            }
            let found = piece_len < rest.len();
            self.at += piece_len + usize::from(found);
            if found {
                let end = self.position();
                let text_end = end - 1 - u64::from(last == b'\r');
                return Ok(Some(Self::line(start, text_end, end, text)));
            }
        }
        let end = self.position();
        Ok((end > start).then(|| Self::line(start, end, end, text)))
    }

    fn line(start: u64, text_end: u64, end: u64, text: &mut Vec<u8>) -> Line {
        text.truncate(usize::try_from(text_end - start).unwrap_or(usize::MAX));
        Line {
            start,
            text_end,
            end,
        }
    }

    fn position(&self) -> u64 {
        self.block_end - (self.block.len() - self.at) as u64
    }

    fn fill(&mut self) -> Result<bool> {
        let wanted = self.end.saturating_sub(self.block_end).min(BLOCK as u64);
        self.block
            .resize(usize::try_from(wanted).unwrap_or(BLOCK), 0);
        self.at = 0;
        let count = self.bytes.read_at(&mut self.block, self.block_end)?;
        self.block.truncate(count);
        self.block_end += count as u64;
        Ok(count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(input: &[u8], keep: usize) -> Vec<(u64, u64, u64, Vec<u8>)> {
        let bytes = input.to_vec();
        let mut lines = Lines::new(&bytes);
        let mut text = Vec::new();
        let mut all = Vec::new();
        while let Some(line) = lines.next(&mut text, keep).unwrap() {
            all.push((line.start, line.text_end, line.end, text.clone()));
        }
        all
    }

    #[test]
    fn lines_end_with_lf_or_crlf_and_keep_a_bare_cr() {
        assert_eq!(
            split(b"a\r\n\nb\rc\nd", 10),
            [
                (0, 1, 3, b"a".to_vec()),
                (3, 3, 4, b"".to_vec()),
                (4, 7, 8, b"b\rc".to_vec()),
                (8, 9, 9, b"d".to_vec()),
            ]
        );
    }

    #[test]
    fn a_line_longer_than_a_block_keeps_only_its_beginning() {
        let mut input = vec![b'x'; BLOCK + 5];
        input.extend(b"\r\nend");
        let lines = split(&input, 3);
        assert_eq!(lines[0].3, b"xxx");
        assert_eq!(lines[0].1, BLOCK as u64 + 5);
        assert_eq!(lines[1].3, b"end");
    }
}
