//! Looking at a drop: which files there are for whom.
//!
//! It trusts no name and no file: each is opened, and judged by what was opened. A file that
//! vanishes, cannot be read or is no file at all costs the others nothing. A look shows presence,
//! not absence, unless the directory's time says that nothing changed meanwhile.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use super::drop::{DropStore, Place};
use super::entry::{Entry, Summary};
use super::listing::{DropListing, DropPage, Entries};
use super::mailbox::PageRequest;
use super::marks::Marked;
use super::origin::OpenedEntry;
use super::settle::{Verdict, Writer};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::format::envelope::Run;
use crate::fs::{Kind, Stamp};
use crate::limits::Limits;

/// Whose messages are asked for.
#[derive(Clone, Copy)]
pub(crate) enum Whose<'a> {
    /// Of this address, as it compares.
    Address(&'a str),
    /// Of nobody: the owner of the drop asks.
    Nobody,
}

/// What a look found.
#[derive(Default)]
pub(crate) struct Scan {
    pub(crate) entries: Vec<Arc<Entry>>,
    /// Files that nobody could judge, by name: for the owner only.
    pub(crate) problems: Vec<Problem>,
    /// What is wrong with the entries found.
    pub(crate) own_problems: Vec<Problem>,
}

/// A name of the drop that may be a message.
pub(super) struct Candidate {
    place: Place,
    name: OsString,
    /// The state of the file in the first look; only where a writer writes in place.
    stamp: Option<Stamp>,
}

/// A complete file, and who has deleted it for himself.
pub(super) struct Found {
    place: Place,
    name: OsString,
    pub(super) opened: OpenedEntry,
    pub(super) deleted_by: HashSet<String>,
}

/// A clock may be this coarse: a directory that is younger proves nothing about what came since.
pub(super) const GRAIN: Duration = Duration::from_secs(2);

/// From so many files on an index is made, also where the state directory is only a default.
#[cfg(feature = "index")]
const MANY: usize = 1000;

impl DropStore {
    /// The complete messages of somebody, oldest first: by the index in the order in which they
    /// were first seen, without one by file time and then by name.
    pub(crate) fn list(&self, whose: Whose<'_>) -> Result<DropListing> {
        #[cfg(feature = "index")]
        if let Some(listed) = self.list_by_index(whose) {
            return listed;
        }
        let scan = self.scan(whose)?;
        Ok(DropListing {
            entries: Entries::Held(scan.entries),
            problems: scan.own_problems,
            unreadable: scan.problems.len(),
        })
    }

    /// How many complete messages somebody has.
    pub(crate) fn count(&self, whose: Whose<'_>) -> Result<u64> {
        #[cfg(feature = "index")]
        if let Some(counted) = self.count_by_index(whose) {
            return counted;
        }
        Ok(self.scan(whose)?.entries.len() as u64)
    }

