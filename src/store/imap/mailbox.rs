//! The mailbox of a user: what is in it, and what is deleted.

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use imap_next::imap_types::fetch::MessageDataItemName;
use uuid::Uuid;

use super::content::{self, Held, ImapBytes};
use super::idle::Idle;
use super::link::Link;
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Result};
use crate::format::bytes::MessageBytes;
use crate::limits::Limits;
use crate::store::delivered::page_around;
use crate::store::endpoint::Endpoint;
use crate::store::entry::Summary;
use crate::store::ledger::{Ledger, Noted};
use crate::store::mailbox::{
    Listing, LogOn, Mailbox, Page, PageRequest, Position, StoredMessage, Waiter,
};

/// So many messages are asked for together.
const PAGE: usize = 50;
/// So many messages are deleted by one command, which must not be too long.
const TOGETHER: usize = 300;
/// So many messages that were opened last are kept.
const KEPT: usize = 16;

#[derive(Debug)]
pub(super) struct ImapMailbox(pub(super) Arc<Shared>);

/// What all who are logged on as one user share.
pub(super) struct Shared {
    pub(super) endpoint: Endpoint,
    folder: String,
    /// As the server calls it.
    folder_name: OnceLock<String>,
    pub(super) credentials: Credentials,
    pub(super) limits: Limits,
    account: String,
    ledger: Ledger,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    session: Option<Session>,
    /// The snapshot that pages are taken from.
    listed: Option<Arc<Snapshot>>,
    kept: VecDeque<(Key, Arc<Held>)>,
}

pub(super) struct Session {
    pub(super) link: Link,
    /// Of the folder when it was selected over this connection.
    validity: Option<u32>,
    /// It was selected to delete in it, not only to read.
    deletes: bool,
}

/// What tells a message from all others of the mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) validity: u32,
    pub(super) uid: u32,
}

