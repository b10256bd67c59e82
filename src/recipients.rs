//! To whom a message is.

use std::fmt;

use crate::address_entry::write_mailbox;
use crate::format::address::Address;

/// In which field a recipient stands (`CdoRecipientTypes`).
///
/// ```
/// assert_eq!(cdonts::RecipientType::Bcc as i32, 3);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[doc(alias = "CdoRecipientTypes")]
pub enum RecipientType {
    /// `CdoTo`, 1, the default.
    #[default]
    To = 1,
    /// `CdoCc`, 2.
    Cc = 2,
    /// `CdoBcc`, 3: in the envelope only, never in the message.
    Bcc = 3,
}

impl RecipientType {
    /// The name of the field.
    pub const fn name(self) -> &'static str {
        match self {
            Self::To => "To",
            Self::Cc => "Cc",
            Self::Bcc => "Bcc",
        }
    }
}

/// One recipient: a display name, an address and a type (CDONTS `Recipient`).
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # use cdonts::*;
/// # let server = MailServer::temporary()?;
/// # let session = Session::logon_smtp(&server, "Help Desk", "help@example.com")?;
/// let mut draft = session.outbox().messages().add("Hi", "");
/// let recipient = draft.recipients_mut().add("Jane", "SMTP:jane@example.com", RecipientType::To);
/// recipient.set_recipient_type(RecipientType::Cc);
/// assert_eq!(recipient.address(), "jane@example.com");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    name: String,
    address: String,
    recipient_type: RecipientType,
}

impl Recipient {
    pub(crate) fn new(name: String, address: &str, recipient_type: RecipientType) -> Self {
        Self {
            name,
            address: without_prefix(address).to_owned(),
            recipient_type,
        }
    }

    /// The display name; may be empty.
    #[doc(alias = "Recipient.Name")]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets the display name.
    pub fn set_name(&mut self, name: impl Into<String>) -> &mut Self {
        self.name = name.into();
        self
    }

    /// The address, without the prefix `SMTP:` that CDO has.
    #[doc(alias = "Recipient.Address")]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sets the address; it is checked when the draft is sent.
    pub fn set_address(&mut self, address: impl Into<String>) -> &mut Self {
        without_prefix(&address.into()).clone_into(&mut self.address);
        self
    }

    /// In which field it stands.
    #[doc(alias = "Recipient.Type")]
    pub fn recipient_type(&self) -> RecipientType {
        self.recipient_type
    }

    /// Sets in which field it stands.
    pub fn set_recipient_type(&mut self, recipient_type: RecipientType) -> &mut Self {
        self.recipient_type = recipient_type;
        self
    }
}

impl fmt::Display for Recipient {
    /// For people to read, control characters left out; not for a header field.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_mailbox(&self.name, &self.address, f)
    }
}

fn without_prefix(address: &str) -> &str {
    match address.split_at_checked(5) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("SMTP:") => rest,
        _ => address,
    }
}

/// The recipients of a message: of a draft to be changed, of a received message to be read
/// (CDONTS `Recipients`).
///
/// A received message tells To and Cc as its sender wrote them; that is no proof of who got it.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// let message = cdonts::MessageFile::from_bytes("To: a@example.com, b@example.com\n\n")?;
/// let addresses: Vec<_> = message.recipients()?.iter().map(|to| to.address()).collect();
/// assert_eq!(addresses, ["a@example.com", "b@example.com"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipients(Vec<Recipient>);

impl Recipients {
    /// Adds a recipient. The name may be empty; the address is checked when the draft is sent.
    #[doc(alias = "Recipients.Add")]
    pub fn add(
        &mut self,
        name: impl Into<String>,
        address: impl Into<String>,
        recipient_type: RecipientType,
    ) -> &mut Recipient {
        let address = address.into();
        let recipient = Recipient::new(name.into(), &address, recipient_type);
        self.0.push_mut(recipient)
    }

    pub(crate) fn push(&mut self, recipient: Recipient) {
        self.0.push(recipient);
    }

    /// Takes out those with one of these addresses, in the form in which they are sent.
    pub(crate) fn remove_addresses(&mut self, addresses: &[String]) {
        let is_among = |recipient: &Recipient| {
            let address = Address::parse(recipient.address());
            address.is_ok_and(|address| addresses.contains(&address.to_string()))
        };
        if !addresses.is_empty() {
            self.0.retain(|recipient| !is_among(recipient));
        }
    }

    /// To before Cc, each in the order of the message.
    pub(crate) fn sort_by_type(&mut self) {
        self.0
            .sort_by_key(|recipient| recipient.recipient_type as u8);
    }

    /// How many there are.
    #[doc(alias = "Recipients.Count")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The recipient at `index`, from 0 (CDONTS counts from 1).
    #[doc(alias = "Recipients.Item")]
    pub fn get(&self, index: usize) -> Option<&Recipient> {
        self.0.get(index)
    }

    /// The recipient at `index`, to be changed.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut Recipient> {
        self.0.get_mut(index)
    }

    /// Removes and returns the recipient at `index`.
    #[doc(alias = "Recipient.Delete")]
    pub fn remove(&mut self, index: usize) -> Option<Recipient> {
        (index < self.0.len()).then(|| self.0.remove(index))
    }

    /// Removes all.
    #[doc(alias = "Recipients.Delete")]
    pub fn delete_all(&mut self) {
        self.0.clear();
    }

    /// All of them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Recipient> {
        self.0.iter()
    }

    /// Those of one type, in order.
    pub fn of_type(&self, recipient_type: RecipientType) -> impl Iterator<Item = &Recipient> {
        self.iter()
            .filter(move |recipient| recipient.recipient_type == recipient_type)
    }
}

impl<'a> IntoIterator for &'a Recipients {
    type Item = &'a Recipient;
    type IntoIter = std::slice::Iter<'a, Recipient>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
