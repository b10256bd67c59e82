//! One address (RFC 5321 Mailbox, without a display name): checked, compared, written.

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use lettre::Address as Checked;

/// The longest addr-spec that is taken: RFC 5321 has 64 octets and 255 octets.
const LONGEST: usize = 320;

/// An address whose parts are known: the local-part without quotes, the domain in ASCII form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Address {
    local: String,
    domain: String,
}

impl Address {
    /// Checks an address that a program gives. The reason of a refusal says what the address does
    /// wrong and does not quote it: it may be a blind recipient's.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let refuse = Err;
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return refuse("is empty");
        }
        if trimmed.len() > LONGEST {
            return refuse("has more than 320 octets");
        }
        if !is_printable(trimmed) && trimmed.chars().any(is_forbidden) {
            return refuse("holds a control or invisible character");
        }
        let Some((local, domain)) = split_at_domain(trimmed) else {
            return refuse(match trimmed.matches('@').count() {
                0 => "has no at-sign",
                2 => "has two at-signs",
                _ => "has not exactly one at-sign",
            });
        };
        let Some(local) = unquote(local) else {
            let has_name = trimmed.ends_with('>') && !trimmed.starts_with('<');
            return refuse(if has_name {
                "is no address; a name with a comma, bracket or colon in it stands in quotes: \
                 `\"Doe, Jane\" <jane@example.com>`"
            } else {
                "has a local-part that RFC 5321 does not allow"
            });
        };
        let Some(domain) = ascii_domain(domain) else {
            return refuse("has a domain that is none");
        };
        let address = Self { local, domain };
        if address.is_plain() {
            return Ok(address);
        }
        // An address literal is for SMTP between hosts; an Inbox has a domain, but mail may go there.
        match Checked::new(address.quoted_local(), address.domain.as_str()) {
            Ok(_) => Ok(address),
            Err(_) => refuse("is no address of RFC 5321"),
        }
    }

    /// Letters, digits and the signs of an atom, in lengths that no rule forbids: nearly every
    /// address is that, and then needs no second opinion.
    fn is_plain(&self) -> bool {
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        self.local.len() <= 64
            && self.local.is_ascii()
            && is_dot_atom(&self.local)
            && self.domain.bytes().all(is_host)
    }

    /// Reads an address of a field that a mail server wrote, with a display name, brackets and
    /// comments where there are some.
    pub(crate) fn from_trusted(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let (local, domain) = split_at_domain(text)?;
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || "\"<>,;".contains(c);
        let domain = match ascii_domain(domain) {
            Some(domain) => domain,
            None if domain.is_empty() || domain.contains(is_odd) => return None,
            None => domain.to_ascii_lowercase(),
        };
        Some(Self {
            local: unquote_trusted(local)?,
            domain,
        })
    }

    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// What two addresses of one mailbox have in common.
    pub(crate) fn key(&self, case_sensitive: bool) -> String {
        let mut key = self.local.clone();
        if !case_sensitive {
            key.make_ascii_lowercase();
        }
        // The local-part may hold an at-sign, the domain cannot.
        key.push('@');
        key.push_str(&self.domain);
        key
    }

    /// Whether that is its key.
    pub(crate) fn has_key(&self, key: &str, case_sensitive: bool) -> bool {
        let local = key
            .strip_suffix(&self.domain)
            .and_then(|rest| rest.strip_suffix('@'));
        local.is_some_and(|local| {
            if case_sensitive {
                return local == self.local;
            }
            // A key is in lower case.
            let own = self.local.bytes().map(|byte| byte.to_ascii_lowercase());
            own.eq(local.bytes())
        })
    }

    pub(crate) fn is_ascii(&self) -> bool {
        self.local.is_ascii()
    }

    /// Writes it as an addr-spec, with quotes only where they are needed.
    pub(crate) fn append_to(&self, out: &mut String) {
        out.push_str(&self.quoted_local());
        out.push('@');
        out.push_str(&self.domain);
    }

    fn quoted_local(&self) -> Cow<'_, str> {
        if is_dot_atom(&self.local) {
            return Cow::Borrowed(&self.local);
        }
        let mut quoted = String::from("\"");
        for character in self.local.chars() {
            if matches!(character, '"' | '\\') {
                quoted.push('\\');
            }
            quoted.push(character);
        }
        quoted.push('"');
        Cow::Owned(quoted)
    }
}

impl fmt::Display for Address {
    /// As [`Address::append_to`] writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.quoted_local(), self.domain)
    }
}

/// Whether a text is ASCII without controls, as nearly all are: nothing else need be asked then.
pub(crate) fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Line ends to some readers, and what makes one address look like another.
pub(crate) fn is_forbidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Splits at the at-sign outside quotes; there must be exactly one.
fn split_at_domain(text: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let mut escaped = false;
    let mut found = None;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'@' if !quoted && found.is_some() => return None,
            b'@' if !quoted => found = Some(index),
            _ => {}
        }
    }
    let (local, rest) = text.split_at_checked(found?)?;
    let domain = rest.strip_prefix('@')?;
    Some((local, domain))
}

/// The local-part without its quotes; `None` if it is neither a dot-atom nor a quoted string.
fn unquote(local: &str) -> Option<String> {
    match local.strip_prefix('"') {
        None => is_dot_atom(local).then(|| local.to_owned()),
        Some(_) => unquote_trusted(local).filter(|text| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| !c.is_ascii() || (' '..='~').contains(&c))
        }),
    }
}

