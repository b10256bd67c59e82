//! The mailbox of a user, over one session of POP3 after the other.

mod delete;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::dialogue::{Numbered, Open};
use super::key::Key;
use super::listed::{Listed, Pop3Message, Row, own_ids};
use crate::credentials::Credentials;
use crate::error::Result;
use crate::format::bytes::MessageBytes;
use crate::limits::Limits;
use crate::store::endpoint::{Endpoint, Lasting, again_if_lost};
use crate::store::ledger::Ledger;
use crate::store::mailbox::{Listing, LogOn, Mailbox, Poll, StoredMessage, Waiter};

/// With more messages than this a listing asks for their ids later.
const MANY: u32 = if cfg!(test) { 3 } else { 1000 };
/// So many messages that were opened last are kept: each part that is read opens one anew.
const KEPT: usize = 4;
/// A session in which nothing was done and that is no older sees what there is now, as far as
/// anybody can tell: who lists as soon as he has logged on needs no other.
const NOW: Duration = Duration::from_millis(2);

#[derive(Debug)]
pub(super) struct Pop3Mailbox(pub(super) Arc<Shared>);

/// What all who are logged on as one user share.
pub(super) struct Shared {
    pub(super) endpoint: Endpoint,
    pub(super) credentials: Credentials,
    pub(super) limits: Limits,
    ledger: Ledger,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    session: Option<Session>,
    sessions: u64,
    /// The snapshot whose ids are not known yet.
    lazy: Weak<Listed>,
    kept: VecDeque<(Key, Arc<dyn MessageBytes>)>,
    /// The server sends bodies where header sections were asked for, or header sections that are
    /// too long.
    pub(super) sends_bodies: bool,
    /// When a session ended last.
    left: Option<Instant>,
    /// When the session began in which nothing was done yet.
    logged_on: Option<Instant>,
}

/// What one session of the server knows.
pub(super) struct Session {
    pub(super) open: Open,
    pub(super) number: u64,
    /// By unique id, as far as there are any; made when they are asked for.
    numbers: Option<HashMap<Vec<u8>, u32>>,
}

impl Lasting for Session {
    fn is_lost(&self) -> bool {
        self.open.is_lost()
    }
}

impl State {
    pub(super) fn kept(&self, key: &Key) -> Option<Arc<dyn MessageBytes>> {
        let found = self.kept.iter().find(|(kept, _)| kept == key);
        found.map(|(_, bytes)| Arc::clone(bytes))
    }

    pub(super) fn keep(&mut self, key: Key, bytes: Arc<dyn MessageBytes>) {
        self.kept.truncate(KEPT - 1);
        self.kept.push_front((key, bytes));
    }
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
        let mut state = shared.state();
        shared.with_session(&mut state, |_| Ok(()))?;
        state.logged_on = Some(Instant::now());
        drop(state);
        Ok(shared)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub(super) fn with_session<T>(
        &self,
        state: &mut State,
        work: impl Fn(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let (left, sessions) = (state.left, &mut state.sessions);
        let open = || {
            *sessions += 1;
            Ok(Session {
                open: self.log_on(left)?,
                number: *sessions,
                numbers: None,
            })
        };
        again_if_lost(&mut state.session, open, work)
    }

    fn leave(&self, state: &mut State) {
        let _ = self.identify(state);
        if let Some(session) = state.session.take() {
            session.open.leave(&self.endpoint);
            state.left = Some(Instant::now());
        }
    }

    fn list(self: &Arc<Self>) -> Result<Listing> {
        let mut state = self.state();
        // A session sees what was there when it began, and nothing that came since.
        let is_of_now = state.logged_on.take().is_some_and(|at| at.elapsed() < NOW);
        if !is_of_now {
            self.leave(&mut state);
        }
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

    /// Asks for the ids of a snapshot while its session lasts. Where that fails its messages are
    /// known by nothing: they are gone.
    pub(super) fn identify(&self, state: &mut State) -> Result<()> {
        let listed = std::mem::take(&mut state.lazy).upgrade();
        let (Some(listed), Some(session)) = (listed, &mut state.session) else {
            return Ok(());
        };
        if session.number != listed.session || listed.ids.get().is_some() {
            return Ok(());
        }
        let ids = session.open.on(&self.endpoint).unique_ids()?;
        session.numbers = ids.as_ref().map(numbers_of);
        let ids = ids.into_iter().flatten().collect();
        let _ = listed.ids.set(own_ids(&listed.rows, &ids));
        Ok(())
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

impl Session {
    /// The number of a listed message in this session.
    pub(super) fn number_of(&mut self, endpoint: &Endpoint, key: &Key) -> Result<Option<u32>> {
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

#[cfg(test)]
impl Shared {
    /// Of a server that is not there.
    pub(super) fn offline() -> Arc<Self> {
        Arc::new(Self {
            ledger: Ledger::unwritten(),
            limits: Limits::default(),
            endpoint: Endpoint::offline(),
            credentials: Credentials::password("ann@example.com", "secret"),
            state: Mutex::default(),
        })
    }
}
