//! A Maildir for each user: `new/`, `cur/` and `tmp/`, filled by Postfix, Exim, Dovecot and others.
//!
//! It is a drop directory of which everything is one user's. What must be remembered of it lies in
//! a folder of its own beside `cur/`: other programs pass over names without a dot.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::drop::{DropRules, DropStore};
use super::drop_mailbox::DropMailbox;
use super::mailbox::{LogOn, Mailbox, Store};
use super::{is_maildir, recover_removing};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{Dir, Modes};
use crate::profile::Profile;
use crate::state::{Setting, State};

/// What a program is remembered in, inside the Maildir.
const STATE: &str = "cdonts";

/// The Maildirs of users, one for each: a [`Store`].
///
/// ```no_run
/// use cdonts::{MailServer, Maildir, Session};
///
/// # fn main() -> cdonts::Result<()> {
/// let server = MailServer::builder()
///     .inbox(Maildir::new("/var/vmail/{domain}/{user}/Maildir"))
///     .open()?;
/// let session = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
/// println!("{} messages", session.inbox().count()?);
/// # Ok(())
/// # }
/// ```
///
/// Messages that another program has marked as deleted (the flag `T`) are not shown. Flags are
/// never set: a message that was read here is new to every other program.
pub struct Maildir {
    place: Place,
    /// Of Maildir++: a directory of that name beside `cur/`.
    folder: Option<String>,
    durable: bool,
    group_shared: bool,
    opened: Mutex<HashMap<PathBuf, Weak<DropStore>>>,
}

enum Place {
    Pattern(String),
    Of { address: String, path: PathBuf },
}

impl Maildir {
    /// The Maildir of whoever logs on, by a pattern: `{user}` is the local-part of the address,
    /// `{domain}` its domain, both in lower case, `{address}` the whole. Without the domain the same
    /// user of every domain has the same Maildir: whoever lets people in must not let in others'
    /// domains. A pattern that names nobody is an error of kind
    /// [`Configuration`](ErrorKind::Configuration) when somebody logs on.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self::at(Place::Pattern(pattern.into()))
    }

    /// One Maildir, of this address alone: nobody else can log on.
    pub fn of(address: impl Into<String>, path: impl AsRef<Path>) -> Self {
        Self::at(Place::Of {
            address: address.into(),
            path: path.as_ref().to_owned(),
        })
    }

    fn at(place: Place) -> Self {
        Self {
            place,
            folder: None,
            durable: true,
            group_shared: false,
            opened: Mutex::default(),
        }
    }

    /// A folder of it instead of the Inbox, by its name in Maildir++: `Tickets/Open` is the
    /// directory `.Tickets.Open`, what is not ASCII is written in modified UTF-7.
    pub fn folder(mut self, name: impl Into<String>) -> Self {
        self.folder = Some(name.into());
        self
    }

    /// Whether a deletion is on the disk when it returns; on by default.
    pub fn durable(mut self, on: bool) -> Self {
        self.durable = on;
        self
    }

    /// Makes files with mode 0660 and directories with 2770, for programs of one group, instead of
    /// 0600 and 0700. Off by default.
    pub fn group_shared(mut self, on: bool) -> Self {
        self.group_shared = on;
        self
    }

    /// The directory of somebody. What an address may hold is no path: each part must be a plain
    /// name.
    fn path_for(&self, key: &str) -> Result<PathBuf> {
        let mut path = match &self.place {
            Place::Of { address, path } => {
                let own = crate::format::address::Address::parse(address).map_err(|reason| {
                    let message = format!("the address of the Maildir {reason}");
                    Error::new(ErrorKind::InvalidAddress, message)
                })?;
                if !own.has_key(key, false) {
                    return Err(no_mailbox());
                }
                path.clone()
            }
            Place::Pattern(pattern) => {
                check_pattern(pattern)?;
                let (user, domain) = key.rsplit_once('@').ok_or_else(no_mailbox)?;
                for (name, value) in [("{user}", user), ("{domain}", domain), ("{address}", key)] {
                    if pattern.contains(name) && !is_plain(value) {
                        return Err(no_mailbox());
                    }
                }
                PathBuf::from(filled_in(pattern, user, domain, key))
            }
        };
        if let Some(folder) = &self.folder {
            path.push(folder_name(folder)?);
        }
        Ok(path)
    }

    fn is_of_many(&self) -> bool {
        matches!(self.place, Place::Pattern(_))
    }

    fn open_store(&self, path: &Path, who: &LogOn<'_>) -> Result<Arc<DropStore>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = opened.get(path).and_then(Weak::upgrade) {
            return Ok(store);
        }
        opened.retain(|_, store| store.strong_count() > 0);
        let store = Arc::new(self.new_store(path, who)?);
        if let Some(dirs) = store.state.existing()? {
            // A removal that died is finished; what fails now, the next one finishes.
            let _ = recover_removing(&store, &dirs);
        }
        opened.insert(path.to_owned(), Arc::downgrade(&store));
        Ok(store)
    }

    fn new_store(&self, path: &Path, who: &LogOn<'_>) -> Result<DropStore> {
        let probe = who.state.probe().clone();
        let modes = Modes {
            group_shared: self.group_shared,
        };
        let root = match Dir::open_path(path, modes, &probe) {
            Err(failure) if failure.is_gone() && self.is_of_many() => return Err(no_mailbox()),
            opened => opened?,
        };
        // A folder lies in the Maildir, which has one count for all.
        let counted_in = match (&self.folder, path.parent()) {
            (Some(_), Some(parent)) => Dir::open_path(parent, modes, &probe)?,
            _ => root.clone(),
        };
        if !is_maildir(&root)? {
            let message = "the directory is no Maildir: it lacks new/, cur/ or tmp/";
            return Err(Error::new(ErrorKind::Configuration, message).with_path(path));
        }
        let whole = std::path::absolute(path)
            .map_err(|source| Error::io("look at a directory", path, source))?;
        let setting = Setting {
            drop: Some(whole.clone()),
            pickup: None,
            is_maildir: true,
            profile: Profile::None,
            case_sensitive: false,
            drop_dot_stuffed: false,
        };
        let state = State::new(Some(whole.join(STATE)), false, setting, modes, probe);
        let rules = DropRules {
            durable: self.durable,
            counted_in: Some(counted_in),
            ..DropRules::of_one(who.limits.clone())
        };
        DropStore::new(root, rules, None, false, Arc::new(state))
    }
}

