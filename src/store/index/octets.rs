//! How the index writes numbers, and reads what stands one behind the other.

/// Takes so many octets from the front.
pub(super) fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(taken)
}

/// Takes as many octets as the array has.
pub(super) fn take_array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (&taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(taken)
}

/// Takes one octet.
pub(super) fn take_octet(rest: &mut &[u8]) -> Option<u8> {
    let (&octet, after) = rest.split_first()?;
    *rest = after;
    Some(octet)
}

/// Seven bits an octet, the lowest first.
pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

pub(super) fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let octet = take_octet(rest)?;
        number |= u64::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// A number of octets or things that stand there; one that is too big for memory is of nothing
/// that can follow.
pub(super) fn take_len(rest: &mut &[u8]) -> Option<usize> {
    take_number(rest).map(|len| usize::try_from(len).unwrap_or(usize::MAX))
}
