//! Publishing one file: it has its name when it is whole and durable, or it was never there.
//!
//! After an error no reader ever sees any of it. The one case in which that cannot be had is a
//! directory that cannot be synced and in which the name cannot be removed again: then the message
//! is sent, and the error is told beside it.

use crate::error::{Problem, Result};
use crate::fs::{Dir, NewFile};
use crate::state::{Reserved, State};

/// Writes a file and gives it its name in `dir`. The problem is what failed after the message
/// could not be taken back.
pub(crate) fn publish(
    dir: &Dir,
    name: &str,
    state: &State,
    durable: bool,
    write: impl FnOnce(NewFile) -> Result<NewFile>,
) -> Result<Option<Problem>> {
    match dir.create_unnamed()? {
        Some(file) => {
            let file = write(file)?;
            let named = dir.link(&file, name);
            settle(dir, name, &file, named, durable)
        }
        None => publish_renamed(dir, name, state, durable, write),
    }
}

/// A file that is whole and durable and has no name yet.
pub(crate) struct Unnamed {
    dir: Dir,
    name: String,
    file: NewFile,
}

impl Unnamed {
    /// Where it will lie.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.dir.path()
    }
}

/// Writes a file without a name; `None` where there is no such thing.
pub(crate) fn prepare(
    dir: &Dir,
    name: &str,
    write: impl FnOnce(NewFile) -> Result<NewFile>,
) -> Result<Option<Unnamed>> {
    let Some(file) = dir.create_unnamed()? else {
        return Ok(None);
    };
    Ok(Some(Unnamed {
        dir: dir.clone(),
        name: name.to_owned(),
        file: write(file)?,
    }))
}

/// Gives many files of one directory their names, and makes all of them durable by one sync. Each
/// has its own answer: when the sync fails, each is taken back or kept as if it were alone.
pub(crate) fn publish_all(files: &[Unnamed], durable: bool) -> Vec<Result<Option<Problem>>> {
    let named: Vec<_> = files
        .iter()
        .map(|one| one.dir.link(&one.file, &one.name))
        .collect();
    let is_synced = durable
        && files
            .first()
            .is_some_and(|one| named.iter().any(Result::is_ok) && one.dir.sync().is_ok());
    let settled = files.iter().zip(named).map(|(one, named)| match named {
        Ok(()) if is_synced => Ok(None),
        named => settle(&one.dir, &one.name, &one.file, named, durable),
    });
    settled.collect()
}

/// Without unnamed files: under a name that nobody reads, and then renamed.
fn publish_renamed(
    dir: &Dir,
    name: &str,
    state: &State,
    durable: bool,
    write: impl FnOnce(NewFile) -> Result<NewFile>,
) -> Result<Option<Problem>> {
    let dirs = state.ensure()?;
    let Reserved { id, lock } = dirs.reserve()?;
    let published = (|| {
        let staging = dirs.staging.make_dir(&id)?;
        let written = staging.create(name).map_err(Into::into).and_then(write);
        let published = written.and_then(|file| {
            let named = staging.rename(name, dir, name);
            settle(dir, name, &file, named, durable)
        });
        // After success there is nothing left to remove.
        let _ = staging.remove(name);
        published
    })();
    // What cannot be removed now is swept when somebody recovers.
    if dirs.staging.is_without(&id) {
        let _ = lock.release();
    }
    published
}

/// Makes the name durable, or takes it away again.
fn settle(
    dir: &Dir,
    name: &str,
    file: &NewFile,
    named: crate::fs::Result<()>,
    durable: bool,
) -> Result<Option<Problem>> {
    let (failure, was_named) = match named {
        Err(failure) => (failure, false),
        Ok(()) if !durable => return Ok(None),
        Ok(()) => match dir.sync() {
            Ok(()) => return Ok(None),
            Err(failure) => (failure, true),
        },
    };
    // Naming can fail after it was done, on a network disk for one.
    let is_ours = match (dir.stat(name), file.stat()) {
        (Ok(there), Ok(ours)) => Some(there.stamp == ours.stamp),
        (Err(looked), _) if looked.is_gone() => Some(false),
        _ => None,
    };
    let is_taken_back = match (is_ours, was_named) {
        // A reader has it already.
        (Some(false), true) => false,
        (Some(false) | None, false) => true,
        // It was named, so that what has the name is ours.
        (Some(true), _) | (None, true) => dir.remove(name).is_ok(),
    };
    if is_taken_back {
        return Err(failure.into());
    }
    Ok(Some(crate::error::Error::from(failure).into()))
}
