//! The mailbox of a user, over one session of POP3 after the other.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::dialogue::{Answer, Numbered, Open};
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Result};
use crate::format::bytes::{MessageBytes, read_range};
use crate::limits::Limits;
use crate::scratch::Scratch;
use crate::store::delivered::{Below, summary_of};
use crate::store::endpoint::Endpoint;
use crate::store::entry::Summary;
use crate::store::ledger::Ledger;
use crate::store::mailbox::{Listing, LogOn, Mailbox, Poll, StoredMessage, Waiter};

/// So many header sections are asked for together.
const PAGE: usize = 50;
/// So many messages that were opened last are kept: each part that is read opens one anew.
const KEPT: usize = 4;

#[derive(Debug)]
pub(super) struct Pop3Mailbox(pub(super) Arc<Shared>);

/// What all who are logged on as one user share.
pub(super) struct Shared {
    endpoint: Endpoint,
    pub(super) credentials: Credentials,
    limits: Limits,
    ledger: Ledger,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    session: Option<Session>,
    sessions: u64,
    kept: VecDeque<(Key, Arc<dyn MessageBytes>)>,
    /// The server sends bodies where header sections were asked for.
    sends_bodies: bool,
}

/// What one session of the server knows.
struct Session {
    open: Open,
    number: u64,
    /// By unique id, as far as there are any; made when they are asked for.
    numbers: Option<HashMap<Vec<u8>, u32>>,
}

/// A row of a listing.
struct Row {
    number: u32,
    /// `None` where the server gives none, or one twice: then it is known in its session alone.
    id: Option<Vec<u8>>,
    size: u64,
    summary: OnceLock<Box<Summary>>,
}

/// What tells a message from all others.
#[derive(Clone, PartialEq, Eq)]
enum Key {
    Id(Vec<u8>),
    Number { session: u64, number: u32 },
}

impl Key {
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Id(id) => [b"U", id.as_slice()].concat(),
            Self::Number { session, number } => {
                [&b"N"[..], &session.to_be_bytes(), &number.to_be_bytes()].concat()
            }
        }
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
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

    fn id(&self) -> Option<&[u8]> {
        match self {
            Self::Id(id) => Some(id),
            Self::Number { .. } => None,
        }
    }

    fn name(&self) -> PathBuf {
        match self {
            Self::Id(id) => String::from_utf8_lossy(id).into_owned().into(),
            Self::Number { number, .. } => format!("message {number}").into(),
        }
    }

    fn gone(&self) -> Error {
        let message = match self {
            Self::Id(_) => "the message was deleted since it was listed; list the Inbox again",
            Self::Number { .. } => {
                "the server gives this message no unique id, and the connection over which it was \
                 listed is closed; list the Inbox again"
            }
        };
        Error::new(ErrorKind::MessageGone, message).with_path(self.name())
    }
}

/// A snapshot of the mailbox.
struct Listed {
    shared: Arc<Shared>,
    session: u64,
    rows: Vec<Row>,
}

struct Pop3Message {
    listed: Arc<Listed>,
    at: usize,
}

