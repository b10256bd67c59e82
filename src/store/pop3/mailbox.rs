//! The mailbox of a user, over one session of POP3 after the other.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::dialogue::{Numbered, Open};
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Result};
use crate::format::bytes::{MessageBytes, read_range};
use crate::limits::Limits;
use crate::scratch::Scratch;
use crate::store::delivered::{DeliveredBytes, page_around};
use crate::store::endpoint::Endpoint;
use crate::store::entry::Summary;
use crate::store::ledger::{Ledger, Noted};
use crate::store::mailbox::{Listing, LogOn, Mailbox, Poll, StoredMessage, Waiter};

/// So many header sections are asked for together.
const PAGE: usize = 50;
/// With more messages than this a listing asks for their ids later.
const MANY: u32 = 1000;
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
    /// The snapshot whose ids are not known yet.
    lazy: Weak<Listed>,
    kept: VecDeque<(Key, Arc<dyn MessageBytes>)>,
    /// The server sends bodies where header sections were asked for, or header sections that are
    /// too long.
    sends_bodies: bool,
    /// When a session ended last.
    left: Option<Instant>,
}

/// What one session of the server knows.
struct Session {
    open: Open,
    number: u64,
    /// By unique id, as far as there are any; made when they are asked for.
    numbers: Option<HashMap<Vec<u8>, u32>>,
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

