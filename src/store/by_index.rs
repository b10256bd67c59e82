//! Listing by the index.

use std::ffi::OsStr;
use std::sync::{Arc, PoisonError};

use super::drop::DropStore;
use super::index::{Fault, Opened, Rows, Stop, guarded, row};
use super::listing::{DropListing, DropPage, Entries};
use super::look::{Depth, Looked};
use super::mailbox::{PageRequest, Position};
use super::marks::Marked;
use super::scan::Whose;
use crate::error::Result;

/// So many rows of an address are compared with their files when the directory has changed.
const COMPARED: usize = 1000;

impl DropStore {
    /// The messages of somebody by the index; `None` when it cannot serve.
    pub(super) fn list_by_index(&self, whose: Whose<'_>) -> Option<Result<DropListing>> {
        self.with_index(Depth::New, |index, looked| {
            let mailbox = mailbox(index, whose);
            let mut rows = index.read()?.rows(mailbox)?;
            if looked.has_listed && self.compare(index, &rows) {
                self.look(index, Depth::New)?;
                rows = index.read()?.rows(mailbox)?;
            }
            self.hide_marked(&mut rows)?;
            let most = self.rules.limits.message;
            let problems = (0..rows.len())
                .filter(|&at| rows.file_size(at).is_some_and(|size| size > most))
                .filter_map(|at| rows.get(at))
                .filter_map(|row| self.problem_of(&row.entry));
            Ok(DropListing {
                problems: problems.collect(),
                unreadable: looked.problems.len(),
                entries: Entries::Indexed(rows),
            })
        })
    }

    /// How many messages somebody has, by the index alone.
    pub(super) fn count_by_index(&self, whose: Whose<'_>) -> Option<Result<u64>> {
        self.with_index(Depth::New, |index, _| {
            let mailbox = mailbox(index, whose);
            let reader = index.read()?;
            if Marked::look(&self.state)?.is_empty() {
                return Ok(reader.count(mailbox)?);
            }
            let mut rows = reader.rows(mailbox)?;
            self.hide_marked(&mut rows)?;
            Ok(rows.len() as u64)
        })
    }

    /// The addresses that have messages; what they have deleted of shared files counts for none.
    pub(super) fn addresses_by_index(&self) -> Option<Result<Vec<String>>> {
        self.with_index(Depth::New, |index, _| {
            let reader = index.read()?;
            let mut addresses = Vec::new();
            let mut mailbox = Some(0);
            while let Some(from) = mailbox {
                let Some((found, mut rows)) = reader.next_mailbox(from)? else {
                    break;
                };
                self.hide_marked(&mut rows)?;
                if rows.len() == 0 {
                    rows = reader.rows(found)?;
                    self.hide_marked(&mut rows)?;
                }
                let written = rows.get(0).map(|row| row.entry.summary.delivered_to);
                // Without an address it is what is nobody's.
                addresses.extend(written.filter(|address| !address.is_empty()));
                mailbox = found.checked_add(1);
            }
            Ok(addresses)
        })
    }

    /// At most `most` messages of somebody on one side of a key, without reading the rest. A key
    /// of another index counts for none. Looks at the drop first if `looks`.
    pub(super) fn page_by_index(
        &self,
        whose: Whose<'_>,
        request: &PageRequest<'_>,
    ) -> Option<Result<DropPage>> {
        let page = |index: &Opened| {
            let mailbox = mailbox(index, whose);
            let of_this = request.from.filter(|from| from.order == index.id());
            let from = of_this.map(|from| row::key_of(mailbox, &from.place));
            let mut rows =
                index
                    .read()?
                    .page(mailbox, from.as_deref(), request.backwards, request.most)?;
            let is_last = rows.len() < request.most;
            let last = rows.raw(rows.len().wrapping_sub(1));
            let end = last
                .and_then(|(key, _)| row::below_mailbox(key))
                .map(|key| Position {
                    order: index.id(),
                    place: key.to_vec(),
                });
            self.hide_marked(&mut rows)?;
            let rows = (0..rows.len()).filter_map(|at| rows.get(at));
            Ok(DropPage {
                entries: rows.map(|row| Arc::new(row.entry)).collect(),
                end: end.or_else(|| of_this.cloned()),
                is_last,
            })
        };
        if request.looks {
            self.with_index(Depth::New, |index, _| page(index))
        } else {
            self.with_opened(page)
        }
    }

