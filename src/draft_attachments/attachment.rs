//! One attachment of a draft: what it is called, and where its content comes from.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::content::Content;
use crate::error::{Error, ErrorKind, Result};
use crate::format::compose;
use crate::format::encode::Source;
use crate::format::{field, media_type, url};
use crate::message_format::EncodingMethod;
use crate::reading::VisibleBytes;

pub(super) trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// Where its content comes from.
pub(super) enum Kind {
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
    pub(super) content_type: Option<String>,
    pub(super) content_id: Option<String>,
    pub(super) content_location: Option<String>,
    pub(super) content_base: Option<String>,
    encoding_method: Option<EncodingMethod>,
    // A lock, since a reader need not be `Sync` and the error of a failed send must be.
    source: Mutex<Kind>,
}

impl DraftAttachment {
    pub(super) fn new(name: String, source: Kind) -> Self {
        Self {
            name,
            content_type: None,
            content_id: None,
            content_location: None,
            content_base: None,
            encoding_method: None,
            source: Mutex::new(source),
        }
    }

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

    pub(super) fn failed(&self, source: io::Error) -> Error {
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
