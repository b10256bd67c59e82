//! Files outside the mail server's directories: what a program attaches, saves and reads by path.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Opens a regular file for reading, without waiting for the writer of a pipe.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    }
    let file = options.open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ))
    }
}

/// Fills `buffer` from `offset` on, as far as the file goes.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    super::file::read_full(file, buffer, offset, |len| len)
}

/// Makes a file under a name that must be free.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    File::create_new(path)
}

/// Makes a file or empties the one that is there.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub(crate) fn create(path: &Path) -> io::Result<File> {
    File::create(path)
}

/// Makes a directory and those above it, as far as they are missing.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Makes the names in a directory durable, where the system has such a thing.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(path)?.sync_all()?;
    let _ = path;
    Ok(())
}

/// Removes a file that could not be written to its end.
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub(crate) fn discard(path: &Path) {
    // The error that led here is the one to report.
    let _ = std::fs::remove_file(path);
}

/// A directory that is removed with all that is in it when this is dropped.
#[derive(Debug)]
pub(crate) struct TemporaryDir(PathBuf);

impl TemporaryDir {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }
}

impl Drop for TemporaryDir {
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn drop(&mut self) {
        // Nobody is left to report to; the system cleans its temporary directory some day.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::double::place;
    use super::sync_dir;

    #[test]
    fn what_cannot_be_synced_is_an_error() {
        let root = place();
        sync_dir(root.path()).unwrap();
        assert!(sync_dir(&root.path().join("none")).is_err());
        // Linux shows its processes as directories without a disk.
        #[cfg(target_os = "linux")]
        assert!(sync_dir("/proc/self".as_ref()).is_err());
    }
}
