//! A message outside any mail server.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::address_entry::AddressEntry;
use crate::attachments::Attachments;
use crate::error::{Error, Problem, Result};
use crate::format::bytes::MessageBytes;
use crate::format::fields;
use crate::fs::outside;
use crate::headers::Headers;
use crate::importance::Importance;
use crate::limits::Limits;
use crate::part::MessagePart;
use crate::reading::{Origin, Reading};
use crate::recipients::Recipients;

/// A message in a file of its own or in memory, outside any drop: an `.eml` that somebody saved,
/// or bytes that another library gave. It is read as a [`Message`](crate::Message) is.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// let message = cdonts::MessageFile::from_bytes(
///     "From: Jane <jane@example.com>\r\nSubject: Hello\r\n\r\nHow are you?\r\n",
/// )?;
/// assert_eq!(message.subject(), "Hello");
/// assert_eq!(message.text()?, "How are you?\r\n");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MessageFile(Arc<Inner>);

/// A message that is embedded in another: [`Attachment::source`](crate::Attachment::source).
pub type EmbeddedMessage = MessageFile;

struct Inner {
    sender: AddressEntry,
    subject: String,
    size: u64,
    reading: Reading,
}

impl MessageFile {
    /// Opens a message file within the default [`Limits`].
    ///
    /// # Errors
    /// [`PathNotFound`](crate::ErrorKind::PathNotFound), [`NoAccess`](crate::ErrorKind::NoAccess)
    /// and the like name the file; [`TooLarge`](crate::ErrorKind::TooLarge) names the limit.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, &Limits::default())
    }

    /// The same within limits of the caller's choice.
    ///
    /// # Errors
    /// As [`open`](MessageFile::open).
    pub fn open_with(path: impl AsRef<Path>, limits: &Limits) -> Result<Self> {
        let path = path.as_ref();
        let failed = |source| Error::io("open", path, source);
        let file = outside::open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        let bytes = OutsideBytes {
            file,
            len,
            path: path.to_path_buf(),
        };
        Self::new(Arc::new(bytes), limits).map_err(|error| match error.path() {
            None => error.with_path(path),
            Some(_) => error,
        })
    }

    /// A message in memory, within the default [`Limits`].
    ///
    /// # Errors
    /// [`TooLarge`](crate::ErrorKind::TooLarge) names the limit that is exceeded.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self> {
        Self::from_bytes_with(bytes, &Limits::default())
    }

    /// The same within limits of the caller's choice.
    ///
    /// # Errors
    /// As [`from_bytes`](MessageFile::from_bytes).
    pub fn from_bytes_with(bytes: impl Into<Vec<u8>>, limits: &Limits) -> Result<Self> {
        Self::new(Arc::new(bytes.into()), limits)
    }

    fn new(bytes: Arc<dyn MessageBytes>, limits: &Limits) -> Result<Self> {
        Self::embedded(bytes, 0, false, limits)
    }

    pub(crate) fn embedded(
        bytes: Arc<dyn MessageBytes>,
        depth: usize,
        dot_stuffed: bool,
        limits: &Limits,
    ) -> Result<Self> {
        let size = bytes.len();
        let reading = Reading::embedded(Origin::Held(bytes), depth, dot_stuffed, limits.clone());
        let sender = reading.sender()?;
        let subject = reading.value("Subject")?.unwrap_or_default();
        Ok(Self(Arc::new(Inner {
            sender: sender.into(),
            subject: fields::text_of(&subject),
            size,
            reading,
        })))
    }

    pub(crate) fn reading(&self) -> &Reading {
        &self.0.reading
    }

    /// The From field; see [`Message::sender`](crate::Message::sender).
    pub fn sender(&self) -> &AddressEntry {
        &self.0.sender
    }

    /// The subject, decoded; may be empty.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// Octets of the file.
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// The recipients in To and Cc.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit.
    pub fn recipients(&self) -> Result<&Recipients> {
        self.0.reading.recipients()
    }

    /// Where answers are to go: the addresses in Reply-To, else the sender's.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    pub fn reply_to(&self) -> Result<Vec<AddressEntry>> {
        self.0.reading.reply_to()
    }

    /// The importance; see [`Message::importance`](crate::Message::importance).
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit.
    pub fn importance(&self) -> Result<Importance> {
        self.0.reading.importance()
    }

    /// The Date field; see [`Message::time_sent`](crate::Message::time_sent).
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit.
    pub fn time_sent(&self) -> Result<Option<SystemTime>> {
        self.0.reading.time_sent()
    }

    /// The text; made from the HTML when there is only that.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit.
    pub fn text(&self) -> Result<String> {
        self.0.reading.text()
    }

    /// The HTML; made from the text when there is only that.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit.
    pub fn html_text(&self) -> Result<String> {
        self.0.reading.html_text()
    }

    /// The text as it is in the message; `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit.
    pub fn text_part(&self) -> Result<Option<String>> {
        self.0.reading.text_part()
    }

    /// The HTML as it is in the message; `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit.
    pub fn html_part(&self) -> Result<Option<String>> {
        self.0.reading.html_part()
    }

    /// The attachments, not read yet.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit.
    pub fn attachments(&self) -> Result<Attachments> {
        self.0.reading.attachments()
    }

    /// All the parts it is made of, in order; the first is the message itself.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit.
    pub fn parts(&self) -> Result<Vec<MessagePart>> {
        self.0.reading.parts()
    }

    /// The header fields, in order.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit.
    pub fn headers(&self) -> Result<Headers> {
        self.0.reading.headers()
    }

    /// What is wrong with the message and was read as well as it could be.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit.
    pub fn problems(&self) -> Result<Vec<Problem>> {
        self.0.reading.problems()
    }

    /// Writes the source without `Bcc`; returns how many octets it has.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit, and when the writer fails.
    pub fn write_to(&self, to: &mut dyn Write) -> Result<u64> {
        self.0.reading.write_to(to)
    }
}

impl fmt::Debug for MessageFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageFile")
            .field("subject", &self.subject())
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

/// A file that stays open.
struct OutsideBytes {
    file: File,
    len: u64,
    path: PathBuf,
}

impl MessageBytes for OutsideBytes {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        outside::read_at(&self.file, buffer, offset)
            .map_err(|source| Error::io("read", &self.path, source))
    }
}
