//! A message where it lies in the drop, opened anew for each reading and checked at each block.

use std::sync::Arc;

use super::drop::DropStore;
use super::entry::Entry;
use super::mailbox::StoredMessage;
use crate::error::Result;
use crate::format::bytes::MessageBytes;
use crate::format::envelope::{Head, Run};
use crate::fs::{File, Stamp};
use crate::limits::Limits;

/// Any open file as bytes.
pub(crate) struct FileBytes {
    file: File,
    len: u64,
}

impl FileBytes {
    pub(crate) fn new(file: File) -> Result<Self> {
        let len = file.stat()?.stamp.size;
        Ok(Self { file, len })
    }
}

impl MessageBytes for FileBytes {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        Ok(self.file.read_at(buffer, offset)?)
    }
}

/// An open file of the drop and what was read of it at first.
pub(super) struct OpenedEntry {
    pub(super) file: File,
    pub(super) stamp: Stamp,
    pub(super) run: Run,
    /// The beginning of the file, at least the whole run.
    pub(super) head: Vec<u8>,
}

impl OpenedEntry {
    /// Reads state and run from the descriptor that was opened.
    pub(super) fn read(store: &DropStore, file: File) -> Result<Self> {
        Self::read_into(Vec::new(), store, file)
    }

    /// The same with a buffer that was used before: many files in a row are read faster so.
    pub(super) fn read_into(mut head: Vec<u8>, store: &DropStore, file: File) -> Result<Self> {
        const FIRST: usize = 4096;
        let stamp = file.opened().stamp;
        head.clear();
        let mut wanted = FIRST;
        let most = most_head(&store.rules.limits);
        loop {
            grow(&file, &mut head, wanted, stamp)?;
            let is_whole = head.len() as u64 >= stamp.size || head.len() < wanted;
            if let Head::Run(run) = store.rules.run(&head, is_whole) {
                return Ok(Self {
                    file,
                    stamp,
                    run,
                    head,
                });
            }
            // A run that is cut off would lose the recipients behind the cut.
            if is_whole || wanted >= most {
                let most = store.rules.limits.recipients;
                return Err(Limits::exceeded("recipients", most).with_path(file.path()));
            }
            wanted = wanted.saturating_mul(4).min(most);
        }
    }

    /// Reads on until the header section below the run is whole, or as long as one may be.
    pub(super) fn section(&mut self, limits: &Limits) -> Result<&[u8]> {
        let most = self.run.end.saturating_add(limits.header_section);
        let mut wanted = self.head.len();
        loop {
            grow(&self.file, &mut self.head, wanted, self.stamp)?;
            let below = self.head.get(self.run.end..).unwrap_or_default();
            let is_whole = self.head.len() as u64 >= self.stamp.size || self.head.len() < wanted;
            let is_enough = wanted >= most || crate::format::envelope::header_end(below).is_some();
            if is_whole || is_enough {
                break;
            }
            wanted = wanted.saturating_mul(2).min(most);
        }
        let below = self.head.get(self.run.end..).unwrap_or_default();
        let end = crate::format::envelope::header_end(below).unwrap_or(below.len());
        Ok(below.get(..end).unwrap_or_default())
    }
}

/// The longest run is one line for each of the recipients that a message may have.
fn most_head(limits: &Limits) -> usize {
    limits
        .recipients
        .saturating_mul(400)
        .max(limits.header_section)
}

/// Reads on, but not beyond the size that the file had when it was opened: that costs a call more.
fn grow(file: &File, head: &mut Vec<u8>, wanted: usize, stamp: Stamp) -> Result<()> {
    let have = head.len();
    let wanted = usize::try_from(stamp.size).map_or(wanted, |size| wanted.min(size));
    if wanted > have {
        head.resize(wanted, 0);
        let rest = head.get_mut(have..).unwrap_or_default();
        let count = file.read_at(rest, have as u64)?;
        head.truncate(have + count);
    }
    Ok(())
}

/// Opens one message of the drop for one reader.
#[derive(Clone, Debug)]
pub(crate) struct DropOrigin {
    pub(crate) store: Arc<DropStore>,
    pub(crate) entry: Arc<Entry>,
    /// The reader's address as it compares; `None` is the owner, who sees what is nobody's.
    pub(crate) reader: Option<String>,
}

impl DropOrigin {
    /// The octets of the message, without the run. Refused when the file is no longer the one that
    /// was listed or no longer addressed to the reader.
    pub(super) fn open_bytes(&self) -> Result<Arc<dyn MessageBytes>> {
        let opened = self.open_entry()?;
        let run = opened.head.get(..opened.run.end).unwrap_or_default();
        Ok(Arc::new(GuardedBytes {
            run: run.to_vec(),
            file: opened.file,
            stamp: opened.stamp,
        }))
    }

    pub(super) fn open_entry(&self) -> Result<OpenedEntry> {
        let (file, ..) = self.store.open(self.entry.place, &self.entry.name)?;
        let opened = OpenedEntry::read(&self.store, file)?;
        let same = self.entry.stamp == opened.stamp;
        if same && self.store.is_visible(&opened.run, self.reader.as_deref()) {
            Ok(opened)
        } else {
            Err(self.gone())
        }
    }

    /// The file is not the one that was listed: the next look reads it anew.
    pub(super) fn gone(&self) -> crate::error::Error {
        #[cfg(feature = "index")]
        self.store.suspect(&self.entry.name, self.entry.stamp.inode);
        DropStore::gone().with_path(StoredMessage::path(self))
    }
}

/// The bytes of a file that may be rewritten under our hands.
struct GuardedBytes {
    file: File,
    stamp: Stamp,
    /// What stands above the message.
    run: Vec<u8>,
}

impl MessageBytes for GuardedBytes {
    fn len(&self) -> u64 {
        self.stamp.size.saturating_sub(self.run.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let left = self.len().saturating_sub(offset);
        let most = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let within = buffer.get_mut(..most).unwrap_or_default();
        let at = offset.saturating_add(self.run.len() as u64);
        Ok(self.file.read_at(within, at)?)
    }

    fn verify(&self) -> Result<()> {
        let mut run = vec![0; self.run.len()];
        let count = self.file.read_at(&mut run, 0)?;
        let stamp = self.file.stat()?.stamp;
        if count == run.len() && run == self.run && self.stamp == stamp {
            Ok(())
        } else {
            Err(DropStore::gone().with_path(self.file.path()))
        }
    }
}
