//! What one file of a message holds, and for which folder it is.

use std::ops::Range;
use std::sync::Arc;

use super::out_file::OutFile;
use crate::error::Result;
use crate::format::address::Address;
use crate::format::body::{self, BodyReader};
use crate::format::bytes::MessageBytes;
use crate::format::dots::Stuffer;
use crate::format::encode::Sink;
use crate::fs::NewFile;
use crate::store::FileBytes;

/// Where a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Folder {
    Drop,
    Pickup,
    Queue,
    Badmail,
}

impl Folder {
    pub(crate) const ALL: [Self; 4] = [Self::Drop, Self::Pickup, Self::Queue, Self::Badmail];

    /// The name of its directory while a message is staged.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Pickup => "pickup",
            Self::Queue => "queue",
            Self::Badmail => "badmail",
        }
    }
}

/// Who sends and who receives, as the file tells the server (RFC 5321 section 2.3.1).
#[derive(Clone, Copy)]
pub(crate) struct Envelope<'a> {
    /// `None` is the null reverse-path.
    pub(crate) reverse_path: Option<&'a Address>,
    pub(crate) recipients: &'a [Address],
}

impl Envelope<'_> {
    /// The run of fields on top of the file.
    pub(crate) fn run(&self) -> String {
        let mut run = String::from("X-Sender: ");
        match self.reverse_path {
            Some(sender) => sender.append_to(&mut run),
            None => run.push_str("<>"),
        }
        for recipient in self.recipients {
            run.push_str("\r\nX-Receiver: ");
            recipient.append_to(&mut run);
        }
        run.push_str("\r\n");
        run
    }
}

/// The message below the run, written as often as it is asked for.
pub(crate) type Content<'a> = dyn Fn(&mut dyn Sink) -> Result<()> + 'a;

/// One file to be.
pub(crate) struct Copy<'a> {
    pub(crate) folder: Folder,
    /// Chosen now and used at every later attempt.
    pub(crate) name: String,
    /// The run, and the field that ends it when the content cannot.
    pub(crate) top: String,
    /// Instead of the message, for what stands beside one.
    pub(crate) instead: Option<&'a str>,
}

impl Copy<'_> {
    /// The name without its ending.
    pub(crate) fn stem(&self) -> &str {
        self.name
            .split_once('.')
            .map_or(&self.name, |(stem, _)| stem)
    }
}

/// Writes the copies of one message: the content is composed for the first and copied from it to
/// the others, so that all are the same whatever happens to an attachment meanwhile.
pub(crate) struct Copier<'a> {
    content: &'a Content<'a>,
    first: Option<(Arc<dyn MessageBytes>, Range<u64>, bool)>,
    durable: bool,
}

impl<'a> Copier<'a> {
    pub(crate) fn new(content: &'a Content<'a>, durable: bool) -> Self {
        Self {
            content,
            first: None,
            durable,
        }
    }

    /// Writes and syncs one copy.
    pub(crate) fn write(
        &mut self,
        copy: &Copy<'_>,
        stuffed: bool,
        file: NewFile,
    ) -> Result<NewFile> {
        let mut out = OutFile::new(file);
        out.put(copy.top.as_bytes())?;
        if let Some(instead) = copy.instead {
            out.put(instead.as_bytes())?;
            return out.finish(self.durable);
        }
        let start = out.position();
        if stuffed {
            self.put_content(&mut Stuffer::new(&mut out))?;
        } else {
            self.put_content(&mut out)?;
        }
        let end = out.position();
        let file = out.finish(self.durable)?;
        if self.first.is_none() {
            let bytes = FileBytes::new(file.reopen()?)?;
            self.first = Some((Arc::new(bytes), start..end, stuffed));
        }
        Ok(file)
    }

    fn put_content(&self, to: &mut dyn Sink) -> Result<()> {
        match &self.first {
            None => (self.content)(to),
            Some((bytes, range, stuffed)) => {
                let mut reader = BodyReader::raw(Arc::clone(bytes), range.clone(), *stuffed);
                body::copy(&mut reader, |block| to.put(block))?;
                Ok(())
            }
        }
    }
}
