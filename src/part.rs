//! The parts that a received message is made of.

use std::fmt;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::Arc;

use crate::error::Result;
use crate::format::body::{self, BodyReader};
use crate::format::bytes::MessageBytes;
use crate::format::structure::{Encoding, Part, PartKind};
use crate::headers::Headers;
use crate::limits::Limits;
use crate::message_file::EmbeddedMessage;
use crate::reading::{Origin, write_failed};

/// One part of a received message as it was sent (RFC 2046): the message itself, a multipart, a
/// text, a file. Most programs need [`text`](crate::Message::text) and
/// [`attachments`](crate::Message::attachments) alone.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// let source = "Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\n\
///     Content-Type: image/png\nContent-Transfer-Encoding: base64\n\naGk=\n--b--\n";
/// let message = cdonts::MessageFile::from_bytes(source)?;
/// let parts = message.parts()?;
/// assert_eq!(parts[2].content_type(), "image/png");
/// assert_eq!(parts[2].read()?, b"hi");
/// assert_eq!(parts[2].read_raw()?, b"aGk=");
/// assert_eq!(parts[2].parent(), Some(0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MessagePart {
    origin: Origin,
    part: Arc<Part>,
    dot_stuffed: bool,
    limits: Limits,
}

impl MessagePart {
    pub(crate) fn new(
        origin: &Origin,
        part: Arc<Part>,
        dot_stuffed: bool,
        limits: &Limits,
    ) -> Self {
        Self {
            origin: origin.clone(),
            part,
            dot_stuffed,
            limits: limits.clone(),
        }
    }

    /// A file that stands outside the structure.
    pub(crate) fn of_file(name: &str, content: Vec<u8>) -> Self {
        let part = Part::of_file(name, content.len() as u64);
        let origin = Origin::Held(Arc::new(content));
        Self::new(&origin, Arc::new(part), false, &Limits::default())
    }

    pub(crate) fn part(&self) -> &Part {
        &self.part
    }

    /// The type of the content (RFC 2045), in lower case, such as `image/png`.
    pub fn content_type(&self) -> &str {
        &self.part.media_type
    }

    /// The character set that the sender named, if any.
    pub fn charset(&self) -> Option<&str> {
        self.part.charset.as_deref()
    }

    /// The name that the sender gave, as it stands; it is only text.
    pub fn file_name(&self) -> Option<&str> {
        self.part.file_name.as_deref()
    }

    /// Whether it only holds other parts.
    pub fn is_multipart(&self) -> bool {
        self.part.kind == PartKind::Multipart
    }

    /// The place of the multipart that holds it; `None` for the message itself.
    pub fn parent(&self) -> Option<usize> {
        self.part.parent
    }

    /// The header fields of the part. Those of the message itself are without `Bcc`.
    ///
    /// # Errors
    /// When the message cannot be read or is gone.
    pub fn headers(&self) -> Result<Headers> {
        let mut section = Vec::new();
        let mut reader = self.raw(self.part.header.clone())?;
        body::copy(&mut reader, |block| {
            section.extend(block);
            Ok(())
        })?;
        Ok(Headers::of_section(&section))
    }

    /// A reader of the content, decoded. It stays good when the message is deleted meanwhile; when
    /// the file is rewritten, it fails.
    ///
    /// # Errors
    /// When the message cannot be opened, or is [gone](crate::ErrorKind::MessageGone).
    pub fn reader(&self) -> Result<PartReader> {
        self.decoded().map(PartReader)
    }

    /// A reader of the body as it was sent, still encoded.
    ///
    /// # Errors
    /// As [`reader`](MessagePart::reader).
    pub fn raw_reader(&self) -> Result<PartReader> {
        self.raw(self.part.body.clone()).map(PartReader)
    }

    /// The whole content, decoded.
    ///
    /// # Errors
    /// As [`reader`](MessagePart::reader).
    pub fn read(&self) -> Result<Vec<u8>> {
        all(self.decoded()?)
    }

    /// The whole body as it was sent, still encoded.
    ///
    /// # Errors
    /// As [`reader`](MessagePart::reader).
    pub fn read_raw(&self) -> Result<Vec<u8>> {
        all(self.raw(self.part.body.clone())?)
    }

