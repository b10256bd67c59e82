//! Linux: everything relative to a directory handle that was opened once.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

#[cfg(feature = "index")]
use rustix::fs::RawDir;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, retry_on_intr};

use super::failure::irregular;
use super::{Kind, Modes, Names, Stamp, Stat};

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

#[derive(Debug)]
pub(super) struct Handle(OwnedFd);

pub(super) fn make_path(path: &Path, modes: Modes) -> io::Result<()> {
    // By name, since under some umasks not even its maker could open it to change the mode.
    rustix::fs::mkdirat(CWD, path, Mode::from_raw_mode(modes.directory()))?;
    let mode = Mode::from_raw_mode(modes.directory());
    Ok(retry_on_intr(|| {
        rustix::fs::chmodat(CWD, path, mode, AtFlags::empty())
    })?)
}

/// A directory that is about to be listed.
#[cfg(feature = "index")]
pub(super) struct Listed(OwnedFd);

#[cfg(feature = "index")]
impl Listed {
    /// Shows each entry as it lies in the buffer, until `show` says no.
    pub(super) fn each(self, show: &mut dyn FnMut(&OsStr, u64) -> bool) -> io::Result<()> {
        const BUFFER: usize = 64 * 1024;
        let mut buffer = Vec::with_capacity(BUFFER);
        let mut entries = RawDir::new(&self.0, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let is_itself = matches!(name, b"." | b"..");
            if !is_itself && !show(OsStr::from_bytes(name), entry.ino()) {
                break;
            }
        }
        Ok(())
    }
}

impl Handle {
    pub(super) fn open_path(path: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::openat(
            CWD,
            path,
            DIRECTORY,
            Mode::empty(),
        )?))
    }

    pub(super) fn open_dir(&self, name: &OsStr) -> io::Result<Self> {
        let flags = DIRECTORY | OFlags::NOFOLLOW;
        Ok(Self(rustix::fs::openat(
            &self.0,
            name,
            flags,
            Mode::empty(),
        )?))
    }

    pub(super) fn make_dir(&self, name: &OsStr, modes: Modes) -> io::Result<()> {
        let mode = Mode::from_raw_mode(modes.directory());
        rustix::fs::mkdirat(&self.0, name, mode)?;
        // The directory is made: only this is tried again when a signal comes.
        Ok(retry_on_intr(|| {
            rustix::fs::chmodat(&self.0, name, mode, AtFlags::empty())
        })?)
    }

    pub(super) fn entries(&self) -> io::Result<Names> {
        // A handle of its own: the position in a directory belongs to the handle.
        let own = rustix::fs::openat(&self.0, c".", DIRECTORY, Mode::empty())?;
        let entries = Dir::new(own)?;
        Ok(Box::new(entries.filter_map(|entry| match entry {
            Ok(entry) => match entry.file_name().to_bytes() {
                b"." | b".." => None,
                name => Some(Ok(OsString::from(OsStr::from_bytes(name)))),
            },
            Err(error) => Some(Err(error.into())),
        })))
    }

    /// A handle of its own: the position in a directory belongs to the handle.
    #[cfg(feature = "index")]
    pub(super) fn listed(&self) -> io::Result<Listed> {
        let own = rustix::fs::openat(&self.0, c".", DIRECTORY, Mode::empty())?;
        Ok(Listed(own))
    }

    pub(super) fn own_stat(&self) -> io::Result<Stat> {
        Ok(stat_of(&rustix::fs::fstat(&self.0)?))
    }

    pub(super) fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        let stat = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(stat_of(&stat))
    }

    pub(super) fn open(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.0, name, flags, Mode::empty()) {
            Ok(fd) => Ok(File::from(fd)),
            // A link, and a socket or a device without a driver.
            Err(Errno::LOOP | Errno::NXIO) => Err(irregular()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn create(&self, name: &OsStr, modes: Modes) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(modes.file());
        let fd = rustix::fs::openat(&self.0, name, flags, mode)?;
        set_mode(&fd, modes.file())?;
        Ok(File::from(fd))
    }

    pub(super) fn create_unnamed(&self, modes: Modes) -> io::Result<Option<File>> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(modes.file());
        match rustix::fs::openat(&self.0, c".", flags, mode) {
            Ok(fd) => {
                set_mode(&fd, modes.file())?;
                Ok(Some(File::from(fd)))
            }
            // Network and some overlay file systems have no unnamed files.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn link(&self, file: &File, name: &OsStr) -> io::Result<()> {
        // AT_EMPTY_PATH would need no /proc, but many kernels refuse it to ordinary users.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        match rustix::fs::linkat(CWD, path, &self.0, name, AtFlags::SYMLINK_FOLLOW) {
            Err(Errno::NOENT) => {
                rustix::fs::linkat(file, c"", &self.0, name, AtFlags::EMPTY_PATH)?;
                Ok(())
            }
            linked => Ok(linked?),
        }
    }

    pub(super) fn rename(&self, name: &OsStr, to: &Self, new: &OsStr) -> io::Result<()> {
        match rustix::fs::renameat_with(&self.0, name, &to.0, new, RenameFlags::NOREPLACE) {
            // The file system has no such rename (NFS). Our own names are random, so that nothing
            // takes one between the look and the rename; a file that goes back under a name of
            // somebody else's could replace one that comes in that instant.
            Err(Errno::INVAL | Errno::NOSYS) => {
                match rustix::fs::statat(&to.0, new, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(_) => Err(Errno::EXIST.into()),
                    Err(Errno::NOENT) => Ok(rustix::fs::renameat(&self.0, name, &to.0, new)?),
                    Err(error) => Err(error.into()),
                }
            }
            renamed => Ok(renamed?),
        }
    }

    pub(super) fn renames_safely(&self, name: &OsStr, new: &OsStr) -> io::Result<bool> {
        match rustix::fs::renameat_with(&self.0, name, &self.0, new, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::NOSYS) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn replace(&self, name: &OsStr, to: &Self, new: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, name, &to.0, new)?)
    }

    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    pub(super) fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }

    #[cfg(feature = "index")]
    pub(super) fn open_own(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.0, name, flags, Mode::empty())?;
        Ok(File::from(fd))
    }

    #[cfg(feature = "maildir")]
    pub(super) fn open_append(&self, name: &OsStr) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.0, name, flags, Mode::empty())?;
        Ok(File::from(fd))
    }

    pub(super) fn open_lock(&self, name: &OsStr, modes: Modes) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(modes.file());
        let fd = rustix::fs::openat(&self.0, name, flags, mode)?;
        // Only its maker can; whoever opens it later finds the mode set.
        let _ = set_mode(&fd, modes.file());
        Ok(File::from(fd))
    }
}

fn set_mode(fd: &OwnedFd, mode: u32) -> io::Result<()> {
    Ok(retry_on_intr(|| {
        rustix::fs::fchmod(fd, Mode::from_raw_mode(mode))
    })?)
}

fn stat_of(stat: &rustix::fs::Stat) -> Stat {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        _ => Kind::Other,
    };
    let modified = i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec);
    Stat {
        kind,
        stamp: Stamp {
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified,
            inode: stat.st_ino,
        },
        device: stat.st_dev,
    }
}
