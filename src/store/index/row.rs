//! A row of the index: one message of one address.
//!
//! The key orders the rows of an address: by the look in which the file was first seen, then by
//! the time of the file, then by name. The value begins with a checksum over key and value.

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::time::{Duration, SystemTime};

use super::octets::{put_number, take, take_array, take_len, take_number, take_octet};
use super::{Opened, Rows, Seen};
use crate::format::address_list;
use crate::fs::Stamp;
use crate::store::drop::Place;
use crate::store::entry::{Entry, Summary};

/// Where a row stands among those of its address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::store) struct Order {
    pub(in crate::store) look: u32,
    /// The time of the file, so that its octets compare as it does.
    pub(in crate::store) time: u64,
}

impl Order {
    /// `None` for a time that no clock shows.
    pub(in crate::store) fn new(look: u32, modified: i128) -> Option<Self> {
        let time = i64::try_from(modified).ok()?.cast_unsigned() ^ 1 << 63;
        Some(Self { look, time })
    }

    fn modified(self) -> i128 {
        i128::from((self.time ^ 1 << 63).cast_signed())
    }
}

/// What is kept of a message beside what a listing shows.
#[derive(Clone, Debug)]
pub(in crate::store) struct Row {
    pub(in crate::store) entry: Entry,
    /// For a file of several addresses: what its marks are named after.
    pub(in crate::store) marks: Option<[u8; 16]>,
}

/// Puts the checksum into its place; returns the hash.
pub(super) fn seal(index: &Opened, key: &[u8], value: &mut [u8]) -> u64 {
    let Some((sum, rest)) = value.split_at_mut_checked(4) else {
        return 0;
    };
    let check = index.hash(&[key, rest]);
    if let Some(check) = check.to_le_bytes().get(..4) {
        sum.copy_from_slice(check);
    }
    check
}

/// Where the file of that hash stands, by the key of its row.
pub(in crate::store) fn seen(key: &[u8], hash: u64) -> Option<Seen> {
    parts(key).map(|(mailbox, order, _)| Seen {
        hash,
        mailbox,
        order,
    })
}

/// A file name as it is kept; `None` where it cannot be.
#[cfg_attr(
    unix,
    expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")
)]
pub(in crate::store) fn name_bytes(name: &OsStr) -> Option<&[u8]> {
    #[cfg(unix)]
    return Some(std::os::unix::ffi::OsStrExt::as_bytes(name));
    #[cfg(not(unix))]
    name.to_str().map(str::as_bytes)
}

#[cfg_attr(
    unix,
    expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")
)]
pub(in crate::store) fn os_name(bytes: &[u8]) -> Option<OsString> {
    #[cfg(unix)]
    return Some(std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec()));
    #[cfg(not(unix))]
    std::str::from_utf8(bytes).ok().map(OsString::from)
}

/// Checksum, place and flags stand before the size.
pub(super) const BEFORE_SIZE: usize = 4 + 2;

pub(super) const PREFIX: usize = 8 + 4 + 8;
/// Where the number of the look stands in a key.
pub(super) const LOOK: Range<usize> = 8..12;

pub(super) fn prefix(mailbox: u64, order: Order) -> Vec<u8> {
    let mut key = Vec::with_capacity(PREFIX);
    put_prefix(&mut key, mailbox, order);
    key
}

fn put_prefix(key: &mut Vec<u8>, mailbox: u64, order: Order) {
    key.extend_from_slice(&mailbox.to_be_bytes());
    key.extend_from_slice(&order.look.to_be_bytes());
    key.extend_from_slice(&order.time.to_be_bytes());
}

/// What of a key tells the order alone.
pub(in crate::store) fn below_mailbox(key: &[u8]) -> Option<&[u8]> {
    key.get(8..)
}

pub(in crate::store) fn key_of(mailbox: u64, below: &[u8]) -> Vec<u8> {
    [&mailbox.to_be_bytes(), below].concat()
}

/// All keys of an address: from the first to the second, without it.
pub(super) fn range(mailbox: u64) -> (Vec<u8>, Vec<u8>) {
    let start = mailbox.to_be_bytes().to_vec();
    let mut end = start.clone();
    // Longer than any key, and of the highest octets.
    end.extend([0xff; 400]);
    (start, end)
}