impl Key {
    fn to_bytes(self) -> [u8; 8] {
        let both = u64::from(self.validity) << 32 | u64::from(self.uid);
        both.to_be_bytes()
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
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

/// What was in the mailbox at one moment.
struct Snapshot {
    validity: u32,
    uids: Vec<u32>,
    heads: Vec<OnceLock<Box<Head>>>,
}

/// What a listing shows of a message, and its size.
struct Head {
    summary: Summary,
    size: u64,
}

/// The same, and where more is asked.
#[derive(Clone)]
struct Listed {
    shared: Arc<Shared>,
    snapshot: Arc<Snapshot>,
}

struct ImapMessage {
    listed: Listed,
    at: usize,
}

impl Shared {
    /// Logs on: wrong credentials are found out now.
    pub(super) fn open(
        endpoint: Endpoint,
        folder: String,
        credentials: Credentials,
        who: &LogOn<'_>,
    ) -> Result<Self> {
        let account = format!("imap://{}@{endpoint}/{folder}", credentials.user);
        let shared = Self {
            ledger: Ledger::new(account.clone(), who.state),
            account,
            limits: who.limits.clone(),
            endpoint,
            folder,
            folder_name: OnceLock::new(),
            credentials,
            state: Mutex::default(),
        };
        shared.session(&mut shared.state())?;
        Ok(shared)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn folder_name(&self, link: &mut Link) -> Result<&str> {
        if let Some(name) = self.folder_name.get() {
            return Ok(name);
        }
        let name = link.name_of(&self.folder)?;
        Ok(self.folder_name.get_or_init(|| name))
    }

    fn session<'s>(&self, state: &'s mut State) -> Result<&'s mut Session> {
        state.session.take_if(|session| session.link.is_lost());
        if let Some(ref mut session) = state.session {
            return Ok(session);
        }
        Ok(state.session.insert(Session {
            link: Link::log_on(&self.endpoint, &self.credentials)?,
            validity: None,
            deletes: false,
        }))
    }

    /// Does what can be done twice: over another connection when the one there was has died.
    fn with_session<T>(
        &self,
        state: &mut State,
        work: impl Fn(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let was_open = state.session.is_some();
        match work(self.session(state)?) {
            Err(error) if was_open && error.kind() == ErrorKind::Network => {
                let is_lost = |session: &Session| session.link.is_lost();
                if state.session.as_ref().is_some_and(is_lost) {
                    return work(self.session(state)?);
                }
                Err(error)
            }
            done => done,
        }
    }

    /// The same where UIDs must mean what they meant in a listing.
    pub(super) fn with_folder<T>(
        &self,
        state: &mut State,
        key: Key,
        work: impl Fn(&mut Link) -> Result<T>,
    ) -> Result<T> {
        self.with_session(state, |session| {
            let validity = match session.validity {
                Some(validity) => validity,
                None => {
                    session.deletes = false;
                    let folder = self.folder_name(&mut session.link)?;
                    session.link.examine(folder)?.validity
                }
            };
            session.validity = Some(validity);
            if validity != key.validity {
                return Err(key.gone());
            }
            work(&mut session.link)
        })
    }

    /// The same where something is deleted.
    fn with_folder_to_delete<T>(
        &self,
        state: &mut State,
        key: Key,
        work: impl Fn(&mut Link) -> Result<T>,
    ) -> Result<T> {
        self.with_session(state, |session| {
            if !session.deletes || session.validity.is_none() {
                session.validity = None;
                let folder = self.folder_name(&mut session.link)?;
                session.validity = Some(session.link.select(folder)?.validity);
                session.deletes = true;
            }
            if session.validity != Some(key.validity) {
                return Err(key.gone());
            }
            work(&mut session.link)
        })
    }

    fn leave(&self) {
        if let Some(session) = self.state().session.take() {
            session.link.leave();
        }
    }

    fn list(self: &Arc<Self>) -> Result<Listed> {
        let mut state = self.state();
        // Before the list is made: what is noted meanwhile is not taken for done.
        let noted = self.ledger.look()?;
        let (validity, uids) = self.with_session(&mut state, |session| {
            (session.validity, session.deletes) = (None, false);
            let folder = self.folder_name(&mut session.link)?;
            let (selected, uids) = session.link.uids(folder)?;
            session.validity = Some(selected.validity);
            Ok((selected.validity, uids))
        })?;
        let uids = self.without_noted(&mut state, validity, uids, noted);
        let is_there = |key: &Key| key.validity == validity && uids.binary_search(&key.uid).is_ok();
        state.kept.retain(|(key, _)| is_there(key));
        state.listed = None;
        Ok(self.listed(validity, uids))
    }

    /// The newest messages alone; `None` where all must be listed to know them.
    fn list_newest(self: &Arc<Self>, most: usize) -> Result<Option<(Listed, bool)>> {
        if !self.ledger.look()?.is_empty() {
            return Ok(None);
        }
        let mut state = self.state();
        // An older snapshot lacks what came since.
        state.listed = None;
        let newest = self.with_session(&mut state, |session| {
            (session.validity, session.deletes) = (None, false);
            let folder = self.folder_name(&mut session.link)?;
            let newest = session.link.newest_uids(folder, most)?;
            session.validity = newest.as_ref().map(|(selected, ..)| selected.validity);
            Ok(newest)
        })?;
        Ok(newest.map(|(selected, uids, is_all)| (self.listed(selected.validity, uids), is_all)))
    }

    fn listed(self: &Arc<Self>, validity: u32, uids: Vec<u32>) -> Listed {
        Listed {
            shared: Arc::clone(self),
            snapshot: Arc::new(Snapshot {
                validity,
                heads: uids.iter().map(|_| OnceLock::new()).collect(),
                uids,
            }),
        }
    }

    /// What was to be deleted and is still there is only deleted.
    fn without_noted(
        &self,
        state: &mut State,
        validity: u32,
        uids: Vec<u32>,
        mut noted: Noted,
    ) -> Vec<u32> {
        let (again, uids): (Vec<u32>, Vec<u32>) = uids
            .into_iter()
            .partition(|&uid| noted.take(&Key { validity, uid }.to_bytes()));
        self.ledger.clear_rest(noted);
        if let Some(&uid) = again.first() {
            // What fails now is hidden all the same, and tried again by the next listing.
            let _ = self.with_folder_to_delete(state, Key { validity, uid }, |link| {
                link.mark_deleted(&again)?;
                link.expunge(&again)
            });
        }
        uids
    }

    /// Deletes messages, which are written down before.
    fn delete(&self, keys: &[Key]) -> Vec<Result<()>> {
        let Some(first) = keys.first().copied() else {
            return Vec::new();
        };
        let noted: Vec<[u8; 8]> = keys.iter().map(|key| key.to_bytes()).collect();
        let noted: Vec<&[u8]> = noted.iter().map(|key| &key[..]).collect();
        let all = |error: &Error| keys.iter().map(|_| Err(copy(error))).collect();
        let mut state = self.state();
        if let Err(error) = self.ledger.note(&noted) {
            return all(&error);
        }
        state.kept.retain(|(kept, _)| !keys.contains(kept));
        match self.delete_noted(&mut state, first, keys) {
            Ok(present) => {
                self.ledger.clear(&noted);
                let done = |key: &Key| {
                    if present.contains(&key.uid) {
                        Ok(())
                    } else {
                        Err(key.gone())
                    }
                };
                keys.iter().map(done).collect()
            }
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => all(&error),
            Err(error) => {
                self.ledger.clear(&noted);
                all(&error)
            }
        }
    }

    /// Which of them were there, and are deleted now.
    fn delete_noted(&self, state: &mut State, first: Key, keys: &[Key]) -> Result<Vec<u32>> {
        let uids: Vec<u32> = keys.iter().map(|key| key.uid).collect();
        // What the UIDs mean is asked just before, not only when they were listed.
        if let Some(session) = &mut state.session {
            session.validity = None;
        }
        let present = self.with_folder_to_delete(state, first, |link| link.present(&uids))?;
        // Marking is for good once the server has it, and can be done twice.
        let marked = self.with_folder_to_delete(state, first, |link| link.mark_deleted(&present));
        let is_lost = |state: &State| {
            let session = state.session.as_ref();
            session.is_none_or(|session| session.link.is_lost())
        };
        // A refusal is no doubt: nothing was done.
        marked.map_err(|error| {
            if is_lost(state) {
                unknown(&error)
            } else {
                error
            }
        })?;
        // What is marked is never shown again: if this fails, it takes room until somebody removes
        // it.
        let _ = self.with_folder_to_delete(state, first, |link| link.expunge(&present));
        Ok(present)
    }

    /// A message that was opened before.
    fn kept(state: &State, key: Key) -> Option<Arc<Held>> {
        let found = state.kept.iter().find(|(kept, _)| *kept == key);
        found.map(|(_, held)| Arc::clone(held))
    }
}

impl State {
    fn keep(&mut self, key: Key, held: Arc<Held>) {
        self.kept.retain(|(kept, _)| *kept != key);
        self.kept.truncate(KEPT - 1);
        self.kept.push_front((key, held));
        let mut large = 0;
        self.kept.retain(|(_, held)| {
            large += usize::from(held.is_large());
            !held.is_large() || large <= KEPT / 4
        });
    }
}

/// The same for each of several messages.
fn copy(error: &Error) -> Error {
    Error::new(error.kind(), error.to_string())
}

fn unknown(error: &Error) -> Error {
    let message =
        format!("whether the messages are deleted is not known; they are not shown again: {error}");
    Error::new(ErrorKind::OutcomeUnknown, message)
}

impl Listed {
    fn key(&self, at: usize) -> Option<Key> {
        let uid = *self.snapshot.uids.get(at)?;
        Some(Key {
            validity: self.snapshot.validity,
            uid,
        })
    }

    fn message(&self, at: usize) -> Arc<dyn StoredMessage> {
        let listed = self.clone();
        Arc::new(ImapMessage { listed, at })
    }

    fn listing(&self) -> Listing {
        Listing::new(
            (0..self.snapshot.uids.len())
                .map(|at| self.message(at))
                .collect(),
        )
    }

    fn order(&self) -> [u8; 16] {
        let text = format!("{} {}", self.shared.account, self.snapshot.validity);
        Uuid::new_v5(&Uuid::NAMESPACE_URL, text.as_bytes()).into_bytes()
    }

    fn page(&self, request: &PageRequest<'_>) -> Page {
        let order = self.order();
        let from = request.from.filter(|from| from.order == order);
        let uid =
            from.and_then(|from| Some(u32::from_be_bytes(from.place.as_slice().try_into().ok()?)));
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

    fn is_read(&self, at: usize) -> bool {
        let head = self.snapshot.heads.get(at);
        head.is_none_or(|head| head.get().is_some())
    }

    /// Reads what a listing shows of a message and of those beside it: by the fields that matter,
    /// which many servers have at hand.
    fn read_page(&self, at: usize) -> Result<()> {
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
    fn read_head(&self, state: &mut State, at: usize) -> Result<()> {
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

    fn set_head(&self, at: usize, section: &[u8], size: u64) {
        if let Some(slot) = self.snapshot.heads.get(at) {
            let summary = Summary::of_delivered(section, size);
            let _ = slot.set(Box::new(Head { summary, size }));
        }
    }

    /// Why nothing is known of a message: it is gone, or what the server says of it is nothing.
    fn unknown(&self, key: Key) -> Error {
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

impl Mailbox for ImapMailbox {
    fn list(&self) -> Result<Listing> {
        Ok(self.0.list()?.listing())
    }

    fn count(&self) -> Result<u64> {
        Ok(self.0.list()?.snapshot.uids.len() as u64)
    }

    fn page(&self, request: &PageRequest<'_>) -> Option<Result<Page>> {
        // The newest are had without a list of all.
        if request.looks && request.backwards && request.from.is_none() {
            match self.0.list_newest(request.most) {
                Ok(None) => {}
                Ok(Some((listed, is_all))) => {
                    let mut page = listed.page(request);
                    page.is_last = is_all && page.is_last;
                    return Some(Ok(page));
                }
                Err(error) => return Some(Err(error)),
            }
        }
        let known = self.0.state().listed.clone().filter(|_| !request.looks);
        let listed = match known {
            Some(snapshot) => Listed {
                shared: Arc::clone(&self.0),
                snapshot,
            },
            None => match self.0.list() {
                Ok(listed) => listed,
                Err(error) => return Some(Err(error)),
            },
        };
        let page = listed.page(request);
        self.0.state().listed = (!page.is_last).then_some(listed.snapshot);
        Some(Ok(page))
    }

    fn delete(&self, messages: &[Arc<dyn StoredMessage>]) -> Vec<Result<()>> {
        let keys = messages.iter().map(|message| Key::of_bytes(&message.key()));
        let keys: Option<Vec<Key>> = keys.collect();
        // All of one listing have one validity.
        let is_one = |keys: &Vec<Key>| {
            keys.windows(2)
                .all(|two| matches!(two, [a, b] if a.validity == b.validity))
        };
        match keys.filter(is_one) {
            Some(keys) => {
                let some = keys.chunks(TOGETHER);
                some.flat_map(|keys| self.0.delete(keys)).collect()
            }
            None => messages.iter().map(|message| message.delete()).collect(),
        }
    }

    fn waiter(&self) -> Box<dyn Waiter> {
        Box::new(Idle::new(&self.0))
    }

    fn close(&self) {
        self.0.leave();
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
        let mut results = self.listed.shared.delete(&[self.message_key()?]);
        results.pop().unwrap_or(Ok(()))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = state.session.take() {
            session.link.leave();
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Imap").field(&self.endpoint).finish()
    }
}

impl fmt::Debug for ImapMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ImapMessage").field(&self.name()).finish()
    }
}
