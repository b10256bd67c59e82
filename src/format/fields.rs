//! The fields of a header section (RFC 5322 section 2.2), in order, with their places.

use std::ops::Range;

use memchr::memchr;

use super::cursor::is_blank;
use super::encoded_word;

/// One field as it stands in a header section.
#[derive(Clone, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a str,
    /// What follows the colon, folds included, without the last line end.
    pub(crate) raw: &'a [u8],
    /// The lines of the field in the section, last line end included.
    pub(crate) range: Range<usize>,
}

impl Field<'_> {
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value with its folds undone.
    pub(crate) fn unfolded(&self) -> Vec<u8> {
        unfold(self.raw)
    }

    /// The value as text for a reader: folds undone, encoded words decoded, ends trimmed.
    pub(crate) fn text(&self) -> String {
        text_of(&self.unfolded())
    }
}

/// An unfolded value as text for a reader. An encoded word can hold line ends and other controls,
/// which would forge a line in a log or break the answer: they become blanks.
pub(crate) fn text_of(value: &[u8]) -> String {
    shown(&encoded_word::decode(value))
}

/// Text of a header as it is shown: controls as blanks, none at the ends.
pub(crate) fn shown(text: &str) -> String {
    without_controls(text.trim())
}

pub(crate) fn without_controls(text: &str) -> String {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    text.replace(|c: char| c.is_control(), " ")
}

/// Undoes the folds: only the line ends go, the white space stays.
pub(crate) fn unfold(raw: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(end) = memchr::memchr2(b'\r', b'\n', rest) {
        let (before, after) = rest.split_at(end);
        value.extend_from_slice(before);
        rest = after.get(1..).unwrap_or_default();
    }
    value.extend_from_slice(rest);
    value
}

/// A line of a header section with the lines that continue it.
pub(crate) enum Piece<'a> {
    Field(Field<'a>),
    /// It is none; where it stands.
    Other(Range<usize>),
}

/// Iterates over a header section in one pass.
pub(crate) fn pieces(section: &[u8]) -> impl Iterator<Item = Piece<'_>> + Clone {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let rest = section.get(start..).filter(|rest| !rest.is_empty())?;
        at = start + field_len(rest);
        let range = start..at;
        let lines = section.get(range.clone()).unwrap_or_default();
        Some(match split(lines) {
            Some((name, raw)) => Piece::Field(Field { name, raw, range }),
            None => Piece::Other(range),
        })
    })
}

/// Iterates over the fields of a header section. A line that is no field is passed over, and so
/// are the lines that continue it; `From ` at the very top is a line of an mbox.
pub(crate) fn fields(section: &[u8]) -> impl Iterator<Item = Field<'_>> + Clone {
    pieces(section).filter_map(|piece| match piece {
        Piece::Field(field) => Some(field),
        Piece::Other(_) => None,
    })
}

/// A line of a header section that is no field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Oddity {
    /// The line that separates the messages of an mbox file.
    MboxLine,
    /// Its beginning, for a person to recognise it.
    NoField(String),
}

impl Oddity {
    pub(crate) fn new(section: &[u8], range: &Range<usize>) -> Self {
        let line = section.get(range.clone()).unwrap_or_default();
        if range.start == 0 && is_mbox_line(line) {
            return Self::MboxLine;
        }
        let end = line.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let end = end.unwrap_or(line.len()).min(60);
        let line = line.get(..end).unwrap_or_default();
        Self::NoField(shown(&String::from_utf8_lossy(line)))
    }
}

pub(crate) fn is_mbox_line(line: &[u8]) -> bool {
    line.starts_with(b"From ") || line.starts_with(b">From ")
}

/// Whether a line begins a field.
pub(crate) fn is_field(line: &[u8]) -> bool {
    split(line).is_some()
}

/// The length of the first line and the lines that continue it.
fn field_len(section: &[u8]) -> usize {
    let mut len = 0;
    while let Some(rest) = section.get(len..) {
        let Some(end) = memchr(b'\n', rest) else {
            return section.len();
        };
        len += end + 1;
        if !matches!(section.get(len), Some(b' ' | b'\t')) {
            break;
        }
    }
    len
}

