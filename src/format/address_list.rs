//! Reading the addresses of From, To, Cc and their like, as real mail writes them.

use super::cursor::{Cursor, is_blank};
use super::{charset, fields};

/// A display name and an address as the sender wrote them, decoded but not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) address: String,
}

/// Reads the addresses of an unfolded value, at most `most`. Groups give their members.
pub(crate) fn parse(value: &[u8], most: usize) -> Vec<Entry> {
    let mut reader = Reader {
        cursor: Cursor::new(value),
        phrase: Phrase::default(),
        angle: None,
        entries: Vec::new(),
    };
    while reader.entries.len() < most && reader.step() {}
    reader.entries.truncate(most);
    reader.entries
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    phrase: Phrase,
    /// The entry whose bracket was read, while its comma has not come.
    angle: Option<Entry>,
    entries: Vec<Entry>,
}

/// What stands before a bracket, or is a bare address.
#[derive(Default)]
struct Phrase {
    /// As it stands, quotes kept, white space as one blank.
    source: Vec<u8>,
    /// The same as a name: quotes resolved.
    text: Vec<u8>,
    comment: Vec<u8>,
    has_at: bool,
}

impl Reader<'_> {
    /// Consumes at least one byte, or ends the list.
    fn step(&mut self) -> bool {
        let Some(byte) = self.cursor.next() else {
            self.end_entry();
            return false;
        };
        match byte {
            b',' | b';' => self.end_entry(),
            // A group begins: what stands before the colon is its name.
            b':' if !self.phrase.has_at => self.phrase = Phrase::default(),
            b'<' => {
                // Without a comma: what stands since the last bracket is the next one's name.
                if let Some(entry) = self.angle.take() {
                    self.push(entry);
                }
                self.angle = Some(Entry {
                    name: std::mem::take(&mut self.phrase).name(),
                    address: angle(&mut self.cursor),
                });
            }
            b'(' => {
                let comment = self.cursor.comment();
                if self.phrase.comment.is_empty() {
                    self.phrase.comment = comment;
                }
            }
            b'"' => {
                let quoted = self.cursor.quoted();
                self.phrase.push_quoted(&quoted);
            }
            _ if is_blank(byte) => self.phrase.push_blank(),
            _ => self.phrase.push(byte),
        }
        true
    }

    fn end_entry(&mut self) {
        let phrase = std::mem::take(&mut self.phrase);
        let entry = match self.angle.take() {
            Some(mut entry) => {
                if entry.name.is_empty() {
                    entry.name = phrase.comment();
                }
                entry
            }
            None => phrase.bare(),
        };
        self.push(entry);
    }

    fn push(&mut self, entry: Entry) {
        if entry != Entry::default() {
            self.entries.push(entry);
        }
    }
}

impl Phrase {
    fn push(&mut self, byte: u8) {
        self.has_at |= byte == b'@';
        self.source.push(byte);
        self.text.push(byte);
    }

    fn push_blank(&mut self) {
        if !self.source.is_empty() && self.source.last() != Some(&b' ') {
            self.source.push(b' ');
        }
        if !self.text.is_empty() && self.text.last() != Some(&b' ') {
            self.text.push(b' ');
        }
    }

    fn push_quoted(&mut self, quoted: &[u8]) {
        self.has_at |= quoted.contains(&b'@');
        self.source.push(b'"');
        for &byte in quoted {
            if matches!(byte, b'"' | b'\\') {
                self.source.push(b'\\');
            }
            self.source.push(byte);
        }
        self.source.push(b'"');
        self.text.extend(quoted);
    }

    fn name(&self) -> String {
        let name = fields::text_of(&self.text);
        if name.is_empty() {
            self.comment()
        } else {
            name
        }
    }

    fn comment(&self) -> String {
        fields::text_of(&self.comment)
    }

    /// Without brackets: an address up to the first blank, or only a name.
    fn bare(self) -> Entry {
        let glued = glue(&self.source);
        let has_at = glued.contains(&b'@');
        let is_word = !glued.contains(&b' ') && !glued.is_empty();
        if !has_at && !is_word {
            return Entry {
                name: self.name(),
                address: String::new(),
            };
        }
        let address = first_word(&glued, has_at);
        Entry {
            name: self.comment(),
            address: plain(address),
        }
    }
}

