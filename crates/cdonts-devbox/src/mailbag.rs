//! All the mail that there is, whoever it is for.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::SystemTime;

use cdonts::{ErrorKind, Message, MessageFile, Result, Session};

use crate::Devbox;
use crate::catch::{Catch, Caught};

/// So many of each address are shown, the newest.
const MOST: usize = 500;

/// A message, and who sees it.
pub(crate) struct Mail {
    pub(crate) id: String,
    /// Who sees it; for what was kept from going out, who would have got it.
    pub(crate) addresses: Vec<String>,
    pub(crate) kind: Kind,
    pub(crate) sender: String,
    pub(crate) subject: String,
    pub(crate) reverse_path: String,
    pub(crate) time: SystemTime,
    pub(crate) size: u64,
    from: From,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is in the Inboxes of its addresses.
    Delivered,
    /// It is in the drop, and nobody's.
    Unclaimed,
    /// It would have gone out.
    Caught,
}

enum From {
    /// The same file as each address sees it.
    Drop(Vec<Message>),
    Catch(Caught),
}

/// What of it is asked for.
#[derive(Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) address: String,
    /// Words that it must hold, in any case.
    pub(crate) words: String,
}

impl Mail {
    /// Reads the message.
    pub(crate) fn open(&self) -> Result<MessageFile> {
        match &self.from {
            From::Drop(seen) => {
                let mut bytes = Vec::new();
                if let Some(message) = seen.first() {
                    message.write_to(&mut bytes)?;
                }
                MessageFile::from_bytes(bytes)
            }
            From::Catch(caught) => MessageFile::from_bytes(caught.bytes.to_vec()),
        }
    }

    /// Deletes it for everybody who sees it.
    pub(crate) fn delete(self, devbox: &Devbox) -> Result<()> {
        match self.from {
            From::Drop(seen) => seen
                .into_iter()
                .try_for_each(|message| match message.delete() {
                    Err(error) if error.kind() == ErrorKind::MessageGone => Ok(()),
                    done => done,
                }),
            From::Catch(caught) => {
                if let Some(catch) = &devbox.catch {
                    catch.remove(&caught.id);
                }
                Ok(())
            }
        }
    }

    fn delivered(kind: Kind, file: &PathBuf, message: Message) -> Self {
        Self {
            id: id_of(&(file, message.time_received())),
            addresses: Vec::new(),
            kind,
            sender: message.sender().to_string(),
            subject: message.subject().to_owned(),
            reverse_path: message.reverse_path().to_owned(),
            time: message.time_received(),
            size: message.size(),
            from: From::Drop(vec![message]),
        }
    }

    fn caught(caught: Caught) -> Self {
        Self {
            id: id_of(&(&caught.id, caught.time)),
            addresses: caught.recipients.clone(),
            kind: Kind::Caught,
            sender: caught.sender.clone(),
            subject: caught.subject.clone(),
            reverse_path: caught.reverse_path.clone(),
            time: caught.time,
            size: caught.bytes.len() as u64,
            from: From::Catch(caught),
        }
    }

    fn is_wanted(&self, wanted: &Wanted) -> bool {
        let his = wanted.address.to_lowercase();
        let is_his = |address: &String| address.to_lowercase() == his;
        if !wanted.address.is_empty() && !self.addresses.iter().any(is_his) {
            return false;
        }
        let words = wanted.words.to_lowercase();
        let mut left: Vec<&str> = words.split_whitespace().collect();
        if left.is_empty() {
            return true;
        }
        let head = format!(
            "{} {} {}",
            self.sender,
            self.subject,
            self.addresses.join(" ")
        );
        let head = head.to_lowercase();
        left.retain(|word| !head.contains(word));
        if left.is_empty() {
            return true;
        }
        // What cannot be read holds no word.
        let text = self.open().and_then(|message| message.text());
        let text = text.unwrap_or_default().to_lowercase();
        left.iter().all(|word| text.contains(word))
    }
}

fn id_of(what: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// All there is, the newest first.
pub(crate) fn all(devbox: &Devbox) -> Result<Vec<Mail>> {
    let mut files: BTreeMap<PathBuf, Mail> = BTreeMap::new();
    let has_drop = devbox.server.drop_dir().is_some();
    let addresses = if has_drop {
        devbox.server.addresses()?
    } else {
        Vec::new()
    };
    for address in addresses {
        let session = match Session::logon_smtp(&devbox.server, "", &address) {
            // The application lets nobody log on under it.
            Err(error) if error.kind() == ErrorKind::LogonFailed => continue,
            session => session?,
        };
        for message in session.inbox().newest_first()?.take(MOST) {
            let message = message?;
            let name = message.file_name();
            if let Some(Mail {
                addresses,
                from: From::Drop(seen),
                ..
            }) = files.get_mut(&name)
            {
                addresses.push(address.clone());
                seen.push(message);
            } else {
                let mut mail = Mail::delivered(Kind::Delivered, &name, message);
                mail.addresses.push(address.clone());
                files.insert(name, mail);
            }
        }
    }
    if has_drop {
        let unclaimed = devbox.server.unclaimed()?;
        let newest = (0..unclaimed.len()).rev().take(MOST);
        for message in newest.filter_map(|at| unclaimed.get(at)) {
            let name = message.file_name();
            let mail = Mail::delivered(Kind::Unclaimed, &name, message);
            files.entry(name).or_insert(mail);
        }
    }
    let caught = devbox.catch.iter().flat_map(Catch::all).map(Mail::caught);
    let mut all: Vec<Mail> = files.into_values().chain(caught).collect();
    all.sort_by(|a, b| (b.time, &b.id).cmp(&(a.time, &a.id)));
    Ok(all)
}

/// The addresses with their numbers of messages.
pub(crate) fn addresses(all: &[Mail]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for address in all.iter().flat_map(|mail| &mail.addresses) {
        *counts.entry(address.to_lowercase()).or_default() += 1;
    }
    counts
}

pub(crate) fn wanted(all: Vec<Mail>, wanted: &Wanted) -> Vec<Mail> {
    all.into_iter()
        .filter(|mail| mail.is_wanted(wanted))
        .collect()
}

/// Changes when something came or went.
pub(crate) fn fingerprint(all: &[Mail]) -> String {
    id_of(&all.iter().map(|mail| &mail.id).collect::<Vec<_>>())
}