impl Store for Maildir {
    fn open(&self, who: &LogOn<'_>) -> Result<Arc<dyn Mailbox>> {
        let path = self.path_for(who.key)?;
        let store = self.open_store(&path, who)?;
        Ok(Arc::new(DropMailbox::of_one(&store)))
    }
}

impl fmt::Debug for Maildir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pattern, path) = match &self.place {
            Place::Pattern(pattern) => (pattern.as_str(), Path::new("")),
            Place::Of { address, path } => (address.as_str(), path.as_path()),
        };
        f.debug_struct("Maildir")
            .field("of", &pattern)
            .field("path", &path)
            .finish_non_exhaustive()
    }
}

/// The same for every address: nobody learns whose mailboxes there are.
fn no_mailbox() -> Error {
    let message = "there is no mailbox for this address";
    Error::new(ErrorKind::LogonFailed, message).with_field("Address")
}

/// One directory for whoever asks would show everybody's mail to everybody.
fn check_pattern(pattern: &str) -> Result<()> {
    let wrong = |message: String| Error::new(ErrorKind::Configuration, message);
    if !pattern.contains("{user}") && !pattern.contains("{address}") {
        let message = "the pattern names one directory for everybody: it lacks {user} or {address}; \
                       for one address there is `Maildir::of`";
        return Err(wrong(message.to_owned()).with_path(Path::new(pattern)));
    }
    let mut rest = pattern;
    while let Some((_, from)) = rest.split_once('{') {
        let name = from.split_once('}').map_or(from, |(name, _)| name);
        if !["user", "domain", "address"].contains(&name) {
            let message = format!(
                "the pattern has `{{{name}`, which is none of {{user}}, {{domain}} and {{address}}"
            );
            return Err(wrong(message).with_path(Path::new(pattern)));
        }
        rest = from;
    }
    Ok(())
}

