//! The paths of MAIL and RCPT (RFC 5321 section 4.1.2), and their parameters.
//!
//! `smtp-proto` knows all other commands. It takes the quotes off a local-part, and knows neither an
//! address literal nor an address without a domain, which the postmaster's may be.

use crate::format::address::Address;

/// `MAIL FROM:` or `RCPT TO:` with what follows.
pub(super) struct Path<'l> {
    /// What stands in the brackets.
    pub(super) address: &'l str,
    parameters: &'l str,
}

impl<'l> Path<'l> {
    /// What follows a verb such as `MAIL FROM:`; `None` if it is no path.
    pub(super) fn of(line: &'l str, verb: &str) -> Option<Self> {
        let (begin, rest) = line.split_at_checked(verb.len())?;
        if !begin.eq_ignore_ascii_case(verb) {
            return None;
        }
        let rest = rest.trim_start_matches(' ').strip_prefix('<')?;
        let end = end_of_path(rest)?;
        let (address, rest) = rest.split_at_checked(end)?;
        let parameters = rest.strip_prefix('>')?.trim_end_matches(['\r', '\n']);
        if !parameters.is_empty() && !parameters.starts_with(' ') {
            return None;
        }
        Some(Self {
            address: without_route(address),
            parameters,
        })
    }

    /// The value of a parameter, empty where it has none.
    pub(super) fn parameter(&self, name: &str) -> Option<&'l str> {
        self.parameters.split(' ').find_map(|one| {
            let (key, value) = one.split_once('=').unwrap_or((one, ""));
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(super) fn mailbox(&self) -> Result<Address, &'static str> {
        Address::parse(self.address)
    }
}

/// Behind the local-part, which may be quoted, the bracket ends it.
fn end_of_path(rest: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (index, byte) in rest.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(index),
            _ => {}
        }
    }
    None
}

/// A source route counts for nothing (RFC 5321 appendix C).
fn without_route(address: &str) -> &str {
    if !address.starts_with('@') {
        return address;
    }
    address.split_once(':').map_or(address, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_they_are_written() {
        for (line, address, size) in [
            ("MAIL FROM:<a@b.example>\r\n", "a@b.example", None),
            (
                "mail from: <a@b.example> SIZE=12 BODY=8BITMIME\r\n",
                "a@b.example",
                Some("12"),
            ),
            ("MAIL FROM:<>\r\n", "", None),
            (
                "MAIL FROM:<\"a> b\"@c.example> size=1\r\n",
                "\"a> b\"@c.example",
                Some("1"),
            ),
            ("MAIL FROM:<x@[10.0.0.1]>\r\n", "x@[10.0.0.1]", None),
            (
                "MAIL FROM:<@one.example,@two.example:a@b.example>\r\n",
                "a@b.example",
                None,
            ),
        ] {
            let path = Path::of(line, "MAIL FROM:").unwrap();
            assert_eq!(path.address, address, "{line}");
            assert_eq!(path.parameter("SIZE"), size, "{line}");
        }
        for line in [
            "MAIL FROM:a@b\r\n",
            "MAIL FROM:<a@b\r\n",
            "MAIL FROM:<a@b>x\r\n",
            "MAIL <a@b>\r\n",
        ] {
            assert!(Path::of(line, "MAIL FROM:").is_none(), "{line}");
        }
    }
}
