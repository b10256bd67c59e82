//! One message of the queue on the disk: its file, its state, its lock.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::ticket::{Ticket, Waiting, seconds};
use super::{NEW, Queue, STATE};
use crate::delivery::{Spool, has_committed, recover_in};
use crate::error::{Error, ErrorKind, Result};
use crate::format::address::Address;
use crate::format::bytes::{MessageBytes, read_range};
use crate::format::encode::Sink;
use crate::format::envelope::{Head, header_end, read_run};
use crate::format::fields;
use crate::fs::{Dir, Lock};
use crate::profile::Profile;
use crate::state::Dirs;
use crate::store::FileBytes;
use crate::transport::{Copy, Folder, OutFile};

pub(super) fn message_name(id: &str) -> String {
    format!("{id}.eml")
}

pub(super) fn state_name(id: &str) -> String {
    format!("{id}.{STATE}")
}

/// A message of the queue and where it stands.
pub(super) struct QueueFile {
    /// The queue.
    dir: Dir,
    pub(super) id: String,
    pub(super) reverse_path: String,
    /// Octets that go on: without the run.
    pub(super) range: Range<u64>,
    pub(super) bytes: Arc<dyn MessageBytes>,
    /// The header section.
    pub(super) section: Vec<u8>,
    pub(super) ticket: Ticket,
}

/// What is written of a message; `None` before the first attempt.
pub(super) fn read_ticket(queue: &Queue, id: &str) -> Result<Option<Ticket>> {
    let file = match queue.dir.open(state_name(id)) {
        Err(failure) if failure.is_gone() => return Ok(None),
        opened => opened?,
    };
    let path = file.path().to_owned();
    let state = FileBytes::new(file)?;
    let text = String::from_utf8(read_range(&state, 0, state.len())?);
    let ticket = text.ok().and_then(|text| Ticket::decode(&text));
    let ticket = ticket.ok_or_else(|| {
        let text = "this state of the queue cannot be understood; remove it to send the message to \
                    all its recipients again";
        Error::new(ErrorKind::Corrupt, text).with_path(path)
    })?;
    Ok(Some(ticket))
}

/// The same, by the message itself where nothing is written yet; `None` if it is gone.
pub(super) fn ticket_of(spool: &Spool, queue: &Queue, id: &str) -> Result<Option<Ticket>> {
    match read_ticket(queue, id)? {
        Some(ticket) => Ok(Some(ticket)),
        None => Ok(QueueFile::open(spool, queue, id)?.map(|file| file.ticket)),
    }
}

