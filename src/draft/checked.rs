//! The check of a draft before it is sent: all of it, and nothing is written.

use std::collections::HashSet;
use std::time::SystemTime;

use super::Draft;
use crate::delivery::without_doubles;
use crate::draft_attachments::DraftAttachment;
use crate::error::{Error, ErrorKind, Result};
use crate::format::address::Address;
use crate::format::code_page::Charset;
use crate::format::compose::{Boundaries, Composition};
use crate::format::field::{self, Mailbox};
use crate::format::uuencode;
use crate::limits::Limits;
use crate::message_format::{EncodingMethod, MessageFormat};
use crate::recipients::{Recipient, RecipientType};
use crate::transport::{check_ascii, check_envelope};

/// Who sends it.
pub(super) fn sender(draft: &Draft) -> Result<Mailbox> {
    if draft.from.name().is_empty() && draft.from.address().is_empty() {
        let message = "the message has no sender; set one";
        return Err(Error::new(ErrorKind::MissingField, message).with_field("From"));
    }
    mailbox("From", draft.from.name(), draft.from.address())
}

/// A draft whose values are known to be good.
pub(super) struct Checked {
    pub(super) from: Mailbox,
    sender: Option<Mailbox>,
    reply_to: Vec<Mailbox>,
    to: Vec<Mailbox>,
    cc: Vec<Mailbox>,
    /// Of To, Cc and Bcc, each mailbox once.
    pub(super) recipients: Vec<Address>,
}

impl Checked {
    pub(super) fn new(draft: &Draft) -> Result<Self> {
        let spool = draft.server.spool();
        spool.check_way(draft.credentials.as_ref())?;
        let from = sender(draft)?;
        if let Some((field, fault)) = draft.faults.first() {
            return Err(Error::new(ErrorKind::InvalidValue, fault).with_field(field));
        }
        let of_type = |kind| checked_recipients(draft, kind);
        let (to, cc) = (of_type(RecipientType::To)?, of_type(RecipientType::Cc)?);
        let bcc = of_type(RecipientType::Bcc)?;
        let all = to.iter().chain(&cc).chain(&bcc);
        let addresses = all.map(|mailbox| mailbox.address.clone()).collect();
        let sender_field = draft.sender_field.as_ref();
        let sender = sender_field.map(|entry| mailbox("Sender", entry.name(), entry.address()));
        let reply_to = draft
            .reply_to
            .iter()
            .map(|entry| mailbox("Reply-To", entry.name(), entry.address()));
        let checked = Self {
            sender: sender.transpose()?,
            reply_to: reply_to.collect::<Result<_>>()?,
            recipients: without_doubles(addresses, spool.case_sensitive),
            from,
            to,
            cc,
        };
        checked.check_envelope(draft)?;
        check_values(draft)?;
        check_size(draft)?;
        Ok(checked)
    }

    fn check_envelope(&self, draft: &Draft) -> Result<()> {
        let spool = draft.server.spool();
        let from = &self.from.address;
        check_envelope(spool, ("From", Some(from)), ("To", &self.recipients))?;
        let by_pickup = |address: &Address| {
            spool.outbox.is_none()
                && !spool.is_local(address)
                && spool.destination(address).is_none()
        };
        if self.recipients.iter().any(by_pickup) {
            check_ascii("Sender", self.sender.iter().map(|sender| &sender.address))?;
            check_ascii("Reply-To", self.reply_to.iter().map(|to| &to.address))?;
        }
        Ok(())
    }

