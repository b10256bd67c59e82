//! What a new file is, and to whom.

use std::collections::HashSet;
use std::ffi::OsString;

use crate::error::{ErrorKind, Problem, Result};
use crate::fs::Stamp;
use crate::store::by_index::mailbox;
use crate::store::drop::{DropStore, Place};
use crate::store::index::{Opened, Row};
use crate::store::marks::{self, Marked};
use crate::store::origin::OpenedEntry;
use crate::store::scan::Whose;

/// A name of the drop that is not known, or not any more.
pub(super) struct New {
    pub(super) place: Place,
    pub(super) name: OsString,
    pub(super) hash: u64,
    /// The state of the file in the first look; only where a writer writes in place.
    pub(super) stamp: Option<Stamp>,
}

/// What a new file is.
pub(super) enum Judged {
    /// The rows of its addresses.
    Rows(Vec<(u64, Row)>),
    /// Not to be judged now, perhaps with a reason that its owner must know.
    Pending(Option<Problem>),
    /// No message, or none any more.
    Nothing,
}

/// What a complete file is to whom.
pub(super) fn judge(
    store: &DropStore,
    index: &Opened,
    marked: &Marked,
    new: &New,
    misfits: &mut HashSet<String>,
) -> Judged {
    match try_judge(store, index, marked, new, misfits) {
        Ok(judged) => judged,
        Err(error) if error.kind() == ErrorKind::MessageGone => Judged::Nothing,
        Err(_) if store.is_directory(new.place, &new.name) => Judged::Nothing,
        Err(error) => Judged::Pending(Some(error.into())),
    }
}

fn try_judge(
    store: &DropStore,
    index: &Opened,
    marked: &Marked,
    new: &New,
    misfits: &mut HashSet<String>,
) -> Result<Judged> {
    let (file, place, name) = store.open(new.place, &new.name)?;
    let mut opened = OpenedEntry::read(store, file)?;
    if new.stamp.is_some_and(|stamp| stamp != opened.stamp) {
        // It was rewritten since it was found complete.
        return Ok(Judged::Pending(None));
    }
    let deleted_by = store.deleted_by(marked, &name, &opened, misfits)?;
    if !deleted_by.is_empty() && store.is_deleted_by_all(&opened.run, &deleted_by) {
        store.finish_removal(place, &name, &opened);
        return Ok(Judged::Nothing);
    }
    let keys: HashSet<String> = store.keys(&opened.run).collect();
    let marks = if store.has_one_owner(&opened.run) {
        None
    } else {
        Some(marks::state_of(store.base(&name), &opened)?)
    };
    let mut rows = Vec::with_capacity(keys.len().max(1));
    let mut row = |whose: Whose<'_>| -> Result<()> {
        let reader = match whose {
            Whose::Address(key) => Some(key),
            Whose::Nobody => None,
        };
        let entry = store.entry(place, &name, &mut opened, reader)?;
        rows.push((mailbox(index, whose), Row { entry, marks }));
        Ok(())
    };
    if keys.is_empty() {
        row(Whose::Nobody)?;
    }
    for key in &keys {
        row(Whose::Address(key))?;
    }
    Ok(Judged::Rows(rows))
}
