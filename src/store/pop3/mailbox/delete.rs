//! What is deleted, and what was to be deleted when the line was lost.

use std::collections::HashMap;
use std::time::Instant;

use super::super::key::Key;
use super::super::listed::Row;
use super::{Session, Shared, State};
use crate::error::Result;
use crate::store::endpoint::for_each;
use crate::store::ledger::Noted;

impl Shared {
    /// Deletes messages in one session, which commits it by its end. What the server is to delete is
    /// written down before.
    pub(in super::super) fn delete(&self, keys: &[Key]) -> Vec<Result<()>> {
        let mut state = self.state();
        state.kept.retain(|(kept, _)| !keys.contains(kept));
        let _ = self.identify(&mut state);
        let notes = match self.notes(&mut state, keys) {
            Ok(notes) => notes,
            Err(error) => return for_each(keys, &error),
        };
        let noted: Vec<&[u8]> = notes.iter().map(Vec::as_slice).collect();
        if let Err(error) = self.ledger.note(&noted) {
            return for_each(keys, &error);
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
                return for_each(keys, &error);
            }
        };
        let session = state.session.take();
        let quit = |mut session: Session| session.open.on(&self.endpoint).quit();
        let ended = session.map_or(Ok(()), quit);
        state.left = Some(Instant::now());
        match ended {
            Ok(()) => {
                self.ledger.clear(&noted);
                results
            }
            Err(error) => {
                // What was refused before stays refused.
                let unknown = for_each(keys, &error).into_iter();
                let both = results.into_iter().zip(unknown);
                both.map(|(result, unknown)| result.and(unknown)).collect()
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

    /// What was to be deleted and is still there is only deleted; the end of the session commits it.
    pub(super) fn without_noted(
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
}

fn note_of(id: &[u8], size: Option<u64>) -> Vec<u8> {
    [id, b" ", size.unwrap_or(0).to_string().as_bytes()].concat()
}
