//! The condition of a directory: who may do what in it, what room there is, what its file system
//! can.

use super::{Dir, Op, Result};

/// Who may do what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rights {
    /// Everybody may list it.
    pub(crate) is_open_to_read: bool,
    /// Everybody may put files into it.
    pub(crate) is_open_to_write: bool,
    /// This process may.
    pub(crate) can_write: bool,
}

/// What room there is for this user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) octets: u64,
    /// Files that can still be made; `None` where there is no such number.
    pub(crate) files: Option<u64>,
}

impl Dir {
    /// `None` where the system has other rights than those of unix.
    pub(crate) fn rights(&self) -> Result<Option<Rights>> {
        self.call(Op::Stat, "".as_ref(), || rights(self.path()))
    }

    /// `None` where the system is not asked.
    pub(crate) fn room(&self) -> Result<Option<Room>> {
        self.call(Op::Stat, "".as_ref(), || room(self.path()))
    }

    /// Whether a rename here finds out by itself that the new name is taken. Elsewhere it is looked
    /// for before, and who takes the name in between loses his file.
    pub(crate) fn renames_safely(&self, one: &str, other: &str) -> Result<bool> {
        drop(self.create(one)?);
        let is_safe = self.call(Op::Rename, other.as_ref(), || {
            self.0.handle.renames_safely(one.as_ref(), other.as_ref())
        });
        let _ = self.remove(one);
        let _ = self.remove(other);
        is_safe
    }
}

#[cfg(unix)]
fn rights(path: &std::path::Path) -> std::io::Result<Option<Rights>> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(path)?);
    let can_write = accessat(
        CWD,
        path,
        Access::WRITE_OK | Access::EXEC_OK,
        AtFlags::EACCESS,
    );
    // Where everybody may write but only an owner may remove (as in /tmp) others may still write.
    Ok(Some(Rights {
        is_open_to_read: mode & 0o005 == 0o005,
        is_open_to_write: mode & 0o003 == 0o003,
        can_write: can_write.is_ok(),
    }))
}

#[cfg(not(unix))]
fn rights(_: &std::path::Path) -> std::io::Result<Option<Rights>> {
    Ok(None)
}

#[cfg(unix)]
fn room(path: &std::path::Path) -> std::io::Result<Option<Room>> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(Some(Room {
        octets: stat.f_bavail.saturating_mul(stat.f_frsize),
        files: (stat.f_files > 0).then_some(stat.f_favail),
    }))
}

#[cfg(not(unix))]
fn room(_: &std::path::Path) -> std::io::Result<Option<Room>> {
    Ok(None)
}

#[cfg(all(test, unix))]
#[allow(clippy::disallowed_methods, reason = "tests may write files")]
mod tests {
    use super::super::double::place;
    use super::super::{Dir, Modes, Probe};

    #[test]
    fn a_directory_that_is_gone_has_no_condition() {
        let root = place();
        std::fs::create_dir(root.path().join("gone")).unwrap();
        let dir = Dir::open_path(root.path(), Modes::default(), &Probe::default()).unwrap();
        let gone = dir.open_dir("gone").unwrap();
        assert!(gone.rights().unwrap().is_some());
        assert!(gone.room().unwrap().is_some());
        std::fs::remove_dir(root.path().join("gone")).unwrap();
        for failure in [gone.rights().unwrap_err(), gone.room().unwrap_err()] {
            assert!(failure.is_gone(), "{failure:?}");
        }
        assert!(gone.renames_safely("a", "b").is_err());
    }

    /// Whatever else fails is no answer to how it renames.
    #[test]
    #[cfg(all(target_os = "linux", not(portable_fs)))]
    fn a_rename_that_fails_otherwise_is_an_error() {
        let root = place();
        let dir = Dir::open_path(root.path(), Modes::default(), &Probe::default()).unwrap();
        let too_long = "b".repeat(300);
        assert!(dir.renames_safely("a", &too_long).is_err());
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
