//! The names of all files that were seen, as keyed hashes, and where their rows are.
//!
//! Which of a million names are new is the costly question of a look. The hashes stand in sorted
//! runs, each a value of the index, and what changed since in a short list: a look that finds a
//! few new files does not write a million hashes again, and the first look holds only one run.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use super::octets::{take_array, take_octet};
use super::row::Order;

/// A file of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::store) struct Seen {
    pub(in crate::store) hash: u64,
    pub(in crate::store) mailbox: u64,
    pub(in crate::store) order: Order,
}

const LEN: usize = 28;
/// So many changes become a run; in tests a few, so that each of them has some.
const RUN: usize = if cfg!(test) { 4 } else { 64 * 1024 };

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

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        Self::take(&mut bytes)
    }

    fn take(rest: &mut &[u8]) -> Option<Self> {
        Some(Self {
            hash: take_array(rest).map(u64::from_be_bytes)?,
            mailbox: take_array(rest).map(u64::from_be_bytes)?,
            order: Order {
                look: take_array(rest).map(u32::from_be_bytes)?,
                time: take_array(rest).map(u64::from_be_bytes)?,
            },
        })
    }
}

/// The hashes of all names, to be ticked off while a directory is read.
///
/// They stand in order, and since they are evenly spread, the first bits of one tell nearly where:
/// looking up a million of them, in no order, hardly leaves the processor's caches.
pub(in crate::store) struct Names {
    hashes: Vec<u64>,
    /// For each beginning of so many bits, where the hashes with it start; and the end.
    starts: Vec<usize>,
    bits: u32,
    ticked: Vec<bool>,
}

impl Names {
    /// `hashes` are in order.
    pub(in crate::store) fn new(hashes: Vec<u64>) -> Self {
        // About eight hashes have the same beginning.
        let bits = (hashes.len() / 8).checked_ilog2().unwrap_or(0).clamp(1, 24);
        let mut starts = Vec::with_capacity((1 << bits) + 1);
        for (at, &hash) in hashes.iter().enumerate() {
            while starts.len() <= beginning(hash, bits) {
                starts.push(at);
            }
        }
        starts.resize((1 << bits) + 1, hashes.len());
        Self {
            ticked: vec![false; hashes.len()],
            hashes,
            starts,
            bits,
        }
    }

    /// Ticks names off; for each, whether it is known and was not ticked before.
    ///
    /// Many together, since each look-up waits for memory, and those of a step wait side by side.
    pub(in crate::store) fn tick(&mut self, hashes: &[u64]) -> Vec<bool> {
        let alike: Vec<_> = hashes.iter().map(|&hash| self.alike(hash)).collect();
        let all = hashes.iter().zip(alike);
        let found: Vec<_> = all.map(|(&hash, alike)| self.find(hash, alike)).collect();
        let tick = |at: Option<usize>| {
            let ticked = at.and_then(|at| self.ticked.get_mut(at));
            ticked.is_some_and(|ticked| !std::mem::replace(ticked, true))
        };
        found.into_iter().map(tick).collect()
    }

    /// Where the hashes stand that begin as this one does.
    fn alike(&self, hash: u64) -> Range<usize> {
        let beginning = beginning(hash, self.bits);
        let at = |beginning| self.starts.get(beginning).copied().unwrap_or_default();
        at(beginning)..at(beginning + 1)
    }

    fn find(&self, hash: u64, alike: Range<usize>) -> Option<usize> {
        let start = alike.start;
        let alike = self.hashes.get(alike).unwrap_or_default();
        let found = alike.iter().position(|&one| one == hash);
        found.map(|at| start + at)
    }

    /// The names that were not ticked.
    pub(in crate::store) fn others(&self) -> impl Iterator<Item = u64> {
        let all = self.hashes.iter().zip(&self.ticked);
        all.filter(|(_, ticked)| !**ticked).map(|(&hash, _)| hash)
    }
}

fn beginning(hash: u64, bits: u32) -> usize {
    usize::try_from(hash >> (u64::BITS - bits)).unwrap_or(usize::MAX)
}

