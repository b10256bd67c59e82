//! The trace fields of a received message.

use std::time::SystemTime;

use crate::format::cursor::{Cursor, is_blank};
use crate::format::{date, fields};

/// One step of the way a message came: a `Received` field (RFC 5321 section 4.4).
///
/// Only what your own mail server wrote is to be believed: the topmost ones. All below them may be
/// the sender's invention.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// let message = cdonts::MessageFile::from_bytes(
///     "Received: from mail.example.org (unknown [192.0.2.1])\r\n\
///      \tby mx.example.com with ESMTPS id 4A7; Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\n",
/// )?;
/// let step = &message.headers()?.received()[0];
/// assert_eq!(step.from(), Some("mail.example.org (unknown [192.0.2.1])"));
/// assert_eq!(step.with(), Some("ESMTPS"));
/// assert_eq!(step.id(), Some("4A7"));
/// assert!(step.time().is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    clauses: [Option<String>; NAMES.len()],
    time: Option<SystemTime>,
}

const NAMES: [&str; 6] = ["from", "by", "via", "with", "id", "for"];

impl Received {
    pub(crate) fn parse(raw: &[u8]) -> Self {
        let value = fields::unfold(raw);
        let (clauses, stamp) = match memchr::memrchr(b';', &value) {
            Some(at) => value.split_at(at),
            None => (value.as_slice(), &[][..]),
        };
        let mut found = Self {
            time: date::parse(stamp.get(1..).unwrap_or_default()),
            ..Self::default()
        };
        let mut current = None;
        let mut cursor = Cursor::new(clauses);
        while let Some(word) = next_word(&mut cursor) {
            let name = NAMES
                .iter()
                .position(|name| word.eq_ignore_ascii_case(name.as_bytes()));
            match name.filter(|&index| found.clause_at(index).is_none()) {
                Some(index) => {
                    current = Some(index);
                    found.append(index, b"");
                }
                None => current.into_iter().for_each(|at| found.append(at, &word)),
            }
        }
        for clause in &mut found.clauses {
            *clause = clause.take().filter(|text| !text.is_empty());
        }
        found
    }

    fn clause_at(&self, index: usize) -> Option<&str> {
        self.clauses.get(index)?.as_deref()
    }

    fn append(&mut self, index: usize, word: &[u8]) {
        if let Some(clause) = self.clauses.get_mut(index) {
            let clause = clause.get_or_insert_default();
            if !clause.is_empty() {
                clause.push(' ');
            }
            clause.push_str(&fields::shown(&String::from_utf8_lossy(word)));
        }
    }

    /// Who handed the message over: the name it gave and, in parentheses, what the server saw.
    pub fn from(&self) -> Option<&str> {
        self.clause_at(0)
    }

    /// The server that took the message.
    pub fn by(&self) -> Option<&str> {
        self.clause_at(1)
    }

    /// The link it came over, if it was no ordinary network.
    pub fn via(&self) -> Option<&str> {
        self.clause_at(2)
    }

    /// The protocol, such as `ESMTPS` (RFC 3848).
    pub fn with(&self) -> Option<&str> {
        self.clause_at(3)
    }

    /// The server's own name for the message, to be found in its log.
    pub fn id(&self) -> Option<&str> {
        self.clause_at(4)
    }

    /// The recipient, if the server named one.
    pub fn recipient(&self) -> Option<&str> {
        self.clause_at(5)
    }

    /// When it was taken; `None` when the field holds no date.
    pub fn time(&self) -> Option<SystemTime> {
        self.time
    }
}

/// A word, or a comment with its parentheses.
fn next_word(cursor: &mut Cursor<'_>) -> Option<Vec<u8>> {
    cursor.skip_blanks();
    if cursor.eat(b'(') {
        let mut comment = b"(".to_vec();
        comment.extend(cursor.comment());
        comment.push(b')');
        return Some(comment);
    }
    let word = cursor.take_while(|byte| !is_blank(byte) && byte != b'(');
    (!word.is_empty()).then(|| word.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_servers_are_read() {
        let read = |text: &str| Received::parse(text.as_bytes());
        let postfix = read(
            " by mx.example.com (Postfix, from userid 1000)\r\n\tid 0AB3; Tue, 24 Nov 2026 10:00:00 +0000 (UTC)",
        );
        assert_eq!(
            postfix.by(),
            Some("mx.example.com (Postfix, from userid 1000)")
        );
        assert_eq!((postfix.id(), postfix.from()), (Some("0AB3"), None));
        let exim = read(
            "from [192.0.2.1] (helo=a; b) by mx with esmtp (Exim 4.96) id 1A-B for jane@x; 24 Nov 2026 10:00 +0000",
        );
        assert_eq!(exim.from(), Some("[192.0.2.1] (helo=a; b)"));
        assert_eq!(exim.with(), Some("esmtp (Exim 4.96)"));
        assert_eq!(exim.recipient(), Some("jane@x"));
        assert_eq!(exim.time(), postfix.time());
        let qmail = read("(qmail 8386 invoked from network); 17 Jul 2012 22:24:59 -0000");
        assert_eq!((qmail.from(), qmail.time().is_some()), (None, true));
        assert_eq!(read(""), Received::default());
        assert_eq!(read("from by"), Received::default());
        assert_eq!(read("from a from b by c").from(), Some("a from b"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end(bytes: Vec<u8>) {
            Received::parse(&bytes);
        }
    }
}
