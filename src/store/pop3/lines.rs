//! A reply of many lines: it ends at a line that is one dot, between two CR LF and nothing else
//! (RFC 1939 section 3). What ends at a lone LF would shift every reply after it.

/// Where in the stream of octets it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Behind CR LF, or at the very beginning.
    LineStart,
    Dot,
    DotCr,
    Text,
    Cr,
}

/// Takes a reply as it comes and gives its octets, with no dot doubled.
pub(super) struct Lines {
    at: At,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self { at: At::LineStart }
    }

    /// Takes some octets; returns how many of them belong to the reply, and whether it has ended.
    pub(super) fn feed(&mut self, octets: &[u8], out: &mut Vec<u8>) -> (usize, bool) {
        for (index, &octet) in octets.iter().enumerate() {
            let is_stuffed = self.at == At::LineStart && octet == b'.';
            self.at = match (self.at, octet) {
                (At::LineStart, b'.') => At::Dot,
                (At::Dot, b'\r') => At::DotCr,
                (At::DotCr, b'\n') => return (index + 1, true),
                (At::Cr, b'\n') => At::LineStart,
                (_, b'\r') => {
                    self.flush(out);
                    At::Cr
                }
                _ => {
                    self.flush(out);
                    At::Text
                }
            };
            if !is_stuffed && self.at != At::DotCr {
                out.push(octet);
            }
        }
        (octets.len(), false)
    }

    /// A CR behind a dot was held back and ends nothing.
    fn flush(&self, out: &mut Vec<u8>) {
        if self.at == At::DotCr {
            out.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, cut: usize) -> (String, String, bool) {
        let (mut lines, mut out, mut taken) = (Lines::new(), Vec::new(), 0);
        for piece in text.as_bytes().chunks(cut) {
            let (count, is_end) = lines.feed(piece, &mut out);
            taken += count;
            if is_end {
                let rest = text[taken..].to_owned();
                return (String::from_utf8(out).unwrap(), rest, true);
            }
        }
        (String::from_utf8(out).unwrap(), String::new(), false)
    }

    #[test]
    fn only_a_dot_between_line_ends_ends_it() {
        for (text, expected, rest) in [
            (".\r\n+OK", "", "+OK"),
            ("a\r\n.\r\n+OK", "a\r\n", "+OK"),
            ("a\r\n..\r\nb\r\n.\r\n", "a\r\n.\r\nb\r\n", ""),
            ("a\n.\nb\r\n.\r\nX", "a\n.\nb\r\n", "X"),
            ("a\n.\r\nb\r\n.\r\nX", "a\n.\r\nb\r\n", "X"),
            ("..a\r\n.b\r\n.\r\n", ".a\r\nb\r\n", ""),
            ("a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", ""),
            ("a\r\n.\r\r\n.\r\n", "a\r\n\r\r\n", ""),
            ("a\r\r\n.\r\n", "a\r\r\n", ""),
        ] {
            for cut in 1..=text.len() {
                let (read, left, is_end) = read(text, cut);
                assert_eq!((read.as_str(), is_end), (expected, true), "{text:?} {cut}");
                assert!(rest.ends_with(&left) || cut > 1, "{text:?}");
            }
        }
        assert!(!read("a\r\n.\r", 3).2);
    }

    proptest::proptest! {
        #[test]
        fn what_a_server_stuffs_comes_back(text in "([.a\r]{0,3}\r\n){0,9}", cut in 1usize..7) {
            let stuffed: String = text
                .split_inclusive("\r\n")
                .map(|line| if line.starts_with('.') { format!(".{line}") } else { line.to_owned() })
                .collect();
            let (read, _, is_end) = read(&format!("{stuffed}.\r\n"), cut);
            proptest::prop_assert!(is_end);
            proptest::prop_assert_eq!(read, text);
        }
    }
}
