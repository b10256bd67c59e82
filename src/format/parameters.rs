//! The value and parameters of Content-Type and Content-Disposition (RFC 2045 section 5.1), with
//! the continuations and character sets of RFC 2231.

use super::charset;
use super::cursor::{Cursor, is_blank};
use super::encoded_word;
use super::quoted_printable::hex;

/// Honest mail has a handful; more would only cost time.
const MOST: usize = 200;

/// A value and its parameters, names in lower case.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    pub(crate) value: String,
    list: Vec<Parameter>,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    /// The place of a continuation: `name*0`, `name*1`.
    section: Option<u32>,
    /// Percent-encoded, the first section with a character set before it.
    extended: bool,
    value: Vec<u8>,
}

impl Parameters {
    /// Reads an unfolded value.
    pub(crate) fn parse(value: &[u8]) -> Self {
        let mut cursor = Cursor::new(value);
        let mut found = Self {
            value: token(&mut cursor, |byte| byte == b';'),
            list: Vec::new(),
        };
        while cursor.peek().is_some() && found.list.len() < MOST {
            cursor.take_while(|byte| byte == b';' || is_blank(byte));
            if cursor.eat(b'(') {
                cursor.comment();
                continue;
            }
            let name = token(&mut cursor, |byte| matches!(byte, b'=' | b';'));
            if !cursor.eat(b'=') {
                continue;
            }
            let value = parameter_value(
                &mut cursor,
                !name.starts_with("name") && !name.starts_with("filename"),
            );
            found.list.push(Parameter::new(&name, value));
        }
        found
    }

    /// The bytes of a parameter as they stand, for a boundary: nothing is decoded.
    pub(crate) fn raw(&self, name: &str) -> Option<Vec<u8>> {
        let plain = |parameter: &&Parameter| parameter.name == name && parameter.section.is_none();
        if let Some(parameter) = self.list.iter().find(plain) {
            return Some(parameter.value.clone());
        }
        let sections = self.sections(name);
        (!sections.is_empty()).then(|| {
            sections
                .into_iter()
                .flat_map(|parameter| parameter.value.iter().copied())
                .collect()
        })
    }

    /// A parameter as text. The extended form (RFC 2231) is believed before the plain one, which
    /// senders add for old readers; encoded words are decoded, though RFC 2047 forbids them here.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let sections = self.sections(name);
        if !sections.is_empty() {
            return Some(decode_sections(&sections));
        }
        self.list
            .iter()
            .find(|parameter| parameter.name == name)
            .map(|parameter| encoded_word::decode(&parameter.value))
    }

    /// The sections of an extended or continued parameter in their order, each place once.
    fn sections(&self, name: &str) -> Vec<&Parameter> {
        let mut sections: Vec<_> = self
            .list
            .iter()
            .filter(|parameter| parameter.name == name && parameter.section.is_some())
            .collect();
        sections.sort_by_key(|parameter| parameter.section);
        sections.dedup_by_key(|parameter| parameter.section);
        sections
    }
}

impl Parameter {
    fn new(name: &str, value: Vec<u8>) -> Self {
        let (stem, extended) = match name.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (name, false),
        };
        let (stem, section) = match stem.split_once('*') {
            Some((stem, place)) => (stem, place.parse().ok()),
            None => (stem, extended.then_some(0)),
        };
        Self {
            name: stem.to_owned(),
            section,
            extended,
            value,
        }
    }
}

fn decode_sections(sections: &[&Parameter]) -> String {
    let mut label = Vec::new();
    let mut bytes = Vec::new();
    for (index, parameter) in sections.iter().enumerate() {
        if !parameter.extended {
            bytes.extend(&parameter.value);
            continue;
        }
        let mut value = parameter.value.as_slice();
        let mut pieces = value.splitn(3, |&byte| byte == b'\'');
        if let (0, Some(charset), Some(_language), Some(rest)) =
            (index, pieces.next(), pieces.next(), pieces.next())
        {
            label = charset.to_vec();
            value = rest;
        }
        bytes.extend(percent_decoded(value));
    }
    charset::decode(&label, &bytes).0
}

fn percent_decoded(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let escape = (
            after.first().and_then(|&byte| hex(byte)),
            after.get(1).and_then(|&byte| hex(byte)),
        );
        match (first, escape) {
            (b'%', (Some(high), Some(low))) => {
                out.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => out.push(first),
        }
    }
    out
}

/// A word up to the next delimiter, blanks and comments left out, in lower case.
fn token(cursor: &mut Cursor<'_>, ends: impl Fn(u8) -> bool) -> String {
    let mut word = Vec::new();
    while let Some(byte) = cursor.peek().filter(|&byte| !ends(byte)) {
        cursor.next();
        match byte {
            b'(' => drop(cursor.comment()),
            _ if is_blank(byte) => {}
            _ => word.push(byte),
        }
    }
    String::from_utf8_lossy(&word).to_ascii_lowercase()
}

/// A file name may hold parentheses without quotes; in another value they are a comment.
fn parameter_value(cursor: &mut Cursor<'_>, with_comments: bool) -> Vec<u8> {
    cursor.skip_blanks();
    if cursor.eat(b'"') {
        let value = cursor.quoted();
        cursor.take_while(|byte| byte != b';');
        return value;
    }
    // Without quotes a value ends at the semicolon: file names with blanks are common.
    let value = cursor.take_while(|byte| byte != b';' && !(with_comments && byte == b'('));
    cursor.take_while(|byte| byte != b';');
    super::fields::trim(value).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_parameters_are_read_as_senders_write_them() {
        let read = Parameters::parse(
            b" Text/Plain (c) ; charset=\"utf-8\"; Format=flowed ;name=a b.txt; x=\"q\\\"r\"; =; y",
        );
        assert_eq!(read.value, "text/plain");
        assert_eq!(read.text("charset").as_deref(), Some("utf-8"));
        assert_eq!(read.text("format").as_deref(), Some("flowed"));
        assert_eq!(read.text("name").as_deref(), Some("a b.txt"));
        assert_eq!(read.text("x").as_deref(), Some("q\"r"));
        assert_eq!(read.text("y"), None);
        let read = Parameters::parse(b"a/b; charset=iso-8859-2 (Plain; text); name=a (1).txt");
        assert_eq!(read.text("charset").as_deref(), Some("iso-8859-2"));
        assert_eq!(read.text("name").as_deref(), Some("a (1).txt"));
    }

    #[test]
    fn continuations_are_put_in_order_and_decoded() {
        for (input, expected) in [
            ("x; filename*=utf-8''r%C3%A9.pdf; filename=r.pdf", "ré.pdf"),
            ("x; filename*1=b; filename*0=a", "ab"),
            (
                "x; filename*0*=iso-8859-1'en'%E9; filename*1*=%E8; filename*2=c%41",
                "éèc%41",
            ),
            ("x; filename=\"=?utf-8?Q?=C3=A9?=\"", "é"),
            ("x; filename*0=a; filename*0=b; filename*1=c", "ac"),
        ] {
            let read = Parameters::parse(input.as_bytes());
            assert_eq!(read.text("filename").as_deref(), Some(expected), "{input}");
        }
    }

    #[test]
    fn a_boundary_is_never_decoded() {
        let read = Parameters::parse(b"multipart/mixed; boundary=\"=?utf-8?Q?x?=\"");
        assert_eq!(read.raw("boundary").unwrap(), b"=?utf-8?Q?x?=");
    }
}
