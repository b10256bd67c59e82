//! One part of a message: where it is and what its header section says of it.

use std::ops::Range;

use super::super::fields::{self, Field, Oddity, Piece};
use super::super::media_type;
use super::super::parameters::Parameters;

/// What a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartKind {
    Leaf,
    Multipart,
}

/// How the bytes of a body were made fit for mail (RFC 2045 section 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    QuotedPrintable,
    Base64,
    /// Older than MIME, and no encoding of it.
    Uuencode,
    /// One that nobody knows; the body is taken as it is.
    Unknown(String),
}

/// The fields that say what a part is.
const NAMES: [&str; 6] = [
    "Content-Type",
    "Content-Disposition",
    "Content-Transfer-Encoding",
    "Content-ID",
    "Content-Location",
    "Content-Base",
];

/// A row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) parent: Option<usize>,
    /// How many multiparts are around it.
    pub(crate) depth: usize,
    pub(crate) header: Range<u64>,
    pub(crate) body: Range<u64>,
    /// The end of the header, when it looks like text: lines that are no fields. Other readers
    /// pass over it, and so does what must agree with them.
    pub(crate) stray: Option<Range<u64>>,
    pub(crate) kind: PartKind,
    /// In lower case, `text/plain` if there is none.
    pub(crate) media_type: String,
    pub(crate) charset: Option<String>,
    pub(crate) encoding: Encoding,
    pub(crate) is_attachment: bool,
    pub(crate) file_name: Option<String>,
    pub(crate) content_id: Option<String>,
    pub(crate) content_location: Option<String>,
    pub(crate) content_base: Option<String>,
    /// RFC 3676: lines that end in a blank go on in the next; `Some(true)` drops that blank.
    pub(crate) flowed: Option<bool>,
    /// A multipart in which no part begins.
    pub(crate) is_undivided: bool,
    pub(super) boundary: Option<Vec<u8>>,
}

impl Part {
    /// Reads the header section of a part in one pass, and tells the first lines that are no field;
    /// in a digest a part without a type is a message.
    pub(super) fn new(section: &[u8], in_digest: bool) -> (Self, Vec<Oddity>) {
        const MOST_TOLD: usize = 2;
        let mut found: [Option<Field<'_>>; NAMES.len()] = Default::default();
        let mut oddities = Vec::new();
        for piece in fields::pieces(section) {
            match piece {
                Piece::Field(field) => {
                    let slots = found.iter_mut().zip(NAMES);
                    let slot = slots.into_iter().find(|(_, name)| field.is(name));
                    if let Some((slot, _)) = slot {
                        slot.get_or_insert(field);
                    }
                }
                Piece::Other(range) if oddities.len() < MOST_TOLD => {
                    oddities.push(Oddity::new(section, &range));
                }
                Piece::Other(_) => {}
            }
        }
        (Self::of_fields(found, in_digest), oddities)
    }

    fn of_fields(found: [Option<Field<'_>>; NAMES.len()], in_digest: bool) -> Self {
        let [content_type, disposition, transfer, id, location, base] = found;
        let read =
            |field: Option<Field<'_>>| field.map(|field| Parameters::parse(&field.unfolded()));
        let text = |field: Option<Field<'_>>| field.map(|field| field.text());
        let (content_type, disposition) = (read(content_type), read(disposition));
        let media_type = type_of(content_type.as_ref(), in_digest);
        let of_type = |name| content_type.as_ref().and_then(|read| read.text(name));
        let file_name = disposition
            .as_ref()
            .and_then(|read| read.text("filename"))
            .or_else(|| of_type("name"));
        let encoding = encoding(transfer.map(|field| field.unfolded()));
        let is = |name, wanted| of_type(name).is_some_and(|read| read.eq_ignore_ascii_case(wanted));
        let flowed = is("format", "flowed").then(|| is("delsp", "yes"));
        let is_multipart = media_type.starts_with("multipart/");
        let boundary = content_type
            .as_ref()
            .and_then(|read| read.raw("boundary"))
            .filter(|boundary| is_multipart && !boundary.is_empty());
        // Without a boundary, but with a name or encoded as one: a file of an odd type.
        let is_file = boundary.is_none() && (file_name.is_some() || encoding != Encoding::Identity);
        Self {
            parent: None,
            depth: 0,
            header: 0..0,
            body: 0..0,
            stray: None,
            kind: if is_multipart && !is_file {
                PartKind::Multipart
            } else {
                PartKind::Leaf
            },
            charset: of_type("charset").as_deref().map(bounded),
            encoding,
            is_attachment: disposition.is_some_and(|read| read.value == "attachment"),
            file_name: file_name.as_deref().map(bounded),
            content_id: text(id).map(|id| bounded(&without_brackets(&id))),
            content_location: text(location).as_deref().map(url),
            content_base: text(base).as_deref().map(url),
            boundary,
            media_type: bounded(&media_type),
            flowed,
            is_undivided: false,
        }
    }

    /// What is left when no more parts are taken.
    pub(super) fn rest(start: u64, parent: Option<usize>) -> Self {
        let (mut part, _) = Self::new(b"", false);
        "application/octet-stream".clone_into(&mut part.media_type);
        part.is_attachment = true;
        part.header = start..start;
        part.body = start..start;
        part.parent = parent;
        part
    }

    /// A file that stands outside the structure.
    pub(crate) fn of_file(name: &str, len: u64) -> Self {
        let mut part = Self::rest(0, None);
        media_type::of_file_name(name).clone_into(&mut part.media_type);
        part.file_name = Some(bounded(name));
        part.body = 0..len;
        part
    }

    pub(crate) fn is_text(&self) -> bool {
        self.media_type == "text/plain"
    }

    pub(crate) fn is_html(&self) -> bool {
        self.media_type == "text/html"
    }
}

fn type_of(content_type: Option<&Parameters>, in_digest: bool) -> String {
    let value = content_type.map_or("", |read| read.value.as_str());
    match value.split_once('/') {
        Some((kind, subtype)) if !kind.is_empty() && !subtype.is_empty() => value.to_owned(),
        _ if value.is_empty() && in_digest => "message/rfc822".to_owned(),
        _ if value.is_empty() || value.starts_with("text") => "text/plain".to_owned(),
        _ => "application/octet-stream".to_owned(),
    }
}

fn encoding(value: Option<Vec<u8>>) -> Encoding {
    let name = Parameters::parse(&value.unwrap_or_default()).value;
    match name.as_str() {
        "" | "7bit" | "8bit" | "binary" => Encoding::Identity,
        "quoted-printable" => Encoding::QuotedPrintable,
        "base64" => Encoding::Base64,
        "x-uuencode" | "x-uue" | "x-uu" | "uuencode" => Encoding::Uuencode,
        _ => Encoding::Unknown(bounded(&name)),
    }
}

pub(crate) fn without_brackets(id: &str) -> String {
    let id = id.trim();
    let id = id.strip_prefix('<').unwrap_or(id);
    id.strip_suffix('>').unwrap_or(id).to_owned()
}

/// A long URL is folded into pieces (RFC 2557 section 4.4): the blanks between them are no part of
/// it; RFC 2110 put it in quotes.
fn url(text: &str) -> String {
    let joined: String = text.split_whitespace().collect();
    bounded(joined.trim_matches('"'))
}

/// Ten thousand parts may each have a name: together they must stay small, and so a copy is kept
/// that has no room to grow. A control character in it would break a line that shows it.
fn bounded(text: &str) -> String {
    const MOST: usize = 1024;
    let kept = text
        .get(..text.floor_char_boundary(MOST))
        .unwrap_or_default();
    fields::without_controls(kept)
}
