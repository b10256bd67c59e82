//! The content of an attachment while it is sent.

use std::io::{self, Read};
use std::sync::MutexGuard;

use super::attachment::{DraftAttachment, Kind};
use crate::error::Result;
use crate::format::encode::Source;

/// The content while it is read: exactly as much as was measured.
pub(super) struct Content<'a> {
    pub(super) attachment: &'a DraftAttachment,
    pub(super) source: MutexGuard<'a, Kind>,
    pub(super) left: u64,
}

impl Source for Content<'_> {
    fn fill(&mut self, block: &mut [u8]) -> Result<usize> {
        let Kind::Reader(reader) = &mut *self.source else {
            return Ok(0);
        };
        let mut count = 0;
        while let Some(rest) = block.get_mut(count..).filter(|rest| !rest.is_empty()) {
            let most = usize::try_from(self.left)
                .unwrap_or(usize::MAX)
                .min(rest.len());
            if most == 0 {
                break;
            }
            match reader.read(rest.get_mut(..most).unwrap_or_default()) {
                Ok(0) => {
                    let short = io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "its reader gave less than it had measured",
                    );
                    return Err(self.attachment.failed(short));
                }
                Ok(read) => {
                    count += read;
                    self.left = self.left.saturating_sub(read as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.attachment.failed(error)),
            }
        }
        Ok(count)
    }
}