/// The same, but any word without quotes is taken: the server has delivered to it.
fn unquote_trusted(local: &str) -> Option<String> {
    let Some(inner) = local.strip_prefix('"') else {
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || "\"<>,;".contains(c);
        return (!local.is_empty() && !local.contains(is_odd)).then(|| local.to_owned());
    };
    let inner = inner.strip_suffix('"')?;
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return None,
            '\\' => text.push(characters.next()?),
            _ => text.push(character),
        }
    }
    Some(text)
}

/// What an atom is made of (RFC 5322 section 3.2.3).
pub(crate) fn is_atom_text(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'/' | b'=' | b'?' | b'^'..=b'`' | b'{'..=b'~'
        )
}

fn is_dot_atom(text: &str) -> bool {
    !text.is_empty()
        && text.split('.').all(|atom| {
            !atom.is_empty()
                && atom
                    .bytes()
                    .all(|byte| is_atom_text(byte) || !byte.is_ascii())
        })
}

/// The domain in ASCII form and lower case (RFC 5891), or an address literal in brackets.
fn ascii_domain(domain: &str) -> Option<String> {
    if let Some(inner) = domain.strip_prefix('[') {
        let domain = domain.to_ascii_lowercase();
        return inner.strip_suffix(']').is_some_and(is_ip).then_some(domain);
    }
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let ascii = idna::domain_to_ascii(domain).ok()?;
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (ascii.len() <= 253 && ascii.split('.').all(label)).then_some(ascii)
}

/// What may stand in the brackets of an address literal (RFC 5321 section 4.1.3).
fn is_ip(text: &str) -> bool {
    let v6 = text
        .get(..5)
        .filter(|tag| tag.eq_ignore_ascii_case("IPv6:"));
    match v6 {
        Some(_) => text
            .get(5..)
            .is_some_and(|text| text.parse::<Ipv6Addr>().is_ok()),
        None => text.parse::<Ipv4Addr>().is_ok(),
    }
}

/// The comparison form of a domain, for the list of local ones.
pub(crate) fn domain_key(domain: &str) -> Option<String> {
    ascii_domain(domain.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_written_in_their_shortest_form() {
        for (input, written) in [
            ("jane@example.com", "jane@example.com"),
            (" Jane.Doe+x@EXAMPLE.com ", "Jane.Doe+x@example.com"),
            ("\"a b\"@example.com", "\"a b\"@example.com"),
            ("\"ab\"@example.com", "ab@example.com"),
            ("\"a@b\"@example.com", "\"a@b\"@example.com"),
            ("x@bücher.example", "x@xn--bcher-kva.example"),
            ("x@[127.0.0.1]", "x@[127.0.0.1]"),
            ("x@[IPv6:::1]", "x@[ipv6:::1]"),
            ("josé@example.com", "josé@example.com"),
        ] {
            let address = Address::parse(input).map(|address| address.to_string());
            assert_eq!(address.as_deref(), Ok(written), "{input}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason() {
        for (input, reason) in [
            ("", "empty"),
            ("x@[127.0.0.1,]", "domain"),
            ("x@[a, b]", "domain"),
            ("x@[127.0.0.1", "domain"),
            ("jane", "no at-sign"),
            ("jane@@example.com", "at-sign"),
            ("a@b@example.com", "at-sign"),
            ("a b@example.com", "local-part"),
            ("a..b@example.com", "local-part"),
            (".a@example.com", "local-part"),
            ("jane@", "domain"),
            ("jane@exa mple.com", "domain"),
            ("jane@-example.com", "domain"),
            ("jane@example..com", "domain"),
            ("jane@example.com\r\nBcc: x@y", "control"),
            ("\"a\r\n\"@example.com", "control"),
            ("jane\u{202e}@example.com", "control"),
            ("<jane@example.com>", "local-part"),
            ("Doe, Jane <jane@example.com>", "in quotes"),
            ("jane@example.com>", "domain"),
        ] {
            let refusal = Address::parse(input).unwrap_err();
            assert!(refusal.contains(reason), "{input}: {refusal}");
        }
    }

    #[test]
    fn one_mailbox_has_one_key_and_no_other_has_it() {
        let key = |text: &[u8]| Address::from_trusted(text).unwrap().key(false);
        assert_eq!(key(b"Jane@EXAMPLE.com"), "jane@example.com");
        assert_eq!(key(b"\"jane\"@example.com"), "jane@example.com");
        assert_eq!(
            key("x@bücher.example".as_bytes()),
            "x@xn--bcher-kva.example"
        );
        assert_ne!(
            key("É@example.com".as_bytes()),
            key("é@example.com".as_bytes())
        );
        for nobody in [
            &b"\xff@example.com"[..],
            b"a@b@example.com",
            b"a@b c",
            b"a",
            b"@b",
            b"\"a@b",
        ] {
            assert_eq!(Address::from_trusted(nobody), None, "{nobody:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_plain_address_has_no_fault_that_another_check_finds(text in "[a-c.!#+_-]{1,70}@[a-c0-9.-]{1,12}") {
            if let Ok(address) = Address::parse(&text)
                && address.is_plain()
            {
                let checked = Checked::new(address.local.as_str(), address.domain.as_str());
                proptest::prop_assert!(checked.is_ok(), "{}", text);
            }
        }

        #[test]
        fn a_key_is_known_without_making_it(
            one in "[aAb@É\"]{1,3}@[ab]{1,2}", other in "[aAb@É\"]{1,3}@[ab]{1,2}", exact: bool,
        ) {
            let (one, other) = (Address::from_trusted(one.as_bytes()), Address::from_trusted(other.as_bytes()));
            if let (Some(one), Some(other)) = (one, other) {
                let key = other.key(exact);
                proptest::prop_assert_eq!(one.has_key(&key, exact), one.key(exact) == key);
            }
        }
    }
}
