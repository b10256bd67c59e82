//! Character sets that were made to pass through seven bits and that browsers no longer read.

use encoding_rs::{EUC_KR, GBK};

/// The text, and whether all of it was well-formed; `None` for another label.
pub(super) fn decode(label: &[u8], bytes: &[u8]) -> Option<(String, bool)> {
    let is = |name: &str| label.eq_ignore_ascii_case(name.as_bytes());
    if is("utf-7") || is("unicode-1-1-utf-7") {
        return Some(utf_7(bytes));
    }
    let (eight_bit, encoding) = if is("hz-gb-2312") || is("hz") {
        (raised(bytes, b"~{", b"~}"), GBK)
    } else if is("iso-2022-kr") {
        (raised(bytes, b"\x0e", b"\x0f"), EUC_KR)
    } else {
        return None;
    };
    let (text, malformed) = encoding.decode_without_bom_handling(&eight_bit);
    let text = text.replace("\u{1b}$)C", "").replace("~~", "~");
    Some((text, !malformed))
}

/// Sets the eighth bit of what stands between two shifts, and takes the shifts out. A line ends
/// the shifted text too.
fn raised(bytes: &[u8], shift_in: &[u8], shift_out: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    let mut shifted = false;
    while let Some((&first, after)) = rest.split_first() {
        let shift = if shifted { shift_out } else { shift_in };
        if let Some(after) = rest.strip_prefix(shift) {
            shifted = !shifted;
            rest = after;
            continue;
        }
        shifted &= first != b'\n';
        let raise = shifted && first.is_ascii_graphic();
        out.push(if raise { first | 0x80 } else { first });
        rest = after;
    }
    out
}

/// RFC 2152: between `+` and what is no base64 stands UTF-16; a `-` that ends it is dropped.
fn utf_7(bytes: &[u8]) -> (String, bool) {
    let mut text = String::with_capacity(bytes.len());
    let mut good = true;
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'+', rest) {
        let (plain, from) = rest.split_at(at);
        text.extend(plain.iter().map(|&byte| shown(byte, &mut good)));
        let from = from.get(1..).unwrap_or_default();
        let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        let end = from
            .iter()
            .position(|byte| !is_base64(byte))
            .unwrap_or(from.len());
        let (encoded, after) = from.split_at(end);
        let (after, ended) = match after.strip_prefix(b"-") {
            Some(after) => (after, true),
            None => (after, false),
        };
        rest = after;
        if encoded.is_empty() {
            text.push('+');
            good &= ended;
            continue;
        }
        let octets = super::super::base64::decode(encoded);
        let units = octets
            .chunks_exact(2)
            .filter_map(|pair| pair.try_into().ok());
        for unit in char::decode_utf16(units.map(u16::from_be_bytes)) {
            good &= unit.is_ok();
            text.push(unit.unwrap_or('\u{fffd}'));
        }
    }
    text.extend(rest.iter().map(|&byte| shown(byte, &mut good)));
    (text, good)
}

fn shown(byte: u8, good: &mut bool) -> char {
    *good &= byte.is_ascii();
    if byte.is_ascii() {
        char::from(byte)
    } else {
        '\u{fffd}'
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passed_through_seven_bits_is_read() {
        for (label, bytes, text) in [
            ("utf-7", &b"+AKM-1"[..], "£1"),
            ("UTF-7", b"+AKM.x", "£.x"),
            ("utf-7", b"a +AKM 5", "a £ 5"),
            ("utf-7", b"x+AKM", "x£"),
            ("utf-7", b"1+-1", "1+1"),
            ("utf-7", b"+2D3eAA-", "😀"),
            ("hz-gb-2312", b"a ~{<:Ky2;~} b~~", "a 己所不 b~"),
            ("iso-2022-kr", b"\x1b$)C\x0eGQ19>n\x0f test", "한국어 test"),
        ] {
            let read = decode(label.as_bytes(), bytes).unwrap();
            assert_eq!(read, (text.to_owned(), true), "{label}");
        }
        assert_eq!(
            decode(b"utf-7", b"+2D0-\xff").unwrap(),
            ("\u{fffd}\u{fffd}".into(), false)
        );
        assert_eq!(decode(b"utf-8", b"x"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end(bytes: Vec<u8>) {
            for label in ["utf-7", "hz", "iso-2022-kr"] {
                decode(label.as_bytes(), &bytes);
            }
        }
    }
}
