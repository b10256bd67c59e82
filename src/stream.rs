//! Reading a folder a few messages at a time, and only what is new in it.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::message::Message;
use crate::session::Session;
use crate::store::{Listing, Mailbox, Page, PageRequest, Position, StoredMessage};

/// So many messages are held at once.
const PAGE: usize = 256;

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
    mailbox: Arc<dyn Mailbox>,
    session: Session,
    backwards: bool,
    held: Held,
}

/// What is given out next.
enum Held {
    /// A page of a lasting order.
    Page {
        messages: VecDeque<Arc<dyn StoredMessage>>,
        end: Option<Position>,
        is_last: bool,
    },
    /// Without such an order: what is left of a snapshot.
    Snapshot(Listing, Range<usize>),
}

impl Held {
    fn page(page: Page) -> Self {
        Self::Page {
            messages: page.messages.into(),
            end: page.end,
            is_last: page.is_last,
        }
    }
}

impl MessageStream {
    pub(crate) fn open(session: &Session, backwards: bool) -> Result<Self> {
        let mailbox = session.mailbox()?;
        let request = PageRequest {
            from: None,
            backwards,
            most: PAGE,
            looks: true,
        };
        let held = match mailbox.page(&request) {
            Some(page) => Held::page(page?),
            None => {
                let listing = mailbox.list()?;
                let all = 0..listing.len();
                Held::Snapshot(listing, all)
            }
        };
        Ok(Self {
            mailbox,
            session: session.clone(),
            backwards,
            held,
        })
    }

    fn next_stored(&mut self) -> Result<Option<Arc<dyn StoredMessage>>> {
        loop {
            match &mut self.held {
                Held::Snapshot(listing, rest) => {
                    let at = if self.backwards {
                        rest.next_back()
                    } else {
                        rest.next()
                    };
                    return Ok(at.and_then(|at| listing.get(at)));
                }
                Held::Page {
                    messages,
                    end,
                    is_last,
                } => {
                    if let Some(message) = messages.pop_front() {
                        return Ok(Some(message));
                    }
                    if *is_last {
                        return Ok(None);
                    }
                    // Whatever fails, it does not begin again.
                    *is_last = true;
                    let end = end.take();
                    self.held = Held::page(self.page_behind(end.as_ref())?);
                }
            }
        }
    }

    fn page_behind(&self, end: Option<&Position>) -> Result<Page> {
        let request = PageRequest {
            from: end,
            backwards: self.backwards,
            most: PAGE,
            looks: false,
        };
        // A page behind a place that this order does not know would begin again.
        let page = self.mailbox.page(&request).transpose()?;
        page.filter(|page| match (&page.end, end) {
            (Some(new), Some(old)) => new.order == old.order,
            _ => true,
        })
        .ok_or_else(|| {
            let message = "the index was made anew while the folder was read; begin again";
            Error::new(ErrorKind::Corrupt, message)
        })
    }
}

impl Iterator for MessageStream {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Result<Message>> {
        let stored = match self.next_stored() {
            Ok(stored) => stored?,
            Err(error) => return Some(Err(error)),
        };
        Some(message(&self.session, stored))
    }
}

fn message(session: &Session, stored: Arc<dyn StoredMessage>) -> Result<Message> {
    match stored.summary() {
        // It is shown by its name: it fails when it is opened.
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::MessageGone => {}
        Err(error) => return Err(error),
    }
    Ok(session.message(stored))
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
        let octets = self
            .0
            .iter()
            .flat_map(|at| at.order.iter().chain(&at.place));
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
        let (order, place) = octets.split_at_checked(16).ok_or_else(refused)?;
        Ok(Self(Some(Position {
            order: order.try_into().map_err(|_| refused())?,
            place: place.to_vec(),
        })))
    }
}

fn no_index() -> Error {
    let message = "this Inbox has no lasting order for a cursor: a directory has it by the feature \
                   `index` and a state directory, an IMAP mailbox by itself, a POP3 mailbox never";
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
        let request = PageRequest {
            from: None,
            backwards: true,
            most: 1,
            looks: true,
        };
        let page = session.mailbox()?.page(&request).ok_or_else(no_index)??;
        Ok(Cursor(page.end))
    }

    pub(crate) fn read(session: &Session, cursor: &Cursor) -> Result<Self> {
        let mailbox = session.mailbox()?;
        let mut since = Self {
            messages: Vec::new(),
            cursor: cursor.clone(),
        };
        let mut looks = true;
        loop {
            let request = PageRequest {
                from: since.cursor.0.as_ref(),
                backwards: false,
                most: PAGE,
                looks,
            };
            let page = mailbox.page(&request).ok_or_else(no_index)??;
            for stored in page.messages {
                since.messages.push(message(session, stored)?);
            }
            since.cursor = Cursor(page.end);
            if page.is_last {
                return Ok(since);
            }
            looks = false;
        }
    }
}
