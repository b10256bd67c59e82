//! What is wrong with a set-up: why it would lose, leak or hold up mail, and what to do.

use std::collections::HashMap;
use std::ffi::OsString;
use std::time::{Duration, SystemTime};

use super::MailServer;
use super::finding::{Finding, FindingKind};
use crate::delivery::{Spool, count_left};
use crate::error::{ErrorKind, Result};
use crate::fs::{Dir, Stamp};
use crate::state::new_id;
use crate::store::settle::Writer;

impl MailServer {
    /// Looks for what would lose, leak or hold up mail: rights, file systems, the profile, the clock,
    /// room, writers, a Pickup that nobody empties. Empty when all is well. The program `doctor`
    /// prints it.
    ///
    /// It makes a file in the state directory and removes it, reads every file of the drop that is
    /// not known yet, and waits a second to see whether any grows.
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// let server = cdonts::MailServer::temporary()?;
    /// for finding in server.check()? {
    ///     eprintln!("{finding}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When a directory cannot be looked at.
    pub fn check(&self) -> Result<Vec<Finding>> {
        let spool = self.spool();
        let mut findings = Vec::new();
        let before = Files::of(spool)?;
        check_rights(spool, &mut findings)?;
        check_file_systems(spool, &mut findings)?;
        check_state(spool, &mut findings)?;
        check_room(spool, &mut findings)?;
        self.check_drop(&mut findings)?;
        std::thread::sleep(GROWING);
        before.check_growth(&Files::of(spool)?, &mut findings);
        check_pickup(spool, &mut findings)?;
        check_left_queue(spool, &mut findings)?;
        Ok(findings)
    }

    fn check_drop(&self, findings: &mut Vec<Finding>) -> Result<()> {
        if self.spool().drop.is_none() {
            return Ok(());
        }
        let root = self.drop_store()?.root().path().to_path_buf();
        for problem in self.problems()? {
            let path = problem.path().unwrap_or(&root);
            let (kind, advice) = if path == root {
                (
                    FindingKind::Profile,
                    "set the `profile` of the server that fills it, or see what they are by \
                     `unclaimed`",
                )
            } else {
                (
                    FindingKind::Unreadable,
                    "look at it, and give this program the right to read it or move it away",
                )
            };
            findings.push(Finding::new(kind, path, problem.to_string(), advice));
        }
        Ok(())
    }
}

/// As long as a file that is being written stands still at most.
const GROWING: Duration = Duration::from_secs(1);
/// A Pickup that is emptied is emptied within this time.
const PICKED_UP: Duration = Duration::from_mins(10);
/// What is sent is in its place within this time.
const FINISHED: Duration = Duration::from_mins(1);
/// Clocks may differ so much: one second is the grain of some file systems.
const SKEW: Duration = Duration::from_secs(2);
const LEAST_OCTETS: u64 = 100_000_000;
const LEAST_FILES: u64 = 1000;

/// The directories of a mail server, each with what it is called.
fn directories(spool: &Spool) -> Result<Vec<(&'static str, Dir)>> {
    let mut all = Vec::new();
    all.extend(spool.pickup.as_ref().map(|one| ("Pickup", one.dir.clone())));
    all.extend(spool.drop.as_ref().map(|one| ("Drop", one.root().clone())));
    all.extend(spool.queue.as_ref().map(|one| ("queue", one.dir.clone())));
    let state = spool.state.existing()?;
    all.extend(state.map(|dirs| ("state directory", dirs.root.clone())));
    Ok(all)
}

