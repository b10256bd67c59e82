//! The way out for messages to other domains.

use std::fmt;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use crate::credentials::Credentials;
use crate::error::Result;
use crate::format::body::{self, BodyReader};
use crate::format::bytes::MessageBytes;

/// A way out for messages to other domains: see [`MailServerBuilder::relay`].
///
/// Whoever implements it hands a message on and says of each recipient what became of it. The queue
/// does the rest: it tries again, gives up, and reports.
///
/// ```
/// use cdonts::{Outcome, RelayMessage, Reply, Transport};
///
/// /// Hands everything to a program that takes no mail on Sundays.
/// struct Weekdays;
///
/// impl Transport for Weekdays {
///     fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome> {
///         let reply = Reply::new(450, "4.3.2", "come back tomorrow");
///         message.recipients().iter().map(|_| Outcome::Deferred(reply.clone())).collect()
///     }
/// }
/// # fn main() -> cdonts::Result<()> {
/// let server = cdonts::MailServer::builder().relay(Weekdays).open_temporary()?;
/// # Ok(())
/// # }
/// ```
///
/// [`MailServerBuilder::relay`]: crate::MailServerBuilder::relay
pub trait Transport: Send + Sync {
    /// Hands the message on. One outcome for each recipient, in their order; a recipient without
    /// one counts as [`Outcome::Unknown`], as does everyone when it panics. It may take its time:
    /// messages for other destinations do not wait for it.
    ///
    /// A reply with the code 0 and the enhanced code `4.4.1` says that nobody could be reached, with
    /// `4.7.5` that there was no TLS with the right one: the destination then rests for a minute.
    fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome>;

    /// Whether it can send nothing without the credentials of a session: those of
    /// [`Session::logon`](crate::Session::logon).
    fn needs_credentials(&self) -> bool {
        false
    }
}

/// A function is a way out too: for tests, above all.
///
/// ```
/// use cdonts::{MailServer, NewMail, Outcome, RelayMessage, Reply};
///
/// # fn main() -> cdonts::Result<()> {
/// let busy = |message: &RelayMessage<'_>| {
///     vec![Outcome::Deferred(Reply::new(451, "4.3.0", "later")); message.recipients().len()]
/// };
/// let server = MailServer::builder().relay(busy).open_temporary()?;
/// NewMail::new(&server).from("a@example.com").to("joe@example.net").send()?;
/// server.deliver_now()?;
/// assert_eq!(server.queue()?[0].last_reply("joe@example.net"), "451 4.3.0 later");
/// # Ok(())
/// # }
/// ```
impl<F> Transport for F
where
    F: Fn(&RelayMessage<'_>) -> Vec<Outcome> + Send + Sync,
{
    fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome> {
        self(message)
    }
}

/// What became of one recipient of a message that was handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The other server has taken it over.
    Accepted(Reply),
    /// It never will: the sender gets a report.
    Refused(Reply),
    /// Not now: it is tried again.
    Deferred(Reply),
    /// The message was given away and the answer did not come. It is tried again with the same
    /// Message-ID: at worst it arrives twice.
    Unknown(Reply),
}

impl Outcome {
    /// What the other server said, or what was said instead of it.
    pub fn reply(&self) -> &Reply {
        match self {
            Self::Accepted(reply)
            | Self::Refused(reply)
            | Self::Deferred(reply)
            | Self::Unknown(reply) => reply,
        }
    }
}

/// What a mail server answers (RFC 5321 section 4.2, RFC 3463).
///
/// ```
/// let reply = cdonts::Reply::new(550, "5.1.1", "no such user\r\nhere");
/// assert_eq!(reply.to_string(), "550 5.1.1 no such user  here");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: String,
    text: String,
}

impl Reply {
    /// A reply: its code (0 when there was none from a server), its enhanced code or an empty text,
    /// and what it says. Control characters become blanks; what is longer than a person reads is
    /// cut.
    pub fn new(code: u16, enhanced: impl Into<String>, text: impl Into<String>) -> Self {
        const MOST: usize = 1000;
        let clean = |text: String| -> String {
            let shown = text.chars().take(MOST);
            shown
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect()
        };
        Self {
            code,
            enhanced: clean(enhanced.into()),
            text: clean(text.into()),
        }
    }

    /// The code, 0 when no server answered.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status code, `5.1.1` for one; empty when there was none.
    pub fn enhanced(&self) -> &str {
        &self.enhanced
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.code > 0 {
            write!(f, "{} ", self.code)?;
        }
        if !self.enhanced.is_empty() {
            write!(f, "{} ", self.enhanced)?;
        }
        f.write_str(&self.text)
    }
}

/// A message that is handed on: its envelope and its octets.
pub struct RelayMessage<'a> {
    pub(crate) id: &'a str,
    pub(crate) reverse_path: &'a str,
    pub(crate) recipients: &'a [String],
    pub(crate) bytes: Arc<dyn MessageBytes>,
    /// The message without the run of its file.
    pub(crate) range: Range<u64>,
    pub(crate) credentials: Option<&'a Credentials>,
}

impl RelayMessage<'_> {
    /// Under which the queue knows it: the same at every attempt.
    pub fn id(&self) -> &str {
        self.id
    }

    /// Who gets reports; empty for the null reverse-path.
    pub fn reverse_path(&self) -> &str {
        self.reverse_path
    }

    /// Who is to get it by this way: addresses without names.
    pub fn recipients(&self) -> &[String] {
        self.recipients
    }

    /// The same message to some of its recipients.
    #[cfg(any(feature = "smtp", feature = "sendmail"))]
    pub(crate) fn to<'r>(&'r self, recipients: &'r [String]) -> RelayMessage<'r> {
        RelayMessage {
            id: self.id,
            reverse_path: self.reverse_path,
            recipients,
            bytes: Arc::clone(&self.bytes),
            range: self.range.clone(),
            credentials: self.credentials,
        }
    }

    /// Who the session is that sends it, for a server that asks; the queue does not know it.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials
    }

    /// Octets that [`write_to`](RelayMessage::write_to) writes.
    pub fn size(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// Writes the message, header section and body, block by block.
    ///
    /// # Errors
    /// When the file cannot be read, or the writer fails.
    pub fn write_to(&self, to: &mut dyn Write) -> io::Result<u64> {
        self.content().write_to(to)
    }

    /// Its octets alone.
    pub(crate) fn content(&self) -> RelayContent {
        RelayContent {
            bytes: Arc::clone(&self.bytes),
            range: self.range.clone(),
        }
    }
}

/// The octets of a message that is handed on.
pub(crate) struct RelayContent {
    bytes: Arc<dyn MessageBytes>,
    range: Range<u64>,
}

impl RelayContent {
    pub(crate) fn write_to(self, to: &mut dyn Write) -> io::Result<u64> {
        let mut reader = BodyReader::raw(self.bytes, self.range, false);
        let mut failed = None;
        let copied = body::copy(&mut reader, |block| -> Result<()> {
            to.write_all(block).map_err(|error| {
                let kind = error.kind();
                failed = Some(error);
                crate::Error::io("write the message", std::path::Path::new(""), kind.into())
            })
        });
        match (copied, failed) {
            (_, Some(error)) => Err(error),
            (copied, None) => copied.map_err(io::Error::other),
        }
    }
}

impl fmt::Debug for RelayMessage<'_> {
    /// Shows no body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayMessage")
            .field("id", &self.id)
            .field("reverse_path", &self.reverse_path)
            .field("recipients", &self.recipients)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}
