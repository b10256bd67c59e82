//! The octets of a message on an IMAP server, read a block at a time where they are needed.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use imap_next::imap_types::fetch::{MessageDataItem, MessageDataItemName, Section};

use super::apart::{Apart, Place};
use super::mailbox::{Key, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::format::bytes::MessageBytes;
use crate::format::structure::OutlinePart;
use crate::store::delivered::run_of;

/// So much is asked for at once.
pub(super) const BLOCK: u32 = 256 * 1024;

/// A piece of a message without marking it as read.
pub(super) fn block(start: u32, count: u32) -> MessageDataItemName<'static> {
    piece(None, start, count)
}

pub(super) fn piece(
    section: Option<Section<'static>>,
    start: u32,
    count: u32,
) -> MessageDataItemName<'static> {
    MessageDataItemName::BodyExt {
        section,
        partial: Some((start, NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN))),
        peek: true,
    }
}

/// The octets of the whole message from that place on, if they are among the items.
pub(super) fn octets_of<'i>(
    items: &'i [MessageDataItem<'static>],
    start: u32,
) -> Option<Cow<'i, [u8]>> {
    section_of(items, None, start)
}

pub(super) fn section_of<'i>(
    items: &'i [MessageDataItem<'static>],
    wanted: Option<&Section<'static>>,
    start: u32,
) -> Option<Cow<'i, [u8]>> {
    items.iter().find_map(|item| match item {
        MessageDataItem::BodyExt {
            section,
            origin,
            data,
        } if section.as_ref() == wanted && origin.unwrap_or(0) == start => {
            Some(data.clone().into_option().unwrap_or_default())
        }
        _ => None,
    })
}

/// What the server told of one message.
pub(super) type Items = Vec<MessageDataItem<'static>>;

pub(super) struct ImapBytes {
    shared: Arc<Shared>,
    key: Key,
    /// Where the message begins, below what the delivery put on top.
    start: u64,
    /// Octets in all, the top too.
    len: u64,
    /// The first block, and the one that was read last.
    first: Vec<u8>,
    last: Mutex<(u64, Vec<u8>)>,
    /// Of a large message, if the server tells what it is made of.
    apart: OnceLock<Option<Apart>>,
    /// The server's outline turned out to be none.
    is_misled: AtomicBool,
}

impl ImapBytes {
    /// All octets of a small message.
    pub(super) fn whole(shared: &Arc<Shared>, key: Key, octets: Vec<u8>) -> Self {
        Self {
            shared: Arc::clone(shared),
            key,
            start: run_of(&octets, true).end as u64,
            len: octets.len() as u64,
            first: octets,
            last: Mutex::default(),
            apart: OnceLock::new(),
            is_misled: AtomicBool::new(false),
        }
    }

    /// A message that is said to have that size: where it ends is found out, since many servers
    /// only guess.
    pub(super) fn open(shared: &Arc<Shared>, key: Key, size: u64) -> Result<Self> {
        let mut bytes = Self {
            shared: Arc::clone(shared),
            key,
            start: 0,
            len: 0,
            first: Vec::new(),
            last: Mutex::default(),
            apart: OnceLock::new(),
            is_misled: AtomicBool::new(false),
        };
        bytes.first = bytes.fetch(0)?;
        let block = u64::from(BLOCK);
        bytes.len = bytes.first.len() as u64;
        if bytes.len == block {
            bytes.len = bytes.find_end(size)?;
        }
        let most = shared.limits.message;
        if bytes.len > most {
            return Err(crate::limits::Limits::exceeded("message", most).with_path(key.name()));
        }
        let is_whole = bytes.first.len() as u64 == bytes.len;
        bytes.start = run_of(&bytes.first, is_whole).end as u64;
        Ok(bytes)
    }

    /// Goes from where the end should be, forwards and backwards.
    fn find_end(&mut self, size: u64) -> Result<u64> {
        let block = u64::from(BLOCK);
        let mut at = (size / block * block).max(block);
        loop {
            let found = self.fetch(at)?;
            let count = found.len() as u64;
            if count > 0 || at == block {
                let end = at + count;
                self.last = Mutex::new((at, found));
                if count < block {
                    return Ok(end);
                }
                at += block;
                if at > self.shared.limits.message {
                    return Ok(at);
                }
                // The end may be exactly here.
                if self.fetch(at)?.is_empty() {
                    return Ok(at);
                }
            } else {
                at -= block;
            }
        }
    }

