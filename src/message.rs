//! A received message.

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use crate::address_entry::AddressEntry;
use crate::attachments::Attachments;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::headers::Headers;
use crate::importance::Importance;
use crate::limits::Limits;
use crate::part::MessagePart;
use crate::reading::{Origin, Reading};
use crate::recipients::Recipients;
use crate::session::Session;
use crate::store::{StoredMessage, Summary};

/// A received message (CDONTS `Message` in the Inbox). It can be read and deleted, nothing else.
///
/// What a listing knows is there at once: [`sender`](Message::sender), [`subject`](Message::subject),
/// [`time_received`](Message::time_received), [`size`](Message::size). All else opens the file, and
/// fails with [`MessageGone`](crate::ErrorKind::MessageGone) when it was deleted or rewritten since.
/// A clone is the same message; it may go to another thread and outlive its session.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # use cdonts::*;
/// # let server = MailServer::temporary()?;
/// # let session = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
/// for message in session.inbox().messages()? {
///     // One bad message does not stop the rest.
///     if let Err(error) = handle(message) {
///         eprintln!("{error}");
///     }
/// }
///
/// fn handle(message: Message) -> cdonts::Result<()> {
///     println!("{} from {}", message.subject(), message.sender());
///     println!("{}", message.text()?);
///     message.delete()
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Message(Arc<Inner>);

struct Inner {
    stored: Arc<dyn StoredMessage>,
    session: Option<Session>,
    sender: AddressEntry,
    reading: Reading,
    /// What a listing shows could be read.
    is_known: bool,
}

/// What is shown of a message of which nothing could be read.
static UNKNOWN: LazyLock<Summary> = LazyLock::new(Summary::default);

impl Message {
    pub(crate) fn new(
        stored: Arc<dyn StoredMessage>,
        session: Option<Session>,
        limits: &Limits,
    ) -> Self {
        let reading = Reading::new(
            Origin::Stored(Arc::clone(&stored)),
            stored.is_dot_stuffed(),
            limits.clone(),
        );
        let summary = stored.summary();
        Self(Arc::new(Inner {
            is_known: summary.is_ok(),
            sender: summary.map_or_else(
                |_| AddressEntry::default(),
                |found| found.sender.clone().into(),
            ),
            reading,
            stored,
            session,
        }))
    }

    fn summary(&self) -> &Summary {
        let inner = &self.0;
        let known = inner
            .is_known
            .then(|| inner.stored.summary().ok())
            .flatten();
        known.unwrap_or(&UNKNOWN)
    }

    /// Nobody may delete what he could not see: a rule of his for it may have judged nothing.
    pub(crate) fn check_known(&self) -> Result<()> {
        if self.0.is_known {
            return Ok(());
        }
        let message = "the message could not be read when it was listed, and is not deleted \
                       unseen; list the Inbox again";
        Err(Error::new(ErrorKind::Network, message).with_path(self.0.stored.path()))
    }

    pub(crate) fn reading(&self) -> &Reading {
        &self.0.reading
    }

    /// The session that sees it; `None` for an unclaimed message.
    #[doc(alias = "Message.Session")]
    #[doc(alias = "Message.Parent")]
    pub fn session(&self) -> Option<&Session> {
        self.0.session.as_ref()
    }

    /// The From field: what the sender claims to be.
    #[doc(alias = "Message.Sender")]
    #[doc(alias = "AddressEntry.Parent")]
    #[doc(alias = "AddressEntry.Session")]
    pub fn sender(&self) -> &AddressEntry {
        &self.0.sender
    }

    /// The subject, decoded; may be empty.
    #[doc(alias = "Message.Subject")]
    pub fn subject(&self) -> &str {
        &self.summary().subject
    }

