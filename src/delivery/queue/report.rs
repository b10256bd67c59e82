//! Reports to the sender (RFC 3464): what cannot be delivered, and what is late.
//!
//! A report has the null reverse-path, so that none is ever answered by another. What can be
//! neither delivered nor reported goes to Badmail, as the SMTP service of IIS has it.

use std::time::SystemTime;

use super::file::QueueFile;
use super::ticket::{Waiting, time_of};
use crate::delivery::counters::add;
use crate::delivery::{Event, Handover, Spool, tell};
use crate::error::{Error, ErrorKind, Result};
use crate::format::address::Address;
use crate::format::body::{self, BodyReader};
use crate::format::code_page::Charset;
use crate::format::compose::write_text;
use crate::format::encode::Sink;
use crate::format::field;
use crate::format::fields::{self, names_blind_recipients, visible};
use crate::state::new_id;
use crate::time::rfc5322;
use crate::transport::{
    Copy, PickupFormat, Reply, bad_copies, drop_copy, pickup_copy, queue_copy, received,
};

/// So much of the header section goes back.
const MOST_HEADER: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Failed,
    Delayed,
}

/// A recipient, and what was said of him.
pub(super) struct Told {
    address: String,
    reply: Reply,
}

impl Told {
    pub(super) fn new(one: &Waiting, reply: Reply) -> Self {
        let address = one.address.clone();
        Self { address, reply }
    }

    fn status(&self) -> &str {
        match (self.reply.enhanced(), self.reply.code()) {
            ("", 500..) => "5.0.0",
            ("", _) => "4.0.0",
            (enhanced, _) => enhanced,
        }
    }
}

