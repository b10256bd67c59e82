//! What is known of a message before it is opened.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::SystemTime;

use super::drop::Place;
use crate::format::{address_list, date, fields};
use crate::fs::Stamp;

/// One file of the drop that somebody may see.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) place: Place,
    pub(crate) name: OsString,
    pub(crate) stamp: Stamp,
    pub(crate) summary: Summary,
}

/// What a listing shows of a message.
///
/// ```
/// let head = b"From: Jane <jane@example.com>\r\nSubject: Hello\r\n\r\nHow";
/// let summary = cdonts::Summary::of_message(head, 1000);
/// assert_eq!(summary.subject(), "Hello");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub(crate) sender: address_list::Entry,
    pub(crate) subject: String,
    /// By the Received field that the server wrote last, else the time of the file.
    pub(crate) received: Option<SystemTime>,
    /// Octets that a reader may see.
    pub(crate) size: u64,
    pub(crate) reverse_path: String,
    /// The server wrote the null reverse-path, not merely none.
    pub(crate) has_null_reverse_path: bool,
    /// The address under which the session sees it, as the server wrote it.
    pub(crate) delivered_to: String,
}

impl Entry {
    /// The file's name below the drop, with the folder of a Maildir.
    pub(crate) fn relative_path(&self) -> PathBuf {
        self.place.relative_path(&self.name)
    }
}

impl Summary {
    /// Reads the header section at the beginning of a message, which goes to the first empty line
    /// or to the end of what is given; `size` is that of the whole message.
    pub fn of_message(head: &[u8], size: u64) -> Self {
        let end = crate::format::envelope::header_end(head).unwrap_or(head.len());
        Self::of_section(head.get(..end).unwrap_or_default(), size)
    }

    /// When it was received, where that is known better than by its `Received` fields.
    pub fn received_at(mut self, time: SystemTime) -> Self {
        self.received = Some(time);
        self
    }

    /// The subject, decoded.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Octets of the message.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads a header section; `size` is that of the whole message without its run.
    pub(crate) fn of_section(section: &[u8], size: u64) -> Self {
        let mut summary = Self {
            size,
            ..Self::default()
        };
        let (mut from, mut subject) = (false, false);
        for field in fields::fields(section) {
            if field.is("From") && !from {
                from = true;
                let mut list = address_list::parse(&bounded(&field), 1);
                summary.sender = list.pop().unwrap_or_default();
            } else if field.is("Subject") && !subject {
                subject = true;
                summary.subject = fields::text_of(&bounded(&field));
            } else if field.is("Received") && summary.received.is_none() {
                let value = bounded(&field);
                let stamp = value.rsplit(|&byte| byte == b';').next();
                summary.received = stamp.and_then(date::parse);
            } else if fields::names_blind_recipients(field.name) {
                let hidden = field.range.len() as u64;
                summary.size = summary.size.saturating_sub(hidden);
            }
        }
        summary
    }
}

/// What a listing keeps of a field: ten thousand long ones must not fill the memory.
fn bounded(field: &fields::Field<'_>) -> Vec<u8> {
    const MOST: usize = 4096;
    let mut value = field.unfolded();
    value.truncate(MOST);
    value
}
