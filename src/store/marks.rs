//! Marks: which recipient of a shared file has deleted it.
//!
//! A mark is a small file whose *name* says all: a hash of the message file's base name, a hash of
//! what tells that file from another of the same name (size, time, beginning), and a hash of the
//! address as the run writes it. So whether somebody has deleted a file is one look-up; a mark
//! fits its file or is none, and nothing of it must be read or trusted. What it holds is for
//! people. Marks are truth, not part of an index: losing one brings back a deleted message.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;

use super::drop::DropStore;
use super::origin::OpenedEntry;
use crate::error::{ErrorKind, Result};
use crate::format::address::Address;
use crate::format::encode::Sink;
use crate::state::{Dirs, State};
use crate::transport::{OutFile, publish};

/// Bytes of a file's beginning that its marks are bound to.
const HEAD: usize = 4096;

/// A hash that every version of this program computes alike.
fn hash(bytes: &[u8]) -> String {
    let space = uuid::Uuid::NAMESPACE_OID;
    uuid::Uuid::new_v5(&space, bytes).simple().to_string()
}

/// The beginning of the names of all marks of one file.
struct Prefix {
    file: String,
}

impl Prefix {
    fn new(base: &[u8], opened: &OpenedEntry) -> Result<Self> {
        let mut head = vec![0; HEAD];
        let count = opened.file.read_at(&mut head, 0)?;
        head.truncate(count);
        let state = format!("{} {}\n", opened.stamp.size, opened.stamp.modified);
        let file = format!(
            "{}-{}",
            hash(base),
            hash(&[state.as_bytes(), &head].concat())
        );
        Ok(Self { file })
    }

    fn name(&self, address: &Address) -> String {
        format!("{}-{}", self.file, hash(address.to_string().as_bytes()))
    }
}

/// The marks of one look: the names of their files, by the hash of the base name.
#[derive(Default)]
pub(super) struct Marked(HashMap<String, HashSet<String>>);

impl Marked {
    /// Looks at the marks; what has another kind of name is none.
    pub(super) fn look(state: &State) -> Result<Self> {
        let mut marked = Self::default();
        let Some(dirs) = state.existing()? else {
            return Ok(marked);
        };
        for name in dirs.marks.all_names()? {
            if let Some((base, _)) = name.to_str().and_then(|name| name.split_once('-')) {
                let of_base = marked.0.entry(base.to_owned()).or_default();
                of_base.insert(name.to_string_lossy().into_owned());
            }
        }
        Ok(marked)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there may be marks of a file of this base name.
    #[cfg(feature = "index")]
    pub(super) fn has_base(&self, base: &[u8]) -> bool {
        self.0.contains_key(&hash(base))
    }

    /// Whether an address has deleted the file of this base name and state.
    #[cfg(feature = "index")]
    pub(super) fn holds(&self, base: &[u8], state: [u8; 16], address: &str) -> bool {
        let of_base = hash(base);
        self.0.get(&of_base).is_some_and(|marks| {
            let state = uuid::Uuid::from_bytes(state).simple();
            marks.contains(&format!("{of_base}-{state}-{}", hash(address.as_bytes())))
        })
    }
}

/// What the marks of a file are named after, beside its name.
#[cfg(feature = "index")]
pub(super) fn state_of(base: &[u8], opened: &OpenedEntry) -> Result<[u8; 16]> {
    let prefix = Prefix::new(base, opened)?;
    let state = prefix.file.rsplit('-').next().unwrap_or_default();
    let state = uuid::Uuid::try_parse(state).unwrap_or_default();
    Ok(*state.as_bytes())
}

impl DropStore {
    /// The keys of those who have deleted this file. Marks of its name that are about another
    /// file are noted as misfits.
    pub(super) fn deleted_by(
        &self,
        marked: &Marked,
        name: &OsStr,
        opened: &OpenedEntry,
        misfits: &mut HashSet<String>,
    ) -> Result<HashSet<String>> {
        if marked.is_empty() {
            return Ok(HashSet::new());
        }
        let Some(of_base) = marked.0.get(&hash(self.base(name))) else {
            return Ok(HashSet::new());
        };
        let prefix = Prefix::new(self.base(name), opened)?;
        misfits.extend(
            of_base
                .iter()
                .filter(|mark| !mark.starts_with(&prefix.file))
                .cloned(),
        );
        let recipients = opened.run.recipients.iter();
        let deleted = recipients.filter(|address| of_base.contains(&prefix.name(address)));
        Ok(deleted.map(|address| self.key(address)).collect())
    }

    /// The same for one file alone, without a look at all marks.
    pub(super) fn who_deleted(
        &self,
        name: &OsStr,
        opened: &OpenedEntry,
    ) -> Result<HashSet<String>> {
        let Some(dirs) = self.state.existing()? else {
            return Ok(HashSet::new());
        };
        let prefix = Prefix::new(self.base(name), opened)?;
        let mut keys = HashSet::new();
        for address in &opened.run.recipients {
            match dirs.marks.stat(prefix.name(address)) {
                Ok(_) => drop(keys.insert(self.key(address))),
                Err(failure) if failure.is_gone() => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(keys)
    }

    pub(super) fn key(&self, address: &Address) -> String {
        address.key(self.rules.case_sensitive)
    }

    pub(super) fn has_key(&self, address: &Address, key: &str) -> bool {
        address.has_key(key, self.rules.case_sensitive)
    }

    /// Writes that the owner of `address` has deleted the file.
    pub(super) fn mark(&self, name: &OsStr, opened: &OpenedEntry, address: &Address) -> Result<()> {
        let dirs = self.state.ensure()?;
        let mark = Prefix::new(self.base(name), opened)?.name(address);
        let text = format!("{}\ndeleted by {address}\n", name.to_string_lossy());
        let durable = self.rules.durable;
        let write = |text: &str| {
            publish(&dirs.marks, &mark, &self.state, durable, |file| {
                let mut out = OutFile::new(file);
                out.put(text.as_bytes())?;
                out.finish(durable)
            })
        };
        let written = match write(&text) {
            // A disk is emptied by deleting, and the name says all.
            Err(error) if error.kind() == ErrorKind::DiskFull => write(""),
            written => written,
        };
        match written {
            // Another session of the same address was faster.
            Err(error) if error.is_taken() => Ok(()),
            written => written.map(drop),
        }
    }

    /// Removes the marks of a file that all have deleted.
    pub(super) fn remove_marks(&self, dirs: &Dirs, name: &OsStr, opened: &OpenedEntry) {
        if let Ok(prefix) = Prefix::new(self.base(name), opened) {
            for address in &opened.run.recipients {
                // A mark without a file is swept by a later look.
                let _ = dirs.marks.remove(prefix.name(address));
            }
        }
    }

    /// Removes the marks of files that are certainly gone, and those that fit their file no more.
    pub(super) fn sweep_marks(
        &self,
        marked: &Marked,
        misfits: &HashSet<String>,
        present: Option<&HashSet<Vec<u8>>>,
    ) {
        let Ok(Some(dirs)) = self.state.existing() else {
            return;
        };
        let mut absent: HashSet<_> =
            present.map_or(HashSet::new(), |_| marked.0.keys().cloned().collect());
        for base in present.into_iter().flatten() {
            absent.remove(&hash(base));
        }
        let of_absent = absent
            .iter()
            .filter_map(|base| marked.0.get(base))
            .flatten();
        for name in of_absent.chain(misfits) {
            // A mark that stays is swept another time.
            let _ = dirs.marks.remove(name);
        }
    }
}
