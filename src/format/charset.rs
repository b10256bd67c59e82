//! Bytes to text, by the name that the sender gave the character set.

use std::borrow::Cow;

use encoding_rs::{Decoder, Encoding, REPLACEMENT, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::code_page;

mod seven_bit;

/// The byte order mark of UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Text, and what was wrong with it, if anything.
pub(crate) type Decoded = (String, Option<String>);

/// Decodes text of the named character set.
pub(crate) fn decode(label: &[u8], bytes: &[u8]) -> Decoded {
    decode_within(label, bytes, usize::MAX).unwrap_or_default()
}

/// The same; bytes that are the text already are not copied.
pub(crate) fn decode_owned(label: &[u8], bytes: Vec<u8>, most: usize) -> Option<Decoded> {
    let label = label.trim_ascii();
    let may_be_utf_8 = label.is_empty()
        || [&b"utf-8"[..], b"utf8", b"us-ascii"]
            .iter()
            .any(|name| label.eq_ignore_ascii_case(name));
    if !may_be_utf_8 || bytes.starts_with(BOM) {
        return decode_within(label, &bytes, most);
    }
    match String::from_utf8(bytes) {
        Ok(text) => (text.len() <= most).then_some((text, None)),
        Err(error) => decode_within(label, error.as_bytes(), most),
    }
}

/// The same as long as the text has at most `most` octets in UTF-8, else `None`. One octet of a
/// small character set can become three: the limit is kept while the text grows.
pub(crate) fn decode_within(label: &[u8], bytes: &[u8], most: usize) -> Option<Decoded> {
    let label = label.trim_ascii();
    let is = |names: &[&str]| {
        names
            .iter()
            .any(|name| label.eq_ignore_ascii_case(name.as_bytes()))
    };
    if label.is_empty() || is(&["unknown-8bit", "x-unknown", "default"]) {
        return unlabelled_within(bytes, most).map(|text| (text, None));
    }
    if is(&["us-ascii", "ascii"]) {
        return ascii(bytes, most);
    }
    if let Some(upper) = code_page::upper_half(label) {
        return table(upper, bytes, most).map(|text| (text, None));
    }
    // The longest character of these is no longer than its octets, but for U+FFFD.
    if let Some((text, good)) = seven_bit::decode(label, bytes) {
        let problem = (!good).then(|| malformed(&String::from_utf8_lossy(label)));
        return (text.len() <= most).then_some((text, problem));
    }
    // The web's table declares some character sets of mail unsafe and reads them as one U+FFFD.
    if let Some(encoding) =
        Encoding::for_label(web_label(label)).filter(|&found| found != REPLACEMENT)
    {
        return by_encoding(encoding, bytes, most);
    }
    match mail_parser::decoders::charsets::map::charset_decoder(label) {
        Some(decoder) => (bytes.len() <= most / 3).then(|| (decoder(bytes), None)),
        None => {
            let label = String::from_utf8_lossy(label);
            let problem = format!("the character set `{label}` is not known");
            unlabelled_within(bytes, most).map(|text| (text, Some(problem)))
        }
    }
}

fn malformed(name: &str) -> String {
    format!("a text holds bytes that are no {name}, shown as \u{fffd}")
}

/// The numbers that Windows gives to the character sets of East Asia.
fn web_label(label: &[u8]) -> &[u8] {
    let number = label
        .strip_prefix(b"cp")
        .or_else(|| label.strip_prefix(b"CP"))
        .or_else(|| label.strip_prefix(b"ms"));
    match number {
        Some(b"932") => b"shift_jis",
        Some(b"936") => b"gbk",
        Some(b"949") => b"euc-kr",
        Some(b"950") => b"big5",
        _ => label,
    }
}

/// Text that claims to be ASCII. UTF-8 is read as what it is; of other bytes nobody knows what they
/// mean, and the label forbids to guess: each is shown as U+FFFD.
fn ascii(bytes: &[u8], most: usize) -> Option<Decoded> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (text.len() <= most).then(|| (text.to_owned(), None));
    }
    let mut text = String::with_capacity(room(bytes, most));
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push('\u{fffd}');
        }
        if text.len() > most {
            return None;
        }
    }
    let problem = "a text that claims to be ASCII holds other bytes, shown as \u{fffd}";
    Some((text, Some(problem.to_owned())))
}

