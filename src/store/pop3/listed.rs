//! A listing of a POP3 mailbox, and its messages: read when they are asked for.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::key::Key;
use super::mailbox::{Session, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::format::bytes::{MessageBytes, read_range};
use crate::scratch::Scratch;
use crate::store::delivered::{DeliveredBytes, page_around};
use crate::store::entry::Summary;
use crate::store::mailbox::StoredMessage;

/// So many header sections are asked for together.
const PAGE: usize = 50;

/// A snapshot of the mailbox.
pub(super) struct Listed {
    pub(super) shared: Arc<Shared>,
    pub(super) session: u64,
    pub(super) rows: Vec<Row>,
    /// Asked for at once where there are few messages; where there are many when somebody must
    /// know, at the latest when the session ends.
    pub(super) ids: OnceLock<Vec<Option<Vec<u8>>>>,
}

/// A message of it: its number in the session, and what was read of it.
pub(super) struct Row {
    pub(super) number: u32,
    pub(super) size: Option<u64>,
    pub(super) summary: OnceLock<Box<Summary>>,
}

pub(super) struct Pop3Message {
    pub(super) listed: Arc<Listed>,
    pub(super) at: usize,
}

/// The ids of rows, as far as each is its own.
pub(super) fn own_ids(rows: &[Row], ids: &HashMap<u32, Vec<u8>>) -> Vec<Option<Vec<u8>>> {
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
    pub(super) fn new(number: u32, size: Option<u64>) -> Self {
        Self {
            number,
            size,
            summary: OnceLock::new(),
        }
    }
}

impl Listed {
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// What is known of a message as long as its session lasts: its number. Afterwards its id.
    pub(super) fn key(&self, at: usize) -> Option<Key> {
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
    pub(super) fn lasting_key(&self, at: usize) -> Option<Key> {
        let _ = self.identify();
        self.key(at)
    }

    /// Asks for the ids where they are not known yet; the session may be over.
    fn identify(&self) -> Result<()> {
        if self.ids.get().is_some() {
            return Ok(());
        }
        let shared = self.shared();
        shared.identify(&mut shared.state())?;
        let text = "the session ended before the ids of its messages were asked for";
        let known = self.ids.get().map(drop);
        known.ok_or_else(|| shared.endpoint.wrong(text))
    }

    /// The number of a message in a session, if it is there.
    pub(super) fn number_in(&self, session: &mut Session, at: usize) -> Result<Option<u32>> {
        if session.number == self.session {
            return Ok(self.rows.get(at).map(|row| row.number));
        }
        let key = self.key(at);
        key.map_or(Ok(None), |key| {
            session.number_of(&self.shared.endpoint, &key)
        })
    }

    /// Reads what a listing shows of a message and of those beside it.
    pub(super) fn read_page(&self, at: usize) -> Result<()> {
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
    pub(super) fn read_whole(&self, at: usize) -> Result<()> {
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
    pub(super) fn bytes(&self, at: usize) -> Result<Arc<dyn MessageBytes>> {
        let shared = self.shared();
        let key = self.key(at).ok_or_else(no_message)?;
        let mut state = shared.state();
        if let Some(bytes) = state.kept(&key) {
            return Ok(bytes);
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
        state.keep(key, Arc::clone(&bytes));
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

    fn has_lasting_key(&self) -> Result<bool> {
        self.listed.identify()?;
        let key = self.listed.key(self.at);
        Ok(key.is_some_and(|key| key.id().is_some()))
    }

    fn open(&self) -> Result<Arc<dyn MessageBytes>> {
        let bytes = self.listed.bytes(self.at).and_then(DeliveredBytes::new);
        bytes.map(|bytes| Arc::new(bytes) as Arc<dyn MessageBytes>)
    }

    fn delete(&self) -> Result<()> {
        let key = self.lasting_key()?;
        let results = self.listed.shared().delete(std::slice::from_ref(&key));
        results.into_iter().collect()
    }
}

impl fmt::Debug for Pop3Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.listed.key(self.at).map(|key| key.name());
        f.debug_tuple("Pop3Message").field(&name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One message of a server that is not there.
    fn listed(ids: OnceLock<Vec<Option<Vec<u8>>>>) -> Arc<Listed> {
        Arc::new(Listed {
            shared: Shared::offline(),
            session: 1,
            rows: vec![Row::new(1, None)],
            ids,
        })
    }

    /// A caller that asks for more than was listed.
    #[test]
    fn what_was_not_listed_is_gone() {
        let listed = listed(OnceLock::from(vec![None]));
        let beyond: Arc<dyn StoredMessage> = Arc::new(Pop3Message {
            listed: Arc::clone(&listed),
            at: 1,
        });
        listed.read_page(1).unwrap();
        let errors = [
            beyond.summary().map(drop).unwrap_err(),
            beyond.open().map(drop).unwrap_err(),
            beyond.delete().unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::MessageGone, "{error}");
        }
        assert_eq!((beyond.name(), beyond.key()), (PathBuf::new(), Vec::new()));
        assert!(!beyond.has_lasting_key().unwrap());
        let message = Pop3Message { listed, at: 1 };
        assert_eq!(message.unknown().kind(), ErrorKind::MessageGone);
        let mailbox = super::super::mailbox::Pop3Mailbox(Shared::offline());
        let results = crate::store::Mailbox::delete(&mailbox, &[beyond]);
        let kinds: Vec<_> = results
            .into_iter()
            .map(|one| one.unwrap_err().kind())
            .collect();
        assert_eq!(kinds, [ErrorKind::MessageGone]);
    }

    /// Why nothing is known of a message is the server's to say.
    #[test]
    fn a_line_that_is_gone_when_it_is_asked_why_is_told() {
        let listed = listed(OnceLock::from(vec![Some(b"id".to_vec())]));
        let error = Pop3Message { listed, at: 0 }.unknown();
        assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    }

    /// That is not to have none.
    #[test]
    fn ids_that_cannot_be_had_any_more_are_an_error() {
        let listed = listed(OnceLock::new());
        let message = Pop3Message { listed, at: 0 };
        let error = message.has_lasting_key().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    }

    #[test]
    fn an_id_that_comes_twice_is_nobodys() {
        let rows: Vec<_> = (1..=5).map(|number| Row::new(number, None)).collect();
        let said = [(1, "a"), (2, "twice"), (3, "twice"), (4, "")];
        let ids = said.map(|(number, id)| (number, id.as_bytes().to_vec()));
        let own = own_ids(&rows, &ids.into_iter().collect());
        assert_eq!(own, [Some(b"a".to_vec()), None, None, None, None]);
    }
}
