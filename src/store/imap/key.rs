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
        let (&validity, rest) = bytes.split_first_chunk()?;
        let uid = <[u8; 4]>::try_from(rest).ok()?;
        Some(Self {
            validity: u32::from_be_bytes(validity),
            uid: u32::from_be_bytes(uid),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_whole_or_not_at_all() {
        let key = Key {
            validity: 70_000,
            uid: u32::MAX - 1,
        };
        let bytes = [&key.to_bytes()[..], b"x"].concat();
        for len in 0..=9 {
            let read = Key::of_bytes(bytes.get(..len).unwrap());
            assert_eq!(read, (len == 8).then_some(key), "{len}");
        }
    }
}