    /// When the server received it: the newest `Received` field, else the time of the file.
    #[doc(alias = "Message.TimeReceived")]
    pub fn time_received(&self) -> SystemTime {
        self.summary().received.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Octets of the source as a reader sees it; in a dot-stuffed drop doubled dots count.
    #[doc(alias = "Message.Size")]
    pub fn size(&self) -> u64 {
        self.summary().size
    }

    /// The reverse-path of the envelope (RFC 5321) without brackets: who gets an error report.
    /// Empty for reports and other automatic mail, and when the mail server did not write it.
    pub fn reverse_path(&self) -> &str {
        &self.summary().reverse_path
    }

    pub(crate) fn has_null_reverse_path(&self) -> bool {
        self.summary().has_null_reverse_path
    }

    /// The address of the envelope under which the session got it, as the mail server wrote it; in
    /// a mailbox of its own where none is written, the session's. Empty for an [unclaimed](crate::MailServer::unclaimed) message.
    pub fn delivered_to(&self) -> &str {
        let written = &self.summary().delivered_to;
        match &self.0.session {
            Some(session) if written.is_empty() => session.address(),
            _ => written,
        }
    }

    /// What names it in its store: the file below the drop directory, in a Maildir with `new/` or
    /// `cur/`; in a POP3 mailbox its unique id (UIDL), in an IMAP mailbox UIDVALIDITY and UID.
    pub fn file_name(&self) -> PathBuf {
        self.0.stored.name()
    }

    /// The recipients in To and Cc, as the sender wrote them.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    #[doc(alias = "Message.Recipients")]
    #[doc(alias = "Recipients.Parent")]
    #[doc(alias = "Recipients.Session")]
    #[doc(alias = "Recipient.Parent")]
    #[doc(alias = "Recipient.Session")]
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

    /// The importance by Importance or X-Priority; normal without either.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    #[doc(alias = "Message.Importance")]
    pub fn importance(&self) -> Result<Importance> {
        self.0.reading.importance()
    }

    /// The Date field; `None` when there is none or it holds no date.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    #[doc(alias = "Message.TimeSent")]
    pub fn time_sent(&self) -> Result<Option<SystemTime>> {
        self.0.reading.time_sent()
    }

    /// The text for a person to read: made from the HTML when only that was sent, lines that flow
    /// on joined (RFC 3676), without the files that stand uuencoded in it.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    #[doc(alias = "Message.Text")]
    pub fn text(&self) -> Result<String> {
        self.0.reading.text()
    }

    /// The HTML; made from the text when only that was sent. It is the sender's: before it is
    /// shown in a page of your own, a sanitizer must clean it.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    #[doc(alias = "HTMLText")]
    #[doc(alias = "Message.HTMLText")]
    pub fn html_text(&self) -> Result<String> {
        self.0.reading.html_text()
    }

    /// The text as it was sent; `None` when none was.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    pub fn text_part(&self) -> Result<Option<String>> {
        self.0.reading.text_part()
    }

    /// The HTML as it was sent; `None` when none was.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    pub fn html_part(&self) -> Result<Option<String>> {
        self.0.reading.html_part()
    }

    /// The Content-ID of the message or its HTML, without brackets.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    #[doc(alias = "Message.ContentID")]
    pub fn content_id(&self) -> Result<Option<String>> {
        self.0.reading.content_id()
    }

    /// The Content-Location (RFC 2557) of the message or its HTML: what the URLs in the HTML are
    /// relative to. A Content-Base (RFC 2110) is resolved in it.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    #[doc(alias = "Message.ContentLocation")]
    pub fn content_location(&self) -> Result<Option<String>> {
        self.0.reading.content_location()
    }

    /// The Content-Base (RFC 2110) of the message or its HTML, which newer mail does not have.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    #[doc(alias = "Message.ContentBase")]
    pub fn content_base(&self) -> Result<Option<String>> {
        self.0.reading.content_base()
    }

    /// The attachments, not read yet.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    #[doc(alias = "Message.Attachments")]
    #[doc(alias = "Attachments.Parent")]
    #[doc(alias = "Attachments.Session")]
    #[doc(alias = "Attachment.Parent")]
    #[doc(alias = "Attachment.Session")]
    pub fn attachments(&self) -> Result<Attachments> {
        self.0.reading.attachments()
    }

    /// All the parts it is made of, in order; the first is the message itself.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    pub fn parts(&self) -> Result<Vec<MessagePart>> {
        self.0.reading.parts()
    }

    /// The header fields, in order.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    pub fn headers(&self) -> Result<Headers> {
        self.0.reading.headers()
    }

    /// What is wrong with the message and was read as well as it could be. Reads the text and
    /// every encoded attachment to the end, to know.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    pub fn problems(&self) -> Result<Vec<Problem>> {
        self.0.reading.problems()
    }

    /// Writes the source, without what the mail server put on top for the delivery and without
    /// `Bcc`; returns how many octets it has.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit, and when the writer fails.
    pub fn write_to(&self, to: &mut dyn Write) -> Result<u64> {
        self.0.reading.write_to(to)
    }

    /// Deletes the message for the session's address. When its file is for others too, they keep
    /// it; the last one to delete it removes the file.
    ///
    /// # Errors
    /// [`MessageGone`](crate::ErrorKind::MessageGone) when it was deleted already,
    /// [`NoAccess`](crate::ErrorKind::NoAccess) when the drop or the state directory cannot be
    /// written to. After an error the message is still there.
    #[doc(alias = "Message.Delete")]
    pub fn delete(self) -> Result<()> {
        self.check_known()?;
        self.0.stored.delete()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("file_name", &self.file_name())
            .field("subject", &self.subject())
            .finish_non_exhaustive()
    }
}
