//! What every store of received messages promises, wherever the messages are.
//!
//! A program sees the same objects whether its Inbox is a drop directory, a Maildir, a POP3 or an
//! IMAP mailbox or something of its own: each is a [`Store`].

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::drop_mailbox::DropEntries;
use super::entry::Summary;
use crate::credentials::Credentials;
use crate::error::{Problem, Result};
use crate::format::bytes::MessageBytes;
use crate::limits::Limits;
use crate::state::State;

/// Where received messages are: what [`MailServerBuilder::inbox`] takes.
///
/// Whoever implements it tells what there is, opens it and deletes it; folders, messages, parsing,
/// watching and paging are the library's.
///
/// ```
/// use std::path::PathBuf;
/// use std::sync::Arc;
///
/// use cdonts::{
///     Error, ErrorKind, Listing, LogOn, MailServer, Mailbox, MessageBytes, Session, Store,
///     StoredMessage, Summary,
/// };
///
/// /// Everybody gets the same welcome, which cannot be deleted.
/// #[derive(Debug)]
/// struct Welcome;
///
/// #[derive(Debug)]
/// struct Letter(Summary);
///
/// const TEXT: &[u8] = b"From: us@example.com\r\nSubject: Welcome\r\n\r\nGood to have you.\r\n";
///
/// impl Store for Welcome {
///     fn open(&self, _: &LogOn<'_>) -> cdonts::Result<Arc<dyn Mailbox>> {
///         Ok(Arc::new(Welcome))
///     }
/// }
///
/// impl Mailbox for Welcome {
///     fn list(&self) -> cdonts::Result<Listing> {
///         let letter = Letter(Summary::of_message(TEXT, TEXT.len() as u64));
///         Ok(Listing::new(vec![Arc::new(letter)]))
///     }
/// }
///
/// impl StoredMessage for Letter {
///     fn name(&self) -> PathBuf {
///         "welcome".into()
///     }
///
///     fn summary(&self) -> cdonts::Result<&Summary> {
///         Ok(&self.0)
///     }
///
///     fn open(&self) -> cdonts::Result<Arc<dyn MessageBytes>> {
///         Ok(Arc::new(TEXT.to_vec()))
///     }
///
///     fn delete(&self) -> cdonts::Result<()> {
///         Err(Error::of_store(ErrorKind::NoAccess, "it stays"))
///     }
/// }
///
/// # fn main() -> cdonts::Result<()> {
/// let server = MailServer::builder().inbox(Welcome).open()?;
/// let session = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
/// let message = session.inbox().messages()?.get(0).expect("the letter");
/// assert_eq!(message.subject(), "Welcome");
/// assert_eq!(message.text()?, "Good to have you.\r\n");
/// # Ok(())
/// # }
/// ```
///
/// [`MailServerBuilder::inbox`]: crate::MailServerBuilder::inbox
pub trait Store: fmt::Debug + Send + Sync {
    /// Opens the mailbox of somebody who logs on.
    ///
    /// # Errors
    /// [`LogonFailed`](crate::ErrorKind::LogonFailed) when he may not, or is not who he says.
    fn open(&self, who: &LogOn<'_>) -> Result<Arc<dyn Mailbox>>;

    /// Whether `open` finds out that who logs on is who he says he is:
    /// [`Session::logon`](crate::Session::logon) refuses to work with a store that does not.
    fn authenticates(&self) -> bool {
        false
    }
}

/// Who logs on.
///
/// ```
/// # use cdonts::*;
/// fn is_ours(who: &LogOn<'_>) -> bool {
///     who.address().ends_with("@example.com")
/// }
/// ```
pub struct LogOn<'a> {
    pub(crate) address: &'a str,
    pub(crate) key: &'a str,
    pub(crate) credentials: Option<&'a Credentials>,
    pub(crate) limits: &'a Limits,
    #[cfg_attr(
        not(any(feature = "pop3", feature = "imap", feature = "maildir")),
        expect(dead_code, reason = "for those")
    )]
    pub(crate) state: &'a Arc<State>,
}

impl LogOn<'_> {
    /// The address, as it was given.
    pub fn address(&self) -> &str {
        self.address
    }

    /// The address in the form in which addresses compare: two with the same key are one mailbox.
    pub fn key(&self) -> &str {
        self.key
    }

    /// What proves who it is; `None` at [`logon_smtp`](crate::Session::logon_smtp).
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials
    }

    /// How much of a message may be read.
    pub fn limits(&self) -> &Limits {
        self.limits
    }
}

impl fmt::Debug for LogOn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogOn")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The messages of one user in a [`Store`].
///
/// An error never means that there is nothing: what cannot be known is an error.
pub trait Mailbox: fmt::Debug + Send + Sync {
    /// What there is now, the oldest first. A message that cannot be understood is there
    /// nevertheless.
    ///
    /// # Errors
    /// When it cannot be known.
    fn list(&self) -> Result<Listing>;

    /// How many messages there are.
    ///
    /// # Errors
    /// When it cannot be known.
    fn count(&self) -> Result<u64> {
        Ok(self.list()?.len() as u64)
    }

    /// Some messages of a lasting order, if this mailbox has one: it is what a
    /// [`Cursor`](crate::Cursor) is about.
    fn page(&self, request: &PageRequest<'_>) -> Option<Result<Page>> {
        let _ = request;
        None
    }

