//! Files that other programs put into Pickup: taken when the owner asks, and only whole ones.
//!
//! It trusts the run on top of such a file, or without one its From, To, Cc and Bcc, as the SMTP
//! service of IIS does: whoever can write into Pickup can send as anybody. What goes on is made
//! new: our run, our `Received`, and the message without its blind recipients.

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::counters::add;
use super::events::{Event, tell};
use super::handover::Handover;
use super::spool::{Pickup, Spool};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::format::address::Address;
use crate::format::body::{self, BodyReader};
use crate::format::bytes::{MessageBytes, read_range};
use crate::format::encode::Sink;
use crate::format::envelope::{Head, Run, header_end, header_envelope, read_run};
use crate::format::fields::{is_loop, message_id, names_blind_recipients, visible};
use crate::fs::{Dir, Kind, Stamp};
use crate::profile::Profile;
use crate::state::new_id;
use crate::store::FileBytes;
use crate::store::settle::Verdict;
use crate::transport::{
    Copy, Folder, PickupFormat, bad_copies, drop_copy, received, remote_copies,
};

/// What [`MailServer::deliver_now`](crate::MailServer::deliver_now) did.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// let server = cdonts::MailServer::temporary()?;
/// let delivered = server.deliver_now()?;
/// assert_eq!(delivered.messages(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Delivered {
    messages: usize,
    recipients: Vec<String>,
    badmail: Vec<String>,
    problems: Vec<Problem>,
}

impl Delivered {
    /// How many files of Pickup were delivered.
    pub fn messages(&self) -> usize {
        self.messages
    }

    /// The local addresses that got a message, one for each copy.
    pub fn recipients(&self) -> &[String] {
        &self.recipients
    }

    /// The names in Badmail, without ending, of what could not be understood.
    pub fn badmail(&self) -> &[String] {
        &self.badmail
    }