/// After `<`: the address up to `>`, route and comments dropped, blanks glued.
fn angle(cursor: &mut Cursor<'_>) -> String {
    let mut inner = Vec::new();
    let mut quoted_text = false;
    while let Some(byte) = cursor.peek() {
        match byte {
            b'>' => {
                cursor.next();
                break;
            }
            b'"' => {
                cursor.next();
                quoted_text = true;
                let mut phrase = Phrase::default();
                phrase.push_quoted(&cursor.quoted());
                inner.extend(phrase.source);
            }
            b'(' => {
                cursor.next();
                cursor.comment();
            }
            // The bracket was never closed: the next entry begins here.
            b'<' => break,
            _ => {
                cursor.next();
                inner.push(if is_blank(byte) { b' ' } else { byte });
            }
        }
    }
    let mut address = glue(&inner);
    // RFC 5321 appendix C: a source route is to be ignored.
    if address.first() == Some(&b'@')
        && let Some(colon) = address.iter().position(|&byte| byte == b':')
    {
        address.drain(..=colon);
    }
    if !quoted_text && address.iter().any(|byte| matches!(byte, b':' | b';')) {
        return String::new();
    }
    plain(&address)
}

/// Whether a byte stands within a quoted string, its quotes included.
#[derive(Default)]
struct Quotes {
    open: bool,
    escaped: bool,
}

impl Quotes {
    fn hold(&mut self, byte: u8) -> bool {
        if self.escaped {
            self.escaped = false;
            return true;
        }
        let before = self.open;
        match byte {
            b'\\' if self.open => self.escaped = true,
            b'"' => self.open = !self.open,
            _ => {}
        }
        before || self.open
    }
}

/// An address as text. No encoded word may stand in one (RFC 2047 section 5): what looks like it is
/// the address, and decoded it would be another.
fn plain(address: &[u8]) -> String {
    fields::shown(&charset::decode_unlabelled(address))
}

/// Drops the blanks that obsolete syntax allows around dots and at-signs, and at both ends.
fn glue(source: &[u8]) -> Vec<u8> {
    let mut glued: Vec<u8> = Vec::with_capacity(source.len());
    let mut quotes = Quotes::default();
    for &byte in source {
        let quoted = quotes.hold(byte);
        if !quoted && matches!(byte, b'.' | b'@') {
            while glued.last() == Some(&b' ') {
                glued.pop();
            }
        }
        let after_joint = matches!(glued.last(), None | Some(b'.' | b'@' | b' '));
        if byte == b' ' && !quoted && after_joint {
            continue;
        }
        glued.push(byte);
    }
    while glued.last() == Some(&b' ') {
        glued.pop();
    }
    glued
}

/// The first word outside quotes; if there is an at-sign, the first word that has one.
fn first_word(glued: &[u8], with_at: bool) -> &[u8] {
    let mut quotes = Quotes::default();
    glued
        .split(|&byte| !quotes.hold(byte) && byte == b' ')
        .find(|word| !with_at || word.contains(&b'@'))
        .unwrap_or(glued)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &str) -> Vec<(String, String)> {
        parse(input.as_bytes(), 100)
            .into_iter()
            .map(|entry| (entry.name, entry.address))
            .collect()
    }

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("jane@example.com", &[("", "jane@example.com")]),
            (
                "Jane Doe <jane@example.com>",
                &[("Jane Doe", "jane@example.com")],
            ),
            (
                "\"Doe, Jane\" <j@x>, b@y",
                &[("Doe, Jane", "j@x"), ("", "b@y")],
            ),
            ("=?utf-8?Q?J=C3=A4n?= <j@x>", &[("Jän", "j@x")]),
            ("\"a b\"@x", &[("", "\"a b\"@x")]),
            ("\"a\\\" b\"@x c", &[("", "\"a\\\" b\"@x")]),
            ("<\"a <b\"@x>", &[("", "\"a <b\"@x")]),
            (
                "team: a@x, B <b@y>; c@z",
                &[("", "a@x"), ("B", "b@y"), ("", "c@z")],
            ),
            ("undisclosed-recipients:;", &[]),
            ("j@x (Jane)", &[("Jane", "j@x")]),
            ("j@x (Jane \\) Doe)", &[("Jane ) Doe", "j@x")]),
            ("<@route,@two:j@x>", &[("", "j@x")]),
            ("j . d @ x . y", &[("", "j.d@x.y")]),
            ("A <a@x> B <b@y>", &[("A", "a@x"), ("B", "b@y")]),
            ("j@x trailing words, k@y", &[("", "j@x"), ("", "k@y")]),
            ("root", &[("", "root")]),
            ("j@[IPv6:::1]", &[("", "j@[IPv6:::1]")]),
            ("=?u?Q?a?=@x", &[("", "=?u?Q?a?=@x")]),
            ("<=?u?Q?a?=@x>", &[("", "=?u?Q?a?=@x")]),
            ("Jane Doe", &[("Jane Doe", "")]),
            (", ,;", &[]),
            ("a)b:c(", &[("", "c")]),
            ("<open@x", &[("", "open@x")]),
        ];
        for (input, expected) in cases {
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, address)| ((*name).to_owned(), (*address).to_owned()))
                .collect();
            assert_eq!(read(input), expected, "{input}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end(bytes: Vec<u8>) {
            proptest::prop_assert!(parse(&bytes, 50).len() <= 50);
        }
    }
}
