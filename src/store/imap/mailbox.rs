//! The mailbox of a user: the connection to it, and what is in it.

mod delete;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::content::Held;
use super::idle::Idle;
use super::key::Key;
use super::link::Link;
use super::listed::{Listed, Snapshot};
use crate::credentials::Credentials;
use crate::error::Result;
use crate::limits::Limits;
use crate::store::endpoint::{Endpoint, Lasting, again_if_lost};
use crate::store::ledger::Ledger;
use crate::store::mailbox::{Listing, LogOn, Mailbox, Page, PageRequest, StoredMessage, Waiter};

/// So many messages that were opened last are kept.
const KEPT: usize = 16;

#[derive(Debug)]
pub(super) struct ImapMailbox(pub(super) Arc<Shared>);

/// What all who are logged on as one user share.
pub(super) struct Shared {
    pub(super) endpoint: Endpoint,
    folder: String,
    /// How long an IDLE lasts.
    pub(super) idle: Duration,
    /// As the server calls it.
    folder_name: OnceLock<String>,
    pub(super) credentials: Credentials,
    pub(super) limits: Limits,
    pub(super) account: String,
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

impl Shared {
    /// Logs on: wrong credentials are found out now.
    pub(super) fn open(
        endpoint: Endpoint,
        folder: String,
        idle: Duration,
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
            idle,
            folder_name: OnceLock::new(),
            credentials,
            state: Mutex::default(),
        };
        shared.state().session = Some(shared.log_on()?);
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

    fn log_on(&self) -> Result<Session> {
        Ok(Session {
            link: Link::log_on(&self.endpoint, &self.credentials)?,
            validity: None,
            deletes: false,
        })
    }

    /// Does what can be done twice: over another connection when the one there was has died.
    fn with_session<T>(
        &self,
        state: &mut State,
        work: impl Fn(&mut Session) -> Result<T>,
    ) -> Result<T> {
        again_if_lost(&mut state.session, || self.log_on(), work)
    }

    /// The same where UIDs must mean what they meant in a listing.
    pub(super) fn with_folder<T>(
        &self,
        state: &mut State,
        key: Key,
        work: impl Fn(&mut Link) -> Result<T>,
    ) -> Result<T> {
        self.in_folder(state, key, false, work)
    }

    fn in_folder<T>(
        &self,
        state: &mut State,
        key: Key,
        deletes: bool,
        work: impl Fn(&mut Link) -> Result<T>,
    ) -> Result<T> {
        self.with_session(state, |session| {
            let fits = session.deletes || !deletes;
            let validity = match session.validity.take().filter(|_| fits) {
                Some(validity) => validity,
                None => {
                    let folder = self.folder_name(&mut session.link)?;
                    session.deletes = deletes;
                    let enter = if deletes { Link::select } else { Link::examine };
                    enter(&mut session.link, folder)?.validity
                }
            };
            session.validity = Some(validity);
            if validity != key.validity {
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

    /// A message that was opened before.
    pub(super) fn kept(state: &State, key: Key) -> Option<Arc<Held>> {
        let found = state.kept.iter().find(|(kept, _)| *kept == key);
        found.map(|(_, held)| Arc::clone(held))
    }
}

impl Lasting for Session {
    fn is_lost(&self) -> bool {
        self.link.is_lost()
    }
}

impl State {
    pub(super) fn keep(&mut self, key: Key, held: Arc<Held>) {
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
        self.0.delete_listed(messages)
    }

    fn waiter(&self) -> Box<dyn Waiter> {
        Box::new(Idle::new(&self.0))
    }

    fn close(&self) {
        self.0.leave();
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
            account: "nobody".to_owned(),
            folder: "INBOX".to_owned(),
            idle: Duration::from_secs(1),
            folder_name: OnceLock::new(),
        })
    }
}
