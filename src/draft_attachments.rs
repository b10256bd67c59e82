//! What is attached to a message while it is composed.

mod content;
mod received;

use std::fmt;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use content::Content;
use received::Received;

use crate::attachments::Attachment;
use crate::error::{Error, ErrorKind, Result};
use crate::format::compose;
use crate::format::encode::Source;
use crate::format::{field, media_type, url};
use crate::fs::outside;
use crate::message::Message;
use crate::message_file::MessageFile;
use crate::message_format::EncodingMethod;
use crate::reading::{Reading, VisibleBytes};

/// The attachments of a [`Draft`](crate::Draft) (CDONTS `Attachments` in the Outbox).
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # use cdonts::*;
/// # let server = MailServer::temporary()?;
/// # let session = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
/// # let mut draft = session.outbox().messages().add("", "");
/// let attachments = draft.attachments_mut();
/// attachments.add_bytes("hello.txt", "Hello!");
/// attachments.add_reader("data.csv", std::io::Cursor::new("a;b")).set_content_type("text/csv");
/// assert_eq!(attachments.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct DraftAttachments(Vec<DraftAttachment>);

impl DraftAttachments {
    /// Attaches a file under its own name. It is opened now, so that it may be gone when the draft
    /// is sent; an error of that shows at `send`.
    #[doc(alias = "Attachments.Add")]
    #[doc(alias = "Attachment.ReadFromFile")]
    #[doc(alias = "ReadFromFile")]
    pub fn add_file(&mut self, path: impl AsRef<Path>) -> &mut DraftAttachment {
        let path = path.as_ref();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let source = match outside::open(path) {
            Ok(file) => Kind::Reader(Box::new(file)),
            Err(error) => Kind::Failed(path.to_path_buf(), error.kind(), error.to_string()),
        };
        self.add(name.into_owned(), source)
    }

    /// Attaches bytes under a name.
    pub fn add_bytes(
        &mut self,
        name: impl Into<String>,
        bytes: impl Into<Vec<u8>>,
    ) -> &mut DraftAttachment {
        self.add_reader(name, Cursor::new(bytes.into()))
    }

    /// Attaches what a reader gives, from its beginning to its end. It is read when the draft is
    /// sent, block by block, and rewound for each attempt.
    pub fn add_reader(
        &mut self,
        name: impl Into<String>,
        from: impl Read + Seek + Send + 'static,
    ) -> &mut DraftAttachment {
        self.add(name.into(), Kind::Reader(Box::new(from)))
    }

    /// Attaches an attachment of a received message, with its name, type, Content-ID and location.
    /// The message is opened now, so that it may be deleted before the draft is sent; an error of
    /// that shows at `send`. What is a message is attached as by
    /// [`add_message`](DraftAttachments::add_message).
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// # use cdonts::*;
    /// # let server = MailServer::temporary()?;
    /// # NewMail::new(&server).from("a@example.com").to("jane@example.com")
    /// #     .attach_bytes("log.txt", "all is well").send()?;
    /// let session = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
    /// let message = session.inbox().messages()?.get(0).expect("a message");
    /// let mut draft = message.reply(&session)?;
    /// for attachment in message.attachments()? {
    ///     draft.attachments_mut().add_attachment(&attachment);
    /// }
    /// # assert_eq!(draft.attachments().get(0).unwrap().name(), "log.txt");
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_attachment(&mut self, attachment: &Attachment) -> &mut DraftAttachment {
        let name = match attachment.name() {
            "" => "attachment.bin",
            name => name,
        };
        if let Ok(Some(message)) = attachment.source() {
            return self.add_visible(name.to_owned(), message.reading());
        }
        let (id, location) = (attachment.content_id(), attachment.content_location());
        let base = attachment.content_base();
        let content_type = attachment.content_type().to_owned();
        let source = match attachment.part().held() {
            Ok(part) => Kind::Reader(Box::new(Received::new(part))),
            Err(error) => Kind::Gone(error.kind(), error.to_string()),
        };
        let added = self.add(name.to_owned(), source);
        added.content_type = Some(content_type);
        added.content_id = id.map(without_brackets);
        added.content_location = location.map(ToOwned::to_owned);
        added.content_base = base.map(ToOwned::to_owned);
        added
    }

    /// Attaches a copy of a received message, as it is now: it may be deleted before the draft is
    /// sent. It is named after its subject. An error of opening it shows at `send`.
    ///
    /// It goes as `message/rfc822`, but as a plain `.eml` file when it holds what mail must not
    /// hold unencoded: 8-bit characters or very long lines.
    pub fn add_message(&mut self, message: &Message) -> &mut DraftAttachment {
        self.add_visible(named_after(message.subject()), message.reading())
    }

