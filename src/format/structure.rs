//! What a message is made of: a flat table of parts, found in one pass over the bytes.
//!
//! It trusts nothing: there is no recursion, memory is bounded by the limits, and a part beyond
//! them is left as it is. Bodies are passed over line by line and not kept.

mod boundaries;
mod outline;
mod part;

use std::sync::Arc;

use super::bytes::MessageBytes;
use super::fields::{self, Oddity};
use super::lines::{Line, Lines};
use crate::error::{Problems, Result};
use crate::limits::Limits;
use boundaries::{Boundaries, Delimiter};

pub use outline::OutlinePart;
pub(crate) use part::{Encoding, Part, PartKind};

/// The parts of a message, in order; the first is the message itself.
#[derive(Debug, Default)]
pub(crate) struct Structure {
    pub(crate) parts: Vec<Arc<Part>>,
    /// The header section of the message, as it stands.
    pub(crate) header: Vec<u8>,
    pub(crate) problems: Problems,
}

/// Scans a message that is itself a part `depth` deep in another.
pub(crate) fn scan(
    bytes: &dyn MessageBytes,
    depth: usize,
    dot_stuffed: bool,
    limits: &Limits,
) -> Result<Structure> {
    if bytes.len() > limits.message {
        return Err(Limits::exceeded("message", limits.message));
    }
    let mut scanner = Scanner {
        limits,
        dot_stuffed,
        parts: Vec::new(),
        found: Structure::default(),
        open: Boundaries::default(),
        current: None,
        header: Some(Section::new(0, None, depth)),
        previous: None,
        full: false,
        unclosed: false,
    };
    let mut lines = Lines::new(bytes);
    let mut text = Vec::new();
    while !scanner.is_done()
        && let Some(line) = lines.next(&mut text, scanner.keep())?
    {
        scanner.line(line, &text)?;
    }
    Ok(scanner.finish(bytes.len()))
}

struct Scanner<'a> {
    limits: &'a Limits,
    dot_stuffed: bool,
    parts: Vec<Part>,
    found: Structure,
    /// The multiparts around the current line.
    open: Boundaries,
    /// The leaf whose body the current line belongs to.
    current: Option<usize>,
    /// The header section the current line belongs to.
    header: Option<Section>,
    previous: Option<Line>,
    /// No more parts are taken: what follows belongs to the last one.
    full: bool,
    /// A multipart ended without its closing line.
    unclosed: bool,
}

