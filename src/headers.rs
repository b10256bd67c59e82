//! The header fields of a received message.

use crate::format::{fields, message_ids};
use crate::received::Received;

/// One header field as its sender wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    name: String,
    value: String,
    raw: Vec<u8>,
}

impl Header {
    /// The name, in the spelling of the message.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value with its folds undone and its encoded words decoded, for people to read. Take no
    /// addresses out of it: a decoded name may hold a comma or brackets.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The value as it stands in the message, folds included.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }
}

/// The header fields of a received message in their order, repeated ones too.
///
/// What the mail server wrote on top of the file to deliver it is not among them, nor is `Bcc`.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// let message = cdonts::MessageFile::from_bytes("Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\nX-A: 1\n\n")?;
/// let headers = message.headers()?;
/// assert_eq!(headers.get("subject").unwrap().value(), "Grüße");
/// assert_eq!(headers.iter().count(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

impl Headers {
    pub(crate) fn of_section(section: &[u8]) -> Self {
        Self(
            fields::fields(section)
                .filter(|field| !fields::names_blind_recipients(field.name))
                .map(|field| Header {
                    name: field.name.to_owned(),
                    value: field.text(),
                    raw: field.raw.to_vec(),
                })
                .collect(),
        )
    }

    /// The first field of that name, whatever its case.
    pub fn get(&self, name: &str) -> Option<&Header> {
        self.get_all(name).next()
    }

    /// Every field of that name, in order.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &Header> {
        self.iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
    }

    /// The Message-ID with its brackets; `None` when there is none.
    pub fn message_id(&self) -> Option<String> {
        self.ids_in("Message-ID").into_iter().next()
    }

    /// The ids of the messages before it in the conversation, oldest first: References, else
    /// In-Reply-To.
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// let message = cdonts::MessageFile::from_bytes("References: <1@x>\n <2@x>\n\n")?;
    /// assert_eq!(message.headers()?.references(), ["<1@x>", "<2@x>"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn references(&self) -> Vec<String> {
        match self.ids_in("References") {
            none if none.is_empty() => self.ids_in("In-Reply-To"),
            references => references,
        }
    }

    /// The way the message came, newest step first; see [`Received`].
    pub fn received(&self) -> Vec<Received> {
        self.get_all("Received")
            .map(|field| Received::parse(field.raw()))
            .collect()
    }

    fn ids_in(&self, name: &str) -> Vec<String> {
        let field = self.get(name);
        field.map_or_else(Vec::new, |field| {
            message_ids::ids(&String::from_utf8_lossy(&fields::unfold(&field.raw)))
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = std::slice::Iter<'a, Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
