//! What is attached to a received message.

mod safe_name;
mod save;

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::format::uuencode;
use crate::message_file::EmbeddedMessage;
use crate::part::{MessagePart, PartReader};

/// What an attachment is (`CdoAttachmentTypes`).
///
/// ```
/// assert_eq!(cdonts::AttachmentType::EmbeddedMessage as i32, 4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "CdoAttachmentTypes")]
#[non_exhaustive]
pub enum AttachmentType {
    /// `CdoFileData`, 1: a file.
    FileData = 1,
    /// `CdoEmbeddedMessage`, 4: another message.
    EmbeddedMessage = 4,
}

/// The attachments of a received message (CDONTS `Attachments`).
///
/// Every part that is not its text is one, pictures that the HTML shows too.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # use cdonts::*;
/// # let server = MailServer::temporary()?;
/// NewMail::new(&server)
///     .from("a@example.com")
///     .to("jane@example.com")
///     .attach_bytes("hello.txt", "Hello!")
///     .send()?;
/// let jane = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
/// let message = jane.inbox().messages()?.get(0).unwrap();
/// for attachment in message.attachments()? {
///     assert_eq!(attachment.name(), "hello.txt");
///     assert_eq!(attachment.size()?, 6);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Attachments(Vec<Attachment>);

impl Attachments {
    pub(crate) fn new(parts: impl Iterator<Item = MessagePart>) -> Self {
        Self(parts.map(Attachment).collect())
    }

    /// A file that stood uuencoded in the text.
    pub(crate) fn push_file(&mut self, file: uuencode::File) {
        let name = String::from_utf8_lossy(&file.name);
        self.0
            .push(Attachment(MessagePart::of_file(&name, file.content)));
    }

    /// How many there are.
    #[doc(alias = "Attachments.Count")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The attachment at `index`, from 0 (CDONTS counts from 1).
    #[doc(alias = "Attachments.Item")]
    pub fn get(&self, index: usize) -> Option<&Attachment> {
        self.0.get(index)
    }

    /// All of them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Attachment> {
        self.0.iter()
    }
}

impl IntoIterator for Attachments {
    type Item = Attachment;
    type IntoIter = std::vec::IntoIter<Attachment>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Attachments {
    type Item = &'a Attachment;
    type IntoIter = std::slice::Iter<'a, Attachment>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One attachment of a received message (CDONTS `Attachment`). It is read from the file when it is
/// asked for, block by block.
///
/// ```no_run
/// # fn main() -> cdonts::Result<()> {
/// # let message = cdonts::MessageFile::open("message.eml")?;
/// for attachment in message.attachments()? {
///     let path = attachment.write_to_dir("saved")?; // under a safe name
///     println!("{} is in {}", attachment.name(), path.display());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Attachment(MessagePart);

impl std::fmt::Debug for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attachment")
            .field("name", &self.name())
            .field("content_type", &self.content_type())
            .finish_non_exhaustive()
    }
}

impl Attachment {
    /// The file name that the sender gave, without directories; may be empty. It is only text: to
    /// save the attachment, [`write_to_dir`](Attachment::write_to_dir) makes a safe name of it.
    #[doc(alias = "Attachment.Name")]
    pub fn name(&self) -> &str {
        let name = self.0.file_name().unwrap_or_default();
        name.rsplit(['/', '\\']).next().unwrap_or_default().trim()
    }

    /// The type of the content (RFC 2045), in lower case, such as `image/png`.
    pub fn content_type(&self) -> &str {
        self.0.content_type()
    }

    /// Whether it is a file or another message.
    #[doc(alias = "Attachment.Type")]
    pub fn attachment_type(&self) -> AttachmentType {
        match self.content_type() {
            "message/rfc822" | "message/global" => AttachmentType::EmbeddedMessage,
            _ => AttachmentType::FileData,
        }
    }

    /// The message that is embedded here; `None` for a file. It stays good when the outer message
    /// is deleted meanwhile.
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// let outer = "Content-Type: message/rfc822\n\nSubject: inner\n\ntext";
    /// let outer = cdonts::MessageFile::from_bytes(outer)?;
    /// let inner = outer.attachments()?.get(0).unwrap().source()?.unwrap();
    /// assert_eq!(inner.subject(), "inner");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the outer message cannot be read or is gone, and when the inner one exceeds a limit:
    /// messages within messages count for [`depth`](crate::Limits::depth) too.
    #[doc(alias = "Attachment.Source")]
    pub fn source(&self) -> Result<Option<EmbeddedMessage>> {
        if self.attachment_type() == AttachmentType::FileData {
            return Ok(None);
        }
        self.0.source().map(Some)
    }

    /// The part of the message that it is, for what is not asked for every day: its own header
    /// fields, its body as it was sent. A file that stood uuencoded in the text is a part alone.
    pub fn part(&self) -> &MessagePart {
        &self.0
    }

    /// The Content-Base (RFC 2110), which newer mail does not have.
    #[doc(alias = "Attachment.ContentBase")]
    pub fn content_base(&self) -> Option<&str> {
        self.0.part().content_base.as_deref()
    }

    /// The Content-ID without its brackets, by which HTML shows it as `cid:`.
    #[doc(alias = "Attachment.ContentID")]
    pub fn content_id(&self) -> Option<&str> {
        self.0.part().content_id.as_deref()
    }

    /// The Content-Location (RFC 2557), by which HTML shows it.
    #[doc(alias = "Attachment.ContentLocation")]
    pub fn content_location(&self) -> Option<&str> {
        self.0.part().content_location.as_deref()
    }

    /// How many octets the content has. Reads the attachment to count them, unless it stands in
    /// the message as it is.
    ///
    /// # Errors
    /// When the message cannot be read, or is gone.
    pub fn size(&self) -> Result<u64> {
        self.0.size()
    }

    /// A reader of the content. It stays good when the message is deleted meanwhile; when the file
    /// is rewritten, it fails.
    ///
    /// # Errors
    /// When the message cannot be opened, or is [gone](crate::ErrorKind::MessageGone).
    pub fn reader(&self) -> Result<AttachmentReader> {
        self.0.reader()
    }

    /// The whole content.
    ///
    /// # Errors
    /// As [`reader`](Attachment::reader).
    pub fn read(&self) -> Result<Vec<u8>> {
        self.0.read()
    }

    /// Writes the content; returns how many octets it has.
    ///
    /// # Errors
    /// As [`reader`](Attachment::reader), and when the writer fails.
    pub fn write_to(&self, to: &mut dyn Write) -> Result<u64> {
        self.0.write_to(to)
    }

    /// Writes the content to a file, over one that is there (CDONTS `WriteToFile`).
    ///
    /// # Errors
    /// As [`reader`](Attachment::reader), and when the file cannot be written; the error names it.
    #[doc(alias = "WriteToFile")]
    pub fn write_to_file(&self, path: impl AsRef<Path>) -> Result<()> {
        save::over(self, path.as_ref())
    }

    /// Writes the content to a new file in a directory (which is made if it is missing), under a
    /// safe name made of its own, and returns the path. No file is ever replaced: a taken name gets a number.
    /// When this returns, the file is on the disk: the message may be deleted.
    ///
    /// # Errors
    /// As [`reader`](Attachment::reader), and when the file cannot be written; the error names it.
    pub fn write_to_dir(&self, dir: impl AsRef<Path>) -> Result<PathBuf> {
        save::into(self, dir.as_ref())
    }
}

/// Reads the content of an [`Attachment`]: [`PartReader`].
pub type AttachmentReader = PartReader;
