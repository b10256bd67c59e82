//! A change of the index: whole, or not at all.

use std::collections::HashMap;

use redb::{Table, WriteTransaction};

use super::octets::take_array;
use super::read::{known, look, rows_at, run_name, sum_of};
use super::{Answered, BOXES, Fault, Known, Look, META, Opened, ROWS, Row, Seen, Sorter, row};

/// What the rows of an address come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) count: u64,
    sum: u64,
}

impl Sum {
    pub(super) fn add(&mut self, check: u64) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(check);
    }

    fn take(&mut self, check: u64) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(check);
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let rest = &mut bytes;
        let count = take_array(rest).map(u64::from_le_bytes)?;
        let sum = take_array(rest).map(u64::from_le_bytes)?;
        rest.is_empty().then_some(Self { count, sum })
    }

    fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let (count, sum) = bytes.split_at_mut(8);
        count.copy_from_slice(&self.count.to_le_bytes());
        sum.copy_from_slice(&self.sum.to_le_bytes());
        bytes
    }
}

/// A change of the index: whole, or not at all.
pub(in crate::store) struct Writing<'a> {
    index: &'a Opened,
    txn: WriteTransaction,
    boxes: HashMap<u64, Sum>,
    /// How many runs of names there are, if one was written.
    runs: usize,
}

type RowTable<'t> = Table<'t, &'static [u8], &'static [u8]>;

impl<'a> Writing<'a> {
    pub(super) fn new(index: &'a Opened, txn: WriteTransaction) -> Self {
        Self {
            index,
            txn,
            boxes: HashMap::new(),
            runs: 0,
        }
    }

    pub(in crate::store) fn look(&self) -> Result<Look, Fault> {
        let meta = self.txn.open_table(META).answered()?;
        look(self.index, &meta)
    }

    pub(in crate::store) fn known(&self) -> Result<Known, Fault> {
        let meta = self.txn.open_table(META).answered()?;
        known(self.index, &meta)
    }

    /// Adds rows, in their order: so they are written fastest and take the least room. More of
    /// them than are held wait in a file beside the index.
    pub(in crate::store) fn add(&mut self, rows: Sorter) -> Result<(), Fault> {
        let mut table: RowTable<'_> = self.txn.open_table(ROWS).answered()?;
        let mut sums = HashMap::new();
        rows.each(self.index.dir(), |key, value, check| {
            let mailbox = row::mailbox(key).ok_or(Fault::Damaged)?;
            let old = table.insert(key, value).answered()?;
            let sum: &mut Sum = sums.entry(mailbox).or_default();
            if let Some(old) = old {
                // A name that the directory showed twice, of another file by then.
                sum.take(row::check(self.index, key, old.value()).ok_or(Fault::Damaged)?);
            }
            sum.add(check);
            Ok(())
        })?;
        drop(table);
        for (mailbox, change) in sums {
            let sum = self.sum_of(mailbox)?;
            sum.count = sum.count.wrapping_add(change.count);
            sum.sum = sum.sum.wrapping_add(change.sum);
        }
        Ok(())
    }

    /// Writes a run of names that is full.
    pub(in crate::store) fn spill(&mut self, known: &mut Known) -> Result<(), Fault> {
        while let Some((number, run)) = known.full_run() {
            self.put(&run_name(number), run)?;
            self.runs = number + 1;
        }
        Ok(())
    }

    fn put(&self, name: &str, mut bytes: Vec<u8>) -> Result<(), Fault> {
        let sum = self.index.hash(&[name.as_bytes(), &bytes]);
        bytes.extend(sum.to_le_bytes());
        let mut meta = self.txn.open_table(META).answered()?;
        meta.insert(name, bytes.as_slice()).answered()?;
        Ok(())
    }

