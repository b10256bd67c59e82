//! Elsewhere: the standard library and paths, and on unix the flags for opening.
//!
//! Weaker than the Linux form in two ways. A parent directory that is swapped for a link is
//! followed. A rename looks whether the new name is free and then renames: another program that
//! takes the name in between loses its file. The names we choose ourselves are 128 random bits,
//! so that this concerns only a file that goes back to a name of somebody else's choice.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::failure::irregular;
use super::{Modes, Names, Stat};

#[derive(Debug)]
pub(super) struct Handle(PathBuf);

#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub(super) fn make_path(path: &Path, modes: Modes) -> io::Result<()> {
    std::fs::create_dir(path)?;
    set_mode(path, modes.directory())
}

fn walk(path: &Path) -> walkdir::IntoIter {
    WalkDir::new(path).min_depth(1).max_depth(1).into_iter()
}

/// A directory that is about to be listed.
#[cfg(feature = "index")]
pub(super) struct Listed(walkdir::IntoIter);

#[cfg(feature = "index")]
impl Listed {
    /// Shows each entry, until `show` says no.
    pub(super) fn each(self, show: &mut dyn FnMut(&OsStr, u64) -> bool) -> io::Result<()> {
        for entry in self.0 {
            let entry = entry?;
            if !show(entry.file_name(), number(&entry)) {
                break;
            }
        }
        Ok(())
    }
}

impl Handle {
    pub(super) fn open_path(path: &Path) -> io::Result<Self> {
        if std::fs::metadata(path)?.is_dir() {
            Ok(Self(path.to_path_buf()))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    pub(super) fn open_dir(&self, name: &OsStr) -> io::Result<Self> {
        let path = self.0.join(name);
        if std::fs::symlink_metadata(&path)?.is_dir() {
            Ok(Self(path))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    pub(super) fn make_dir(&self, name: &OsStr, modes: Modes) -> io::Result<()> {
        make_path(&self.0.join(name), modes)
    }

    #[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
    pub(super) fn entries(&self) -> io::Result<Names> {
        let entries = walk(&self.0);
        Ok(Box::new(entries.map(|entry| {
            let entry = entry.map_err(io::Error::from)?;
            Ok(entry.file_name().to_owned())
        })))
    }

    #[cfg(feature = "index")]
    #[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
    pub(super) fn listed(&self) -> io::Result<Listed> {
        Ok(Listed(walk(&self.0)))
    }

    pub(super) fn own_stat(&self) -> io::Result<Stat> {
        std::fs::metadata(&self.0).map(|metadata| Stat::from(&metadata))
    }

    pub(super) fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        std::fs::symlink_metadata(self.0.join(name)).map(|metadata| Stat::from(&metadata))
    }

    pub(super) fn open(&self, name: &OsStr) -> io::Result<File> {
        let path = self.0.join(name);
        if !std::fs::symlink_metadata(&path)?.is_file() {
            return Err(irregular());
        }
        let mut options = options();
        options.read(true);
        without_waiting(&mut options);
        options.open(path)
    }

    pub(super) fn create(&self, name: &OsStr, modes: Modes) -> io::Result<File> {
        let path = self.0.join(name);
        let mut options = options();
        options.read(true).write(true).create_new(true);
        private(&mut options);
        let file = options.open(&path)?;
        set_mode(&path, modes.file())?;
        Ok(file)
    }

    #[cfg(feature = "maildir")]
    pub(super) fn open_append(&self, name: &OsStr) -> io::Result<File> {
        let mut options = options();
        options.append(true);
        without_waiting(&mut options);
        options.open(self.0.join(name))
    }

    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as on Linux")]
    pub(super) fn create_unnamed(&self, _: Modes) -> io::Result<Option<File>> {
        Ok(None)
    }

    #[expect(clippy::unused_self, reason = "as on Linux")]
    pub(super) fn link(&self, _: &File, _: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub(super) fn rename(&self, name: &OsStr, to: &Self, new: &OsStr) -> io::Result<()> {
        let new = to.0.join(new);
        match std::fs::symlink_metadata(&new) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => std::fs::rename(self.0.join(name), new),
        }
    }

    /// What this form can do is known; there is nothing to find out about the file system.
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as on Linux")]
    pub(super) fn renames_safely(&self, _: &OsStr, _: &OsStr) -> io::Result<bool> {
        Ok(true)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub(super) fn replace(&self, name: &OsStr, to: &Self, new: &OsStr) -> io::Result<()> {
        std::fs::rename(self.0.join(name), to.0.join(new))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        std::fs::remove_file(self.0.join(name))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub(super) fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        std::fs::remove_dir(self.0.join(name))
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        sync_directory(&self.0)
    }

    #[cfg(feature = "index")]
    pub(super) fn open_own(&self, name: &OsStr) -> io::Result<File> {
        let path = self.0.join(name);
        if !std::fs::symlink_metadata(&path)?.is_file() {
            return Err(irregular());
        }
        options().read(true).write(true).open(path)
    }

    pub(super) fn open_lock(&self, name: &OsStr, modes: Modes) -> io::Result<File> {
        let mut options = options();
        options.read(true).write(true).create(true).truncate(false);
        private(&mut options);
        without_waiting(&mut options);
        let path = self.0.join(name);
        let file = options.open(&path)?;
        // Only its maker can; whoever opens it later finds the mode set.
        let _ = set_mode(&path, modes.file());
        Ok(file)
    }
}

#[cfg(unix)]
fn number(entry: &walkdir::DirEntry) -> u64 {
    walkdir::DirEntryExt::ino(entry)
}

#[cfg(not(unix))]
fn number(_: &walkdir::DirEntry) -> u64 {
    0
}

#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn options() -> OpenOptions {
    OpenOptions::new()
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
fn private(_: &mut OpenOptions) {}

/// Opening must neither follow a link that has taken the name since nor wait for a pipe's writer.
#[cfg(unix)]
fn without_waiting(options: &mut OpenOptions) {
    use rustix::fs::OFlags;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.bits().cast_signed());
}

#[cfg(not(unix))]
fn without_waiting(_: &mut OpenOptions) {}

#[cfg(unix)]
#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(path, mode)
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Windows has no sync of a directory; NTFS journals its entries.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
