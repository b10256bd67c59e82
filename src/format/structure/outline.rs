//! A structure that a store knows without the message having been read.

use std::ops::Range;
use std::sync::Arc;

use super::{Part, PartKind, Structure};
use crate::limits::Limits;

/// One part of a message, as a store knows it: see
/// [`MessageBytes::outline`](crate::MessageBytes::outline).
///
/// Where its octets are is said by places for [`read_at`](crate::MessageBytes::read_at). They may be
/// beyond the end of the message, for a server that gives each part apart.
///
/// ```
/// let part = cdonts::OutlinePart {
///     parent: Some(0),
///     section: b"Content-Type: text/plain\r\n\r\n".to_vec(),
///     header: 1000..1028,
///     body: 1028..2000,
///     is_multipart: false,
/// };
/// ```
#[derive(Clone, Debug)]
pub struct OutlinePart {
    /// The place of the multipart that holds it; `None` for the message itself, which is the first.
    pub parent: Option<usize>,
    /// Its header section.
    pub section: Vec<u8>,
    /// Where the header section is.
    pub header: Range<u64>,
    /// Where the body is, still encoded.
    pub body: Range<u64>,
    /// Whether other parts are in it.
    pub is_multipart: bool,
}

impl Structure {
    /// The structure of a message that is a part `depth` deep in another; `None` when the outline is
    /// none, or says of a part what its header does not: then the message is to be read.
    pub(crate) fn of_outline(
        outline: Vec<OutlinePart>,
        depth: usize,
        limits: &Limits,
    ) -> Option<Self> {
        let mut found = Self::default();
        if outline.len() > limits.parts {
            return None;
        }
        for (index, row) in outline.into_iter().enumerate() {
            let parent = row.parent.map(|parent| found.parts.get(parent));
            let parent = match (index, parent) {
                (0, None) => None,
                (1.., Some(Some(parent))) if parent.kind == PartKind::Multipart => Some(parent),
                _ => return None,
            };
            let is_in_digest = parent.is_some_and(|parent| parent.media_type == "multipart/digest");
            let (mut part, _) = Part::new(&row.section, is_in_digest);
            let has_parts = part.kind == PartKind::Multipart && part.boundary.take().is_some();
            let is_range = |range: &Range<u64>| range.start <= range.end;
            let is_too_long = row.section.len() > limits.header_section;
            if has_parts != row.is_multipart || is_too_long || !is_range(&row.body) {
                return None;
            }
            part.depth = parent.map_or(depth, |parent| parent.depth + 1);
            if part.depth > limits.depth || !is_range(&row.header) {
                return None;
            }
            part.parent = row.parent;
            part.header = row.header;
            part.body = row.body;
            found.parts.push(Arc::new(part));
            if index == 0 {
                found.header = without_empty_line(row.section);
            }
        }
        (!found.parts.is_empty()).then_some(found)
    }
}

/// A header section as it is kept: its fields alone.
fn without_empty_line(mut section: Vec<u8>) -> Vec<u8> {
    for end in [&b"\r\n\r\n"[..], b"\n\n", b"\n\r\n"] {
        if section.ends_with(end) {
            let line_end = if section.ends_with(b"\r\n") { 2 } else { 1 };
            section.truncate(section.len() - line_end);
            break;
        }
    }
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(parent: Option<usize>, section: &str, is_multipart: bool) -> OutlinePart {
        OutlinePart {
            parent,
            section: section.as_bytes().to_vec(),
            header: 0..10,
            body: 10..20,
            is_multipart,
        }
    }

    const MIXED: &str = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";

    #[test]
    fn an_outline_is_taken_if_it_says_what_the_headers_say() {
        let limits = Limits::default();
        let good = vec![
            row(None, MIXED, true),
            row(Some(0), "Content-Type: text/html\r\n\r\n", false),
            row(Some(0), MIXED, true),
            row(Some(2), "\r\n", false),
        ];
        let found = Structure::of_outline(good, 0, &limits).unwrap();
        let depths: Vec<_> = found.parts.iter().map(|part| part.depth).collect();
        assert_eq!(depths, [0, 1, 1, 2]);
        assert!(found.parts[1].is_html() && found.parts[3].is_text());
        assert_eq!(
            found.header,
            MIXED
                .trim_end()
                .as_bytes()
                .iter()
                .chain(b"\r\n")
                .copied()
                .collect::<Vec<_>>()
        );
        for bad in [
            vec![],
            vec![row(Some(0), MIXED, true)],
            vec![row(None, MIXED, false)],
            vec![row(None, "Subject: x\r\n\r\n", true)],
            vec![row(None, MIXED, true), row(None, "\r\n", false)],
            vec![row(None, MIXED, true), row(Some(1), "\r\n", false)],
            vec![row(None, "\r\n", false), row(Some(0), "\r\n", false)],
        ] {
            assert!(Structure::of_outline(bad, 0, &limits).is_none());
        }
        let few = Limits {
            parts: 1,
            ..Limits::default()
        };
        let two = vec![row(None, MIXED, true), row(Some(0), "\r\n", false)];
        assert!(Structure::of_outline(two, 0, &few).is_none());
    }
}