    /// Some messages behind a place in the order, or before it; `None` without an index.
    #[cfg_attr(
        not(feature = "index"),
        expect(clippy::unused_self, reason = "there is none")
    )]
    pub(crate) fn page(
        &self,
        whose: Whose<'_>,
        request: &PageRequest<'_>,
    ) -> Option<Result<DropPage>> {
        #[cfg(feature = "index")]
        return self.page_by_index(whose, request);
        #[cfg(not(feature = "index"))]
        {
            let _ = (whose, request);
            None
        }
    }

    /// Compares what is known of every file with its state.
    #[cfg_attr(
        not(feature = "index"),
        expect(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "nothing is known"
        )
    )]
    pub(crate) fn check_all(&self) -> Result<()> {
        #[cfg(feature = "index")]
        if let Some(checked) = self.check_by_index() {
            return checked;
        }
        // Without an index every listing does.
        Ok(())
    }

    /// The same by reading every file, oldest first by file time and then by name.
    pub(crate) fn scan(&self, whose: Whose<'_>) -> Result<Scan> {
        let marked = Marked::look(&self.state)?;
        let times = self.times();
        let mut scan = Scan::default();
        let look = self.next_look();
        let (candidates, names) = self.candidates(look, &mut scan)?;
        #[cfg(feature = "index")]
        if names.len() >= MANY {
            // So large a drop gets an index, whoever has made it.
            let _ = self.state.ensure();
        }
        let mut misfits = HashSet::new();
        for candidate in candidates {
            match self.judge(&candidate, whose, &marked, &mut misfits) {
                Ok(Some(entry)) => {
                    scan.own_problems.extend(self.problem_of(&entry));
                    scan.entries.push(Arc::new(entry));
                }
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::MessageGone => {}
                Err(_) if self.is_directory(candidate.place, &candidate.name) => {}
                Err(error) => scan.problems.push(error.into()),
            }
        }
        self.settling.forget_before(look);
        if !marked.is_empty() {
            let nothing_in_removal = self.nothing_in_removal();
            let absence = nothing_in_removal && times.is_some() && times == self.times();
            self.sweep_marks(&marked, &misfits, absence.then_some(&names));
        }
        scan.entries
            .sort_by(|a, b| (a.stamp.modified, &a.name).cmp(&(b.stamp.modified, &b.name)));
        Ok(scan)
    }

    /// The names that may be messages and are complete, and the base names of all there are.
    /// Waits at most one settle period.
    pub(super) fn candidates(
        &self,
        look: u64,
        scan: &mut Scan,
    ) -> Result<(Vec<Candidate>, HashSet<Vec<u8>>)> {
        let mut complete = Vec::new();
        let mut unsettled = Vec::new();
        let mut wait = Duration::ZERO;
        let mut bases = HashSet::new();
        for round in 1.. {
            let before = self.is_maildir().then(|| self.stamps()).flatten();
            for (place, dir) in &self.places {
                for entry in dir.entries()? {
                    let name = entry
                        .map_err(|source| Error::io("list a directory", dir.path(), source))?;
                    if !self.is_candidate(&name) || !bases.insert(self.base(&name).to_vec()) {
                        continue;
                    }
                    let mut candidate = Candidate {
                        place: *place,
                        name,
                        stamp: None,
                    };
                    match self.is_complete(&mut candidate, look) {
                        Ok(Some(Verdict::Complete)) => complete.push(candidate),
                        Ok(Some(Verdict::Wait(time))) => {
                            wait = wait.max(time);
                            unsettled.push(candidate);
                        }
                        Ok(Some(Verdict::Empty) | None) => {}
                        Err(error) => scan.problems.push(error.into()),
                    }
                }
            }
            if !self.is_restless(round, before.as_ref()) {
                break;
            }
        }
        if !unsettled.is_empty() {
            std::thread::sleep(wait);
        }
        for mut candidate in unsettled {
            match self.is_complete(&mut candidate, look) {
                Ok(Some(Verdict::Complete)) => complete.push(candidate),
                Ok(Some(Verdict::Wait(_) | Verdict::Empty)) => {
                    let path = self
                        .root
                        .path()
                        .join(candidate.place.relative_path(&candidate.name));
                    scan.problems
                        .push(Problem::at(path, "the file is still being written"));
                }
                Ok(None) => {}
                Err(error) => scan.problems.push(error.into()),
            }
        }
        Ok((complete, bases))
    }

    /// `None` for what is no file, or none any more.
    fn is_complete(&self, candidate: &mut Candidate, look: u64) -> Result<Option<Verdict>> {
        if self.settling.writer() == Writer::Renames {
            return Ok(Some(Verdict::Complete));
        }
        let stat = self
            .place(candidate.place)
            .map(|dir| dir.stat(&candidate.name));
        let stat = match stat {
            Some(Ok(stat)) => stat,
            Some(Err(failure)) if !failure.is_gone() => return Err(failure.into()),
            _ => return Ok(None),
        };
        candidate.stamp = Some(stat.stamp);
        let is_file = stat.kind == Kind::File;
        Ok(is_file.then(|| self.settling.judge(&candidate.name, stat.stamp, look)))
    }

    /// A message whose owner is known is one however large it is; this tells why it will not open.
    pub(super) fn problem_of(&self, entry: &Entry) -> Option<Problem> {
        let most = self.rules.limits.message;
        (entry.summary.size > most).then(|| {
            let error = Limits::exceeded("message", most);
            Problem::at(entry.relative_path(), error.to_string())
        })
    }

    pub(super) fn is_directory(&self, place: Place, name: &OsStr) -> bool {
        let stat = self.place(place).map(|dir| dir.stat(name));
        matches!(stat, Some(Ok(stat)) if stat.kind == Kind::Directory)
    }

    /// What a complete file is to the one who asks; `None` if it is not for him.
    fn judge(
        &self,
        candidate: &Candidate,
        whose: Whose<'_>,
        marked: &Marked,
        misfits: &mut HashSet<String>,
    ) -> Result<Option<Entry>> {
        let Some(mut found) = self.find(candidate, marked, misfits)? else {
            return Ok(None);
        };
        let reader = match whose {
            Whose::Address(address) => Some(address),
            Whose::Nobody => None,
        };
        let deleted = reader.is_some_and(|reader| found.deleted_by.contains(reader));
        if deleted || !self.is_visible(&found.opened.run, reader) {
            return Ok(None);
        }
        self.entry(found.place, &found.name, &mut found.opened, reader)
            .map(Some)
    }

    /// A complete file that somebody still has; `None` if nobody has.
    pub(super) fn find(
        &self,
        candidate: &Candidate,
        marked: &Marked,
        misfits: &mut HashSet<String>,
    ) -> Result<Option<Found>> {
        let (file, place, name) = self.open(candidate.place, &candidate.name)?;
        let opened = OpenedEntry::read(self, file)?;
        if candidate.stamp.is_some_and(|stamp| stamp != opened.stamp) {
            // It was rewritten since it was found complete; the next look judges it anew.
            return Ok(None);
        }
        let deleted_by = self.deleted_by(marked, &name, &opened, misfits)?;
        if !deleted_by.is_empty() && self.is_deleted_by_all(&opened.run, &deleted_by) {
            self.finish_removal(place, &name, &opened);
            return Ok(None);
        }
        Ok(Some(Found {
            place,
            name,
            opened,
            deleted_by,
        }))
    }

    /// What a listing shows of an open file to a reader.
    pub(super) fn entry(
        &self,
        place: Place,
        name: &OsStr,
        opened: &mut OpenedEntry,
        reader: Option<&str>,
    ) -> Result<Entry> {
        let summary = self.summary(opened, reader)?;
        Ok(Entry {
            place,
            name: name.to_owned(),
            stamp: opened.stamp,
            summary,
        })
    }

    pub(super) fn next_look(&self) -> u64 {
        self.looks.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn summary(&self, opened: &mut OpenedEntry, reader: Option<&str>) -> Result<Summary> {
        let size = opened.stamp.size.saturating_sub(opened.run.end as u64);
        let section = opened.section(&self.rules.limits)?;
        let mut summary = Summary::of_section(section, size);
        summary.received = summary.received.or_else(|| Some(opened.stamp.modified()));
        summary.reverse_path.clone_from(&opened.run.reverse_path);
        summary.has_null_reverse_path = opened.run.has_sender && opened.run.reverse_path.is_empty();
        let mut recipients = opened.run.recipients.iter();
        let own = if self.rules.is_of_one {
            // Of several nobody can tell which was meant.
            recipients.next().filter(|_| recipients.next().is_none())
        } else {
            reader.and_then(|reader| recipients.find(|one| self.has_key(one, reader)))
        };
        summary.delivered_to = own.map(ToString::to_string).unwrap_or_default();
        Ok(summary)
    }

    /// Whether a file with this run is the reader's; without a reader, whether it is nobody's.
    pub(super) fn is_visible(&self, run: &Run, reader: Option<&str>) -> bool {
        match reader {
            Some(_) if self.rules.is_of_one => true,
            Some(reader) => run
                .recipients
                .iter()
                .any(|address| self.has_key(address, reader)),
            None => run.recipients.is_empty(),
        }
    }

    /// The times of the directories, if they are old enough to prove that nothing came since.
    pub(super) fn times(&self) -> Option<Vec<Stamp>> {
        let now = SystemTime::now();
        self.places
            .iter()
            .map(|(_, dir)| {
                let stamp = dir.own_stat().ok()?.stamp;
                let age = now.duration_since(stamp.modified()).ok()?;
                (age > GRAIN).then_some(stamp)
            })
            .collect()
    }

    pub(super) fn nothing_in_removal(&self) -> bool {
        let dirs = self.state.existing().ok().flatten();
        let names = dirs.and_then(|dirs| dirs.removing.all_names().ok());
        names.is_some_and(|names| names.is_empty())
    }
}
