//! What a new file is, and to whom.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use crate::error::{ErrorKind, Problem, Result};
use crate::fs::Stamp;
use crate::store::by_index::mailbox;
use crate::store::drop::{DropStore, Place};
use crate::store::index::{Opened, Order, Row, Rows};
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
    /// So many rows of its addresses, behind those of the files before it.
    Rows(usize),
    /// Not to be judged now, perhaps with a reason that its owner must know.
    Pending(Option<Problem>),
    /// No message, or none any more.
    Nothing,
}

/// Finds out what complete files are, and to whom.
#[derive(Clone)]
pub(super) struct Judge<'a> {
    store: &'a DropStore,
    index: &'a Opened,
    marked: Arc<Marked>,
    /// The number of the look.
    number: u32,
    /// Marks that fit no file under their name.
    pub(super) misfits: HashSet<String>,
    /// The rows of the files that were judged.
    pub(super) rows: Rows,
    /// Where the beginning of each file is read into.
    head: Vec<u8>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        store: &'a DropStore,
        index: &'a Opened,
        marked: Arc<Marked>,
        number: u32,
    ) -> Self {
        Self {
            store,
            index,
            marked,
            number,
            misfits: HashSet::new(),
            rows: Rows::default(),
            head: Vec::new(),
        }
    }

    pub(super) fn judge(&mut self, new: &New) -> Judged {
        match self.try_judge(new) {
            Ok(judged) => judged,
            Err(error) if error.kind() == ErrorKind::MessageGone => Judged::Nothing,
            Err(_) if self.store.is_directory(new.place, &new.name) => Judged::Nothing,
            Err(error) => Judged::Pending(Some(error.into())),
        }
    }

    fn try_judge(&mut self, new: &New) -> Result<Judged> {
        let store = self.store;
        let (file, place, name) = store.open(new.place, &new.name)?;
        let mut opened = OpenedEntry::read_into(std::mem::take(&mut self.head), store, file)?;
        if new.stamp.is_some_and(|stamp| stamp != opened.stamp) {
            // It was rewritten since it was found complete.
            return Ok(Judged::Pending(None));
        }
        let deleted_by = store.deleted_by(&self.marked, &name, &opened, &mut self.misfits)?;
        if !deleted_by.is_empty() && store.is_deleted_by_all(&opened.run, &deleted_by) {
            store.finish_removal(place, &name, &opened);
            return Ok(Judged::Nothing);
        }
        let rows = self.put_rows(place, &name, &mut opened)?;
        self.head = opened.head;
        if let Some(rows) = rows {
            return Ok(Judged::Rows(rows));
        }
        let text = "the index cannot hold this file: its name or time is out of the ordinary";
        Ok(Judged::Pending(Some(Problem::new(text))))
    }

    /// Puts a row for each address of a file; how many they are, and `None` if the index cannot
    /// hold them.
    fn put_rows(
        &mut self,
        place: Place,
        name: &OsStr,
        opened: &mut OpenedEntry,
    ) -> Result<Option<usize>> {
        let before = self.rows.len();
        let put = self.try_put_rows(place, name, opened);
        if !matches!(put, Ok(Some(_))) {
            self.rows.truncate(before);
        }
        put
    }

    fn try_put_rows(
        &mut self,
        place: Place,
        name: &OsStr,
        opened: &mut OpenedEntry,
    ) -> Result<Option<usize>> {
        let store = self.store;
        let mut keys: Vec<String> = store.keys(&opened.run).collect();
        keys.sort_unstable();
        keys.dedup();
        let marks = if store.has_one_owner(&opened.run) {
            None
        } else {
            Some(marks::state_of(store.base(name), opened)?)
        };
        let Some(order) = Order::new(self.number, opened.stamp.modified) else {
            return Ok(None);
        };
        let readers: Vec<_> = match keys.as_slice() {
            [] => vec![None],
            keys => keys.iter().map(|key| Some(key.as_str())).collect(),
        };
        for reader in &readers {
            let whose = reader.map_or(Whose::Nobody, Whose::Address);
            let entry = store.entry(place, name, opened, *reader)?;
            let row = Row { entry, marks };
            let mailbox = mailbox(self.index, whose);
            if row
                .encode(self.index, mailbox, order, &mut self.rows)
                .is_none()
            {
                return Ok(None);
            }
        }
        Ok(Some(readers.len()))
    }
}
