//! A mailbox on an IMAP server (RFC 3501).
//!
//! Messages are known by UIDVALIDITY and UID. Nothing of the mailbox is changed but by a deletion:
//! a message that was read is new to every other program.

mod apart;
mod ascii;
mod content;
mod dialogue;
mod done;
mod idle;
mod key;
mod link;
mod listed;
mod logon;
mod mailbox;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::endpoint::{Endpoint, Opened, settings};
use super::mailbox::{LogOn, Mailbox, Store};
use crate::error::Result;
use crate::net::tls::Security;
use mailbox::{ImapMailbox, Shared};

/// An IMAP server on which users have their mailboxes: a [`Store`].
///
/// ```no_run
/// use cdonts::{Credentials, Imap, MailServer, Session};
///
/// # fn main() -> cdonts::Result<()> {
/// # let secret = "";
/// let server = MailServer::builder()
///     .inbox(Imap::new("mail.example.com"))
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
    /// How long an IDLE lasts.
    idle: Duration,
    /// Who logs on as one who is logged on shares his connection.
    opened: Opened<Shared>,
}

/// Well within the 29 minutes of RFC 2177.
const IDLE: Duration = Duration::from_mins(15);
/// With TLS from the first octet, and without.
const PORTS: (u16, u16) = (993, 143);

settings!(Imap);

impl Imap {
    /// A server that speaks TLS from the first octet: port 993. (By STARTTLS the usual one is 143.)
    pub fn new(host: impl Into<String>) -> Self {
        Self::at(Endpoint::new(host.into(), PORTS, Security::Implicit))
    }

    /// A server on this machine, without TLS: port 143. Another machine gets no credentials.
    pub fn plain(host: impl Into<String>) -> Self {
        Self::at(Endpoint::new(host.into(), PORTS, Security::None))
    }

    fn at(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            folder: "INBOX".to_owned(),
            idle: IDLE,
            opened: Opened::default(),
        }
    }

    /// A folder instead of INBOX, its levels between slashes, whatever the server puts between them:
    /// `Tickets/Open`.
    pub fn folder(mut self, name: impl Into<String>) -> Self {
        self.folder = name.into();
        self
    }

    /// How long the server is left in IDLE before it is begun anew, a second at least; 15 minutes by
    /// default. A server may end it after 29 (RFC 2177), and what stands between may forget a silent
    /// line sooner.
    pub fn renew_idle_every(mut self, time: Duration) -> Self {
        self.idle = time.max(Duration::from_secs(1));
        self
    }
}

impl Store for Imap {
    fn open(&self, who: &LogOn<'_>) -> Result<Arc<dyn Mailbox>> {
        let credentials = self.endpoint.credentials_of(who)?;
        let user = credentials.user.clone();
        let is_same = |known: &Shared| known.credentials == credentials;
        let open = || {
            Shared::open(
                self.endpoint.clone(),
                self.folder.clone(),
                self.idle,
                credentials.clone(),
                who,
            )
        };
        let shared = self.opened.get_or_open(&user, is_same, open)?;
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
