//! The one door to the file system.
//!
//! Everything that is written, renamed or removed passes through [`Dir`], a directory that was
//! opened once. On Linux all work is relative to that handle, so that a parent swapped for a link
//! leads nowhere else; elsewhere (and on Linux under `--cfg portable_fs`) paths are used.
//!
//! It trusts no name: nothing is opened through a link, nothing but regular files is read, and no
//! file is ever replaced. It syncs only when asked to: who must sync what is said at each caller.

mod condition;
#[cfg(test)]
pub(crate) mod double;
mod failure;
mod file;
mod lock;
pub(crate) mod outside;
mod probe;
mod stat;
#[cfg(all(target_os = "linux", not(portable_fs)))]
#[path = "fs/linux.rs"]
mod system;
#[cfg(not(all(target_os = "linux", not(portable_fs))))]
#[path = "fs/portable.rs"]
mod system;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use failure::{Failure, Op};
pub(crate) use file::{File, NewFile};
pub(crate) use lock::Lock;
pub(crate) use probe::Probe;
pub(crate) use stat::{Kind, Stamp, Stat};

/// Result of an operation of this module.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Access rights of what is made, whatever the umask.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Modes {
    /// 0660 and 2770 instead of 0600 and 0700.
    pub(crate) group_shared: bool,
}

impl Modes {
    #[cfg_attr(not(unix), expect(dead_code, reason = "only unix has modes"))]
    fn file(self) -> u32 {
        if self.group_shared { 0o660 } else { 0o600 }
    }

    #[cfg_attr(not(unix), expect(dead_code, reason = "only unix has modes"))]
    fn directory(self) -> u32 {
        if self.group_shared { 0o2770 } else { 0o700 }
    }
}

/// A directory, opened once. Clones are the same handle.
#[derive(Clone, Debug)]
pub(crate) struct Dir(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    handle: system::Handle,
    path: PathBuf,
    modes: Modes,
    probe: Probe,
}

/// The names in a directory, without `.` and `..`, in no order.
pub(crate) type Names = Box<dyn Iterator<Item = io::Result<OsString>> + Send>;

impl Dir {
    /// Opens the directory at `path`, which its owner has configured: links are followed.
    pub(crate) fn open_path(path: &Path, modes: Modes, probe: &Probe) -> Result<Self> {
        let handle = probe.call(Op::OpenDir, path, || system::Handle::open_path(path))?;
        Ok(Self::new(handle, path.to_path_buf(), modes, probe.clone()))
    }

    /// Makes the directory at `path`; one that is there is good too.
    pub(crate) fn make_path(path: &Path, modes: Modes, probe: &Probe) -> Result<()> {
        let made = probe.call(Op::MakeDir, path, || system::make_path(path, modes));
        made.or_else(|failure| {
            if failure.is_taken() {
                Ok(())
            } else {
                Err(failure)
            }
        })
    }

    fn new(handle: system::Handle, path: PathBuf, modes: Modes, probe: Probe) -> Self {
        Self(Arc::new(Opened {
            handle,
            path,
            modes,
            probe,
        }))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0.path
    }

    fn call<T>(&self, op: Op, name: &OsStr, work: impl FnMut() -> io::Result<T>) -> Result<T> {
        if name.is_empty() {
            return self.0.probe.call(op, &self.0.path, work);
        }
        self.0.probe.call(op, &self.0.path.join(name), work)
    }

    /// Opens a directory in this one, but not through a link.
    pub(crate) fn open_dir(&self, name: impl AsRef<OsStr>) -> Result<Self> {
        let name = name.as_ref();
        let handle = self.call(Op::OpenDir, name, || self.0.handle.open_dir(name))?;
        Ok(Self::new(
            handle,
            self.0.path.join(name),
            self.0.modes,
            self.0.probe.clone(),
        ))
    }

    /// Makes a directory in this one and opens it.
    pub(crate) fn make_dir(&self, name: impl AsRef<OsStr>) -> Result<Self> {
        let name = name.as_ref();
        self.call(Op::MakeDir, name, || {
            self.0.handle.make_dir(name, self.0.modes)
        })?;
        self.open_dir(name)
    }

    /// Opens a directory in this one, which is made when it is missing.
    pub(crate) fn ensure_dir(&self, name: impl AsRef<OsStr>) -> Result<Self> {
        let name = name.as_ref();
        match self.open_dir(name) {
            Err(failure) if failure.is_gone() => {}
            opened => return opened,
        }
        match self.make_dir(name) {
            Err(failure) if failure.is_taken() => self.open_dir(name),
            made => made,
        }
    }

