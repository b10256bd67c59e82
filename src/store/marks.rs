//! Marks: which recipient of a shared file has deleted it.
//!
//! A mark is one small file, written whole and synced. It names its file by what does not change
//! when a Maildir renames it: base name, size, time and a hash of its beginning; and the address
//! as the run writes it, so that it is compared by the rule in force. Marks are truth, not part of
//! an index: losing one brings back a message that somebody deleted.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::sync::{Arc, Mutex, PoisonError};

use super::drop::DropStore;
use super::origin::OpenedEntry;
use crate::error::Result;
use crate::format::address::Address;
use crate::format::encode::Sink;
use crate::fs::Dir;
use crate::state::{State, new_id};
use crate::transport::{OutFile, publish};

/// Bytes of a file's beginning that its marks are bound to.
const HEAD: usize = 4096;
/// No mark that we wrote is longer.
const LONGEST: usize = 4096;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    base: Vec<u8>,
    size: u64,
    modified: i128,
    head: String,
    address: String,
}

impl Mark {
    fn new(base: &[u8], opened: &OpenedEntry, address: &Address) -> Result<Self> {
        Ok(Self {
            base: base.to_vec(),
            size: opened.stamp.size,
            modified: opened.stamp.modified,
            head: head_hash(opened)?,
            address: address.to_string(),
        })
    }

    fn text(&self) -> String {
        let base: String = self.base.iter().map(|byte| format!("{byte:02x}")).collect();
        format!(
            "file: {base}\nsize: {}\ntime: {}\nhead: {}\naddress: {}\n",
            self.size, self.modified, self.head, self.address
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(": ");
        let base = value("file")?;
        let size = value("size")?.parse().ok()?;
        let modified = value("time")?.parse().ok()?;
        let head = value("head")?.to_owned();
        let address = value("address")?.to_owned();
        let digits: Option<Vec<u8>> = base
            .as_bytes()
            .chunks(2)
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok())
            .collect();
        // The last line ends, so that a mark that was cut is none.
        text.ends_with('\n').then_some(Self {
            base: digits?,
            size,
            modified,
            head,
            address,
        })
    }
}

/// A hash that every version of this program computes alike.
fn head_hash(opened: &OpenedEntry) -> Result<String> {
    let mut head = opened
        .head
        .get(..HEAD.min(opened.head.len()))
        .unwrap_or_default()
        .to_vec();
    if head.len() < HEAD && (head.len() as u64) < opened.stamp.size {
        head.resize(HEAD, 0);
        let count = opened.file.read_at(&mut head, 0)?;
        head.truncate(count);
    }
    let space = uuid::Uuid::NAMESPACE_OID;
    Ok(uuid::Uuid::new_v5(&space, &head).simple().to_string())
}

/// The marks that this process has read, by the names of their files.
#[derive(Debug, Default)]
pub(super) struct Marks(Mutex<HashMap<String, Arc<Mark>>>);

/// The marks of one look, by the base names of the files they are about.
#[derive(Default)]
pub(super) struct Marked(HashMap<Vec<u8>, Vec<(String, Arc<Mark>)>>);

impl Marks {
    /// Looks at the marks; reads only those that are new.
    pub(super) fn look(&self, state: &State) -> Result<Marked> {
        let Some(dirs) = state.existing()? else {
            return Ok(Marked::default());
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = HashMap::new();
        for name in dirs.marks.all_names()? {
            let Some(name) = name.to_str().map(str::to_owned) else {
                continue;
            };
            let mark = match known.remove(&name) {
                Some(mark) => Some(mark),
                None => read_mark(&dirs.marks, &name)?.map(Arc::new),
            };
            if let Some(mark) = mark {
                found.insert(name, mark);
            }
        }
        known.clone_from(&found);
        let mut marked = Marked::default();
        for (name, mark) in found {
            marked
                .0
                .entry(mark.base.clone())
                .or_default()
                .push((name, mark));
        }
        Ok(marked)
    }
}

fn read_mark(dir: &Dir, name: &str) -> Result<Option<Mark>> {
    let file = match dir.open(name) {
        // It was swept meanwhile, or is nothing that we wrote.
        Err(failure) if failure.is_gone() || failure.is_irregular() => return Ok(None),
        opened => opened?,
    };
    let mut text = vec![0; LONGEST];
    let count = file.read_at(&mut text, 0)?;
    text.truncate(count);
    Ok(std::str::from_utf8(&text).ok().and_then(Mark::parse))
}

impl Marked {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The marks about files of that base name, with the names of their own files.
    fn about(&self, base: &[u8]) -> &[(String, Arc<Mark>)] {
        self.0.get(base).map(Vec::as_slice).unwrap_or_default()
    }
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
    ) -> HashSet<String> {
        let marks = marked.about(self.base(name));
        let mut keys = HashSet::new();
        if marks.is_empty() {
            return keys;
        }
        let Ok(head) = head_hash(opened) else {
            return keys;
        };
        for (file, mark) in marks {
            let stamp = opened.stamp;
            let fits =
                mark.size == stamp.size && mark.modified == stamp.modified && mark.head == head;
            match Address::from_trusted(mark.address.as_bytes()) {
                Some(address) if fits => {
                    keys.insert(address.key(self.rules.case_sensitive));
                }
                _ => {
                    misfits.insert(file.clone());
                }
            }
        }
        keys
    }

    /// The marks about a file, by the names of their own files.
    pub(super) fn marks_of(&self, marked: &Marked, name: &OsStr) -> Vec<String> {
        let marks = marked.about(self.base(name));
        marks.iter().map(|(file, _)| file.clone()).collect()
    }

    /// Writes that the owner of `address` has deleted the file.
    pub(super) fn mark(&self, name: &OsStr, opened: &OpenedEntry, address: &Address) -> Result<()> {
        let dirs = self.state.ensure()?;
        let mark = Mark::new(self.base(name), opened, address)?;
        publish(
            &dirs.marks,
            &new_id(),
            &self.state,
            self.rules.durable,
            |file| {
                let mut out = OutFile::new(file);
                out.put(mark.text().as_bytes())?;
                out.finish(self.rules.durable)
            },
        )?;
        Ok(())
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
        let absent = marked
            .0
            .iter()
            .filter(|(base, _)| present.is_some_and(|present| !present.contains(*base)))
            .flat_map(|(_, marks)| marks.iter().map(|(name, _)| name));
        for name in absent.chain(misfits) {
            // A mark that stays is swept another time.
            let _ = dirs.marks.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_and_a_cut_one_is_none() {
        let mark = Mark {
            base: b"a\n\xff".to_vec(),
            size: 7,
            modified: -3,
            head: "h".to_owned(),
            address: "\"a b\"@x".to_owned(),
        };
        let text = mark.text();
        assert_eq!(Mark::parse(&text), Some(mark));
        for cut in 0..text.len() {
            assert_eq!(Mark::parse(&text[..cut]), None);
        }
    }
}