    /// It is not in the mailbox any more; or nobody can tell which one it is.
    fn gone(&self) -> Error {
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

/// A snapshot of the mailbox.
struct Listed {
    shared: Arc<Shared>,
    session: u64,
    rows: Vec<Row>,
    /// Asked for at once where there are few messages; where there are many when somebody must
    /// know, at the latest when the session ends.
    ids: OnceLock<Vec<Option<Vec<u8>>>>,
}

/// A message of it: its number in the session, and what was read of it.
struct Row {
    number: u32,
    size: Option<u64>,
    summary: OnceLock<Box<Summary>>,
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
            open: self.log_on(state.left)?,
            number: state.sessions,
            numbers: None,
        }))
    }

    /// A server can take a moment to unlock a mailbox that was left just now.
    fn log_on(&self, left: Option<Instant>) -> Result<Open> {
        const MOMENT: Duration = Duration::from_secs(3);
        const PAUSE: Duration = Duration::from_millis(100);
        loop {
            let opened = Open::new(&self.endpoint, &self.credentials);
            match &opened {
                Err(error)
                    if left.is_some_and(|left| left.elapsed() < MOMENT)
                        && error.to_string().contains("[IN-USE]") =>
                {
                    std::thread::sleep(PAUSE);
                }
                _ => return opened,
            }
        }
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
        self.identify(state);
        if let Some(session) = state.session.take() {
            session.open.leave(&self.endpoint);
            state.left = Some(Instant::now());
        }
    }

    /// Deletes messages in one session, which commits it by its end. What the server is to delete is
    /// written down before.
    fn delete(&self, keys: &[Key]) -> Vec<Result<()>> {
        let mut state = self.state();
        state.kept.retain(|(kept, _)| !keys.contains(kept));
        self.identify(&mut state);
        let notes = match self.notes(&mut state, keys) {
            Ok(notes) => notes,
            Err(error) => return all(keys, &error),
        };
        let noted: Vec<&[u8]> = notes.iter().map(Vec::as_slice).collect();
        if let Err(error) = self.ledger.note(&noted) {
            return all(keys, &error);
        }
        // Until the session ends nothing is deleted: over a connection that has died it is begun
        // anew.
        let marked = self.with_session(&mut state, |session| {
            let mark = |key: &Key| match session.number_of(&self.endpoint, key)? {
                Some(number) => session.open.on(&self.endpoint).delete(number),
                None => Ok(Err(key.gone())),
            };
            keys.iter().map(mark).collect::<Result<Vec<_>>>()
        });
        let results = match marked {
            Ok(results) => results,
            Err(error) => {
                self.ledger.clear(&noted);
                // Nothing of it may be committed.
                state.session = None;
                return all(keys, &error);
            }
        };
        let ended = match state.session.take() {
            Some(mut session) => session.open.on(&self.endpoint).quit(),
            None => Ok(()),
        };
        state.left = Some(Instant::now());
        match ended {
            Ok(()) => {
                self.ledger.clear(&noted);
                results
            }
            Err(error) => {
                let unknown = |result: Result<()>| result.and_then(|()| Err(copy(&error)));
                results.into_iter().map(unknown).collect()
            }
        }
    }

    /// What is written down of messages that are to be deleted: the id, and the size, since there are
    /// servers that give an id again.
    fn notes(&self, state: &mut State, keys: &[Key]) -> Result<Vec<Vec<u8>>> {
        self.with_session(state, |session| {
            let mut notes = Vec::with_capacity(keys.len());
            for key in keys {
                let number = session.number_of(&self.endpoint, key)?;
                if let (Some(id), Some(number)) = (key.id(), number) {
                    let size = session.open.on(&self.endpoint).size(number)?;
                    notes.push(note_of(id, size));
                }
            }
            Ok(notes)
        })
    }

    fn list(self: &Arc<Self>) -> Result<Listing> {
        let mut state = self.state();
        // A session sees what was there when it began, and nothing that came since.
        self.leave(&mut state);
        let mut noted = self.ledger.look()?;
        let listed = self.with_session(&mut state, |session| {
            let mut dialogue = session.open.on(&self.endpoint);
            let count = dialogue.count()?;
            if count > MANY && noted.is_empty() {
                let rows = (1..=count).map(|number| Row::new(number, None));
                return Ok((session.number, rows.collect(), None));
            }
            let ids = dialogue.unique_ids()?;
            let sizes = dialogue.sizes()?;
            let has_ids = ids.is_some();
            let ids = ids.unwrap_or_default();
            session.numbers = Some(numbers_of(&ids));
            let ids: HashMap<u32, Vec<u8>> = ids.into_iter().collect();
            let rows = sizes
                .into_iter()
                .map(|(number, size)| Row::new(number, Some(size)));
            Ok((
                session.number,
                rows.collect::<Vec<Row>>(),
                Some((ids, has_ids)),
            ))
        });
        let (session, mut rows, ids) = listed?;
        let known = OnceLock::new();
        if let Some((ids, has_ids)) = ids {
            self.without_noted(&mut state, &mut rows, &ids, &mut noted);
            // Only a list of ids shows that one is gone.
            if has_ids {
                self.ledger.clear_rest(noted);
            }
            let _ = known.set(own_ids(&rows, &ids));
        }
        let listed = Arc::new(Listed {
            shared: Arc::clone(self),
            session,
            rows,
            ids: known,
        });
        if listed.ids.get().is_none() {
            state.lazy = Arc::downgrade(&listed);
        }
        drop(state);
        let message = |at| {
            let listed = Arc::clone(&listed);
            Arc::new(Pop3Message { listed, at }) as Arc<dyn StoredMessage>
        };
        Ok(Listing::new((0..listed.rows.len()).map(message).collect()))
    }

    /// What was to be deleted and is still there is only deleted; the end of the session commits it.
    fn without_noted(
        &self,
        state: &mut State,
        rows: &mut Vec<Row>,
        ids: &HashMap<u32, Vec<u8>>,
        noted: &mut Noted,
    ) {
        let mut again = Vec::new();
        rows.retain(|row| {
            let id = ids.get(&row.number);
            let is_noted = id.is_some_and(|id| noted.take(&note_of(id, row.size)));
            again.extend(is_noted.then_some(row.number));
            !is_noted
        });
        if let Some(session) = &mut state.session {
            let mut dialogue = session.open.on(&self.endpoint);
            for number in again {
                // What fails now is hidden all the same, and tried again by the next listing.
                let _ = dialogue.delete(number);
            }
        }
    }

    /// Asks for the ids of a snapshot while its session lasts.
    fn identify(&self, state: &mut State) {
        let listed = std::mem::take(&mut state.lazy).upgrade();
        let (Some(listed), Some(session)) = (listed, &mut state.session) else {
            return;
        };
        if session.number != listed.session || listed.ids.get().is_some() {
            return;
        }
        // Where that fails its messages are known by nothing: they are gone.
        if let Ok(Some(ids)) = session.open.on(&self.endpoint).unique_ids() {
            session.numbers = Some(numbers_of(&ids));
            let _ = listed
                .ids
                .set(own_ids(&listed.rows, &ids.into_iter().collect()));
        }
    }
}