pub(super) fn mailbox(key: &[u8]) -> Option<u64> {
    key.first_chunk().map(|first| u64::from_be_bytes(*first))
}

/// Mailbox, order and name.
fn parts(mut key: &[u8]) -> Option<(u64, Order, &[u8])> {
    let mailbox = take_array(&mut key).map(u64::from_be_bytes)?;
    let look = take_array(&mut key).map(u32::from_be_bytes)?;
    let time = take_array(&mut key).map(u64::from_be_bytes)?;
    Some((mailbox, Order { look, time }, key))
}

/// The hash of a row whose checksum holds.
pub(super) fn check(index: &Opened, key: &[u8], value: &[u8]) -> Option<u64> {
    let (sum, rest) = value.split_at_checked(4)?;
    let hash = index.hash(&[key, rest]);
    hash.to_le_bytes().starts_with(sum).then_some(hash)
}

mod flag {
    pub(super) const NULL_REVERSE_PATH: u8 = 1;
    pub(super) const RECEIVED: u8 = 2;
    pub(super) const MARKS: u8 = 4;
    /// The reverse-path is the sender's address.
    pub(super) const SAME_PATH: u8 = 8;
}

impl Row {
    /// Puts the row in the box of an address behind other rows; `None` if it cannot be held.
    pub(in crate::store) fn encode(
        &self,
        index: &Opened,
        mailbox: u64,
        order: Order,
        rows: &mut Rows,
    ) -> Option<()> {
        rows.push_made(index, |bytes| self.put(mailbox, order, bytes))
    }