    /// The code page's, or UTF-8 when it lacks a character of the message.
    fn charset(&self, draft: &Draft) -> Charset {
        let charset = draft.code_page.charset();
        let lists = [&self.to, &self.cc, &self.reply_to];
        let named = lists
            .into_iter()
            .flatten()
            .chain([&self.from])
            .chain(&self.sender);
        let bodies = [&draft.text, &draft.html].into_iter().flatten();
        let texts = named
            .map(|mailbox| &mailbox.name)
            .chain(bodies)
            .chain(draft.headers.iter().map(|(_, value)| value))
            .chain([&draft.subject]);
        let attached = draft.attachments.iter().map(DraftAttachment::name);
        let mut all = texts.map(String::as_str).chain(attached);
        if all.all(|text| charset.encode(text).is_some()) {
            charset
        } else {
            Charset::UTF_8
        }
    }

    /// The message as it will be written.
    pub(super) fn composition<'a>(
        &'a self,
        draft: &'a Draft,
        message_id: &'a str,
        date: SystemTime,
    ) -> Composition<'a> {
        let location = draft.resolved_location();
        let attachments = draft.attachments.iter();
        let attachments = attachments
            .map(|one| one.part(location.as_deref()))
            .collect();
        Composition {
            date,
            message_id,
            from: &self.from,
            sender: self.sender.as_ref(),
            reply_to: &self.reply_to,
            to: &self.to,
            cc: &self.cc,
            subject: &draft.subject,
            importance: draft.importance,
            own_fields: own_fields(draft, &self.from.address),
            headers: &draft.headers,
            charset: self.charset(draft),
            content_location: location,
            text: draft.text.as_deref(),
            as_text: is_sent_as_text(draft),
            html: draft.html.as_deref(),
            attachments,
            boundaries: Boundaries::new(),
        }
    }
}

/// Whether the text form is asked for and can hold the message.
fn is_sent_as_text(draft: &Draft) -> bool {
    let text = draft.text.as_deref().unwrap_or_default();
    let is_plain = |attachment: &DraftAttachment| {
        uuencode::can_name(attachment.name())
            && attachment.encoding_method() != Some(EncodingMethod::Base64)
    };
    draft.message_format == MessageFormat::Text
        && draft.html.is_none()
        && draft.attachments.iter().all(is_plain)
        && !text
            .split(['\r', '\n'])
            .any(|line| uuencode::begins_file(line.as_bytes()))
}

fn mailbox(field: &str, name: &str, address: &str) -> Result<Mailbox> {
    field::check_name(field, name)?;
    let address = Address::parse(address).map_err(|reason| {
        let message = if field == RecipientType::Bcc.name() {
            format!("a blind recipient's address {reason}")
        } else {
            format!("`{}` {reason}", address.escape_debug())
        };
        Error::new(ErrorKind::InvalidAddress, message).with_field(field)
    })?;
    Ok(Mailbox {
        name: name.trim().to_owned(),
        address,
    })
}

fn checked_recipients(draft: &Draft, kind: RecipientType) -> Result<Vec<Mailbox>> {
    let check = |recipient: &Recipient| mailbox(kind.name(), recipient.name(), recipient.address());
    draft.recipients.of_type(kind).map(check).collect()
}

/// Fields of the draft's own, each with what its RFC wants.
fn own_fields(draft: &Draft, from: &Address) -> String {
    // The first one begins the conversation, the last ones are nearest.
    const MOST: usize = 20;
    let mut fields = String::new();
    if let Some(id) = &draft.in_reply_to {
        field::verbatim(&mut fields, "In-Reply-To", id);
    }
    let references = &draft.references;
    if let Some((first, rest)) = references.split_first() {
        let skipped = rest.len().saturating_sub(MOST - 1);
        let kept = std::iter::once(first).chain(rest.iter().skip(skipped));
        let kept: Vec<_> = kept.map(String::as_str).collect();
        field::verbatim(&mut fields, "References", &kept.join("\r\n "));
    }
    if let Some(how) = draft.auto_submitted {
        field::verbatim(&mut fields, "Auto-Submitted", how.name());
    }
    if let Some(unsubscribe) = &draft.list_unsubscribe {
        field::verbatim(
            &mut fields,
            "List-Unsubscribe",
            &format!("<{}>", unsubscribe.url),
        );
        if unsubscribe.one_click {
            field::verbatim(
                &mut fields,
                "List-Unsubscribe-Post",
                "List-Unsubscribe=One-Click",
            );
        }
    }
    if draft.wants_read_receipt {
        field::verbatim(
            &mut fields,
            "Disposition-Notification-To",
            &from.to_string(),
        );
    }
    fields
}