#[derive(Debug, Default)]
pub(in crate::store) struct Known {
    /// Each sorted.
    runs: Vec<Vec<u8>>,
    /// Runs that were written in this look and are not held any more.
    spilled: usize,
    /// In order, so that what has one hash stands together.
    added: BTreeSet<Seen>,
    removed: HashSet<Seen>,
}

impl Known {
    pub(super) fn new(runs: Vec<Vec<u8>>, mut recent: &[u8]) -> Option<Self> {
        if runs.iter().any(|run| !run.len().is_multiple_of(LEN)) {
            return None;
        }
        let mut known = Self {
            runs,
            ..Self::default()
        };
        while let Some(came) = take_octet(&mut recent) {
            let seen = Seen::take(&mut recent)?;
            if came == 1 {
                known.added.insert(seen);
            } else {
                known.removed.insert(seen);
            }
        }
        Some(known)
    }

    /// The hashes of all names, in order.
    #[expect(clippy::stable_sort_primitive, reason = "it finds what is in order")]
    pub(in crate::store) fn hashes(&self) -> Vec<u64> {
        let in_runs: usize = self.runs.iter().map(|run| run.len() / LEN).sum();
        let mut hashes = Vec::with_capacity(in_runs + self.added.len());
        let in_runs = self.runs.iter().flat_map(|run| run.chunks_exact(LEN));
        for seen in in_runs.filter_map(Seen::decode) {
            if self.removed.is_empty() || !self.removed.contains(&seen) {
                hashes.push(seen.hash);
            }
        }
        hashes.extend(self.added.iter().map(|seen| seen.hash));
        // This sort finds the runs, which are in order, and merges them.
        hashes.sort();
        hashes.dedup();
        hashes
    }

    /// Where the rows of a name are; several when it is for several addresses.
    pub(in crate::store) fn of(&self, hash: u64) -> Vec<Seen> {
        let first = Seen {
            hash,
            mailbox: 0,
            order: Order::default(),
        };
        let added = self.added.range(first..);
        let added = added.copied().take_while(|seen| seen.hash == hash);
        let mut found: Vec<Seen> = self.runs.iter().flat_map(|run| in_run(run, hash)).collect();
        found.retain(|seen| !self.removed.contains(seen));
        found.extend(added);
        found
    }

    pub(in crate::store) fn add(&mut self, seen: impl IntoIterator<Item = Seen>) {
        self.added.extend(seen);
    }

    pub(in crate::store) fn remove(&mut self, hash: u64) {
        for seen in self.of(hash) {
            if !self.added.remove(&seen) {
                self.removed.insert(seen);
            }
        }
    }

    /// A run that is full, and its number: to be written.
    pub(super) fn full_run(&mut self) -> Option<(usize, Vec<u8>)> {
        if self.added.len() < RUN {
            return None;
        }
        let added = std::mem::take(&mut self.added);
        self.spilled += 1;
        let run = added.iter().flat_map(Seen::encode).collect();
        Some((self.runs.len() + self.spilled - 1, run))
    }

    /// When much was removed, all runs without it: to be written anew.
    pub(super) fn cleaned_runs(&mut self) -> Vec<(usize, Vec<u8>)> {
        if self.removed.len() < RUN {
            return Vec::new();
        }
        let removed = std::mem::take(&mut self.removed);
        for run in &mut self.runs {
            let kept = run
                .chunks_exact(LEN)
                .filter(|item| Seen::decode(item).is_some_and(|seen| !removed.contains(&seen)));
            *run = kept.flatten().copied().collect();
        }
        self.runs.iter().cloned().enumerate().collect()
    }

    pub(super) fn recent(&self) -> Vec<u8> {
        // An octet before each says whether it came or went.
        let all = self.added.len() + self.removed.len();
        let mut bytes = Vec::with_capacity(all * (1 + LEN));
        let added = self.added.iter().map(|seen| (1, seen));
        for (came, seen) in added.chain(self.removed.iter().map(|seen| (0, seen))) {
            bytes.push(came);
            bytes.extend(seen.encode());
        }
        bytes
    }
}

