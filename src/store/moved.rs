//! Finding a Maildir file again that another program has renamed since it was listed.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::sync::{Mutex, PoisonError};

use super::drop::{DropStore, Place};
use crate::fs::{File, Stamp};

/// Where the files are, by base name, as of the state of the directories. A client that marks all
/// messages as read renames them all: one look serves for all of them.
#[derive(Debug, Default)]
pub(super) struct Moved(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    as_of: Vec<Stamp>,
    places: HashMap<Vec<u8>, (Place, OsString)>,
}

impl DropStore {
    /// The file under its new name, if it has one. It may be renamed again before it is opened, and
    /// missed by a look while it is: whether it is gone is known only when nothing else changed.
    pub(super) fn find_moved(&self, name: &OsStr) -> Option<(File, Place, OsString)> {
        if !self.is_maildir() {
            return None;
        }
        let base = self.base(name);
        let mut known = self.moved.0.lock().unwrap_or_else(PoisonError::into_inner);
        let as_of = self.stamps()?;
        if known.as_of == as_of
            && let Some(found) = known.places.get(base).and_then(|at| self.open_at(at))
        {
            return Some(found);
        }
        // The times may be equal although something changed within one tick of the clock.
        for round in 1.. {
            let before = self.stamps();
            *known = Known {
                as_of: before.clone().unwrap_or_default(),
                places: self.look_for_all(),
            };
            if let Some(found) = known.places.get(base).and_then(|at| self.open_at(at)) {
                return Some(found);
            }
            if !self.is_restless(round, before.as_ref()) {
                break;
            }
        }
        None
    }

    fn open_at(&self, (place, name): &(Place, OsString)) -> Option<(File, Place, OsString)> {
        let dir = self.place(*place);
        let file = dir.and_then(|dir| dir.open(name).ok())?;
        Some((file, *place, name.clone()))
    }

    /// Whether the names are to be read once more, since files were renamed meanwhile: a file that
    /// goes from one folder of a Maildir to the other can be missed in both. What happens within one
    /// tick of the clock does not show in the times: where they are young a second look must do.
    pub(super) fn is_restless(&self, round: usize, before: Option<&Vec<Stamp>>) -> bool {
        const MOST_ROUNDS: usize = 8;
        if !self.is_maildir() || round >= MOST_ROUNDS {
            return false;
        }
        self.stamps().as_ref() != before || round == 1 && self.times().is_none()
    }

    pub(super) fn stamps(&self) -> Option<Vec<Stamp>> {
        let stamp = |dir: &crate::fs::Dir| dir.own_stat().map(|stat| stat.stamp).ok();
        self.places.iter().map(|(_, dir)| stamp(dir)).collect()
    }

    fn look_for_all(&self) -> HashMap<Vec<u8>, (Place, OsString)> {
        let mut places = HashMap::new();
        for (place, dir) in &self.places {
            let names = dir.all_names().unwrap_or_default().into_iter();
            for name in names.filter(|name| self.is_candidate(name)) {
                places.insert(self.base(&name).to_vec(), (*place, name));
            }
        }
        places
    }
}
