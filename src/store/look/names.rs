//! The names of a drop, gone through some at a time: the known ones are ticked off, the new ones
//! read meanwhile.

use std::collections::HashSet;
use std::ffi::OsString;
use std::sync::PoisonError;
use std::thread::Scope;

use super::judge::New;
use super::news::Readers;
use super::{Bases, CHUNK, Looking};
use crate::store::drop::Place;
use crate::store::index::{Names, Stop};

/// So many names are looked up together.
const TICKED: usize = if cfg!(test) { 2 } else { 256 };

/// What becomes of the names of a drop while they are listed.
struct ListedNames<'scope, 'a> {
    is_full: bool,
    suspects: HashSet<u64>,
    /// Known ones that are read again.
    again: Vec<u64>,
    /// To be read.
    new: Vec<New>,
    /// Only a Maildir can have one file under two names at once.
    bases: Option<HashSet<u64>>,
    marked_bases: Option<Bases>,
    readers: Readers<'scope, 'a>,
}

impl<'a> Looking<'a> {
    /// All names there are; those that are new are read beside the listing. Returns, where there
    /// are marks, what the names begin with.
    pub(super) fn at_names<'scope>(
        &mut self,
        scope: &'scope Scope<'scope, 'a>,
        names: &mut Names,
        is_full: bool,
    ) -> Result<Option<Bases>, Stop> {
        let store = self.store;
        let mut listing = ListedNames {
            is_full,
            suspects: std::mem::take(
                &mut *store
                    .suspects
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner),
            ),
            again: Vec::new(),
            new: Vec::new(),
            bases: store.is_maildir().then(HashSet::new),
            marked_bases: (!self.marked.is_empty()).then(HashSet::new),
            readers: Readers::new(scope, store.rules.threads().get()),
        };
        let mut some = Vec::new();
        let mut count = 0;
        for round in 1.. {
            let before = store.is_maildir().then(|| store.stamps()).flatten();
            for (place, dir) in &store.places {
                dir.each(|name, inode| {
                    if !store.is_candidate(name) {
                        return Ok(());
                    }
                    if count == some.len() {
                        some.push((OsString::new(), 0));
                    }
                    // Its room is used again and again.
                    if let Some((room, number)) = some.get_mut(count) {
                        room.clear();
                        room.push(name);
                        *number = inode;
                    }
                    count += 1;
                    if count == TICKED {
                        count = 0;
                        self.at_some(*place, &some, names, &mut listing)?;
                    }
                    Ok::<(), Stop>(())
                })?;
                some.truncate(std::mem::take(&mut count));
                self.at_some(*place, &some, names, &mut listing)?;
            }
            if !store.is_restless(round, before.as_ref()) {
                break;
            }
        }
        self.read_new(&mut listing)?;
        self.read_rest(&mut listing.readers)?;
        Ok(listing.marked_bases)
    }

    /// Some of the names of a directory.
    fn at_some(
        &mut self,
        place: Place,
        some: &[(OsString, u64)],
        names: &mut Names,
        listing: &mut ListedNames<'_, 'a>,
    ) -> Result<(), Stop> {
        let store = self.store;
        let hashes: Vec<_> = some
            .iter()
            .map(|(name, inode)| store.name_hash(self.index, name, *inode))
            .collect();
        let known = names.tick(&hashes);
        for (((name, _), hash), is_known) in some.iter().zip(hashes).zip(known) {
            let base = store.base(name);
            if let Some(bases) = &mut listing.bases
                && !bases.insert(self.index.hash(&[base]))
            {
                continue;
            }
            if let Some(marked) = &mut listing.marked_bases {
                marked.insert(base.to_vec());
                if is_known && self.marked.has_base(base) {
                    self.finish_marked(place, name, hash)?;
                }
            }
            let is_old = is_known && !listing.suspects.contains(&hash);
            if is_old && !(listing.is_full && self.has_changed(place, name, hash)?) {
                continue;
            }
            if is_known {
                listing.again.push(hash);
            }
            listing.new.push(New {
                place,
                name: name.clone(),
                hash,
                stamp: None,
            });
        }
        if listing.new.len() >= CHUNK {
            self.read_new(listing)?;
        }
        Ok(())
    }

    fn read_new(&mut self, listing: &mut ListedNames<'_, 'a>) -> Result<(), Stop> {
        self.forget(&mut listing.again)?;
        self.progress.found += listing.new.len() as u64;
        self.read(&mut listing.readers, std::mem::take(&mut listing.new))
    }
}
