//! What the last look at the drop saw and may be concluded from it.

use super::octets::{put_number, take, take_array, take_len, take_number, take_octet};
use crate::fs::Stamp;
use crate::store::drop::Place;

/// The last look at the drop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Look {
    /// Goes up by one with every change of the index.
    pub(in crate::store) generation: u64,
    /// How many runs of names there are.
    pub(in crate::store) runs: usize,
    /// The number of the last look that found something new.
    pub(in crate::store) number: u32,
    /// The state of the directories, if it proves that nothing came since when it is the same.
    pub(in crate::store) proven: Option<Vec<Stamp>>,
    /// Names that could not be judged: they are looked at again every time.
    pub(in crate::store) pending: Vec<(Place, Vec<u8>)>,
    /// When each file's state was last compared, in seconds since 1970.
    pub(in crate::store) full_check: u64,
}

impl Look {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_number(&mut out, self.generation);
        put_number(&mut out, u64::from(self.number));
        put_number(&mut out, self.runs as u64);
        put_number(&mut out, self.full_check);
        let stamps = self.proven.as_deref().unwrap_or_default();
        put_number(&mut out, stamps.len() as u64);
        for stamp in stamps {
            put_number(&mut out, stamp.size);
            put_number(&mut out, stamp.inode);
            out.extend(stamp.modified.to_le_bytes());
        }
        put_number(&mut out, self.pending.len() as u64);
        for (place, name) in &self.pending {
            out.push(place.number());
            put_number(&mut out, name.len() as u64);
            out.extend(name);
        }
        out
    }

    /// Nothing at all is an index in which nobody has looked yet.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let rest = &mut bytes;
        let generation = take_number(rest)?;
        let number = u32::try_from(take_number(rest)?).ok()?;
        let runs = take_len(rest)?;
        let full_check = take_number(rest)?;
        let mut stamps = Vec::new();
        for _ in 0..take_number(rest)? {
            let (size, inode) = (take_number(rest)?, take_number(rest)?);
            stamps.push(Stamp {
                size,
                inode,
                modified: take_array(rest).map(i128::from_le_bytes)?,
            });
        }
        let mut pending = Vec::new();
        for _ in 0..take_number(rest)? {
            let place = Place::of_number(take_octet(rest)?)?;
            let len = take_len(rest)?;
            pending.push((place, take(rest, len)?.to_vec()));
        }
        Some(Self {
            generation,
            runs,
            number,
            proven: (!stamps.is_empty()).then_some(stamps),
            pending,
            full_check,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_read_whole_or_not_at_all() {
        let stamp = Stamp {
            size: 4096,
            inode: 300,
            modified: -1,
        };
        let look = Look {
            generation: 200,
            runs: 3,
            number: 70_000,
            proven: Some(vec![stamp, stamp]),
            pending: vec![(Place::Flat, b"a.eml".to_vec()), (Place::New, vec![0xff])],
            full_check: 1_700_000_000,
        };
        let bytes = look.encode();
        assert_eq!(Look::decode(&bytes), Some(look));
        assert_eq!(Look::decode(&[]), Some(Look::default()));
        for len in 1..bytes.len() {
            assert_eq!(Look::decode(bytes.get(..len).unwrap()), None, "{len}");
        }
        let mut foreign = bytes.clone();
        let place = bytes.len() - 8 - 2;
        assert_eq!(foreign.get(place + 1), Some(&5));
        *foreign.get_mut(place).unwrap() = 99;
        assert_eq!(Look::decode(&foreign), None, "a place there is not");
        let mut many = Vec::new();
        put_number(&mut many, 1);
        put_number(&mut many, u64::MAX);
        assert_eq!(Look::decode(&many), None, "more looks than are counted");
    }
}
