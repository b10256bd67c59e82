//! The lines of a text: whether they may go as they are, and their ends made right.

use std::borrow::Cow;

use memchr::{memchr_iter, memchr2};

/// Whether a text arrives as it is in 7bit: printable ASCII in lines that end with CR LF, none of
/// them longer than mail allows, with a blank at its end or like the first line of a mailbox file.
///
/// With `escapes` the octet that begins an escape sequence is plain (iso-2022-jp).
pub(crate) fn is_plain(text: &[u8], escapes: bool) -> bool {
    // Text of another language tells soon; what comes later is counted below.
    if !text.get(..256).unwrap_or(text).is_ascii() {
        return false;
    }
    let Some(ends) = plain_line_ends(text) else {
        return false;
    };
    // Of what does not print there are those line ends, and tabs; a CR alone is one too many.
    let Some(others) = count(text, is_unprinted).checked_sub(2 * ends) else {
        return false;
    };
    let is_tab = |byte| byte == b'\t' || (escapes && byte == 0x1b);
    others == 0 || others == count(text, is_tab)
}

fn is_unprinted(byte: u8) -> bool {
    byte.wrapping_add(1).cast_signed() <= 0x20
}

/// How many lines end, each with CR LF; `None` if a line is not one that arrives as it is.
fn plain_line_ends(text: &[u8]) -> Option<usize> {
    let mut ends = 0;
    let mut start = 0;
    for end in memchr_iter(b'\n', text) {
        let line = text.get(start..end)?.strip_suffix(b"\r")?;
        if is_odd_line(line) {
            return None;
        }
        ends += 1;
        start = end + 1;
    }
    (!is_odd_line(text.get(start..)?)).then_some(ends)
}

fn is_odd_line(line: &[u8]) -> bool {
    line.len() > 998
        || matches!(line.last(), Some(b' ' | b'\t'))
        || line.first() == Some(&b'F') && line.starts_with(b"From ")
}

/// How many octets are of a kind. In blocks of which a small number holds the sum, so that the
/// compiler goes over many octets side by side.
pub(super) fn count(bytes: &[u8], is_kind: impl Fn(u8) -> bool) -> usize {
    const BLOCK: usize = 128;
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let of_block = |block: &[u8; BLOCK]| {
        let ones = block.iter().map(|&byte| u8::from(is_kind(byte)));
        usize::from(ones.fold(0, u8::wrapping_add))
    };
    blocks.iter().map(of_block).sum::<usize>() + rest.iter().filter(|&&byte| is_kind(byte)).count()
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
    count(text, |byte| byte == b'\r') == ends
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Octet by octet, as the rule says it.
    fn is_plain_slowly(text: &str) -> bool {
        text.split_inclusive('\n').all(|line| {
            let line = match line.strip_suffix("\r\n") {
                Some(line) => line,
                None if line.ends_with('\n') => return false,
                None => line,
            };
            let prints = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
            line.len() <= 998
                && line.bytes().all(prints)
                && !line.ends_with([' ', '\t'])
                && !line.starts_with("From ")
        })
    }

    proptest::proptest! {
        #[test]
        fn many_octets_at_once_are_judged_as_one_by_one(
            text in "(From |F|a{1,200}|~|\t|\u{7f}|\u{1f}|\u{1b}|é| |\r\n|\r\n|\r|\n){0,12}",
        ) {
            proptest::prop_assert_eq!(is_plain(text.as_bytes(), false), is_plain_slowly(&text));
            let escaped = text.replace('\u{1b}', "a");
            proptest::prop_assert_eq!(is_plain(text.as_bytes(), true), is_plain_slowly(&escaped));
        }
    }
}
