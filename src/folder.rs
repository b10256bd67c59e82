//! The two folders: Inbox and Outbox.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::draft::Draft;
use crate::error::{Error, ErrorKind, Result, SendError};
use crate::message::Message;
use crate::messages::Messages;
use crate::sent::Sent;
use crate::session::Session;
use crate::stream::{Cursor, MessageStream, Since};

/// Which folder (`CdoFolderTypes`).
///
/// ```
/// assert_eq!(cdonts::FolderType::Outbox as i32, 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "CdoFolderTypes")]
pub enum FolderType {
    /// `CdoDefaultFolderInbox`, 1.
    Inbox = 1,
    /// `CdoDefaultFolderOutbox`, 2.
    Outbox = 2,
}

/// One of the two folders (CDONTS `Folder`).
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # use cdonts::*;
/// # let server = MailServer::temporary()?;
/// # let session = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
/// let folder = session.get_default_folder(FolderType::Inbox);
/// assert_eq!(folder.name(), "Inbox");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub enum Folder {
    /// The Inbox.
    Inbox(Inbox),
    /// The Outbox.
    Outbox(Outbox),
}

impl Folder {
    /// The display name: `Inbox` or `Outbox`.
    #[doc(alias = "Folder.Name")]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Inbox(inbox) => inbox.name(),
            Self::Outbox(outbox) => outbox.name(),
        }
    }
}

impl Folder {
    /// The session that it is of: its parent in CDONTS.
    #[doc(alias = "Folder.Parent")]
    #[doc(alias = "Folder.Session")]
    pub fn session(&self) -> &Session {
        match self {
            Self::Inbox(inbox) => inbox.session(),
            Self::Outbox(outbox) => outbox.session(),
        }
    }
}

/// The received messages of a session's address, and of no other.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # use cdonts::*;
/// # let server = MailServer::temporary()?;
/// # let session = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
/// let inbox = session.inbox();
/// println!("{} messages", inbox.messages()?.len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Inbox(Session);

impl Inbox {
    pub(crate) fn new(session: Session) -> Self {
        Self(session)
    }

    /// The session that it is of: its parent in CDONTS.
    #[doc(alias = "Folder.Parent")]
    #[doc(alias = "Folder.Session")]
    pub fn session(&self) -> &Session {
        &self.0
    }

    /// The display name, `Inbox`.
    #[doc(alias = "Folder.Name")]
    pub fn name(&self) -> &'static str {
        "Inbox"
    }

    /// The messages there are now, oldest first: of a directory by the time of their files and then
    /// by name.
    ///
    /// Looks once. Where its writer writes in place (see [`Writer`](crate::Writer)) the
    /// first look waits until new files have stood still, one second by default.
    ///
    /// # Errors
    /// When the server has no drop, or the drop or the state directory cannot be read. A file that
    /// cannot be read does not fail the others: see [`Messages::problems`].
    #[doc(alias = "Folder.Messages")]
    pub fn messages(&self) -> Result<Messages> {
        let limits = &self.0.server().spool().limits;
        Messages::new(self.0.mailbox()?, Some(&self.0), limits)
    }

    /// How many messages there are, without reading them: with an index a look-up.
    ///
    /// # Errors
    /// As [`messages`](Inbox::messages).
    pub fn count(&self) -> Result<u64> {
        self.0.mailbox()?.count()
    }

    /// All messages, oldest first, however many: a few at a time are held. One that comes while it
    /// runs is among them, one that is deleted meanwhile fails when it is opened.
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// # let server = cdonts::MailServer::temporary()?;
    /// # let session = cdonts::Session::logon_smtp(&server, "Jane", "jane@example.com")?;
    /// for message in session.inbox().stream()? {
    ///     println!("{}", message?.subject());
    /// }
    /// // The ten newest, without reading the rest:
    /// for message in session.inbox().newest_first()?.take(10) {
    ///     println!("{}", message?.subject());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`messages`](Inbox::messages).
    pub fn stream(&self) -> Result<MessageStream> {
        MessageStream::open(&self.0, false)
    }

    /// The same from the newest message on.
    ///
    /// # Errors
    /// As [`messages`](Inbox::messages).
    pub fn newest_first(&self) -> Result<MessageStream> {
        MessageStream::open(&self.0, true)
    }

    /// Waits for messages that come from now on: an iterator that does not end and yields each when
    /// it is complete. The system tells of them where it can (inotify and its like), and where it
    /// does not, or loses count, a look every few seconds finds them all the same.
    ///
    /// ```no_run
    /// # fn main() -> cdonts::Result<()> {
    /// # let server = cdonts::MailServer::temporary()?;
    /// # let session = cdonts::Session::logon_smtp(&server, "Jane", "jane@example.com")?;
    /// for message in session.inbox().watch()? {
    ///     println!("{}", message?.subject());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`messages`](Inbox::messages).
    #[cfg(feature = "watch")]
    pub fn watch(&self) -> Result<crate::watch::Watch> {
        crate::watch::Watch::new(self)
    }

    /// The messages that came since a cursor was given out, in the order in which they were first
    /// seen, and the cursor for the next time. Neither a clock nor a file that is put there late
    /// can hide one. The first time, take `Cursor::default()`. A cursor of another index, which
    /// was made since because the old one was lost, begins anew: all messages come once more.
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// # use cdonts::*;
    /// # let server = MailServer::temporary()?;
    /// # let session = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
    /// let mut cursor = Cursor::default();
    /// # NewMail::new(&server).from("a@example.com").to("jane@example.com").subject("1").send()?;
    /// let since = session.inbox().messages_since(&cursor)?;
    /// assert_eq!(since.messages.len(), 1);
    /// cursor = since.cursor;
    /// assert_eq!(session.inbox().messages_since(&cursor)?.messages.len(), 0);
    /// let stored: String = cursor.to_string(); // and later
    /// assert_eq!(stored.parse::<Cursor>()?, cursor);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NotSupported`](ErrorKind::NotSupported) without an index: the feature `index` is off, or
    /// there is no state directory. Else as [`messages`](Inbox::messages).
    pub fn messages_since(&self, cursor: &Cursor) -> Result<Since> {
        Since::read(&self.0, cursor)
    }

    /// Waits for a message that `accept` takes, also among those that are there already. It is asked
    /// about each message once.
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// # use cdonts::*;
    /// # use std::time::Duration;
    /// # let server = MailServer::temporary()?;
    /// NewMail::new(&server).from("a@example.com").to("jane@example.com").subject("Welcome").send()?;
    /// let jane = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
    /// let timeout = Duration::from_secs(1);
    /// let welcome = jane.inbox().wait_for_message(|m| m.subject() == "Welcome", timeout)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`TimedOut`](ErrorKind::TimedOut) when none came within `timeout`; else as
    /// [`messages`](Inbox::messages).
    pub fn wait_for_message(
        &self,
        mut accept: impl FnMut(&Message) -> bool,
        timeout: Duration,
    ) -> Result<Message> {
        let begin = Instant::now();
        let (mut refused, mut waiter) = (HashSet::new(), None);
        loop {
            let messages = self.messages()?;
            for (at, key) in messages.keys().enumerate() {
                if !refused.contains(&key) {
                    if let Some(message) = messages.get(at).filter(&mut accept) {
                        return Ok(message);
                    }
                    refused.insert(key);
                }
            }
            let left = timeout.saturating_sub(begin.elapsed());
            if left.is_zero() {
                let message = "no such message came in time";
                return Err(Error::new(ErrorKind::TimedOut, message));
            }
            match &mut waiter {
                // What comes before it is at work is seen by another look.
                none @ None => *none = Some(self.0.mailbox()?.waiter()),
                Some(waiter) => waiter.wait(left),
            }
        }
    }
}

