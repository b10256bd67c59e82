//! Deleting: for one recipient at once, for several when the last of them has deleted the file.
//!
//! A file is removed by renaming it into `removing/`, looking whether it is the one that was
//! judged, and unlinking it there; another that has taken its name meanwhile goes back. What was
//! judged is written into the name of the directory it is renamed into, so that whoever finds it
//! after a crash decides as the remover would have.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};

use super::drop::{DropStore, OWNER, Place};
use super::origin::{DropOrigin, OpenedEntry};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::format::address::Address;
use crate::format::envelope::Run;
use crate::fs::{Dir, Stamp};
use crate::state::{Dirs, Reserved, new_id};

impl DropOrigin {
    /// Deletes the message for its reader.
    pub(super) fn delete_for_reader(&self) -> Result<()> {
        // A Maildir client may rename the file between our look and our rename.
        let mut tries = if self.store.is_maildir() { 3 } else { 1 };
        loop {
            tries -= 1;
            match self.try_delete() {
                Err(error) if error.kind() == ErrorKind::MessageGone && tries > 0 => {}
                done => return done,
            }
        }
    }

    fn try_delete(&self) -> Result<()> {
        let store = &self.store;
        let (file, place, name) = store.open(self.entry.place, &self.entry.name)?;
        let opened = OpenedEntry::read(store, file)?;
        let reader = self.reader.as_deref();
        if opened.stamp != self.entry.stamp || !store.is_visible(&opened.run, reader) {
            return Err(self.gone());
        }
        let Some(reader) = reader.filter(|_| !store.has_one_owner(&opened.run)) else {
            let dirs = store.state.ensure()?;
            store.remove(&dirs, place, &name, opened.stamp)?;
            #[cfg(feature = "maildir")]
            store.tell_quota(opened.stamp.size);
            return Ok(());
        };
        if store.who_deleted(&name, &opened)?.contains(reader) {
            return Err(self.gone());
        }
        let is_own = |address: &&Address| store.key(address) == reader;
        if let Some(address) = opened.run.recipients.iter().find(is_own) {
            store.mark(&name, &opened, address)?;
        }
        // With the mark it is deleted for its reader; what fails now a later look does. The mark is
        // written before this look, so that of two deleters the later sees both.
        if let Ok(deleted_by) = store.who_deleted(&name, &opened)
            && store.is_deleted_by_all(&opened.run, &deleted_by)
        {
            store.finish_removal(place, &name, &opened);
        }
        Ok(())
    }
}

impl DropStore {
    /// Whether one deletion is enough: the run names one mailbox, or nobody.
    pub(super) fn has_one_owner(&self, run: &Run) -> bool {
        if self.rules.is_of_one {
            return true;
        }
        let is_one = || self.keys(run).collect::<HashSet<_>>().len() <= 1;
        !run.has_unreadable && (run.recipients.len() <= 1 || is_one())
    }

    pub(super) fn keys<'a>(&'a self, run: &'a Run) -> impl Iterator<Item = String> + 'a {
        let is_of_one = self.rules.is_of_one;
        let named = run.recipients.iter().filter(move |_| !is_of_one);
        let owner = is_of_one.then(|| OWNER.to_owned());
        named.map(|address| self.key(address)).chain(owner)
    }

    /// Whether every address of the run has deleted the file.
    pub(super) fn is_deleted_by_all(&self, run: &Run, deleted_by: &HashSet<String>) -> bool {
        !run.has_unreadable && self.keys(run).all(|key| deleted_by.contains(&key))
    }

    /// Removes a file that all have deleted. It is shown to nobody; a failure costs only space,
    /// and the next look tries again.
    pub(super) fn finish_removal(&self, place: Place, name: &OsStr, opened: &OpenedEntry) {
        if let Ok(dirs) = self.state.ensure()
            && self.remove(&dirs, place, name, opened.stamp).is_ok()
        {
            self.remove_marks(&dirs, name, opened);
        }
    }

    /// Removes the file of that name if it is the one that was judged.
    fn remove(&self, dirs: &Dirs, place: Place, name: &OsStr, judged: Stamp) -> Result<()> {
        let from = self.place(place).ok_or_else(Self::gone)?;
        let judgement = Judgement { place, judged };
        let removed = match self.make_room(dirs, &judgement) {
            Ok(made) => {
                let removed = self.remove_by(&made.room, name, from, name, judged);
                let _ = made.above.remove_dir(judgement.name());
                if dirs.removing.is_without(&made.reserved.id) {
                    let _ = made.reserved.lock.release();
                }
                removed
            }
            // A disk is emptied by deleting: that a directory cannot be made must not prevent it.
            Err(error) if error.kind() == ErrorKind::DiskFull => {
                let new = judgement.name_of_file(name);
                self.remove_by(&dirs.removing, &new, from, name, judged)
            }
            Err(error) => Err(error),
        };
        #[cfg(feature = "index")]
        self.suspect(name, judged.inode);
        removed
    }

