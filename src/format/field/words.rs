//! Writing encoded words (RFC 2047): at most 75 octets each, and no character split between two.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::encode::push_escape;
use super::WANTED;

/// The longest encoded word (RFC 2047 section 2).
const WORD: usize = 75;

/// Encoded words, folded between them. `in_phrase` allows fewer characters (RFC 2047 section 5).
pub(super) fn encoded_words(value: &str, mut column: usize, in_phrase: bool) -> String {
    let charset = if value.is_ascii() {
        "us-ascii"
    } else {
        "utf-8"
    };
    let odd = value
        .chars()
        .filter(|character| !character.is_ascii())
        .count();
    let use_q = odd.saturating_mul(2) <= value.chars().count();
    let sign = if use_q { 'Q' } else { 'B' };
    let overhead = charset.len() + 7;
    let mut out = String::new();
    let mut rest = value;
    while !rest.is_empty() {
        // The last word may be followed by a comma or a bracket.
        let room = WORD
            .min((WANTED - 2).saturating_sub(column))
            .saturating_sub(overhead);
        let len = if use_q {
            q_prefix(rest, room.max(12), in_phrase)
        } else {
            b_prefix(rest, room.max(8))
        };
        let (now, after) = rest.split_at_checked(len).unwrap_or((rest, ""));
        if !out.is_empty() {
            out.push_str("\r\n ");
        }
        let text = if use_q {
            q_encoded(now, in_phrase)
        } else {
            STANDARD.encode(now)
        };
        out.push_str(&format!("=?{charset}?{sign}?{text}?="));
        rest = after;
        column = 1;
    }
    out
}

/// How much of the text, in whole characters, fits into `room` columns as Q.
fn q_prefix(text: &str, room: usize, in_phrase: bool) -> usize {
    let mut width = 0;
    let mut len = 0;
    for character in text.chars() {
        width += if is_q_literal(character, in_phrase) || character == ' ' {
            1
        } else {
            3 * character.len_utf8()
        };
        if width > room {
            break;
        }
        len += character.len_utf8();
    }
    len
}

fn b_prefix(text: &str, room: usize) -> usize {
    let most = room / 4 * 3;
    text.char_indices()
        .map(|(index, character)| index + character.len_utf8())
        .take_while(|&end| end <= most)
        .last()
        .unwrap_or(0)
}

fn is_q_literal(character: char, in_phrase: bool) -> bool {
    character.is_ascii_alphanumeric()
        || "!*+-/".contains(character)
        || (!in_phrase && ",.:;'()<>@[]&#$%^{}|~".contains(character))
}

fn q_encoded(text: &str, in_phrase: bool) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if character == ' ' {
            out.push('_');
        } else if is_q_literal(character, in_phrase) {
            out.push(character);
        } else {
            let mut buffer = [0; 4];
            for byte in character.encode_utf8(&mut buffer).bytes() {
                push_escape(&mut out, b'=', byte);
            }
        }
    }
    out
}
