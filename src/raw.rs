//! Messages that another library has made: sent as they are, or taken over as a draft.

use crate::delivery::without_doubles;
use crate::draft::Draft;
use crate::error::{Error, ErrorKind, Result};
use crate::folder::Outbox;
use crate::format::address::Address;
use crate::format::encode::Sink;
use crate::format::envelope::{header_end, header_envelope};
use crate::format::fields::{self, names_blind_recipients, visible};
use crate::format::{address_list, field};
use crate::limits::Limits;
use crate::message_file::MessageFile;
use crate::recipients::{Recipient, RecipientType};
use crate::sent::Sent;
use crate::server::MailServer;
use crate::state::new_id;
use crate::transport::{self, Outgoing, check_envelope, received};

/// Who sends a message and who gets it, apart from what its header says (RFC 5321 section 2.3.1).
///
/// ```
/// let envelope = cdonts::Envelope::new("shop@example.com", ["jane@example.com", "audit@example.com"]);
/// assert_eq!(envelope.recipients().len(), 2);
/// let report = cdonts::Envelope::new("", ["jane@example.com"]); // the null reverse-path
/// assert_eq!(report.reverse_path(), "");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    reverse_path: String,
    recipients: Vec<String>,
}

impl Envelope {
    /// An envelope. An empty reverse-path is the null one, of reports and automatic answers.
    pub fn new<R: Into<String>>(
        reverse_path: impl Into<String>,
        recipients: impl IntoIterator<Item = R>,
    ) -> Self {
        Self {
            reverse_path: reverse_path.into(),
            recipients: recipients.into_iter().map(Into::into).collect(),
        }
    }

    /// Who gets reports of errors; empty for nobody.
    pub fn reverse_path(&self) -> &str {
        &self.reverse_path
    }

    /// Who gets the message.
    pub fn recipients(&self) -> &[String] {
        &self.recipients
    }
}

impl Outbox {
    /// Sends a message that is made already (by lettre, by mail-builder, by hand) to the addresses
    /// of the envelope, whatever its header says.
    ///
    /// `Received` is put on top of it, and Date, Message-ID and MIME-Version when they are missing;
    /// `Bcc` and `Resent-Bcc` are taken out. Line ends become CR LF. All else stays as it is.
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// # use cdonts::*;
    /// # let server = MailServer::temporary()?;
    /// let shop = Session::logon_smtp(&server, "Shop", "shop@example.com")?;
    /// let envelope = Envelope::new("shop@example.com", ["jane@example.com"]);
    /// let message = "From: shop@example.com\nSubject: Your order\n\nIt is on its way.\n";
    /// let sent = shop.outbox().send_raw(&envelope, message)?;
    /// assert_eq!(sent.delivered(), ["jane@example.com"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`InvalidValue`](ErrorKind::InvalidValue) for what must not go out: X-Sender or X-Receiver
    /// in the header, a lone CR, a NUL, a line over 998 octets;
    /// [`MissingField`](ErrorKind::MissingField) without From; else as
    /// [`Draft::send`](crate::Draft::send).
    pub fn send_raw(&self, envelope: &Envelope, message: impl AsRef<[u8]>) -> Result<Sent> {
        let server = self.session().server();
        let spool = server.spool();
        spool.check_way(self.session().credentials())?;
        let message = message.as_ref();
        if message.len() as u64 > spool.limits.message {
            return Err(Limits::exceeded("message", spool.limits.message));
        }
        let (reverse_path, recipients) = checked(server, envelope)?;
        let raw = Raw::new(message, &new_id())?;
        let top = received(spool, &new_id());
        let submitted = transport::submit(
            spool,
            &Outgoing {
                credentials: self.session().credentials(),
                reverse_path: reverse_path.as_ref(),
                recipients: &recipients,
                content: &|to| {
                    to.put(top.as_bytes())?;
                    raw.write(to)
                },
            },
        )?;
        Ok(Sent::new(raw.message_id.clone(), submitted))
    }
}

