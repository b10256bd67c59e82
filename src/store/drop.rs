//! A drop directory: one folder for all recipients and all applications of a machine.

use std::ffi::{OsStr, OsString};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::moved::Moved;
use super::settle::{Settling, Writer};
use crate::error::{Error, ErrorKind, Result};
use crate::format::envelope::{self, Head};
use crate::fs::{Dir, File, Kind};
use crate::limits::Limits;
use crate::profile::Profile;
use crate::server::Progress;
use crate::state::State;

/// Where in a drop a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Flat,
    New,
    Cur,
}

impl Place {
    pub(super) const ALL: [Self; 3] = [Self::Flat, Self::New, Self::Cur];

    /// The name of the folder, and of the directory in `removing/`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::New => "new",
            Self::Cur => "cur",
        }
    }

    /// How the index writes it.
    #[cfg(feature = "index")]
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Flat => 0,
            Self::New => 1,
            Self::Cur => 2,
        }
    }

    #[cfg(feature = "index")]
    pub(super) fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|place| place.number() == number)
    }

    pub(super) fn relative_path(self, name: &OsStr) -> PathBuf {
        match self {
            Self::Flat => PathBuf::from(name),
            Self::New | Self::Cur => Path::new(self.name()).join(name),
        }
    }
}

/// Whoever it is that a mailbox of one user belongs to; no address compares like this.
pub(super) const OWNER: &str = "";

/// The rules under which a drop is read.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule of its own")]
pub(crate) struct DropRules {
    pub(crate) profile: Profile,
    /// All that lies there is one user's, whatever the files say.
    pub(crate) is_of_one: bool,
    /// Where the size of all is counted, if it is.
    #[cfg(feature = "maildir")]
    pub(crate) counted_in: Option<Dir>,
    pub(crate) dot_stuffed: bool,
    pub(crate) case_sensitive: bool,
    pub(crate) durable: bool,
    pub(crate) limits: Limits,
    /// How many threads read new files; as many as there are processors, but at most 8, without.
    #[cfg_attr(not(feature = "index"), expect(dead_code, reason = "for the index"))]
    pub(crate) threads: Option<NonZero<usize>>,
    #[cfg_attr(not(feature = "index"), expect(dead_code, reason = "for the index"))]
    pub(crate) progress: Progress,
}

impl DropRules {
    /// Those of a directory that is one user's mailbox.
    #[cfg(feature = "maildir")]
    pub(super) fn of_one(limits: Limits) -> Self {
        Self {
            profile: Profile::None,
            is_of_one: true,
            counted_in: None,
            dot_stuffed: false,
            case_sensitive: false,
            durable: true,
            limits,
            threads: None,
            progress: Progress::default(),
        }
    }

    /// What the server wrote on top of a file.
    pub(super) fn run(&self, head: &[u8], whole: bool) -> Head {
        #[cfg(feature = "maildir")]
        if self.is_of_one {
            return envelope::read_mailbox_run(head, whole);
        }
        envelope::read_run(self.profile, head, whole)
    }

    #[cfg(feature = "index")]
    pub(super) fn threads(&self) -> NonZero<usize> {
        // Not as many as there are processors: they wait for the disk, which serves many at once.
        const USUAL: NonZero<usize> = NonZero::new(8).unwrap();
        self.threads.unwrap_or(USUAL)
    }
}

#[derive(Debug)]
pub(crate) struct DropStore {
    pub(crate) rules: DropRules,
    pub(super) root: Dir,
    /// The directories that hold files, in the order in which they are read.
    pub(super) places: Vec<(Place, Dir)>,
    pub(super) settling: Settling,
    pub(super) looks: AtomicU64,
    pub(super) state: Arc<State>,
    pub(super) moved: Moved,
    #[cfg(feature = "index")]
    pub(super) index: super::index::Index,
    /// Hashes of names whose rows in the index may be another file's.
    #[cfg(feature = "index")]
    pub(super) suspects: std::sync::Mutex<std::collections::HashSet<u64>>,
}