/// One pass: what was filled in is not filled in again.
fn filled_in(pattern: &str, user: &str, domain: &str, key: &str) -> String {
    let values = [("{user}", user), ("{domain}", domain), ("{address}", key)];
    let mut path = String::new();
    let mut rest = pattern;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        path.push_str(before);
        let found = values
            .iter()
            .find_map(|(name, value)| Some((from.strip_prefix(name)?, value)));
        match found {
            Some((behind, value)) => {
                path.push_str(value);
                rest = behind;
            }
            None => {
                path.push('{');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    path + rest
}

/// Whether it is a name in a directory and nothing else, on every system.
fn is_plain(name: &str) -> bool {
    let is_odd = |c: char| c.is_control() || "/\\:*?\"<>|".contains(c);
    !name.is_empty() && !name.starts_with('.') && !name.ends_with('.') && !name.contains(is_odd)
}

/// The directory of a folder in Maildir++.
fn folder_name(name: &str) -> Result<String> {
    let levels: Vec<&str> = name.split('/').collect();
    let is_level = |level: &&str| !level.is_empty() && !level.contains(['.', '\\', '\0']);
    if !levels.iter().all(is_level) {
        let message = "a folder's name is of levels between slashes, none of them empty or with a \
                       dot in it";
        return Err(Error::new(ErrorKind::InvalidValue, message).with_field("folder"));
    }
    let levels = levels
        .iter()
        .map(|level| utf7_imap::encode_utf7_imap((*level).to_owned()));
    let name: String = levels.map(|level| format!(".{level}")).collect();
    // A comma takes the slash's place there, so that this cannot be.
    if name.contains('/') {
        let message = "the folder's name cannot be written in Maildir++";
        return Err(Error::new(ErrorKind::InvalidValue, message).with_field("folder"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its removals are one after the other for all sessions of a user.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test may make directories")]
    fn a_mailbox_in_use_is_opened_once() {
        let root = tempfile::tempdir().unwrap();
        let pattern = root.path().join("{user}");
        let maildir = Maildir::new(pattern.to_str().unwrap());
        let server = crate::MailServer::temporary().unwrap();
        let open = |user: &str| {
            let path = root.path().join(user);
            for name in ["new", "cur", "tmp"] {
                std::fs::create_dir_all(path.join(name)).unwrap();
            }
            let address = format!("{user}@example.com");
            let who = LogOn {
                address: &address,
                key: &address,
                credentials: None,
                limits: &crate::Limits::default(),
                state: &server.spool().state,
            };
            maildir.open_store(&path, &who).unwrap()
        };
        let jane = open("jane");
        drop(open("joe"));
        drop(open("ann"));
        assert!(Arc::ptr_eq(&jane, &open("jane")));
        // What nobody uses any more is forgotten.
        let known = maildir.opened.lock().unwrap();
        assert_eq!(known.len(), 2);
    }

    #[test]
    fn who_has_no_domain_has_no_directory_and_other_braces_stay() {
        let maildir = Maildir::new("/mail/{domain}/{user}");
        let error = maildir.path_for("jane").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LogonFailed);
        let filled = filled_in("/{x}/{user}{", "jane", "example.com", "jane@example.com");
        assert_eq!(filled, "/{x}/jane{");
    }

    #[test]
    fn a_pattern_gives_each_address_a_directory_of_its_own() {
        let maildir = Maildir::new("/mail/{domain}/{user}/Maildir");
        let path = |key: &str| maildir.path_for(key).map(|path| path.display().to_string());
        assert_eq!(
            path("jane@example.com").unwrap(),
            "/mail/example.com/jane/Maildir"
        );
        for key in [
            "..@x.org",
            ".hid@x.org",
            "a/b@x.org",
            "@x.org",
            "a\\b@x.org",
            "a\0@x.org",
        ] {
            let error = path(key).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LogonFailed, "{key}");
        }
        let path = maildir.path_for("{domain}@x.org").unwrap();
        assert_eq!(path, Path::new("/mail/x.org/{domain}/Maildir"));
    }

    #[test]
    fn a_pattern_that_names_nobody_is_none() {
        for pattern in [
            "/mail",
            "/mail/{domain}",
            "/mail/{domian}/{user}",
            "/mail/{user",
            "/mail/{user}/{",
            "/mail/{user}{/{domain}",
        ] {
            let error = Maildir::new(pattern).path_for("jane@x.org").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{pattern}");
        }
        for pattern in ["/{address}", "/{user}", "/{user}@{domain}"] {
            assert!(Maildir::new(pattern).path_for("jane@x.org").is_ok());
        }
    }

    #[test]
    fn one_maildir_is_of_its_address_alone() {
        let maildir = Maildir::of("Jane@Example.COM", "/mail");
        assert!(maildir.path_for("jane@example.com").is_ok());
        let error = maildir.path_for("joe@example.com").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LogonFailed);
    }

    #[test]
    fn folders_are_named_as_in_maildir_plus_plus() {
        assert_eq!(folder_name("Tickets/Open").unwrap(), ".Tickets.Open");
        assert_eq!(folder_name("Entwürfe").unwrap(), ".Entw&APw-rfe");
        for name in ["", "a//b", "..", "a.b", "/a"] {
            assert!(folder_name(name).is_err(), "{name}");
        }
    }
}