/// All that a text may need: growing would need the old and the new at once.
fn room(bytes: &[u8], most: usize) -> usize {
    bytes.len().saturating_mul(3).min(most).saturating_add(4)
}

fn by_encoding(encoding: &'static Encoding, bytes: &[u8], most: usize) -> Option<Decoded> {
    const PIECE: usize = 32 * 1024;
    let mut decoder = decoder_of(encoding, bytes);
    let slack = decoder.max_utf8_buffer_length(PIECE.min(bytes.len()))?;
    let mut text = String::with_capacity(room(bytes, most) + slack);
    let mut lossy = false;
    let mut pieces = bytes.chunks(PIECE).peekable();
    loop {
        let piece = pieces.next().unwrap_or_default();
        let last = pieces.peek().is_none();
        text.reserve(decoder.max_utf8_buffer_length(piece.len())?);
        let (_, _, replaced) = decoder.decode_to_string(piece, &mut text, last);
        lossy |= replaced;
        if text.len() > most {
            return None;
        }
        if last {
            break;
        }
    }
    let problem = lossy.then(|| malformed(encoding.name()));
    Some((text, problem))
}

/// A byte order mark is believed where it can be one: of UTF-16 in a text of UTF-16, of UTF-8 in a
/// text that is UTF-8. In windows-1252 its octets are letters.
fn decoder_of(encoding: &'static Encoding, bytes: &[u8]) -> Decoder {
    let is_wide = encoding == UTF_16LE || encoding == UTF_16BE;
    if is_wide || bytes.starts_with(BOM) && std::str::from_utf8(bytes).is_ok() {
        encoding.new_decoder()
    } else {
        encoding.new_decoder_with_bom_removal()
    }
}

/// One octet a character; the upper half is given.
fn table(upper: &str, bytes: &[u8], most: usize) -> Option<String> {
    let upper: Vec<char> = upper.chars().collect();
    let mut text = String::with_capacity(room(bytes, most));
    for &byte in bytes {
        text.push(match byte.checked_sub(128) {
            None => char::from(byte),
            Some(index) => upper.get(usize::from(index)).copied().unwrap_or('\u{fffd}'),
        });
        if text.len() > most {
            return None;
        }
    }
    Some(text)
}

fn unlabelled_within(bytes: &[u8], most: usize) -> Option<String> {
    let bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.len() <= most).then(|| text.to_owned()),
        Err(_) => by_encoding(WINDOWS_1252, bytes, most).map(|(text, _)| text),
    }
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
            ("cp932", b"\x82\xa0", "あ"),
            ("CP936", b"\xc4\xe3", "你"),
            ("ms949", b"\xb0\xa1", "가"),
            ("cp950", b"\xa7\x41", "你"),
            ("utf-7", b"+AKM-1", "£1"),
            ("us-ascii", "é".as_bytes(), "é"),
        ] {
            let read = decode(label.as_bytes(), bytes);
            assert_eq!(read, (text.to_owned(), None), "{label}");
        }
        assert!(decode(b"klingon", b"x").1.is_some());
        assert_eq!(decode(b"utf-8", b"a\xff").0, "a\u{fffd}");
        assert!(decode(b"utf-8", b"\xff").1.is_some());
        assert_eq!(decode(b"us-ascii", b"a\xe9b").0, "a\u{fffd}b");
        assert!(decode(b"us-ascii", b"\xe9").1.is_some());
        assert_eq!(decode(b"", b"a\xe9b").0, "aéb");
        assert_eq!(decode(b"windows-1252", b"\xff\xfea").0, "ÿþa");
        assert_eq!(decode(b"utf-16", b"\xfe\xff\x00a").0, "a");
        assert_eq!(decode(b"windows-1252", "\u{feff}é".as_bytes()).0, "é");
    }

    #[test]
    fn what_grows_over_the_limit_is_given_up_while_it_grows() {
        let bytes = [0x80; 100];
        for label in [
            "windows-1252",
            "",
            "ibm437",
            "us-ascii",
            "utf-8",
            "iso-8859-16",
        ] {
            assert!(
                decode_within(label.as_bytes(), &bytes, 99).is_none(),
                "{label}"
            );
            assert!(
                decode_within(label.as_bytes(), &bytes, 300).is_some(),
                "{label}"
            );
        }
        assert!(decode_within(b"utf-8", "é".as_bytes(), 1).is_none());
    }
}
