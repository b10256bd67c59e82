//! What a folder holds at one moment, whichever way it was found out.

use std::sync::Arc;

use super::entry::Entry;
use super::mailbox::Position;
use crate::error::Problem;

/// The messages of somebody, oldest first.
#[derive(Debug)]
pub(crate) struct DropListing {
    pub(crate) entries: Entries,
    /// What is wrong with them that is known without opening them.
    pub(crate) problems: Vec<Problem>,
    /// How many files nobody could judge.
    pub(crate) unreadable: usize,
}

#[derive(Debug)]
pub(crate) enum Entries {
    Held(Vec<Arc<Entry>>),
    #[cfg(feature = "index")]
    Indexed(super::index::Rows),
}

/// Some messages in their order.
#[derive(Debug, Default)]
pub(crate) struct DropPage {
    pub(crate) entries: Vec<Arc<Entry>>,
    /// Behind the last of them.
    pub(crate) end: Option<Position>,
    /// There are no more now.
    pub(crate) is_last: bool,
}

impl Entries {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Held(entries) => entries.len(),
            #[cfg(feature = "index")]
            Self::Indexed(rows) => rows.len(),
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<Arc<Entry>> {
        match self {
            Self::Held(entries) => entries.get(index).map(Arc::clone),
            #[cfg(feature = "index")]
            Self::Indexed(rows) => rows.get(index).map(|row| Arc::new(row.entry)),
        }
    }
}