fn check_rights(spool: &Spool, findings: &mut Vec<Finding>) -> Result<()> {
    for (name, dir) in directories(spool)? {
        let Some(rights) = dir.rights()? else {
            continue;
        };
        let mut say = |text: &str, advice| {
            findings.push(Finding::new(FindingKind::Rights, dir.path(), text, advice));
        };
        if rights.is_open_to_write && name == "Pickup" {
            say(
                "everybody on this machine may put files into Pickup, and so send as anybody",
                "take the right from others (chmod o-w)",
            );
        } else if rights.is_open_to_write {
            say(
                "everybody on this machine may put files into it, and so forge mail",
                "take the right from others (chmod o-w)",
            );
        } else if rights.is_open_to_read && name != "Pickup" {
            say(
                "everybody on this machine may list it, and read what the files' modes allow",
                "take the right from others (chmod o-rx)",
            );
        }
        if !rights.can_write {
            let text = match name {
                "Drop" => "this program may not write into it: it can read mail but not delete any",
                "Pickup" => "this program may not write into it: it cannot send",
                _ => "this program may not write into it: what it does is not remembered",
            };
            say(text, "make it the owner, or a member of the group that may");
        }
    }
    Ok(())
}

fn check_file_systems(spool: &Spool, findings: &mut Vec<Finding>) -> Result<()> {
    let (Some(drop), Some(dirs)) = (&spool.drop, spool.state.existing()?) else {
        return Ok(());
    };
    if drop.root().own_stat()?.device != dirs.root.own_stat()?.device {
        findings.push(Finding::new(
            FindingKind::FileSystems,
            dirs.root.path(),
            "the state directory is on another file system than the Drop: deleting fails",
            "set a `state_dir` beside the Drop",
        ));
    }
    Ok(())
}

/// Its file system, its clock, and what is left in it.
fn check_state(spool: &Spool, findings: &mut Vec<Finding>) -> Result<()> {
    let Some(dirs) = spool.state.existing()? else {
        return Ok(());
    };
    if dirs.root.rights()?.is_none_or(|rights| rights.can_write) {
        match try_out(&dirs.root, findings) {
            // That is found too, and must not hide the rest.
            Err(error) if error.kind() == ErrorKind::DiskFull => {}
            tried => tried?,
        }
    }
    for id in dirs.committed.all_names()? {
        let since = dirs.committed.stat(&id).map(|stat| age(stat.stamp));
        if since.is_ok_and(|since| since > FINISHED) {
            findings.push(Finding::new(
                FindingKind::Unfinished,
                &dirs.committed.path().join(&id),
                "a message that was sent could not be moved to its place for over a minute",
                "open a server that has its Drop, Pickup and queue, and see `deliver_now` for why",
            ));
        }
    }
    Ok(())
}

/// What can be known of a directory by making a file in it alone.
fn try_out(root: &Dir, findings: &mut Vec<Finding>) -> Result<()> {
    let (one, other) = (format!("check-{}", new_id()), format!("check-{}", new_id()));
    if !root.renames_safely(&one, &other)? {
        findings.push(Finding::new(
            FindingKind::Rename,
            root.path(),
            "its file system cannot rename without replacing, as on NFS: two programs that give \
             files one name at once can lose one",
            "use a local file system, or let no other program write into the Drop",
        ));
    }
    drop(root.create(&one)?);
    let made = root.stat(&one)?.stamp.modified();
    root.remove(&one)?;
    let now = SystemTime::now();
    let skew = now
        .duration_since(made)
        .or_else(|_| made.duration_since(now));
    if skew.is_ok_and(|skew| skew > SKEW) {
        findings.push(Finding::new(
            FindingKind::Clock,
            root.path(),
            "the clock of its file system and that of this machine differ by more than two \
             seconds: new messages may be seen late",
            "set both clocks by NTP",
        ));
    }
    Ok(())
}

fn age(stamp: Stamp) -> Duration {
    SystemTime::now()
        .duration_since(stamp.modified())
        .unwrap_or_default()
}

fn check_room(spool: &Spool, findings: &mut Vec<Finding>) -> Result<()> {
    // Once for each file system.
    let mut seen = Vec::new();
    for (_, dir) in directories(spool)? {
        let device = dir.own_stat()?.device;
        let Some(room) = dir.room()?.filter(|_| !seen.contains(&device)) else {
            continue;
        };
        seen.push(device);
        if room.octets < LEAST_OCTETS || room.files.is_some_and(|files| files < LEAST_FILES) {
            let text = match room.files {
                Some(files) => {
                    format!("there is room for {} octets and {files} files", room.octets)
                }
                None => format!("there is room for {} octets", room.octets),
            };
            findings.push(Finding::new(
                FindingKind::Space,
                dir.path(),
                text,
                "remove what is not needed: on a full disk nothing is sent",
            ));
        }
    }
    Ok(())
}

