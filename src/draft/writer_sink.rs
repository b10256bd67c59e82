//! A writer of the caller's, to which a message is written.

use std::io::Write;

use crate::error::Result;
use crate::format::encode::Sink;
use crate::reading::write_failed;

/// The caller's own writer; small pieces go to it together.
pub(super) struct WriterSink<'a> {
    to: &'a mut dyn Write,
    buffer: Vec<u8>,
    written: u64,
}

impl<'a> WriterSink<'a> {
    const BUFFER: usize = 16 * 1024;

    pub(super) fn new(to: &'a mut dyn Write) -> Self {
        Self {
            to,
            buffer: Vec::with_capacity(4096),
            written: 0,
        }
    }

    pub(super) fn finish(mut self) -> Result<u64> {
        self.flush()?;
        Ok(self.written)
    }

    fn flush(&mut self) -> Result<()> {
        self.to.write_all(&self.buffer).map_err(write_failed)?;
        self.buffer.clear();
        Ok(())
    }
}

impl Sink for WriterSink<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.written += bytes.len() as u64;
        if self.buffer.len() + bytes.len() <= Self::BUFFER {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.flush()?;
        self.to.write_all(bytes).map_err(write_failed)
    }
}
