//! Settings of who may log on, where his messages are, and how his own leave.

use std::sync::Arc;

use super::MailServerBuilder;
use super::check::configuration;
use crate::credentials::Credentials;
use crate::delivery::Outbox;
use crate::error::Result;
use crate::store::Store;
use crate::transport::Transport;

impl MailServerBuilder {
    /// Decides whether an address may log on; without it, as in CDONTS, everyone may log on as
    /// anyone. The hook gets the address in the form in which it compares.
    pub fn authorize(mut self, hook: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.access.authorize = Some(Box::new(hook));
        self
    }

    /// Decides whether the credentials of [`Session::logon`](crate::Session::logon) are good, for an
    /// Inbox that does not ask for any itself: a directory.
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// # use cdonts::*;
    /// let server = MailServer::builder()
    ///     .local_domain("example.com")
    ///     .authenticate(|who| who.user() == "jane@example.com" && who.is_password("secret"))
    ///     .open_temporary()?;
    /// assert!(Session::logon(&server, Credentials::password("jane@example.com", "secret")).is_ok());
    /// assert!(Session::logon(&server, Credentials::password("jane@example.com", "")).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn authenticate(
        mut self,
        hook: impl Fn(&Credentials) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.access.authenticate = Some(Box::new(hook));
        self
    }

    /// Where received messages are, instead of a drop directory: the mailbox of each user in a
    /// Maildir, on a POP3 or IMAP server, or in a [`Store`](crate::Store) of your own. The drop of a
    /// mailroot is not read then.
    pub fn inbox(mut self, store: impl Store + 'static) -> Self {
        self.access.inbox = Some(Arc::new(store));
        self
    }

    /// The way out for all messages, instead of Pickup: each is handed over while `send` waits, and
    /// `send` fails when the other server does not take it. Unlike a
    /// [`relay`](MailServerBuilder::relay) it needs no directory, and keeps nothing that could be
    /// tried again later.
    pub fn outbox(mut self, way: impl Transport + 'static) -> Self {
        self.outbox = Some(Outbox(Arc::new(way)));
        self
    }

    pub(super) fn check_ways(&self, local_domains: &[String]) -> Result<()> {
        if self.access.inbox.is_some() && !local_domains.is_empty() {
            return Err(configuration(
                "local delivery needs a Drop, but another Inbox was set; leave out `local_domain` \
                 or `inbox`",
            ));
        }
        if self.outbox.is_some() && (self.relaying.is_set() || !local_domains.is_empty()) {
            return Err(configuration(
                "an Outbox takes all messages; with `local_domain` or other routes use `relay` \
                 instead of `outbox`",
            ));
        }
        Ok(())
    }
}