    /// Removes the rows at a place for which `is_it` holds.
    pub(in crate::store) fn remove(
        &mut self,
        seen: &Seen,
        is_it: impl Fn(&Row) -> bool,
    ) -> Result<(), Fault> {
        let mut gone = Vec::new();
        {
            let mut table: RowTable<'_> = self.txn.open_table(ROWS).answered()?;
            let rows = rows_at(self.index, &table, seen)?;
            for (key, value) in rows.iter() {
                if Row::decode(key, value).is_some_and(|row| is_it(&row)) {
                    table.remove(key).answered()?;
                    gone.extend(row::check(self.index, key, value));
                }
            }
        }
        let sum = self.sum_of(seen.mailbox)?;
        for check in gone {
            sum.take(check);
        }
        Ok(())
    }

    fn sum_of(&mut self, mailbox: u64) -> Result<&mut Sum, Fault> {
        let sum = match self.boxes.get(&mailbox) {
            Some(&sum) => sum,
            None => {
                let table = self.txn.open_table(BOXES).answered()?;
                sum_of(&table, mailbox)?
            }
        };
        Ok(self.boxes.entry(mailbox).or_insert(sum))
    }

    pub(in crate::store) fn finish(
        self,
        look: &mut Look,
        known: Option<&mut Known>,
    ) -> Result<(), Fault> {
        {
            let mut table = self.txn.open_table(BOXES).answered()?;
            for (&mailbox, sum) in &self.boxes {
                if *sum == Sum::default() {
                    table.remove(mailbox).answered()?;
                } else {
                    table.insert(mailbox, sum.encode().as_slice()).answered()?;
                }
            }
        }
        if let Some(known) = known {
            for (number, run) in known.cleaned_runs() {
                self.put(&run_name(number), run)?;
            }
            self.put("recent", known.recent())?;
        }
        look.runs = look.runs.max(self.runs);
        self.put("look", look.encode())?;
        self.index.sync();
        self.txn.commit().answered()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Index;
    use super::*;
    use crate::fs::{Dir, Modes, Probe};

    #[test]
    fn a_sum_is_read_whole_or_not_at_all() {
        let sum = Sum { count: 3, sum: 9 };
        let bytes = [&sum.encode()[..], &[0]].concat();
        for len in 0..=17 {
            let read = Sum::decode(bytes.get(..len).unwrap());
            assert_eq!(read, (len == 16).then_some(sum), "{len}");
        }
    }

    /// The disk may change what was written; and what is no row is not written.
    #[test]
    fn a_row_over_one_that_is_damaged_is_not_written() {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open_path(root.path(), Modes::default(), &Probe::default()).unwrap();
        let index = Index::default().open(&dir, b"test", false).unwrap();
        let key = [&7u64.to_be_bytes()[..], b"look and time", b"a.eml"].concat();
        for keys in [[&key[..], &key[..]], [&key[..7], &key[..]]] {
            let mut sorter = Sorter::default();
            for key in keys {
                sorter.push((key, b"not its checksum", 9));
            }
            let mut writing = index.write().unwrap();
            assert!(matches!(writing.add(sorter), Err(Fault::Damaged)));
        }
    }

    /// A directory may show one name twice while it changes: of the second file the row is kept,
    /// and the sum is its.
    #[test]
    fn a_row_that_comes_twice_counts_once() {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open_path(root.path(), Modes::default(), &Probe::default()).unwrap();
        let index = Index::default().open(&dir, b"test", false).unwrap();
        let key = [&7u64.to_be_bytes()[..], b"look and time", b"a.eml"].concat();
        let mut sorter = Sorter::default();
        for rest in [&b"one file"[..], b"the other"] {
            let check = index.hash(&[&key, rest]);
            let value = [check.to_le_bytes().get(..4).unwrap(), rest].concat();
            sorter.push((&key, &value, check));
        }
        let mut writing = index.write().unwrap();
        writing.add(sorter).unwrap();
        writing.finish(&mut Look::default(), None).unwrap();
        let reader = index.read().unwrap();
        assert_eq!(reader.rows(7).unwrap().len(), 1);
        assert_eq!(reader.count(7).unwrap(), 1);
    }
}
