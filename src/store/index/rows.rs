//! Many rows of the index in one piece of memory.

use super::Opened;
use super::octets::take_number;
use super::row::{BEFORE_SIZE, LOOK, Row, seal};

/// Rows as they stand in the index, read when they are asked for: a listing of a million messages
/// is bytes, not a million objects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    bytes: Vec<u8>,
    /// Where the value and where the row ends.
    ends: Vec<(usize, usize)>,
    /// Of rows that are to be written: the hash over each.
    checks: Vec<u64>,
}

impl Rows {
    /// Octets in all.
    pub(in crate::store) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Rows to be written, in the order of their keys, with the hash over each.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (&[u8], &[u8], u64)> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_unstable_by_key(|&index| self.raw(index).map(|(key, _)| key));
        order.into_iter().filter_map(|index| self.checked(index))
    }

    /// A row that is put behind the others, key and value; `put` says where the value begins, or
    /// that there is none.
    pub(super) fn push_made(
        &mut self,
        index: &Opened,
        put: impl FnOnce(&mut Vec<u8>) -> Option<usize>,
    ) -> Option<()> {
        let start = self.bytes.len();
        let at = put(&mut self.bytes);
        let row = self.bytes.get_mut(start..).unwrap_or_default();
        let made = at.and_then(|at| row.split_at_mut_checked(at.saturating_sub(start)));
        let Some((key, value)) = made else {
            self.bytes.truncate(start);
            return None;
        };
        self.checks.push(seal(index, key, value));
        let at = start + key.len();
        self.ends.push((at, at + value.len()));
        Some(())
    }

    /// A row to be written, and the hash over it.
    pub(in crate::store) fn checked(&self, index: usize) -> Option<(&[u8], &[u8], u64)> {
        let (key, value) = self.raw(index)?;
        Some((key, value, *self.checks.get(index)?))
    }

    pub(in crate::store) fn push_checked(&mut self, key: &[u8], value: &[u8], check: u64) {
        self.push(key, value);
        self.checks.push(check);
    }

    /// Keeps only so many rows, the first ones.
    pub(in crate::store) fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.checks.truncate(len);
        self.bytes
            .truncate(self.ends.last().map_or(0, |&(_, end)| end));
    }

    /// Moves all rows, which are to be written, into the look of another number.
    pub(in crate::store) fn move_to(&mut self, index: &Opened, look: u32) {
        let look = look.to_be_bytes();
        let mut start = 0;
        for (&(at, end), check) in self.ends.iter().zip(&mut self.checks) {
            let row = self.bytes.get_mut(start..end).unwrap_or_default();
            start = end;
            let Some((key, value)) = row.split_at_mut_checked(at.saturating_sub(end - row.len()))
            else {
                return;
            };
            match key.get_mut(LOOK) {
                Some(old) if *old != look => old.copy_from_slice(&look),
                _ => return,
            }
            *check = seal(index, key, value);
        }
    }

    pub(in crate::store) fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend(key);
        let at = self.bytes.len();
        self.bytes.extend(value);
        self.ends.push((at, self.bytes.len()));
    }

    pub(in crate::store) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(in crate::store) fn raw(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let start = match index.checked_sub(1) {
            Some(before) => self.ends.get(before)?.1,
            None => 0,
        };
        let &(at, end) = self.ends.get(index)?;
        let row = self.bytes.get(start..end);
        row.and_then(|row| row.split_at_checked(at - start))
    }

    /// The size of the file, without reading the row further: a listing asks it of all.
    pub(in crate::store) fn file_size(&self, index: usize) -> Option<u64> {
        let (_, value) = self.raw(index)?;
        take_number(&mut value.get(BEFORE_SIZE..)?)
    }

    pub(in crate::store) fn get(&self, index: usize) -> Option<Row> {
        let (key, value) = self.raw(index)?;
        Row::decode(key, value)
    }

    pub(in crate::store) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        (0..self.len()).filter_map(|index| self.raw(index))
    }

    /// Keeps the rows for which `keep` holds.
    pub(in crate::store) fn retain(&mut self, keep: impl Fn(&Row) -> bool) {
        let mut kept = Self::default();
        for (key, value) in self.iter() {
            if Row::decode(key, value).is_some_and(|row| keep(&row)) {
                kept.push(key, value);
            }
        }
        *self = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Index, row};
    use super::*;
    use crate::fs::{Dir, Modes, Probe};

    #[test]
    fn a_row_that_is_not_there_or_not_whole_is_none() {
        let mut rows = Rows::default();
        rows.push(b"key", &[1, 2, 3]);
        assert_eq!(rows.raw(0), Some((&b"key"[..], &[1, 2, 3][..])));
        assert_eq!(rows.checked(0), None, "it is not to be written");
        assert_eq!(rows.file_size(0), None, "it is cut before the size");
        for beyond in [1, 2, 99] {
            assert_eq!(rows.raw(beyond), None);
            assert_eq!(rows.checked(beyond), None);
            assert_eq!(rows.file_size(beyond), None);
            assert!(rows.get(beyond).is_none());
        }
    }

    #[test]
    fn rows_that_move_to_another_look_are_as_if_made_in_it() {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open_path(root.path(), Modes::default(), &Probe::default()).unwrap();
        let index = Index::default().open(&dir, b"test", false).unwrap();
        let of_look = |look| {
            let mut rows = Rows::default();
            for sender in ["", "sam@example.net", "a@b"] {
                let row = Row {
                    entry: row::tests::entry(sender, None),
                    marks: None,
                };
                let order = row::Order::new(look, row.entry.stamp.modified).unwrap();
                row.encode(&index, 9, order, &mut rows).unwrap();
            }
            rows
        };
        let (mut moved, made) = (of_look(3), of_look(70_000));
        moved.move_to(&index, 3);
        assert_ne!(moved.bytes, made.bytes);
        moved.move_to(&index, 70_000);
        assert_eq!(
            (moved.bytes, moved.ends, moved.checks),
            (made.bytes, made.ends, made.checks)
        );
    }
}