    /// The same for a message that is in a file, in memory, or in another message.
    pub fn add_message_file(&mut self, message: &MessageFile) -> &mut DraftAttachment {
        self.add_visible(named_after(message.subject()), message.reading())
    }

    fn add_visible(&mut self, name: String, message: &Reading) -> &mut DraftAttachment {
        let source = match message.visible_bytes() {
            Ok(bytes) => Kind::Message(bytes),
            Err(error) => Kind::Gone(error.kind(), error.to_string()),
        };
        let is_plain = matches!(&source, Kind::Message(bytes) if bytes.is_plain().unwrap_or(false));
        let attachment = self.add(name, source);
        if is_plain {
            attachment.content_type = Some("message/rfc822".to_owned());
        }
        attachment
    }

    fn add(&mut self, name: String, source: Kind) -> &mut DraftAttachment {
        self.0.push_mut(DraftAttachment {
            name,
            content_type: None,
            content_id: None,
            content_location: None,
            content_base: None,
            encoding_method: None,
            source: Mutex::new(source),
        })
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
    pub fn get(&self, index: usize) -> Option<&DraftAttachment> {
        self.0.get(index)
    }

    /// The attachment at `index`, to be changed.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut DraftAttachment> {
        self.0.get_mut(index)
    }

    /// Removes the attachment at `index`; whether there was one.
    #[doc(alias = "Attachment.Delete")]
    pub fn remove(&mut self, index: usize) -> bool {
        let is_there = index < self.0.len();
        if is_there {
            self.0.remove(index);
        }
        is_there
    }

    /// Removes all.
    #[doc(alias = "Attachments.Delete")]
    pub fn delete_all(&mut self) {
        self.0.clear();
    }

    /// All of them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, DraftAttachment> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a DraftAttachments {
    type Item = &'a DraftAttachment;
    type IntoIter = std::slice::Iter<'a, DraftAttachment>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// What a message is called as a file.
fn named_after(subject: &str) -> String {
    if subject.is_empty() {
        "message.eml".to_owned()
    } else {
        format!("{}.eml", subject.replace(['/', '\\'], "_"))
    }
}

fn without_brackets(id: &str) -> String {
    id.trim_matches(['<', '>', ' ']).to_owned()
}

trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

enum Kind {
    Reader(Box<dyn ReadSeek>),
    /// A file that could not be opened when it was attached.
    Failed(PathBuf, io::ErrorKind, String),
    /// A received message, open.
    Message(VisibleBytes),
    /// A received message that could not be opened when it was attached.
    Gone(ErrorKind, String),
}

/// One attachment of a [`Draft`](crate::Draft).
///
/// With a Content-ID or a Content-Location it is a picture that the HTML shows, by `cid:` and the
/// id or by the location, and stands beside the HTML.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # use cdonts::*;
/// # let server = MailServer::temporary()?;
/// # let session = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
/// # let mut draft = session.outbox().messages().add("", "");
/// draft.set_html_text("<img src=\"cid:logo@example.com\">");
/// draft.attachments_mut().add_bytes("logo.png", [0x89]).set_content_id("logo@example.com");
/// # Ok(())
/// # }
/// ```
pub struct DraftAttachment {
    name: String,
    content_type: Option<String>,
    content_id: Option<String>,
    content_location: Option<String>,
    content_base: Option<String>,
    encoding_method: Option<EncodingMethod>,
    // A lock, since a reader need not be `Sync` and the error of a failed send must be.
    source: Mutex<Kind>,
}

impl DraftAttachment {
    /// The name that a reader sees.
    #[doc(alias = "Attachment.Name")]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets the name; of a path only the last element is sent.
    pub fn set_name(&mut self, name: impl Into<String>) -> &mut Self {
        self.name = name.into();
        self
    }

    /// The type of the content; by default it follows from the ending of the name.
    pub fn content_type(&self) -> &str {
        match &self.content_type {
            Some(content_type) => content_type,
            None => media_type::of_file_name(&self.name),
        }
    }

    /// Sets the type of the content (RFC 2045), such as `image/png`. Messages and multiparts are
    /// sent as `application/octet-stream`, since mail must not encode them.
    pub fn set_content_type(&mut self, content_type: impl Into<String>) -> &mut Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// The Content-ID without brackets.
    pub fn content_id(&self) -> Option<&str> {
        self.content_id.as_deref()
    }

    /// Sets the Content-ID, without brackets; it should be unique in the world.
    pub fn set_content_id(&mut self, id: impl Into<String>) -> &mut Self {
        self.content_id = Some(id.into());
        self
    }

    /// The Content-Location.
    #[doc(alias = "Attachment.ContentLocation")]
    pub fn content_location(&self) -> Option<&str> {
        self.content_location.as_deref()
    }

