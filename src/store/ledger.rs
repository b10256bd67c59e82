//! Which messages of a mailbox on a server are to be deleted: written down before the server is
//! told, so that a message that was handled once and is seen again is only deleted.
//!
//! With a state directory it outlives the process: a file for each message in `handled/` and a
//! directory for its mailbox there, which goes when the server has confirmed.

use std::collections::HashSet;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use crate::error::Result;
use crate::fs::Dir;
use crate::state::{Dirs, State};

pub(super) struct Ledger {
    /// Whose mailbox it is, on which server.
    account: String,
    state: Option<Arc<State>>,
    noted: Mutex<HashSet<String>>,
}

impl Ledger {
    pub(super) fn new(account: String, state: &Arc<State>) -> Self {
        Self {
            account,
            state: state.path().is_some().then(|| Arc::clone(state)),
            noted: Mutex::default(),
        }
    }

    /// Of a server that writes nothing down.
    #[cfg(test)]
    pub(super) fn unwritten() -> Self {
        Self {
            account: String::new(),
            state: None,
            noted: Mutex::default(),
        }
    }

    /// What stands for a message: its key may hold anything.
    fn name(key: &[u8]) -> String {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, key).simple().to_string()
    }

    fn account_name(&self) -> String {
        Self::name(self.account.as_bytes())
    }

    fn dir(&self) -> Result<Option<Dir>> {
        let state = self.state.as_ref();
        let dirs = state.map(|state| state.ensure()).transpose()?;
        let own = |dirs: Arc<Dirs>| {
            let handled = dirs.root.ensure_dir("handled")?;
            handled.ensure_dir(self.account_name())
        };
        Ok(dirs.map(own).transpose()?)
    }

    /// The messages that are to be deleted already, of all that were noted.
    pub(super) fn look(&self) -> Result<Noted> {
        let mut names = self
            .noted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let existing = self
            .state
            .as_ref()
            .map(|state| state.existing())
            .transpose()?;
        if let Some(dirs) = existing.flatten() {
            let handled = dirs.root.open_dir("handled");
            match handled.and_then(|handled| handled.open_dir(self.account_name())) {
                Err(failure) if failure.is_gone() => {}
                opened => {
                    let all = opened?.all_names()?.into_iter();
                    names.extend(all.filter_map(|name| name.into_string().ok()));
                }
            }
        }
        Ok(Noted(names))
    }

    /// Notes that messages are to be deleted, durably.
    pub(super) fn note(&self, keys: &[&[u8]]) -> Result<()> {
        let names: Vec<String> = keys.iter().map(|key| Self::name(key)).collect();
        if let Some(dir) = self.dir()? {
            for (name, key) in names.iter().zip(keys) {
                let mut file = match dir.create(name) {
                    Err(failure) if failure.is_taken() => continue,
                    created => created?,
                };
                let text = format!("{} {}\n", self.account, key.escape_ascii());
                file.write_all(text.as_bytes())
                    .map_err(|source| file.write_failure(source))?;
                file.sync()?;
            }
            dir.sync()?;
        }
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.extend(names);
        Ok(())
    }

    /// They are deleted, or were not.
    pub(super) fn clear(&self, keys: &[&[u8]]) {
        self.remove(keys.iter().map(|key| Self::name(key)));
    }

    /// What was noted and is not in a full list any more is deleted.
    pub(super) fn clear_rest(&self, rest: Noted) {
        if !rest.0.is_empty() {
            self.remove(rest.0.into_iter());
        }
    }

    fn remove(&self, names: impl Iterator<Item = String>) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = self.dir().ok().flatten();
        for name in names {
            if let Some(dir) = &dir {
                // One that stays says only what is so.
                let _ = dir.remove(&name);
            }
            noted.remove(&name);
        }
    }
}

/// What was noted when it was looked at.
pub(super) struct Noted(HashSet<String>);

impl Noted {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a message that is there is to be deleted; what is left was not seen.
    pub(super) fn take(&mut self, key: &[u8]) -> bool {
        !self.0.is_empty() && self.0.remove(&Ledger::name(key))
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind::Other;

    use super::*;
    use crate::fs::Probe;
    use crate::fs::double::{Fault, Plan, place};

    fn state(root: &std::path::Path, probe: Probe) -> Arc<State> {
        let mut builder = crate::MailServer::builder()
            .mailroot(root)
            .create_directories();
        builder.probe = probe;
        Arc::clone(&builder.open().unwrap().spool().state)
    }

    #[test]
    fn p4_what_was_told_as_noted_is_noted_whatever_fails_and_dies() {
        for fault in [
            Fault::Before(Other),
            Fault::After(Other),
            Fault::Lasting(Other),
            Fault::Syncs(Other),
            Fault::Full,
            Fault::Crash,
        ] {
            for n in 0.. {
                let context = format!("{n} {fault:?}");
                let (root, plan) = (place(), Plan::new());
                let ledger = |state: &Arc<State>| Ledger::new("imap://x".to_owned(), state);
                let watched = state(root.path(), plan.probe());
                let one = ledger(&watched);
                plan.arm(n, fault);
                let noted = one.note(&[b"one", b"two"]);
                let again = one.note(&[b"two"]);
                let looked = one.look().map(|mut noted| noted.take(b"two"));
                one.clear(&[b"one"]);
                let struck = plan.struck();
                plan.disarm();
                if let (Ok(()), Ok(is_noted)) = (&noted, looked) {
                    assert!(is_noted, "{context}");
                }
                for error in [&noted, &again]
                    .into_iter()
                    .filter_map(|done| done.as_ref().err())
                {
                    assert!(error.path().is_some(), "no path: {error} {context}");
                }
                drop(one);
                // Another process, later.
                let other = ledger(&state(root.path(), Probe::default()));
                let mut found = other.look().unwrap();
                let is_there = found.take(b"two");
                assert!(
                    is_there || noted.is_err() && again.is_err(),
                    "forgotten: {context}"
                );
                other.clear_rest(found);
                other.clear(&[b"two"]);
                assert!(other.look().unwrap().is_empty(), "{context}");
                if !struck {
                    break;
                }
            }
        }
    }
}