    /// Writes key and value; returns where the value begins.
    fn put(&self, mailbox: u64, order: Order, bytes: &mut Vec<u8>) -> Option<usize> {
        let Entry {
            place,
            name,
            stamp,
            summary,
        } = &self.entry;
        put_prefix(bytes, mailbox, order);
        bytes.extend_from_slice(name_bytes(name)?);
        let at = bytes.len();
        let of_file = stamp.modified();
        let received = summary.received.filter(|time| *time != of_file);
        let same_path = summary.reverse_path == summary.sender.address;
        let flags = [
            (summary.has_null_reverse_path, flag::NULL_REVERSE_PATH),
            (received.is_some(), flag::RECEIVED),
            (self.marks.is_some(), flag::MARKS),
            (same_path, flag::SAME_PATH),
        ];
        let flags = flags
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, flag)| flag)
            .sum();
        // Room for the checksum.
        bytes.extend_from_slice(&[0, 0, 0, 0, place.number(), flags]);
        put_number(bytes, stamp.size);
        put_number(bytes, stamp.inode);
        put_number(bytes, stamp.size.checked_sub(summary.size)?);
        if let Some(time) = received {
            let (negative, distance) = match time.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(after) => (0, after),
                Err(before) => (1, before.duration()),
            };
            put_number(bytes, distance.as_secs() << 1 | negative);
        }
        bytes.extend(self.marks.iter().flatten());
        let path = if same_path { "" } else { &summary.reverse_path };
        for text in [
            &summary.sender.name,
            &summary.sender.address,
            &summary.subject,
            path,
            &summary.delivered_to,
        ] {
            put_number(bytes, text.len() as u64);
            bytes.extend_from_slice(text.as_bytes());
        }
        Some(at)
    }

    pub(in crate::store) fn decode(key: &[u8], value: &[u8]) -> Option<Self> {
        let (_, order, name) = parts(key)?;
        let mut rest = value.get(4..)?;
        let place = Place::of_number(take_octet(&mut rest)?)?;
        let flags = take_octet(&mut rest)?;
        let is = |flag: u8| flags & flag != 0;
        let stamp = Stamp {
            size: take_number(&mut rest)?,
            inode: take_number(&mut rest)?,
            modified: order.modified(),
        };
        let size = stamp.size.checked_sub(take_number(&mut rest)?)?;
        let received = if is(flag::RECEIVED) {
            let number = take_number(&mut rest)?;
            let distance = Duration::from_secs(number >> 1);
            match number & 1 {
                0 => SystemTime::UNIX_EPOCH.checked_add(distance),
                _ => SystemTime::UNIX_EPOCH.checked_sub(distance),
            }
        } else {
            Some(stamp.modified())
        };
        let marks = if is(flag::MARKS) {
            Some(take_array(&mut rest)?)
        } else {
            None
        };
        let mut text = || {
            let len = take_len(&mut rest)?;
            String::from_utf8(take(&mut rest, len)?.to_vec()).ok()
        };
        let sender = address_list::Entry {
            name: text()?,
            address: text()?,
        };
        let (subject, path, delivered_to) = (text()?, text()?, text()?);
        let reverse_path = if is(flag::SAME_PATH) {
            sender.address.clone()
        } else {
            path
        };
        Some(Self {
            entry: Entry {
                place,
                name: os_name(name)?,
                stamp,
                summary: Summary {
                    sender,
                    subject,
                    received,
                    size,
                    reverse_path,
                    has_null_reverse_path: is(flag::NULL_REVERSE_PATH),
                    delivered_to,
                },
            },
            marks,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::fs::{Dir, Modes, Probe};
    use crate::store::index::Index;

    pub(in super::super) fn entry(sender: &str, received: Option<SystemTime>) -> Entry {
        let sender = address_list::Entry {
            name: "Sam".to_owned(),
            address: sender.to_owned(),
        };
        let stamp = Stamp {
            size: 70_000,
            inode: u64::MAX,
            modified: -5_000_000_000,
        };
        Entry {
            place: Place::Flat,
            name: "a.eml".into(),
            stamp,
            summary: Summary {
                sender,
                subject: "Grüße".to_owned(),
                received: received.or_else(|| Some(stamp.modified())),
                size: 69_000,
                reverse_path: "bounces@example.net".to_owned(),
                has_null_reverse_path: false,
                delivered_to: "jane@example.com".to_owned(),
            },
        }
    }

    #[test]
    fn a_row_is_read_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open_path(root.path(), Modes::default(), &Probe::default()).unwrap();
        let index = Index::default().open(&dir, b"test", false).unwrap();
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1000);
        let rows = [
            (entry("sam@example.net", None), None),
            (entry("bounces@example.net", Some(before)), Some([7; 16])),
            (
                entry("", Some(SystemTime::UNIX_EPOCH + Duration::from_secs(7))),
                None,
            ),
        ];
        for (entry, marks) in rows {
            let row = Row { entry, marks };
            let order = Order::new(3, row.entry.stamp.modified).unwrap();
            let mut rows = Rows::default();
            row.encode(&index, 9, order, &mut rows).unwrap();
            let (key, value, _) = rows.checked(0).unwrap();
            let (key, value) = (key.to_vec(), value.to_vec());
            let read = Row::decode(&key, &value).unwrap();
            assert_eq!(format!("{read:?}"), format!("{row:?}"));
            assert!(check(&index, &key, &value).is_some());
            for len in 0..value.len() {
                let cut = value.get(..len).unwrap();
                assert!(Row::decode(&key, cut).is_none(), "{len}");
                assert!(check(&index, &key, cut).is_none(), "{len}");
            }
            for len in 0..PREFIX {
                let cut = key.get(..len).unwrap();
                assert!(Row::decode(cut, &value).is_none(), "{len}");
                assert!(seen(cut, 7).is_none(), "{len}");
                assert_eq!(mailbox(cut).is_some(), len >= 8, "{len}");
            }
            let mut foreign = value.clone();
            *foreign.get_mut(4).unwrap() = 99;
            assert!(
                Row::decode(&key, &foreign).is_none(),
                "a place there is not"
            );
            let mut larger = value.clone();
            larger
                .get_mut(6..9)
                .unwrap()
                .copy_from_slice(&[0x80, 0x80, 0]);
            assert!(
                Row::decode(&key, &larger).is_none(),
                "the message is larger than its file"
            );
            let at = value.windows(2).position(|two| two == "ü".as_bytes());
            let mut broken = value.clone();
            *broken.get_mut(at.unwrap()).unwrap() = 0xff;
            assert!(Row::decode(&key, &broken).is_none(), "no text");
        }
        assert_eq!(take_number(&mut &[0xff; 12][..]), None);
        // What no file has cannot be held.
        let mut larger = Row {
            entry: entry("", None),
            marks: None,
        };
        larger.entry.summary.size = 70_001;
        let mut rows = Rows::default();
        let held = larger.encode(&index, 9, Order::default(), &mut rows);
        assert_eq!((held, rows.len(), rows.size()), (None, 0, 0));
        assert_eq!(Order::new(1, i128::MAX), None);
    }
}
