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
                let (session, number) = rest.split_first_chunk()?;
                Some(Self::Number {
                    session: u64::from_be_bytes(*session),
                    number: u32::from_be_bytes(number.try_into().ok()?),
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