    /// A directory of one removal, under a lock of its own.
    fn make_room(&self, dirs: &Dirs, judgement: &Judgement) -> Result<Room> {
        let reserved = dirs.reserve()?;
        let made = (|| {
            let above = dirs.removing.make_dir(&reserved.id)?;
            let room = above.make_dir(judgement.name())?;
            if self.rules.durable {
                // Or a power cut could lose the directory with a file in it that must go back.
                above.sync()?;
                dirs.removing.sync()?;
            }
            Ok((above, room))
        })();
        match made {
            Ok((above, room)) => Ok(Room {
                reserved,
                above,
                room,
            }),
            Err(error) => {
                if let Ok(above) = dirs.removing.open_dir(&reserved.id) {
                    let _ = above.remove_dir(judgement.name());
                }
                if dirs.removing.is_without(&reserved.id) {
                    let _ = reserved.lock.release();
                }
                Err(error)
            }
        }
    }

    /// Renames the file into `room`, where it is called `there`, and decides about it.
    fn remove_by(
        &self,
        room: &Dir,
        there: &OsStr,
        from: &Dir,
        name: &OsStr,
        judged: Stamp,
    ) -> Result<()> {
        match from.rename(name, room, there) {
            Ok(()) => self.decide(room, there, from, name, judged),
            Err(failure) if failure.is_gone() => {
                Err(Self::gone().with_path(from.path().join(name)))
            }
            // A rename can fail after it was done: what is in the room is decided all the same.
            Err(failure) => match room.stat(there) {
                Ok(_) => self.decide(room, there, from, name, judged),
                Err(_) => Err(failure.into()),
            },
        }
    }

    /// Unlinks the file in the room if it is the one that was judged; another goes back.
    ///
    /// The deletion holds once the rename into the room is durable: from then on whoever recovers
    /// unlinks the file too, so that a failure to do it now is none.
    fn decide(
        &self,
        room: &Dir,
        there: &OsStr,
        from: &Dir,
        name: &OsStr,
        judged: Stamp,
    ) -> Result<()> {
        let Ok(found) = room.stat(there) else {
            return Ok(());
        };
        if found.stamp != judged {
            put_back(room, there, from, name)?;
            from.sync()?;
            return Err(Self::gone().with_path(from.path().join(name)));
        }
        if self.rules.durable
            && let Err(failure) = from.sync()
            && put_back(room, there, from, name).is_ok()
        {
            return Err(failure.into());
        }
        let _ = room.remove(there);
        Ok(())
    }
}

/// Where a file is renamed to, to be looked at once more.
struct Room {
    reserved: Reserved,
    /// The directory that the room is in.
    above: Dir,
    room: Dir,
}

/// What a removal was decided on.
struct Judgement {
    place: Place,
    judged: Stamp,
}

impl Judgement {
    fn name(&self) -> String {
        let Stamp {
            size,
            modified,
            inode,
        } = self.judged;
        format!("{}_{size}_{modified}_{inode}", self.place.name())
    }

    /// The name of a file that lies in `removing` itself: what was judged, what makes it the only
    /// one of that name, and its ending.
    fn name_of_file(&self, name: &OsStr) -> OsString {
        with_ending_of(name, format!("{}_{}", self.name(), new_id()))
    }

    /// Of a directory or of such a file.
    fn parse(name: &str) -> Option<Self> {
        let pieces: Vec<&str> = name.split('_').collect();
        let [place, size, modified, inode, ..] = pieces[..] else {
            return None;
        };
        Some(Self {
            place: Place::ALL.into_iter().find(|known| known.name() == place)?,
            judged: Stamp {
                size: size.parse().ok()?,
                modified: modified.parse().ok()?,
                inode: inode.parse().ok()?,
            },
        })
    }
}

/// Puts a file back where it was, under a new name with the same ending when its own is taken.
pub(crate) fn give_back(room: &Dir, name: &OsStr, to: &Dir) -> Result<()> {
    put_back(room, name, to, name)?;
    to.sync()?;
    Ok(())
}

