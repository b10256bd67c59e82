//! A message that comes, and its way into the Inboxes.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use super::Protocol;
use super::session::{Session, Transaction};
use crate::delivery::{Event, tell, without_doubles};
use crate::error::{Error, ErrorKind, Result};
use crate::format::body::{self, BodyReader};
use crate::format::bytes::{MessageBytes, read_range};
use crate::format::encode::Sink;
use crate::format::envelope::header_end;
use crate::format::fields;
use crate::fs::NewFile;
use crate::state::{new_id, scratch_file};
use crate::store::FileBytes;
use crate::time::rfc5322;
use crate::transport::{OutFile, Outgoing, submit};

impl Session<'_> {
    /// Where a message waits while it comes; gone with its handle.
    pub(super) fn spool_file(&self) -> Result<NewFile> {
        Ok(scratch_file(&self.spool.state.ensure()?.root)?)
    }

    /// In all Inboxes, or in none.
    pub(super) fn deliver(&self, transaction: &Transaction, bytes: FileBytes) -> Result<()> {
        let bytes: Arc<dyn MessageBytes> = Arc::new(bytes);
        let head = read_range(bytes.as_ref(), 0, self.spool.limits.header_section as u64)?;
        let section = head.get(..header_end(&head).unwrap_or(head.len()));
        let section = section.unwrap_or_default();
        if fields::is_loop(section) {
            let text = "the message has come by too many servers: a loop";
            return Err(Error::new(ErrorKind::InvalidValue, text));
        }
        let trace = self.trace();
        let recipients = without_doubles(transaction.recipients.clone(), self.spool.case_sensitive);
        submit(
            self.spool,
            &Outgoing {
                credentials: None,
                reverse_path: transaction.sender.as_ref(),
                recipients: &recipients,
                content: &|to| {
                    to.put(trace.as_bytes())?;
                    let whole = 0..bytes.len();
                    let mut reader = BodyReader::raw(Arc::clone(&bytes), whole, false);
                    body::copy(&mut reader, |block| to.put(block)).map(drop)
                },
            },
        )?;
        tell(Event::Accepted, 0, &fields::message_id(section), "");
        Ok(())
    }

    /// The trace field of this hop (RFC 5321 section 4.4).
    fn trace(&self) -> String {
        let with = match (self.listener.protocol, self.wire.is_private()) {
            (Protocol::Smtp, false) => "ESMTP",
            (Protocol::Smtp, true) => "ESMTPS",
            (Protocol::Lmtp, false) => "LMTP",
            (Protocol::Lmtp, true) => "LMTPS",
        };
        let hello = self.hello.as_deref().unwrap_or_default();
        let plain = |c: char| {
            if c.is_ascii_graphic() && c != '(' && c != ')' {
                c
            } else {
                '?'
            }
        };
        let hello: String = hello.chars().take(200).map(plain).collect();
        let peer = self
            .peer
            .map_or(String::new(), |peer| format!(" ([{}])", peer.ip()));
        format!(
            "Received: from {hello}{peer}\r\n\tby {} with {with} id {};\r\n\t{}\r\n",
            self.domain(),
            new_id(),
            rfc5322(SystemTime::now())
        )
    }
}

/// What comes while a message is read: more than there may be is not kept, but read to its end.
pub(super) struct Incoming {
    out: OutFile,
    most: u64,
    size: u64,
    failed: Option<Error>,
}

impl Incoming {
    pub(super) fn new(file: NewFile, most: u64) -> Self {
        Self {
            out: OutFile::new(file),
            most,
            size: 0,
            failed: None,
        }
    }

    pub(super) fn take(&mut self, block: &[u8]) -> io::Result<()> {
        self.size = self.size.saturating_add(block.len() as u64);
        if self.size > self.most.saturating_mul(2) {
            // It does not stop: neither do we listen on.
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if self.size <= self.most && self.failed.is_none() {
            self.failed = self.out.put(block).err();
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<FileBytes> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.size > self.most {
            return Err(crate::limits::Limits::exceeded("message", self.most));
        }
        // What is delivered is synced; this is not.
        FileBytes::new(self.out.finish(false)?.reopen()?)
    }
}

pub(super) fn refusal(error: &Error) -> String {
    match error.kind() {
        ErrorKind::TooLarge => "552 5.3.4 the message is too large".to_owned(),
        ErrorKind::InvalidValue => "554 5.4.6 the message has come by too many servers".to_owned(),
        ErrorKind::DiskFull => "452 4.3.1 the disk is full".to_owned(),
        _ => "451 4.3.0 it cannot be delivered now".to_owned(),
    }
}