    /// What could not be done yet: files that cannot be read, and copies that are sent but could
    /// not be moved to their place; the next delivery tries again.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// Delivers what is complete in Pickup now, and what is due in the queue.
pub(crate) fn deliver(spool: &Spool) -> Result<Delivered> {
    let mut done = deliver_pickup(spool, &|| false)?;
    done.problems
        .extend(super::queue::work_off(spool, &|| false)?);
    Ok(done)
}

/// Delivers what is complete in Pickup now, until `stops` says to end after what is in hand.
pub(crate) fn deliver_pickup(
    spool: &Spool,
    stops: &(dyn Fn() -> bool + Sync),
) -> Result<Delivered> {
    let mut done = Delivered {
        problems: super::recover::recover(spool)?,
        ..Delivered::default()
    };
    let delivers = !spool.local_domains.is_empty() || spool.queue.is_some();
    let is_ours = |pickup: &&Pickup| delivers && pickup.format == PickupFormat::Iis;
    if let Some(pickup) = spool.pickup.as_ref().filter(is_ours) {
        take(spool, pickup, stops, &mut done)?;
    } else if spool.queue.is_none() {
        return Err(Error::new(
            ErrorKind::Configuration,
            "only a mail server with a Pickup of its own and a local domain or a relay delivers; set \
             them with `local_domain` and `relay`",
        ));
    }
    Ok(done)
}

/// Takes what is complete in Pickup.
fn take(
    spool: &Spool,
    pickup: &Pickup,
    stops: &(dyn Fn() -> bool + Sync),
    done: &mut Delivered,
) -> Result<()> {
    for (name, stamp) in complete_files(pickup, &mut done.problems)? {
        if stops() {
            return Ok(());
        }
        match deliver_file(spool, pickup, &name, stamp, done) {
            // Another delivery was faster.
            Err(error) if error.kind() == ErrorKind::PathNotFound => {}
            Err(error) => done.problems.push(error.into()),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// The files that were written to their end; waits at most one settle period.
fn complete_files(pickup: &Pickup, problems: &mut Vec<Problem>) -> Result<Vec<(OsString, Stamp)>> {
    let look = pickup.looks.fetch_add(1, Ordering::Relaxed) + 1;
    let mut judge = |name: &OsStr| match pickup.dir.stat(name) {
        Ok(stat) if stat.kind == Kind::File => {
            Some((stat.stamp, pickup.settling.judge(name, stat.stamp, look)))
        }
        Err(failure) if !failure.is_gone() => {
            problems.push(Error::from(failure).into());
            None
        }
        _ => None,
    };
    let mut complete = Vec::new();
    let mut unsettled = Vec::new();
    let mut wait = Duration::ZERO;
    for name in pickup.dir.all_names()? {
        if !is_candidate(&name) {
            continue;
        }
        match judge(&name) {
            Some((stamp, Verdict::Complete)) if stamp.size > 0 => complete.push((name, stamp)),
            Some((_, Verdict::Wait(time))) => {
                wait = wait.max(time);
                unsettled.push(name);
            }
            _ => {}
        }
    }
    if !unsettled.is_empty() {
        std::thread::sleep(wait);
    }
    for name in unsettled {
        if let Some((stamp, Verdict::Complete)) = judge(&name) {
            complete.push((name, stamp));
        }
    }
    pickup.settling.forget_before(look);
    // The order in which they were written, as far as the times tell.
    complete.sort_by(|a, b| (a.1.modified, &a.0).cmp(&(b.1.modified, &b.0)));
    Ok(complete)
}

/// What stands beside messages in a Pickup, and names that writers use while they write.
fn is_candidate(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_lowercase();
    let other = [".json", ".log", ".tmp", ".bad"];
    !name.starts_with('.')
        && !name.starts_with("temp.")
        && !other.iter().any(|ending| name.ends_with(ending))
}

fn deliver_file(
    spool: &Spool,
    pickup: &Pickup,
    name: &OsStr,
    stamp: Stamp,
    done: &mut Delivered,
) -> Result<()> {
    if let Judgement::Leave = Foreign::open(spool, &pickup.dir, name)?.judge(spool) {
        return Ok(());
    }
    let handover = Handover::begin(spool)?;
    let claim = handover.claim(&pickup.dir, name)?;
    // What was claimed is judged, not what was seen before.
    let foreign = Foreign::open(spool, &claim, name)?;
    match foreign.judge(spool) {
        // It was replaced by one that is not for us; dropping the hand-over puts it back.
        Judgement::Leave => Ok(()),
        _ if claim.stat(name)?.stamp != stamp => Ok(()),
        Judgement::Take(envelope) => {
            let copies = envelope.copies(spool);
            let id = foreign.message_id();
            let staged = handover.stage(&copies, &|to| foreign.write(to))?;
            // No handle is open on what moves with the hand-over.
            drop(foreign);
            if claim.stat(name)?.stamp != stamp {
                // Its writer goes on writing: staged is half a message.
                return Ok(());
            }
            done.problems.extend(staged.hand_over()?.move_out());
            done.messages += 1;
            add(&spool.counters.accepted, 1);
            tell(Event::Accepted, 0, &id, queue_id(&copies));
            let local = envelope
                .recipients
                .iter()
                .filter(|address| spool.is_local(address));
            let before = done.recipients.len();
            done.recipients.extend(local.map(ToString::to_string));
            add(&spool.counters.delivered, done.recipients.len() - before);
            Ok(())
        }
        Judgement::Bad(reason, run) => {
            spool.open_badmail()?;
            let stem = new_id();
            let envelope = describe(&run);
            let reason = format!("{reason}\r\n");
            let copies = bad_copies(&stem, &reason, &envelope);
            let staged = handover.stage(&copies, &|to| foreign.write_whole(to))?;
            drop(foreign);
            if claim.stat(name)?.stamp != stamp {
                return Ok(());
            }
            done.problems.extend(staged.hand_over()?.move_out());
            add(&spool.counters.bad, 1);
            tell(Event::Bad, 0, "", &stem);
            done.badmail.push(stem);
            Ok(())
        }
    }
}

fn queue_id<'c>(copies: &'c [Copy<'_>]) -> &'c str {
    let mut copies = copies.iter();
    let queued = copies.find(|copy| copy.folder == Folder::Queue);
    queued.map_or("", Copy::stem)
}

fn describe(run: &Run) -> String {
    let mut text = format!("sender: <{}>\r\n", run.reverse_path.escape_debug());
    for recipient in &run.recipients {
        text += &format!("recipient: <{recipient}>\r\n");
    }
    text
}

enum Judgement {
    /// Nothing of it is ours to deliver.
    Leave,
    Take(ForeignEnvelope),
    /// It cannot be understood, for this reason.
    Bad(String, Run),
}

struct ForeignEnvelope {
    reverse_path: Option<Address>,
    recipients: Vec<Address>,
}

impl ForeignEnvelope {
    fn copies(&self, spool: &Spool) -> Vec<Copy<'static>> {
        let (local, remote): (Vec<_>, Vec<_>) = self
            .recipients
            .iter()
            .cloned()
            .partition(|address| spool.is_local(address));
        let sender = self.reverse_path.as_ref();
        let mut copies: Vec<_> = local
            .iter()
            .map(|address| drop_copy(spool, sender, address))
            .collect();
        // The sender's text must not lengthen the run.
        let end = received(spool, &new_id());
        copies.extend(remote_copies(spool, sender, &remote, &end));
        copies
    }
}

/// A file of Pickup, opened.
struct Foreign {
    bytes: Arc<dyn MessageBytes>,
    run: Run,
    /// The header section below the run; `None` if it is longer than one may be.
    section: Option<Vec<u8>>,
    dot_stuffed: bool,
}

impl Foreign {
    fn open(spool: &Spool, dir: &Dir, name: &OsStr) -> Result<Self> {
        let bytes: Arc<dyn MessageBytes> = Arc::new(FileBytes::new(dir.open(name)?)?);
        let most = (spool.limits.header_section as u64).saturating_mul(2);
        let head = read_range(bytes.as_ref(), 0, most)?;
        let is_all = head.len() as u64 == bytes.len();
        let (run, is_cut) = match read_run(Profile::IisDrop, &head, is_all) {
            Head::Run(run) => (run, false),
            Head::More => (Run::default(), true),
        };
        let below = head.get(run.end..).unwrap_or_default();
        let end = header_end(below).or(is_all.then_some(below.len()));
        let end = end.filter(|_| !is_cut);
        let section = end.and_then(|end| below.get(..end)).map(<[u8]>::to_vec);
        Ok(Self {
            bytes,
            run,
            section,
            dot_stuffed: spool.is_stuffed(Folder::Pickup),
        })
    }

    fn judge(&self, spool: &Spool) -> Judgement {
        let bad = |reason: &str, run: &Run| Judgement::Bad(reason.to_owned(), run.clone());
        let Some(section) = &self.section else {
            return bad("the header section is too long", &self.run);
        };
        if self.bytes.len() > spool.limits.message {
            return bad("the message is too large", &self.run);
        }
        let header = header_envelope(section);
        let has_run = !self.run.recipients.is_empty() || self.run.has_unreadable;
        let recipients_from = if has_run { &self.run } else { &header };
        let sender_from = if self.run.has_sender {
            &self.run
        } else {
            &header
        };
        if recipients_from.has_unreadable {
            return bad("a recipient is no address", recipients_from);
        }
        if recipients_from.recipients.is_empty() {
            return bad("the message has no recipient", sender_from);
        }
        if recipients_from.recipients.len() > spool.limits.recipients {
            return bad("the message has too many recipients", sender_from);
        }
        if is_loop(section) {
            return bad(
                "the message has come by too many servers: a loop",
                recipients_from,
            );
        }
        if !sender_from.has_sender {
            return bad(
                "the message has no sender: neither X-Sender nor From",
                recipients_from,
            );
        }
        let is_ours =
            |address: &Address| spool.is_local(address) || spool.destination(address).is_some();
        if !recipients_from.recipients.iter().any(is_ours) {
            return Judgement::Leave;
        }
        let sender = match sender_from.reverse_path.as_str() {
            "" => Ok(None),
            address => Address::parse(address).map(Some),
        };
        let checked: Result<Vec<_>, _> = recipients_from
            .recipients
            .iter()
            .map(|address| Address::parse(&address.to_string()))
            .collect();
        match (sender, checked) {
            (Ok(reverse_path), Ok(recipients)) => Judgement::Take(ForeignEnvelope {
                reverse_path,
                recipients: without_doubles(recipients, spool.case_sensitive),
            }),
            (Err(reason), _) => bad(&format!("the sender's address {reason}"), recipients_from),
            (_, Err(reason)) => bad(&format!("a recipient's address {reason}"), recipients_from),
        }
    }

    fn message_id(&self) -> String {
        message_id(self.section.as_deref().unwrap_or_default())
    }

    /// The message without run and blind recipients.
    fn write(&self, to: &mut dyn Sink) -> Result<()> {
        let section = self.section.as_deref().unwrap_or_default();
        let start = self.run.end as u64;
        // An empty line on top would end the header section below our own fields.
        let blank = section
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        for Range { start: from, end } in visible(section, names_blind_recipients) {
            let range = start + from.max(blank) as u64..start + end.max(blank) as u64;
            self.copy(range, self.dot_stuffed, to)?;
        }
        let body = start + section.len() as u64..self.bytes.len();
        self.copy(body, self.dot_stuffed, to)
    }

    fn write_whole(&self, to: &mut dyn Sink) -> Result<()> {
        self.copy(0..self.bytes.len(), false, to)
    }

    fn copy(&self, range: Range<u64>, dot_stuffed: bool, to: &mut dyn Sink) -> Result<()> {
        let mut reader = BodyReader::raw(Arc::clone(&self.bytes), range, dot_stuffed);
        body::copy(&mut reader, |block| to.put(block))?;
        Ok(())
    }
}

/// Each mailbox once: To, Cc and Bcc may name it thrice.
pub(crate) fn without_doubles(addresses: Vec<Address>, case_sensitive: bool) -> Vec<Address> {
    if addresses.len() < 2 {
        return addresses;
    }
    let mut seen = std::collections::HashSet::new();
    addresses
        .into_iter()
        .filter(|address| seen.insert(address.key(case_sensitive)))
        .collect()
}
