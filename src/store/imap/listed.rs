//! A listing of an IMAP mailbox, and its messages: read when they are asked for.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use imap_next::imap_types::fetch::MessageDataItemName;
use uuid::Uuid;

use super::content::{self, ImapBytes};
use super::key::Key;
use super::mailbox::{Shared, State};
use crate::error::{Error, ErrorKind, Result};
use crate::format::bytes::MessageBytes;
use crate::store::delivered::page_around;
use crate::store::entry::Summary;
use crate::store::mailbox::{Listing, Page, PageRequest, Position, StoredMessage};

/// So many messages are asked for together.
const PAGE: usize = 50;

/// What was in the mailbox at one moment.
pub(super) struct Snapshot {
    pub(super) validity: u32,
    pub(super) uids: Vec<u32>,
    pub(super) heads: Vec<OnceLock<Box<Head>>>,
}

/// What a listing shows of a message, and its size.
pub(super) struct Head {
    pub(super) summary: Summary,
    pub(super) size: u64,
}

/// The same, and where more is asked.
#[derive(Clone)]
pub(super) struct Listed {
    pub(super) shared: Arc<Shared>,
    pub(super) snapshot: Arc<Snapshot>,
}

pub(super) struct ImapMessage {
    pub(super) listed: Listed,
    pub(super) at: usize,
}

impl Listed {
    pub(super) fn key(&self, at: usize) -> Option<Key> {
        let uid = *self.snapshot.uids.get(at)?;
        Some(Key {
            validity: self.snapshot.validity,
            uid,
        })
    }

    pub(super) fn message(&self, at: usize) -> Arc<dyn StoredMessage> {
        let listed = self.clone();
        Arc::new(ImapMessage { listed, at })
    }

    pub(super) fn listing(&self) -> Listing {
        Listing::new(
            (0..self.snapshot.uids.len())
                .map(|at| self.message(at))
                .collect(),
        )
    }

    pub(super) fn order(&self) -> [u8; 16] {
        let text = format!("{} {}", self.shared.account, self.snapshot.validity);
        Uuid::new_v5(&Uuid::NAMESPACE_URL, text.as_bytes()).into_bytes()
    }

    pub(super) fn page(&self, request: &PageRequest<'_>) -> Page {
        let order = self.order();
        let from = request.from.filter(|from| from.order == order);
        let uid = from.and_then(|from| <[u8; 4]>::try_from(from.place.as_slice()).ok());
        let uid = uid.map(u32::from_be_bytes);
        let all = self.snapshot.uids.len();
        let places: Vec<usize> = if request.backwards {
            let end = uid.map_or(all, |uid| {
                self.snapshot.uids.partition_point(|&one| one < uid)
            });
            (0..end).rev().take(request.most).collect()
        } else {
            let start = uid.map_or(0, |uid| {
                self.snapshot.uids.partition_point(|&one| one <= uid)
            });
            (start..all).take(request.most).collect()
        };
        let last = places
            .last()
            .and_then(|&at| self.snapshot.uids.get(at))
            .copied();
        // At the very beginning nothing came yet: what comes is behind it.
        let end = last
            .or(uid)
            .or((!request.backwards || all == 0).then_some(0));
        Page {
            is_last: places.len() < request.most,
            messages: places.into_iter().map(|at| self.message(at)).collect(),
            end: end.map(|uid| Position {
                order,
                place: uid.to_be_bytes().to_vec(),
            }),
        }
    }

    pub(super) fn is_read(&self, at: usize) -> bool {
        let head = self.snapshot.heads.get(at);
        head.is_none_or(|head| head.get().is_some())
    }

    /// Reads what a listing shows of a message and of those beside it: by the fields that matter,
    /// which many servers have at hand.
    pub(super) fn read_page(&self, at: usize) -> Result<()> {
        let shared = &self.shared;
        let mut state = shared.state();
        let Some(key) = self.key(at).filter(|_| !self.is_read(at)) else {
            return Ok(());
        };
        let uids = &self.snapshot.uids;
        let page = page_around(at, uids.len(), PAGE, |at| self.is_read(at));
        let unread: Vec<usize> = page.filter(|&at| !self.is_read(at)).collect();
        let wanted: Vec<u32> = unread
            .iter()
            .filter_map(|&at| uids.get(at).copied())
            .collect();
        let items = [content::fields(), MessageDataItemName::Rfc822Size];
        let fetched = shared.with_folder(&mut state, key, |link| link.fetch(&wanted, &items));
        let fetched = match fetched {
            // One header section can be too long for an answer: it must not cost the others.
            Err(error) if error.kind() == ErrorKind::Network && unread.len() > 1 => {
                return self.read_head(&mut state, at);
            }
            fetched => fetched?,
        };
        for (uid, items) in fetched {
            if let (Ok(at), Some(section)) = (uids.binary_search(&uid), content::fields_of(&items))
            {
                let size = content::size_of(&items).unwrap_or(section.len() as u64);
                self.set_head(at, &section, size);
            }
        }
        Ok(())
    }

