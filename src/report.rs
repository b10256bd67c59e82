//! Reports: what became of a message that was sent, told by mail.
//!
//! It trusts nothing: anyone can write a report. Whether it is about a message of ours, the caller
//! knows by the original Message-ID.

use std::time::SystemTime;

use crate::error::Result;
use crate::format::structure::Part;
use crate::format::{address_list, date, fields, message_ids};
use crate::message::Message;
use crate::message_file::MessageFile;
use crate::reading::Reading;

/// A message that reports on another.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # let bounce = concat!("From: MAILER-DAEMON@example.net\n",
/// #     "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n",
/// #     "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n",
/// #     "Final-Recipient: rfc822; jane@example.net\nAction: failed\nStatus: 5.1.1\n\n",
/// #     "--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: <1@example.com>\n\n--b--\n");
/// use cdonts::{Action, Report};
///
/// let message = cdonts::MessageFile::from_bytes(bounce)?;
/// if let Some(Report::Delivery(report)) = message.report()? {
///     assert_eq!(report.original_message_id(), Some("<1@example.com>"));
///     for recipient in report.recipients() {
///         if recipient.action() == Action::Failed && recipient.is_permanent() {
///             println!("{} gets no more mail", recipient.address());
///         }
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Report {
    /// On its delivery (RFC 3464): a bounce, a delay, a receipt of a mail server.
    Delivery(DeliveryReport),
    /// On its being read (RFC 8098).
    Read(ReadReport),
    /// An answer by a program (RFC 3834), such as an absence note.
    AutoReply(AutoReply),
}

/// What a mail server tells of the delivery of a message (RFC 3464).
///
/// ```
/// fn failed(report: &cdonts::DeliveryReport) -> usize {
///     report.recipients().iter().filter(|to| to.action() == cdonts::Action::Failed).count()
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryReport {
    original_message_id: Option<String>,
    reporting_mta: Option<String>,
    recipients: Vec<RecipientStatus>,
}

impl DeliveryReport {
    /// The Message-ID of the message it is about, with its brackets, if the report holds it.
    pub fn original_message_id(&self) -> Option<&str> {
        self.original_message_id.as_deref()
    }

    /// The mail server that reports.
    pub fn reporting_mta(&self) -> Option<&str> {
        self.reporting_mta.as_deref()
    }

    /// What became of it for each recipient.
    pub fn recipients(&self) -> &[RecipientStatus] {
        &self.recipients
    }
}

/// What became of a message for one recipient.
///
/// ```
/// fn show(status: &cdonts::RecipientStatus) -> String {
///     format!("{}: {:?} {}", status.address(), status.action(), status.status().unwrap_or(""))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientStatus {
    address: String,
    original_address: Option<String>,
    action: Action,
    status: Option<String>,
    diagnostic: Option<String>,
    will_retry_until: Option<SystemTime>,
}

impl RecipientStatus {
    /// The address that it failed for, or was delivered to (Final-Recipient).
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The address that it was sent to, when that is another (Original-Recipient).
    pub fn original_address(&self) -> Option<&str> {
        self.original_address.as_deref()
    }

    /// What was done.
    pub fn action(&self) -> Action {
        self.action
    }

    /// The enhanced status code (RFC 3463), such as `5.1.1`.
    pub fn status(&self) -> Option<&str> {
        self.status.as_deref()
    }

    /// What the other server said, as it said it.
    pub fn diagnostic(&self) -> Option<&str> {
        self.diagnostic.as_deref()
    }

    /// Until when the server tries on.
    pub fn will_retry_until(&self) -> Option<SystemTime> {
        self.will_retry_until
    }

    /// Whether the address itself is bad: a status of class 5. A message that was given up because
    /// nobody took it for days has [failed](Action::Failed) too, and is not permanent.
    pub fn is_permanent(&self) -> bool {
        self.status().is_some_and(|status| status.starts_with("5."))
    }
}

/// What a mail server has done for a recipient (RFC 3464 section 2.3.3).
///
/// ```
/// assert_ne!(cdonts::Action::Failed, cdonts::Action::Delayed);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// It gave up.
    Failed,
    /// It tries on.
    Delayed,
    /// It is in the mailbox.
    Delivered,
    /// It was passed on to a server that sends no reports.
    Relayed,
    /// It was passed on to several.
    Expanded,
    /// Something else, or nothing that could be read.
    Other,
}

impl Action {
    fn from_name(name: &str) -> Self {
        match name.trim().to_ascii_lowercase().as_str() {
            "failed" => Self::Failed,
            "delayed" => Self::Delayed,
            "delivered" => Self::Delivered,
            "relayed" => Self::Relayed,
            "expanded" => Self::Expanded,
            _ => Self::Other,
        }
    }
}

/// What a mail program tells of the reading of a message (RFC 8098).
///
/// ```
/// fn was_read(report: &cdonts::ReadReport) -> bool {
///     report.disposition().ends_with("displayed")
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadReport {
    original_message_id: Option<String>,
    recipient: Option<String>,
    disposition: String,
}

impl ReadReport {
    /// The Message-ID of the message it is about, with its brackets, if the report holds it.
    pub fn original_message_id(&self) -> Option<&str> {
        self.original_message_id.as_deref()
    }

    /// Who has read it.
    pub fn recipient(&self) -> Option<&str> {
        self.recipient.as_deref()
    }

    /// What was done, as the report says it, such as `manual-action/MDN-sent-manually; displayed`.
    pub fn disposition(&self) -> &str {
        &self.disposition
    }
}

