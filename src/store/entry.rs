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

/// What a listing shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
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