/// Who sweeps locks holds each for a moment.
fn take_lock(dirs: &Dirs, id: &str) -> Result<Option<Lock>> {
    for _ in 0..3 {
        if let Some(lock) = dirs.take(id)? {
            return Ok(Some(lock));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(None)
}

/// The beginning of a file: its run and the header section, and little more.
fn head_of(bytes: &dyn MessageBytes, spool: &Spool) -> Result<Vec<u8>> {
    const FIRST: u64 = 16 * 1024;
    // A run is one short line for each recipient.
    let most = (spool.limits.recipients as u64).saturating_mul(400);
    let most = most.saturating_add(spool.limits.header_section as u64);
    let mut wanted = FIRST;
    loop {
        let head = read_range(bytes, 0, wanted.min(most))?;
        let is_all = head.len() as u64 == bytes.len();
        // Behind the run is the header section, and an empty line ends it.
        if is_all || wanted >= most || header_end(&head).is_some() {
            return Ok(head);
        }
        wanted = wanted.saturating_mul(4);
    }
}

/// Whether a state of the message is handed over and not in its place yet.
fn is_handed_over(dirs: &Dirs, id: &str) -> Result<bool> {
    for name in dirs.committed.all_names()? {
        let staged = dirs.committed.open_dir(&name);
        let staged = staged.and_then(|dir| dir.open_dir(Folder::Queue.name()));
        match staged.and_then(|dir| dir.stat(state_name(id))) {
            Ok(_) => return Ok(true),
            Err(failure) if failure.is_gone() => {}
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(false)
}

/// Takes a message for oneself; `None` while another has it. Its state is the newest then: what a
/// process that died had handed over is moved first.
pub(super) fn hold(
    spool: &Spool,
    queue: &Queue,
    id: &str,
) -> Result<Option<(Option<QueueFile>, Lock)>> {
    let dirs = spool.state.ensure()?;
    let Some(lock) = take_lock(&dirs, id)? else {
        return Ok(None);
    };
    if has_committed(spool)? {
        recover_in(spool, &dirs);
        if is_handed_over(&dirs, id)? {
            // Its newest state cannot be moved to its place now.
            return Ok(None);
        }
    }
    let file = QueueFile::open(spool, queue, id)?;
    Ok(Some((file, lock)))
}

impl QueueFile {
    pub(super) fn message_id(&self) -> String {
        fields::message_id(&self.section)
    }

    /// `None` if it is gone.
    pub(super) fn open(spool: &Spool, queue: &Queue, id: &str) -> Result<Option<Self>> {
        let file = match queue.dir.open(message_name(id)) {
            Err(failure) if failure.is_gone() => return Ok(None),
            opened => opened?,
        };
        let modified = file.opened().stamp.modified();
        let path = file.path().to_owned();
        let corrupt = |text: &str| Error::new(ErrorKind::Corrupt, text).with_path(&path);
        let bytes: Arc<dyn MessageBytes> = Arc::new(FileBytes::new(file)?);
        let head = head_of(bytes.as_ref(), spool)?;
        let run = match read_run(Profile::IisDrop, &head, head.len() as u64 == bytes.len()) {
            Head::Run(run) if !run.recipients.is_empty() => run,
            _ => return Err(corrupt("this file of the queue has no envelope; remove it")),
        };
        let below = head.get(run.end..).unwrap_or_default();
        let end = header_end(below).unwrap_or(below.len());
        let ticket = match read_ticket(queue, id)? {
            Some(ticket) => ticket,
            None => Ticket {
                queued: seconds(modified),
                next: 0,
                attempts: 0,
                is_told: false,
                waiting: run.recipients.iter().map(waiting).collect(),
            },
        };
        Ok(Some(Self {
            dir: queue.dir.clone(),
            id: id.to_owned(),
            reverse_path: run.reverse_path,
            range: run.end as u64..bytes.len(),
            section: below.get(..end).unwrap_or_default().to_vec(),
            bytes,
            ticket,
        }))
    }

    /// Writes the next state, which takes the place of the one before.
    pub(super) fn replace_ticket(&self, spool: &Spool, ticket: &Ticket) -> Result<()> {
        let new = format!("{}.{NEW}", self.id);
        let state = state_name(&self.id);
        // Of a process that died; we hold the lock.
        let _ = self.dir.remove(&new);
        let mut out = OutFile::new(self.dir.create(&new)?);
        out.put(ticket.encode().as_bytes())?;
        out.finish(spool.durable)?;
        self.dir.replace(&new, &self.dir, &state)?;
        if spool.durable {
            self.dir.sync()?;
        }
        Ok(())
    }

    /// The next state, as a copy that is handed over beside others.
    pub(super) fn state_copy<'t>(&self, text: &'t str) -> Copy<'t> {
        Copy {
            folder: Folder::Queue,
            name: state_name(&self.id),
            top: String::new(),
            instead: Some(text),
        }
    }

    /// Removes message and state, in this order.
    pub(super) fn remove(&self, spool: &Spool) -> Result<()> {
        match self.dir.remove(message_name(&self.id)) {
            Err(failure) if !failure.is_gone() => return Err(failure.into()),
            _ => {}
        }
        if spool.durable {
            self.dir.sync()?;
        }
        match self.dir.remove(state_name(&self.id)) {
            Err(failure) if !failure.is_gone() => Err(failure.into()),
            _ => Ok(()),
        }
    }
}

fn waiting(address: &Address) -> Waiting {
    Waiting {
        address: address.to_string(),
        reply: String::new(),
    }
}
