//! What a file in Pickup looks like, by the server that takes it.

use super::copy::{Content, Copy, Folder};
use super::submit::Outgoing;
use crate::error::{Error, ErrorKind, Result};
use crate::format::address::Address;
use crate::format::encode::Sink;
use crate::format::envelope::{header_end, header_envelope};
use crate::limits::Limits;
use crate::state::new_id;

/// What the server that empties Pickup reads.
///
/// ```no_run
/// # fn main() -> cdonts::Result<()> {
/// use cdonts::{MailServer, PickupFormat};
///
/// let server = MailServer::builder()
///     .pickup_dir(r"C:\Program Files\Microsoft\Exchange Server\V15\TransportRoles\Pickup")
///     .pickup_format(PickupFormat::Exchange)
///     .open()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PickupFormat {
    /// The SMTP service of IIS, and what has learned from it: X-Sender and X-Receiver on top are
    /// the envelope.
    #[default]
    Iis,
    /// The Pickup directory of Exchange Server: it ignores an envelope and takes the recipients
    /// from To, Cc and Bcc, of which it removes Bcc. So a message whose envelope is another than
    /// these says, with more than 100 recipients or 64 KB of header, cannot go there and is an
    /// error. This alone writes `Bcc`.
    Exchange,
    /// The Replay directory of Exchange Server: as [`PickupFormat::Iis`], with each address in
    /// brackets.
    Replay,
}

/// The most that Exchange takes.
const MOST_RECIPIENTS: usize = 100;
const MOST_HEADER: usize = 64 * 1024;

impl PickupFormat {
    /// The file of the recipients whom Pickup is for.
    pub(super) fn copy(
        self,
        outgoing: &Outgoing<'_>,
        recipients: &[Address],
    ) -> Result<Copy<'static>> {
        let top = match self {
            Self::Iis => return Ok(super::pickup_copy(outgoing.reverse_path, recipients, "")),
            Self::Exchange => exchange(outgoing, recipients)?,
            Self::Replay => replay(outgoing.reverse_path, recipients),
        };
        Ok(Copy {
            folder: Folder::Pickup,
            name: format!("{}.eml", new_id()),
            top,
            instead: None,
        })
    }
}

fn replay(reverse_path: Option<&Address>, recipients: &[Address]) -> String {
    let sender = reverse_path.map(ToString::to_string).unwrap_or_default();
    let mut run = format!("X-Sender: <{sender}>\r\n");
    for recipient in recipients {
        run += &format!("X-Receiver: <{recipient}>\r\n");
    }
    run
}

/// The field of blind recipients; an error where the header would tell Exchange another envelope.
fn exchange(outgoing: &Outgoing<'_>, recipients: &[Address]) -> Result<String> {
    let no = |text: &str| Err(Error::new(ErrorKind::NotSupported, text).with_field("To"));
    if recipients.len() > MOST_RECIPIENTS {
        return Err(Limits::exceeded("recipients", MOST_RECIPIENTS).with_field("To"));
    }
    let section = header_of(outgoing.content)?;
    let claimed = header_envelope(&section);
    let from = Address::parse(&claimed.reverse_path).ok();
    if from.is_none() || from.as_ref() != outgoing.reverse_path {
        return no(
            "Exchange's Pickup takes the sender from From: another reverse-path, or none, \
                   cannot be told it",
        );
    }
    if claimed
        .recipients
        .iter()
        .any(|one| !recipients.contains(one))
    {
        return no(
            "Exchange's Pickup delivers to everybody in To and Cc: a recipient of these who \
                   is local, or not in the envelope, would get the message a second time or by \
                   mistake",
        );
    }
    let blind = recipients
        .iter()
        .filter(|one| !claimed.recipients.contains(one));
    let mut field = String::new();
    for address in blind {
        field += if field.is_empty() { "Bcc: " } else { ",\r\n " };
        address.append_to(&mut field);
    }
    if !field.is_empty() {
        field += "\r\n";
    }
    if section.len() + field.len() > MOST_HEADER {
        return Err(Limits::exceeded("header_section", MOST_HEADER).with_field("To"));
    }
    Ok(field)
}

/// Takes the header section alone: it stops what writes the message at its end.
struct Head(Vec<u8>);

impl Sink for Head {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.extend_from_slice(bytes);
        if header_end(&self.0).is_some() || self.0.len() > 2 * MOST_HEADER {
            return Err(Error::new(ErrorKind::Io, "that is enough"));
        }
        Ok(())
    }
}

fn header_of(content: &Content<'_>) -> Result<Vec<u8>> {
    let mut head = Head(Vec::new());
    let written = content(&mut head);
    match header_end(&head.0) {
        Some(end) => head.0.truncate(end),
        None if head.0.len() > 2 * MOST_HEADER => {}
        None => written?,
    }
    Ok(head.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_header_is_read_to_its_end_and_no_further_than_it_may_go() {
        let whole = header_of(&|to| {
            to.put(b"From: a@b.example\r\n")?;
            to.put(b"\r\nbody")?;
            panic!("the body is asked for");
        });
        assert_eq!(whole.unwrap(), b"From: a@b.example\r\n\r\n");
        let long = header_of(&|to| (0..3).try_for_each(|_| to.put(&vec![b'a'; MOST_HEADER])));
        assert!(long.unwrap().len() > 2 * MOST_HEADER);
        let none = header_of(&|to| to.put(b"From: a@b.example\r\n"));
        assert_eq!(none.unwrap(), b"From: a@b.example\r\n");
    }

    #[test]
    fn what_cannot_be_read_has_no_envelope() {
        let outgoing = Outgoing {
            reverse_path: None,
            recipients: &[],
            content: &|_| Err(Error::new(ErrorKind::Io, "it is gone")),
            credentials: None,
        };
        let error = exchange(&outgoing, &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
    }
}
