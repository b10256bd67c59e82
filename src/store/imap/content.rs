//! The octets of a message on an IMAP server, read a block at a time where they are needed.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use imap_next::imap_types::core::{AString, Vec1};
use imap_next::imap_types::fetch::{MessageDataItem, MessageDataItemName, Section};

use super::apart::{Apart, Place};
use super::key::Key;
use super::mailbox::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::format::bytes::MessageBytes;
use crate::format::structure::OutlinePart;
use crate::limits::Limits;
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

/// What a listing shows, and what the delivery puts on top.
pub(super) fn fields() -> MessageDataItemName<'static> {
    const NAMES: [&str; 10] = [
        "Return-Path",
        "X-Original-To",
        "Delivered-To",
        "Envelope-To",
        "Delivery-Date",
        "Received",
        "From",
        "Subject",
        "Bcc",
        "Resent-Bcc",
    ];
    let names = NAMES
        .into_iter()
        .filter_map(|name| AString::try_from(name).ok());
    let section = Vec1::try_from(names.collect::<Vec<_>>()).ok();
    MessageDataItemName::BodyExt {
        section: section.map(|names| Section::HeaderFields(None, names)),
        partial: None,
        peek: true,
    }
}

/// Those fields, if they are among the items; servers write their names in their own way.
pub(super) fn fields_of<'i>(items: &'i [MessageDataItem<'static>]) -> Option<Cow<'i, [u8]>> {
    items.iter().find_map(|item| match item {
        MessageDataItem::BodyExt {
            section: Some(Section::HeaderFields(None, _)),
            data,
            ..
        } => data.clone().into_option(),
        _ => None,
    })
}

/// The size of the message, as the server says.
pub(super) fn size_of(items: &[MessageDataItem<'static>]) -> Option<u64> {
    items.iter().find_map(|item| match item {
        MessageDataItem::Rfc822Size(size) => Some(u64::from(*size)),
        _ => None,
    })
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
            // NIL is no text, not an empty one: the server cannot read it.
            data.clone().into_option()
        }
        _ => None,
    })
}

/// What the server told of one message.
pub(super) type Items = Vec<MessageDataItem<'static>>;

/// Octets and where they begin.
pub(super) type Block = (u64, Vec<u8>);

/// A message as it is read by somebody.
pub(super) struct ImapBytes {
    shared: Arc<Shared>,
    held: Arc<Held>,
}

/// What is held of a message that was opened.
pub(super) struct Held {
    key: Key,
    /// Where the message begins, below what the delivery put on top.
    start: u64,
    /// Octets in all, the top too.
    len: u64,
    /// The first block, and the one that was read last.
    first: Vec<u8>,
    last: Mutex<Block>,
    /// Of a large message, if the server tells what it is made of.
    apart: OnceLock<Option<Apart>>,
    /// The server's outline turned out to be none.
    is_misled: AtomicBool,
}

impl ImapBytes {
    pub(super) fn new(shared: &Arc<Shared>, held: Arc<Held>) -> Self {
        Self {
            shared: Arc::clone(shared),
            held,
        }
    }

    /// A message that is said to have that size: where it ends is found out, since many servers
    /// only guess.
    pub(super) fn open(shared: &Arc<Shared>, key: Key, size: u64) -> Result<Self> {
        let empty = Self::new(shared, Arc::new(Held::whole(key, Vec::new())));
        let mut held = Held::whole(key, empty.fetch(0)?);
        if held.len == 0 && size > 0 {
            return Err(empty.wrong());
        }
        if held.is_large() {
            let (len, last) = empty.find_end(size)?;
            (held.len, held.last) = (len, Mutex::new(last));
        }
        let most = shared.limits.message;
        if held.len > most {
            return Err(Limits::exceeded("message", most).with_path(key.name()));
        }
        let is_whole = held.first.len() as u64 == held.len;
        held.start = run_of(&held.first, is_whole).end as u64;
        Ok(Self::new(shared, Arc::new(held)))
    }

    pub(super) fn held(&self) -> &Arc<Held> {
        &self.held
    }

    /// Goes from where the end should be, forwards and backwards; the block that was read last.
    fn find_end(&self, size: u64) -> Result<(u64, Block)> {
        let block = u64::from(BLOCK);
        let mut at = (size / block * block).max(block);
        let mut was_full = false;
        loop {
            let found = self.fetch(at)?;
            let count = found.len() as u64;
            if count == 0 && at > block && !was_full {
                at -= block;
                continue;
            }
            if count < block || at > self.shared.limits.message {
                return Ok((at + count, (at, found)));
            }
            was_full = true;
            at += block;
        }
    }

    /// The header section, if it is short enough to stand in the first block.
    pub(super) fn section(&self) -> Option<&[u8]> {
        let below = self
            .held
            .first
            .get(usize::try_from(self.held.start).unwrap_or(usize::MAX)..)
            .unwrap_or_default();
        let end = crate::format::envelope::header_end(below)?;
        below.get(..end)
    }

    pub(super) fn ask(&self, items: &[MessageDataItemName<'static>]) -> Result<Items> {
        let mut state = self.shared.state();
        let key = self.held.key;
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
        self.held.is_misled.store(true, Ordering::Relaxed);
        self.wrong()
    }

    /// The block that was read last, of the message or of a part.
    pub(super) fn last(&self) -> MutexGuard<'_, Block> {
        self.held
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A block of the message; shorter only at its end.
    fn fetch(&self, at: u64) -> Result<Vec<u8>> {
        let start = u32::try_from(at)
            .map_err(|_| Limits::exceeded("message", self.shared.limits.message))?;
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
        Error::new(ErrorKind::Network, message).with_path(self.held.key.name())
    }

    fn read_block(&self, buffer: &mut [u8], at: u64) -> Result<usize> {
        let block = u64::from(BLOCK);
        let base = at / block * block;
        if base == 0 && !self.held.first.is_empty() {
            return Ok(copy(&self.held.first, at, buffer));
        }
        let mut last = self.last();
        if last.0 != base || last.1.is_empty() {
            let found = self.fetch(base)?;
            if (base + found.len() as u64) < self.held.len.min(base + block) {
                // It ended elsewhere when it was opened.
                return Err(self.held.key.gone());
            }
            *last = (base, found);
        }
        Ok(copy(&last.1, at - base, buffer))
    }
}

impl Held {
    /// All octets of a small message, or the first of another.
    pub(super) fn whole(key: Key, octets: Vec<u8>) -> Self {
        Self {
            key,
            start: run_of(&octets, true).end as u64,
            len: octets.len() as u64,
            first: octets,
            last: Mutex::default(),
            apart: OnceLock::new(),
            is_misled: AtomicBool::new(false),
        }
    }

    pub(super) fn is_large(&self) -> bool {
        self.len >= u64::from(BLOCK)
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
        self.held.len.saturating_sub(self.held.start)
    }

    fn outline(&self) -> Result<Option<Vec<OutlinePart>>> {
        if !self.held.is_large() || self.held.is_misled.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if self.held.apart.get().is_none() {
            let apart = Apart::ask(self)?;
            let _ = self.held.apart.set(apart);
        }
        let apart = self.held.apart.get().and_then(Option::as_ref);
        Ok(apart.map(|apart| apart.outline(self.len())))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        if let Some((apart, place)) = self
            .held
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
                .held
                .start
                .saturating_add(offset)
                .saturating_add(done as u64);
            if at >= self.held.len {
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
