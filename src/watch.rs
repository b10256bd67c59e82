//! Waiting for new messages.
//!
//! What the system tells is a hint, never the truth: it may come late, twice or not at all. Every
//! hint leads to a look at the folder, and so does the clock.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::error::{ErrorKind, Result};
use crate::folder::Inbox;
use crate::message::Message;
use crate::stream::{Cursor, Since};

/// Where the system tells of changes, a look is taken this often nevertheless.
const SELDOM: Duration = Duration::from_secs(5);
/// Where it does not.
const OFTEN: Duration = Duration::from_millis(250);

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
    hints: Receiver<()>,
    /// Held: it tells as long as it lives. `None` where the system tells nothing.
    watcher: Option<RecommendedWatcher>,
}

/// What was given out or was there before.
enum Known {
    Until(Cursor),
    /// Without an index: the files, with what tells a new one of an old name.
    Files(HashSet<(PathBuf, u64, u64)>),
}

fn file_of(message: &Message) -> (PathBuf, u64, u64) {
    let stamp = message.stamp();
    (message.file_name(), stamp.inode, stamp.size)
}

impl Watch {
    pub(crate) fn new(inbox: &Inbox) -> Result<Self> {
        // One hint that waits is enough: what it leads to is a look at everything.
        let (tell, hints) = sync_channel(1);
        let session = inbox.session();
        let store = session.server().drop_store()?;
        let watcher = notify::recommended_watcher(move |_| {
            // One that waits already is enough.
            let _ = tell.try_send(());
        })
        .and_then(|mut watcher| {
            for dir in store.directories() {
                watcher.watch(dir, RecursiveMode::NonRecursive)?;
            }
            Ok(watcher)
        })
        .ok();
        // The watcher is at work before the first look: nothing falls between the two.
        let seen = match Since::newest(session) {
            Ok(cursor) => Known::Until(cursor),
            Err(error) if error.kind() == ErrorKind::NotSupported => Known::Files(
                inbox
                    .messages()?
                    .iter()
                    .map(|message| file_of(&message))
                    .collect(),
            ),
            Err(error) => return Err(error),
        };
        Ok(Self {
            inbox: inbox.clone(),
            seen,
            ready: VecDeque::new(),
            hints,
            watcher,
        })
    }

    /// The next new message, if one comes in that time.
    ///
    /// # Errors
    /// As [`messages`](Inbox::messages); the next call tries again.
    pub fn next_within(&mut self, time: Duration) -> Result<Option<Message>> {
        let begin = Instant::now();
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(Some(message));
            }
            self.look()?;
            let left = time.saturating_sub(begin.elapsed());
            if self.ready.is_empty() && left.is_zero() {
                return Ok(None);
            }
            if self.ready.is_empty() {
                self.wait(left);
            }
        }
    }

    fn wait(&mut self, most: Duration) {
        let pause = if self.watcher.is_some() {
            SELDOM
        } else {
            OFTEN
        };
        match self.hints.recv_timeout(pause.min(most)) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                self.watcher = None;
                std::thread::sleep(OFTEN.min(most));
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
            Known::Files(files) => {
                let messages = self.inbox.messages()?;
                let now: HashSet<_> = messages.iter().map(|message| file_of(&message)).collect();
                let new = messages
                    .iter()
                    .filter(|message| !files.contains(&file_of(message)));
                self.ready.extend(new);
                *files = now;
            }
        }
        Ok(())
    }
}

impl Iterator for Watch {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Result<Message>> {
        loop {
            match self.next_within(SELDOM) {
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
            .field("is_told", &self.watcher.is_some())
            .finish_non_exhaustive()
    }
}
