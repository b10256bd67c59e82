//! Reading a message, wherever it is: what the objects that show one have in common.

mod problems;
mod text;
mod visible;

use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use crate::address_entry::AddressEntry;
use crate::attachments::Attachments;
use crate::error::{Error, Result};
use crate::format::body::BodyReader;
use crate::format::bytes::{MessageBytes, read_range};
use crate::format::fields::{self, names_blind_recipients, visible};
use crate::format::structure::{Part, PartKind, Structure, scan};
use crate::format::{address_list, date, url};
use crate::headers::Headers;
use crate::importance::Importance;
use crate::limits::Limits;
use crate::part::MessagePart;
use crate::recipients::{Recipient, RecipientType, Recipients};
use crate::store::StoredMessage;

pub(crate) use visible::VisibleBytes;

/// Where the bytes of a message come from each time it is read.
#[derive(Clone)]
pub(crate) enum Origin {
    /// A message of a store, opened anew each time.
    Stored(Arc<dyn StoredMessage>),
    /// Bytes that are held.
    Held(Arc<dyn MessageBytes>),
}

impl Origin {
    /// Names the message in an error that does not.
    fn locate(&self, error: Error) -> Error {
        match self {
            Self::Stored(stored) if error.path().is_none() => error.with_path(stored.path()),
            _ => error,
        }
    }

    pub(crate) fn open(&self) -> Result<Arc<dyn MessageBytes>> {
        match self {
            Self::Stored(stored) => stored.open(),
            Self::Held(bytes) => Ok(Arc::clone(bytes)),
        }
    }
}

/// A message that is parsed when it is first asked for something.
pub(crate) struct Reading {
    origin: Origin,
    dot_stuffed: bool,
    limits: Limits,
    /// How deep it is in another message.
    depth: usize,
    /// Known once the text was read: whether files stand uuencoded in it.
    has_uuencoded: OnceLock<bool>,
    parsed: OnceLock<Arc<Parsed>>,
    recipients: OnceLock<Recipients>,
}

/// What was found; bodies are not kept.
pub(crate) struct Parsed {
    structure: Structure,
    text: Option<usize>,
    html: Option<usize>,
    attachments: Vec<usize>,
}

impl Parsed {
    /// The text (HTML) body is the first plain (HTML) leaf that is no attachment; a further one
    /// without a name is neither body nor attachment; every other leaf is an attachment.
    fn new(structure: Structure) -> Self {
        let leaves = || {
            structure
                .parts
                .iter()
                .enumerate()
                .filter(|(_, part)| part.kind == PartKind::Leaf)
        };
        let body = |is_wanted: fn(&Part) -> bool| {
            leaves()
                .find(|(_, part)| is_wanted(part) && !part.is_attachment)
                .map(|(index, _)| index)
        };
        let (text, html) = (body(Part::is_text), body(Part::is_html));
        let attachments = leaves()
            .filter(|(index, part)| {
                let is_body = text == Some(*index) || html == Some(*index);
                let is_nameless_text = (part.is_text() || part.is_html())
                    && part.file_name.is_none()
                    && !part.is_attachment;
                !is_body && !is_nameless_text
            })
            .map(|(index, _)| index)
            .collect();
        Self {
            structure,
            text,
            html,
            attachments,
        }
    }

    fn part(&self, index: Option<usize>) -> Option<&Arc<Part>> {
        self.structure.parts.get(index?)
    }

    fn header(&self) -> &[u8] {
        &self.structure.header
    }
}

impl Reading {
    pub(crate) fn new(origin: Origin, dot_stuffed: bool, limits: Limits) -> Self {
        Self::embedded(origin, 0, dot_stuffed, limits)
    }

    pub(crate) fn embedded(
        origin: Origin,
        depth: usize,
        dot_stuffed: bool,
        limits: Limits,
    ) -> Self {
        Self {
            origin,
            dot_stuffed,
            limits,
            depth,
            has_uuencoded: OnceLock::new(),
            parsed: OnceLock::new(),
            recipients: OnceLock::new(),
        }
    }

    pub(crate) fn parsed(&self) -> Result<&Arc<Parsed>> {
        if let Some(parsed) = self.parsed.get() {
            return Ok(parsed);
        }
        let bytes = self.origin.open()?;
        let known = bytes.outline()?;
        let known = known.and_then(|known| Structure::of_outline(known, self.depth, &self.limits));
        let scanned = match known {
            Some(structure) => Ok(structure),
            None => scan(bytes.as_ref(), self.depth, self.dot_stuffed, &self.limits),
        };
        let structure = scanned.map_err(|error| self.origin.locate(error))?;
        bytes.verify()?;
        Ok(self.parsed.get_or_init(|| Arc::new(Parsed::new(structure))))
    }

    pub(crate) fn headers(&self) -> Result<Headers> {
        Ok(Headers::of_section(self.parsed()?.header()))
    }

    /// The unfolded value of the first field of that name.
    pub(crate) fn value(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let field = fields::first(self.parsed()?.header(), name).map(|field| field.unfolded());
        Ok(field)
    }

    pub(crate) fn recipients(&self) -> Result<&Recipients> {
        if let Some(recipients) = self.recipients.get() {
            return Ok(recipients);
        }
        let mut recipients = Recipients::default();
        let mut left = self.limits.recipients;
        for field in fields::fields(self.parsed()?.header()) {
            let kind = [RecipientType::To, RecipientType::Cc]
                .into_iter()
                .find(|kind| field.is(kind.name()));
            let Some(kind) = kind else { continue };
            let entries = address_list::parse(&field.unfolded(), left.saturating_add(1));
            if entries.len() > left {
                return Err(Limits::exceeded("recipients", self.limits.recipients));
            }
            left -= entries.len();
            for entry in entries {
                recipients.push(Recipient::new(entry.name, &entry.address, kind));
            }
        }
        recipients.sort_by_type();
        Ok(self.recipients.get_or_init(|| recipients))
    }

