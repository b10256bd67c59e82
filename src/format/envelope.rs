//! Whose message a file is: the run of fields that the mail server wrote on top of it.
//!
//! What it trusts: the unbroken run of fields from byte 0 whose names this server writes, and
//! nothing else in the file. The first line that is none of them ends the run; below it stands
//! the sender's text, whatever its fields are called.

use std::collections::HashSet;

use super::address::Address;
use super::address_list;
use super::fields;
use crate::profile::Profile;

/// What the server said of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// Where the sender's text begins.
    pub(crate) end: usize,
    /// Empty for the null reverse-path and when the server did not say.
    pub(crate) reverse_path: String,
    /// Whether the run held a field for the sender.
    pub(crate) has_sender: bool,
    /// Each address once.
    pub(crate) recipients: Vec<Address>,
    /// A recipient of the run could not be read: it is nobody's that we know.
    pub(crate) has_unreadable: bool,
}

/// What the beginning of a file tells.
pub(crate) enum Head {
    Run(Run),
    /// The run may go on beyond the bytes given.
    More,
}

/// Reads the run at the beginning of a file. `whole` tells that `head` is all of it.
pub(crate) fn read_run(profile: Profile, head: &[u8], whole: bool) -> Head {
    let read = read_fields(names_of(profile), head, whole);
    match read {
        Head::Run(run) if profile == Profile::HeaderFallback && run.end == 0 => guess(head, whole),
        read => read,
    }
}

/// Reads what servers put on top of a message when they deliver it into a mailbox of one user. It
/// does not tell whose the message is: that is known.
pub(crate) fn read_mailbox_run(head: &[u8], whole: bool) -> Head {
    const NAMES: &[(&[u8], Role)] = &[
        (b"return-path", Role::Sender),
        (b"x-original-to", Role::Other),
        (b"delivered-to", Role::TopRecipient),
        (b"envelope-to", Role::TopRecipients),
        (b"delivery-date", Role::Other),
    ];
    read_fields(NAMES, head, whole)
}

fn read_fields(names: &[(&[u8], Role)], head: &[u8], whole: bool) -> Head {
    let mut run = Run::default();
    let mut at = 0;
    loop {
        let rest = head.get(at..).unwrap_or_default();
        let Some(len) = complete_field(rest, whole) else {
            if !whole && names.iter().any(|(name, _)| may_begin(rest, name)) {
                return Head::More;
            }
            break;
        };
        let field = rest.get(..len).unwrap_or_default();
        let Some((role, value)) = names.iter().find_map(|(name, role)| {
            let value = value_of(field, name)?;
            Some((*role, value))
        }) else {
            break;
        };
        run.take(role, &fields::unfold(value));
        at += len;
    }
    run.end = at;
    Head::Run(run.without_doubles())
}

#[derive(Clone, Copy)]
enum Role {
    Sender,
    /// Every one counts.
    Recipient,
    /// Only the topmost counts: a trace field stands above the older ones.
    TopRecipient,
    /// As before, a list.
    TopRecipients,
    Other,
}

fn names_of(profile: Profile) -> &'static [(&'static [u8], Role)] {
    match profile {
        Profile::IisDrop | Profile::HeaderFallback => &[
            (b"x-sender", Role::Sender),
            (b"x-receiver", Role::Recipient),
        ],
        Profile::Postfix => &[
            (b"return-path", Role::Sender),
            (b"x-original-to", Role::Other),
            (b"delivered-to", Role::TopRecipient),
        ],
        Profile::Exim => &[
            (b"return-path", Role::Sender),
            (b"envelope-to", Role::TopRecipients),
            (b"delivery-date", Role::Other),
        ],
        Profile::OpenSmtpd | Profile::Dovecot => &[
            (b"return-path", Role::Sender),
            (b"delivered-to", Role::TopRecipient),
        ],
        Profile::None => &[],
    }
}

/// Whether what there is of a line can be the beginning of the field of that name.
fn may_begin(rest: &[u8], name: &[u8]) -> bool {
    let full = name.iter().chain(b":");
    rest.iter()
        .zip(full)
        .all(|(byte, expected)| byte.eq_ignore_ascii_case(expected))
}

/// The length of the field at the beginning with its folds, if it certainly ends there.
fn complete_field(rest: &[u8], whole: bool) -> Option<usize> {
    let mut len = 0;
    loop {
        let line = memchr::memchr(b'\n', rest.get(len..)?)?;
        len += line + 1;
        match rest.get(len) {
            Some(b' ' | b'\t') => {}
            Some(_) => return Some(len),
            // A field at the very end was perhaps not written to its end: it does not count
            // unless something follows.
            None if whole => return Some(len),
            None => return None,
        }
    }
}

