//! What a message is made of: a flat table of parts, found in one pass over the bytes.
//!
//! It trusts nothing: there is no recursion, memory is bounded by the limits, and a part beyond
//! them is left as it is. Bodies are passed over line by line and not kept.

mod part;

use super::bytes::Bytes;
use super::lines::{Line, Lines};
use crate::error::{Problem, Result};
use crate::limits::Limits;

pub(crate) use part::{Encoding, Part, PartKind};

/// A line can only be a boundary if it is shorter than this.
const BOUNDARY_LOOK: usize = 1100;

/// The parts of a message, in order; the first is the message itself.
#[derive(Debug, Default)]
pub(crate) struct Structure {
    pub(crate) parts: Vec<Part>,
    /// The header section of the message, as it stands.
    pub(crate) header: Vec<u8>,
    pub(crate) problems: Vec<Problem>,
}

/// Scans the message that begins at `start`.
pub(crate) fn scan(
    bytes: &dyn Bytes,
    start: u64,
    dot_stuffed: bool,
    limits: &Limits,
) -> Result<Structure> {
    if bytes.len().saturating_sub(start) > limits.message {
        return Err(Limits::exceeded("message", limits.message));
    }
    let mut scanner = Scanner {
        limits,
        dot_stuffed,
        found: Structure::default(),
        open: Vec::new(),
        current: None,
        header: Some(Section::new(start, None, 0)),
        previous: None,
        full: false,
    };
    let mut lines = Lines::new(bytes, start);
    let mut text = Vec::new();
    while let Some(line) = lines.next(&mut text, scanner.keep())? {
        scanner.line(line, &text)?;
    }
    scanner.finish(bytes.len());
    Ok(scanner.found)
}

struct Scanner<'a> {
    limits: &'a Limits,
    dot_stuffed: bool,
    found: Structure,
    /// The multiparts around the current line, outermost first.
    open: Vec<Multipart>,
    /// The leaf whose body the current line belongs to.
    current: Option<usize>,
    /// The header section the current line belongs to.
    header: Option<Section>,
    previous: Option<Line>,
    /// No more parts are taken: what follows belongs to the last one.
    full: bool,
}

struct Multipart {
    part: usize,
    boundary: Vec<u8>,
}

/// A header section while it is read.
struct Section {
    start: u64,
    parent: Option<usize>,
    depth: usize,
    bytes: Vec<u8>,
    fields: usize,
    field: usize,
}

impl Section {
    fn new(start: u64, parent: Option<usize>, depth: usize) -> Self {
        Self {
            start,
            parent,
            depth,
            bytes: Vec::new(),
            fields: 0,
            field: 0,
        }
    }

    fn push(&mut self, text: &[u8], limits: &Limits) -> Result<()> {
        if matches!(text.first(), Some(b' ' | b'\t')) {
            self.field += text.len() + 2;
        } else {
            self.fields += 1;
            self.field = text.len();
        }
        self.bytes.extend(text);
        self.bytes.extend(b"\r\n");
        if self.bytes.len() > limits.header_section {
            return Err(Limits::exceeded("header_section", limits.header_section));
        }
        if self.field > limits.field {
            return Err(Limits::exceeded("field", limits.field));
        }
        if self.fields > limits.fields {
            return Err(Limits::exceeded("fields", limits.fields));
        }
        Ok(())
    }
}

/// How a line ends the parts around it.
enum Delimiter {
    Next,
    Close,
}

