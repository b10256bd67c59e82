//! The bytes of a message as a reader may see them, to be saved, embedded or sent on.

use std::ops::Range;
use std::sync::Arc;

use crate::error::Result;
use crate::format::body::{self, BodyReader};
use crate::format::bytes::MessageBytes;
use crate::format::encode::Source;

/// What a reader may see of an open message.
pub(crate) struct VisibleBytes {
    pub(super) bytes: Arc<dyn MessageBytes>,
    pub(super) ranges: Vec<Range<u64>>,
    pub(super) dot_stuffed: bool,
}

impl VisibleBytes {
    pub(crate) fn copy(&self, mut put: impl FnMut(&[u8]) -> Result<()>) -> Result<u64> {
        let mut total = 0;
        for range in &self.ranges {
            let bytes = Arc::clone(&self.bytes);
            let mut reader = BodyReader::raw(bytes, range.clone(), self.dot_stuffed);
            total += body::copy(&mut reader, &mut put)?;
        }
        Ok(total)
    }

    /// Whether it can go unencoded in mail: ASCII in lines of at most 998 octets, no lone CR.
    pub(crate) fn is_plain(&self) -> Result<bool> {
        let (mut line, mut after_cr, mut is_plain) = (0, false, true);
        self.copy(|block| {
            for &byte in block {
                line = if byte == b'\n' { 0 } else { line + 1 };
                is_plain &= byte.is_ascii() && byte != 0 && line <= 999;
                is_plain &= !after_cr || byte == b'\n';
                after_cr = byte == b'\r';
            }
            Ok(())
        })?;
        Ok(is_plain && !after_cr)
    }

    /// A source that reads it from the beginning.
    pub(crate) fn source(&self) -> impl Source + use<> {
        let readers: Vec<_> = self
            .ranges
            .iter()
            .map(|range| BodyReader::raw(Arc::clone(&self.bytes), range.clone(), self.dot_stuffed))
            .collect();
        VisibleSource {
            readers,
            rest: Vec::new(),
        }
    }

    /// How many octets there are, but for stuffed dots.
    pub(crate) fn len(&self) -> u64 {
        self.ranges
            .iter()
            .map(|range| range.end - range.start)
            .sum()
    }
}

struct VisibleSource {
    readers: Vec<BodyReader>,
    /// Read and not yet given.
    rest: Vec<u8>,
}

impl Source for VisibleSource {
    fn fill(&mut self, block: &mut [u8]) -> Result<usize> {
        while self.rest.len() < block.len() {
            let Some(reader) = self.readers.first_mut() else {
                break;
            };
            let read = reader.next_block()?;
            if read.is_empty() {
                self.readers.remove(0);
            } else {
                self.rest.extend(read);
            }
        }
        let count = self.rest.len().min(block.len());
        for (to, from) in block.iter_mut().zip(self.rest.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }
}
