//! The names of all files that were seen, as keyed hashes, and where their rows are.
//!
//! Which of a million names are new is the costly question of a look. The hashes of all are one
//! value of the index, and a second, short one holds what changed since: a look that finds a few
//! new files does not write a million hashes again.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use super::row::Order;

/// A file of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::store) struct Seen {
    pub(in crate::store) hash: u64,
    pub(in crate::store) mailbox: u64,
    pub(in crate::store) order: Order,
}

const LEN: usize = 28;
/// In `recent`, an octet before each says whether it came or went.
const RECENT_LEN: usize = LEN + 1;

impl Seen {
    fn encode(&self) -> [u8; LEN] {
        let (hash, mailbox) = (self.hash.to_be_bytes(), self.mailbox.to_be_bytes());
        let (look, time) = (self.order.look.to_be_bytes(), self.order.time.to_be_bytes());
        let all = hash.iter().chain(&mailbox).chain(&look).chain(&time);
        let mut bytes = [0; LEN];
        for (to, from) in bytes.iter_mut().zip(all) {
            *to = *from;
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            hash: u64::from_be_bytes(bytes.get(..8)?.try_into().ok()?),
            mailbox: u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?),
            order: Order {
                look: u32::from_be_bytes(bytes.get(16..20)?.try_into().ok()?),
                time: u64::from_be_bytes(bytes.get(20..28)?.try_into().ok()?),
            },
        })
    }
}

/// The hashes are good ones already.
#[derive(Default)]
pub(in crate::store) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

pub(in crate::store) type Hashes = HashSet<u64, BuildHasherDefault<Identity>>;

#[derive(Debug, Default)]
pub(in crate::store) struct Known {
    /// Sorted.
    base: Vec<u8>,
    added: Vec<Seen>,
    removed: HashSet<Seen>,
    base_changed: bool,
}

impl Known {
    pub(super) fn new(base: Vec<u8>, recent: Vec<u8>) -> Option<Self> {
        if base.len() % LEN != 0 || recent.len() % RECENT_LEN != 0 {
            return None;
        }
        let mut known = Self {
            base,
            ..Self::default()
        };
        for item in recent.chunks_exact(RECENT_LEN) {
            let (&came, item) = item.split_first()?;
            let seen = Seen::decode(item)?;
            if came == 1 {
                known.added.push(seen);
            } else {
                known.removed.insert(seen);
            }
        }
        Some(known)
    }

    /// The hashes of all names.
    pub(in crate::store) fn hashes(&self) -> Hashes {
        let count = self.base.len() / LEN + self.added.len();
        let mut hashes = Hashes::with_capacity_and_hasher(count, BuildHasherDefault::default());
        hashes.extend(self.all().map(|seen| seen.hash));
        hashes
    }

    fn all(&self) -> impl Iterator<Item = Seen> + '_ {
        let base = self.base.chunks_exact(LEN).filter_map(Seen::decode);
        base.filter(|seen| self.removed.is_empty() || !self.removed.contains(seen))
            .chain(self.added.iter().copied())
    }

    /// Where the rows of a name are; several when it is for several addresses.
    pub(in crate::store) fn of(&self, hash: u64) -> Vec<Seen> {
        let count = self.base.len() / LEN;
        let item = |index: usize| {
            let start = index.checked_mul(LEN)?;
            Seen::decode(self.base.get(start..start.checked_add(LEN)?)?)
        };
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low.midpoint(high);
            match item(middle) {
                Some(seen) if seen.hash < hash => low = middle + 1,
                _ => high = middle,
            }
        }
        let in_base = (low..count)
            .map_while(|index| item(index).filter(|seen| seen.hash == hash))
            .filter(|seen| !self.removed.contains(seen));
        let added = self.added.iter().copied().filter(|seen| seen.hash == hash);
        in_base.chain(added).collect()
    }

    pub(in crate::store) fn add(&mut self, seen: impl IntoIterator<Item = Seen>) {
        self.added.extend(seen);
    }

    pub(in crate::store) fn remove(&mut self, hash: u64) {
        for seen in self.of(hash) {
            match self.added.iter().position(|added| *added == seen) {
                Some(at) => drop(self.added.swap_remove(at)),
                None => drop(self.removed.insert(seen)),
            }
        }
    }

    /// Works what changed into the sorted hashes when it has become much.
    pub(in crate::store) fn settle(&mut self) {
        let recent = self.added.len() + self.removed.len();
        if recent < 4096 + self.base.len() / LEN / 16 {
            return;
        }
        let mut added = std::mem::take(&mut self.added);
        added.sort_unstable();
        let mut base = Vec::with_capacity(self.base.len() + added.len() * LEN);
        let mut added = added.into_iter().peekable();
        for item in self.base.chunks_exact(LEN) {
            let Some(seen) = Seen::decode(item) else {
                continue;
            };
            while let Some(before) = added.next_if(|before| *before < seen) {
                base.extend(before.encode());
            }
            if !self.removed.contains(&seen) {
                base.extend(item);
            }
        }
        for rest in added {
            base.extend(rest.encode());
        }
        self.base = base;
        self.removed.clear();
        self.base_changed = true;
    }

    pub(super) fn changed_base(&self) -> Option<Vec<u8>> {
        self.base_changed.then(|| self.base.clone())
    }

    pub(super) fn recent(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity((self.added.len() + self.removed.len()) * RECENT_LEN);
        let added = self.added.iter().map(|seen| (1, seen));
        for (came, seen) in added.chain(self.removed.iter().map(|seen| (0, seen))) {
            bytes.push(came);
            bytes.extend(seen.encode());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(hash: u64) -> Seen {
        Seen {
            hash,
            mailbox: hash % 3,
            order: Order {
                look: 1,
                time: hash,
            },
        }
    }

    proptest::proptest! {
        #[test]
        fn it_knows_what_came_and_did_not_go(
            first in proptest::collection::hash_set(0u64..50, 0..40),
            gone in proptest::collection::hash_set(0u64..50, 0..20),
            second in proptest::collection::hash_set(50u64..99, 0..20),
        ) {
            let mut sorted: Vec<_> = first.iter().map(|&hash| seen(hash)).collect();
            sorted.sort_unstable();
            let base = sorted.iter().flat_map(Seen::encode).collect();
            let mut known = Known::new(base, Vec::new()).unwrap();
            gone.iter().for_each(|&hash| known.remove(hash));
            known.add(second.iter().map(|&hash| seen(hash)));
            let again = Known::new(known.base.clone(), known.recent()).unwrap();
            for known in [known, again] {
                let mut expected: Vec<_> = first.difference(&gone).chain(&second).copied().collect();
                let mut found: Vec<_> = known.hashes().into_iter().collect();
                expected.sort_unstable();
                found.sort_unstable();
                proptest::prop_assert_eq!(&found, &expected);
                for hash in 0..99 {
                    let of: Vec<_> = expected.contains(&hash).then(|| seen(hash)).into_iter().collect();
                    proptest::prop_assert_eq!(known.of(hash), of);
                }
            }
        }
    }

    #[test]
    fn much_that_changed_is_worked_in() {
        let mut known = Known::default();
        known.add((0..5000).map(seen));
        known.settle();
        assert!(known.added.is_empty() && known.changed_base().is_some());
        (0..4500).for_each(|hash| known.remove(hash));
        known.add((6000..6100).map(seen));
        known.settle();
        assert!(known.removed.is_empty());
        assert_eq!(known.hashes().len(), 600);
        assert_eq!(known.of(6001), [seen(6001)]);
        assert_eq!(known.of(1), []);
        assert!(known.base.chunks_exact(LEN).is_sorted());
    }
}