fn check_unsubscribe(draft: &Draft) -> Result<()> {
    let Some(unsubscribe) = &draft.list_unsubscribe else {
        return Ok(());
    };
    let url = &unsubscribe.url;
    let is_plain = url.len() <= 900
        && url
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"<>,".contains(&byte));
    let has_scheme =
        url.starts_with("https:") || (url.starts_with("mailto:") && !unsubscribe.one_click);
    if is_plain && has_scheme {
        return Ok(());
    }
    let message = "it is an `https:` URL in ASCII, or `mailto:` when it is not for one click";
    Err(Error::new(ErrorKind::InvalidValue, message).with_field("List-Unsubscribe"))
}

fn check_values(draft: &Draft) -> Result<()> {
    field::check("Subject", &draft.subject)?;
    check_unsubscribe(draft)?;
    for (name, value) in &draft.headers {
        field::check_field_name(name)?;
        if is_reserved(name) {
            let message = "this field is written by the library or by a mail server; leave it out";
            return Err(Error::new(ErrorKind::InvalidValue, message).with_field(name));
        }
        field::check(name, value)?;
        if is_structured(name) && (!value.is_ascii() || value.contains("=?")) {
            let message = "this field holds identifiers or addresses of the web in ASCII only";
            return Err(Error::new(ErrorKind::InvalidValue, message).with_field(name));
        }
    }
    for (name, value) in [
        ("Content-Base", &draft.content_base),
        ("Content-Location", &draft.content_location),
    ] {
        let is_url =
            |text: &String| text.len() <= 900 && text.bytes().all(|b| b.is_ascii_graphic());
        if value.as_ref().is_some_and(|value| !is_url(value)) {
            let message = "it is a URL in ASCII; percent-encode the rest";
            return Err(Error::new(ErrorKind::InvalidValue, message).with_field(name));
        }
    }
    let mut ids = HashSet::new();
    for attachment in &draft.attachments {
        attachment.check()?;
        if attachment.content_id().is_some_and(|id| !ids.insert(id)) {
            let message = "two attachments have this Content-ID; give each its own";
            return Err(Error::new(ErrorKind::InvalidValue, message).with_field("Content-ID"));
        }
    }
    Ok(())
}

/// The longest a message can become is known before it is written.
fn check_size(draft: &Draft) -> Result<()> {
    let most = draft.server.spool().limits.message;
    let texts = [&draft.text, &draft.html].into_iter().flatten();
    let mut size: u64 = texts.map(|text| text.len() as u64).sum();
    for attachment in &draft.attachments {
        // Base64 in lines of 76: 78 octets for 57.
        size = size.saturating_add(attachment.measure()?.div_ceil(57).saturating_mul(78));
    }
    if size > most {
        return Err(Limits::exceeded("message", most));
    }
    Ok(())
}

/// Fields whose value is a list of ids or URLs, in which no encoded word may stand.
fn is_structured(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("list-") || matches!(name.as_str(), "in-reply-to" | "references")
}

/// Fields that only the library, or a mail server, may write.
fn is_reserved(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "authentication-results",
        "auto-submitted",
        "date",
        "delivered-to",
        "delivery-date",
        "dkim-signature",
        "envelope-to",
        "message-id",
        "mime-version",
        "received",
        "return-path",
        "x-original-to",
        "x-priority",
        "x-receiver",
        "x-sender",
    ];
    const PREFIXES: &[&str] = &["arc-", "content-", "resent-"];
    let name = name.to_ascii_lowercase();
    NAMES.contains(&name.as_str()) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
