//! The boundaries of the open multiparts, and which of them a line is.
//!
//! A hostile message opens as many multiparts as the limit allows and then has millions of lines
//! that begin with two hyphens: each is looked up, not compared with all.

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
    sorted: Vec<Sorted>,
    shortest: usize,
    longest: usize,
}

pub(super) struct Multipart {
    /// Its row in the table of parts.
    pub(super) part: usize,
    pub(super) boundary: Vec<u8>,
}

/// An open multipart in the order of the boundaries.
struct Sorted {
    level: usize,
    /// Where in the order the longest boundary is that begins this one.
    prefix: Option<usize>,
}

/// What may follow a boundary on its line and is looked at.
const TAIL: usize = 128;

impl Boundaries {
    pub(super) fn push(&mut self, multipart: Multipart) {
        self.open.push(multipart);
        self.sort();
    }

    /// Takes away what is inside `level`; the innermost is the last.
    pub(super) fn close_below(&mut self, level: usize) -> Vec<Multipart> {
        let closed = self.open.split_off(level.min(self.open.len()));
        if !closed.is_empty() {
            self.sort();
        }
        closed
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

    /// How much of a line must be looked at.
    pub(super) fn look(&self) -> usize {
        self.longest + 2 + TAIL
    }

    /// Whether the line is a boundary, and of which of the open multiparts: innermost first.
    pub(super) fn find(&self, line: &[u8]) -> Option<(usize, Delimiter)> {
        let text = line.strip_prefix(b"--")?;
        if text.len() < self.shortest {
            return None;
        }
        let after = self
            .sorted
            .partition_point(|one| self.boundary(one) <= text);
        // The boundaries that begin the line are the one before that place and its own prefixes.
        let mut next = after.checked_sub(1);
        let mut found: Option<(usize, Delimiter)> = None;
        while let Some(one) = next.and_then(|index| self.sorted.get(index)) {
            if let Some(rest) = text.strip_prefix(self.boundary(one))
                && let Some(delimiter) = delimiter(rest)
                && found.is_none_or(|(level, _)| one.level > level)
            {
                found = Some((one.level, delimiter));
            }
            next = one.prefix;
        }
        found
    }

    fn boundary(&self, one: &Sorted) -> &[u8] {
        self.open
            .get(one.level)
            .map_or(&[], |multipart| &multipart.boundary)
    }

    fn sort(&mut self) {
        let mut order: Vec<usize> = (0..self.open.len()).collect();
        let boundary = |level: usize| self.open.get(level).map(|found| found.boundary.as_slice());
        order.sort_by_key(|&level| (boundary(level), level));
        let mut sorted: Vec<Sorted> = Vec::with_capacity(order.len());
        for &level in &order {
            let own = boundary(level).unwrap_or_default();
            let mut prefix = sorted.len().checked_sub(1);
            while let Some(index) = prefix {
                let before = sorted.get(index);
                let begins = before.and_then(|before| boundary(before.level));
                if begins.is_some_and(|begins| own.starts_with(begins)) {
                    break;
                }
                prefix = before.and_then(|before| before.prefix);
            }
            sorted.push(Sorted { level, prefix });
        }
        let lengths = || self.open.iter().map(|one| one.boundary.len());
        self.longest = lengths().max().unwrap_or(0);
        self.shortest = lengths().min().unwrap_or(0);
        self.sorted = sorted;
    }
}

/// A boundary is compared exactly, and only then blanks may follow (RFC 2046 section 5.1.1). Some
/// writers put more behind a closing one: what cannot be part of a boundary still closes.
fn delimiter(rest: &[u8]) -> Option<Delimiter> {
    if rest.trim_ascii().is_empty() {
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
            delimiter(rest.as_bytes()).map(|found| (level, found))
        })
    }

    proptest::proptest! {
        #[test]
        fn the_look_up_finds_what_trying_all_finds(
            all in proptest::collection::vec("[ab-]{1,4}", 0..8),
            closed in 0usize..9,
            line in "--[ab-]{0,5}[ \t]{0,2}(--)?!?",
        ) {
            let mut boundaries = Boundaries::default();
            for (part, boundary) in all.iter().enumerate() {
                boundaries.push(Multipart { part, boundary: boundary.clone().into_bytes() });
            }
            let left = closed.min(all.len());
            boundaries.close_below(left);
            proptest::prop_assert_eq!(boundaries.find(line.as_bytes()), tried(&all[..left], &line));
        }
    }
}
