//! A message while it is composed.

mod batch;
mod checked;
mod conventions;
pub(crate) mod header;
mod identity;
mod writer_sink;

use std::borrow::Cow;
use std::fmt;
use std::io::Write;
use std::sync::OnceLock;

use crate::address_entry::AddressEntry;
use crate::credentials::Credentials;
use crate::delivery::Spool;
use crate::draft_attachments::DraftAttachments;
use crate::error::{Result, SendError};
use crate::format::{html, url};
use crate::importance::Importance;
use crate::locale::CodePage;
use crate::message_format::MessageFormat;
use crate::recipients::Recipients;
use crate::sent::Sent;
use crate::server::MailServer;
use crate::session::Session;
use crate::transport::{self, Outgoing};
pub(crate) use batch::send_all;
pub use conventions::AutoSubmitted;
use conventions::Unsubscribe;
use identity::Identity;
use writer_sink::WriterSink;

/// An outgoing message while it is composed (CDONTS `Message` in the Outbox).
///
/// Setters take anything and never fail: [`send`](Draft::send) checks all at once, before a byte
/// is written, and its error names the field and gives the draft back.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// use cdonts::{Importance, MailServer, RecipientType, Session};
///
/// let server = MailServer::temporary()?;
/// let session = Session::logon_smtp(&server, "Help Desk", "help@example.com")?;
/// let mut draft = session.outbox().messages().add("Ticket 4711", "We are looking into it.");
/// draft.recipients_mut().add("Jane Doe", "jane@example.com", RecipientType::To);
/// draft.recipients_mut().add("", "audit@example.com", RecipientType::Bcc);
/// draft.set_importance(Importance::High);
/// draft.attachments_mut().add_bytes("log.txt", "all is well");
/// let sent = draft.send()?;
/// assert_eq!(sent.delivered(), ["jane@example.com", "audit@example.com"]);
/// # Ok(())
/// # }
/// ```
#[must_use = "a draft does nothing until it is sent"]
pub struct Draft {
    server: MailServer,
    from: AddressEntry,
    /// The Sender field, when another than From has sent it.
    sender_field: Option<AddressEntry>,
    reply_to: Vec<AddressEntry>,
    recipients: Recipients,
    subject: String,
    text: Option<String>,
    html: Option<String>,
    content_base: Option<String>,
    content_location: Option<String>,
    importance: Importance,
    headers: Vec<(String, String)>,
    message_format: MessageFormat,
    code_page: CodePage,
    attachments: DraftAttachments,
    in_reply_to: Option<String>,
    references: Vec<String>,
    auto_submitted: Option<AutoSubmitted>,
    list_unsubscribe: Option<Unsubscribe>,
    wants_read_receipt: bool,
    /// What a setter could not take; told when the draft is sent.
    faults: Vec<(String, String)>,
    /// Made when it is first asked for, and kept.
    identity: OnceLock<Identity>,
    /// Of the session, for a way out that asks for them.
    credentials: Option<Credentials>,
}

impl Draft {
    pub(crate) fn new(server: &MailServer) -> Self {
        Self {
            server: server.clone(),
            from: AddressEntry::default(),
            sender_field: None,
            reply_to: Vec::new(),
            recipients: Recipients::default(),
            subject: String::new(),
            text: None,
            html: None,
            content_base: None,
            content_location: None,
            importance: Importance::default(),
            headers: Vec::new(),
            message_format: MessageFormat::default(),
            code_page: CodePage::default(),
            attachments: DraftAttachments::default(),
            in_reply_to: None,
            references: Vec::new(),
            auto_submitted: None,
            list_unsubscribe: None,
            wants_read_receipt: false,
            faults: Vec::new(),
            identity: OnceLock::new(),
            credentials: None,
        }
    }

    pub(crate) fn of_session(session: &Session, subject: String, text: String) -> Self {
        Self {
            from: AddressEntry::new(session.name(), session.address()),
            subject,
            text: (!text.is_empty()).then_some(text),
            message_format: session.message_format(),
            code_page: session.code_page(),
            credentials: session.credentials().cloned(),
            ..Self::new(session.server())
        }
    }

    /// Who sends it: the session's name and address, unless another was set.
    #[doc(alias = "Message.Sender")]
    pub fn sender(&self) -> &AddressEntry {
        &self.from
    }

    /// Sets the From field and the reverse-path, for a program that sends for many.
    pub fn set_sender(&mut self, name: impl Into<String>, address: impl Into<String>) -> &mut Self {
        self.from = AddressEntry::new(name, address);
        self
    }