    pub(crate) fn entries(&self) -> Result<Names> {
        self.call(Op::List, OsStr::new(""), || self.0.handle.entries())
    }

    /// Shows each entry with its number (0 where a directory does not tell it), until one of them
    /// ends it: for directories with a million of them.
    #[cfg(feature = "index")]
    pub(crate) fn each<E: From<Failure>>(
        &self,
        mut show: impl FnMut(&OsStr, u64) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let failed = |source| Failure::new(Op::List, self.0.path.clone(), source);
        let listed = self.call(Op::List, OsStr::new(""), || self.0.handle.listed())?;
        let mut stopped = Ok(());
        let done = listed.each(&mut |name, inode| {
            stopped = show(name, inode);
            stopped.is_ok()
        });
        stopped?;
        done.map_err(|source| failed(source).into())
    }

    /// The names, when the directory is known to be small.
    pub(crate) fn all_names(&self) -> Result<Vec<OsString>> {
        self.entries()?
            .collect::<io::Result<_>>()
            .map_err(|source| Failure::new(Op::List, self.0.path.clone(), source))
    }

    /// The state of the directory itself.
    pub(crate) fn own_stat(&self) -> Result<Stat> {
        self.call(Op::Stat, OsStr::new(""), || self.0.handle.own_stat())
    }

    /// The state of an entry; a link is not followed.
    pub(crate) fn stat(&self, name: impl AsRef<OsStr>) -> Result<Stat> {
        let name = name.as_ref();
        self.call(Op::Stat, name, || self.0.handle.stat(name))
    }

    /// Opens a regular file for reading, neither through a link nor waiting for a pipe's writer.
    /// What is no regular file is a failure.
    pub(crate) fn open(&self, name: impl AsRef<OsStr>) -> Result<File> {
        let name = name.as_ref();
        let path = self.0.path.join(name);
        let open = || self.0.handle.open(name);
        let file = self.0.probe.call(Op::Open, &path, open)?;
        let file = File::new(file, path, self.0.probe.clone())?;
        match file.opened().kind {
            Kind::File => Ok(file),
            _ => Err(Failure::irregular(file.path().to_path_buf())),
        }
    }

    /// Makes a file under a name that must be free.
    pub(crate) fn create(&self, name: impl AsRef<OsStr>) -> Result<NewFile> {
        let name = name.as_ref();
        let file = self.call(Op::Create, name, || {
            self.0.handle.create(name, self.0.modes)
        })?;
        Ok(NewFile::new(
            file,
            self.0.path.join(name),
            self.0.probe.clone(),
        ))
    }

    /// Makes a file without a name on this directory's file system, if there is such a thing here.
    pub(crate) fn create_unnamed(&self) -> Result<Option<NewFile>> {
        if !self.0.probe.has_unnamed() {
            return Ok(None);
        }
        let file = self.call(Op::Create, OsStr::new(""), || {
            self.0.handle.create_unnamed(self.0.modes)
        })?;
        Ok(file.map(|file| NewFile::new(file, self.0.path.clone(), self.0.probe.clone())))
    }

    /// Gives an unnamed file its name, which must be free.
    pub(crate) fn link(&self, file: &NewFile, name: &str) -> Result<()> {
        let name = OsStr::new(name);
        self.call(Op::Link, name, || self.0.handle.link(file.as_std(), name))
    }

    /// Renames an entry into `to`, where `new` must be free.
    pub(crate) fn rename(
        &self,
        name: impl AsRef<OsStr>,
        to: &Dir,
        new: impl AsRef<OsStr>,
    ) -> Result<()> {
        let (name, new) = (name.as_ref(), new.as_ref());
        self.0.probe.call_on(
            Op::Rename,
            &self.0.path.join(name),
            &to.0.path.join(new),
            || self.0.handle.rename(name, &to.0.handle, new),
        )
    }

    /// Renames an entry into `to`, where it takes the place of what is there: for what this program
    /// alone writes, and nobody else reads.
    pub(crate) fn replace(
        &self,
        name: impl AsRef<OsStr>,
        to: &Dir,
        new: impl AsRef<OsStr>,
    ) -> Result<()> {
        let (name, new) = (name.as_ref(), new.as_ref());
        self.0.probe.call_on(
            Op::Rename,
            &self.0.path.join(name),
            &to.0.path.join(new),
            || self.0.handle.replace(name, &to.0.handle, new),
        )
    }

    pub(crate) fn remove(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = name.as_ref();
        self.call(Op::Remove, name, || self.0.handle.remove(name))
    }

