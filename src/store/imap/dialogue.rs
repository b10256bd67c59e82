//! What is asked of an IMAP server: log-on, what there is, octets, deletion.

use std::num::NonZeroU32;

use imap_next::imap_types::command::CommandBody;
use imap_next::imap_types::core::Vec1;
use imap_next::imap_types::fetch::{MessageDataItem, MessageDataItemName};
use imap_next::imap_types::flag::{Flag, FlagPerm, StoreResponse, StoreType};
use imap_next::imap_types::mailbox::{ListMailbox, Mailbox};
use imap_next::imap_types::response::{Capability, Code, Data, StatusKind};
use imap_next::imap_types::search::SearchKey;
use imap_next::imap_types::sequence::SequenceSet;

use super::done::Done;
use super::link::{Link, Told};
use crate::error::{Error, ErrorKind, Result};

/// So many messages one answer to a search is about: it stays far below the longest answer.
const SEARCHED: u32 = 50_000;
/// So many messages a folder may have.
const MOST_MESSAGES: u32 = 4_000_000;
/// So often a list is begun again, since messages went while it was made.
const TRIES: usize = 10;

/// What SELECT told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Selected {
    pub(super) validity: u32,
    exists: u32,
    /// Messages can be marked as deleted, for good.
    can_delete: bool,
}

