//! A display name and an address.

use std::fmt;

use crate::format::address_list;

/// Who sent a message: a display name and an address (CDONTS `AddressEntry`).
///
/// Both are the sender's claim: anyone can write any name and any address into a From field.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// let message = cdonts::MessageFile::from_bytes("From: Jane Doe <jane@example.com>\n\n")?;
/// let sender = message.sender();
/// assert_eq!(sender.name(), "Jane Doe");
/// assert_eq!(sender.address(), "jane@example.com");
/// assert_eq!(sender.to_string(), "Jane Doe <jane@example.com>");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AddressEntry {
    name: String,
    address: String,
}

impl AddressEntry {
    pub(crate) fn new(name: impl Into<String>, address: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            address: address.into(),
        }
    }

    /// The display name, decoded; may be empty.
    #[doc(alias = "AddressEntry.Name")]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address; may be empty when the sender wrote none.
    #[doc(alias = "AddressEntry.Address")]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The type of the address, always `SMTP`.
    #[doc(alias = "AddressEntry.Type")]
    pub fn address_type(&self) -> &'static str {
        "SMTP"
    }
}

impl From<address_list::Entry> for AddressEntry {
    fn from(entry: address_list::Entry) -> Self {
        Self::new(entry.name, entry.address)
    }
}

impl fmt::Display for AddressEntry {
    /// For people to read, control characters left out; not for a header field.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_mailbox(&self.name, &self.address, f)
    }
}

/// `Name <address>` without what would disturb a terminal or hide the address.
pub(crate) fn write_mailbox(name: &str, address: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let shown = |text: &str| -> String {
        let is_hidden = crate::format::address::is_forbidden;
        text.chars().filter(|&c| !is_hidden(c)).collect()
    };
    match (shown(name), shown(address)) {
        (name, address) if name.is_empty() => f.write_str(&address),
        (name, address) if address.is_empty() => f.write_str(&name),
        (name, address) => write!(f, "{name} <{address}>"),
    }
}
