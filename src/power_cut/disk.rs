//! A model of what a power cut may leave of a directory tree.
//!
//! It is shown every call while a workload runs, and looks at the tree after each. A file has the
//! bytes that were synced and those that were written since; a name is durable when a directory it
//! was made, changed or removed in has been synced since. A rename is one change in both of its
//! directories. Whatever was not synced may have reached the disk or not, each by itself and in any
//! order: a file's bytes wholly, not at all, or their beginning; each change of names.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use crate::fs::Op;
use crate::fs::double::Plan;

/// A file or directory of the model; inode numbers are used again, these are not.
type Id = usize;

const ROOT: Id = 0;

/// The bytes that a cut leaves of what a file got since it was synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reached {
    Nothing,
    Beginning,
    All,
}

impl Reached {
    pub(super) const EACH: [Self; 3] = [Self::Nothing, Self::Beginning, Self::All];
}

/// The bytes up to which [`Reached::Beginning`] goes: a sector.
const SECTOR: usize = 512;

/// A state of a file, from a step on.
#[derive(Clone, Debug)]
struct Content {
    from: usize,
    bytes: Arc<[u8]>,
    modified: SystemTime,
}

#[derive(Debug, Default)]
struct Inode {
    real: u64,
    is_dir: bool,
    written: Vec<Content>,
    synced: Vec<Content>,
}

fn at(contents: &[Content], step: usize) -> Option<&Content> {
    contents.iter().rev().find(|content| content.from <= step)
}

/// Names that one call made and took away.
#[derive(Debug)]
struct Change {
    at: usize,
    durable_at: Option<usize>,
    removed: Vec<(Id, OsString)>,
    added: Vec<(Id, OsString, Id)>,
}

impl Change {
    fn touches(&self, dir: Id) -> bool {
        self.removed.iter().any(|(of, _)| *of == dir)
            || self.added.iter().any(|(of, ..)| *of == dir)
    }
}

type Names = BTreeMap<(Id, OsString), Id>;

/// What lies where, as a cut leaves it: `None` is a directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tree(pub(super) BTreeMap<PathBuf, Option<Left>>);

/// A file that a cut left.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Left {
    pub(super) bytes: Arc<[u8]>,
    modified: SystemTime,
    real: u64,
}

/// What was recorded of a workload.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    step: usize,
    base: Names,
    names: Names,
    inodes: Vec<Inode>,
    changes: Vec<Change>,
    /// Files without a name yet, by their directory: whether there is something not synced.
    unnamed: HashMap<PathBuf, VecDeque<bool>>,
    /// What the workload was told, and when.
    notes: Vec<(usize, String)>,
}

/// A disk that is being recorded.
#[derive(Clone)]
pub(super) struct Recorder(Arc<Mutex<Disk>>);

impl Recorder {
    /// All that lies under `root` is durable; from now on the plan's calls are recorded.
    pub(super) fn new(root: &Path, plan: &Plan) -> Self {
        let mut disk = Disk {
            root: root.to_path_buf(),
            step: 0,
            base: Names::new(),
            names: Names::new(),
            inodes: vec![Inode {
                is_dir: true,
                real: fs::metadata(root).unwrap().ino(),
                ..Inode::default()
            }],
            changes: Vec::new(),
            unnamed: HashMap::new(),
            notes: Vec::new(),
        };
        disk.look();
        disk.base = disk.names.clone();
        disk.changes.clear();
        for inode in &mut disk.inodes {
            inode.synced = inode.written.clone();
        }
        let recorder = Self(Arc::new(Mutex::new(disk)));
        let seen = recorder.clone();
        plan.observe(move |op, path| seen.disk().see(op, path));
        recorder
    }

    pub(super) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    /// The workload was told this: from now on it is a promise.
    pub(super) fn note(&self, told: impl Into<String>) {
        let mut disk = self.disk();
        let step = disk.step;
        disk.notes.push((step, told.into()));
    }
}

