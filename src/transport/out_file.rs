//! A file that a message is written into.

use std::io::Write;

use crate::error::{Error, ErrorKind, Result};
use crate::format::encode::Sink;
use crate::fs::NewFile;

const BUFFER: usize = 64 * 1024;

/// Collects small pieces into few writes and counts them.
pub(crate) struct OutFile {
    file: NewFile,
    buffer: Vec<u8>,
    written: u64,
}

impl OutFile {
    pub(crate) fn new(file: NewFile) -> Self {
        Self {
            file,
            buffer: Vec::new(),
            written: 0,
        }
    }

    /// How many octets were put so far.
    pub(crate) fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Writes what is left, and syncs it when it must be durable. The file is then as long as
    /// what was put, or this fails: a system that wrote less than it said is found out here.
    pub(crate) fn finish(mut self, durable: bool) -> Result<NewFile> {
        self.flush()?;
        if durable {
            self.file.sync()?;
        }
        let size = self.file.stat()?.stamp.size;
        if size != self.written {
            let message = format!(
                "{} octets were written, but the file has {size}; try again",
                self.written
            );
            return Err(Error::new(ErrorKind::Io, message).with_path(self.file.path()));
        }
        Ok(self.file)
    }

    fn flush(&mut self) -> Result<()> {
        let written = self.file.write_all(&self.buffer);
        written.map_err(|source| self.file.write_failure(source))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl Sink for OutFile {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend(bytes);
        if self.buffer.len() >= self.file.most(BUFFER) {
            self.flush()?;
        }
        Ok(())
    }
}