    /// Reads it of one message, by the beginning of the message, as far as a header section goes.
    pub(super) fn read_head(&self, state: &mut State, at: usize) -> Result<()> {
        let Some(key) = self.key(at) else {
            return Ok(());
        };
        let most = u32::try_from(self.shared.limits.header_section).unwrap_or(u32::MAX);
        let items = [
            content::block(0, most.min(content::BLOCK)),
            MessageDataItemName::Rfc822Size,
        ];
        let fetched = self
            .shared
            .with_folder(state, key, |link| link.fetch(&[key.uid], &items))?;
        for (_, items) in fetched {
            if let Some(head) = content::octets_of(&items, 0) {
                let size = content::size_of(&items).unwrap_or(head.len() as u64);
                self.set_head(at, &head, size);
            }
        }
        Ok(())
    }

    pub(super) fn set_head(&self, at: usize, section: &[u8], size: u64) {
        if let Some(slot) = self.snapshot.heads.get(at) {
            let summary = Summary::of_delivered(section, size);
            let _ = slot.set(Box::new(Head { summary, size }));
        }
    }

    /// Why nothing is known of a message: it is gone, or what the server says of it is nothing.
    pub(super) fn unknown(&self, key: Key) -> Error {
        let shared = &self.shared;
        let present = shared.with_folder(&mut shared.state(), key, |link| link.present(&[key.uid]));
        match present {
            Ok(present) if present.is_empty() => key.gone(),
            Ok(_) => {
                let text = "the server's answer about this message cannot be understood";
                shared.endpoint.wrong(text).with_path(key.name())
            }
            Err(error) => error,
        }
    }
}

impl ImapMessage {
    fn message_key(&self) -> Result<Key> {
        let gone = || Error::new(ErrorKind::MessageGone, "there is no such message");
        self.listed.key(self.at).ok_or_else(gone)
    }

    fn head(&self) -> Result<&Head> {
        let key = self.message_key()?;
        let slot = self
            .listed
            .snapshot
            .heads
            .get(self.at)
            .ok_or_else(|| key.gone())?;
        if slot.get().is_none() {
            self.listed.read_page(self.at)?;
        }
        slot.get()
            .map(Box::as_ref)
            .ok_or_else(|| self.listed.unknown(key))
    }
}

impl StoredMessage for ImapMessage {
    fn name(&self) -> PathBuf {
        self.message_key().map(Key::name).unwrap_or_default()
    }

    fn key(&self) -> Vec<u8> {
        self.message_key()
            .map(|key| key.to_bytes().to_vec())
            .unwrap_or_default()
    }

    fn summary(&self) -> Result<&Summary> {
        Ok(&self.head()?.summary)
    }

    fn open(&self) -> Result<Arc<dyn MessageBytes>> {
        let key = self.message_key()?;
        let size = self.head()?.size;
        let shared = &self.listed.shared;
        let kept = Shared::kept(&shared.state(), key);
        if let Some(held) = kept {
            return Ok(Arc::new(ImapBytes::new(shared, held)));
        }
        let bytes = ImapBytes::open(shared, key, size)?;
        shared.state().keep(key, Arc::clone(bytes.held()));
        Ok(Arc::new(bytes))
    }

    fn delete(&self) -> Result<()> {
        let key = self.message_key()?;
        self.listed.shared.delete(&[key]).into_iter().collect()
    }
}

impl fmt::Debug for ImapMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ImapMessage").field(&self.name()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One message of a server that is not there.
    fn listed(shared: &Arc<Shared>, validity: u32, heads: Vec<OnceLock<Box<Head>>>) -> Listed {
        let uids = vec![7];
        Listed {
            shared: Arc::clone(shared),
            snapshot: Arc::new(Snapshot {
                validity,
                uids,
                heads,
            }),
        }
    }

    /// A caller that asks for more than was listed, and a snapshot that does not fit together.
    #[test]
    fn what_was_not_listed_is_gone() {
        let listed = listed(&Shared::offline(), 1, Vec::new());
        for at in [0, 1] {
            let message = listed.message(at);
            let errors = [
                message.summary().map(drop).unwrap_err(),
                message.open().map(drop).unwrap_err(),
            ];
            for error in errors {
                assert_eq!(error.kind(), ErrorKind::MessageGone, "{at} {error}");
            }
        }
        listed.read_page(1).unwrap();
        listed.read_head(&mut listed.shared.state(), 1).unwrap();
        assert!(listed.shared.delete(&[]).is_empty());
        let beyond = listed.message(1);
        assert_eq!(beyond.delete().unwrap_err().kind(), ErrorKind::MessageGone);
        assert_eq!((beyond.name(), beyond.key()), (PathBuf::new(), Vec::new()));
    }

    /// Why nothing is known of a message is the server's to say.
    #[test]
    fn a_line_that_is_gone_when_it_is_asked_why_is_told() {
        let listed = listed(&Shared::offline(), 1, vec![OnceLock::new()]);
        let error = listed.unknown(listed.key(0).unwrap());
        assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    }

    /// Messages of two listings, between which the mailbox was made anew, are deleted one by one.
    #[test]
    fn each_message_of_a_mailbox_that_was_made_anew_has_its_own_answer() {
        let shared = Shared::offline();
        let of = |validity| listed(&shared, validity, vec![OnceLock::new()]).message(0);
        let mailbox = super::super::mailbox::ImapMailbox(shared.clone());
        let results = crate::store::Mailbox::delete(&mailbox, &[of(1), of(2), of(2)]);
        assert_eq!(results.len(), 3);
        for result in results {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Network);
        }
    }
}