impl Scanner<'_> {
    /// How much of the next line is needed.
    fn keep(&self) -> usize {
        let most = self.limits.header_section;
        match &self.header {
            Some(section) => most.saturating_sub(section.bytes.len()).saturating_add(1),
            None => BOUNDARY_LOOK,
        }
    }

    fn line(&mut self, line: Line, text: &[u8]) -> Result<()> {
        if let Some((level, delimiter)) = self.delimiter(text) {
            let end = self.body_end(line);
            self.end_section(line.start);
            self.close_down_to(level, end);
            match delimiter {
                Delimiter::Next => self.next_part(level, line),
                Delimiter::Close => self.close_down_to_including(level, line.end),
            }
        } else if let Some(section) = &mut self.header {
            let stuffed = text.strip_prefix(b".").filter(|_| self.dot_stuffed);
            let text = stuffed.unwrap_or(text);
            let leading = section.bytes.is_empty() && section.parent.is_none();
            if !text.is_empty() {
                section.push(text, self.limits)?;
            } else if !leading {
                self.end_section(line.end);
            }
        }
        self.previous = Some(line);
        Ok(())
    }

    /// Whether the line is a boundary, and of which of the open multiparts: innermost first.
    fn delimiter(&self, text: &[u8]) -> Option<(usize, Delimiter)> {
        let text = text.strip_prefix(b"--")?;
        if self.full {
            return None;
        }
        self.open
            .iter()
            .enumerate()
            .rev()
            .find_map(|(level, multipart)| {
                let rest = text.strip_prefix(multipart.boundary.as_slice())?;
                if rest.trim_ascii().is_empty() {
                    return Some((level, Delimiter::Next));
                }
                let after = rest.strip_prefix(b"--")?;
                let closes = after
                    .first()
                    .is_none_or(|&byte| !is_boundary_character(byte));
                closes.then_some((level, Delimiter::Close))
            })
    }

    /// The line end before a boundary belongs to the boundary (RFC 2046 section 5.1.1).
    fn body_end(&self, line: Line) -> u64 {
        self.previous
            .map_or(line.start, |previous| previous.text_end)
    }

    fn end_section(&mut self, body: u64) {
        let Some(section) = self.header.take() else {
            return;
        };
        let index = self.found.parts.len();
        let digest = section
            .parent
            .and_then(|parent| self.found.parts.get(parent))
            .is_some_and(|parent| parent.media_type == "multipart/digest");
        let mut part = Part::new(&section.bytes, digest);
        part.header = section.start..body;
        part.body = body..body;
        part.parent = section.parent;
        if section.parent.is_none() {
            self.found.header = section.bytes;
        }
        let boundary = part.boundary.take();
        if part.kind == PartKind::Multipart {
            self.open_multipart(&mut part, index, boundary, section.depth);
        } else {
            self.current = Some(index);
        }
        self.found.parts.push(part);
    }

    fn open_multipart(
        &mut self,
        part: &mut Part,
        index: usize,
        boundary: Option<Vec<u8>>,
        depth: usize,
    ) {
        match boundary {
            Some(_) if depth >= self.limits.depth => {
                let most = self.limits.depth;
                self.problem(format!(
                    "parts are nested more than {most} deep; the rest is left as one part"
                ));
                part.kind = PartKind::Leaf;
                self.current = Some(index);
            }
            Some(boundary) => {
                self.current = None;
                self.open.push(Multipart {
                    part: index,
                    boundary,
                });
            }
            None => {
                self.current = None;
                self.problem("a multipart has no boundary; its parts cannot be told apart");
            }
        }
    }

    fn next_part(&mut self, level: usize, line: Line) {
        let parent = self.open.get(level).map(|multipart| multipart.part);
        self.current = None;
        if self.found.parts.len() + 1 >= self.limits.parts {
            let most = self.limits.parts;
            self.problem(format!(
                "the message has more than {most} parts; the rest is left as one part"
            ));
            self.full = true;
            self.current = Some(self.found.parts.len());
            self.found.parts.push(Part::rest(line.end, parent));
        } else {
            self.header = Some(Section::new(line.end, parent, level + 1));
        }
    }

    /// Ends the current leaf and the multiparts inside the one at `level`.
    fn close_down_to(&mut self, level: usize, end: u64) {
        self.end_body(self.current, end);
        self.current = None;
        for inner in self.open.drain(level + 1..) {
            if let Some(part) = self.found.parts.get_mut(inner.part) {
                part.body.end = end.max(part.body.start);
                part.unclosed = true;
            }
        }
    }

    fn close_down_to_including(&mut self, level: usize, end: u64) {
        for closed in self.open.drain(level..) {
            if let Some(part) = self.found.parts.get_mut(closed.part) {
                part.body.end = end;
            }
        }
    }

    fn end_body(&mut self, part: Option<usize>, end: u64) {
        if let Some(part) = part.and_then(|index| self.found.parts.get_mut(index)) {
            part.body.end = end.max(part.body.start);
        }
    }

    fn finish(&mut self, end: u64) {
        self.end_section(end);
        self.end_body(self.current, end);
        for index in 0..self.open.len() {
            let part = self.open.get(index).map(|multipart| multipart.part);
            self.end_body(part, end);
        }
        let unclosed = self.found.parts.iter().any(|part| part.unclosed);
        if !self.open.is_empty() || unclosed {
            self.problem("a multipart is not closed; the message may have been cut off");
        }
    }

    fn problem(&mut self, text: impl Into<String>) {
        self.found.problems.push(Problem::new(text));
    }
}

