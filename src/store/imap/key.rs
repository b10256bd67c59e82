//! How a message of an IMAP mailbox is known.

use std::path::PathBuf;

use crate::error::{Error, ErrorKind};

/// What tells a message from all others of the mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) validity: u32,
    pub(super) uid: u32,
}

impl Key {
    pub(super) fn to_bytes(self) -> [u8; 8] {
        let both = u64::from(self.validity) << 32 | u64::from(self.uid);
        both.to_be_bytes()
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let both = u64::from_be_bytes(bytes.try_into().ok()?);
        Some(Self {
            validity: u32::try_from(both >> 32).ok()?,
            uid: u32::try_from(both & u64::from(u32::MAX)).ok()?,
        })
    }

    pub(super) fn name(self) -> PathBuf {
        format!("{}.{}", self.validity, self.uid).into()
    }

    pub(super) fn gone(self) -> Error {
        let message = "the message was deleted since it was listed, or the mailbox was made anew; \
                       list the Inbox again";
        Error::new(ErrorKind::MessageGone, message).with_path(self.name())
    }
}