    /// Addresses are parsed before anything is decoded: an encoded name may hold a comma.
    pub(crate) fn reply_to(&self) -> Result<Vec<AddressEntry>> {
        let most = self.limits.recipients;
        for name in ["Reply-To", "From"] {
            let entries = match self.value(name)? {
                Some(value) => address_list::parse(&value, most),
                None => Vec::new(),
            };
            let addressed = entries
                .into_iter()
                .filter(|entry| !entry.address.is_empty());
            let found: Vec<AddressEntry> = addressed.map(Into::into).collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    /// The first mailbox in From.
    pub(crate) fn sender(&self) -> Result<address_list::Entry> {
        let first = |value: Vec<u8>| address_list::parse(&value, 1).pop();
        Ok(self.value("From")?.and_then(first).unwrap_or_default())
    }

    pub(crate) fn importance(&self) -> Result<Importance> {
        let text = |name| -> Result<Option<String>> {
            let value = self.value(name)?;
            Ok(value.map(|value| String::from_utf8_lossy(&value).trim().to_owned()))
        };
        if let Some(importance) = text("Importance")?.and_then(|name| Importance::from_name(&name))
        {
            return Ok(importance);
        }
        let priority = text("X-Priority")?.and_then(|value| Importance::from_priority(&value));
        Ok(priority.unwrap_or_default())
    }

    pub(crate) fn time_sent(&self) -> Result<Option<SystemTime>> {
        Ok(self.value("Date")?.and_then(|value| date::parse(&value)))
    }

    /// The decoded bytes of the first part that is wanted; at most as much as a header section may
    /// have, since it is read as one.
    pub(crate) fn first_part(&self, is_wanted: impl Fn(&Part) -> bool) -> Result<Option<Vec<u8>>> {
        let parsed = self.parsed()?;
        let Some(part) = parsed.structure.parts.iter().find(|part| is_wanted(part)) else {
            return Ok(None);
        };
        let most = self.limits.header_section;
        let bytes = self.origin.open()?;
        let mut reader = BodyReader::new(bytes, part, self.dot_stuffed);
        let mut read = Vec::new();
        while read.len() < most {
            let block = reader.next_block()?;
            if block.is_empty() {
                break;
            }
            read.extend(block);
        }
        read.truncate(most);
        Ok(Some(read))
    }

    pub(crate) fn attachments(&self) -> Result<Attachments> {
        let parsed = self.parsed()?;
        let parts = parsed
            .attachments
            .iter()
            .filter_map(|&index| parsed.part(Some(index)));
        let mut attachments = Attachments::new(parts.map(|part| self.message_part(part)));
        for file in self.uuencoded()? {
            attachments.push_file(file);
        }
        Ok(attachments)
    }

    pub(crate) fn parts(&self) -> Result<Vec<MessagePart>> {
        let parts = self.parsed()?.structure.parts.iter();
        Ok(parts.map(|part| self.message_part(part)).collect())
    }

    fn message_part(&self, part: &Arc<Part>) -> MessagePart {
        MessagePart::new(
            &self.origin,
            Arc::clone(part),
            self.dot_stuffed,
            &self.limits,
        )
    }

    /// The part whose Content fields speak for the message: the message itself, or its HTML.
    fn main_value(&self, of: impl Fn(&Part) -> Option<&String>) -> Result<Option<String>> {
        let parsed = self.parsed()?;
        let parts = [parsed.part(Some(0)), parsed.part(parsed.html)];
        Ok(parts
            .into_iter()
            .flatten()
            .find_map(|part| of(part))
            .cloned())
    }

    pub(crate) fn content_id(&self) -> Result<Option<String>> {
        self.main_value(|part| part.content_id.as_ref())
    }

    pub(crate) fn content_base(&self) -> Result<Option<String>> {
        self.main_value(|part| part.content_base.as_ref())
    }

    pub(crate) fn content_location(&self) -> Result<Option<String>> {
        let base = self.content_base()?.unwrap_or_default();
        let location = self.main_value(|part| part.content_location.as_ref())?;
        Ok(location.map(|location| url::resolve(&base, &location)))
    }

    /// The bytes of the message as a reader may see them, which stay good when it is deleted.
    pub(crate) fn visible_bytes(&self) -> Result<VisibleBytes> {
        let parsed = self.parsed()?;
        let bytes = self.origin.open()?;
        let body_start = parsed
            .structure
            .parts
            .first()
            .map_or(0, |part| part.body.start);
        let section = read_range(bytes.as_ref(), 0, body_start)?;
        let mut ranges: Vec<_> = visible(&section, names_blind_recipients)
            .into_iter()
            .map(|range| range.start as u64..range.end as u64)
            .collect();
        ranges.push(body_start..bytes.len());
        Ok(VisibleBytes {
            bytes,
            ranges,
            dot_stuffed: self.dot_stuffed,
        })
    }

    /// Writes the source as a reader may see it: without the server's run and blind recipients.
    pub(crate) fn write_to(&self, to: &mut dyn Write) -> Result<u64> {
        self.visible_bytes()?
            .copy(|block| to.write_all(block).map_err(write_failed))
    }
}

/// A failure of the caller's own writer.
pub(crate) fn write_failed(source: std::io::Error) -> Error {
    Error::new(
        crate::ErrorKind::Io,
        "cannot write to the writer that was given",
    )
    .with_source(source)
}
