//! Recovery: what a process that died has left is finished or undone. It is the same work as at
//! any start, and doing it twice changes nothing.

use std::sync::Arc;

use super::handover::{CLAIM, Committed};
use super::spool::Spool;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::fs::Dir;
use crate::state::Dirs;
use crate::store::{give_back, recover_removing};

/// Whether something is handed over and not moved out: a look at an Inbox asks.
pub(crate) fn has_committed(spool: &Spool) -> Result<bool> {
    match spool.state.existing()? {
        Some(dirs) => Ok(dirs.committed.entries()?.next().is_some()),
        None => Ok(false),
    }
}

/// Finishes what was committed, undoes what was not, as far as this server's directories reach.
/// What somebody is at work on is left alone.
pub(crate) fn recover(spool: &Spool) -> Result<Vec<Problem>> {
    let dirs = spool.state.existing()?;
    Ok(dirs.map_or_else(Vec::new, |dirs| recover_in(spool, &dirs)))
}

/// The same in the directories that are open.
pub(crate) fn recover_in(spool: &Spool, dirs: &Arc<Dirs>) -> Vec<Problem> {
    let mut problems = Vec::new();
    each(&dirs.committed, &mut problems, |id, problems| {
        if let Some(lock) = dirs.take(id)? {
            problems.extend(Committed::adopt(spool, dirs, id, lock).move_out());
        }
        Ok(())
    });
    each(&dirs.staging, &mut problems, |id, _| {
        if let Some(lock) = dirs.take(id)? {
            clear_staging(spool, dirs, id)?;
            lock.release()?;
        }
        Ok(())
    });
    if let Some(drop) = &spool.drop {
        match recover_removing(drop, dirs) {
            Ok(more) => problems.extend(more),
            Err(error) => problems.push(error.into()),
        }
    }
    each(&dirs.locks, &mut problems, |id, _| sweep_lock(dirs, id));
    problems
}

/// Does something for each id in a directory; one that fails holds up no other.
fn each(
    dir: &Dir,
    problems: &mut Vec<Problem>,
    mut work: impl FnMut(&str, &mut Vec<Problem>) -> Result<()>,
) {
    let names = match dir.all_names() {
        Ok(names) => names,
        Err(failure) => {
            problems.push(Error::from(failure).into());
            return;
        }
    };
    for id in names.iter().filter_map(|name| name.to_str()) {
        if let Err(error) = work(id, problems) {
            problems.push(error.into());
        }
    }
}

/// Undoes what was staged under an id whose lock we hold: a claim goes back, copies go away.
pub(super) fn clear_staging(spool: &Spool, dirs: &Dirs, id: &str) -> Result<()> {
    let staged = match dirs.staging.open_dir(id) {
        Err(failure) if failure.is_gone() => return Ok(()),
        opened => opened?,
    };
    return_claim(spool, &staged)?;
    for name in staged.all_names()? {
        match staged.open_dir(&name) {
            Ok(folder) => {
                for copy in folder.all_names()? {
                    folder.remove(&copy)?;
                }
                staged.remove_dir(&name)?;
            }
            Err(_) => staged.remove(&name)?,
        }
    }
    dirs.staging.remove_dir(id)?;
    Ok(())
}

fn return_claim(spool: &Spool, staged: &Dir) -> Result<()> {
    let claim = match staged.open_dir(CLAIM) {
        Err(failure) if failure.is_gone() => return Ok(()),
        opened => opened?,
    };
    for name in claim.all_names()? {
        let Some(pickup) = &spool.pickup else {
            return Err(Error::new(
                ErrorKind::Configuration,
                "a file was taken out of a Pickup that this mail server does not have; open one \
                 that has it",
            )
            .with_path(claim.path()));
        };
        give_back(&claim, &name, &pickup.dir)?;
    }
    Ok(())
}

/// Removes the lock of an id that nothing is left of.
fn sweep_lock(dirs: &Dirs, id: &str) -> Result<()> {
    let Some(lock) = dirs.take(id)? else {
        return Ok(());
    };
    let gone = |dir: &Dir| dir.stat(id).is_err_and(|failure| failure.is_gone());
    if gone(&dirs.staging) && gone(&dirs.committed) && gone(&dirs.removing) {
        lock.release()?;
    }
    Ok(())
}
