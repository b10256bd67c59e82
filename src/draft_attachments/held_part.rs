//! An attachment of a received message, attached again.

use std::io::{self, Read, Seek, SeekFrom};

use crate::part::{MessagePart, PartReader};

/// Its content, decoded anew each time it is read from the beginning.
pub(super) struct HeldPart {
    part: MessagePart,
    reader: Option<PartReader>,
}

impl HeldPart {
    pub(super) fn new(part: MessagePart) -> Self {
        Self { part, reader: None }
    }
}

impl Read for HeldPart {
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(self.part.reader().map_err(io::Error::other)?),
        };
        reader.read(block)
    }
}

impl Seek for HeldPart {
    /// To the beginning, and to the end for its length.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            SeekFrom::Start(0) => {
                self.reader = None;
                Ok(0)
            }
            SeekFrom::End(0) => self.part.size().map_err(io::Error::other),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