    /// As if each index were damaged at once.
    #[cfg(test)]
    pub(crate) fn pretend_damage(&self, and: impl Fn()) -> bool {
        let done = self.with_opened(|_| -> Result<(), Stop> {
            and();
            Err(Fault::Damaged.into())
        });
        done.is_some()
    }

    /// As if the last full check had been at that time.
    #[cfg(test)]
    pub(crate) fn pretend_full_check_at(&self, time: u64) {
        let done = self.with_opened(|index| {
            let writing = index.write()?;
            let mut look = writing.look()?;
            look.full_check = time;
            Ok(writing.finish(&mut look, None)?)
        });
        done.unwrap().unwrap();
    }

    /// Looks at the drop and compares the state of every file.
    pub(super) fn check_by_index(&self) -> Option<Result<()>> {
        self.with_index(Depth::Full, |_, _| Ok(()))
    }

    fn with_index<T>(
        &self,
        depth: Depth,
        work: impl Fn(&Opened, &Looked) -> Result<T, Stop>,
    ) -> Option<Result<T>> {
        self.with_opened(|index| {
            let looked = self.look(index, depth)?;
            work(index, &looked)
        })
    }

    /// An index that turns out to be damaged is set aside, and the work done once more with a new.
    fn with_opened<T>(&self, work: impl Fn(&Opened) -> Result<T, Stop>) -> Option<Result<T>> {
        for _ in 0..2 {
            let root = self.state.for_index().ok()??.root.clone();
            let done = guarded(|| {
                let identity = self.identity().map_err(|_| Fault::Unavailable)?;
                let index = self.index.open(&root, &identity, self.rules.durable)?;
                work(&index)
            });
            match done {
                Ok(done) => return Some(Ok(done)),
                Err(Stop::Error(error)) => return Some(Err(error)),
                Err(Stop::Fault(Fault::Unavailable)) => {
                    self.index.forget();
                    return None;
                }
                Err(Stop::Fault(Fault::Damaged | Fault::Foreign)) => {
                    self.index.set_aside(&root).ok()?;
                }
            }
        }
        None
    }

    /// What an index is bound to: these directories, read under these rules.
    fn identity(&self) -> Result<Vec<u8>> {
        let rules = &self.rules;
        let mut text = format!(
            "{}{} case_sensitive={} dot_stuffed={}",
            rules.profile.name(),
            if rules.is_of_one { " of_one" } else { "" },
            rules.case_sensitive,
            rules.dot_stuffed
        );
        for (place, dir) in &self.places {
            let stat = dir.own_stat()?;
            text += &format!(" {}={}:{}", place.name(), stat.device, stat.stamp.inode);
        }
        Ok(text.into_bytes())
    }

    /// Takes away what its reader has deleted: the file is others' too.
    fn hide_marked(&self, rows: &mut Rows) -> Result<(), Stop> {
        let marked = Marked::look(&self.state)?;
        if !marked.is_empty() {
            rows.retain(|row| match row.marks {
                Some(state) => {
                    let address = &row.entry.summary.delivered_to;
                    !marked.holds(self.base(&row.entry.name), state, address)
                }
                None => true,
            });
        }
        Ok(())
    }

    /// Whether a row of a changed directory is not its file's any more; its name is looked at anew.
    /// This finds a name that came again under the same number, for the few rows of an address.
    fn compare(&self, index: &Opened, rows: &Rows) -> bool {
        if rows.len() > COMPARED {
            return false;
        }
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        for row in (0..rows.len()).filter_map(|at| rows.get(at)) {
            let stat = self
                .place(row.entry.place)
                .map(|dir| dir.stat(&row.entry.name));
            if let Some(Ok(stat)) = stat
                && stat.stamp != row.entry.stamp
            {
                suspects.insert(self.name_hash(index, &row.entry.name, row.entry.stamp.inode));
            }
        }
        !suspects.is_empty()
    }

    /// Remembers that a name may come again under the same number, since its file was removed.
    pub(super) fn suspect(&self, name: &OsStr, inode: u64) {
        if let Some(index) = self.index.current() {
            let hash = self.name_hash(&index, name, inode);
            let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
            suspects.insert(hash);
        }
    }

    pub(super) fn name_hash(&self, index: &Opened, name: &OsStr, inode: u64) -> u64 {
        index.hash(&[self.base(name), &inode.to_le_bytes()])
    }
}

pub(super) fn mailbox(index: &Opened, whose: Whose<'_>) -> u64 {
    match whose {
        Whose::Address(key) => index.hash(&[b"address", key.as_bytes()]),
        Whose::Nobody => index.hash(&[b"nobody"]),
    }
}