impl Shared {
    /// Logs on: wrong credentials are found out now.
    pub(super) fn open(
        endpoint: Endpoint,
        credentials: Credentials,
        who: &LogOn<'_>,
    ) -> Result<Self> {
        let account = format!("pop3://{}@{endpoint}", credentials.user);
        let shared = Self {
            ledger: Ledger::new(account, who.state),
            limits: who.limits.clone(),
            endpoint,
            credentials,
            state: Mutex::default(),
        };
        shared.session(&mut shared.state())?;
        Ok(shared)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn session<'s>(&self, state: &'s mut State) -> Result<&'s mut Session> {
        // One that died is none.
        state.session.take_if(|session| session.open.is_lost());
        if let Some(ref mut session) = state.session {
            return Ok(session);
        }
        state.sessions += 1;
        Ok(state.session.insert(Session {
            open: Open::new(&self.endpoint, &self.credentials)?,
            number: state.sessions,
            numbers: None,
        }))
    }

    /// Does what changes nothing: over another connection when the one there was has died.
    fn with_session<T>(
        &self,
        state: &mut State,
        work: impl Fn(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let was_open = state.session.is_some();
        match work(self.session(state)?) {
            Err(error) if was_open && error.kind() == ErrorKind::Network => {
                let is_lost = |session: &Session| session.open.is_lost();
                if state.session.as_ref().is_some_and(is_lost) {
                    return work(self.session(state)?);
                }
                Err(error)
            }
            done => done,
        }
    }

    fn leave(&self, state: &mut State) {
        if let Some(session) = state.session.take() {
            session.open.leave(&self.endpoint);
        }
    }

    /// Deletes messages in one session, which commits it by its end. What the server is to delete is
    /// written down before.
    fn delete(&self, keys: &[Key]) -> Vec<Result<()>> {
        let ids: Vec<&[u8]> = keys.iter().filter_map(Key::id).collect();
        let mut state = self.state();
        state.kept.retain(|(kept, _)| !keys.contains(kept));
        if let Err(error) = self.ledger.note(&ids) {
            return all(keys, &error);
        }
        // Until the session ends nothing is deleted: over a connection that has died it is begun
        // anew.
        let marked = self.with_session(&mut state, |session| {
            let mark = |key: &Key| {
                let Some(number) = session.number_of(&self.endpoint, key)? else {
                    return Ok(Err(key.gone()));
                };
                Ok(match session.open.on(&self.endpoint).delete(number)? {
                    Answer::Yes => Ok(()),
                    Answer::No(_) => Err(key.gone()),
                })
            };
            keys.iter().map(mark).collect::<Result<Vec<_>>>()
        });
        let results = match marked {
            Ok(results) => results,
            Err(error) => {
                self.ledger.clear(&ids);
                // Nothing of it may be committed.
                state.session = None;
                return all(keys, &error);
            }
        };
        let ended = match state.session.take() {
            Some(mut session) => session.open.on(&self.endpoint).quit(),
            None => Ok(()),
        };
        match ended {
            Ok(()) => {
                self.ledger.clear(&ids);
                results
            }
            Err(error) => {
                let unknown = |result: Result<()>| result.and_then(|()| Err(copy(&error)));
                results.into_iter().map(unknown).collect()
            }
        }
    }

    fn list(self: &Arc<Self>) -> Result<Listing> {
        let mut state = self.state();
        // A session sees what was there when it began, and nothing that came since.
        self.leave(&mut state);
        let (rows, session) = self.with_session(&mut state, |session| {
            let mut dialogue = session.open.on(&self.endpoint);
            let ids = dialogue.unique_ids()?;
            let sizes = dialogue.sizes()?;
            let rows = rows(ids, &sizes);
            let numbers = rows
                .iter()
                .filter_map(|row| Some((row.id.clone()?, row.number)));
            session.numbers = Some(numbers.collect());
            Ok((rows, session.number))
        })?;
        let rows = self.without_noted(&mut state, rows)?;
        drop(state);
        let listed = Arc::new(Listed {
            shared: Arc::clone(self),
            session,
            rows,
        });
        let message = |at| {
            let listed = Arc::clone(&listed);
            Arc::new(Pop3Message { listed, at }) as Arc<dyn StoredMessage>
        };
        Ok(Listing::new((0..listed.rows.len()).map(message).collect()))
    }

    /// What was to be deleted and is still there is only deleted; the end of the session commits it.
    fn without_noted(&self, state: &mut State, rows: Vec<Row>) -> Result<Vec<Row>> {
        let mut noted = self.ledger.look()?;
        let (again, rows): (Vec<_>, Vec<_>) = rows
            .into_iter()
            .partition(|row| row.id.as_deref().is_some_and(|id| noted.take(id)));
        self.ledger.clear_rest(noted);
        if let Some(session) = &mut state.session {
            let mut dialogue = session.open.on(&self.endpoint);
            for row in again {
                // What fails now is hidden all the same, and tried again by the next listing.
                let _ = dialogue.delete(row.number);
            }
        }
        Ok(rows)
    }
}