    /// Adds an address that answers are to go to (Reply-To). For what a visitor has typed in: name
    /// and address are never taken apart.
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// # use cdonts::*;
    /// # let server = MailServer::temporary()?;
    /// # let session = Session::logon_smtp(&server, "Web", "web@example.com")?;
    /// # let mut draft = session.outbox().messages().add("Contact form", "...");
    /// # draft.recipients_mut().add("", "help@example.com", RecipientType::To);
    /// draft.add_reply_to("Doe, Jane <evil@example.net>", "jane@example.com");
    /// # draft.send()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_reply_to(
        &mut self,
        name: impl Into<String>,
        address: impl Into<String>,
    ) -> &mut Self {
        self.reply_to.push(AddressEntry::new(name, address));
        self
    }

    /// The subject.
    #[doc(alias = "Message.Subject")]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Sets the subject.
    pub fn set_subject(&mut self, subject: impl Into<String>) -> &mut Self {
        self.subject = subject.into();
        self
    }

    /// The text that was set, else the one made from the HTML.
    #[doc(alias = "Message.Text")]
    pub fn text(&self) -> Cow<'_, str> {
        match (&self.text, &self.html) {
            (Some(text), _) => Cow::Borrowed(text),
            (None, Some(source)) => Cow::Owned(html::to_text(source)),
            (None, None) => Cow::Borrowed(""),
        }
    }

    /// Sets the text. It stays as it is when HTML is set too.
    pub fn set_text(&mut self, text: impl Into<String>) -> &mut Self {
        self.text = Some(text.into());
        self
    }

    /// The HTML that was set, else the one made from the text; made HTML is not sent.
    #[doc(alias = "HTMLText")]
    #[doc(alias = "Message.HTMLText")]
    pub fn html_text(&self) -> Cow<'_, str> {
        match (&self.html, &self.text) {
            (Some(html), _) => Cow::Borrowed(html),
            (None, Some(text)) => Cow::Owned(html::from_text(text)),
            (None, None) => Cow::Borrowed(""),
        }
    }

    /// Sets the HTML. Without a text of its own the message gets one made from the HTML.
    pub fn set_html_text(&mut self, html: impl Into<String>) -> &mut Self {
        self.html = Some(html.into());
        self
    }

    /// Sets the base that the URLs in the HTML, or its Content-Location, are relative to, and the
    /// locations of attachments that have no base of their own.
    #[doc(alias = "Message.ContentBase")]
    pub fn set_content_base(&mut self, base: impl Into<String>) -> &mut Self {
        self.content_base = Some(base.into());
        self
    }

    /// Sets the URL that the URLs in the HTML are relative to, itself absolute or relative to the
    /// base. One field goes out, the absolute Content-Location (RFC 2557).
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// # use cdonts::*;
    /// # let server = MailServer::temporary()?;
    /// # let session = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
    /// # let mut draft = session.outbox().messages().add("", "");
    /// draft.set_html_text("<img src=today.gif>");
    /// draft.set_content_base("http://h.example/graphs/").set_content_location("Jul1998/21Jul98/");
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "Message.ContentLocation")]
    pub fn set_content_location(&mut self, location: impl Into<String>) -> &mut Self {
        self.content_location = Some(location.into());
        self
    }

    fn resolved_location(&self) -> Option<String> {
        let base = self.content_base.as_deref();
        let location = self.content_location.as_deref().or(base)?;
        Some(url::resolve(base.unwrap_or_default(), location))
    }

    /// The importance, normal by default.
    #[doc(alias = "Message.Importance")]
    pub fn importance(&self) -> Importance {
        self.importance
    }

    /// Sets the importance.
    pub fn set_importance(&mut self, importance: Importance) -> &mut Self {
        self.importance = importance;
        self
    }

    /// The form in which it will be sent if it can be; the session's by default.
    #[doc(alias = "Message.MessageFormat")]
    pub fn message_format(&self) -> MessageFormat {
        self.message_format
    }

    /// Sets the form.
    pub fn set_message_format(&mut self, format: MessageFormat) -> &mut Self {
        self.message_format = format;
        self
    }

    /// Sets the code page; see [`Session::set_locale_ids`].
    pub(crate) fn set_code_page(&mut self, code_page: CodePage) {
        self.code_page = code_page;
    }

    /// The recipients.
    #[doc(alias = "Message.Recipients")]
    pub fn recipients(&self) -> &Recipients {
        &self.recipients
    }

    /// The recipients, to be changed.
    pub fn recipients_mut(&mut self) -> &mut Recipients {
        &mut self.recipients
    }

    /// The attachments.
    #[doc(alias = "Message.Attachments")]
    pub fn attachments(&self) -> &DraftAttachments {
        &self.attachments
    }

    /// The attachments, to be changed.
    pub fn attachments_mut(&mut self) -> &mut DraftAttachments {
        &mut self.attachments
    }

    /// Adds a header field; one of the same name stays (CDONTS `NewMail.Value`).
    ///
    /// The names that have a setter call it: From (only when there is none yet), To, Cc, Bcc,
    /// Reply-To, Sender, Subject, Importance. Names that the library or a mail server writes, such
    /// as Date, Received or Content-Type, are refused when the draft is sent.
    pub fn add_header(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        header::add(self, name.into(), value.into());
        self
    }

    pub(crate) fn set_conversation(&mut self, in_reply_to: String, references: Vec<String>) {
        self.in_reply_to = Some(in_reply_to);
        self.references = references;
    }

    /// Makes the Message-ID follow from a text instead of chance.
    pub(crate) fn set_identity_from(&mut self, text: &str) {
        self.identity = OnceLock::from(Identity::of(text));
    }

    /// Checks all that [`send`](Draft::send) checks, and writes nothing.
    ///
    /// # Errors
    /// The first thing that is wrong, as `send` would give it.
    pub fn check(&self) -> Result<()> {
        checked::Checked::new(self).map(drop)
    }

    /// Writes the message as [`send`](Draft::send) would, with the same Message-ID and Date and without
    /// the recipients in Bcc, and sends nothing; returns how many octets it has. For a look at it, or to
    /// keep it and send it by [`send_raw`](crate::Outbox::send_raw) later.
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// # let server = cdonts::MailServer::temporary()?;
    /// let mut source = Vec::new();
    /// cdonts::NewMail::new(&server)
    ///     .from("shop@example.com")
    ///     .to("jane@example.com")
    ///     .subject("Hello")
    ///     .into_draft()
    ///     .write_to(&mut source)?;
    /// assert!(String::from_utf8(source).unwrap().contains("Subject: Hello\r\n"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As `send`, and when the writer fails.
    pub fn write_to(&self, to: &mut dyn Write) -> Result<u64> {
        let mut sink = WriterSink::new(to);
        self.hand_on(self.identity(), |_, outgoing| (outgoing.content)(&mut sink))?;
        sink.finish()
    }

    /// Sends the message. When this returns `Ok`, every local recipient has it in the Inbox, and
    /// the file for all others is whole in Pickup, by default durably; whether their server
    /// delivers it later is another matter.
    ///
    /// # Errors
    /// [`MissingField`](crate::ErrorKind::MissingField) without a sender,
    /// [`NoRecipients`](crate::ErrorKind::NoRecipients),
    /// [`InvalidAddress`](crate::ErrorKind::InvalidAddress) and
    /// [`InvalidValue`](crate::ErrorKind::InvalidValue) name the field,
    /// [`TooLarge`](crate::ErrorKind::TooLarge) the limit; errors of the file system name the path.
    /// After any error nothing of the message is visible to anyone, and
    /// [`into_draft`](SendError::into_draft) gives it back.
    #[doc(alias = "Message.Send")]
    pub fn send(self) -> Result<Sent, SendError> {
        match self.try_send() {
            Ok(sent) => Ok(sent),
            Err(error) => Err(SendError::new(error, self)),
        }
    }

    /// Who has the message already does not get it again.
    pub(crate) fn without_taken(&mut self, taken: &[String]) {
        self.recipients.remove_addresses(taken);
    }

    /// The Message-ID that it will have, with its brackets: for a program that notes it down before it
    /// sends, and knows the message again whatever happens then. Its right half is the domain of the
    /// sender, who must be set.
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// # use cdonts::*;
    /// # let server = MailServer::temporary()?;
    /// let mail = NewMail::new(&server).from("shop@example.com").to("jane@example.com");
    /// let draft = mail.into_draft();
    /// let id = draft.message_id()?;
    /// assert_eq!(draft.send()?.message_id(), id);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`MissingField`](crate::ErrorKind::MissingField) without a sender,
    /// [`InvalidAddress`](crate::ErrorKind::InvalidAddress) when it has none that is one.
    pub fn message_id(&self) -> Result<String> {
        let sender = checked::sender(self)?;
        Ok(self.identity().message_id(sender.address.domain()))
    }

    /// The identity that every attempt has.
    fn identity(&self) -> &Identity {
        self.identity.get_or_init(Identity::new)
    }

    fn try_send(&self) -> Result<Sent> {
        let (message_id, submitted) = self.hand_on(self.identity(), transport::submit)?;
        Ok(Sent::new(message_id, submitted))
    }

    /// Checks the draft and hands it to the transport.
    fn hand_on<T>(
        &self,
        identity: &Identity,
        to: impl FnOnce(&Spool, &Outgoing<'_>) -> Result<T>,
    ) -> Result<(String, T)> {
        let checked = checked::Checked::new(self)?;
        let message_id = identity.message_id(checked.from.address.domain());
        let composition = checked.composition(self, &message_id, identity.date);
        let outgoing = Outgoing {
            credentials: self.credentials.as_ref(),
            reverse_path: (self.auto_submitted != Some(AutoSubmitted::Replied))
                .then_some(&checked.from.address),
            recipients: &checked.recipients,
            content: &|to| composition.write(to),
        };
        let handed = to(self.server.spool(), &outgoing)?;
        drop(composition);
        Ok((message_id, handed))
    }
}

impl fmt::Debug for Draft {
    /// Shows neither bodies nor blind recipients.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("sender", &self.from.to_string())
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Draft {
    /// For tests that send a draft through the server of a process that starts later.
    pub(crate) fn move_to(&mut self, server: &MailServer) {
        self.server = server.clone();
    }
}