fn put_back(room: &Dir, there: &OsStr, to: &Dir, name: &OsStr) -> Result<()> {
    match room.rename(there, to, name) {
        Err(failure) if failure.is_taken() => {
            room.rename(there, to, with_ending_of(name, new_id()))?;
        }
        returned => returned?,
    }
    Ok(())
}

fn with_ending_of(name: &OsStr, stem: String) -> OsString {
    let mut new = OsString::from(stem);
    if let Some(ending) = std::path::Path::new(name).extension() {
        new.push(".");
        new.push(ending);
    }
    new
}

/// Finishes the removals that died; what was not judged goes back to where it was. One that cannot
/// be finished holds up no other.
pub(crate) fn recover_removing(store: &DropStore, dirs: &Dirs) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for id in dirs.removing.all_names()? {
        let recovered = id
            .to_str()
            .map_or(Ok(()), |id| recover_one(store, dirs, id));
        problems.extend(recovered.err().map(Problem::from));
    }
    Ok(problems)
}

fn recover_one(store: &DropStore, dirs: &Dirs, id: &str) -> Result<()> {
    let Some(lock) = dirs.take(id)? else {
        return Ok(());
    };
    if let Some(judgement) = Judgement::parse(id) {
        finish_file(store, dirs, id, &judgement)?;
        return Ok(lock.release()?);
    }
    let removing = match dirs.removing.open_dir(id) {
        Err(failure) if failure.is_gone() => return lock.release().map_err(Error::from),
        opened => opened?,
    };
    for room_name in removing.all_names()? {
        let judgement = room_name.to_str().and_then(Judgement::parse);
        let Some((judgement, from)) =
            judgement.and_then(|found| store.place(found.place).map(|from| (found, from)))
        else {
            return Err(foreign(&removing, &room_name));
        };
        let room = removing.open_dir(&room_name)?;
        for name in room.all_names()? {
            finish_one(&room, from, &name, judgement.judged)?;
        }
        removing.remove_dir(&room_name)?;
    }
    dirs.removing.remove_dir(id)?;
    Ok(lock.release()?)
}

fn foreign(dir: &Dir, name: &OsStr) -> Error {
    let message = "this in `removing` was not made by this program for this drop; move it, or what \
        is in it, where it belongs";
    Error::new(ErrorKind::Corrupt, message).with_path(dir.path().join(name))
}

/// A file that lies in `removing` itself, since no directory could be made for it.
fn finish_file(store: &DropStore, dirs: &Dirs, file: &str, judgement: &Judgement) -> Result<()> {
    let name = OsStr::new(file);
    let Some(from) = store.place(judgement.place) else {
        return Err(foreign(&dirs.removing, name));
    };
    match dirs.removing.stat(name) {
        Err(failure) if failure.is_gone() => Ok(()),
        Err(failure) => Err(failure.into()),
        Ok(found) if found.stamp == judgement.judged => Ok(dirs.removing.remove(name)?),
        // What it was called is not known any more.
        Ok(_) => {
            put_back(&dirs.removing, name, from, &with_ending_of(name, new_id()))?;
            Ok(from.sync()?)
        }
    }
}

/// The deletion may have been told as done: what was judged is never given back here, whatever
/// else fails.
fn finish_one(room: &Dir, from: &Dir, name: &OsStr, judged: Stamp) -> Result<()> {
    if room.stat(name)?.stamp == judged {
        room.remove(name)?;
        return Ok(());
    }
    give_back(room, name, from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MailServer;

    #[test]
    fn a_judgement_is_read_whole_or_not_at_all() {
        let name = "flat_1_-2_3";
        assert!(Judgement::parse(name).is_some_and(|found| found.name() == name));
        assert!(Judgement::parse("flat_1_-2_3_more.eml").is_some());
        for wrong in [
            "flat",
            "flat_",
            "flat_1",
            "flat_1_-2",
            "flat_x_-2_3",
            "flat_1_x_3",
            "flat_1_-2_x",
            "nowhere_1_-2_3",
        ] {
            assert!(Judgement::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn nothing_is_removed_from_where_nothing_is() {
        let server = MailServer::temporary().unwrap();
        let (store, dirs) = (server.drop_store().unwrap(), server.spool().state.ensure());
        let judged = Stamp {
            size: 0,
            modified: 0,
            inode: 0,
        };
        // There is no such part of a flat drop.
        let removed = store.remove(&dirs.unwrap(), Place::New, OsStr::new("a.eml"), judged);
        assert_eq!(removed.unwrap_err().kind(), ErrorKind::MessageGone);
    }
}
