//! A mailbox on an IMAP server (RFC 3501).
//!
//! Messages are known by UIDVALIDITY and UID. Nothing of the mailbox is changed but by a deletion:
//! a message that was read is new to every other program.

mod apart;
mod content;
mod dialogue;
mod idle;
mod link;
mod mailbox;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::endpoint::{Endpoint, settings};
use super::mailbox::{LogOn, Mailbox, Store};
use crate::error::Result;
use mailbox::{ImapMailbox, Shared};

/// An IMAP server on which users have their mailboxes: a [`Store`].
///
/// ```no_run
/// use cdonts::{Credentials, Imap, MailServer, Session, Smtp};
///
/// # fn main() -> cdonts::Result<()> {
/// # let secret = "";
/// let server = MailServer::builder()
///     .inbox(Imap::new("mail.example.com")?)
///     .open()?;
/// let session = Session::logon(&server, Credentials::password("jane@example.com", secret))?;
/// for message in session.inbox().newest_first()?.take(20) {
///     println!("{}", message?.subject());
/// }
/// # Ok(())
/// # }
/// ```
///
/// Messages that another program has marked as deleted are not shown, and what others have marked is
/// never removed. A server without UIDPLUS keeps what is deleted here as marked.
pub struct Imap {
    endpoint: Endpoint,
    folder: String,
    /// Who logs on as one who is logged on shares his connection.
    opened: Mutex<HashMap<String, Weak<Shared>>>,
}

settings!(Imap);

impl Imap {
    /// A server that speaks TLS from the first octet: port 993.
    ///
    /// # Errors
    /// [`Configuration`](crate::ErrorKind::Configuration) when the system has no certificates to
    /// trust.
    pub fn new(host: impl Into<String>) -> Result<Self> {
        Ok(Self::at(Endpoint::with_tls(host.into(), 993)?))
    }

    /// A server on this machine, without TLS: port 143. Another machine gets no credentials.
    pub fn plain(host: impl Into<String>) -> Self {
        Self::at(Endpoint::plain(host.into(), 143))
    }

    fn at(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            folder: "INBOX".to_owned(),
            opened: Mutex::default(),
        }
    }

    /// A folder instead of INBOX, as the server names it: what is not ASCII in modified UTF-7.
    pub fn folder(mut self, name: impl Into<String>) -> Self {
        self.folder = name.into();
        self
    }
}

impl Store for Imap {
    fn open(&self, who: &LogOn<'_>) -> Result<Arc<dyn Mailbox>> {
        let credentials = self.endpoint.credentials_of(who)?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let known = opened.get(&credentials.user).and_then(Weak::upgrade);
        let shared = match known.filter(|known| known.credentials == credentials) {
            Some(known) => known,
            None => {
                opened.retain(|_, shared| shared.strong_count() > 0);
                let user = credentials.user.clone();
                let endpoint = self.endpoint.clone();
                let shared = Shared::open(endpoint, self.folder.clone(), credentials, who)?;
                let shared = Arc::new(shared);
                opened.insert(user, Arc::downgrade(&shared));
                shared
            }
        };
        Ok(Arc::new(ImapMailbox(shared)))
    }

    fn authenticates(&self) -> bool {
        true
    }
}

impl fmt::Debug for Imap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Imap").field(&self.endpoint).finish()
    }
}
