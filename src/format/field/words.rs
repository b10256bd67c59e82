//! Writing encoded words (RFC 2047): at most 75 octets each, and no character split between two.

use base64_simd::STANDARD;

use super::super::code_page::Charset;
use super::super::encode::push_escape;
use super::WANTED;

/// The longest encoded word (RFC 2047 section 2).
const WORD: usize = 75;

/// Encoded words, folded between them. `in_phrase` allows fewer characters (RFC 2047 section 5).
/// A text that the character set lacks goes out in UTF-8.
pub(super) fn encoded_words(
    value: &str,
    mut column: usize,
    in_phrase: bool,
    charset: Charset,
) -> String {
    let charset = match charset.encode(value) {
        Some(_) => charset,
        None => Charset::UTF_8,
    };
    let label = if value.is_ascii() {
        "us-ascii"
    } else {
        charset.label
    };
    let odd = value
        .chars()
        .filter(|character| !character.is_ascii())
        .count();
    let use_q = odd.saturating_mul(2) <= value.chars().count() && !charset.is_stateful();
    let overhead = label.len() + 7;
    let mut out = String::new();
    let mut rest = value;
    while !rest.is_empty() {
        // The last word may be followed by a comma or a bracket.
        let room = WORD
            .min((WANTED - 2).saturating_sub(column))
            .saturating_sub(overhead);
        let (sign, len, text) = if use_q {
            let len = q_prefix(rest, room.max(12), in_phrase, charset);
            (
                'Q',
                len,
                q_encoded(rest.get(..len).unwrap_or(rest), in_phrase, charset),
            )
        } else {
            let len = b_prefix(rest, room.max(16), charset);
            (
                'B',
                len,
                STANDARD.encode_to_string(octets(rest.get(..len).unwrap_or(rest), charset)),
            )
        };
        if !out.is_empty() {
            out.push_str("\r\n ");
        }
        out.push_str(&format!("=?{label}?{sign}?{text}?="));
        rest = rest.get(len..).unwrap_or_default();
        column = 1;
    }
    out
}

/// The text was found to fit the character set before.
fn octets(text: &str, charset: Charset) -> Vec<u8> {
    charset
        .encode(text)
        .unwrap_or(text.as_bytes().into())
        .into_owned()
}

/// How much of the text, in whole characters, fits into `room` columns as Q; at least one.
fn q_prefix(text: &str, room: usize, in_phrase: bool, charset: Charset) -> usize {
    let width = |character: char| {
        if is_q_literal(character, in_phrase) || character == ' ' {
            return 1;
        }
        let mut buffer = [0; 4];
        3 * octets(character.encode_utf8(&mut buffer), charset).len()
    };
    let mut used = 0;
    prefix(text, |character, _| {
        used += width(character);
        used <= room
    })
}

/// The same as B. What a stateful character set needs to begin and end counts too.
fn b_prefix(text: &str, room: usize, charset: Charset) -> usize {
    let most = room / 4 * 3;
    prefix(text, |_, end| {
        octets(text.get(..end).unwrap_or(text), charset).len() <= most
    })
}

fn prefix(text: &str, mut fits: impl FnMut(char, usize) -> bool) -> usize {
    let ends = text
        .char_indices()
        .map(|(index, c)| (c, index + c.len_utf8()));
    let first = text.chars().next().map_or(0, char::len_utf8);
    ends.take_while(|&(c, end)| fits(c, end))
        .last()
        .map_or(first, |(_, end)| end)
}

fn is_q_literal(character: char, in_phrase: bool) -> bool {
    character.is_ascii_alphanumeric()
        || "!*+-/".contains(character)
        || (!in_phrase && ",.:;'()<>@[]&#$%^{}|~".contains(character))
}

fn q_encoded(text: &str, in_phrase: bool, charset: Charset) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if character == ' ' {
            out.push('_');
        } else if is_q_literal(character, in_phrase) {
            out.push(character);
        } else {
            let mut buffer = [0; 4];
            for byte in octets(character.encode_utf8(&mut buffer), charset) {
                push_escape(&mut out, b'=', byte);
            }
        }
    }
    out
}
