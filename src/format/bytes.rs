//! Where the bytes of a message are: in memory, or in a file that is checked while it is read.

use crate::error::Result;

/// Bytes that can be read at any place.
pub(crate) trait Bytes: Send + Sync {
    fn len(&self) -> u64;

    /// Fills `buffer` from `offset` on, as far as there are bytes; returns how many there were.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;

    /// Fails when what was read may no longer be what was there at the beginning.
    ///
    /// Called after the last byte was read and before anything is handed on.
    fn verify(&self) -> Result<()> {
        Ok(())
    }
}

impl Bytes for Vec<u8> {
    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.get(offset..))
            .unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(count)
    }
}

/// Reads the bytes from `start` to `end`, both within the limits of who calls.
pub(crate) fn read_range(bytes: &dyn Bytes, start: u64, end: u64) -> Result<Vec<u8>> {
    let wanted = end.min(bytes.len()).saturating_sub(start);
    let mut buffer = vec![0; usize::try_from(wanted).unwrap_or(0)];
    let count = bytes.read_at(&mut buffer, start)?;
    buffer.truncate(count);
    Ok(buffer)
}