impl Disk {
    fn see(&mut self, op: Op, path: &Path) {
        if matches!(op, Op::List | Op::Open | Op::OpenDir | Op::Read | Op::Stat) {
            return;
        }
        self.step += 1;
        let is_unnamed = path.is_dir();
        let waiting = |disk: &mut Self| {
            let dir = if is_unnamed {
                path
            } else {
                path.parent().unwrap()
            };
            disk.unnamed
                .entry(dir.to_path_buf())
                .or_default()
                .pop_front()
        };
        match op {
            Op::Create if is_unnamed => {
                let files = self.unnamed.entry(path.to_path_buf()).or_default();
                files.push_back(false);
            }
            Op::Write if is_unnamed => {
                *self.unnamed.get_mut(path).unwrap().back_mut().unwrap() = true;
            }
            Op::Sync if is_unnamed => {
                *self.unnamed.get_mut(path).unwrap().back_mut().unwrap() = false;
            }
            Op::Link => {
                let is_dirty = waiting(self).expect("an unnamed file");
                self.look();
                let id = self.id(path).expect("a file that has its name now");
                if !is_dirty {
                    self.sync(id);
                }
            }
            _ => {
                self.look();
                match (op, self.id(path)) {
                    (Op::Sync, Some(id)) => self.sync(id),
                    (Op::SyncDir, Some(id)) => self.sync_dir(id),
                    _ => {}
                }
            }
        }
    }

    fn sync(&mut self, id: Id) {
        let now = self.inodes[id].written.last().cloned();
        let step = self.step;
        let now = now.map(|content| Content {
            from: step,
            ..content
        });
        self.inodes[id].synced.extend(now);
    }

    fn sync_dir(&mut self, id: Id) {
        for change in &mut self.changes {
            if change.durable_at.is_none() && change.touches(id) {
                change.durable_at = Some(self.step);
            }
        }
    }

    fn id(&self, path: &Path) -> Option<Id> {
        let inner = path.strip_prefix(&self.root).ok()?;
        inner.iter().try_fold(ROOT, |dir, name| {
            self.names.get(&(dir, name.to_os_string())).copied()
        })
    }

    /// Compares the tree with what was there before.
    fn look(&mut self) {
        let known: HashMap<u64, Id> = std::iter::once(&ROOT)
            .chain(self.names.values())
            .map(|id| (self.inodes[*id].real, *id))
            .collect();
        let mut names = Names::new();
        let root = self.root.clone();
        self.look_into(&root, ROOT, &known, &mut names);
        let removed = self
            .names
            .keys()
            .filter(|key| names.get(key) != self.names.get(key));
        let removed: Vec<_> = removed.cloned().collect();
        let added = names
            .iter()
            .filter(|(key, id)| self.names.get(key) != Some(id));
        let added: Vec<_> = added
            .map(|((dir, name), id)| (*dir, name.clone(), *id))
            .collect();
        if !removed.is_empty() || !added.is_empty() {
            self.changes.push(Change {
                at: self.step,
                durable_at: None,
                removed,
                added,
            });
        }
        self.names = names;
    }

