//! Octets on their way that nobody else sees: in memory while they are few, else in a file without
//! a name.

use std::sync::Arc;

use crate::error::Result;
use crate::format::bytes::MessageBytes;
use crate::format::encode::Sink;
use crate::fs::{Dir, Modes, Probe};
use crate::state::scratch_file;
use crate::store::FileBytes;
use crate::transport::OutFile;

/// So many octets are held in memory.
const FEW: usize = 256 * 1024;

/// Collects octets and gives them back to be read.
#[derive(Default)]
pub(crate) struct Scratch {
    held: Vec<u8>,
    file: Option<OutFile>,
}

impl Scratch {
    pub(crate) fn finish(self) -> Result<Arc<dyn MessageBytes>> {
        match self.file {
            // It is gone with the process: nothing is synced.
            Some(file) => Ok(Arc::new(FileBytes::new(file.finish(false)?.reopen()?)?)),
            None => Ok(Arc::new(self.held)),
        }
    }
}

impl Sink for Scratch {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(file) = &mut self.file {
            return file.put(bytes);
        }
        if self.held.len() + bytes.len() <= FEW {
            self.held.extend_from_slice(bytes);
            return Ok(());
        }
        let temp = std::env::temp_dir();
        let dir = Dir::open_path(&temp, Modes::default(), &Probe::default())?;
        let file = self.file.insert(OutFile::new(scratch_file(&dir)?));
        file.put(&std::mem::take(&mut self.held))?;
        file.put(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::bytes::read_range;

    #[test]
    fn few_octets_and_many_come_back_as_they_were_put() {
        for count in [0, 10, FEW, FEW + 1, 3 * FEW] {
            let octets: Vec<u8> = (0..=250).cycle().take(count).collect();
            let mut scratch = Scratch::default();
            for piece in octets.chunks(1000) {
                scratch.put(piece).unwrap();
            }
            let is_file = scratch.file.is_some();
            let bytes = scratch.finish().unwrap();
            assert_eq!(is_file, count > FEW);
            assert_eq!(read_range(bytes.as_ref(), 0, bytes.len()).unwrap(), octets);
        }
    }
}