impl DropStore {
    /// `writer` is the owner's setting; without one it follows from the form of the directory.
    pub(crate) fn new(
        root: Dir,
        rules: DropRules,
        writer: Option<Writer>,
        fills_itself: bool,
        state: Arc<State>,
    ) -> Result<Self> {
        let places = places_of(&root)?;
        let is_maildir = places.len() > 1;
        let default = if is_maildir || fills_itself {
            Writer::Renames
        } else {
            Writer::InPlace {
                settle: std::time::Duration::from_secs(1),
            }
        };
        Ok(Self {
            settling: Settling::new(writer.unwrap_or(default)),
            looks: AtomicU64::new(0),
            moved: Moved::default(),
            #[cfg(feature = "index")]
            index: super::index::Index::default(),
            #[cfg(feature = "index")]
            suspects: std::sync::Mutex::default(),
            rules,
            root,
            places,
            state,
        })
    }

    pub(crate) fn writer(&self) -> Writer {
        self.settling.writer()
    }

    pub(crate) fn root(&self) -> &Dir {
        &self.root
    }

    /// Where messages come.
    #[cfg(feature = "watch")]
    pub(crate) fn directories(&self) -> impl Iterator<Item = &Path> {
        self.places.iter().map(|(_, dir)| dir.path())
    }

    pub(crate) fn is_maildir(&self) -> bool {
        self.places.len() > 1
    }

    pub(super) fn place(&self, place: Place) -> Option<&Dir> {
        self.places
            .iter()
            .find(|(known, _)| *known == place)
            .map(|(_, dir)| dir)
    }

    /// Opens the file of that name. A Maildir file may have been renamed since: then it is looked
    /// for once more under its base name in both folders.
    pub(super) fn open(&self, place: Place, name: &OsStr) -> Result<(File, Place, OsString)> {
        let found = self.place(place).map(|dir| dir.open(name));
        match found {
            Some(Ok(file)) => return Ok((file, place, name.to_owned())),
            Some(Err(failure)) if failure.is_gone() => {}
            Some(Err(failure)) => return Err(failure.into()),
            None => {}
        }
        if let Some(found) = self.find_moved(name) {
            return Ok(found);
        }
        Err(Self::gone().with_path(self.root.path().join(place.relative_path(name))))
    }

    pub(super) fn gone() -> Error {
        Error::new(
            ErrorKind::MessageGone,
            "the message was deleted or replaced since it was listed; list the Inbox again",
        )
    }

    /// What of a name stays the same: a Maildir file's flags change when it is read.
    pub(super) fn base<'a>(&self, name: &'a OsStr) -> &'a [u8] {
        self.base_of(name.as_encoded_bytes())
    }

    fn base_of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        if !self.is_maildir() {
            return bytes;
        }
        let flags = memchr::memmem::find(bytes, b":2,");
        flags.and_then(|flags| bytes.get(..flags)).unwrap_or(bytes)
    }

    /// The flags of a Maildir file.
    fn flags<'a>(&self, name: &'a [u8]) -> &'a [u8] {
        let base = self.base_of(name).len();
        name.get(base..).unwrap_or_default()
    }

    /// Whether a name can be a message. Dot files are nobody's, and Exim writes through `temp.`.
    pub(super) fn is_candidate(&self, name: &OsStr) -> bool {
        let name = name.as_encoded_bytes();
        let is_unfinished = self.rules.profile == Profile::Exim && name.starts_with(b"temp.");
        let is_trash = self.rules.is_of_one && self.flags(name).contains(&b'T');
        !is_unfinished && !is_trash && !name.starts_with(b".")
    }
}

/// A Maildir has new/, cur/ and tmp/; all else is flat.
fn places_of(root: &Dir) -> Result<Vec<(Place, Dir)>> {
    if !is_maildir(root)? {
        return Ok(vec![(Place::Flat, root.clone())]);
    }
    Ok(vec![
        (Place::New, root.open_dir("new")?),
        (Place::Cur, root.open_dir("cur")?),
    ])
}

/// Whether the directory is a Maildir. When nobody can tell it is an error: read as the other form
/// it would look empty.
pub(crate) fn is_maildir(root: &Dir) -> Result<bool> {
    for name in ["new", "cur", "tmp"] {
        match root.stat(name) {
            Ok(stat) if stat.kind == Kind::Directory => {}
            Ok(_) => return Ok(false),
            Err(failure) if failure.is_gone() => return Ok(false),
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(true)
}