    fn look_into(&mut self, path: &Path, dir: Id, known: &HashMap<u64, Id>, names: &mut Names) {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            // A cache that is never synced: what a cut may leave of it has tests of its own.
            if entry.file_name().to_string_lossy().starts_with("index") {
                continue;
            }
            let metadata = entry.metadata().unwrap();
            let id = known.get(&metadata.ino()).copied().unwrap_or_else(|| {
                self.inodes.push(Inode {
                    real: metadata.ino(),
                    is_dir: metadata.is_dir(),
                    ..Inode::default()
                });
                self.inodes.len() - 1
            });
            names.insert((dir, entry.file_name()), id);
            if metadata.is_dir() {
                self.look_into(&entry.path(), id, known, names);
            } else {
                self.look_at(&entry.path(), id, &metadata);
            }
        }
    }

    fn look_at(&mut self, path: &Path, id: Id, metadata: &fs::Metadata) {
        let modified = metadata.modified().unwrap();
        let is_as_before = self.inodes[id].written.last().is_some_and(|last| {
            last.modified == modified && last.bytes.len() as u64 == metadata.len()
        });
        if !is_as_before {
            let from = self.step;
            let bytes = fs::read(path).unwrap().into();
            self.inodes[id].written.push(Content {
                from,
                bytes,
                modified,
            });
        }
    }

    /// After how many calls the power may be cut.
    pub(super) fn steps(&self) -> usize {
        self.step
    }

    /// What the workload had been told by then.
    pub(super) fn told(&self, step: usize) -> impl Iterator<Item = &str> {
        let until = self.notes.iter().take_while(move |(at, _)| *at <= step);
        until.map(|(_, told)| told.as_str())
    }

    /// The changes of names that need not have reached the disk by then.
    pub(super) fn pending(&self, step: usize) -> Vec<usize> {
        let is_pending = |change: &Change| {
            change.at <= step && change.durable_at.is_none_or(|durable| durable > step)
        };
        let changes = self.changes.iter().enumerate();
        let pending = changes.filter(|(_, change)| is_pending(change));
        pending.map(|(number, _)| number).collect()
    }

    /// The files that have bytes which need not have reached the disk by then.
    pub(super) fn dirty(&self, step: usize) -> Vec<Id> {
        let is_dirty = |inode: &Inode| match (at(&inode.written, step), at(&inode.synced, step)) {
            (Some(written), Some(synced)) => written.bytes != synced.bytes,
            (Some(written), None) => !written.bytes.is_empty(),
            (None, _) => false,
        };
        let inodes = self.inodes.iter().enumerate();
        let dirty = inodes.filter(|(_, inode)| is_dirty(inode));
        dirty.map(|(id, _)| id).collect()
    }

    /// What is left when of the pending changes those reached the disk that `names` says, and of
    /// the dirty files what `bytes` says.
    pub(super) fn tree(
        &self,
        step: usize,
        names: impl Fn(usize) -> bool,
        bytes: impl Fn(Id) -> Reached,
    ) -> Tree {
        let mut left = self.base.clone();
        for (number, change) in self.changes.iter().enumerate() {
            let is_durable = change.durable_at.is_some_and(|durable| durable <= step);
            if change.at <= step && (is_durable || names(number)) {
                for key in &change.removed {
                    left.remove(key);
                }
                for (dir, name, id) in &change.added {
                    left.insert((*dir, name.clone()), *id);
                }
            }
        }
        let mut tree = Tree(BTreeMap::new());
        self.put(&left, ROOT, Path::new(""), step, &bytes, &mut tree);
        tree
    }

    fn put(
        &self,
        names: &Names,
        dir: Id,
        path: &Path,
        step: usize,
        bytes: &impl Fn(Id) -> Reached,
        tree: &mut Tree,
    ) {
        let within = names.range((dir, OsString::new())..(dir + 1, OsString::new()));
        for ((_, name), id) in within {
            let path = path.join(name);
            if self.inodes[*id].is_dir {
                tree.0.insert(path.clone(), None);
                self.put(names, *id, &path, step, bytes, tree);
            } else {
                tree.0.insert(path, Some(self.left(*id, step, bytes(*id))));
            }
        }
    }

    fn left(&self, id: Id, step: usize, reached: Reached) -> Left {
        let inode = &self.inodes[id];
        let (written, synced) = (at(&inode.written, step), at(&inode.synced, step));
        let modified = written
            .or(synced)
            .map_or(SystemTime::UNIX_EPOCH, |of| of.modified);
        let old = || synced.map_or_else(|| [].into(), |of| Arc::clone(&of.bytes));
        let bytes = match (written, reached) {
            (None, _) | (_, Reached::Nothing) => old(),
            (Some(of), Reached::Beginning) => of.bytes.get(..SECTOR).unwrap_or(&of.bytes).into(),
            (Some(of), Reached::All) => Arc::clone(&of.bytes),
        };
        Left {
            bytes,
            modified,
            real: inode.real,
        }
    }
}

impl Tree {
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// The names in one directory.
    pub(super) fn names(&self, dir: &str) -> Vec<&Path> {
        let within = self
            .0
            .keys()
            .filter(|path| path.parent() == Some(Path::new(dir)));
        within.map(PathBuf::as_path).collect()
    }

    /// Makes the tree under `root`, as a machine finds it that is started again.
    pub(super) fn build(&self, root: &Path) {
        let mut numbers = HashMap::new();
        for (path, left) in &self.0 {
            let path = root.join(path);
            match left {
                None => fs::create_dir(path).unwrap(),
                Some(left) => {
                    fs::write(&path, &left.bytes).unwrap();
                    let file = File::options().write(true).open(&path).unwrap();
                    file.set_modified(left.modified).unwrap();
                    numbers.insert(left.real.to_string(), file.metadata().unwrap().ino());
                }
            }
        }
        // The files of this tree have other inode numbers than those of the one that was cut.
        for judged in self
            .0
            .keys()
            .filter(|path| path.starts_with("State/removing"))
        {
            let (Some(name), 4) = (judged.to_str(), judged.iter().count()) else {
                continue;
            };
            let (rest, number) = name.rsplit_once('_').unwrap();
            if let Some(number) = numbers.get(number) {
                let new = root.join(format!("{rest}_{number}"));
                fs::rename(root.join(name), new).unwrap();
            }
        }
    }
}
