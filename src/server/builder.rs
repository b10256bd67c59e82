//! The settings of a mail server.

mod access;
mod check;
mod relaying;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use check::{absolute, check_local_delivery, check_one_file_system, configuration, is_directory};
pub(super) use relaying::Relaying;

use super::{Access, MailServer, Progress, ScanProgress};
use crate::delivery::{self, Counters, Outbox, Pickup, Spool};
use crate::error::{Error, ErrorKind, Result};
use crate::format::address::domain_key;
use crate::fs::{Dir, Modes, Probe};
use crate::limits::Limits;
use crate::profile::Profile;
use crate::state::{Setting, State, new_id};
use crate::store::settle::Settling;
use crate::store::{DropRules, DropStore, Writer, is_maildir};
use crate::sync::Mutex;
use crate::transport::PickupFormat;

/// Whether what is sent survives a power cut.
///
/// ```
/// use cdonts::{Durability, MailServer};
///
/// let builder = MailServer::builder().durability(Durability::Atomic);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// When `send` has returned, the message is on the disk. The default.
    #[default]
    Durable,
    /// A message appears whole or not at all, but a power cut can lose those of the last seconds.
    /// Many times faster.
    Atomic,
}

/// Builds a [`MailServer`]; nothing is looked at before [`open`](MailServerBuilder::open).
///
/// ```
/// use cdonts::{MailServer, Profile};
///
/// # fn main() -> cdonts::Result<()> {
/// # let root = tempfile::tempdir().unwrap();
/// # let root = root.path();
/// // A mail server of its own for one domain:
/// let server = MailServer::builder()
///     .mailroot(root.join("mail"))
///     .create_directories()
///     .local_domain("example.com")
///     .open()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a mail server is there only when it is opened"]
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
pub struct MailServerBuilder {
    mailroot: Option<PathBuf>,
    create_directories: bool,
    pickup_dir: Option<PathBuf>,
    drop_dir: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    profile: Profile,
    drop_writer: Option<Writer>,
    pickup_writer: Option<Writer>,
    pickup_dot_stuffed: bool,
    pickup_format: PickupFormat,
    drop_dot_stuffed: bool,
    case_sensitive_local_part: bool,
    group_shared: bool,
    local_domains: Vec<String>,
    durability: Durability,
    limits: Limits,
    scan_threads: Option<NonZero<usize>>,
    progress: Progress,
    access: Access,
    outbox: Option<Outbox>,
    rebuild_state: bool,
    relaying: Relaying,
    pub(crate) probe: Probe,
}

impl MailServerBuilder {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The directory that holds `Pickup`, `Drop`, `Badmail` and `State`.
    pub fn mailroot(mut self, dir: impl AsRef<Path>) -> Self {
        self.mailroot = Some(dir.as_ref().to_path_buf());
        self
    }

    /// Makes the directories that are missing (with a mailroot `Pickup`, `Drop`, `Badmail`, and
    /// `Queue`, which the SMTP service of IIS has). Off by default: a Pickup that nobody empties would swallow mail.
    pub fn create_directories(mut self) -> Self {
        self.create_directories = true;
        self
    }