fn checked(server: &MailServer, envelope: &Envelope) -> Result<(Option<Address>, Vec<Address>)> {
    let spool = server.spool();
    let check = |field: &str, address: &str| {
        Address::parse(address).map_err(|reason| {
            // A recipient of the envelope may be a blind one.
            let message = format!("an address {reason}");
            Error::new(ErrorKind::InvalidAddress, message).with_field(field)
        })
    };
    let reverse_path = match envelope.reverse_path() {
        "" => None,
        address => Some(check("X-Sender", address)?),
    };
    let recipients: Result<Vec<_>> = envelope
        .recipients()
        .iter()
        .map(|address| check("X-Receiver", address))
        .collect();
    let recipients = without_doubles(recipients?, spool.case_sensitive);
    let sender = ("X-Sender", reverse_path.as_ref());
    check_envelope(spool, sender, ("X-Receiver", &recipients))?;
    Ok((reverse_path, recipients))
}

/// A message that may go out, its line ends CR LF.
struct Raw {
    bytes: Vec<u8>,
    header_end: usize,
    /// Fields that were missing.
    added: String,
    message_id: String,
}

impl Raw {
    fn new(message: &[u8], id: &str) -> Result<Self> {
        let bytes = canonical(message)?;
        let header_end = header_end(&bytes).unwrap_or(bytes.len());
        let section = bytes.get(..header_end).unwrap_or_default();
        let has_field = |name| fields::first(section, name).is_some();
        if matches!(bytes.first(), None | Some(b'\r' | b' ' | b'\t')) {
            return Err(invalid(
                "Subject",
                "the message does not begin with a header field",
            ));
        }
        for name in ["X-Sender", "X-Receiver"] {
            if has_field(name) {
                return Err(invalid(
                    name,
                    "this field is the mail server's; use the envelope",
                ));
            }
        }
        let envelope = header_envelope(section);
        if !envelope.has_sender {
            let message = "the message has no sender; add the field";
            return Err(Error::new(ErrorKind::MissingField, message).with_field("From"));
        }
        let mut added = String::new();
        if !has_field("Date") {
            let now = crate::time::rfc5322(std::time::SystemTime::now());
            field::verbatim(&mut added, "Date", &now);
        }
        let message_id = match fields::first(section, "Message-ID") {
            Some(field) => field.text(),
            None => {
                let from = Address::parse(&envelope.reverse_path);
                let domain = from.map_or("localhost".to_owned(), |a| a.domain().to_owned());
                let id = format!("<{id}@{domain}>");
                field::verbatim(&mut added, "Message-ID", &id);
                id
            }
        };
        if !has_field("MIME-Version") {
            field::verbatim(&mut added, "MIME-Version", "1.0");
        }
        Ok(Self {
            bytes,
            header_end,
            added,
            message_id,
        })
    }

    fn write(&self, to: &mut dyn Sink) -> Result<()> {
        to.put(self.added.as_bytes())?;
        let section = self.bytes.get(..self.header_end).unwrap_or_default();
        for range in visible(section, names_blind_recipients) {
            to.put(section.get(range).unwrap_or_default())?;
        }
        to.put(self.bytes.get(self.header_end..).unwrap_or_default())
    }
}

fn invalid(field: &str, message: &str) -> Error {
    Error::new(ErrorKind::InvalidValue, message).with_field(field)
}

/// Every line end as CR LF. What another server could take for one is refused: by it a second
/// message can be smuggled behind the first.
fn canonical(message: &[u8]) -> Result<Vec<u8>> {
    const LONGEST: usize = 998;
    let mut out = Vec::with_capacity(message.len() + message.len() / 32);
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let refused = |why: &str| Err(Error::new(ErrorKind::InvalidValue, why));
        if text.contains(&b'\r') {
            return refused("the message holds a CR that ends no line; encode it");
        }
        if text.contains(&0) {
            return refused("the message holds a NUL; encode it");
        }
        if text.len() > LONGEST {
            return refused("the message has a line of more than 998 octets; fold or encode it");
        }
        out.extend(text);
        if line.ends_with(b"\n") {
            out.extend(b"\r\n");
        }
    }
    Ok(out)
}