    /// Writes the content, decoded; returns how many octets it has.
    ///
    /// # Errors
    /// As [`reader`](MessagePart::reader), and when the writer fails.
    pub fn write_to(&self, to: &mut dyn Write) -> Result<u64> {
        body::copy(&mut self.decoded()?, |block| {
            to.write_all(block).map_err(write_failed)
        })
    }

    /// How many octets the content has once decoded. Reads the part to count them, unless it
    /// stands in the message as it is.
    ///
    /// # Errors
    /// When the message cannot be read or is gone.
    pub fn size(&self) -> Result<u64> {
        if self.part.encoding == Encoding::Identity && !self.dot_stuffed {
            return Ok(self.part.body.end - self.part.body.start);
        }
        body::copy(&mut self.decoded()?, |_| Ok(()))
    }

    /// The message that is embedded here, if it is one.
    pub(crate) fn source(&self) -> Result<EmbeddedMessage> {
        let bytes = self.origin.open()?;
        let range = self.part.body.clone();
        let (bytes, dot_stuffed): (Arc<dyn MessageBytes>, _) = match self.part.encoding {
            Encoding::Identity | Encoding::Unknown(_) => {
                (Arc::new(PartBytes { bytes, range }), self.dot_stuffed)
            }
            // Mail must not encode a message (RFC 2046 section 5.2.1), but some does.
            Encoding::Base64 | Encoding::QuotedPrintable | Encoding::Uuencode => {
                (Arc::new(self.read_within(self.limits.decoded_text)?), false)
            }
        };
        // Messages within messages count as parts within parts do.
        let depth = self.part.depth + 1;
        if depth > self.limits.depth {
            return Err(Limits::exceeded("depth", self.limits.depth));
        }
        EmbeddedMessage::embedded(bytes, depth, dot_stuffed, &self.limits)
    }

    fn read_within(&self, most: usize) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        body::copy(&mut self.decoded()?, |block| {
            content.extend(block);
            if content.len() > most {
                return Err(Limits::exceeded("decoded_text", most));
            }
            Ok(())
        })?;
        Ok(content)
    }

    /// The same, with its message open: it can be read when that is gone.
    pub(crate) fn held(&self) -> Result<Self> {
        let mut held = self.clone();
        held.origin = Origin::Held(self.origin.open()?);
        Ok(held)
    }

    pub(crate) fn decoded(&self) -> Result<BodyReader> {
        let bytes = self.origin.open()?;
        Ok(BodyReader::new(bytes, &self.part, self.dot_stuffed))
    }

    fn raw(&self, range: Range<u64>) -> Result<BodyReader> {
        let bytes = self.origin.open()?;
        Ok(BodyReader::raw(bytes, range, self.dot_stuffed))
    }
}

fn all(mut reader: BodyReader) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    body::copy(&mut reader, |block| {
        content.extend(block);
        Ok(())
    })?;
    Ok(content)
}

impl fmt::Debug for MessagePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessagePart")
            .field("content_type", &self.content_type())
            .field("parent", &self.parent())
            .finish_non_exhaustive()
    }
}

/// The bytes of one part as a message of their own.
struct PartBytes {
    bytes: Arc<dyn MessageBytes>,
    range: Range<u64>,
}

impl MessageBytes for PartBytes {
    fn len(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let left = self.len().saturating_sub(offset);
        let most = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let within = buffer.get_mut(..most).unwrap_or_default();
        self.bytes
            .read_at(within, self.range.start.saturating_add(offset))
    }

    fn verify(&self) -> Result<()> {
        self.bytes.verify()
    }
}

/// Reads the content of an attachment or another part block by block.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::io::Read;
///
/// let message = cdonts::MessageFile::from_bytes("Content-Type: image/png\n\nabc")?;
/// let mut content = String::new();
/// message.attachments()?.get(0).unwrap().reader()?.read_to_string(&mut content)?;
/// assert_eq!(content, "abc");
/// # Ok(())
/// # }
/// ```
pub struct PartReader(pub(crate) BodyReader);

impl Read for PartReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl fmt::Debug for PartReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartReader").finish_non_exhaustive()
    }
}