    /// The directory that messages to be sent are put into; by default `Pickup` of the mailroot.
    pub fn pickup_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.pickup_dir = Some(dir.as_ref().to_path_buf());
        self
    }

    /// The directory that received messages are in, and how its server writes for whom each is; by
    /// default `Drop` of the mailroot with [`Profile::IisDrop`]. One with `new/`, `cur/` and
    /// `tmp/` in it is read as a Maildir.
    pub fn drop_dir(mut self, dir: impl AsRef<Path>, profile: Profile) -> Self {
        self.drop_dir = Some(dir.as_ref().to_path_buf());
        self.profile = profile;
        self
    }

    /// The directory for what must be remembered: deletions, messages on their way. It must be on
    /// the file system of the drop (and of Pickup, with local delivery), and is made at the first
    /// use that needs it. By default `State` of the mailroot; without one `State` beside the drop
    /// when `Pickup` lies there too, else the drop's name with `.state`; without a drop `State`
    /// beside Pickup. With an [`inbox`](Self::inbox) on a server there is none by default: what is
    /// to be deleted there is then remembered as long as the program runs.
    pub fn state_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.state_dir = Some(dir.as_ref().to_path_buf());
        self
    }

    /// The profile of the mailroot's `Drop`; [`Profile::IisDrop`] by default.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// How the program that fills the drop writes its files. By default [`Writer::Renames`] for a
    /// Maildir and for a drop with local delivery, else [`Writer::InPlace`] with one second.
    pub fn drop_writer(mut self, writer: Writer) -> Self {
        self.drop_writer = Some(writer);
        self
    }

    /// How other programs write their files into Pickup; [`Writer::InPlace`] with one second by
    /// default.
    pub fn pickup_writer(mut self, writer: Writer) -> Self {
        self.pickup_writer = Some(writer);
        self
    }

    /// What the server that empties Pickup reads; [`PickupFormat::Iis`] by default.
    pub fn pickup_format(mut self, format: PickupFormat) -> Self {
        self.pickup_format = format;
        self
    }

    /// Whether a line of a Pickup file that begins with a dot has it doubled, as the SMTP service
    /// of IIS expects it. Off by default.
    pub fn pickup_dot_stuffed(mut self, on: bool) -> Self {
        self.pickup_dot_stuffed = on;
        self
    }

    /// Whether a line of a Drop file that begins with a dot has it doubled, as the SMTP service of
    /// IIS writes it. Off by default.
    pub fn drop_dot_stuffed(mut self, on: bool) -> Self {
        self.drop_dot_stuffed = on;
        self
    }

    /// Whether `Jane@` and `jane@` are two mailboxes. Off by default.
    pub fn case_sensitive_local_part(mut self, on: bool) -> Self {
        self.case_sensitive_local_part = on;
        self
    }

    /// Makes files with mode 0660 and directories with 2770, for programs of one group, instead of
    /// 0600 and 0700. Off by default.
    pub fn group_shared(mut self, on: bool) -> Self {
        self.group_shared = on;
        self
    }

    /// A domain whose mail this server delivers itself, into its Drop. May be given several times.
    pub fn local_domain(mut self, domain: impl Into<String>) -> Self {
        self.local_domains.push(domain.into());
        self
    }

    /// Whether what is sent survives a power cut; [`Durability::Durable`] by default.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How much of a message is read and sent.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How many threads read new files of the drop when there are many of them; 8 by default,
    /// since they wait for the disk more than they compute.
    pub fn scan_threads(mut self, threads: NonZero<usize>) -> Self {
        self.scan_threads = Some(threads);
        self
    }

    /// Tells how far the reading of new files has come: the first look at a large drop takes a
    /// while. Called by the thread that lists the Inbox, between two shares of the work.
    pub fn on_scan(mut self, hook: impl Fn(ScanProgress) + Send + Sync + 'static) -> Self {
        self.progress = Progress::new(hook);
        self
    }

    /// Takes over a state directory that was made under other settings (profile, dot-stuffing,
    /// case of local-parts, place of the drop): they are changed for good.
    pub fn rebuild_state(mut self) -> Self {
        self.rebuild_state = true;
        self
    }

    /// Opens it in a new directory that is gone with the last clone, whatever mailroot was set: as
    /// [`MailServer::temporary`], with other settings.
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// let server = cdonts::MailServer::builder().local_domain("shop.example").open_temporary()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`open`](MailServerBuilder::open).
    pub fn open_temporary(mut self) -> Result<MailServer> {
        let root = std::env::temp_dir().join(format!("cdonts-{}", new_id()));
        self = self.mailroot(&root).create_directories();
        let server = self.open_at(Some(root.clone()));
        if server.is_err() {
            drop(crate::fs::outside::TemporaryDir::new(root));
        }
        server
    }

    /// Opens the mail server, and finishes what a program that died has left.
    ///
    /// # Errors
    /// [`PathNotFound`](ErrorKind::PathNotFound) and [`NoAccess`](ErrorKind::NoAccess) name the
    /// directory. [`Configuration`](ErrorKind::Configuration) when settings do not fit together:
    /// neither Pickup nor Drop; a local domain without a flat drop of [`Profile::IisDrop`];
    /// directories of local delivery on several file systems; a state directory that was made
    /// under other settings.
    pub fn open(self) -> Result<MailServer> {
        self.open_at(None)
    }

    fn open_at(mut self, temporary: Option<PathBuf>) -> Result<MailServer> {
        let creates = self.create_directories;
        if let Some(root) = self.mailroot.clone() {
            self.fill_in(&root)?;
        }
        if self.state_dir.is_none() {
            self.state_dir = self.default_state_dir()?;
        }
        let modes = Modes {
            group_shared: self.group_shared,
        };
        let local_domains = self.checked_domains()?;
        let pickup = self.open_dir(self.pickup_dir.as_deref(), "Pickup", modes)?;
        self.make_maildir(modes)?;
        let drop = self.open_dir(self.drop_dir.as_deref(), "Drop", modes)?;
        let has_other = self.access.inbox.is_some() || self.outbox.is_some();
        if pickup.is_none() && drop.is_none() && !has_other {
            return Err(configuration(
                "a mail server needs a Pickup or a Drop; set `mailroot`, `pickup_dir` or \
                 `drop_dir`, or else `inbox` or `outbox`",
            ));
        }
        self.check_ways(&local_domains)?;
        let is_wanted = creates || !local_domains.is_empty();
        let state = Arc::new(self.state(drop.as_ref(), is_wanted, modes)?);
        let drop = drop
            .map(|drop| self.drop_store(drop, &state, !local_domains.is_empty()))
            .transpose()?;
        if !local_domains.is_empty() {
            check_local_delivery(drop.as_ref(), pickup.as_ref(), self.profile)?;
            check_one_file_system(drop.as_ref(), &state)?;
        }
        if self.rebuild_state {
            state.rebuild()?;
        }
        state.existing()?;
        let relaying = std::mem::take(&mut self.relaying);
        let queue_dir = relaying.dir(self.mailroot.as_deref());
        let queue = relaying.open(self.mailroot.as_deref(), &state, modes, &self.probe)?;
        let spool = Spool {
            badmail: self.badmail(pickup.as_ref())?,
            left_queue: queue.is_none().then_some(queue_dir).flatten(),
            queue,
            outbox: self.outbox.take(),
            counters: Counters::default(),
            badmail_opened: Mutex::default(),
            pickup: pickup.map(|dir| self.pickup(dir)),
            drop: drop.map(Arc::new),
            state,
            local_domains,
            case_sensitive: self.case_sensitive_local_part,
            durable: self.durability == Durability::Durable,
            limits: self.limits,
            modes,
            probe: self.probe,
        };
        // What it cannot do now is tried again at each look and told by `deliver_pending`: a drop
        // that can only be read is opened all the same.
        let _ = delivery::recover(&spool);
        Ok(MailServer::new(spool, self.access, temporary))
    }

    /// The directories of a mailroot where no others were set.
    fn fill_in(&mut self, root: &Path) -> Result<()> {
        if self.create_directories {
            let modes = Modes {
                group_shared: self.group_shared,
            };
            Dir::make_path(root, modes, &self.probe)?;
            for name in ["Queue", "Badmail"] {
                Dir::make_path(&root.join(name), modes, &self.probe)?;
            }
        }
        let below = |name: &str| Some(root.join(name));
        if self.outbox.is_none() {
            self.pickup_dir = self.pickup_dir.take().or_else(|| below("Pickup"));
        }
        if self.access.inbox.is_none() {
            self.drop_dir = self.drop_dir.take().or_else(|| below("Drop"));
        }
        self.state_dir = self.state_dir.take().or_else(|| below("State"));
        Ok(())
    }

    /// Beside the directory that it is for, so that it is on the same file system.
    fn default_state_dir(&self) -> Result<Option<PathBuf>> {
        let Some(drop) = &self.drop_dir else {
            let pickup = self.pickup_dir.as_deref().map(absolute).transpose()?;
            return Ok(pickup.map(|pickup| pickup.with_file_name("State")));
        };
        let drop = absolute(drop)?;
        let mut name = drop.file_name().unwrap_or_default().to_owned();
        name.push(".state");
        let own = drop.with_file_name(name);
        // One that is there stays the one, also when a Pickup comes beside it later.
        if !is_directory(&own)? && is_directory(&drop.with_file_name("Pickup"))? {
            return Ok(Some(drop.with_file_name("State")));
        }
        Ok(Some(own))
    }

    /// Where a drop is to be made for a server that fills Maildirs, it is one from the beginning.
    fn make_maildir(&self, modes: Modes) -> Result<()> {
        let fills_maildirs = matches!(
            self.profile,
            Profile::Postfix | Profile::OpenSmtpd | Profile::Dovecot
        );
        let Some(path) = self.drop_dir.as_deref() else {
            return Ok(());
        };
        if !self.create_directories || !fills_maildirs || is_directory(path)? {
            return Ok(());
        }
        for dir in [path.to_owned()]
            .into_iter()
            .chain(["new", "cur", "tmp"].map(|name| path.join(name)))
        {
            Dir::make_path(&dir, modes, &self.probe)?;
        }
        Ok(())
    }

    fn open_dir(&self, path: Option<&Path>, name: &str, modes: Modes) -> Result<Option<Dir>> {
        let Some(path) = path else { return Ok(None) };
        if self.create_directories {
            Dir::make_path(path, modes, &self.probe)?;
        }
        match Dir::open_path(path, modes, &self.probe) {
            Ok(dir) => Ok(Some(dir)),
            Err(failure) if failure.is_gone() => Err(Error::new(
                ErrorKind::PathNotFound,
                format!(
                    "the {name} directory does not exist; correct the path, or let \
                     `MailServer::builder().create_directories()` make it, for a server that fills \
                     Maildirs as one"
                ),
            )
            .with_path(path)),
            Err(failure) => Err(failure.into()),
        }
    }

    fn checked_domains(&self) -> Result<Vec<String>> {
        self.local_domains
            .iter()
            .map(|domain| {
                domain_key(domain).ok_or_else(|| {
                    configuration(format!("`{}` is no domain", domain.escape_debug()))
                })
            })
            .collect()
    }

    fn state(&self, drop: Option<&Dir>, is_wanted: bool, modes: Modes) -> Result<State> {
        let setting = Setting {
            drop: drop.map(|drop| absolute(drop.path())).transpose()?,
            pickup: self.pickup_dir.as_deref().map(absolute).transpose()?,
            is_maildir: drop.map_or(Ok(false), is_maildir)?,
            profile: self.profile,
            case_sensitive: self.case_sensitive_local_part,
            drop_dot_stuffed: self.drop_dot_stuffed,
        };
        let path = self.state_dir.as_deref().map(absolute).transpose()?;
        Ok(State::new(
            path,
            is_wanted,
            setting,
            modes,
            self.probe.clone(),
        ))
    }

    fn drop_store(&self, drop: Dir, state: &Arc<State>, fills_itself: bool) -> Result<DropStore> {
        let rules = DropRules {
            profile: self.profile,
            is_of_one: false,
            #[cfg(feature = "maildir")]
            counted_in: None,
            dot_stuffed: self.drop_dot_stuffed,
            case_sensitive: self.case_sensitive_local_part,
            durable: self.durability == Durability::Durable,
            limits: self.limits.clone(),
            threads: self.scan_threads,
            progress: self.progress.clone(),
        };
        DropStore::new(
            drop,
            rules,
            self.drop_writer,
            fills_itself,
            Arc::clone(state),
        )
    }

    fn pickup(&self, dir: Dir) -> Pickup {
        let default = Writer::InPlace {
            settle: Duration::from_secs(1),
        };
        Pickup {
            dir,
            dot_stuffed: self.pickup_dot_stuffed,
            format: self.pickup_format,
            settling: Settling::new(self.pickup_writer.unwrap_or(default)),
            looks: AtomicU64::new(0),
        }
    }

    /// Beside Pickup, as the SMTP service of IIS has it.
    fn badmail(&self, pickup: Option<&Dir>) -> Result<Option<PathBuf>> {
        if let Some(root) = &self.mailroot {
            return Ok(Some(root.join("Badmail")));
        }
        let pickup = pickup.map(|pickup| absolute(pickup.path())).transpose()?;
        Ok(pickup.map(|pickup| pickup.with_file_name("Badmail")))
    }
}