/// What follows the colon, if the name stands directly before it.
fn value_of<'a>(field: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = field.split_at_checked(name.len())?;
    start
        .eq_ignore_ascii_case(name)
        .then(|| rest.strip_prefix(b":"))
        .flatten()
}

impl Run {
    fn take(&mut self, role: Role, value: &[u8]) {
        match role {
            Role::Sender if !self.has_sender => {
                self.has_sender = true;
                let address = address_of(value);
                self.reverse_path = String::from_utf8_lossy(&address).into_owned();
            }
            Role::Recipient => self.add(value),
            Role::TopRecipient if !self.is_addressed() => self.add(value),
            Role::TopRecipients if !self.is_addressed() => {
                for one in split_list(value) {
                    self.add(one);
                }
            }
            _ => {}
        }
    }

    fn is_addressed(&self) -> bool {
        !self.recipients.is_empty() || self.has_unreadable
    }

    fn add(&mut self, value: &[u8]) {
        match Address::from_trusted(&address_of(value)) {
            Some(address) => self.recipients.push(address),
            None => self.has_unreadable = true,
        }
    }

    /// Exim names a recipient of two commands twice.
    fn without_doubles(mut self) -> Self {
        if self.recipients.len() < 2 {
            return self;
        }
        let mut seen = HashSet::new();
        self.recipients
            .retain(|address| seen.insert(address.clone()));
        self
    }
}

/// The address in a value: what stands in brackets outside quotes, or all of it; comments dropped.
///
/// Exchange writes parameters behind the bracket, .NET a display name before it.
fn address_of(value: &[u8]) -> Vec<u8> {
    let is_more = |byte: &u8| matches!(byte, b'<' | b'>' | b'(' | b')' | b'"');
    if !value.iter().any(is_more) {
        return fields::trim(value).to_vec();
    }
    let mut start = None;
    let mut plain = Vec::new();
    let mut comments = 0u32;
    let mut skipped_to = 0;
    for (index, byte) in unquoted(value) {
        match (byte, start) {
            (b'(', None) => {
                if comments == 0 {
                    plain.extend(value.get(skipped_to..index).unwrap_or_default());
                }
                comments += 1;
            }
            (b')', None) if comments > 0 => {
                comments -= 1;
                skipped_to = index + 1;
            }
            _ if comments > 0 => {}
            (b'<', _) => start = Some(index + 1),
            (b'>', Some(start)) => {
                return fields::trim(value.get(start..index).unwrap_or_default()).to_vec();
            }
            _ => {}
        }
    }
    if comments == 0 {
        plain.extend(value.get(skipped_to..).unwrap_or_default());
    }
    fields::trim(&plain).to_vec()
}

/// Splits at commas outside quotes and brackets.
fn split_list(value: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut depth = 0u32;
    for (index, byte) in unquoted(value) {
        match byte {
            b'<' => depth += 1,
            b'>' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                pieces.push(value.get(start..index).unwrap_or_default());
                start = index + 1;
            }
            _ => {}
        }
    }
    pieces.push(value.get(start..).unwrap_or_default());
    pieces
}

/// The bytes outside quoted strings, with their places.
fn unquoted(value: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    let mut quoted = false;
    let mut escaped = false;
    value.iter().copied().enumerate().filter(move |&(_, byte)| {
        if escaped {
            escaped = false;
            return false;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' => {
                quoted = !quoted;
                return false;
            }
            _ => return !quoted,
        }
        false
    })
}

/// The addresses of the header: what the sender claims.
fn guess(head: &[u8], whole: bool) -> Head {
    let Some(end) = header_end(head).or(whole.then_some(head.len())) else {
        return Head::More;
    };
    let section = head.get(..end).unwrap_or_default();
    Head::Run(header_envelope(section))
}

/// The envelope that a header section claims: From, and To, Cc and Bcc.
pub(crate) fn header_envelope(section: &[u8]) -> Run {
    let mut run = Run::default();
    for field in fields::fields(section) {
        let is_recipient = ["To", "Cc", "Bcc"].iter().any(|name| field.is(name));
        if is_recipient {
            for entry in address_list::parse(&field.unfolded(), usize::MAX) {
                run.add(entry.address.as_bytes());
            }
        } else if field.is("From") && !run.has_sender {
            run.has_sender = true;
            let from = address_list::parse(&field.unfolded(), 1);
            run.reverse_path = from.into_iter().next().unwrap_or_default().address;
        }
    }
    run.without_doubles()
}