pub(super) struct Report<'a> {
    spool: &'a Spool,
    file: &'a QueueFile,
    action: Action,
    told: Vec<Told>,
    /// `None` when nobody is to be told: it goes to Badmail.
    sender: Option<Address>,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        spool: &'a Spool,
        file: &'a QueueFile,
        action: Action,
        told: Vec<Told>,
    ) -> Self {
        let sender = Address::parse(&file.reverse_path).ok();
        let is_reachable = |sender: &Address| {
            // A report has no sender, which Exchange's Pickup cannot be told.
            let pickup = spool.pickup.as_ref();
            spool.is_local(sender)
                || spool.destination(sender).is_some()
                || pickup.is_some_and(|pickup| pickup.format != PickupFormat::Exchange)
        };
        Self {
            spool,
            file,
            action,
            told,
            sender: sender.filter(is_reachable),
        }
    }

    /// A notice of a delay, if there is somebody to tell.
    pub(super) fn delayed(spool: &'a Spool, file: &'a QueueFile, told: Vec<Told>) -> Option<Self> {
        let report = Self::new(spool, file, Action::Delayed, told);
        report.sender.is_some().then_some(report)
    }

    /// Makes it sent, and the state of the message written, at one instant.
    pub(super) fn hand_over(&self, ticket: &str) -> Result<()> {
        let reason = self.reason();
        let envelope = self.envelope();
        let mut copies = self.copies(&reason, &envelope)?;
        copies.push(self.file.state_copy(ticket));
        let staged = Handover::begin(self.spool)?.stage(&copies, &|to| self.write(to))?;
        match staged.hand_over()?.move_out().first() {
            // Handed over it is; whoever recovers moves it, and nobody works on the message before.
            Some(problem) => Err(Error::new(ErrorKind::Io, problem.text())),
            None => Ok(()),
        }
    }

    fn copies<'t>(&self, reason: &'t str, envelope: &'t str) -> Result<Vec<Copy<'t>>> {
        let spool = self.spool;
        let Some(sender) = &self.sender else {
            spool.open_badmail()?;
            add(&spool.counters.bad, 1);
            tell(Event::Bad, 0, &self.file.message_id(), &self.file.id);
            return Ok(bad_copies(&new_id(), reason, envelope).into());
        };
        let top = received(spool, &new_id());
        Ok(vec![if spool.is_local(sender) {
            drop_copy(spool, None, sender)
        } else if spool.destination(sender).is_some() {
            queue_copy(None, std::slice::from_ref(sender), &top)
        } else {
            pickup_copy(None, std::slice::from_ref(sender), &top)
        }])
    }

    fn reason(&self) -> String {
        let lines = self.told.iter();
        lines
            .map(|told| format!("<{}>: {}\r\n", told.address, told.reply))
            .collect()
    }

    fn envelope(&self) -> String {
        let mut text = format!("sender: <{}>\r\n", self.file.reverse_path.escape_debug());
        for told in &self.told {
            text += &format!("recipient: <{}>\r\n", told.address);
        }
        text
    }

    fn write(&self, to: &mut dyn Sink) -> Result<()> {
        match &self.sender {
            Some(sender) => self.write_report(sender, to),
            None => {
                let bytes = std::sync::Arc::clone(&self.file.bytes);
                let whole = 0..self.file.range.end;
                let mut reader = BodyReader::raw(bytes, whole, false);
                body::copy(&mut reader, |block| to.put(block))?;
                Ok(())
            }
        }
    }

    fn domain(&self) -> &str {
        let first = self.spool.local_domains.first();
        first.map_or("localhost", String::as_str)
    }

    fn write_report(&self, sender: &Address, to: &mut dyn Sink) -> Result<()> {
        let boundary = format!("=_report_{}", new_id());
        let mut header = String::new();
        self.push_header(sender, &boundary, &mut header);
        let next = format!("--{boundary}\r\n");
        to.put(format!("{header}{next}").as_bytes())?;
        write_text("plain", &self.text(), Charset::UTF_8, to)?;
        to.put(format!("\r\n{next}{}\r\n{next}", self.status()).as_bytes())?;
        write_text("rfc822-headers", &self.original(), Charset::UTF_8, to)?;
        to.put(format!("\r\n--{boundary}--\r\n").as_bytes())
    }

    fn push_header(&self, sender: &Address, boundary: &str, header: &mut String) {
        let domain = self.domain();
        let subject = match self.action {
            Action::Failed => "Undelivered mail returned to its sender",
            Action::Delayed => "Mail is delayed and will be tried again",
        };
        field::verbatim(header, "Date", &rfc5322(SystemTime::now()));
        let from = format!("Mail Delivery System <postmaster@{domain}>");
        field::verbatim(header, "From", &from);
        field::verbatim(header, "To", &sender.to_string());
        field::verbatim(header, "Subject", subject);
        let id = format!("<{}@{domain}>", new_id());
        field::verbatim(header, "Message-ID", &id);
        let original = self.file.message_id();
        let is_id = original.len() < 900
            && original.starts_with('<')
            && original.bytes().all(|byte| byte.is_ascii_graphic());
        if is_id {
            field::verbatim(header, "In-Reply-To", &original);
            field::verbatim(header, "References", &original);
        }
        field::verbatim(header, "Auto-Submitted", "auto-replied");
        header.push_str("MIME-Version: 1.0\r\n");
        header.push_str("Content-Type: multipart/report; report-type=delivery-status;\r\n");
        header.push_str(&format!(" boundary=\"{boundary}\"\r\n\r\n"));
    }

    /// For a person.
    fn text(&self) -> String {
        let about = match self.action {
            Action::Failed => "Your message could not be delivered to the recipients below.",
            Action::Delayed => {
                "Your message could not be delivered yet. It is tried again; you need do nothing."
            }
        };
        let subject = fields::first(&self.file.section, "Subject").map(|field| field.text());
        let mut text = format!("{about}\r\n\r\n");
        if let Some(subject) = subject.filter(|subject| !subject.is_empty()) {
            text += &format!("Subject: {subject}\r\n\r\n");
        }
        for told in &self.told {
            text += &format!("<{}>\r\n    {}\r\n", told.address, told.reply);
        }
        text
    }

    /// For a program (RFC 3464 section 2).
    fn status(&self) -> String {
        let mut text = format!(
            "Content-Type: message/delivery-status\r\n\r\n\
             Reporting-MTA: dns; {}\r\nArrival-Date: {}\r\n",
            self.domain(),
            rfc5322(time_of(self.file.ticket.queued))
        );
        let action = match self.action {
            Action::Failed => "failed",
            Action::Delayed => "delayed",
        };
        for told in &self.told {
            text += &format!(
                "\r\nFinal-Recipient: {}\r\nAction: {action}\r\nStatus: {}\r\n",
                typed_address(&told.address),
                told.status()
            );
            if told.reply.code() > 0 {
                // A line of its own may be long, but not longer than a line can be.
                let said: String = told.reply.to_string().chars().take(900).collect();
                let said = said.replace(|c: char| !c.is_ascii(), "?");
                field::verbatim(&mut text, "Diagnostic-Code", &format!("smtp; {said}"));
            }
            field::verbatim(&mut text, "Last-Attempt-Date", &rfc5322(SystemTime::now()));
        }
        text
    }

    /// The header section of the message, without what names blind recipients.
    fn original(&self) -> String {
        let section = self.file.section.as_slice();
        let mut original = Vec::new();
        for range in visible(section, names_blind_recipients) {
            original.extend_from_slice(section.get(range).unwrap_or_default());
        }
        original.truncate(MOST_HEADER);
        String::from_utf8_lossy(&original).trim_end().to_owned() + "\r\n"
    }
}

/// An address with its type; one that is not ASCII in the form that fits everywhere (RFC 6533
/// section 3).
fn typed_address(address: &str) -> String {
    if address.is_ascii() {
        return format!("rfc822; {address}");
    }
    let escaped: String = address
        .chars()
        .map(|c| match c {
            c if c.is_ascii() => c.to_string(),
            c => format!("\\x{{{:X}}}", u32::from(c)),
        })
        .collect();
    format!("utf-8; {escaped}")
}