    /// Deletes messages of this mailbox; one result for each, in their order. Where a deletion
    /// costs more than its message it is cheaper for many at once.
    fn delete(&self, messages: &[Arc<dyn StoredMessage>]) -> Vec<Result<()>> {
        messages.iter().map(|message| message.delete()).collect()
    }

    /// What tells that there may be something new.
    fn waiter(&self) -> Box<dyn Waiter> {
        Box::new(Poll::every(Duration::from_secs(5)))
    }

    /// The session is over: what is held open for it can go.
    fn close(&self) {}
}

/// Waits for something new in a [`Mailbox`]. It is a hint: the folder is looked at after each.
pub trait Waiter: Send {
    /// Returns when there may be something new, at the latest after `most`.
    fn wait(&mut self, most: Duration);
}

/// Looks again after a while.
pub(super) struct Poll {
    pause: Duration,
    longest: Duration,
}

impl Poll {
    pub(super) fn every(time: Duration) -> Self {
        Self {
            pause: time,
            longest: time,
        }
    }

    /// At first soon, then more and more seldom, for what costs little.
    #[cfg(not(feature = "watch"))]
    pub(super) fn soon(longest: Duration) -> Self {
        Self {
            pause: Duration::from_millis(5),
            longest,
        }
    }
}

impl Waiter for Poll {
    fn wait(&mut self, most: Duration) {
        std::thread::sleep(self.pause.min(most));
        self.pause = self.longest.min(self.pause.saturating_mul(2));
    }
}

/// One message of a [`Mailbox`].
pub trait StoredMessage: fmt::Debug + Send + Sync {
    /// A name that no other message of the mailbox has.
    fn name(&self) -> PathBuf;

    /// What tells it from all that ever were and will be; its name by default.
    fn key(&self) -> Vec<u8> {
        self.name().into_os_string().into_encoded_bytes()
    }

    /// Whether the key tells it from others for longer than this listing; it does by default.
    ///
    /// # Errors
    /// When that cannot be found out now.
    fn has_lasting_key(&self) -> Result<bool> {
        Ok(true)
    }

    /// Where it is, for errors; its name by default.
    fn path(&self) -> PathBuf {
        self.name()
    }

    /// What a listing shows of it. Asked when it is given out, and afterwards for no cost.
    ///
    /// # Errors
    /// When it cannot be read, or is [gone](crate::ErrorKind::MessageGone).
    fn summary(&self) -> Result<&Summary>;

    /// Its octets, which stay good as long as they are held.
    ///
    /// # Errors
    /// As [`summary`](StoredMessage::summary).
    fn open(&self) -> Result<Arc<dyn MessageBytes>>;

    /// Whether a line that begins with a dot has it doubled.
    fn is_dot_stuffed(&self) -> bool {
        false
    }

    /// Deletes it. After `Ok` it is never shown again.
    ///
    /// # Errors
    /// [`MessageGone`](crate::ErrorKind::MessageGone) when somebody else has;
    /// [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) when it may have been done.
    fn delete(&self) -> Result<()>;
}

/// What a [`Mailbox`] holds at one moment, the oldest message first.
///
/// ```
/// let nothing = cdonts::Listing::new(Vec::new());
/// assert!(nothing.is_empty());
/// ```
#[derive(Debug)]
pub struct Listing {
    entries: Entries,
    pub(crate) problems: Vec<Problem>,
    pub(crate) unreadable: usize,
}

#[derive(Debug)]
enum Entries {
    Held(Vec<Arc<dyn StoredMessage>>),
    OfDrop(DropEntries),
}

impl Listing {
    /// These messages.
    pub fn new(messages: Vec<Arc<dyn StoredMessage>>) -> Self {
        Self {
            entries: Entries::Held(messages),
            problems: Vec::new(),
            unreadable: 0,
        }
    }

    pub(super) fn of_drop(entries: DropEntries, problems: Vec<Problem>, unreadable: usize) -> Self {
        Self {
            entries: Entries::OfDrop(entries),
            problems,
            unreadable,
        }
    }

    /// Says that so many things could not be judged: some may be messages of the mailbox.
    pub fn with_unreadable(mut self, count: usize) -> Self {
        self.unreadable = count;
        self
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        match &self.entries {
            Entries::Held(messages) => messages.len(),
            Entries::OfDrop(entries) => entries.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The message at `index`, from 0.
    pub fn get(&self, index: usize) -> Option<Arc<dyn StoredMessage>> {
        match &self.entries {
            Entries::Held(messages) => messages.get(index).map(Arc::clone),
            Entries::OfDrop(entries) => entries.get(index),
        }
    }
}

/// A place in the lasting order of a [`Mailbox`]: behind a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which order it is: of another one a place means nothing.
    pub order: [u8; 16],
    /// Where in it.
    pub place: Vec<u8>,
}

/// Which messages of the order a [`Mailbox::page`] is to give.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PageRequest<'a> {
    /// Those on one side of it; of a place of another order, or without one, from the end on.
    pub from: Option<&'a Position>,
    /// Those before it, the newest first.
    pub backwards: bool,
    /// So many at most.
    pub most: usize,
    /// Whether what is new is to be looked for first.
    pub looks: bool,
}

/// Some messages in their order.
#[derive(Debug, Default)]
pub struct Page {
    /// The messages.
    pub messages: Vec<Arc<dyn StoredMessage>>,
    /// Behind the last of them.
    pub end: Option<Position>,
    /// There are no more now.
    pub is_last: bool,
}
