//! The octets of a message out of a user's mailbox, without what the delivery put on top.

use std::fmt;
#[cfg(any(feature = "pop3", feature = "imap"))]
use std::ops::Range;
use std::sync::Arc;

use super::entry::Summary;
use crate::error::Result;
use crate::format::bytes::MessageBytes;
use crate::format::envelope::{Head, Run, read_mailbox_run};

/// What the server wrote on top of a message.
pub(super) fn run_of(head: &[u8], is_whole: bool) -> Run {
    match read_mailbox_run(head, is_whole) {
        Head::Run(run) => run,
        // It is longer than what was read of it: the sender's text begins nowhere.
        Head::More => Run {
            end: head.len(),
            ..Run::default()
        },
    }
}

/// The messages to ask for together with one, some before it or behind it: where it is read
/// backwards those before it.
#[cfg(any(feature = "pop3", feature = "imap"))]
pub(super) fn page_around(
    at: usize,
    len: usize,
    most: usize,
    is_read: impl Fn(usize) -> bool,
) -> Range<usize> {
    let end = at.saturating_add(1).min(len);
    if end == len || is_read(end) {
        end.saturating_sub(most)..end
    } else {
        at..at.saturating_add(most).min(len)
    }
}

impl Summary {
    /// What a listing shows of a message in a mailbox of one user, by the beginning of what is stored
    /// or by those fields of its header section that matter, in their order; `size` is that of the
    /// whole. What servers put on top when they deliver it tells the envelope.
    pub fn of_delivered(head: &[u8], size: u64) -> Self {
        let run = run_of(head, true);
        let section = head.get(run.end..).unwrap_or_default();
        let mut summary = Self::of_message(section, size.saturating_sub(run.end as u64));
        summary.reverse_path.clone_from(&run.reverse_path);
        summary.has_null_reverse_path = run.has_sender && run.reverse_path.is_empty();
        if let [only] = run.recipients.as_slice() {
            summary.delivered_to = only.to_string();
        }
        summary
    }
}

/// The octets of a message in a mailbox of one user, without the fields that servers put on top of
/// it when they deliver it: Return-Path, Delivered-To and their like.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// use std::sync::Arc;
///
/// use cdonts::{DeliveredBytes, MessageBytes};
///
/// let stored = b"Return-Path: <a@example.net>\r\nSubject: Hello\r\n\r\n".to_vec();
/// let message = DeliveredBytes::new(Arc::new(stored))?;
/// assert_eq!(message.len(), 18);
/// # Ok(())
/// # }
/// ```
pub struct DeliveredBytes {
    bytes: Arc<dyn MessageBytes>,
    start: u64,
}

impl DeliveredBytes {
    /// Looks for what is on top.
    ///
    /// # Errors
    /// When the octets cannot be read.
    pub fn new(bytes: Arc<dyn MessageBytes>) -> Result<Self> {
        const MOST: usize = 64 * 1024;
        let head = crate::format::bytes::read_range(bytes.as_ref(), 0, MOST as u64)?;
        let run = run_of(&head, head.len() as u64 >= bytes.len());
        Ok(Self {
            bytes,
            start: run.end as u64,
        })
    }
}

impl fmt::Debug for DeliveredBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeliveredBytes")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl MessageBytes for DeliveredBytes {
    fn len(&self) -> u64 {
        self.bytes.len().saturating_sub(self.start)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.bytes
            .read_at(buffer, self.start.saturating_add(offset))
    }

    fn verify(&self) -> Result<()> {
        self.bytes.verify()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};

    struct Gone;

    impl MessageBytes for Gone {
        fn len(&self) -> u64 {
            10
        }

        fn read_at(&self, _: &mut [u8], _: u64) -> Result<usize> {
            Err(Error::new(ErrorKind::Network, "the line was cut"))
        }
    }

    /// Of what was not read nobody knows whether the sender wrote it.
    #[test]
    fn a_run_that_is_longer_than_what_was_read_of_it_has_no_end() {
        let head = b"Return-Path: <a@example.net>\r\nDelivered-To: ann@example.com\r\n";
        assert_eq!(run_of(head, true).end, head.len());
        let part = &head[..head.len() - 8];
        let run = run_of(part, false);
        assert_eq!((run.end, run.recipients.len()), (part.len(), 0));
    }

    #[test]
    fn what_cannot_be_read_has_no_beginning() {
        let error = DeliveredBytes::new(Arc::new(Gone)).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network);
    }
}
