//! Where the bytes of a message are: in memory, or in a file that is checked while it is read.

use super::structure::OutlinePart;
use crate::error::Result;

/// The octets of a message, to be read at any place: what a
/// [`StoredMessage`](crate::StoredMessage) is opened as.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// use cdonts::MessageBytes;
///
/// let bytes = b"Subject: Hello".to_vec();
/// let mut buffer = [0; 5];
/// assert_eq!(MessageBytes::read_at(&bytes, &mut buffer, 9)?, 5);
/// assert_eq!(&buffer, b"Hello");
/// # Ok(())
/// # }
/// ```
#[expect(clippy::len_without_is_empty, reason = "nobody asks")]
pub trait MessageBytes: Send + Sync {
    /// How many there are.
    fn len(&self) -> u64;

    /// Fills `buffer` from `offset` on, as far as there are octets; returns how many there were.
    ///
    /// # Errors
    /// When they cannot be read. What cannot be read is never passed over as if it were the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;

    /// What the parts of the message are, if that is known without reading it: a large attachment
    /// is not fetched then to read the text beside it. What is doubtful is better not known.
    ///
    /// # Errors
    /// As [`read_at`](MessageBytes::read_at).
    fn outline(&self) -> Result<Option<Vec<OutlinePart>>> {
        Ok(None)
    }

    /// Fails when what was read may no longer be what was there at the beginning. Called after
    /// octets were read and before any of them is handed on.
    ///
    /// # Errors
    /// [`MessageGone`](crate::ErrorKind::MessageGone) when the message was changed meanwhile.
    fn verify(&self) -> Result<()> {
        Ok(())
    }
}

impl MessageBytes for Vec<u8> {
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
pub(crate) fn read_range(bytes: &dyn MessageBytes, start: u64, end: u64) -> Result<Vec<u8>> {
    let wanted = end.min(bytes.len()).saturating_sub(start);
    let mut buffer = vec![0; usize::try_from(wanted).unwrap_or(0)];
    let count = bytes.read_at(&mut buffer, start)?;
    buffer.truncate(count);
    Ok(buffer)
}