/// Where a session composes and sends messages. It always looks empty: what is sent is at the mail
/// server, or in the Inbox of a local recipient, when [`Draft::send`] returns.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # use cdonts::*;
/// # let server = MailServer::temporary()?;
/// # let session = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
/// let messages = session.outbox().messages();
/// let mut draft = messages.add("Subject", "Text");
/// draft.recipients_mut().add("", "joe@example.com", RecipientType::To);
/// draft.send()?;
/// assert_eq!(messages.len(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Outbox(Session);

impl Outbox {
    pub(crate) fn new(session: Session) -> Self {
        Self(session)
    }

    /// The session that it is of: its parent in CDONTS.
    #[doc(alias = "Folder.Parent")]
    #[doc(alias = "Folder.Session")]
    pub fn session(&self) -> &Session {
        &self.0
    }

    /// The display name, `Outbox`.
    #[doc(alias = "Folder.Name")]
    pub fn name(&self) -> &'static str {
        "Outbox"
    }

    /// The messages of the Outbox: none, but new ones can be added.
    #[doc(alias = "Folder.Messages")]
    pub fn messages(&self) -> OutboxMessages {
        OutboxMessages(self.0.clone())
    }

    /// Sends many messages together, which is several times faster than one by one: their syncs
    /// overlap, and the names of many are made durable at once. The answers stand in the order of
    /// the drafts; one that fails stops no other.
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// # use cdonts::*;
    /// # let server = MailServer::temporary()?;
    /// # let session = Session::logon_smtp(&server, "News", "news@example.com")?;
    /// let outbox = session.outbox();
    /// let drafts = ["jane@example.com", "joe@example.com"].map(|address| {
    ///     let mut draft = outbox.messages().add("News", "There is some.");
    ///     draft.recipients_mut().add("", address, RecipientType::To);
    ///     draft
    /// });
    /// for result in outbox.send_all(drafts) {
    ///     match result {
    ///         Ok(sent) => println!("{}", sent.message_id()),
    ///         Err(error) => eprintln!("{error}"), // and error.into_draft() to try it again
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_all(
        &self,
        drafts: impl IntoIterator<Item = Draft>,
    ) -> Vec<Result<Sent, SendError>> {
        crate::draft::send_all(drafts.into_iter().collect())
    }
}

/// The messages of the Outbox: a place to begin a [`Draft`] at.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # use cdonts::*;
/// # let server = MailServer::temporary()?;
/// # let session = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
/// let draft = session.outbox().messages().add("Ticket 4711", "We are looking into it.");
/// assert_eq!(draft.subject(), "Ticket 4711");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OutboxMessages(Session);

impl OutboxMessages {
    /// Begins a message from the session's name and address; subject and text may be empty.
    #[doc(alias = "Messages.Add")]
    pub fn add(&self, subject: impl Into<String>, text: impl Into<String>) -> Draft {
        Draft::of_session(&self.0, subject.into(), text.into())
    }

    /// Always 0.
    #[doc(alias = "Messages.Count")]
    pub fn len(&self) -> usize {
        0
    }

    /// Always true.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