fn rows(ids: Option<Numbered>, sizes: &[(u32, u64)]) -> Vec<Row> {
    let mut by_number: HashMap<u32, Vec<u8>> = ids.unwrap_or_default().into_iter().collect();
    let (mut seen, mut twice) = (HashSet::new(), HashSet::new());
    for id in by_number.values() {
        if !seen.insert(id.clone()) {
            twice.insert(id.clone());
        }
    }
    let rows = sizes.iter().map(|&(number, size)| {
        let id = by_number.remove(&number);
        Row {
            number,
            id: id.filter(|id| !id.is_empty() && !twice.contains(id)),
            size,
            summary: OnceLock::new(),
        }
    });
    rows.collect()
}

impl Row {
    fn key(&self, session: u64) -> Key {
        match &self.id {
            Some(id) => Key::Id(id.clone()),
            None => Key::Number {
                session,
                number: self.number,
            },
        }
    }
}

fn all(keys: &[Key], error: &Error) -> Vec<Result<()>> {
    keys.iter().map(|_| Err(copy(error))).collect()
}

/// The same for each of several messages.
fn copy(error: &Error) -> Error {
    Error::new(error.kind(), error.to_string())
}

impl Session {
    /// The number of a listed message in this session.
    fn number_of(&mut self, endpoint: &Endpoint, key: &Key) -> Result<Option<u32>> {
        let id = match key {
            Key::Number { session, number } => {
                return Ok((*session == self.number).then_some(*number));
            }
            Key::Id(id) => id,
        };
        if self.numbers.is_none() {
            let ids = self.open.on(endpoint).unique_ids()?.unwrap_or_default();
            let numbers = ids.into_iter().map(|(number, id)| (id, number));
            self.numbers = Some(numbers.collect());
        }
        let numbers = self.numbers.as_ref();
        Ok(numbers.and_then(|numbers| numbers.get(id).copied()))
    }
}

impl Listed {
    fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Reads what a listing shows of a message and of those beside it.
    fn read_page(&self, at: usize) -> Result<()> {
        let shared = self.shared();
        let mut state = shared.state();
        let start = at - at % PAGE;
        let page = self.rows.get(start..(start + PAGE).min(self.rows.len()));
        let unread = page.unwrap_or_default().iter();
        let unread: Vec<&Row> = unread.filter(|row| row.summary.get().is_none()).collect();
        if self
            .rows
            .get(at)
            .is_none_or(|row| row.summary.get().is_some())
        {
            return Ok(());
        }
        let sends_bodies = state.sends_bodies;
        let tops = shared.with_session(&mut state, |session| {
            if sends_bodies || !session.open.has_top() {
                return Ok(None);
            }
            let (mut wanted, mut numbers) = (Vec::new(), Vec::new());
            for row in &unread {
                let key = row.key(self.session);
                if let Some(number) = session.number_of(&shared.endpoint, &key)? {
                    wanted.push(*row);
                    numbers.push(number);
                }
            }
            let most = shared.limits.header_section as u64 + 64 * 1024;
            let tops = session.open.on(&shared.endpoint).tops(&numbers, most)?;
            Ok(Some(wanted.into_iter().zip(tops).collect::<Vec<_>>()))
        });
        let Some(tops) = tops? else {
            drop(state);
            return self.read_whole(at);
        };
        for (row, top) in tops {
            if let Some(top) = top {
                state.sends_bodies |= has_body(&top);
                let _ = row.summary.set(Box::new(summary_of(&top, row.size)));
            }
        }
        Ok(())
    }