/// A header section while it is read.
struct Section {
    start: u64,
    parent: Option<usize>,
    depth: usize,
    bytes: Vec<u8>,
    fields: usize,
    field: usize,
    /// Where the first line is that is no field and that no field follows. The empty line above
    /// the body is missing there.
    foreign: Option<u64>,
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
            foreign: None,
        }
    }

    fn push(&mut self, start: u64, text: &[u8], limits: &Limits) -> Result<()> {
        if matches!(text.first(), Some(b' ' | b'\t')) && !self.bytes.is_empty() {
            self.field += text.len() + 2;
        } else {
            self.fields += 1;
            self.field = text.len();
            let at_top = self.bytes.is_empty();
            if fields::is_field(text) {
                self.foreign = None;
            } else if self.foreign.is_none() && !(at_top && fields::is_mbox_line(text)) {
                self.foreign = Some(start);
            }
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

impl Scanner<'_> {
    /// Whether the rest belongs to the last part, whatever it is.
    fn is_done(&self) -> bool {
        self.header.is_none() && (self.full || self.open.is_empty())
    }

    /// How much of the next line is needed.
    fn keep(&self) -> usize {
        let most = self.limits.header_section;
        match &self.header {
            Some(section) => most.saturating_sub(section.bytes.len()).saturating_add(1),
            None => self.open.look(),
        }
    }

    fn line(&mut self, line: Line, text: &[u8]) -> Result<()> {
        let boundary = self.open.find(text).filter(|_| !self.full);
        if let Some((level, delimiter)) = boundary {
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
                section.push(line.start, text, self.limits)?;
            } else if leading {
                self.found
                    .problems
                    .say("empty lines stand above the header");
            } else {
                self.end_section(line.end);
            }
        }
        self.previous = Some(line);
        Ok(())
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
        if section.foreign.is_some() {
            self.found
                .problems
                .say("no empty line stands between the header and the text");
        }
        let index = self.parts.len();
        let parent = section.parent.and_then(|parent| self.parts.get(parent));
        let is_in_digest = parent.is_some_and(|parent| parent.media_type == "multipart/digest");
        let (mut part, oddities) = Part::new(&section.bytes, is_in_digest);
        part.header = section.start..body;
        part.stray = section.foreign.map(|start| start..body);
        part.body = body..body;
        part.parent = section.parent;
        part.depth = section.depth;
        for oddity in &oddities {
            self.tell(oddity);
        }
        if section.parent.is_none() {
            self.found.header = section.bytes;
        }
        let boundary = part.boundary.take();
        match boundary.filter(|_| part.kind == PartKind::Multipart) {
            Some(boundary) => self.open_multipart(&mut part, index, boundary, section.depth),
            None => {
                self.current = Some(index);
                if part.kind == PartKind::Multipart {
                    part.is_undivided = true;
                    let text = "a multipart has no boundary: its parts cannot be told apart";
                    self.found.problems.say(text);
                }
            }
        }
        self.parts.push(part);
    }

    fn tell(&mut self, oddity: &Oddity) {
        self.found.problems.say(match oddity {
            Oddity::MboxLine => {
                "a `From ` line of a mailbox file stands above the header".to_owned()
            }
            Oddity::NoField(line) => {
                format!("a line of a header is no field and is passed over: `{line}`")
            }
        });
    }

    fn open_multipart(&mut self, part: &mut Part, index: usize, boundary: Vec<u8>, depth: usize) {
        if depth >= self.limits.depth {
            let most = self.limits.depth;
            self.found.problems.say(format!(
                "parts are nested more than {most} deep; the rest is left as one part"
            ));
            part.kind = PartKind::Leaf;
            self.current = Some(index);
            return;
        }
        self.current = None;
        part.is_undivided = true;
        self.open.push(index, boundary);
    }

    fn next_part(&mut self, level: usize, line: Line) {
        let parent = self.open.get(level).map(|multipart| multipart.part);
        self.current = None;
        if let Some(part) = parent.and_then(|index| self.parts.get_mut(index)) {
            part.is_undivided = false;
        }
        if self.parts.len() >= self.limits.parts {
            let most = self.limits.parts;
            self.found.problems.say(format!(
                "the message has more than {most} parts; the rest is left as one part"
            ));
            self.full = true;
            self.current = Some(self.parts.len());
            self.parts.push(Part::rest(line.end, parent));
        } else {
            let parent_depth = parent
                .and_then(|index| self.parts.get(index))
                .map_or(level, |part| part.depth);
            self.header = Some(Section::new(line.end, parent, parent_depth + 1));
        }
    }

    /// Ends the current leaf and the multiparts inside the one at `level`.
    fn close_down_to(&mut self, level: usize, end: u64) {
        self.end_body(self.current, end);
        self.current = None;
        for inner in self.open.close_below(level + 1) {
            self.end_body(Some(inner.part), end);
            self.unclosed = true;
        }
    }

    fn close_down_to_including(&mut self, level: usize, end: u64) {
        for closed in self.open.close_below(level) {
            self.end_body(Some(closed.part), end);
        }
    }

    fn end_body(&mut self, part: Option<usize>, end: u64) {
        if let Some(part) = part.and_then(|index| self.parts.get_mut(index)) {
            part.body.end = end.max(part.body.start);
        }
    }

    fn finish(mut self, end: u64) -> Structure {
        self.end_section(end);
        self.end_body(self.current, end);
        let open: Vec<usize> = self.open.iter().map(|multipart| multipart.part).collect();
        for &part in &open {
            self.end_body(Some(part), end);
        }
        // What stands behind the closing line is of the message too.
        self.end_body(Some(0), end);
        if self.parts.iter().any(|part| part.is_undivided) {
            self.found
                .problems
                .say("a multipart holds no part: its text is shown as it stands");
        }
        let is_cut = open.iter().any(|&part| {
            let part = self.parts.get(part);
            part.is_some_and(|part| !part.is_undivided)
        });
        if (is_cut || self.unclosed) && !self.full {
            let text = "a multipart is not closed: the message may have been cut off";
            self.found.problems.say(text);
        }
        self.found.parts = self.parts.into_iter().map(Arc::new).collect();
        self.found
    }
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
        let row = |part: &Arc<Part>| (part.media_type.clone(), text(&part.body));
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
        assert_eq!(found.parts.len(), 6);
        assert!(
            found.problems.into_vec()[0]
                .text()
                .contains("more than 5 parts")
        );
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
