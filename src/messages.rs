//! A snapshot of a folder's messages.

use std::iter::FusedIterator;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{ErrorKind, Problem, Result};
use crate::folder::Inbox;
use crate::limits::Limits;
use crate::message::Message;
use crate::session::Session;
use crate::store::{Listing, Mailbox};

/// The messages of an Inbox as they were when it was asked (CDONTS `Messages`).
///
/// It does not grow or shrink: a message that somebody deletes meanwhile gives an error of kind
/// [`MessageGone`](ErrorKind::MessageGone) when it is opened. To see what is new, ask the Inbox
/// again.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # use cdonts::*;
/// # let server = MailServer::temporary()?;
/// # let session = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
/// let mut messages = session.inbox().messages()?;
/// for message in &messages {
///     println!("{}", message.subject());
/// }
/// // As in CDONTS:
/// let mut next = messages.get_first();
/// while let Some(message) = next {
///     println!("{}", message.subject());
///     next = messages.get_next();
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Messages {
    snapshot: Arc<Snapshot>,
    cursor: Cursor,
}

#[derive(Debug)]
struct Snapshot {
    mailbox: Arc<dyn Mailbox>,
    session: Option<Session>,
    listing: Listing,
    limits: Limits,
}

/// So many messages are deleted together: all there are, but of a large drop.
const TOGETHER: usize = 10_000;

#[derive(Clone, Copy, Debug)]
enum Cursor {
    /// No step was made yet.
    Unset,
    At(usize),
    BeforeFirst,
    AfterLast,
}

impl Snapshot {
    fn get(&self, index: usize) -> Option<Message> {
        let stored = self.listing.get(index)?;
        Some(Message::new(stored, self.session.clone(), &self.limits))
    }
}

impl Messages {
    pub(crate) fn new(
        mailbox: Arc<dyn Mailbox>,
        session: Option<&Session>,
        limits: &Limits,
    ) -> Result<Self> {
        Ok(Self {
            snapshot: Arc::new(Snapshot {
                listing: mailbox.list()?,
                mailbox,
                session: session.cloned(),
                limits: limits.clone(),
            }),
            cursor: Cursor::Unset,
        })
    }

    /// The session that asked for them; `None` for those of
    /// [`MailServer::unclaimed`](crate::MailServer::unclaimed).
    #[doc(alias = "Messages.Session")]
    pub fn session(&self) -> Option<&Session> {
        self.snapshot.session.as_ref()
    }

    /// The folder they are in: their parent in CDONTS.
    #[doc(alias = "Messages.Parent")]
    pub fn inbox(&self) -> Option<Inbox> {
        self.session().map(Session::inbox)
    }