/// Where the header section ends: behind the first empty line that has something before it.
pub(crate) fn header_end(head: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut begun = false;
    loop {
        let line = memchr::memchr(b'\n', head.get(at..)?)?;
        let text = head.get(at..at + line)?;
        at += line + 1;
        let is_empty = matches!(text, b"" | b"\r");
        if is_empty && begun {
            return Some(at);
        }
        begun |= !is_empty;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(profile: Profile, head: &str) -> Run {
        match read_run(profile, head.as_bytes(), true) {
            Head::Run(run) => run,
            Head::More => unreachable!(),
        }
    }

    fn recipients(profile: Profile, head: &str) -> Vec<String> {
        let run = run(profile, head);
        run.recipients.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_run_ends_at_the_first_line_of_the_sender() {
        let iis = "x-sender: s@x\r\nX-Receiver: a@x\r\nx-receiver:b@x\r\nReceived: y\r\nX-Receiver: v@x\r\n\r\n";
        assert_eq!(recipients(Profile::IisDrop, iis), ["a@x", "b@x"]);
        assert_eq!(run(Profile::IisDrop, iis).reverse_path, "s@x");
        for forged in [
            "X-Receiver : v@x\r\nX-Receiver: v@x\r\n\r\n",
            " X-Receiver: v@x\r\n\r\n",
            "\r\nX-Receiver: v@x\r\n\r\n",
            "Subject: x\nX-Receiver: v@x\n\n",
            "X-Receiver: v@x",
        ] {
            assert_eq!(recipients(Profile::IisDrop, forged), [""; 0], "{forged:?}");
        }
    }

    #[test]
    fn each_profile_takes_its_own_field() {
        let postfix = "Return-Path: <s@x>\nX-Original-To: team@x\nDelivered-To: \"v@y, x\"@x\nDelivered-To: b@x\nReceived: x\n\n";
        assert_eq!(recipients(Profile::Postfix, postfix), ["\"v@y, x\"@x"]);
        assert_eq!(run(Profile::Postfix, postfix).reverse_path, "s@x");
        let exim = "Return-path: <>\nEnvelope-to: a@x,\n \"v@y, x\"@x,\n A@X\nDelivery-date: y\nReceived: x\n\n";
        assert_eq!(
            recipients(Profile::Exim, exim),
            ["a@x", "\"v@y, x\"@x", "A@x"]
        );
        assert_eq!(recipients(Profile::None, postfix), [""; 0]);
        assert_eq!(
            recipients(Profile::OpenSmtpd, "Delivered-To: a@x\n\n"),
            ["a@x"]
        );
    }

    #[test]
    fn the_address_is_taken_out_of_names_and_parameters() {
        for (value, address) in [
            (
                "\"victor@example.com\" <ann@example.com>",
                "ann@example.com",
            ),
            ("<c@d.example> NOTIFY=NEVER ORcpt=x", "c@d.example"),
            ("\"x <w@x>\"@x", "\"x <w@x>\"@x"),
            ("=?utf-8?Q?x?=\r\n <a@x>", "a@x"),
            ("a@x (b@x (c))", "a@x"),
            ("(b@x)a@x", "a@x"),
            ("\"(b@x)\"@x", "\"(b@x)\"@x"),
            ("(<b@x>) <a@x>", "a@x"),
        ] {
            let head = format!("X-Receiver: {value}\r\nReceived: x\r\n");
            assert_eq!(recipients(Profile::IisDrop, &head), [address], "{value}");
        }
        let two = run(Profile::IisDrop, "X-Receiver: a@x, b@x\r\nReceived: x\r\n");
        assert!(two.recipients.is_empty() && two.has_unreadable);
    }

    #[test]
    fn a_run_that_may_go_on_is_not_judged() {
        for head in ["", "x-rec", "X-Receiver: a@x\r\n", "X-Receiver: a@x\r\n b"] {
            let read = read_run(Profile::IisDrop, head.as_bytes(), false);
            assert!(matches!(read, Head::More), "{head:?}");
        }
        // What cannot be a field of the run ends it, however long the line is.
        for head in ["\0\0", "X-Received", "X-Receiver: a@x\r\nY"] {
            let read = read_run(Profile::IisDrop, head.as_bytes(), false);
            assert!(matches!(read, Head::Run(_)), "{head:?}");
        }
    }

    #[test]
    fn the_fallback_guesses_only_without_a_run() {
        let head = "From: s@x\nTo: a@x, B <b@x>\nCc: c@x\nBcc: d@x\n\nTo: e@x\n";
        assert_eq!(
            recipients(Profile::HeaderFallback, head),
            ["a@x", "b@x", "c@x", "d@x"]
        );
        let head = "X-Receiver: r@x\nTo: a@x\n\n";
        assert_eq!(recipients(Profile::HeaderFallback, head), ["r@x"]);
    }
}
