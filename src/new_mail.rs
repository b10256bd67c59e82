//! Mail in three lines.

use std::fmt;
use std::io::{Read, Seek};
use std::path::Path;

use crate::draft::{Draft, header};
use crate::error::SendError;
use crate::importance::Importance;
use crate::locale::CodePage;
use crate::message_format::MailFormat;
use crate::recipients::RecipientType;
use crate::sent::Sent;
use crate::server::MailServer;

/// What the body of a [`NewMail`] is (`CdoBodyFormats`).
///
/// ```
/// assert_eq!(cdonts::BodyFormat::Html as i32, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[doc(alias = "CdoBodyFormats")]
pub enum BodyFormat {
    /// `CdoBodyFormatHTML`, 0. A text is made from it and sent beside it.
    Html = 0,
    /// `CdoBodyFormatText`, 1, the default.
    #[default]
    Text = 1,
}

/// A message without a session, in three lines (CDONTS `NewMail`).
///
/// `to`, `cc` and `bcc` add to what is there, the others replace it; lists are divided by
/// semicolons or commas. Nothing is checked before [`send`](NewMail::send).
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// use cdonts::{MailServer, NewMail};
///
/// let server = MailServer::temporary()?;
/// NewMail::new(&server)
///     .from("shop@example.com")
///     .to("jane@example.com; joe@example.com")
///     .subject("Your order")
///     .body("It is on its way.")
///     .send()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a message is not sent until `send` is called"]
pub struct NewMail {
    draft: Draft,
    body: Option<String>,
    body_format: BodyFormat,
}

impl fmt::Debug for NewMail {
    /// Shows neither the body nor blind recipients.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewMail")
            .field("draft", &self.draft)
            .finish_non_exhaustive()
    }
}

impl NewMail {
    /// Begins a message.
    pub fn new(server: &MailServer) -> Self {
        Self {
            draft: Draft::new(server),
            body: None,
            body_format: BodyFormat::default(),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Draft)) -> Self {
        change(&mut self.draft);
        self
    }

    /// The sender: an address, or `Name <address>`.
    #[doc(alias = "NewMail.From")]
    pub fn from(self, from: impl Into<String>) -> Self {
        self.with(|draft| header::set_from(draft, &from.into()))
    }

    /// Adds recipients: a list in the program's own words. What a person has typed in goes through
    /// [`recipient`](NewMail::recipient), since a comma in a name would make two of it.
    #[doc(alias = "NewMail.To")]
    pub fn to(self, list: impl Into<String>) -> Self {
        self.with(|draft| header::add_recipients(draft, &list.into(), RecipientType::To))
    }

    /// Adds recipients of a copy.
    #[doc(alias = "NewMail.Cc")]
    pub fn cc(self, list: impl Into<String>) -> Self {
        self.with(|draft| header::add_recipients(draft, &list.into(), RecipientType::Cc))
    }

    /// Adds recipients whom nobody else sees.
    #[doc(alias = "NewMail.Bcc")]
    pub fn bcc(self, list: impl Into<String>) -> Self {
        self.with(|draft| header::add_recipients(draft, &list.into(), RecipientType::Bcc))
    }

    /// Sets the sender by name and address, which are never taken apart: for what a person has
    /// typed in. [`from`](NewMail::from) takes the two as one text.
    pub fn sender(self, name: impl Into<String>, address: impl Into<String>) -> Self {
        self.with(|draft| {
            draft.set_sender(name, address);
        })
    }

    /// Adds a recipient by name and address, which are never taken apart: for what a person has
    /// typed in.
    pub fn recipient(
        self,
        name: impl Into<String>,
        address: impl Into<String>,
        recipient_type: RecipientType,
    ) -> Self {
        self.with(|draft| {
            draft.recipients_mut().add(name, address, recipient_type);
        })
    }

    /// Adds an address that answers are to go to; see [`Draft::add_reply_to`].
    pub fn reply_to(self, name: impl Into<String>, address: impl Into<String>) -> Self {
        self.with(|draft| {
            draft.add_reply_to(name, address);
        })
    }

    /// The subject.
    #[doc(alias = "NewMail.Subject")]
    pub fn subject(self, subject: impl Into<String>) -> Self {
        self.with(|draft| {
            draft.set_subject(subject);
        })
    }

    /// The body, a text unless [`body_format`](NewMail::body_format) says HTML.
    #[doc(alias = "NewMail.Body")]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// What the body is; [`BodyFormat::Text`] by default.
    #[doc(alias = "NewMail.BodyFormat")]
    pub fn body_format(mut self, format: BodyFormat) -> Self {
        self.body_format = format;
        self
    }

