//! The mail server: which directories there are and how they are used.

mod background;
mod builder;
mod check;
mod finding;
mod progress;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use background::Delivery;
pub use builder::{Durability, MailServerBuilder};
pub use finding::{Finding, FindingKind};
pub(crate) use progress::Progress;
pub use progress::ScanProgress;

use crate::credentials::Credentials;
use crate::delivery::{self, Counts, Delivered, QueuedMessage, Spool};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::fs::outside::TemporaryDir;
use crate::messages::Messages;
use crate::session::no_inbox;
use crate::store::{DropMailbox, DropStore, LogOn, Mailbox, Store, Whose};

/// A mail server on this machine: its directories, its local domains, its limits.
///
/// An application opens it once and shares it: a clone is the same server. CDONTS had it in the
/// machine's registry.
///
/// ```no_run
/// use cdonts::{MailServer, NewMail};
///
/// # fn main() -> cdonts::Result<()> {
/// let server = MailServer::open("/var/spool/mailroot")?;
/// NewMail::new(&server)
///     .from("shop@example.com")
///     .to("jane@example.com; joe@example.com")
///     .subject("Your order")
///     .body("It is on its way.")
///     .send()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MailServer(Arc<Inner>);

pub(crate) type Authorize = dyn Fn(&str) -> bool + Send + Sync;
pub(crate) type Authenticate = dyn Fn(&Credentials) -> bool + Send + Sync;

/// Who may log on, and where his messages are.
#[derive(Default)]
pub(crate) struct Access {
    pub(crate) authorize: Option<Box<Authorize>>,
    pub(crate) authenticate: Option<Box<Authenticate>>,
    /// Where received messages are, if not in the drop.
    pub(crate) inbox: Option<Arc<dyn Store>>,
}

struct Inner {
    spool: Spool,
    access: Access,
    // The last field: the directory goes when nothing uses it any more.
    _temporary: Option<TemporaryDir>,
}

impl MailServer {
    /// Opens the mail server whose directories are below `mailroot`: `Pickup` and `Drop`, which
    /// must be there, and `State`, `Badmail`, which are made when they are needed first.
    ///
    /// It has no local domain: all that is sent goes into Pickup, for another program to deliver.
    ///
    /// # Errors
    /// [`PathNotFound`](ErrorKind::PathNotFound) when a directory is missing: with
    /// [`MailServerBuilder::create_directories`] they are made. [`Configuration`](ErrorKind::Configuration)
    /// when `State` was made under other settings.
    pub fn open(mailroot: impl AsRef<Path>) -> Result<Self> {
        Self::builder().mailroot(mailroot).open()
    }

    /// A whole mail server in a new directory, gone with its last clone. Its local domain is
    /// `example.com`. For tests and for trying things out: it is the real thing in small.
    ///
    /// ```
    /// use cdonts::{MailServer, NewMail, Session};
    ///
    /// # fn main() -> cdonts::Result<()> {
    /// let server = MailServer::temporary()?;
    /// NewMail::new(&server).from("a@example.com").to("jane@example.com").subject("Hi").send()?;
    /// let jane = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
    /// assert_eq!(jane.inbox().messages()?.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the system's directory for temporary files cannot be written to.
    pub fn temporary() -> Result<Self> {
        Self::builder().local_domain("example.com").open_temporary()
    }

    /// A mail server with other settings than [`MailServer::open`] has.
    pub fn builder() -> MailServerBuilder {
        MailServerBuilder::new()
    }

    fn new(spool: Spool, access: Access, temporary: Option<PathBuf>) -> Self {
        Self(Arc::new(Inner {
            spool,
            access,
            _temporary: temporary.map(TemporaryDir::new),
        }))
    }

    pub(crate) fn spool(&self) -> &Spool {
        &self.0.spool
    }

    pub(crate) fn allows(&self, address: &str) -> bool {
        let authorize = self.0.access.authorize.as_ref();
        authorize.is_none_or(|allows| allows(address))
    }

    /// Whether credentials are good, as far as that is not found out when the mailbox is opened.
    pub(crate) fn authenticate(&self, credentials: &Credentials) -> Result<()> {
        let access = &self.0.access;
        match (&access.inbox, &access.authenticate) {
            (_, Some(is_good)) if !is_good(credentials) => {
                let message = "the owner of this mail server does not take these credentials";
                Err(Error::new(ErrorKind::LogonFailed, message))
            }
            (_, Some(_)) => Ok(()),
            (Some(store), None) if store.authenticates() => Ok(()),
            _ => {
                let message = "nobody checks credentials here: use `Session::logon_smtp`, or set a \
                               hook with `authenticate`";
                Err(Error::new(ErrorKind::Configuration, message))
            }
        }
    }

    /// The messages of somebody; `None` where there is nothing to read from.
    pub(crate) fn open_mailbox(&self, who: &LogOn<'_>) -> Result<Option<Arc<dyn Mailbox>>> {
        if let Some(store) = &self.0.access.inbox {
            return store.open(who).map(Some);
        }
        let drop = self.spool().drop.as_ref();
        Ok(drop.map(|drop| Arc::new(DropMailbox::new(drop, Some(who.key))) as Arc<dyn Mailbox>))
    }

    /// The drop store, after what was handed over has been moved into it.
    pub(crate) fn drop_store(&self) -> Result<&Arc<DropStore>> {
        let spool = self.spool();
        let store = spool.drop.as_ref().ok_or_else(no_inbox)?;
        self.before_look()?;
        Ok(store)
    }

