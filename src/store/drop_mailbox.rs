//! A drop directory as a mailbox: what of it is for one address, or for nobody.

use std::path::PathBuf;
use std::sync::Arc;

use super::drop::DropStore;
use super::entry::{Entry, Summary};
use super::listing::Entries;
use super::mailbox::{Listing, Mailbox, Page, PageRequest, StoredMessage, Waiter};
use super::origin::DropOrigin;
use super::scan::Whose;
use crate::error::Result;
use crate::format::bytes::MessageBytes;

/// What of a drop is somebody's.
#[derive(Debug)]
pub(crate) struct DropMailbox {
    store: Arc<DropStore>,
    /// The address as it compares; without one what is nobody's, for the owner of the drop.
    reader: Option<String>,
}

/// A snapshot of it: a message is made when it is asked for.
#[derive(Debug)]
pub(crate) struct DropEntries {
    store: Arc<DropStore>,
    reader: Option<String>,
    entries: Entries,
}

fn message(
    store: &Arc<DropStore>,
    reader: Option<&str>,
    entry: Arc<Entry>,
) -> Arc<dyn StoredMessage> {
    Arc::new(DropOrigin {
        store: Arc::clone(store),
        entry,
        reader: reader.map(ToOwned::to_owned),
    })
}

impl DropEntries {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<Arc<dyn StoredMessage>> {
        let entry = self.entries.get(index)?;
        Some(message(&self.store, self.reader.as_deref(), entry))
    }
}

impl DropMailbox {
    pub(crate) fn new(store: &Arc<DropStore>, reader: Option<&str>) -> Self {
        Self {
            store: Arc::clone(store),
            reader: reader.map(ToOwned::to_owned),
        }
    }

    /// A directory of which all is one user's.
    #[cfg(feature = "maildir")]
    pub(super) fn of_one(store: &Arc<DropStore>) -> Self {
        Self::new(store, Some(super::drop::OWNER))
    }

    fn whose(&self) -> Whose<'_> {
        self.reader.as_deref().map_or(Whose::Nobody, Whose::Address)
    }
}

impl Mailbox for DropMailbox {
    fn list(&self) -> Result<Listing> {
        let found = self.store.list(self.whose())?;
        let entries = DropEntries {
            store: Arc::clone(&self.store),
            reader: self.reader.clone(),
            entries: found.entries,
        };
        Ok(Listing::of_drop(entries, found.problems, found.unreadable))
    }

    fn count(&self) -> Result<u64> {
        self.store.count(self.whose())
    }

    fn page(&self, request: &PageRequest<'_>) -> Option<Result<Page>> {
        let page = self.store.page(self.whose(), request)?;
        let messages = |entries: Vec<Arc<Entry>>| {
            let reader = self.reader.as_deref();
            let entries = entries.into_iter();
            entries
                .map(|entry| message(&self.store, reader, entry))
                .collect()
        };
        Some(page.map(|page| Page {
            messages: messages(page.entries),
            end: page.end,
            is_last: page.is_last,
        }))
    }

    fn waiter(&self) -> Box<dyn Waiter> {
        #[cfg(feature = "watch")]
        return Box::new(super::told::Told::new(self.store.directories()));
        #[cfg(not(feature = "watch"))]
        Box::new(super::mailbox::Poll::soon(
            std::time::Duration::from_millis(250),
        ))
    }
}

impl StoredMessage for DropOrigin {
    fn name(&self) -> PathBuf {
        self.entry.relative_path()
    }

    /// A name can come again with another file, and a file of a Maildir be renamed.
    fn key(&self) -> Vec<u8> {
        let stamp = self.entry.stamp;
        [
            self.store.base(&self.entry.name),
            &stamp.inode.to_le_bytes(),
            &stamp.size.to_le_bytes(),
        ]
        .concat()
    }

    fn path(&self) -> PathBuf {
        self.store.root.path().join(self.entry.relative_path())
    }

    fn summary(&self) -> Result<&Summary> {
        Ok(&self.entry.summary)
    }

    fn open(&self) -> Result<Arc<dyn MessageBytes>> {
        self.open_bytes()
    }

    fn is_dot_stuffed(&self) -> bool {
        self.store.rules.dot_stuffed
    }

    fn delete(&self) -> Result<()> {
        self.delete_for_reader()
    }
}
