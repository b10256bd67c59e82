//! Bytes to text, by the name that the sender gave the character set.

use std::borrow::Cow;

use encoding_rs::{Encoding, REPLACEMENT, WINDOWS_1252};

use super::code_page;

/// Decodes text of the named character set. The second value is what was wrong, if anything.
pub(crate) fn decode(label: &[u8], bytes: &[u8]) -> (String, Option<String>) {
    let label = label.trim_ascii();
    let is = |names: &[&str]| {
        names
            .iter()
            .any(|name| label.eq_ignore_ascii_case(name.as_bytes()))
    };
    if label.is_empty() || is(&["us-ascii", "ascii", "unknown-8bit", "x-unknown", "default"]) {
        return (decode_unlabelled(bytes).into_owned(), None);
    }
    if let Some(upper) = code_page::upper_half(label) {
        return (decode_table(upper, bytes), None);
    }
    // The web's table declares some character sets of mail unsafe and reads them as one U+FFFD.
    match Encoding::for_label(label).filter(|&encoding| encoding != REPLACEMENT) {
        Some(encoding) => {
            let (text, _, malformed) = encoding.decode(bytes);
            let problem = malformed.then(|| format!("some bytes are no {}", encoding.name()));
            (text.into_owned(), problem)
        }
        None => match mail_parser::decoders::charsets::map::charset_decoder(label) {
            Some(decoder) => (decoder(bytes), None),
            None => {
                let label = String::from_utf8_lossy(label);
                let problem = format!("the character set `{label}` is not known");
                (decode_unlabelled(bytes).into_owned(), Some(problem))
            }
        },
    }
}

/// One octet a character; the upper half is given.
fn decode_table(upper: &str, bytes: &[u8]) -> String {
    let upper: Vec<char> = upper.chars().collect();
    bytes
        .iter()
        .map(|&byte| match byte.checked_sub(128) {
            None => char::from(byte),
            Some(index) => upper.get(usize::from(index)).copied().unwrap_or('\u{fffd}'),
        })
        .collect()
}

/// Text without a label: UTF-8 if it is that, else windows-1252, in which every byte is something.
pub(crate) fn decode_unlabelled(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_labels_are_read_and_unknown_ones_reported() {
        for (label, bytes, text) in [
            ("iso-8859-2", &b"\xb1"[..], "ą"),
            ("KOI8-R", b"\xf0\xf2\xf7", "ПРВ"),
            ("shift_jis", b"\x82\xa0", "あ"),
            ("utf-7", b"+AKM-1", "£1"),
            ("us-ascii", "é".as_bytes(), "é"),
        ] {
            let read = decode(label.as_bytes(), bytes);
            assert_eq!(read, (text.to_owned(), None), "{label}");
        }
        assert!(decode(b"klingon", b"x").1.is_some());
        assert!(decode(b"utf-8", b"\xff").1.is_some());
    }
}