/// The numbers of messages by id; one that comes twice is none.
fn numbers_of(ids: &Numbered) -> HashMap<Vec<u8>, u32> {
    let mut twice = HashSet::new();
    let mut numbers = HashMap::with_capacity(ids.len());
    for (number, id) in ids {
        if numbers.insert(id.clone(), *number).is_some() {
            twice.insert(id);
        }
    }
    numbers.retain(|id, _| !id.is_empty() && !twice.contains(id));
    numbers
}

/// The ids of rows, as far as each is its own.
fn own_ids(rows: &[Row], ids: &HashMap<u32, Vec<u8>>) -> Vec<Option<Vec<u8>>> {
    let mut count: HashMap<&[u8], usize> = HashMap::with_capacity(ids.len());
    for id in ids.values() {
        *count.entry(id).or_default() += 1;
    }
    let own = |row: &Row| {
        let id = ids.get(&row.number)?;
        let is_own = !id.is_empty() && count.get(id.as_slice()) == Some(&1);
        is_own.then(|| id.clone())
    };
    rows.iter().map(own).collect()
}

impl Row {
    fn new(number: u32, size: Option<u64>) -> Self {
        Self {
            number,
            size,
            summary: OnceLock::new(),
        }
    }
}

fn note_of(id: &[u8], size: Option<u64>) -> Vec<u8> {
    [id, b" ", size.unwrap_or(0).to_string().as_bytes()].concat()
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
            let Some(ids) = self.open.on(endpoint).unique_ids()? else {
                let text = "the server tells no unique ids any more";
                return Err(endpoint.wrong(text));
            };
            self.numbers = Some(numbers_of(&ids));
        }
        let numbers = self.numbers.as_ref();
        Ok(numbers.and_then(|numbers| numbers.get(id).copied()))
    }
}

impl Listed {
    fn shared(&self) -> &Shared {
        &self.shared
    }

    /// What is known of a message as long as its session lasts: its number. Afterwards its id.
    fn key(&self, at: usize) -> Option<Key> {
        let row = self.rows.get(at)?;
        let id = self
            .ids
            .get()
            .and_then(|ids| ids.get(at))
            .and_then(Option::as_ref);
        Some(match id {
            Some(id) => Key::Id(id.clone()),
            None => Key::Number {
                session: self.session,
                number: row.number,
            },
        })
    }

    /// What tells a message from all others for good.
    fn lasting_key(&self, at: usize) -> Option<Key> {
        if self.ids.get().is_none() {
            let shared = self.shared();
            shared.identify(&mut shared.state());
        }
        self.key(at)
    }

    /// The number of a message in a session, if it is there.
    fn number_in(&self, session: &mut Session, at: usize) -> Result<Option<u32>> {
        if session.number == self.session {
            return Ok(self.rows.get(at).map(|row| row.number));
        }
        match self.key(at) {
            Some(key) => session.number_of(&self.shared.endpoint, &key),
            None => Ok(None),
        }
    }