    pub(super) fn is_large(&self) -> bool {
        self.len >= u64::from(BLOCK)
    }

    /// The header section, if it is short enough to stand in the first block.
    pub(super) fn section(&self) -> Option<&[u8]> {
        let below = self.first.get(usize::try_from(self.start).ok()?..)?;
        let end = crate::format::envelope::header_end(below)?;
        below.get(..end)
    }

    pub(super) fn ask(&self, items: &[MessageDataItemName<'static>]) -> Result<Items> {
        let mut state = self.shared.state();
        let key = self.key;
        let fetched = self
            .shared
            .with_folder(&mut state, key, |link| link.fetch(&[key.uid], items))?;
        let mut fetched = fetched.into_iter();
        fetched
            .next()
            .map(|(_, items)| items)
            .ok_or_else(|| key.gone())
    }

    /// The server's outline does not fit its parts: the next reader reads the message itself.
    pub(super) fn misled(&self) -> Error {
        self.is_misled.store(true, Ordering::Relaxed);
        self.wrong()
    }

    /// The block that was read last, of the message or of a part.
    pub(super) fn last(&self) -> MutexGuard<'_, (u64, Vec<u8>)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block of the message; shorter only at its end.
    fn fetch(&self, at: u64) -> Result<Vec<u8>> {
        let start = u32::try_from(at)
            .map_err(|_| crate::limits::Limits::exceeded("message", self.shared.limits.message))?;
        let items = self.ask(&[block(start, BLOCK)])?;
        let octets = octets_of(&items, start).ok_or_else(|| self.wrong())?;
        if octets.len() > BLOCK as usize {
            return Err(self.wrong());
        }
        Ok(octets.into_owned())
    }

    /// The server gives what it was not asked for.
    fn wrong(&self) -> Error {
        let message = format!(
            "{}: the server's answer has not the octets that were asked for",
            self.shared.endpoint
        );
        Error::new(ErrorKind::Network, message).with_path(self.key.name())
    }

    fn read_block(&self, buffer: &mut [u8], at: u64) -> Result<usize> {
        let block = u64::from(BLOCK);
        let base = at / block * block;
        if base == 0 && !self.first.is_empty() {
            return Ok(copy(&self.first, at, buffer));
        }
        let mut last = self.last();
        if last.0 != base || last.1.is_empty() {
            let found = self.fetch(base)?;
            if (base + found.len() as u64) < self.len.min(base + block) {
                // It ended elsewhere when it was opened.
                return Err(self.key.gone());
            }
            *last = (base, found);
        }
        Ok(copy(&last.1, at - base, buffer))
    }
}

pub(super) fn copy(from: &[u8], at: u64, buffer: &mut [u8]) -> usize {
    let rest = usize::try_from(at)
        .ok()
        .and_then(|at| from.get(at..))
        .unwrap_or_default();
    let count = rest.len().min(buffer.len());
    for (to, from) in buffer.iter_mut().zip(rest) {
        *to = *from;
    }
    count
}

impl MessageBytes for ImapBytes {
    fn len(&self) -> u64 {
        self.len.saturating_sub(self.start)
    }

    fn outline(&self) -> Result<Option<Vec<OutlinePart>>> {
        if !self.is_large() || self.is_misled.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if self.apart.get().is_none() {
            let apart = Apart::ask(self)?;
            let _ = self.apart.set(apart);
        }
        let apart = self.apart.get().and_then(Option::as_ref);
        Ok(apart.map(|apart| apart.outline(self.len())))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        if let Some((apart, place)) = self
            .apart
            .get()
            .and_then(Option::as_ref)
            .zip(Place::of(offset))
        {
            return apart.read_at(self, place, buffer);
        }
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = self
                .start
                .saturating_add(offset)
                .saturating_add(done as u64);
            if at >= self.len {
                break;
            }
            let count = self.read_block(rest, at)?;
            if count == 0 {
                break;
            }
            done += count;
        }
        Ok(done)
    }
}
