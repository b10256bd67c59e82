//! Rows in the order of their keys, however many, in little memory.
//!
//! Rows that come in order fill the pages of the index; rows of a million addresses that come as
//! their files lie split every page in two. So what is more than is held waits in a file without a
//! name, in sorted runs, which are merged at the end.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::ops::Range;

use super::{Fault, Rows};
use crate::fs::{Dir, File, NewFile};
use crate::state::scratch_file;

/// So many octets of rows are held at once.
const HELD: usize = if cfg!(test) { 512 } else { 8 << 20 };
/// Read and written at once.
const BLOCK: usize = 64 * 1024;

#[derive(Default)]
pub(in crate::store) struct Sorter {
    held: Rows,
    file: Option<NewFile>,
    /// Where the runs stand in the file.
    runs: Vec<Range<u64>>,
}

impl Sorter {
    pub(in crate::store) fn push(&mut self, (key, value, check): (&[u8], &[u8], u64)) {
        self.held.push_checked(key, value, check);
    }

    pub(in crate::store) fn is_full(&self) -> bool {
        self.held.size() > HELD
    }

    /// Writes the rows that are held to a file in that directory.
    pub(in crate::store) fn spill(&mut self, dir: &Dir) -> Result<(), Fault> {
        let rows = std::mem::take(&mut self.held);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(scratch_file(dir)?),
        };
        let start = self.runs.last().map_or(0, |run| run.end);
        let mut out = BufWriter::with_capacity(BLOCK, file);
        let mut end = start;
        for row in rows.in_order() {
            end += put(row, &mut out).map_err(|_| Fault::Unavailable)?;
        }
        out.flush().map_err(|_| Fault::Unavailable)?;
        self.runs.push(start..end);
        Ok(())
    }

    /// Gives all rows in order: key, value, and the hash over both.
    pub(super) fn each(
        mut self,
        dir: &Dir,
        mut give: impl FnMut(&[u8], &[u8], u64) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.runs.is_empty() {
            let mut rows = self.held.in_order();
            return rows.try_for_each(|(key, value, check)| give(key, value, check));
        }
        self.spill(dir)?;
        let Some(file) = self.file else { return Ok(()) };
        let file = file.reopen()?;
        let mut first = BinaryHeap::with_capacity(self.runs.len());
        for range in self.runs {
            first.extend(Run::new(&file, range).next()?);
        }
        while let Some(run) = first.pop() {
            give(&run.key, &run.value, run.check)?;
            first.extend(run.next()?);
        }
        Ok(())
    }
}

/// Lengths and hash before key and value; returns how much that is.
fn put((key, value, check): (&[u8], &[u8], u64), to: &mut impl Write) -> io::Result<u64> {
    let head = [key.len() as u64, value.len() as u64, check].map(u64::to_le_bytes);
    let pieces = [head.as_flattened(), key, value];
    for piece in pieces {
        to.write_all(piece)?;
    }
    Ok(pieces.map(|piece| piece.len() as u64).iter().sum())
}

/// A run that is read, at one of its rows. The run with the lowest key is the greatest.
struct Run<'f> {
    key: Vec<u8>,
    value: Vec<u8>,
    check: u64,
    rest: BufReader<Part<'f>>,
}

impl<'f> Run<'f> {
    fn new(file: &'f File, range: Range<u64>) -> Self {
        Self {
            key: Vec::new(),
            value: Vec::new(),
            check: 0,
            rest: BufReader::with_capacity(BLOCK, Part { file, range }),
        }
    }

    /// The same run at its next row, if it has one.
    fn next(mut self) -> Result<Option<Self>, Fault> {
        let is_at_end = self.rest.buffer().is_empty() && self.rest.get_ref().range.is_empty();
        if is_at_end {
            return Ok(None);
        }
        self.read().map_err(|_| Fault::Unavailable)?;
        Ok(Some(self))
    }

    fn read(&mut self) -> io::Result<()> {
        let mut head = [[0; 8]; 3];
        self.rest.read_exact(head.as_flattened_mut())?;
        let [key, value, check] = head.map(u64::from_le_bytes);
        self.check = check;
        for (bytes, len) in [(&mut self.key, key), (&mut self.value, value)] {
            // It was in the memory of this process.
            bytes.resize(usize::try_from(len).unwrap_or_default(), 0);
            self.rest.read_exact(bytes)?;
        }
        Ok(())
    }
}

