//! The index of a drop: whose messages lie there, and what a listing shows of them.
//!
//! It is a cache. Whoever opens a message reads and judges the file again, so nothing in here can
//! show a message to the wrong address; and what is here is believed only if it was written for
//! this drop under these rules and its checksums hold. On any doubt it is set aside and built anew
//! from the files. Many processes use it at once (redb in its `MultiWriter` mode).
//!
//! Three tables: `rows`, a row for each message of each address, keyed by address, order and name;
//! `boxes`, how many rows an address has and a sum over them, so that a lost row is noticed; and
//! `meta`, where the last look and the names of all files seen are kept.

mod access;
mod backend;
mod known;
mod meta;
mod octets;
mod read;
pub(super) mod row;
mod rows;
mod sorter;
#[cfg(test)]
mod tampered;
mod write;

use std::hash::Hasher;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use redb::{ReadableTable, TableDefinition};
use siphasher::sip::SipHasher13;

use crate::error::Error;
use crate::fs::{Dir, Failure};
use crate::state::new_id;

use access::Access;
pub(super) use known::{Known, Names, Seen};
pub(super) use meta::Look;
use read::Reader;
pub(super) use row::{Order, Row, name_bytes, os_name, seen};
pub(crate) use rows::Rows;
pub(super) use sorter::Sorter;
pub(super) use write::Writing;

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
const BOXES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("boxes");

const NAME: &str = "index";
/// Changes with everything that is written into the file.
const FORMAT: &[u8] = b"cdonts index 1\n";

/// Why the index cannot serve.
#[derive(Debug)]
pub(super) enum Fault {
    /// It holds what it should not: it is set aside and built anew.
    Damaged,
    /// It is another drop's or another version's.
    Foreign,
    /// It cannot be opened or written now, through no fault of its own.
    Unavailable,
}

/// Why a look at the drop ended.
#[derive(Debug)]
pub(super) enum Stop {
    Fault(Fault),
    /// The drop itself cannot be listed.
    Error(Error),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Error(failure.into())
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Failure> for Fault {
    fn from(_: Failure) -> Self {
        Self::Unavailable
    }
}

/// Only what says that the file is wrong counts against it: a full disk does not.
fn fault(error: impl Into<redb::Error>) -> Fault {
    match error.into() {
        // It is no database any more, or one that was cut.
        redb::Error::Io(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof
            ) =>
        {
            Fault::Damaged
        }
        redb::Error::Io(_)
        | redb::Error::PreviousIo
        | redb::Error::DatabaseAlreadyOpen
        | redb::Error::DatabaseClosed
        | redb::Error::Unsupported
        | redb::Error::LockPoisoned(_) => Fault::Unavailable,
        _ => Fault::Damaged,
    }
}

/// What the database answered.
trait Answered<T> {
    /// What it failed with, as a fault of the index. In tests this is where it fails though it has
    /// done what it was asked.
    fn answered(self) -> Result<T, Fault>;
}

impl<T, E: Into<redb::Error>> Answered<T> for Result<T, E> {
    fn answered(self) -> Result<T, Fault> {
        #[cfg(test)]
        crate::fuse::INDEX
            .with(crate::fuse::Fuse::burn)
            .map_err(|_| Fault::Unavailable)?;
        self.map_err(fault)
    }
}

/// The open index of one drop, if there is one.
#[derive(Debug, Default)]
pub(super) struct Index {
    opened: Mutex<Option<Arc<Opened>>>,
    /// Looks of one process wait for each other: the second finds what the first has written.
    pub(super) looking: Mutex<()>,
}

/// An index file that was written for this drop.
#[derive(Debug)]
pub(super) struct Opened {
    access: Access,
    /// Made by chance for each index: it keys the hashes and binds the cursors.
    id: [u8; 16],
}

impl Index {
    /// Opens the index in the state directory, or makes an empty one.
    pub(super) fn open(
        &self,
        root: &Dir,
        identity: &[u8],
        durable: bool,
    ) -> Result<Arc<Opened>, Fault> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let there = root.stat(NAME).map(|stat| stat.stamp.inode).ok();
        if let Some(before) = opened
            .as_ref()
            .filter(|before| Some(before.access.inode()) == there)
        {
            return Ok(Arc::clone(before));
        }
        *opened = None;
        let new = match open_existing(root, identity, durable) {
            Ok(Some(found)) => found,
            Ok(None) => create(root, identity, durable)?,
            Err(Fault::Unavailable) => return Err(Fault::Unavailable),
            Err(_) => {
                set_aside(root, there)?;
                create(root, identity, durable)?
            }
        };
        let new = Arc::new(new);
        *opened = Some(Arc::clone(&new));
        Ok(new)
    }

    /// The index, if this process has opened it.
    pub(super) fn current(&self) -> Option<Arc<Opened>> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.clone()
    }

    /// After a fault of its file a database takes no other call: the next one opens it anew.
    pub(super) fn forget(&self) {
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Takes an index that cannot be believed out of the way.
    pub(super) fn set_aside(&self, root: &Dir) -> Result<(), Fault> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let bad = opened.take().map(|opened| opened.access.inode());
        set_aside(root, bad)
    }
}

/// Runs work on the index; redb checks itself by panics in debug builds.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, Stop>) -> Result<T, Stop> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Stop::Fault(Fault::Damaged)))
}

/// The same for its opening.
fn caught<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Fault::Damaged))
}

