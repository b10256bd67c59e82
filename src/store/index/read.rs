//! The index as it was at one moment.

use std::ops::Bound;

use redb::{ReadTransaction, ReadableTable};

use super::write::Sum;
use super::{Answered, BOXES, Fault, Known, Look, META, Opened, ROWS, Rows, Seen, row};

/// The index as it was at one moment.
pub(in crate::store) struct Reader<'a> {
    index: &'a Opened,
    txn: ReadTransaction,
}

impl<'a> Reader<'a> {
    pub(super) fn new(index: &'a Opened, txn: ReadTransaction) -> Self {
        Self { index, txn }
    }

    pub(in crate::store) fn look(&self) -> Result<Look, Fault> {
        let meta = self.txn.open_table(META).answered()?;
        look(self.index, &meta)
    }

    pub(in crate::store) fn known(&self) -> Result<Known, Fault> {
        let meta = self.txn.open_table(META).answered()?;
        known(self.index, &meta)
    }

    /// How many rows an address has, without reading them.
    pub(in crate::store) fn count(&self, mailbox: u64) -> Result<u64, Fault> {
        let boxes = self.txn.open_table(BOXES).answered()?;
        Ok(sum_of(&boxes, mailbox)?.count)
    }

    /// All rows of an address, oldest first.
    pub(in crate::store) fn rows(&self, mailbox: u64) -> Result<Rows, Fault> {
        let table = self.txn.open_table(ROWS).answered()?;
        let (start, end) = row::range(mailbox);
        let mut rows = Rows::default();
        let mut sum = Sum::default();
        for found in table.range(start.as_slice()..end.as_slice()).answered()? {
            let (key, value) = found.answered()?;
            let (key, value) = (key.value(), value.value());
            sum.add(row::check(self.index, key, value).ok_or(Fault::Damaged)?);
            rows.push(key, value);
        }
        let boxes = self.txn.open_table(BOXES).answered()?;
        if sum_of(&boxes, mailbox)? == sum {
            Ok(rows)
        } else {
            Err(Fault::Damaged)
        }
    }

    /// At most `most` rows of an address on one side of a key, nearest first.
    pub(in crate::store) fn page(
        &self,
        mailbox: u64,
        from: Option<&[u8]>,
        backwards: bool,
        most: usize,
    ) -> Result<Rows, Fault> {
        let table = self.txn.open_table(ROWS).answered()?;
        let (start, end) = row::range(mailbox);
        let (first, last) = (
            Bound::Included(start.as_slice()),
            Bound::Excluded(end.as_slice()),
        );
        let bounds = match (from.map(Bound::Excluded), backwards) {
            (None, _) => (first, last),
            (Some(key), false) => (key, last),
            (Some(key), true) => (first, key),
        };
        let mut rows = Rows::default();
        let mut range = table.range::<&[u8]>(bounds).answered()?;
        while rows.len() < most {
            let next = if backwards {
                range.next_back()
            } else {
                range.next()
            };
            let Some(found) = next else { break };
            let (key, value) = found.answered()?;
            row::check(self.index, key.value(), value.value()).ok_or(Fault::Damaged)?;
            rows.push(key.value(), value.value());
        }
        Ok(rows)
    }

    /// The first mailbox whose number is not below `from`, and its first row.
    pub(in crate::store) fn next_mailbox(&self, from: u64) -> Result<Option<(u64, Rows)>, Fault> {
        let table = self.txn.open_table(ROWS).answered()?;
        let start = from.to_be_bytes();
        let mut range = table.range(start.as_slice()..).answered()?;
        let Some(found) = range.next() else {
            return Ok(None);
        };
        let (key, value) = found.answered()?;
        let mailbox = row::check(self.index, key.value(), value.value())
            .and_then(|_| row::mailbox(key.value()))
            .ok_or(Fault::Damaged)?;
        let mut rows = Rows::default();
        rows.push(key.value(), value.value());
        Ok(Some((mailbox, rows)))
    }

    /// The row at a place, to find its name.
    pub(in crate::store) fn rows_at(&self, seen: &Seen) -> Result<Rows, Fault> {
        let table = self.txn.open_table(ROWS).answered()?;
        rows_at(self.index, &table, seen)
    }
}

pub(super) fn rows_at(
    index: &Opened,
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    seen: &Seen,
) -> Result<Rows, Fault> {
    let start = row::prefix(seen.mailbox, seen.order);
    let mut rows = Rows::default();
    for found in table.range(start.as_slice()..).answered()? {
        let (key, value) = found.answered()?;
        if !key.value().starts_with(&start) {
            break;
        }
        row::check(index, key.value(), value.value()).ok_or(Fault::Damaged)?;
        rows.push(key.value(), value.value());
    }
    Ok(rows)
}

pub(super) fn look(
    index: &Opened,
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Look, Fault> {
    Look::decode(&index.checked(meta, "look")?).ok_or(Fault::Damaged)
}

pub(super) fn sum_of(
    boxes: &impl ReadableTable<u64, &'static [u8]>,
    mailbox: u64,
) -> Result<Sum, Fault> {
    let found = boxes.get(mailbox).answered()?;
    found
        .map_or(Some(Sum::default()), |value| Sum::decode(value.value()))
        .ok_or(Fault::Damaged)
}

pub(super) fn known(
    index: &Opened,
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Known, Fault> {
    let look = look(index, meta)?;
    let runs: Result<Vec<_>, _> = (0..look.runs)
        .map(|number| index.checked(meta, &run_name(number)))
        .collect();
    let recent = index.checked(meta, "recent")?;
    Known::new(runs?, &recent).ok_or(Fault::Damaged)
}

pub(super) fn run_name(number: usize) -> String {
    format!("names {number}")
}
