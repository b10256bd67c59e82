//! Open files: one kind for reading what others wrote, one for writing what is new.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Failure, Op, Probe, Result, Stat};

/// A regular file, open for reading at any place.
#[derive(Debug)]
pub(crate) struct File {
    file: std::fs::File,
    path: PathBuf,
    /// Its state when it was opened.
    opened: Stat,
    probe: Probe,
}

impl File {
    pub(super) fn new(file: std::fs::File, path: PathBuf, probe: Probe) -> Result<Self> {
        let stat = || file.metadata().map(|metadata| Stat::from(&metadata));
        let opened = probe.call(Op::Stat, &path, stat)?;
        Ok(Self {
            file,
            path,
            opened,
            probe,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its state when it was opened.
    pub(crate) fn opened(&self) -> Stat {
        self.opened
    }

    pub(crate) fn stat(&self) -> Result<Stat> {
        self.probe.call(Op::Stat, &self.path, || {
            self.file.metadata().map(|metadata| Stat::from(&metadata))
        })
    }

    /// Fills `buffer` from `offset` on, as far as the file goes.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.probe.call(Op::Read, &self.path, || {
            read_full(&self.file, buffer, offset, |len| self.probe.most(len))
        })
    }
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: std::fs::File,
    path: PathBuf,
    probe: Probe,
}

impl NewFile {
    pub(super) fn new(file: std::fs::File, path: PathBuf, probe: Probe) -> Self {
        Self { file, path, probe }
    }

    pub(super) fn as_std(&self) -> &std::fs::File {
        &self.file
    }

    /// For a library that writes the file by itself.
    #[cfg(feature = "index")]
    pub(crate) fn into_std(self) -> std::fs::File {
        self.file
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the bytes durable.
    pub(crate) fn sync(&self) -> Result<()> {
        self.probe
            .call(Op::Sync, &self.path, || self.file.sync_all())
    }

    pub(crate) fn stat(&self) -> Result<Stat> {
        self.probe.call(Op::Stat, &self.path, || {
            self.file.metadata().map(|metadata| Stat::from(&metadata))
        })
    }

    /// The same file for reading back what was written.
    pub(crate) fn reopen(&self) -> Result<File> {
        let file = self
            .probe
            .call(Op::Open, &self.path, || self.file.try_clone())?;
        File::new(file, self.path.clone(), self.probe.clone())
    }

    /// Of so many octets that wait, how many are written at most.
    pub(crate) fn most(&self, len: usize) -> usize {
        self.probe.most(len)
    }

    pub(crate) fn write_failure(&self, source: io::Error) -> Failure {
        Failure::new(Op::Write, self.path.clone(), source)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let file = &mut self.file;
        let bytes = bytes.get(..self.probe.most(bytes.len())).unwrap_or(bytes);
        self.probe.run(Op::Write, &self.path, || file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn read_full(
    file: &std::fs::File,
    buffer: &mut [u8],
    mut offset: u64,
    most: impl Fn(usize) -> usize,
) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let len = most(rest.len());
        let Some(rest) = rest.get_mut(..len) else {
            break;
        };
        match read_some(file, rest, offset) {
            Ok(0) => break,
            Ok(count) => {
                done += count;
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(unix)]
fn read_some(file: &std::fs::File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_some(file: &std::fs::File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}