/// Files that should be whole as soon as they have a name.
struct Files(Vec<(Dir, HashMap<OsString, Stamp>)>);

impl Files {
    fn of(spool: &Spool) -> Result<Self> {
        let mut all = Vec::new();
        if let Some(drop) = spool
            .drop
            .as_ref()
            .filter(|drop| drop.writer() == Writer::Renames)
        {
            all.push(drop.root().clone());
        }
        if let Some(pickup) = &spool.pickup
            && pickup.settling.writer() == Writer::Renames
            && !spool.local_domains.is_empty()
        {
            all.push(pickup.dir.clone());
        }
        let stamps = |dir: Dir| -> Result<_> {
            let mut stamps = HashMap::new();
            for name in dir.entries()?.filter_map(std::result::Result::ok) {
                if let Ok(stat) = dir.stat(&name) {
                    // An old file is not being written any more.
                    if age(stat.stamp) < PICKED_UP {
                        stamps.insert(name, stat.stamp);
                    }
                }
            }
            Ok((dir, stamps))
        };
        Ok(Self(all.into_iter().map(stamps).collect::<Result<_>>()?))
    }

    fn check_growth(&self, later: &Self, findings: &mut Vec<Finding>) {
        for ((dir, before), (_, after)) in self.0.iter().zip(&later.0) {
            let has_grown = |name: &&OsString| {
                let (then, now) = (before.get(*name), after.get(*name));
                then.zip(now).is_some_and(|(then, now)| {
                    then.inode == now.inode
                        && (then.size, then.modified) != (now.size, now.modified)
                })
            };
            if let Some(name) = before.keys().find(has_grown) {
                findings.push(Finding::new(
                    FindingKind::Writer,
                    &dir.path().join(name),
                    "it grows under the name under which it is read: half of it may be taken for \
                     a message",
                    "set the writer of this directory to `Writer::InPlace`, or let the program \
                     rename its files into place",
                ));
            }
        }
    }
}

/// Whether somebody takes what is put into Pickup, where that is not us.
fn check_pickup(spool: &Spool, findings: &mut Vec<Finding>) -> Result<()> {
    let Some(pickup) = &spool.pickup else {
        return Ok(());
    };
    let mut oldest = None;
    for name in pickup.dir.entries()?.filter_map(std::result::Result::ok) {
        if let Ok(stat) = pickup.dir.stat(&name) {
            let since = age(stat.stamp);
            if since > PICKED_UP && oldest.as_ref().is_none_or(|(most, _)| since > *most) {
                oldest = Some((since, name));
            }
        }
    }
    if let Some((since, name)) = oldest {
        let minutes = since.as_secs() / 60;
        findings.push(Finding::new(
            FindingKind::Pickup,
            &pickup.dir.path().join(name),
            format!("it waits for {minutes} minutes: nobody empties Pickup"),
            "start the mail server that does, or set a `relay`, or call `deliver_now`",
        ));
    }
    Ok(())
}

/// Whether messages wait for a relay that was set once.
fn check_left_queue(spool: &Spool, findings: &mut Vec<Finding>) -> Result<()> {
    let Some(path) = &spool.left_queue else {
        return Ok(());
    };
    let left = match Dir::open_path(path, spool.modes, &spool.probe) {
        Err(failure) if failure.is_gone() => 0,
        opened => count_left(&opened?)?,
    };
    if left > 0 {
        findings.push(Finding::new(
            FindingKind::Queue,
            path,
            format!("{left} messages wait here, and no relay is set: nobody hands them on"),
            "set the `relay` or the `route` that was set when they were sent",
        ));
    }
    Ok(())
}
