#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod bridge;
mod bucket;
mod claim;
mod content;
mod mailbox;

use std::sync::Arc;
use std::time::Duration;

use cdonts::{Error, ErrorKind, LogOn, Mailbox, Message, Result, Store};
use object_store::ObjectStore;

use bucket::{Bucket, Place};
use mailbox::ObjectMailbox;

/// A bucket into which a mail service puts raw messages, an object each: a [`Store`].
///
/// ```
/// use std::sync::Arc;
///
/// use cdonts::{MailServer, Session};
/// use cdonts_object_store::ObjectInbox;
/// use object_store::memory::InMemory;
///
/// # fn main() -> cdonts::Result<()> {
/// let bucket = Arc::new(InMemory::new());
/// let inbox = ObjectInbox::of(bucket, "tickets@example.com", "inbound/tickets")?;
/// let server = MailServer::builder().inbox(inbox.clone()).open()?;
/// let session = Session::logon_smtp(&server, "Tickets", "tickets@example.com")?;
/// for message in session.inbox().messages()? {
///     // Of many application servers one gets to do it.
///     let text = message.text()?;
///     inbox.effect(&message, "ticket", text.as_bytes())?;
///     message.delete()?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ObjectInbox {
    bucket: Bucket,
    address: String,
}

impl ObjectInbox {
    /// The messages of this address, which are the objects below `prefix`; nobody else can log on.
    /// (The service knows whom a message is for; the object does not say it. So each address has a
    /// rule and a prefix of its own.)
    ///
    /// Whether the bucket can keep two servers from handling one message is tried out here.
    ///
    /// # Errors
    /// [`Configuration`](ErrorKind::Configuration) when it cannot;
    /// [`Network`](ErrorKind::Network), [`NoAccess`](ErrorKind::NoAccess) when it does not answer
    /// or does not let one write.
    pub fn of(
        store: Arc<dyn ObjectStore>,
        address: impl Into<String>,
        prefix: impl AsRef<str>,
    ) -> Result<Self> {
        let bucket = Bucket::new(store, prefix.as_ref())?;
        bucket.probe()?;
        Ok(Self {
            bucket,
            address: address.into(),
        })
    }

    /// How long a server that has a message is waited for when it says nothing any more; 5 minutes
    /// by default. Then another one gets the message.
    pub fn lease(mut self, time: Duration) -> Self {
        self.bucket.lease = time;
        self
    }

    /// How often a message is given out before it goes to `failed/`; 5 times by default.
    pub fn attempts(mut self, most: u32) -> Self {
        self.bucket.attempts = most.max(1);
        self
    }

    /// How long the bucket may take for each answer; a minute by default.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.bucket.timeout = time;
        self
    }

    /// Writes down what came of a message, once whoever does it: the first content under a name
    /// stays. What acts on it later (a mail that is sent, a row that is made) does so once, even if
    /// a server that was taken for dead comes back. Returns whether this call has written it.
    ///
    /// # Errors
    /// [`InvalidValue`](ErrorKind::InvalidValue) for a name with anything but letters, digits, `-`
    /// and `_`; else when the bucket does not answer.
    pub fn effect(&self, message: &Message, name: &str, content: &[u8]) -> Result<bool> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(is_plain) {
            let text = "the name of an effect is of letters, digits, `-` and `_`";
            return Err(Error::of_store(ErrorKind::InvalidValue, text));
        }
        let place = self.bucket.effect(&message.file_name(), name);
        self.bucket.create_once(&place, content)
    }

    /// What was written down of a message under that name.
    ///
    /// # Errors
    /// As [`effect`](ObjectInbox::effect).
    pub fn effect_of(&self, message: &Message, name: &str) -> Result<Option<Vec<u8>>> {
        let place = self.bucket.effect(&message.file_name(), name);
        Ok(self.bucket.read(&place)?.map(|(content, _)| content))
    }

    /// Removes what was remembered of messages that were deleted that long ago: their effects and
    /// that they were handled. Returns how many objects.
    ///
    /// # Errors
    /// When the bucket does not answer.
    pub fn sweep(&self, older: Duration) -> Result<usize> {
        let now = self.bucket.now()?;
        let mut count = 0;
        for place in [Place::Done, Place::Effects, Place::Attempts] {
            for object in self.bucket.list_all(place)? {
                let age = now.signed_duration_since(object.last_modified);
                if age.to_std().is_ok_and(|age| age > older) {
                    self.bucket.delete(&object.location)?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }
}

impl Store for ObjectInbox {
    fn open(&self, who: &LogOn<'_>) -> Result<Arc<dyn Mailbox>> {
        if !who.address().eq_ignore_ascii_case(&self.address) {
            let text = "there is no mailbox for this address";
            return Err(Error::of_store(ErrorKind::LogonFailed, text));
        }
        Ok(Arc::new(ObjectMailbox::new(
            self.bucket.clone(),
            who.limits().clone(),
        )))
    }
}