/// Splits a field into its name and what follows the colon; blanks before the colon are an
/// obsolete form (RFC 5322 section 4.5) that real mail still has.
fn split(lines: &[u8]) -> Option<(&str, &[u8])> {
    let colon = memchr(b':', lines)?;
    let (name, value) = lines.split_at(colon);
    let name = name.trim_ascii_end();
    let valid = !name.is_empty() && name.iter().all(|byte| (33..=126).contains(byte));
    let name = valid.then(|| std::str::from_utf8(name).ok()).flatten()?;
    let value = value.get(1..)?;
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    Some((name, value.strip_suffix(b"\r").unwrap_or(value)))
}

/// The value of the first field of that name.
pub(crate) fn first<'a>(section: &'a [u8], name: &str) -> Option<Field<'a>> {
    fields(section).find(|field| field.is(name))
}

/// The Message-ID; empty where there is none.
pub(crate) fn message_id(section: &[u8]) -> String {
    let field = first(section, "Message-ID");
    field.map(|field| field.text()).unwrap_or_default()
}

/// So many servers a message may have come by (RFC 5321 section 6.3).
const MOST_HOPS: usize = 50;

/// Whether the message has come by so many servers that it must be going round.
pub(crate) fn is_loop(section: &[u8]) -> bool {
    fields(section).filter(|field| field.is("Received")).count() > MOST_HOPS
}

/// The parts of a section that a reader may see, in order: all but the fields that are `hidden`.
pub(crate) fn visible(section: &[u8], hidden: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut at = 0;
    for field in fields(section).filter(|field| hidden(field.name)) {
        if field.range.start > at {
            ranges.push(at..field.range.start);
        }
        at = field.range.end;
    }
    if section.len() > at {
        ranges.push(at..section.len());
    }
    ranges
}

/// Whether a reader never sees the field: it names blind recipients (RFC 5322 section 3.6.3).
pub(crate) fn names_blind_recipients(name: &str) -> bool {
    name.eq_ignore_ascii_case("Bcc") || name.eq_ignore_ascii_case("Resent-Bcc")
}

/// Trims blanks and line ends on both sides.
pub(crate) fn trim(value: &[u8]) -> &[u8] {
    let start = value.iter().position(|&byte| !is_blank(byte));
    let end = value.iter().rposition(|&byte| !is_blank(byte));
    match (start, end) {
        (Some(start), Some(end)) => value.get(start..=end).unwrap_or_default(),
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_folds_and_places() {
        let section = b"From x\nA: 1\r\n 2\r\nno field\n more\nB : 3\n\t\nC:";
        let found: Vec<_> = fields(section)
            .map(|field| (field.name, field.raw.to_vec(), field.range))
            .collect();
        assert_eq!(
            found,
            [
                ("A", b" 1\r\n 2".to_vec(), 7..17),
                ("B", b" 3\n\t".to_vec(), 32..40),
                ("C", b"".to_vec(), 40..42),
            ]
        );
    }

    #[test]
    fn what_is_no_field_is_told() {
        let section = b"From x\nA: 1\r\n\x00no field\n more\nB: 2\n";
        let told: Vec<_> = pieces(section)
            .filter_map(|piece| match piece {
                Piece::Field(_) => None,
                Piece::Other(range) => Some(Oddity::new(section, &range)),
            })
            .collect();
        let line = Oddity::NoField(" no field".to_owned());
        assert_eq!(told, [Oddity::MboxLine, line]);
    }

    #[test]
    fn blind_recipients_are_cut_out_with_their_folds() {
        let section = b"A: 1\r\nbcc: x@y,\r\n z@y\r\nB: 2\r\nResent-Bcc: q\r\n";
        let seen: Vec<u8> = visible(section, names_blind_recipients)
            .into_iter()
            .flat_map(|range| section[range].to_vec())
            .collect();
        assert_eq!(seen, b"A: 1\r\nB: 2\r\n");
    }
}
