//! How a message of a POP3 mailbox is known.

use std::path::PathBuf;

use crate::error::{Error, ErrorKind};

/// What tells a message from all others.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Key {
    Id(Vec<u8>),
    Number { session: u64, number: u32 },
}

impl Key {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Id(id) => [b"U", id.as_slice()].concat(),
            Self::Number { session, number } => {
                [&b"N"[..], &session.to_be_bytes(), &number.to_be_bytes()].concat()
            }
        }
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (b'U', id) => Some(Self::Id(id.to_vec())),
            (_, rest) => {
                let (&session, number) = rest.split_first_chunk()?;
                let number = <[u8; 4]>::try_from(number).ok()?;
                Some(Self::Number {
                    session: u64::from_be_bytes(session),
                    number: u32::from_be_bytes(number),
                })
            }
        }
    }

    pub(super) fn id(&self) -> Option<&[u8]> {
        match self {
            Self::Id(id) => Some(id),
            Self::Number { .. } => None,
        }
    }

    pub(super) fn name(&self) -> PathBuf {
        match self {
            Self::Id(id) => String::from_utf8_lossy(id).into_owned().into(),
            Self::Number { number, .. } => format!("message {number}").into(),
        }
    }

    /// It is not in the mailbox any more; or nobody can tell which one it is.
    pub(super) fn gone(&self) -> Error {
        let (kind, message) = match self {
            Self::Id(_) => (
                ErrorKind::MessageGone,
                "the message was deleted since it was listed; list the Inbox again",
            ),
            Self::Number { .. } => (
                ErrorKind::Network,
                "the connection over which the message was listed is closed, and no unique id of \
                 it is known; list the Inbox again",
            ),
        };
        Error::new(kind, message).with_path(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_whole_or_not_at_all() {
        let key = Key::Number {
            session: 70_000,
            number: 9,
        };
        let bytes = [key.to_bytes(), b"x".to_vec()].concat();
        for len in 0..=bytes.len() {
            let read = Key::of_bytes(bytes.get(..len).unwrap());
            assert_eq!(read.is_some_and(|read| read == key), len == 13, "{len}");
        }
        let id = Key::Id(b"id".to_vec());
        assert!(Key::of_bytes(&id.to_bytes()).is_some_and(|read| read == id));
    }
}