fn open_existing(root: &Dir, identity: &[u8], durable: bool) -> Result<Option<Opened>, Fault> {
    let Some(access) = Access::open(root, durable)? else {
        return Ok(None);
    };
    let (format, theirs, id) = caught(|| {
        let txn = access.begin_read()?;
        let table = txn.open_table(META).answered()?;
        let value = |name| -> Result<Option<Vec<u8>>, Fault> {
            let value = table.get(name).answered()?;
            Ok(value.map(|value| value.value().to_vec()))
        };
        Ok((value("format")?, value("identity")?, value("id")?))
    })?;
    if format.as_deref() != Some(FORMAT) || theirs.as_deref() != Some(identity) {
        return Err(Fault::Foreign);
    }
    let id = id.and_then(|id| id.try_into().ok()).ok_or(Fault::Damaged)?;
    Ok(Some(Opened { access, id }))
}

/// Makes an index under a name that nobody reads, and gives it its name when it is whole.
fn create(root: &Dir, identity: &[u8], durable: bool) -> Result<Opened, Fault> {
    let temporary = format!("{NAME}-{}", new_id());
    let new = create_as(root, &temporary, identity, durable);
    let named = new.and_then(|new| match root.rename(&temporary, root, NAME) {
        Ok(()) => Ok(Some(new)),
        Err(failure) if failure.is_taken() => Ok(None),
        Err(failure) => Err(failure.into()),
    });
    if !matches!(named, Ok(Some(_))) {
        // Nobody reads it.
        let _ = root.remove(&temporary);
    }
    match named? {
        Some(new) => Ok(new),
        None => open_existing(root, identity, durable)?.ok_or(Fault::Unavailable),
    }
}

fn create_as(root: &Dir, name: &str, identity: &[u8], durable: bool) -> Result<Opened, Fault> {
    let access = Access::create(root, name, durable)?;
    let id = *uuid::Uuid::new_v4().as_bytes();
    // What is lost of an empty one is made anew: it is not synced.
    let txn = access.begin_write()?;
    {
        let mut meta = txn.open_table(META).answered()?;
        for (name, value) in [("format", FORMAT), ("identity", identity), ("id", &id)] {
            meta.insert(name, value).answered()?;
        }
        txn.open_table(ROWS).answered()?;
        txn.open_table(BOXES).answered()?;
    }
    txn.commit().answered()?;
    Ok(Opened { access, id })
}

/// One that was set aside is kept for whoever wants to know why; older ones go.
fn set_aside(root: &Dir, bad: Option<u64>) -> Result<(), Fault> {
    const ASIDE: &str = "index.aside-";
    let there = match root.stat(NAME) {
        Err(failure) if failure.is_gone() => return Ok(()),
        looked => looked?.stamp.inode,
    };
    // Another process may have been faster, and the one that is there now may be good.
    if bad.is_some_and(|bad| bad != there) {
        return Ok(());
    }
    for name in root.all_names()? {
        if name.as_encoded_bytes().starts_with(ASIDE.as_bytes()) {
            let _ = root.remove(&name);
        }
    }
    Ok(root.rename(NAME, root, format!("{ASIDE}{}", new_id()))?)
}

impl Opened {
    pub(super) fn dir(&self) -> &Dir {
        self.access.dir()
    }

    pub(super) fn id(&self) -> [u8; 16] {
        self.id
    }

    /// A hash that nobody can foresee who does not read the index.
    pub(super) fn hash(&self, pieces: &[&[u8]]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.id);
        for piece in pieces {
            hasher.write(&piece.len().to_le_bytes());
            hasher.write(piece);
        }
        hasher.finish()
    }

    pub(super) fn read(&self) -> Result<Reader<'_>, Fault> {
        Ok(Reader::new(self, self.access.begin_read()?))
    }

    pub(super) fn write(&self) -> Result<Writing<'_>, Fault> {
        Ok(Writing::new(self, self.access.begin_write()?))
    }

    /// What is committed from now on outlives a power cut, if the owner asks for it.
    fn sync(&self) {
        self.access.sync();
    }

    /// Reads a value of `meta` whose checksum holds; an absent one is empty.
    fn checked(
        &self,
        table: &impl ReadableTable<&'static str, &'static [u8]>,
        name: &str,
    ) -> Result<Vec<u8>, Fault> {
        let Some(value) = table.get(name).answered()? else {
            return Ok(Vec::new());
        };
        let value = value.value();
        let split = value.len().checked_sub(8).ok_or(Fault::Damaged)?;
        let (bytes, sum) = value.split_at(split);
        if self.hash(&[name.as_bytes(), bytes]).to_le_bytes() != sum {
            return Err(Fault::Damaged);
        }
        Ok(bytes.to_vec())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests may write files")]
mod tests {
    use super::{NAME, set_aside};
    use crate::fs::double::place;
    use crate::fs::{Dir, Modes, Probe};

    /// Another process has set the bad one aside, and what is there now is its.
    #[test]
    fn an_index_that_another_has_made_anew_is_not_set_aside() {
        let root = place();
        let dir = Dir::open_path(root.path(), Modes::default(), &Probe::default()).unwrap();
        std::fs::write(root.path().join(NAME), "new").unwrap();
        let there = dir.stat(NAME).unwrap().stamp.inode;
        assert!(set_aside(&dir, Some(there + 1)).is_ok());
        assert!(root.path().join(NAME).exists());
        assert!(set_aside(&dir, Some(there)).is_ok());
        assert!(!root.path().join(NAME).exists());
    }
}