/// An answer by a program (RFC 3834).
///
/// ```
/// fn about(reply: &cdonts::AutoReply) -> Option<&str> {
///     reply.original_message_id()
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoReply {
    original_message_id: Option<String>,
}

impl AutoReply {
    /// The Message-ID of the message that it answers, with its brackets, if it says so.
    pub fn original_message_id(&self) -> Option<&str> {
        self.original_message_id.as_deref()
    }
}

impl Message {
    /// What the message reports on another, if it does: `multipart/report` with a delivery status or a
    /// disposition, and `Auto-Submitted: auto-replied`. Bounces and absence notes of older programs,
    /// which are none of these, are `None` here; [`is_automatic`](Message::is_automatic) tells many of
    /// them. Anyone can write a report: believe it only about a message that you have sent.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    pub fn report(&self) -> Result<Option<Report>> {
        report(self.reading())
    }
}

impl MessageFile {
    /// What the message reports on another, if it does; see [`Message::report`].
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit.
    pub fn report(&self) -> Result<Option<Report>> {
        report(self.reading())
    }
}

fn report(reading: &Reading) -> Result<Option<Report>> {
    let of = |types: &[&str]| {
        reading.first_part(|part: &Part| types.contains(&part.media_type.as_str()))
    };
    let returned = [
        "text/rfc822-headers",
        "message/rfc822",
        "message/global-headers",
        "message/global",
    ];
    let original = match of(&returned)? {
        Some(bytes) => message_id(&bytes, "Message-ID"),
        None => None,
    };
    if let Some(status) = of(&["message/delivery-status", "message/global-delivery-status"])? {
        return Ok(Some(Report::Delivery(delivery_report(&status, original))));
    }
    let read = [
        "message/disposition-notification",
        "message/global-disposition-notification",
    ];
    if let Some(notification) = of(&read)? {
        return Ok(Some(Report::Read(ReadReport {
            original_message_id: message_id(&notification, "Original-Message-ID").or(original),
            recipient: address(&notification, "Final-Recipient"),
            disposition: text(&notification, "Disposition").unwrap_or_default(),
        })));
    }
    let value = reading.value("Auto-Submitted")?.unwrap_or_default();
    if value
        .trim_ascii()
        .to_ascii_lowercase()
        .starts_with(b"auto-replied")
    {
        let id = reading.value("In-Reply-To")?;
        let id = id.and_then(|id| {
            message_ids::ids(&String::from_utf8_lossy(&id))
                .into_iter()
                .next()
        });
        return Ok(Some(Report::AutoReply(AutoReply {
            original_message_id: id,
        })));
    }
    Ok(None)
}

/// Blocks of fields, with empty lines between them: the first is about the message, each other
/// about one recipient.
fn delivery_report(status: &[u8], original_message_id: Option<String>) -> DeliveryReport {
    const MOST: usize = 10_000;
    let blocks = blocks(status);
    let recipients = blocks
        .iter()
        .filter(|block| fields::first(block, "Final-Recipient").is_some())
        .take(MOST);
    let until = |block: &[u8]| date::parse(text(block, "Will-Retry-Until")?.as_bytes());
    DeliveryReport {
        original_message_id,
        reporting_mta: blocks
            .iter()
            .find_map(|block| address(block, "Reporting-MTA")),
        recipients: recipients
            .map(|block| RecipientStatus {
                address: address(block, "Final-Recipient").unwrap_or_default(),
                original_address: address(block, "Original-Recipient"),
                action: Action::from_name(&text(block, "Action").unwrap_or_default()),
                status: text(block, "Status").as_deref().and_then(status_code),
                diagnostic: address(block, "Diagnostic-Code"),
                will_retry_until: until(block),
            })
            .collect(),
    }
}

fn blocks(status: &[u8]) -> Vec<Vec<u8>> {
    let mut blocks = vec![Vec::new()];
    for line in status.split_inclusive(|&byte| byte == b'\n') {
        if line.trim_ascii().is_empty() {
            blocks.push(Vec::new());
        } else if let Some(block) = blocks.last_mut() {
            block.extend(line);
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

fn text(block: &[u8], name: &str) -> Option<String> {
    Some(fields::first(block, name)?.text()).filter(|text| !text.is_empty())
}

/// What follows the type in `rfc822; jane@example.com`, `dns; mx.example.com`, `smtp; 550 ...`.
fn address(block: &[u8], name: &str) -> Option<String> {
    let text = text(block, name)?;
    let value = text
        .split_once(';')
        .map_or(text.as_str(), |(_, value)| value)
        .trim();
    let is_bracketed = value.starts_with('<') && value.ends_with('>');
    let value = if is_bracketed {
        address_list::parse(value.as_bytes(), 1)
            .pop()
            .unwrap_or_default()
            .address
    } else {
        value.to_owned()
    };
    Some(value).filter(|value| !value.is_empty())
}

/// The code, without the comment that some servers put behind it.
fn status_code(text: &str) -> Option<String> {
    let code = text.split_whitespace().next()?;
    let numbers: Vec<_> = code.split('.').collect();
    let is_code = numbers.len() == 3
        && numbers.iter().all(|number| {
            (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
        });
    is_code.then(|| code.to_owned())
}

fn message_id(section: &[u8], name: &str) -> Option<String> {
    let value = fields::first(section, name)?.unfolded();
    message_ids::ids(&String::from_utf8_lossy(&value))
        .into_iter()
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_codes_are_read_with_and_without_comments() {
        assert_eq!(
            status_code("5.1.1 (no such user)").as_deref(),
            Some("5.1.1")
        );
        for text in ["", "550", "5.1", "5.1.x", "5.1.1234"] {
            assert_eq!(status_code(text), None, "{text}");
        }
    }
}