    /// Reads what a listing shows of a message and of those beside it.
    fn read_page(&self, at: usize) -> Result<()> {
        let shared = self.shared();
        let mut state = shared.state();
        let is_read = |at: usize| {
            self.rows
                .get(at)
                .is_none_or(|row| row.summary.get().is_some())
        };
        if is_read(at) {
            return Ok(());
        }
        let page = page_around(at, self.rows.len(), PAGE, is_read);
        let sends_bodies = state.sends_bodies;
        let heads = shared.with_session(&mut state, |session| {
            if sends_bodies || !session.open.has_top() {
                return Ok(None);
            }
            let (mut rows, mut wanted) = (Vec::new(), Vec::new());
            for at in page.clone().filter(|&at| !is_read(at)) {
                if let (Some(row), Some(number)) = (self.rows.get(at), self.number_in(session, at)?)
                {
                    rows.push(row);
                    wanted.push((number, row.size));
                }
            }
            let most = shared.limits.header_section as u64 + 64 * 1024;
            let heads = session.open.on(&shared.endpoint).heads(&wanted, most)?;
            Ok(Some(rows.into_iter().zip(heads).collect::<Vec<_>>()))
        });
        let heads = match heads {
            Ok(Some(heads)) => heads,
            // One that is too long must not cost the others.
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                state.sends_bodies = true;
                drop(state);
                return self.read_whole(at);
            }
            Err(error) => return Err(error),
            Ok(None) => {
                drop(state);
                return self.read_whole(at);
            }
        };
        for (row, head) in heads {
            if let Some(head) = head {
                state.sends_bodies |= has_body(&head.section);
                let _ = row
                    .summary
                    .set(Box::new(Summary::of_delivered(&head.section, head.size)));
            }
        }
        Ok(())
    }

    /// Where header sections cannot be had alone a message is read when it is shown.
    fn read_whole(&self, at: usize) -> Result<()> {
        let bytes = self.bytes(at)?;
        let most = self.shared().limits.header_section as u64;
        let head = read_range(bytes.as_ref(), 0, most)?;
        if let Some(row) = self.rows.get(at) {
            let _ = row
                .summary
                .set(Box::new(Summary::of_delivered(&head, bytes.len())));
        }
        Ok(())
    }

    /// The whole message as the server has it.
    fn bytes(&self, at: usize) -> Result<Arc<dyn MessageBytes>> {
        let shared = self.shared();
        let key = self.key(at).ok_or_else(no_message)?;
        let mut state = shared.state();
        if let Some((_, bytes)) = state.kept.iter().find(|(kept, _)| *kept == key) {
            return Ok(Arc::clone(bytes));
        }
        let read = shared.with_session(&mut state, |session| {
            let number = self.number_in(session, at)?;
            let number = number.ok_or_else(|| key.gone())?;
            let mut scratch = Scratch::default();
            let most = shared.limits.message;
            let mut dialogue = session.open.on(&shared.endpoint);
            dialogue.retrieve(number, &mut scratch, most)?;
            scratch.finish()
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

fn no_message() -> Error {
    Error::new(ErrorKind::MessageGone, "there is no such message")
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
        Box::new(Poll::every(self.0.endpoint.poll))
    }

    fn close(&self) {
        self.0.leave(&mut self.0.state());
    }
}

impl Pop3Message {
    fn lasting_key(&self) -> Result<Key> {
        self.listed.lasting_key(self.at).ok_or_else(no_message)
    }

    /// Why nothing is known of a message: it is gone, or the server does not give its beginning.
    fn unknown(&self) -> Error {
        let Some(key) = self.listed.key(self.at) else {
            return no_message();
        };
        let shared = self.listed.shared();
        let number = shared.with_session(&mut shared.state(), |session| {
            self.listed.number_in(session, self.at)
        });
        match number {
            Ok(None) => key.gone(),
            Ok(Some(_)) => {
                let text = "the server does not give the header section of this message";
                shared.endpoint.wrong(text).with_path(key.name())
            }
            Err(error) => error,
        }
    }
}

impl StoredMessage for Pop3Message {
    fn name(&self) -> PathBuf {
        self.lasting_key().map(|key| key.name()).unwrap_or_default()
    }

    fn key(&self) -> Vec<u8> {
        self.lasting_key()
            .map(|key| key.to_bytes())
            .unwrap_or_default()
    }

    fn summary(&self) -> Result<&Summary> {
        let row = self.listed.rows.get(self.at).ok_or_else(no_message)?;
        if row.summary.get().is_none() {
            self.listed.read_page(self.at)?;
        }
        row.summary
            .get()
            .map(Box::as_ref)
            .ok_or_else(|| self.unknown())
    }

    fn has_lasting_key(&self) -> bool {
        self.lasting_key().is_ok_and(|key| key.id().is_some())
    }

    fn open(&self) -> Result<Arc<dyn MessageBytes>> {
        Ok(Arc::new(DeliveredBytes::new(self.listed.bytes(self.at)?)?))
    }

    fn delete(&self) -> Result<()> {
        let mut results = self.listed.shared().delete(&[self.lasting_key()?]);
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
        let name = self.listed.key(self.at).map(|key| key.name());
        f.debug_tuple("Pop3Message").field(&name).finish()
    }
}
