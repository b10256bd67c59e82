//! Header fields that a program sets by name.

use super::Draft;
use crate::address_entry::AddressEntry;
use crate::format::address_list;
use crate::importance::Importance;
use crate::recipients::RecipientType;

/// Sets the field by its typed setter if it has one.
pub(super) fn add(draft: &mut Draft, name: String, value: String) {
    match name.to_ascii_lowercase().as_str() {
        "from" => {
            if draft.from == AddressEntry::default() {
                set_from(draft, &value);
            } else {
                let fault = "the sender is set already; use one of the two";
                draft.faults.push((name, fault.to_owned()));
            }
        }
        "to" => add_recipients(draft, &value, RecipientType::To),
        "cc" => add_recipients(draft, &value, RecipientType::Cc),
        "bcc" => add_recipients(draft, &value, RecipientType::Bcc),
        "reply-to" => draft.reply_to.extend(
            split_list(&value)
                .into_iter()
                .map(|(name, address)| AddressEntry::new(name, address)),
        ),
        "sender" => {
            draft.sender_field = Some(match split_list(&value).as_slice() {
                [(name, address)] => AddressEntry::new(name, address),
                // Not one mailbox: the check says so.
                _ => AddressEntry::new("", value),
            });
        }
        "subject" => draft.subject = value,
        "importance" => match Importance::from_name(&value) {
            Some(importance) => draft.importance = importance,
            None => draft
                .faults
                .push((name, "it is `low`, `normal` or `high`".to_owned())),
        },
        _ => draft.headers.push((name, value)),
    }
}

/// Sets the sender from one mailbox, with or without a display name.
pub(crate) fn set_from(draft: &mut Draft, value: &str) {
    draft.from = match split_list(value).as_slice() {
        [(name, address)] => AddressEntry::new(name, address),
        // Not one mailbox: the check says so.
        _ => AddressEntry::new("", value),
    };
}

/// Adds the mailboxes of a list, divided by semicolons or commas.
pub(crate) fn add_recipients(draft: &mut Draft, list: &str, recipient_type: RecipientType) {
    for (name, address) in split_list(list) {
        draft.recipients.add(name, address, recipient_type);
    }
}

/// Names and addresses of a list. What is no mailbox is kept as an address, for the check to
/// refuse: nothing is lost in silence. A control character is kept too, for the same reason.
pub(super) fn split_list(list: &str) -> Vec<(String, String)> {
    if list.chars().any(|c| c.is_control() && c != '\t') {
        return vec![(String::new(), list.to_owned())];
    }
    items(list)
        .into_iter()
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|item| mailbox(item).unwrap_or_else(|| (String::new(), item.to_owned())))
        .collect()
}

/// `Name <address>` and its forms, if nothing of the text is left over.
fn mailbox(item: &str) -> Option<(String, String)> {
    let unbracketed = !item.contains(['<', '"', '(']);
    if unbracketed {
        return None;
    }
    match address_list::parse(item.as_bytes(), 2).as_slice() {
        [entry] if item.trim_end().ends_with(['>', ')']) && !entry.address.is_empty() => {
            Some((entry.name.clone(), entry.address.clone()))
        }
        _ => None,
    }
}

/// Splits at semicolons and commas outside quotes, comments and brackets; a group's name and
/// colon are dropped.
fn items(list: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let (mut quoted, mut escaped) = (false, false);
    let (mut angles, mut comments) = (0u32, 0u32);
    for (index, byte) in list.bytes().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' if quoted || comments > 0 => escaped = true,
            b'"' if comments == 0 => quoted = !quoted,
            _ if quoted => {}
            b'(' => comments += 1,
            b')' => comments = comments.saturating_sub(1),
            _ if comments > 0 => {}
            b'<' => angles += 1,
            b'>' => angles = angles.saturating_sub(1),
            b',' | b';' if angles == 0 => {
                found.push(list.get(start..index).unwrap_or_default());
                start = index + 1;
            }
            b':' if angles == 0 && is_group_name(list.get(start..index).unwrap_or_default()) => {
                start = index + 1;
            }
            _ => {}
        }
    }
    found.push(list.get(start..).unwrap_or_default());
    found
}

/// A colon also stands in `SMTP:user@host`.
fn is_group_name(text: &str) -> bool {
    !text.contains('@') && !text.trim().eq_ignore_ascii_case("smtp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_as_cdonts_and_mail_write_them() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("a@x;b@x; c@x", &[("", "a@x"), ("", "b@x"), ("", "c@x")]),
            ("a@x, b@x,", &[("", "a@x"), ("", "b@x")]),
            (
                "\"Doe; J, r\" <j@x>; b@x",
                &[("Doe; J, r", "j@x"), ("", "b@x")],
            ),
            (
                "team: a@x, b@x; c@x",
                &[("", "a@x"), ("", "b@x"), ("", "c@x")],
            ),
            ("SMTP:a@x", &[("", "SMTP:a@x")]),
            ("\"a;b\"@x", &[("", "\"a;b\"@x")]),
            ("Jane <a@x> b@x", &[("", "Jane <a@x> b@x")]),
            ("<a@x>", &[("", "a@x")]),
            ("", &[]),
            (" ; ,", &[]),
            ("a@x\r\nBcc: b@x", &[("", "a@x\r\nBcc: b@x")]),
        ];
        for (list, expected) in cases {
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, address)| ((*name).to_owned(), (*address).to_owned()))
                .collect();
            assert_eq!(split_list(list), expected, "{list}");
        }
    }
}