    /// Before somebody looks into his Inbox, what was handed over is moved there.
    pub(crate) fn before_look(&self) -> Result<()> {
        let spool = self.spool();
        if delivery::has_committed(spool)? {
            // Who may only read sees what is in its place; `deliver_pending` tells what is not.
            let _ = delivery::recover(spool);
        }
        Ok(())
    }

    /// The directory that messages to be sent are put into.
    pub fn pickup_dir(&self) -> Option<&Path> {
        self.spool().pickup.as_ref().map(|pickup| pickup.dir.path())
    }

    /// The directory that received messages are in.
    pub fn drop_dir(&self) -> Option<&Path> {
        self.spool().drop.as_ref().map(|drop| drop.root().path())
    }

    /// Delivers what is complete in Pickup now, including files of other programs: to Drop what is
    /// for a local domain, to the queue what a relay takes, to Badmail what cannot be understood.
    /// What is only for domains without a relay stays for the mail server that relays it. Then it
    /// hands on what is due in the queue. Waits at most one settle period (one second), and as long
    /// as relays take.
    ///
    /// Only for a Pickup that no other program empties.
    ///
    /// # Errors
    /// [`Configuration`](ErrorKind::Configuration) without Pickup, or with neither local domain nor
    /// relay. What concerns one file is a [problem](Delivered::problems), not an error.
    pub fn deliver_now(&self) -> Result<Delivered> {
        delivery::deliver(self.spool())
    }

    /// The messages that wait for a relay, the oldest first; empty without one.
    ///
    /// # Errors
    /// When the queue cannot be listed. A file of it that cannot be understood is a problem that
    /// [`deliver_now`](MailServer::deliver_now) tells.
    pub fn queue(&self) -> Result<Vec<QueuedMessage>> {
        delivery::list_queue(self)
    }

    /// What this server has done since it was opened.
    pub fn counts(&self) -> Counts {
        self.spool().counters.read()
    }

    /// Waits until everything that was sent is in its place: copies that could not be moved there
    /// (see [`Sent::pending`](crate::Sent::pending)) are tried again.
    ///
    /// # Errors
    /// [`TimedOut`](ErrorKind::TimedOut) when something is still left after `timeout`.
    pub fn deliver_pending(&self, timeout: Duration) -> Result<()> {
        let begin = Instant::now();
        loop {
            let problems = delivery::recover(self.spool())?;
            if !delivery::has_committed(self.spool())? {
                return Ok(());
            }
            if begin.elapsed() >= timeout {
                let reason = problems
                    .first()
                    .map_or("another program works on it", Problem::text);
                let message = format!("messages are still waiting to be moved: {reason}");
                return Err(Error::new(ErrorKind::TimedOut, message));
            }
            std::thread::sleep(Duration::from_millis(20).min(timeout));
        }
    }

    /// The files of the drop that are nobody's, for the owner of the server: its server wrote no
    /// recipient on top of them, or the [`Profile`](crate::Profile) is not the right one.
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// let server = cdonts::MailServer::temporary()?;
    /// for message in server.unclaimed()? {
    ///     println!("{}", message.subject());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When there is no drop or it cannot be listed.
    pub fn unclaimed(&self) -> Result<Messages> {
        let mailbox = Arc::new(DropMailbox::new(self.drop_store()?, None));
        Messages::new(mailbox, None, &self.spool().limits)
    }

    /// The addresses for which there is mail in the drop, each once: for the owner of the server
    /// and his tools. Whoever may read the drop could find them out.
    ///
    /// ```
    /// use cdonts::{MailServer, NewMail};
    ///
    /// # fn main() -> cdonts::Result<()> {
    /// let server = MailServer::temporary()?;
    /// NewMail::new(&server).from("a@example.com").to("jane@example.com").send()?;
    /// assert_eq!(server.addresses()?, ["jane@example.com"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When there is no drop or it cannot be listed.
    pub fn addresses(&self) -> Result<Vec<String>> {
        self.drop_store()?.addresses()
    }

    /// Compares what the index knows of every file with its state. The first listing after ten
    /// minutes does it by itself where a program may rewrite files in place
    /// ([`Writer::InPlace`](crate::Writer::InPlace)); without an index every listing does.
    ///
    /// # Errors
    /// When there is no drop or it cannot be listed.
    pub fn check_all(&self) -> Result<()> {
        self.drop_store()?.check_all()
    }

    /// What is wrong with single files of the drop, by name: for the owner of the server, since
    /// the names may be of anybody's mail. Files that cannot be read, or are still being written.
    ///
    /// # Errors
    /// When there is no drop or it cannot be listed.
    ///
    /// Files that are nobody's are told as a number: all of them being so means that the
    /// [`Profile`](crate::Profile) is not the right one.
    pub fn problems(&self) -> Result<Vec<Problem>> {
        let store = self.drop_store()?;
        let scan = store.scan(Whose::Nobody)?;
        let mut problems = scan.problems;
        if !scan.entries.is_empty() {
            let text = format!(
                "{} files have no recipient that the profile `{}` knows; is it the right one for \
                 the server that fills the drop?",
                scan.entries.len(),
                store.rules.profile.name()
            );
            problems.push(Problem::at(store.root().path(), text));
        }
        Ok(problems)
    }
}

impl fmt::Debug for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spool = self.spool();
        f.debug_struct("MailServer")
            .field(
                "pickup",
                &spool.pickup.as_ref().map(|pickup| pickup.dir.path()),
            )
            .field("drop", &spool.drop.as_ref().map(|drop| drop.root().path()))
            .field("state", &spool.state.path())
            .field("local_domains", &spool.local_domains)
            .finish_non_exhaustive()
    }
}
