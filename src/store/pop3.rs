//! A mailbox on a POP3 server (RFC 1939).
//!
//! A session of POP3 sees the mailbox as it was when it began, locks it, and commits deletions when
//! it ends well. So each listing begins one; what is opened afterwards goes over it as long as it
//! lives; and each deletion ends it, since before that nothing is deleted.

mod dialogue;
mod key;
mod lines;
mod listed;
mod logon;
mod mailbox;

use std::fmt;
use std::sync::Arc;

use super::endpoint::{Endpoint, Opened, settings};
use super::mailbox::{LogOn, Mailbox, Store};
use crate::error::Result;
use crate::net::tls::Security;
use mailbox::{Pop3Mailbox, Shared};

/// A POP3 server on which users have their mailboxes: a [`Store`].
///
/// ```no_run
/// use cdonts::{Credentials, MailServer, Pop3, Session};
///
/// # fn main() -> cdonts::Result<()> {
/// # let secret = "";
/// let server = MailServer::builder().inbox(Pop3::new("mail.example.com")).open()?;
/// let session = Session::logon(&server, Credentials::password("jane@example.com", secret))?;
/// for message in session.inbox().newest_first()?.take(20) {
///     println!("{}", message?.subject());
/// }
/// # Ok(())
/// # }
/// ```
///
/// A mailbox has one session at a time, which most servers lock it for: log on, do the work, log
/// off. Deleting one message ends the server's session, so that it is committed, and the next call
/// begins another; [`Messages::delete_all`](crate::Messages::delete_all) does many in one.
pub struct Pop3 {
    endpoint: Endpoint,
    /// Who logs on as one who is logged on shares his connection.
    opened: Opened<Shared>,
}

/// With TLS from the first octet, and without.
const PORTS: (u16, u16) = (995, 110);

settings!(Pop3);

impl Pop3 {
    /// A server that speaks TLS from the first octet: port 995. (By STARTTLS the usual one is 110.)
    pub fn new(host: impl Into<String>) -> Self {
        Self::at(Endpoint::new(host.into(), PORTS, Security::Implicit))
    }

    /// A server on this machine, without TLS: port 110. Another machine gets no credentials.
    pub fn plain(host: impl Into<String>) -> Self {
        Self::at(Endpoint::new(host.into(), PORTS, Security::None))
    }

    fn at(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            opened: Opened::default(),
        }
    }
}

impl Store for Pop3 {
    fn open(&self, who: &LogOn<'_>) -> Result<Arc<dyn Mailbox>> {
        let credentials = self.endpoint.credentials_of(who)?;
        let user = credentials.user.clone();
        let is_same = |known: &Shared| known.credentials == credentials;
        let open = || Shared::open(self.endpoint.clone(), credentials.clone(), who);
        let shared = self.opened.get_or_open(&user, is_same, open)?;
        Ok(Arc::new(Pop3Mailbox(shared)))
    }

    fn authenticates(&self) -> bool {
        true
    }
}

impl fmt::Debug for Pop3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pop3").field(&self.endpoint).finish()
    }
}