/// The files of that hash in a sorted run.
fn in_run(run: &[u8], hash: u64) -> Vec<Seen> {
    let (items, _) = run.as_chunks::<LEN>();
    let first =
        items.partition_point(|item| Seen::decode(item).is_some_and(|seen| seen.hash < hash));
    let from_there = items
        .iter()
        .skip(first)
        .map_while(|item| Seen::decode(item));
    from_there.take_while(|seen| seen.hash == hash).collect()
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

    fn run(hashes: &[u64]) -> Vec<u8> {
        let mut sorted: Vec<_> = hashes.iter().map(|&hash| seen(hash)).collect();
        sorted.sort_unstable();
        sorted.iter().flat_map(Seen::encode).collect()
    }

    #[test]
    fn what_is_not_whole_is_not_read() {
        let item = seen(7).encode();
        for len in 0..LEN {
            let cut = item.get(..len).unwrap();
            assert_eq!(Seen::decode(cut), None, "{len}");
            assert_eq!(Known::new(vec![cut.to_vec()], &[]).is_some(), len == 0);
        }
        let recent = [&[1][..], &item].concat();
        for len in 0..=recent.len() {
            let known = Known::new(vec![item.to_vec()], recent.get(..len).unwrap());
            assert_eq!(known.is_some(), len == 0 || len == recent.len(), "{len}");
        }
    }

    proptest::proptest! {
        #[test]
        fn it_knows_what_came_and_did_not_go(
            first in proptest::collection::hash_set(0u64..50, 0..40),
            gone in proptest::collection::hash_set(0u64..99, 0..20),
            second in proptest::collection::hash_set(50u64..99, 0..20),
        ) {
            let all: Vec<u64> = first.iter().copied().collect();
            let (one, two) = all.split_at(all.len() / 2);
            let mut known = Known::new(vec![run(one), run(two)], &[]).unwrap();
            known.add(second.iter().map(|&hash| seen(hash)));
            for &hash in &gone {
                known.remove(hash);
            }
            let again = Known::new(known.runs.clone(), &known.recent()).unwrap();
            for known in [known, again] {
                let mut expected: Vec<_> = first.union(&second).filter(|hash| !gone.contains(hash)).copied().collect();
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

    proptest::proptest! {
        #[test]
        fn each_name_is_ticked_once(
            known in proptest::collection::btree_set(proptest::prelude::any::<u64>(), 0..200),
            others in proptest::collection::vec(proptest::prelude::any::<u64>(), 0..20),
        ) {
            let all: Vec<u64> = known.iter().copied().collect();
            let mut names = Names::new(all.clone());
            let (ticked, left) = all.split_at(all.len() / 3);
            let now: Vec<u64> = ticked.iter().chain(&others).copied().collect();
            let expected: Vec<_> = now.iter().map(|hash| known.contains(hash)).collect();
            proptest::prop_assert_eq!(names.tick(&now), expected);
            proptest::prop_assert!(!names.tick(&now).contains(&true));
            let mut left = left.to_vec();
            left.retain(|hash| !others.contains(hash));
            proptest::prop_assert_eq!(names.others().collect::<Vec<_>>(), left);
        }
    }

    #[test]
    fn many_changes_become_a_run_and_many_removals_clean_them() {
        let mut known = Known::default();
        let many = u64::try_from(RUN).unwrap();
        known.add((0..many - 1).map(seen));
        assert_eq!(known.full_run(), None);
        known.add([seen(many)]);
        let (number, written) = known.full_run().unwrap();
        assert_eq!((number, written.len()), (0, RUN * LEN));
        assert!(written.chunks_exact(LEN).is_sorted());
        let mut known = Known::new(vec![written], &known.recent()).unwrap();
        assert!(known.cleaned_runs().is_empty());
        known.removed.extend((0..=many).map(seen));
        known.removed.remove(&seen(2));
        let cleaned = known.cleaned_runs();
        assert_eq!(cleaned, [(0, run(&[2]))]);
        assert_eq!(known.of(2), [seen(2)]);
        assert!(known.removed.is_empty());
    }
}