impl Ord for Run<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key)
    }
}

impl PartialOrd for Run<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Run<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Run<'_> {}

/// A part of the file.
struct Part<'f> {
    file: &'f File,
    range: Range<u64>,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let wanted = buffer.get_mut(..most).unwrap_or_default();
        let count = self.file.read_at(wanted, self.range.start);
        let count = count.map_err(io::Error::other)?;
        self.range.start += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::double::{Fault as Failing, Plan, place};
    use crate::fs::{Modes, Probe};

    #[test]
    fn a_disk_that_fails_loses_no_row_silently() {
        let value = [3; 400];
        let rows = |most: usize| (0..most).map(|at| (&[0, 7][..], &value[..at], 9));
        let mut runs = 0;
        for n in 0.. {
            let root = place();
            let plan = Plan::new();
            let dir = Dir::open_path(root.path(), Modes::default(), &plan.probe()).unwrap();
            plan.arm(n, Failing::Before(io::ErrorKind::Other));
            let sorted = (|| {
                let (mut sorter, mut count) = (Sorter::default(), 0);
                for _ in 0..2 {
                    // More than is written at once.
                    rows(400).for_each(|row| sorter.push(row));
                    sorter.spill(&dir)?;
                }
                rows(3).for_each(|row| sorter.push(row));
                sorter.each(&dir, |_, _, _| {
                    count += 1;
                    Ok(())
                })?;
                Ok::<usize, Fault>(count)
            })();
            let has_failed = plan.struck();
            plan.disarm();
            match sorted {
                Ok(count) => assert_eq!((count, has_failed), (803, false), "{n}"),
                Err(fault) => assert!(has_failed, "{n} {fault:?}"),
            }
            // Where a file has a name until it is removed, a removal that fails leaves it.
            let is_named = cfg!(any(portable_fs, not(target_os = "linux")));
            let most = usize::from(has_failed && is_named);
            assert!(dir.all_names().unwrap().len() <= most, "{n}");
            if !has_failed {
                break;
            }
            runs += 1;
        }
        assert!(runs > 5, "{runs}");
    }

    #[test]
    fn who_takes_the_rows_may_stop() {
        let root = place();
        let dir = Dir::open_path(root.path(), Modes::default(), &Probe::default()).unwrap();
        for spills in [false, true] {
            let mut sorter = Sorter::default();
            sorter.push((&[1], &[2], 3));
            if spills {
                sorter.spill(&dir).unwrap();
            }
            let stopped = sorter.each(&dir, |_, _, _| Err(Fault::Damaged));
            assert!(matches!(stopped, Err(Fault::Damaged)));
        }
    }

    proptest::proptest! {
        #[test]
        fn runs_are_merged_as_if_all_had_been_held(
            keys in proptest::collection::vec(proptest::collection::vec(0u8..4, 1..6), 0..60),
            spills in proptest::collection::vec(0usize..60, 0..5),
        ) {
            let root = tempfile::tempdir().unwrap();
            let dir = Dir::open_path(root.path(), Modes::default(), &Probe::default()).unwrap();
            let (mut sorter, mut expected) = (Sorter::default(), Vec::new());
            for (at, key) in keys.iter().enumerate() {
                let value = vec![7; at];
                sorter.push((key, &value, at as u64));
                expected.push((key.clone(), value, at as u64));
                if spills.contains(&at) {
                    sorter.spill(&dir).unwrap();
                }
            }
            let mut sorted = Vec::new();
            sorter
                .each(&dir, |key, value, check| {
                    sorted.push((key.to_vec(), value.to_vec(), check));
                    Ok(())
                })
                .unwrap();
            proptest::prop_assert!(sorted.is_sorted_by_key(|(key, ..)| key));
            sorted.sort();
            expected.sort();
            proptest::prop_assert_eq!(sorted, expected);
            proptest::prop_assert_eq!(dir.all_names().unwrap().len(), 0);
        }
    }
}
