//! Waiting for new messages.
//!
//! What tells that something came is a hint, never the truth: every hint leads to a look at the
//! folder, and so does the clock.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::folder::Inbox;
use crate::message::Message;
use crate::store::Waiter;
use crate::stream::{Cursor, Since};

/// So long one step of the iterator that does not end takes.
const STEP: Duration = Duration::from_mins(5);

/// New messages of an Inbox, as they become complete: see [`Inbox::watch`].
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # use cdonts::*;
/// use std::time::Duration;
///
/// # let server = MailServer::temporary()?;
/// # let session = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
/// let mut watch = session.inbox().watch()?;
/// # NewMail::new(&server).from("a@example.com").to("jane@example.com").subject("new").send()?;
/// let message = watch.next_within(Duration::from_secs(10))?.expect("it came");
/// assert_eq!(message.subject(), "new");
/// assert!(watch.next_within(Duration::ZERO)?.is_none());
/// # Ok(())
/// # }
/// ```
pub struct Watch {
    inbox: Inbox,
    seen: Known,
    ready: VecDeque<Message>,
    waiter: Box<dyn Waiter>,
    /// The last look failed: the next one does not come at once.
    has_failed: bool,
}

/// A fault that lasts must not keep a processor busy.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What was given out or was there before.
enum Known {
    Until(Cursor),
    /// Without a lasting order: all of them.
    Keys(HashSet<Vec<u8>>),
}

impl Watch {
    pub(crate) fn new(inbox: &Inbox) -> Result<Self> {
        let session = inbox.session();
        // It is at work before the first look: nothing falls between the two.
        let waiter = session.mailbox()?.waiter();
        let seen = match Since::newest(session) {
            Ok(cursor) => Known::Until(cursor),
            Err(error) if error.kind() == ErrorKind::NotSupported => {
                let messages = inbox.messages()?;
                if !messages.have_lasting_keys()? {
                    let message = "this mailbox gives its messages no ids by which new ones could \
                                   be told from old ones";
                    return Err(Error::new(ErrorKind::NotSupported, message));
                }
                Known::Keys(messages.keys().collect())
            }
            Err(error) => return Err(error),
        };
        Ok(Self {
            inbox: inbox.clone(),
            seen,
            ready: VecDeque::new(),
            waiter,
            has_failed: false,
        })
    }

    /// The next new message, if one comes in that time.
    ///
    /// # Errors
    /// As [`messages`](Inbox::messages); the next call tries again, a second later if it has the time.
    pub fn next_within(&mut self, time: Duration) -> Result<Option<Message>> {
        let begin = Instant::now();
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(Some(message));
            }
            if self.has_failed {
                let left = time.saturating_sub(begin.elapsed());
                std::thread::sleep(AFTER_FAILURE.min(left));
            }
            let looked = self.look();
            self.has_failed = looked.is_err();
            looked?;
            let left = time.saturating_sub(begin.elapsed());
            if self.ready.is_empty() && left.is_zero() {
                return Ok(None);
            }
            if self.ready.is_empty() {
                self.waiter.wait(left);
            }
        }
    }

    fn look(&mut self) -> Result<()> {
        match &mut self.seen {
            Known::Until(cursor) => {
                let since = self.inbox.messages_since(cursor)?;
                *cursor = since.cursor;
                self.ready.extend(since.messages);
            }
            Known::Keys(seen) => {
                let messages = self.inbox.messages()?;
                if !messages.have_lasting_keys()? {
                    let message = "the mailbox does not tell which messages are new";
                    return Err(Error::new(ErrorKind::Network, message));
                }
                let mut now = HashSet::new();
                for (at, key) in messages.keys().enumerate() {
                    if !seen.contains(&key) {
                        self.ready.extend(messages.get(at));
                    }
                    now.insert(key);
                }
                *seen = now;
            }
        }
        Ok(())
    }
}

impl Iterator for Watch {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Result<Message>> {
        loop {
            match self.next_within(STEP) {
                Ok(None) => {}
                Ok(Some(message)) => return Some(Ok(message)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("inbox", &self.inbox)
            .finish_non_exhaustive()
    }
}