/// The characters of a boundary (RFC 2046 section 5.1.1).
fn is_boundary_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(message: &str) -> Vec<(String, String)> {
        let bytes = message.as_bytes().to_vec();
        let found = scan(&bytes, 0, false, &Limits::default()).unwrap();
        let text = |range: &std::ops::Range<u64>| {
            message[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
                .to_owned()
        };
        let row = |part: &Part| (part.media_type.clone(), text(&part.body));
        found.parts.iter().map(row).collect()
    }

    #[test]
    fn parts_are_found_with_their_exact_bodies() {
        let message = "Content-Type: multipart/mixed; boundary=a\n\npreamble\n--a\n\none\n\n--a \n\
            Content-Type: multipart/alternative; boundary=\"a b\"\n\n--a b\nContent-Type: text/html\n\n\
            two\n--a b--\n--a--\nepilogue\n--a\n";
        let found = table(message);
        assert_eq!(found.len(), 4);
        assert_eq!(found[1], ("text/plain".into(), "one\n".into()));
        assert_eq!(found[2].0, "multipart/alternative");
        assert_eq!(found[3], ("text/html".into(), "two".into()));
    }

    #[test]
    fn an_outer_boundary_ends_what_is_not_closed() {
        let message = "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\
            Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\nin\r\n--o\r\n\r\nout";
        let found = table(message);
        assert_eq!(found[2], ("text/plain".into(), "in".into()));
        assert_eq!(found[3], ("text/plain".into(), "out".into()));
    }

    #[test]
    fn a_boundary_inside_a_header_ends_it() {
        let message = "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n--b\n\nx\n--b--";
        let found = table(message);
        assert_eq!(found[1], ("text/html".into(), String::new()));
        assert_eq!(found[2], ("text/plain".into(), "x".into()));
    }

    #[test]
    fn depth_and_parts_beyond_the_limits_stay_one_leaf() {
        let limits = Limits {
            depth: 2,
            parts: 5,
            ..Limits::default()
        };
        let mut deep = String::new();
        for level in 0..4 {
            deep += &format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n");
        }
        let found = scan(&deep.into_bytes(), 0, false, &limits).unwrap();
        assert_eq!(found.parts.len(), 3);
        assert_eq!(found.parts[2].kind, PartKind::Leaf);
        let many =
            "Content-Type: multipart/mixed; boundary=b\n\n".to_owned() + &"--b\n\nx\n".repeat(9);
        let found = scan(&many.into_bytes(), 0, false, &limits).unwrap();
        assert_eq!(found.parts.len(), 5);
        assert!(found.problems[0].text().contains("more than 5 parts"));
    }

    #[test]
    fn other_limits_are_errors_that_name_them() {
        let limits = Limits {
            message: 200,
            header_section: 100,
            field: 50,
            fields: 3,
            ..Limits::default()
        };
        for (message, limit) in [
            ("x".repeat(201), "message"),
            (format!("A: {}\n", "x".repeat(60)), "field"),
            (format!("A: {}\n", "x".repeat(120)), "header_section"),
            ("A: 1\n".repeat(4), "fields"),
            (
                format!("A: {}\n {}\n", "x".repeat(30), "x".repeat(30)),
                "field",
            ),
        ] {
            let error = scan(&message.into_bytes(), 0, false, &limits).unwrap_err();
            assert!(error.to_string().contains(&format!("`{limit}`")), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_table_within_the_message(text in "(--b|--|b|\r\n|\n|Content-Type: multipart/x; boundary=b|x| |:){0,60}") {
            let bytes = text.into_bytes();
            let found = scan(&bytes, 0, false, &Limits::default()).unwrap();
            for part in &found.parts {
                proptest::prop_assert!(part.header.start <= part.body.start);
                proptest::prop_assert!(part.body.start <= part.body.end);
                proptest::prop_assert!(part.body.end <= bytes.len() as u64);
            }
        }
    }
}