    /// Where header sections cannot be had alone a message is read when it is shown.
    fn read_whole(&self, at: usize) -> Result<()> {
        let Some(row) = self.rows.get(at) else {
            return Ok(());
        };
        let bytes = self.bytes(row)?;
        let head = read_range(
            bytes.as_ref(),
            0,
            self.shared().limits.header_section as u64,
        )?;
        let _ = row.summary.set(Box::new(summary_of(&head, bytes.len())));
        Ok(())
    }

    /// The whole message as the server has it.
    fn bytes(&self, row: &Row) -> Result<Arc<dyn MessageBytes>> {
        let shared = self.shared();
        let key = row.key(self.session);
        let mut state = shared.state();
        if let Some((_, bytes)) = state.kept.iter().find(|(kept, _)| *kept == key) {
            return Ok(Arc::clone(bytes));
        }
        let read = shared.with_session(&mut state, |session| {
            let number = session.number_of(&shared.endpoint, &key)?;
            let number = number.ok_or_else(|| key.gone())?;
            let mut scratch = Scratch::default();
            let most = shared.limits.message;
            let mut dialogue = session.open.on(&shared.endpoint);
            if dialogue.retrieve(number, &mut scratch, most)? {
                scratch.finish()
            } else {
                Err(key.gone())
            }
        });
        let bytes = read.map_err(|error| match error.path() {
            None => error.with_path(key.name()),
            Some(_) => error,
        })?;
        state.kept.truncate(KEPT - 1);
        state.kept.push_front((key, Arc::clone(&bytes)));
        Ok(bytes)
    }
}

/// Whether a body stands below a header section that was asked for alone.
fn has_body(top: &[u8]) -> bool {
    let end = crate::format::envelope::header_end(top).unwrap_or(top.len());
    let rest = top.get(end..).unwrap_or_default().trim_ascii();
    rest.len() > 1024
}

impl Mailbox for Pop3Mailbox {
    fn list(&self) -> Result<Listing> {
        self.0.list()
    }

    fn delete(&self, messages: &[Arc<dyn StoredMessage>]) -> Vec<Result<()>> {
        let keys = messages.iter().map(|message| Key::of_bytes(&message.key()));
        match keys.collect::<Option<Vec<_>>>() {
            Some(keys) => self.0.delete(&keys),
            None => messages.iter().map(|message| message.delete()).collect(),
        }
    }

    fn waiter(&self) -> Box<dyn Waiter> {
        Box::new(Poll(self.0.endpoint.poll))
    }

    fn close(&self) {
        self.0.leave(&mut self.0.state());
    }
}

impl Pop3Message {
    fn row(&self) -> Result<&Row> {
        let gone = || Error::new(ErrorKind::MessageGone, "there is no such message");
        self.listed.rows.get(self.at).ok_or_else(gone)
    }

    fn row_key(&self) -> Result<Key> {
        Ok(self.row()?.key(self.listed.session))
    }
}

impl StoredMessage for Pop3Message {
    fn name(&self) -> PathBuf {
        self.row_key().map(|key| key.name()).unwrap_or_default()
    }

    fn key(&self) -> Vec<u8> {
        self.row_key().map(|key| key.to_bytes()).unwrap_or_default()
    }

    fn summary(&self) -> Result<&Summary> {
        let row = self.row()?;
        if row.summary.get().is_none() {
            self.listed.read_page(self.at)?;
        }
        let gone = || row.key(self.listed.session).gone();
        row.summary.get().map(Box::as_ref).ok_or_else(gone)
    }

    fn open(&self) -> Result<Arc<dyn MessageBytes>> {
        Ok(Arc::new(Below::run(self.listed.bytes(self.row()?)?)?))
    }

    fn delete(&self) -> Result<()> {
        let mut results = self.listed.shared().delete(&[self.row_key()?]);
        results.pop().unwrap_or(Ok(()))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = state.session.take() {
            session.open.leave(&self.endpoint);
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pop3").field(&self.endpoint).finish()
    }
}

impl fmt::Debug for Pop3Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pop3Message").field(&self.name()).finish()
    }
}