impl Draft {
    /// Takes over a message that another library has made, to be changed and sent: sender,
    /// recipients (Bcc too), subject, texts, attachments and the other header fields. What the
    /// message is made of is made anew; to send it as it is, use
    /// [`send_raw`](crate::Outbox::send_raw).
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// # use cdonts::*;
    /// # let server = MailServer::temporary()?;
    /// let message = "From: shop@example.com\nTo: jane@example.com\nSubject: Your order\n\nHello\n";
    /// let mut draft = Draft::from_mime(&server, message)?;
    /// draft.set_importance(Importance::High);
    /// draft.send()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`InvalidValue`](ErrorKind::InvalidValue) for X-Sender or X-Receiver in the header;
    /// [`TooLarge`](ErrorKind::TooLarge) names the limit that is exceeded.
    pub fn from_mime(server: &MailServer, message: impl Into<Vec<u8>>) -> Result<Self> {
        let message = message.into();
        let limits = &server.spool().limits;
        let section_end = header_end(&message).unwrap_or(message.len());
        let section = message.get(..section_end).unwrap_or_default().to_vec();
        let read = MessageFile::from_bytes_with(message, limits)?;
        let mut draft = Self::new(server);
        for field in fields::fields(&section) {
            take_field(&mut draft, &field, limits)?;
        }
        if let Some(text) = read.text_part()? {
            draft.set_text(text);
        }
        if let Some(html) = read.html_part()? {
            draft.set_html_text(html);
        }
        draft.set_importance(read.importance()?);
        for attachment in read.attachments()? {
            let content = attachment.read()?;
            let added = draft
                .attachments_mut()
                .add_bytes(attachment.name(), content);
            added.set_content_type(attachment.content_type());
            if let Some(id) = attachment.content_id() {
                added.set_content_id(id);
            }
            if let Some(location) = attachment.content_location() {
                added.set_content_location(location);
            }
        }
        Ok(draft)
    }
}

fn take_field(draft: &mut Draft, field: &fields::Field<'_>, limits: &Limits) -> Result<()> {
    let mailboxes = || address_list::parse(&field.unfolded(), limits.recipients);
    let kinds = [RecipientType::To, RecipientType::Cc, RecipientType::Bcc];
    if let Some(kind) = kinds.into_iter().find(|kind| field.is(kind.name())) {
        for entry in mailboxes() {
            let recipient = Recipient::new(entry.name, &entry.address, kind);
            draft.recipients_mut().push(recipient);
        }
        return Ok(());
    }
    match field.name.to_ascii_lowercase().as_str() {
        "from" => {
            let from = mailboxes().into_iter().next().unwrap_or_default();
            draft.set_sender(from.name, from.address);
        }
        "reply-to" => {
            for entry in mailboxes() {
                draft.add_reply_to(entry.name, entry.address);
            }
        }
        "sender" => {
            let sender = mailboxes().into_iter().next().unwrap_or_default();
            draft.set_sender_field(sender.name, sender.address);
        }
        "x-sender" | "x-receiver" => {
            let message = "this field is the mail server's; leave it out";
            return Err(invalid(field.name, message));
        }
        // Made anew, or of a way that the message has gone before.
        "date" | "message-id" | "mime-version" | "importance" | "x-priority" | "received"
        | "return-path" | "delivered-to" | "dkim-signature" => {}
        name if name.starts_with("content-") || name.starts_with("resent-") => {}
        _ => {
            draft.add_header(field.name, field.text());
        }
    }
    Ok(())
}
