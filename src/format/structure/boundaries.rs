//! The boundaries of the open multiparts, and which of them a line is.
//!
//! A hostile message opens as many multiparts as the limit allows and then has millions of lines
//! that begin with two hyphens, or opens and closes ten thousand more: each line is looked up, not
//! compared with all, and each boundary takes its place among the others once.

/// How a line ends the parts around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delimiter {
    Next,
    Close,
}

/// The multiparts around the current line, outermost first.
#[derive(Default)]
pub(super) struct Boundaries {
    open: Vec<Multipart>,
    /// The levels in the order of their boundaries.
    sorted: Vec<usize>,
    shortest: usize,
    longest: usize,
}

pub(super) struct Multipart {
    /// Its row in the table of parts.
    pub(super) part: usize,
    boundary: Vec<u8>,
    /// The level whose boundary is the longest that begins this one.
    prefix: Option<usize>,
}

/// What may follow a boundary on its line and is looked at.
const TAIL: usize = 128;

impl Boundaries {
    pub(super) fn push(&mut self, part: usize, boundary: Vec<u8>) {
        let level = self.open.len();
        let place = self
            .sorted
            .partition_point(|&other| self.boundary(other) <= boundary.as_slice());
        let before = place.checked_sub(1);
        let mut prefix = before.and_then(|before| self.sorted.get(before)).copied();
        while let Some(other) = prefix {
            if boundary.starts_with(self.boundary(other)) {
                break;
            }
            prefix = self.prefix(other);
        }
        let begun = |&&other: &&usize| self.boundary(other).starts_with(&boundary);
        let after = self.sorted.get(place..).unwrap_or_default();
        let begun: Vec<usize> = after.iter().take_while(begun).copied().collect();
        for other in begun {
            if let Some(other) = self
                .open
                .get_mut(other)
                .filter(|other| other.prefix == prefix)
            {
                other.prefix = Some(level);
            }
        }
        self.sorted.insert(place, level);
        self.open.push(Multipart {
            part,
            boundary,
            prefix,
        });
        self.measure();
    }

    /// Takes away what is inside `level`; the innermost is the last.
    pub(super) fn close_below(&mut self, level: usize) -> Vec<Multipart> {
        let closed = self.open.split_off(level.min(self.open.len()));
        if closed.is_empty() {
            return closed;
        }
        self.sorted.retain(|&other| other < level);
        for multipart in &mut self.open {
            while let Some(prefix) = multipart
                .prefix
                .and_then(|prefix| prefix.checked_sub(level))
            {
                multipart.prefix = closed.get(prefix).and_then(|closed| closed.prefix);
            }
        }
        self.measure();
        closed
    }

    fn measure(&mut self) {
        let lengths = || self.open.iter().map(|one| one.boundary.len());
        self.longest = lengths().max().unwrap_or(0);
        self.shortest = lengths().min().unwrap_or(0);
    }

    pub(super) fn get(&self, level: usize) -> Option<&Multipart> {
        self.open.get(level)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Multipart> {
        self.open.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// How much of a line must be looked at. A longer one is no boundary.
    pub(super) fn look(&self) -> usize {
        self.longest + 2 + TAIL
    }

    /// Whether the line is a boundary, and of which of the open multiparts: innermost first.
    pub(super) fn find(&self, line: &[u8]) -> Option<(usize, Delimiter)> {
        let text = line.strip_prefix(b"--")?;
        if text.len() < self.shortest || line.len() >= self.look() {
            return None;
        }
        let content = text.trim_ascii_end().len();
        let after = self
            .sorted
            .partition_point(|&one| self.boundary(one) <= text);
        // The boundaries that begin the line are the one before that place and its own prefixes.
        let mut next = after
            .checked_sub(1)
            .and_then(|before| self.sorted.get(before))
            .copied();
        let mut found: Option<(usize, Delimiter)> = None;
        while let Some(level) = next {
            if let Some(rest) = text.strip_prefix(self.boundary(level))
                && found.is_none_or(|(found, _)| level > found)
                && let Some(delimiter) = delimiter(rest, rest.len() + content <= text.len())
            {
                found = Some((level, delimiter));
            }
            next = self.prefix(level);
        }
        found
    }

    fn boundary(&self, level: usize) -> &[u8] {
        self.open
            .get(level)
            .map_or(&[], |multipart| &multipart.boundary)
    }

    fn prefix(&self, level: usize) -> Option<usize> {
        self.open.get(level)?.prefix
    }
}

/// A boundary is compared exactly, and only then blanks may follow (RFC 2046 section 5.1.1). Some
/// writers put more behind a closing one: what cannot be part of a boundary still closes.
fn delimiter(rest: &[u8], is_blank: bool) -> Option<Delimiter> {
    if is_blank {
        return Some(Delimiter::Next);
    }
    let after = rest.strip_prefix(b"--")?;
    let closes = after
        .first()
        .is_none_or(|&byte| !is_boundary_character(byte));
    closes.then_some(Delimiter::Close)
}

/// The characters of a boundary (RFC 2046 section 5.1.1).
fn is_boundary_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the look-up must find: each open multipart tried, innermost first.
    fn tried(all: &[String], line: &str) -> Option<(usize, Delimiter)> {
        let text = line.strip_prefix("--")?;
        all.iter().enumerate().rev().find_map(|(level, boundary)| {
            let rest = text.strip_prefix(boundary.as_str())?;
            delimiter(rest.as_bytes(), rest.trim().is_empty()).map(|found| (level, found))
        })
    }

    proptest::proptest! {
        #[test]
        fn the_look_up_finds_what_trying_all_finds(
            first in proptest::collection::vec("[ab-]{1,4}", 0..8),
            closed in 0usize..9,
            second in proptest::collection::vec("[ab-]{1,4}", 0..5),
            line in "--[ab-]{0,5}[ \t]{0,2}(--)?!?",
        ) {
            let mut boundaries = Boundaries::default();
            for boundary in &first {
                boundaries.push(0, boundary.clone().into_bytes());
            }
            let left = closed.min(first.len());
            boundaries.close_below(left);
            let mut all = first[..left].to_vec();
            for boundary in second {
                boundaries.push(0, boundary.clone().into_bytes());
                all.push(boundary);
            }
            proptest::prop_assert_eq!(boundaries.find(line.as_bytes()), tried(&all, &line));
        }
    }

    #[test]
    fn a_line_that_goes_on_behind_many_blanks_is_no_boundary() {
        let mut boundaries = Boundaries::default();
        boundaries.push(0, b"b".to_vec());
        let line = |blanks| [b"--b".as_slice(), &vec![b' '; blanks]].concat();
        assert_eq!(boundaries.find(&line(100)), Some((0, Delimiter::Next)));
        assert_eq!(boundaries.find(&line(TAIL)), None);
        assert_eq!(boundaries.look(), 3 + TAIL);
    }
}