    /// What tells each from all that ever were, without making them.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        let listing = &self.snapshot.listing;
        (0..listing.len()).filter_map(|at| Some(listing.get(at)?.key()))
    }

    /// Whether each is known by more than this listing.
    #[cfg(feature = "watch")]
    pub(crate) fn have_lasting_keys(&self) -> Result<bool> {
        let listing = &self.snapshot.listing;
        for stored in (0..listing.len()).filter_map(|at| listing.get(at)) {
            if !stored.has_lasting_key()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How many there are.
    #[doc(alias = "Messages.Count")]
    pub fn len(&self) -> usize {
        self.snapshot.listing.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The message at `index`, from 0 (CDONTS counts from 1).
    #[doc(alias = "Messages.Item")]
    pub fn get(&self, index: usize) -> Option<Message> {
        self.snapshot.get(index)
    }

    /// All of them, in order; each is made when the iterator comes to it.
    pub fn iter(&self) -> MessagesIter {
        MessagesIter {
            snapshot: Arc::clone(&self.snapshot),
            range: 0..self.len(),
        }
    }

    /// The first message, to which the cursor moves.
    #[doc(alias = "GetFirst")]
    pub fn get_first(&mut self) -> Option<Message> {
        self.step_to(Some(0), Cursor::AfterLast)
    }

    /// The last message, to which the cursor moves.
    #[doc(alias = "GetLast")]
    pub fn get_last(&mut self) -> Option<Message> {
        self.step_to(self.len().checked_sub(1), Cursor::BeforeFirst)
    }

    /// The message after the cursor; the first one when the cursor has not moved yet.
    #[doc(alias = "GetNext")]
    pub fn get_next(&mut self) -> Option<Message> {
        match self.cursor {
            Cursor::Unset | Cursor::BeforeFirst => self.get_first(),
            Cursor::At(index) => self.step_to(index.checked_add(1), Cursor::AfterLast),
            Cursor::AfterLast => None,
        }
    }

    /// The message before the cursor; the last one when the cursor has not moved yet.
    #[doc(alias = "GetPrevious")]
    pub fn get_previous(&mut self) -> Option<Message> {
        match self.cursor {
            Cursor::Unset | Cursor::AfterLast => self.get_last(),
            Cursor::At(index) => self.step_to(index.checked_sub(1), Cursor::BeforeFirst),
            Cursor::BeforeFirst => None,
        }
    }

    fn step_to(&mut self, index: Option<usize>, beyond: Cursor) -> Option<Message> {
        let found = index.and_then(|index| Some((index, self.get(index)?)));
        self.cursor = match &found {
            Some((index, _)) => Cursor::At(*index),
            None => beyond,
        };
        found.map(|(_, message)| message)
    }

    /// Deletes all messages of this snapshot, and none that came since; returns how many.
    /// What somebody else has deleted meanwhile does not count.
    ///
    /// # Errors
    /// The first failure, after all were tried.
    #[doc(alias = "Messages.Delete")]
    pub fn delete_all(&mut self) -> Result<usize> {
        let (mut deleted, mut failed) = (0, None);
        let listing = &self.snapshot.listing;
        let mut rest = 0..listing.len();
        loop {
            let some: Vec<_> = rest.by_ref().take(TOGETHER).collect();
            if some.is_empty() {
                break;
            }
            let stored: Vec<_> = some.iter().filter_map(|&at| listing.get(at)).collect();
            for result in self.snapshot.mailbox.delete(&stored) {
                match result {
                    Ok(()) => deleted += 1,
                    Err(error) if error.kind() == ErrorKind::MessageGone => {}
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
        }
        failed.map_or(Ok(deleted), Err)
    }

    /// What is wrong with messages of this snapshot that is known without opening them, by file.
    pub fn problems(&self) -> &[Problem] {
        &self.snapshot.listing.problems
    }

    /// How many files of the drop could not be judged when the snapshot was made: some may be the
    /// session's. Their names are for the owner: see [`MailServer::problems`](crate::MailServer::problems).
    pub fn unreadable(&self) -> usize {
        self.snapshot.listing.unreadable
    }
}

impl IntoIterator for Messages {
    type Item = Message;
    type IntoIter = MessagesIter;

    fn into_iter(self) -> MessagesIter {
        self.iter()
    }
}

impl IntoIterator for &Messages {
    type Item = Message;
    type IntoIter = MessagesIter;

    fn into_iter(self) -> MessagesIter {
        self.iter()
    }
}

/// Iterates over [`Messages`], from both ends.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # use cdonts::*;
/// # let server = MailServer::temporary()?;
/// # let session = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
/// let newest_first = session.inbox().messages()?.iter().rev();
/// assert_eq!(newest_first.count(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MessagesIter {
    snapshot: Arc<Snapshot>,
    range: Range<usize>,
}

impl Iterator for MessagesIter {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        self.snapshot.get(self.range.next()?)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl DoubleEndedIterator for MessagesIter {
    fn next_back(&mut self) -> Option<Message> {
        self.snapshot.get(self.range.next_back()?)
    }
}

impl ExactSizeIterator for MessagesIter {}
impl FusedIterator for MessagesIter {}
