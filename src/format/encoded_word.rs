//! Reading encoded words (RFC 2047), on bytes, since raw 8-bit text stands beside and inside them.

use super::base64;
use super::charset;
use super::quoted_printable;

/// Real mail has words far over the 75 octets of RFC 2047; a bound keeps hostile input linear.
const LONGEST: usize = 2048;

struct Word<'a> {
    charset: &'a [u8],
    bytes: Vec<u8>,
    len: usize,
}

/// Decodes the encoded words of an unfolded value; all else is taken as UTF-8 or windows-1252.
pub(crate) fn decode(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    let mut pending: Option<(Vec<u8>, Vec<u8>)> = None;
    let mut rest = value;
    while let Some(found) = memchr::memmem::find(rest, b"=?") {
        let (before, at) = rest.split_at(found);
        if let Some(word) = read_word(at) {
            // White space between two encoded words is not part of the text.
            if !(pending.is_some() && before.iter().all(u8::is_ascii_whitespace)) {
                flush(&mut pending, &mut text);
                text.push_str(&charset::decode_unlabelled(before));
            }
            join(&mut pending, &word, &mut text);
            rest = at.get(word.len..).unwrap_or_default();
        } else {
            flush(&mut pending, &mut text);
            let (literal, after) = rest.split_at(found + 2);
            text.push_str(&charset::decode_unlabelled(literal));
            rest = after;
        }
    }
    flush(&mut pending, &mut text);
    text.push_str(&charset::decode_unlabelled(rest));
    text
}

/// Neighbours of one charset are decoded as one text: senders split characters between them.
fn join(pending: &mut Option<(Vec<u8>, Vec<u8>)>, word: &Word<'_>, text: &mut String) {
    match pending {
        Some((charset, bytes))
            if charset.eq_ignore_ascii_case(word.charset) && !is_stateful(charset) =>
        {
            bytes.extend(&word.bytes);
        }
        _ => {
            flush(pending, text);
            *pending = Some((word.charset.to_vec(), word.bytes.clone()));
        }
    }
}

fn flush(pending: &mut Option<(Vec<u8>, Vec<u8>)>, text: &mut String) {
    if let Some((label, bytes)) = pending.take() {
        text.push_str(&charset::decode(&label, &bytes).0);
    }
}

/// Each word of these begins anew, and joined they would be read wrongly.
fn is_stateful(charset: &[u8]) -> bool {
    let charset = charset.to_ascii_lowercase();
    charset.starts_with(b"iso-2022") || charset.starts_with(b"hz") || charset.starts_with(b"utf-7")
}

/// Reads the encoded word at the beginning of `at`, which starts with `=?`.
fn read_word(at: &[u8]) -> Option<Word<'_>> {
    let bounded = at.get(..at.len().min(LONGEST))?;
    let mut pieces = bounded.get(2..)?.splitn(3, |&byte| byte == b'?');
    let (label, encoding, rest) = (pieces.next()?, pieces.next()?, pieces.next()?);
    let valid = |byte: &u8| byte.is_ascii_graphic();
    if label.is_empty() || !label.iter().all(valid) {
        return None;
    }
    let text_len = memchr::memmem::find(rest, b"?=")?;
    let text = rest.get(..text_len)?;
    let bytes = match encoding {
        b"q" | b"Q" => quoted_printable::decode_word(text),
        b"b" | b"B" => base64::decode(text),
        _ => return None,
    };
    let charset = label.split(|&byte| byte == b'*').next()?;
    Some(Word {
        charset,
        bytes,
        len: 2 + label.len() + 1 + encoding.len() + 1 + text_len + 2,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_decoded_and_the_blanks_between_them_dropped() {
        for (input, expected) in [
            ("=?utf-8?Q?Gr=C3=BC=C3=9Fe?= x", "Grüße x"),
            ("a =?utf-8?B?5ryi?= \t =?UTF-8?B?5a2X?= b", "a 漢字 b"),
            ("=?utf-8?Q?=E2=82?= =?utf-8?Q?=AC?=", "€"),
            ("=?iso-8859-1*en?q?caf=E9_au?=", "café au"),
            ("=?x?= =?utf-8?x?a?=", "=?x?= =?utf-8?x?a?="),
            ("=?utf-8?Q?open", "=?utf-8?Q?open"),
            ("=??Q?none?=", "=??Q?none?="),
            ("=?utf 8?Q?blank?=", "=?utf 8?Q?blank?="),
            (
                "=?iso-2022-jp?B?GyRCJDMbKEI=?= =?iso-2022-jp?B?GyRCJDMbKEI=?=",
                "ここ",
            ),
        ] {
            assert_eq!(decode(input.as_bytes()), expected, "{input}");
        }
    }

    #[test]
    fn raw_bytes_are_utf_8_or_else_windows_1252() {
        assert_eq!(decode("naïve".as_bytes()), "naïve");
        assert_eq!(decode(b"na\xefve"), "naïve");
    }
}
