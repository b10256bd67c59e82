//! Dot-stuffing (RFC 5321 section 4.5.2) in files, as the SMTP service of IIS keeps it.

use super::encode::Sink;
use crate::error::Result;

/// Takes away the dot that was put before a line's own, block by block.
#[derive(Debug)]
pub(crate) struct Unstuffer {
    at_line_start: bool,
}

impl Default for Unstuffer {
    fn default() -> Self {
        Self {
            at_line_start: true,
        }
    }
}

impl Unstuffer {
    pub(crate) fn feed(&mut self, block: &mut Vec<u8>) {
        let mut at_line_start = self.at_line_start;
        block.retain(|&byte| {
            let drop = at_line_start && byte == b'.';
            at_line_start = byte == b'\n';
            !drop
        });
        self.at_line_start = at_line_start;
    }
}

/// Puts a dot before every line that begins with one.
pub(crate) struct Stuffer<'a> {
    to: &'a mut dyn Sink,
    at_line_start: bool,
}

impl<'a> Stuffer<'a> {
    pub(crate) fn new(to: &'a mut dyn Sink) -> Self {
        Self {
            to,
            at_line_start: true,
        }
    }
}

impl Sink for Stuffer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            if self.at_line_start && line.starts_with(b".") {
                self.to.put(b".")?;
            }
            self.to.put(line)?;
            self.at_line_start = line.ends_with(b"\n");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn unstuffing_undoes_stuffing_however_it_is_cut(
            lines in proptest::collection::vec("[.a]{0,3}", 0..6), cut in 1usize..5
        ) {
            let text = lines.join("\r\n").into_bytes();
            let mut stuffed = Vec::new();
            let mut stuffer = Stuffer::new(&mut stuffed);
            for piece in text.chunks(cut) {
                stuffer.put(piece).unwrap();
            }
            proptest::prop_assert!(!stuffed.windows(3).any(|three| three == b"\n.\r"));
            let mut unstuffer = Unstuffer::default();
            let mut back = Vec::new();
            for piece in stuffed.chunks(cut) {
                let mut block = piece.to_vec();
                unstuffer.feed(&mut block);
                back.extend(block);
            }
            proptest::prop_assert_eq!(back, text);
        }
    }
}
