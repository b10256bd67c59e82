//! Writing quoted-printable (RFC 2045 section 6.7).

use super::COLUMNS;

/// Quoted-printable of a text whose line ends are CR LF.
pub(super) fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut lines = Lines {
        out: Vec::with_capacity(text.len() + text.len() / 4),
        column: 0,
    };
    let mut rest = text;
    while !rest.is_empty() {
        let (run, after) = rest
            .split_at_checked(plain_run(rest))
            .unwrap_or((rest, b""));
        let is_last = ends_line(after);
        match run.split_last() {
            // A blank at the end of a line is lost on the way.
            Some((&blank @ (b' ' | b'\t'), before)) if is_last => {
                lines.plain(before, false);
                lines.escape(blank, true);
            }
            _ => lines.plain(run, is_last),
        }
        rest = lines.other(after);
    }
    lines.out
}

fn ends_line(rest: &[u8]) -> bool {
    rest.is_empty() || rest.starts_with(b"\r\n")
}

struct Lines {
    out: Vec<u8>,
    column: usize,
}

impl Lines {
    /// Octets that stand as they are, but for what a mailbox file or an SMTP client would change
    /// at the beginning of a line.
    fn plain(&mut self, mut text: &[u8], is_last: bool) {
        while let Some((&first, others)) = text.split_first() {
            let is_odd = text.starts_with(b"From ") || (is_last && text == b".");
            if self.column == 0 && is_odd {
                self.escape(first, is_last && others.is_empty());
                text = others;
                continue;
            }
            // One octet less than fits, where the mark of a soft break must follow.
            let room = (COLUMNS - 1).saturating_sub(self.column);
            let fits = text.len() <= room + usize::from(is_last);
            let now = if fits { text.len() } else { room };
            let (now, later) = text.split_at_checked(now).unwrap_or((text, b""));
            self.out.extend_from_slice(now);
            self.column += now.len();
            text = later;
            if !fits {
                self.soft_break();
            }
        }
    }

    /// What no run of plain octets holds; returns what comes after it.
    fn other<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        if let Some(after) = text.strip_prefix(b"\r\n") {
            self.out.extend_from_slice(b"\r\n");
            self.column = 0;
            return after;
        }
        let Some((&byte, after)) = text.split_first() else {
            return text;
        };
        let is_last = ends_line(after);
        if byte == b'\t' && !is_last {
            self.plain(b"\t", false);
        } else {
            self.escape(byte, is_last);
        }
        after
    }

    fn escape(&mut self, byte: u8, is_last: bool) {
        if self.column + 3 > COLUMNS - usize::from(!is_last) {
            self.soft_break();
        }
        self.out
            .extend_from_slice(&[b'=', digit(byte >> 4), digit(byte & 15)]);
        self.column += 3;
    }

    fn soft_break(&mut self) {
        self.out.extend_from_slice(b"=\r\n");
        self.column = 0;
    }
}

fn digit(value: u8) -> u8 {
    value + if value < 10 { b'0' } else { b'A' - 10 }
}

/// How many octets at the beginning print and need no escape.
fn plain_run(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        if let Some(odd) = first_odd(u64::from_le_bytes(*word)) {
            return index * 8 + odd;
        }
    }
    let is_plain = |byte: &&u8| matches!(byte, b' '..=b'<' | b'>'..=b'~');
    words.len() * 8 + rest.iter().take_while(is_plain).count()
}

/// The first of eight octets that is not plain. What one borrows or carries touches only those
/// behind it, so that the first mark is true.
fn first_odd(word: u64) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = u64::from_ne_bytes([0x80; 8]);
    const BLANKS: u64 = u64::from_ne_bytes([b' '; 8]);
    const EQUALS: u64 = u64::from_ne_bytes([b'='; 8]);
    let unprinted = word.wrapping_sub(BLANKS) | word.wrapping_add(ONES) | word;
    let others = word ^ EQUALS;
    let equals = others.wrapping_sub(ONES) & !others;
    let marks = (unprinted | equals) & TOPS;
    (marks != 0).then(|| marks.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(written(text), expected, "{text:?}");
        }
        let long = written(&"é".repeat(40));
        assert!(long.split("\r\n").all(|line| line.len() <= 76));
        let exact = written(&"x".repeat(76));
        assert_eq!(exact, "x".repeat(76));
    }

    fn written(text: &str) -> String {
        String::from_utf8(quoted_printable(text.as_bytes())).unwrap()
    }

    #[test]
    fn a_run_ends_at_the_first_octet_that_is_not_plain() {
        for byte in 0..=u8::MAX {
            for at in 0..20 {
                for around in [b'a', b'<', b'>', b' ', b'~'] {
                    let mut text = [around; 20];
                    text[at] = byte;
                    let is_plain = matches!(byte, b' '..=b'~') && byte != b'=';
                    let expected = if is_plain { 20 } else { at };
                    assert_eq!(plain_run(&text), expected, "{byte} at {at}");
                }
            }
        }
    }
}
