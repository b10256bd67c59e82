//! Reading a folder a few messages at a time, and only what is new in it.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::message::Message;
use crate::session::Session;
use crate::store::{DropOrigin, DropStore, Entry, Page, Position, Whose};

/// So many messages are held at once.
const PAGE: usize = 256;

fn message(store: &Arc<DropStore>, session: &Session, entry: Arc<Entry>) -> Message {
    let origin = DropOrigin {
        store: Arc::clone(store),
        entry,
        reader: Some(session.key().to_owned()),
    };
    Message::new(origin, Some(session.clone()))
}

/// The messages of an Inbox one after the other: [`Inbox::stream`](crate::Inbox::stream) and
/// [`Inbox::newest_first`](crate::Inbox::newest_first).
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # let server = cdonts::MailServer::temporary()?;
/// # let session = cdonts::Session::logon_smtp(&server, "Jane", "jane@example.com")?;
/// let newest = session.inbox().newest_first()?.next();
/// assert!(newest.is_none());
/// # Ok(())
/// # }
/// ```
pub struct MessageStream {
    store: Arc<DropStore>,
    session: Session,
    backwards: bool,
    held: VecDeque<Arc<Entry>>,
    end: Option<Position>,
    is_last: bool,
}

impl MessageStream {
    pub(crate) fn open(session: &Session, backwards: bool) -> Result<Self> {
        let store = session.server().drop_store()?;
        let whose = Whose::Address(session.key());
        let mut stream = Self {
            store: Arc::clone(store),
            session: session.clone(),
            backwards,
            held: VecDeque::new(),
            end: None,
            is_last: true,
        };
        match store.page(whose, None, backwards, PAGE, true) {
            Some(page) => stream.hold(page?),
            // Without an index all are read anyway.
            None => {
                let mut entries = store.scan(whose)?.entries;
                if backwards {
                    entries.reverse();
                }
                stream.held = entries.into();
            }
        }
        Ok(stream)
    }

    fn hold(&mut self, page: Page) {
        self.held = page.entries.into();
        self.end = page.end;
        self.is_last = page.is_last;
    }

    fn fill(&mut self) -> Result<()> {
        while self.held.is_empty() && !self.is_last {
            let whose = Whose::Address(self.session.key());
            let end = self.end.as_ref();
            // A page behind a place that this index does not know would begin again.
            let page = self.store.page(whose, end, self.backwards, PAGE, false);
            let page = page.transpose()?.filter(|page| match (&page.end, end) {
                (Some(new), Some(old)) => new.index == old.index,
                _ => true,
            });
            let Some(page) = page else {
                self.is_last = true;
                let message = "the index was made anew while the folder was read; begin again";
                return Err(Error::new(ErrorKind::Corrupt, message));
            };
            self.hold(page);
        }
        Ok(())
    }
}

impl Iterator for MessageStream {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Result<Message>> {
        if let Err(error) = self.fill() {
            return Some(Err(error));
        }
        let entry = self.held.pop_front()?;
        Some(Ok(message(&self.store, &self.session, entry)))
    }
}

impl fmt::Debug for MessageStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageStream")
            .field("backwards", &self.backwards)
            .finish_non_exhaustive()
    }
}

/// A place in an Inbox: what came before it was given out already. It is text, to be kept between
/// two runs of a program ([`Display`](fmt::Display) and [`FromStr`]).
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// let cursor: cdonts::Cursor = "".parse()?; // from the beginning
/// assert_eq!(cursor, cdonts::Cursor::default());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor(Option<Position>);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = self.0.iter().flat_map(|at| at.index.iter().chain(&at.key));
        for octet in octets {
            write!(f, "{octet:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = || Error::new(ErrorKind::InvalidValue, "this is no cursor of an Inbox");
        if text.is_empty() {
            return Ok(Self(None));
        }
        let octets = text.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            let is_hex = pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_hex.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
        });
        let octets: Vec<u8> = octets.collect::<Option<_>>().ok_or_else(refused)?;
        let (index, key) = octets.split_at_checked(16).ok_or_else(refused)?;
        Ok(Self(Some(Position {
            index: index.try_into().map_err(|_| refused())?,
            key: key.to_vec(),
        })))
    }
}

fn no_index() -> Error {
    let message = "a cursor needs the index: the feature `index` and a state directory";
    Error::new(ErrorKind::NotSupported, message)
}

/// What came since a [`Cursor`]: see [`Inbox::messages_since`](crate::Inbox::messages_since).
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # let server = cdonts::MailServer::temporary()?;
/// # let session = cdonts::Session::logon_smtp(&server, "Jane", "jane@example.com")?;
/// let since = session.inbox().messages_since(&cdonts::Cursor::default())?;
/// assert!(since.messages.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Since {
    /// The messages, in the order in which they were first seen.
    pub messages: Vec<Message>,
    /// Behind the last of them.
    pub cursor: Cursor,
}

impl Since {
    /// The place behind the newest message.
    #[cfg(feature = "watch")]
    pub(crate) fn newest(session: &Session) -> Result<Cursor> {
        let store = session.server().drop_store()?;
        let whose = Whose::Address(session.key());
        let page = store
            .page(whose, None, true, 1, true)
            .ok_or_else(no_index)??;
        Ok(Cursor(page.end))
    }

    pub(crate) fn read(session: &Session, cursor: &Cursor) -> Result<Self> {
        let store = session.server().drop_store()?;
        let whose = Whose::Address(session.key());
        let mut since = Self {
            messages: Vec::new(),
            cursor: cursor.clone(),
        };
        let mut looks = true;
        loop {
            let from = since.cursor.0.as_ref();
            let page = store
                .page(whose, from, false, PAGE, looks)
                .ok_or_else(no_index)??;
            let entries = page.entries.into_iter();
            since
                .messages
                .extend(entries.map(|entry| message(store, session, entry)));
            since.cursor = Cursor(page.end);
            if page.is_last {
                return Ok(since);
            }
            looks = false;
        }
    }
}
