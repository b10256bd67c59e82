//! What failed, on which path.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// The operations of the file system that this crate uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Create,
    Link,
    List,
    Lock,
    MakeDir,
    Open,
    OpenDir,
    Read,
    Remove,
    RemoveDir,
    Rename,
    Stat,
    Sync,
    SyncDir,
    Write,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create a file",
            Self::Link => "give a file its name",
            Self::List => "list a directory",
            Self::Lock => "lock",
            Self::MakeDir => "make a directory",
            Self::Open => "open",
            Self::OpenDir => "open a directory",
            Self::Read => "read",
            Self::Remove => "remove",
            Self::RemoveDir => "remove a directory",
            Self::Rename => "rename",
            Self::Stat => "read the state of a file",
            Self::Sync => "sync",
            Self::SyncDir => "sync a directory",
            Self::Write => "write",
        })
    }
}

/// A failed operation.
#[derive(Debug, thiserror::Error)]
#[error("cannot {op} {}: {source}", path.display())]
pub(crate) struct Failure {
    op: Op,
    path: PathBuf,
    source: io::Error,
}

/// Marks the error of a thing that is there but no regular file.
#[derive(Debug, thiserror::Error)]
#[error("it is not a regular file")]
struct Irregular;

impl Failure {
    pub(crate) fn new(op: Op, path: PathBuf, source: io::Error) -> Self {
        Self { op, path, source }
    }

    pub(crate) fn irregular(path: PathBuf) -> Self {
        Self::new(Op::Open, path, irregular())
    }

    pub(crate) fn into_parts(self) -> (String, PathBuf, io::Error) {
        (self.op.to_string(), self.path, self.source)
    }

    /// There is no such entry.
    pub(crate) fn is_gone(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// The name is taken.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty
        )
    }
}

pub(super) fn irregular() -> io::Error {
    io::Error::other(Irregular)
}