    pub(crate) fn remove_dir(&self, name: impl AsRef<OsStr>) -> Result<()> {
        let name = name.as_ref();
        self.call(Op::RemoveDir, name, || self.0.handle.remove_dir(name))
    }

    /// Removes the directory of that name; whether there is none now.
    pub(crate) fn is_without(&self, name: &str) -> bool {
        match self.remove_dir(name) {
            Ok(()) => true,
            Err(failure) => failure.is_gone(),
        }
    }

    /// Makes the directory's entries durable.
    pub(crate) fn sync(&self) -> Result<()> {
        self.call(Op::SyncDir, OsStr::new(""), || self.0.handle.sync())
    }

    /// Takes the lock named `name`; `None` when somebody holds it.
    pub(crate) fn lock(&self, name: &str) -> Result<Option<Lock>> {
        Lock::take(self, name)
    }

    /// Adds to the end of a file that is there, by one write among others' writes.
    #[cfg(feature = "maildir")]
    pub(crate) fn append(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let name = OsStr::new(name);
        let mut file = self.call(Op::Open, name, || self.0.handle.open_append(name))?;
        self.call(Op::Write, name, || {
            std::io::Write::write_all(&mut file, bytes)
        })
    }

    /// Opens a file that this program alone writes, to read and write it.
    #[cfg(feature = "index")]
    pub(crate) fn open_own(&self, name: &str) -> Result<NewFile> {
        let (path, probe) = (self.0.path.join(name), self.0.probe.clone());
        let name = OsStr::new(name);
        self.call(Op::Open, name, || self.0.handle.open_own(name))
            .map(|file| NewFile::new(file, path, probe))
    }

    fn open_lock(&self, name: &OsStr) -> Result<std::fs::File> {
        self.call(Op::Lock, name, || {
            self.0.handle.open_lock(name, self.0.modes)
        })
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::disallowed_methods, reason = "tests may write files")]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use super::double::{Plan, place};
    use super::{Dir, Modes, Probe};

    fn dir(root: &tempfile::TempDir) -> Dir {
        Dir::open_path(root.path(), Modes::default(), &Probe::default()).unwrap()
    }

    #[test]
    fn a_rename_never_takes_the_place_of_another_file() {
        let root = place();
        fs::write(root.path().join("a"), "a").unwrap();
        fs::write(root.path().join("b"), "b").unwrap();
        let dir = dir(&root);
        assert!(dir.rename("a", &dir, "b").unwrap_err().is_taken());
        assert_eq!(fs::read_to_string(root.path().join("a")).unwrap(), "a");
        assert_eq!(fs::read_to_string(root.path().join("b")).unwrap(), "b");
        dir.rename("a", &dir, "c").unwrap();
        assert_eq!(fs::read_to_string(root.path().join("c")).unwrap(), "a");
    }

    #[test]
    fn a_new_file_never_takes_the_place_of_another() {
        let root = place();
        fs::write(root.path().join("a"), "a").unwrap();
        assert!(dir(&root).create("a").unwrap_err().is_taken());
        assert_eq!(fs::read_to_string(root.path().join("a")).unwrap(), "a");
    }

    /// Somebody else makes it between the look and the making.
    #[test]
    fn a_directory_that_another_makes_at_once_is_opened() {
        let (root, plan) = (place(), Plan::new());
        let dir = Dir::open_path(root.path(), Modes::default(), &plan.probe()).unwrap();
        let path = root.path().join("new");
        plan.observe(move |_, _| {
            let _ = fs::create_dir(&path);
        });
        dir.ensure_dir("new").unwrap();
    }

    #[test]
    fn a_file_from_before_1970_has_one_time() {
        let root = place();
        let file = fs::File::create_new(root.path().join("old")).unwrap();
        let time = SystemTime::UNIX_EPOCH - Duration::from_secs(1000);
        file.set_modified(time).unwrap();
        let dir = dir(&root);
        let (named, opened) = (dir.stat("old").unwrap(), dir.open("old").unwrap().opened());
        assert_eq!(named.stamp, opened.stamp);
        assert_eq!(named.stamp.modified(), time);
    }

    #[test]
    fn nothing_is_opened_through_a_link() {
        let (root, outside) = (place(), place());
        fs::write(outside.path().join("file"), "secret").unwrap();
        let link = |to: &str, name: &str| {
            let to = outside.path().join(to);
            std::os::unix::fs::symlink(to, root.path().join(name)).unwrap();
        };
        link("", "directory");
        link("file", "file");
        let dir = dir(&root);
        assert!(dir.open_dir("directory").is_err());
        assert!(dir.open("file").is_err());
        assert!(dir.lock("file").is_err());
    }
}