    /// The importance, normal by default.
    #[doc(alias = "NewMail.Importance")]
    pub fn importance(self, importance: Importance) -> Self {
        self.with(|draft| {
            draft.set_importance(importance);
        })
    }

    /// The form of the message; MIME by default.
    #[doc(alias = "NewMail.MailFormat")]
    pub fn mail_format(self, format: MailFormat) -> Self {
        self.with(|draft| {
            draft.set_message_format(format);
        })
    }

    /// The code page of the message; UTF-8 by default.
    #[doc(alias = "NewMail.SetLocaleIDs")]
    pub fn set_locale_ids(self, code_page: CodePage) -> Self {
        self.with(|draft| draft.set_code_page(code_page))
    }

    /// Adds a header field; see [`Draft::add_header`].
    #[doc(alias = "NewMail.Value")]
    pub fn value(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|draft| {
            draft.add_header(name, value);
        })
    }

    /// Attaches a file under its own name; see
    /// [`DraftAttachments::add_file`](crate::DraftAttachments::add_file).
    #[doc(alias = "AttachFile")]
    #[doc(alias = "NewMail.AttachFile")]
    pub fn attach_file(self, path: impl AsRef<Path>) -> Self {
        self.with(|draft| {
            draft.attachments_mut().add_file(path);
        })
    }

    /// Attaches a file under another name.
    pub fn attach_file_as(self, path: impl AsRef<Path>, name: impl Into<String>) -> Self {
        self.with(|draft| {
            draft.attachments_mut().add_file(path).set_name(name);
        })
    }

    /// Attaches a file that the HTML shows under a URL, relative or absolute
    /// (`<img src="logo.gif">` for `logo.gif`).
    #[doc(alias = "AttachURL")]
    #[doc(alias = "NewMail.AttachURL")]
    pub fn attach_url(self, path: impl AsRef<Path>, content_location: impl Into<String>) -> Self {
        self.with(|draft| {
            let attachment = draft.attachments_mut().add_file(path);
            attachment.set_content_location(content_location);
        })
    }

    /// The base that the URLs in the HTML are relative to; see [`Draft::set_content_base`].
    #[doc(alias = "NewMail.ContentBase")]
    pub fn content_base(self, base: impl Into<String>) -> Self {
        self.with(|draft| {
            draft.set_content_base(base);
        })
    }

    /// The URL that the URLs in the HTML are relative to; see [`Draft::set_content_location`].
    #[doc(alias = "NewMail.ContentLocation")]
    pub fn content_location(self, location: impl Into<String>) -> Self {
        self.with(|draft| {
            draft.set_content_location(location);
        })
    }

    /// Attaches bytes under a name.
    pub fn attach_bytes(self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.with(|draft| {
            draft.attachments_mut().add_bytes(name, bytes);
        })
    }

    /// Attaches what a reader gives; see
    /// [`DraftAttachments::add_reader`](crate::DraftAttachments::add_reader).
    pub fn attach_reader(
        self,
        name: impl Into<String>,
        from: impl Read + Seek + Send + 'static,
    ) -> Self {
        self.with(|draft| {
            draft.attachments_mut().add_reader(name, from);
        })
    }

    /// The library's version.
    #[doc(alias = "NewMail.Version")]
    pub fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// The same message as a [`Draft`], which can be read and changed.
    pub fn into_draft(self) -> Draft {
        let mut draft = self.draft;
        if let Some(body) = self.body {
            match self.body_format {
                BodyFormat::Html => draft.set_html_text(body),
                BodyFormat::Text => draft.set_text(body),
            };
        }
        draft
    }

    /// Sends the message.
    ///
    /// # Errors
    /// As [`Draft::send`].
    #[doc(alias = "NewMail.Send")]
    pub fn send(self) -> Result<Sent, SendError> {
        self.into_draft().send()
    }

    /// Sends the message with these values: they replace what was set, but for `to`, which is
    /// added (CDONTS `NewMail.Send` with parameters).
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// # use cdonts::*;
    /// # let server = MailServer::temporary()?;
    /// NewMail::new(&server).send_with(
    ///     "me@example.com", "you@example.com", "Hello", "Body text", Importance::High,
    /// )?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Draft::send`].
    pub fn send_with(
        self,
        from: impl Into<String>,
        to: impl Into<String>,
        subject: impl Into<String>,
        body: impl Into<String>,
        importance: Importance,
    ) -> Result<Sent, SendError> {
        self.from(from)
            .to(to)
            .subject(subject)
            .body(body)
            .importance(importance)
            .send()
    }
}