    /// Sets the Content-Location (RFC 2557), an absolute or relative URL in ASCII.
    pub fn set_content_location(&mut self, location: impl Into<String>) -> &mut Self {
        self.content_location = Some(location.into());
        self
    }

    /// The base that the Content-Location is relative to.
    #[doc(alias = "Attachment.ContentBase")]
    pub fn content_base(&self) -> Option<&str> {
        self.content_base.as_deref()
    }

    /// Sets the base that the Content-Location is relative to. No field of its own is sent for it:
    /// the location goes out in its absolute form (RFC 2557).
    pub fn set_content_base(&mut self, base: impl Into<String>) -> &mut Self {
        self.content_base = Some(base.into());
        self
    }

    /// How it is encoded; `None` is what the form of the message has by default.
    #[doc(alias = "EncodingMethod")]
    pub fn encoding_method(&self) -> Option<EncodingMethod> {
        self.encoding_method
    }

    /// Sets how it is encoded; base64 makes the message MIME.
    pub fn set_encoding_method(&mut self, method: EncodingMethod) -> &mut Self {
        self.encoding_method = Some(method);
        self
    }

    fn label(&self) -> &str {
        if self.name.is_empty() {
            "attachment"
        } else {
            &self.name
        }
    }

    fn source(&self) -> MutexGuard<'_, Kind> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::new(ErrorKind::Io, "the attachment cannot be read")
            .with_field(self.label())
            .with_source(source)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let field = self.label();
        field::check_name("Attachment name", &self.name)?;
        let invalid = |message| Err(Error::new(ErrorKind::InvalidValue, message).with_field(field));
        if let Some(content_type) = &self.content_type
            && !media_type::is_valid(content_type)
        {
            return invalid("the content type is not `type/subtype`");
        }
        let is_url = |text: &String| {
            (1..=900).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if let Some(id) = &self.content_id
            && (!is_url(id) || id.contains(['<', '>']))
        {
            return invalid("the Content-ID is printable ASCII without blanks and brackets");
        }
        for location in [&self.content_location, &self.content_base]
            .into_iter()
            .flatten()
        {
            if !is_url(location) {
                return invalid("the Content-Location is a URL in ASCII; percent-encode the rest");
            }
        }
        Ok(())
    }

    /// How many octets there are, by the reader's word.
    pub(crate) fn measure(&self) -> Result<u64> {
        match &mut *self.source() {
            Kind::Reader(reader) => {
                let measured = reader.seek(SeekFrom::End(0));
                measured.map_err(|source| self.failed(source))
            }
            Kind::Message(bytes) => Ok(bytes.len()),
            Kind::Gone(kind, text) => Err(Error::new(*kind, text.clone()).with_field(self.label())),
            Kind::Failed(path, kind, text) => {
                let source = io::Error::new(*kind, text.clone());
                Err(Error::io("open the attachment", path, source).with_field(self.label()))
            }
        }
    }

    /// As it will be written.
    ///
    /// `base` is that of the HTML, which holds for what has no base of its own.
    pub(crate) fn part(&self, base: Option<&str>) -> compose::Attachment<'_> {
        let name = self.name.rsplit(['/', '\\']).next().unwrap_or_default();
        let name = if name.is_empty() {
            "attachment.bin"
        } else {
            name
        };
        let is_message = matches!(&*self.source(), Kind::Message(_))
            && self.content_type.as_deref() == Some("message/rfc822");
        compose::Attachment {
            name: name.to_owned(),
            media_type: if is_message {
                "message/rfc822".to_owned()
            } else {
                compose::attachment_type(self.content_type.as_deref(), name)
            },
            is_message,
            content_id: self.content_id.as_deref(),
            content_location: self.location(base),
            open: Box::new(|| self.open()),
        }
    }

    /// The location, with the base resolved in it: readers of today know no other (RFC 2557).
    fn location(&self, base: Option<&str>) -> Option<String> {
        let base = self.content_base.as_deref().or(base).unwrap_or_default();
        let location = self.content_location.as_deref()?;
        Some(url::resolve(base, location))
    }

    /// Begins to read from the beginning, as many octets as the reader has now.
    fn open(&self) -> Result<Box<dyn Source + '_>> {
        let left = self.measure()?;
        let mut source = self.source();
        match &mut *source {
            Kind::Reader(reader) => {
                reader.rewind().map_err(|source| self.failed(source))?;
            }
            Kind::Message(bytes) => return Ok(Box::new(bytes.source())),
            Kind::Failed(..) | Kind::Gone(..) => {}
        }
        Ok(Box::new(Content {
            attachment: self,
            source,
            left,
        }))
    }
}

impl fmt::Debug for DraftAttachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DraftAttachment")
            .field("name", &self.name)
            .field("content_type", &self.content_type())
            .finish_non_exhaustive()
    }
}