/// Answers to FETCH, by UID.
pub(super) type Fetched = Vec<(u32, Vec<MessageDataItem<'static>>)>;

impl Link {
    fn done(&self, done: &Done) -> Result<()> {
        match done.kind {
            StatusKind::Ok => Ok(()),
            _ => Err(done.refused(self.endpoint())),
        }
    }

    /// Selects the folder anew, to delete in it: what UIDs mean holds for the validity that it tells.
    pub(super) fn select(&mut self, folder: &str) -> Result<Selected> {
        let selected = self.enter(|mailbox| CommandBody::Select { mailbox }, folder)?;
        if selected.can_delete {
            return Ok(selected);
        }
        let message = format!("{}: nothing can be deleted in this folder", self.endpoint());
        Err(Error::new(ErrorKind::NoAccess, message))
    }

    /// The same only to read.
    pub(super) fn examine(&mut self, folder: &str) -> Result<Selected> {
        self.enter(|mailbox| CommandBody::Examine { mailbox }, folder)
    }

    fn enter(
        &mut self,
        command: fn(Mailbox<'static>) -> CommandBody<'static>,
        folder: &str,
    ) -> Result<Selected> {
        let mailbox = Mailbox::try_from(folder.to_owned());
        let mailbox = mailbox.map_err(|_| {
            let message = "the server cannot be told the name of this folder";
            Error::new(ErrorKind::InvalidValue, message).with_field("folder")
        })?;
        let (mut validity, mut exists, mut can_delete) = (None, None, true);
        let done = self.run(command(mailbox), &mut |told| match told {
            Told::Code(Code::UidValidity(number)) => validity = Some(number.get()),
            Told::Code(Code::PermanentFlags(flags)) => {
                can_delete = flags.contains(&FlagPerm::Flag(Flag::Deleted));
            }
            Told::Data(Data::Exists(count)) => exists = Some(count),
            _ => {}
        })?;
        if done.kind == StatusKind::No {
            let (kind, why) = (done.refused(self.endpoint()).kind(), &done.text);
            let message = format!("{}: no folder `{folder}`: {why}", self.endpoint());
            return Err(Error::new(kind, message));
        }
        self.done(&done)?;
        match (validity, exists) {
            (Some(validity), Some(exists)) => Ok(Selected {
                validity,
                exists,
                can_delete: can_delete && !matches!(done.code, Some(Code::ReadOnly)),
            }),
            _ => Err(self.wrong("the server does not tell what UIDs there are")),
        }
    }

    /// What the server calls a folder whose levels stand between slashes (RFC 3501 section 5.1).
    pub(super) fn name_of(&mut self, folder: &str) -> Result<String> {
        if folder.eq_ignore_ascii_case("INBOX") {
            return Ok("INBOX".to_owned());
        }
        let wrong = "a folder's name is of levels between slashes, none of them empty";
        let invalid = || Error::new(ErrorKind::InvalidValue, wrong).with_field("folder");
        let empty = || Mailbox::try_from(String::new()).map_err(|_| invalid());
        let list = CommandBody::List {
            reference: empty()?,
            mailbox_wildcard: ListMailbox::try_from("").map_err(|_| invalid())?,
        };
        let mut delimiter = None;
        let done = self.run(list, &mut |told| {
            if let Told::Data(Data::List {
                delimiter: told, ..
            }) = told
            {
                delimiter = told.map(|told| told.inner());
            }
        })?;
        self.done(&done)?;
        let levels: Vec<&str> = folder.split('/').collect();
        let between = delimiter.map_or(String::new(), String::from);
        let is_level = |level: &&str| {
            !level.is_empty() && delimiter.is_none_or(|delimiter| !level.contains(delimiter))
        };
        if !levels.iter().all(is_level) || levels.len() > 1 && delimiter.is_none() {
            return Err(invalid());
        }
        let levels = levels.into_iter();
        let encoded = levels.map(|level| utf7_imap::encode_utf7_imap(level.to_owned()));
        Ok(encoded.collect::<Vec<_>>().join(&between))
    }

    /// The UIDs of the messages of the folder that are not to be deleted, in their order.
    pub(super) fn uids(&mut self, folder: &str) -> Result<(Selected, Vec<u32>)> {
        for _ in 0..TRIES {
            let selected = self.examine(folder)?;
            if let Some(uids) = self.search_all(selected.exists)? {
                return Ok((selected, uids));
            }
        }
        Err(self.wrong("messages go faster than they can be listed; try again"))
    }

    /// The newest of them, so many and perhaps more, and whether those are all; `None` when messages
    /// went meanwhile.
    pub(super) fn newest_uids(
        &mut self,
        folder: &str,
        most: usize,
    ) -> Result<Option<(Selected, Vec<u32>, bool)>> {
        let selected = self.examine(folder)?;
        let mut step = u32::try_from(most).unwrap_or(SEARCHED).clamp(1, SEARCHED);
        let (mut uids, mut last, mut is_moved) = (Vec::new(), selected.exists, false);
        while last > 0 && uids.len() < most {
            let first = last.saturating_sub(step - 1).max(1);
            uids.extend(self.search_numbers(first, last, &mut is_moved)?);
            if is_moved {
                return Ok(None);
            }
            last = first - 1;
            // Where few are left of many, it takes no longer than a list of all.
            step = step.saturating_mul(2).min(SEARCHED);
        }
        uids.sort_unstable();
        uids.dedup();
        Ok(Some((selected, uids, last == 0)))
    }

    fn search_numbers(&mut self, first: u32, last: u32, is_moved: &mut bool) -> Result<Vec<u32>> {
        let set = SequenceSet::try_from(format!("{first}:{last}").as_str());
        let set = set.map_err(|_| self.wrong("no set"))?;
        self.search(
            vec![SearchKey::SequenceSet(set), SearchKey::Undeleted],
            is_moved,
        )
    }

    /// `None` when messages went meanwhile: the numbers of the others are not the same then.
    fn search_all(&mut self, exists: u32) -> Result<Option<Vec<u32>>> {
        if exists > MOST_MESSAGES {
            return Err(self.wrong("the server has more messages than can be listed"));
        }
        let (mut uids, mut first) = (Vec::new(), 1);
        let mut is_moved = false;
        while first <= exists {
            let last = exists.min(first.saturating_add(SEARCHED - 1));
            let found = self.search_numbers(first, last, &mut is_moved)?;
            uids.extend(found);
            // The next piece would have other numbers.
            if is_moved && last < exists {
                return Ok(None);
            }
            first = last.saturating_add(1);
        }
        uids.sort_unstable();
        uids.dedup();
        Ok(Some(uids))
    }

    fn search(
        &mut self,
        criteria: Vec<SearchKey<'static>>,
        is_moved: &mut bool,
    ) -> Result<Vec<u32>> {
        let criteria = Vec1::try_from(criteria).map_err(|_| self.wrong("no criteria"))?;
        let mut found: Option<Vec<u32>> = None;
        let done = self.run(
            CommandBody::search(None, criteria, true),
            &mut |told| match told {
                Told::Data(Data::Search(uids, ..)) => {
                    let uids = uids.into_iter().map(NonZeroU32::get);
                    found.get_or_insert_default().extend(uids);
                }
                Told::Data(Data::Expunge(_)) => *is_moved = true,
                _ => {}
            },
        )?;
        self.done(&done)?;
        if done.malformed > 0 && found.is_none() {
            return Err(self.wrong("the server's answer to a search cannot be understood"));
        }
        Ok(found.unwrap_or_default())
    }

    /// Which of these messages are there and not deleted.
    pub(super) fn present(&mut self, uids: &[u32]) -> Result<Vec<u32>> {
        let Some(set) = set_of(uids) else {
            return Ok(Vec::new());
        };
        let criteria = vec![SearchKey::Uid(set), SearchKey::Undeleted];
        let mut found = self.search(criteria, &mut false)?;
        found.retain(|uid| uids.contains(uid));
        Ok(found)
    }

    /// Marks messages as deleted.
    pub(super) fn mark_deleted(&mut self, uids: &[u32]) -> Result<()> {
        let Some(set) = set_of(uids) else {
            return Ok(());
        };
        let store = CommandBody::Store {
            sequence_set: set,
            kind: StoreType::Add,
            response: StoreResponse::Silent,
            flags: vec![Flag::Deleted],
            uid: true,
        };
        let done = self.run(store, &mut |_| {})?;
        self.done(&done)
    }

    /// Removes those messages that are marked, and never another's. Where the server cannot do that
    /// they stay marked, and are not shown.
    pub(super) fn expunge(&mut self, uids: &[u32]) -> Result<()> {
        let Some(set) = set_of(uids).filter(|_| self.has(&Capability::UidPlus)) else {
            return Ok(());
        };
        let done = self.run(CommandBody::ExpungeUid { sequence_set: set }, &mut |_| {})?;
        self.done(&done)
    }

    /// Items of messages; each is asked for by a command of its own, since servers have some of them
    /// at hand and must look for others. A message whose answer cannot be understood is asked for
    /// alone; what it lacks then it lacks.
    pub(super) fn fetch(
        &mut self,
        uids: &[u32],
        items: &[MessageDataItemName<'static>],
    ) -> Result<Fetched> {
        let (mut fetched, malformed) = self.fetch_once(uids, items)?;
        if malformed == 0 {
            return Ok(fetched);
        }
        if let [uid] = uids {
            // What the server says of it is nothing; that it is gone, it does not say.
            if fetched
                .iter()
                .any(|(known, items)| known == uid && items.len() > 1)
            {
                return Ok(fetched);
            }
            let text = "the server's answer about this message cannot be understood";
            return Err(self.endpoint().wrong(text));
        }
        for uid in uids {
            let is_whole =
                |(known, told): &&(u32, Vec<_>)| known == uid && told.len() > items.len();
            if fetched.iter().find(is_whole).is_none() {
                fetched.retain(|(known, _)| known != uid);
                fetched.extend(self.fetch_once(&[*uid], items)?.0);
            }
        }
        Ok(fetched)
    }

    fn fetch_once(
        &mut self,
        uids: &[u32],
        items: &[MessageDataItemName<'static>],
    ) -> Result<(Fetched, usize)> {
        let Some(set) = set_of(uids) else {
            return Ok((Vec::new(), 0));
        };
        let fetch = |item: &MessageDataItemName<'static>| CommandBody::Fetch {
            sequence_set: set.clone(),
            macro_or_item_names: vec![MessageDataItemName::Uid, item.clone()].into(),
            uid: true,
        };
        let commands = items.iter().map(fetch).collect();
        let mut fetched: Fetched = Vec::new();
        let all = self.run_together(commands, &mut |told| {
            let Told::Data(Data::Fetch { items, .. }) = told else {
                return;
            };
            let items: Vec<_> = items.into_iter().collect();
            let uid = items.iter().find_map(|item| match item {
                MessageDataItem::Uid(uid) => Some(uid.get()),
                _ => None,
            });
            // A change of flags that somebody else has made has no UID or no item of ours.
            if let Some(uid) = uid.filter(|uid| uids.contains(uid)) {
                match fetched.iter_mut().find(|(known, _)| *known == uid) {
                    Some((_, known)) => known.extend(items),
                    None => fetched.push((uid, items)),
                }
            }
        })?;
        for done in &all {
            self.done(done)?;
        }
        let malformed = all.iter().map(|done| done.malformed).sum();
        Ok((fetched, malformed))
    }
}

/// A set of UIDs, runs of them as ranges.
fn set_of(uids: &[u32]) -> Option<SequenceSet> {
    let mut sorted = uids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut text = String::new();
    let mut rest = sorted.iter().copied().peekable();
    while let Some(first) = rest.next() {
        let mut last = first;
        while let Some(next) = rest.next_if(|next| Some(*next) == last.checked_add(1)) {
            last = next;
        }
        if !text.is_empty() {
            text.push(',');
        }
        text += &if first == last {
            first.to_string()
        } else {
            format!("{first}:{last}")
        };
    }
    SequenceSet::try_from(text.as_str()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_written_as_ranges() {
        let text = |set: &SequenceSet| format!("{set:?}").matches("Single").count();
        let set = |uids: &[u32]| set_of(uids).map(|set| (set.0.as_ref().len(), text(&set)));
        assert_eq!(set(&[]), None);
        assert_eq!(set(&[5, 3, 4, 9, 9]), Some((2, 1)));
        assert_eq!(set(&[u32::MAX, 1]), Some((2, 2)));
        assert_eq!(set(&[0]), None);
    }
}
