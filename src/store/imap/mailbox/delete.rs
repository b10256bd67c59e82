//! What is deleted, and what was to be deleted when the line was lost.

use std::sync::Arc;

use super::super::key::Key;
use super::super::link::Link;
use super::{Shared, State};
use crate::error::{Error, ErrorKind, Result};
use crate::store::endpoint::for_each;
use crate::store::ledger::Noted;
use crate::store::mailbox::StoredMessage;

/// So many messages are deleted by one command, which must not be too long.
const TOGETHER: usize = 300;

impl Shared {
    /// Deletes messages, of one listing or of several.
    pub(super) fn delete_listed(&self, messages: &[Arc<dyn StoredMessage>]) -> Vec<Result<()>> {
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
                some.flat_map(|keys| self.delete(keys)).collect()
            }
            None => messages.iter().map(|message| message.delete()).collect(),
        }
    }

    /// Deletes messages, which are written down before.
    pub(in super::super) fn delete(&self, keys: &[Key]) -> Vec<Result<()>> {
        let Some(first) = keys.first().copied() else {
            return Vec::new();
        };
        let noted: Vec<[u8; 8]> = keys.iter().map(|key| key.to_bytes()).collect();
        let noted: Vec<&[u8]> = noted.iter().map(|key| &key[..]).collect();
        let mut state = self.state();
        if let Err(error) = self.ledger.note(&noted) {
            return for_each(keys, &error);
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
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => for_each(keys, &error),
            Err(error) => {
                self.ledger.clear(&noted);
                for_each(keys, &error)
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

    /// Does what deletes, where UIDs must mean what they meant in a listing: that needs SELECT.
    fn with_folder_to_delete<T>(
        &self,
        state: &mut State,
        key: Key,
        work: impl Fn(&mut Link) -> Result<T>,
    ) -> Result<T> {
        self.in_folder(state, key, true, work)
    }

    /// What was to be deleted and is still there is only deleted.
    pub(super) fn without_noted(
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
}

fn unknown(error: &Error) -> Error {
    let message =
        format!("whether the messages are deleted is not known; they are not shown again: {error}");
    Error::new(ErrorKind::OutcomeUnknown, message)
}
