//! Sending: who gets the message where, and the way there.
//!
//! Local recipients get a file each in Drop; all others share one in Pickup, for the mail server
//! that empties it. With one file to write it is published directly, with more they are handed
//! over together, so that never some of them appear.

use super::copy::{Content, Copier, Copy, Envelope, Folder};
use super::direct;
use super::publish::{self, Unnamed, publish};
use crate::credentials::Credentials;
use crate::delivery::{Handover, Spool};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::format::address::Address;
use crate::limits::Limits;
use crate::state::new_id;

/// A message that was checked and may go.
pub(crate) struct Outgoing<'a> {
    pub(crate) reverse_path: Option<&'a Address>,
    /// To, Cc and Bcc, each mailbox once.
    pub(crate) recipients: &'a [Address],
    pub(crate) content: &'a Content<'a>,
    /// Of the session that sends it, for a way out that asks for them.
    pub(crate) credentials: Option<&'a Credentials>,
}

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Submitted {
    /// The names in Pickup.
    pub(crate) files: Vec<String>,
    /// The ids in the queue.
    pub(crate) queued: Vec<String>,
    pub(crate) delivered: Vec<String>,
    /// Whom another server has taken it for.
    pub(crate) accepted: Vec<String>,
    pub(crate) pending: Vec<Problem>,
}

pub(crate) fn submit(spool: &Spool, outgoing: &Outgoing<'_>) -> Result<Submitted> {
    if let Some(way) = &spool.outbox {
        return direct::hand_over(way.as_ref(), outgoing);
    }
    let (copies, mut submitted) = copies_of(spool, outgoing)?;
    submitted.pending = send_copies(spool, &copies, outgoing.content)?;
    spool.counters.sent(submitted.delivered.len());
    Ok(submitted)
}

/// The files of a message, and what is known of its sending beforehand.
fn copies_of<'a>(spool: &'a Spool, outgoing: &Outgoing<'a>) -> Result<(Vec<Copy<'a>>, Submitted)> {
    let (local, remote): (Vec<_>, Vec<_>) = outgoing
        .recipients
        .iter()
        .cloned()
        .partition(|address| spool.is_local(address));
    let mut copies: Vec<_> = local
        .iter()
        .map(|address| drop_copy(spool, outgoing.reverse_path, address))
        .collect();
    let mut submitted = Submitted {
        delivered: local.iter().map(ToString::to_string).collect(),
        ..Submitted::default()
    };
    let format = spool.pickup.as_ref().map(|pickup| pickup.format);
    for (destination, group) in by_destination(spool, &remote) {
        if destination.is_some() {
            let copy = queue_copy(outgoing.reverse_path, &group, "");
            submitted.queued.push(copy.stem().to_owned());
            copies.push(copy);
        } else {
            let copy = format.unwrap_or_default().copy(outgoing, &group)?;
            submitted.files.push(copy.name.clone());
            copies.push(copy);
        }
    }
    Ok((copies, submitted))
}

/// Recipients of other domains by the destination that they have in the queue.
fn by_destination<'s>(
    spool: &'s Spool,
    recipients: &[Address],
) -> Vec<(Option<&'s str>, Vec<Address>)> {
    let mut groups: Vec<(Option<&str>, Vec<Address>)> = Vec::new();
    for address in recipients {
        let destination = spool.destination(address);
        match groups.iter_mut().find(|(one, _)| *one == destination) {
            Some((_, group)) => group.push(address.clone()),
            None => groups.push((destination, vec![address.clone()])),
        }
    }
    groups
}

/// The files of a foreign message for recipients of other domains: one for each destination of the
/// queue, and one in Pickup for those whom it does not reach.
pub(crate) fn remote_copies(
    spool: &Spool,
    reverse_path: Option<&Address>,
    recipients: &[Address],
    top_field: &str,
) -> Vec<Copy<'static>> {
    let groups = by_destination(spool, recipients);
    let copies = groups.iter().map(|(destination, group)| match destination {
        Some(_) => queue_copy(reverse_path, group, top_field),
        None => pickup_copy(reverse_path, group, top_field),
    });
    copies.collect()
}

fn send_copies(spool: &Spool, copies: &[Copy<'_>], content: &Content<'_>) -> Result<Vec<Problem>> {
    match copies {
        [single] => publish_single(spool, single, content),
        several => {
            let handover = Handover::begin(spool)?;
            Ok(handover.stage(several, content)?.hand_over()?.move_out())
        }
    }
}

/// A message on its way: done already, or a file that lacks only its name.
pub(crate) enum Prepared {
    Done(Submitted),
    Unnamed(Box<Unnamed>, Submitted),
}

/// As [`submit`], but a single file is left without its name: many get theirs together.
pub(crate) fn prepare(spool: &Spool, outgoing: &Outgoing<'_>) -> Result<Prepared> {
    if spool.outbox.is_some() {
        return submit(spool, outgoing).map(Prepared::Done);
    }
    let (copies, mut submitted) = copies_of(spool, outgoing)?;
    if let [single] = copies.as_slice()
        && let Some(file) = prepare_single(spool, single, outgoing.content)?
    {
        return Ok(Prepared::Unnamed(Box::new(file), submitted));
    }
    submitted.pending = send_copies(spool, &copies, outgoing.content)?;
    spool.counters.sent(submitted.delivered.len());
    Ok(Prepared::Done(submitted))
}

fn prepare_single(
    spool: &Spool,
    copy: &Copy<'_>,
    content: &Content<'_>,
) -> Result<Option<Unnamed>> {
    let dir = spool.dir(copy.folder).ok_or_else(no_way)?;
    let mut copier = Copier::new(content, spool.durable);
    let stuffed = spool.is_stuffed(copy.folder);
    publish::prepare(&dir, &copy.name, |file| copier.write(copy, stuffed, file))
}

fn publish_single(spool: &Spool, copy: &Copy<'_>, content: &Content<'_>) -> Result<Vec<Problem>> {
    let dir = spool.dir(copy.folder).ok_or_else(no_way)?;
    let mut copier = Copier::new(content, spool.durable);
    let stuffed = spool.is_stuffed(copy.folder);
    let problem = publish(&dir, &copy.name, &spool.state, spool.durable, |file| {
        copier.write(copy, stuffed, file)
    })?;
    Ok(problem.into_iter().collect())
}

/// Whether a message can go from and to these addresses; `sender` and `to` are the fields that an
/// error names.
pub(crate) fn check_envelope(
    spool: &Spool,
    (sender, reverse_path): (&str, Option<&Address>),
    (to, recipients): (&str, &[Address]),
) -> Result<()> {
    if recipients.is_empty() {
        let message = "the message has no recipient; add one";
        return Err(Error::new(ErrorKind::NoRecipients, message).with_field(to));
    }
    if recipients.len() > spool.limits.recipients {
        return Err(Limits::exceeded("recipients", spool.limits.recipients).with_field(to));
    }
    let is_reached = |address: &&Address| {
        spool.outbox.is_some() || spool.is_local(address) || spool.destination(address).is_some()
    };
    let mut others = recipients
        .iter()
        .filter(|address| !is_reached(address))
        .peekable();
    if others.peek().is_none() {
        return Ok(());
    }
    if spool.pickup.is_none() {
        return Err(no_way());
    }
    check_ascii(to, others)?;
    check_ascii(sender, reverse_path)
}

/// A file in Pickup does not tell whether the server that takes it knows SMTPUTF8 (RFC 6531).
pub(crate) fn check_ascii<'a>(
    field: &str,
    addresses: impl IntoIterator<Item = &'a Address>,
) -> Result<()> {
    if addresses.into_iter().all(Address::is_ascii) {
        return Ok(());
    }
    let message = "an address with a non-ASCII local-part can only be used when every recipient \
                   is local";
    Err(Error::new(ErrorKind::InvalidAddress, message).with_field(field))
}

/// Why a message cannot go at all, if it cannot: asked before anything else.
pub(crate) fn no_way() -> Error {
    Error::new(
        ErrorKind::Configuration,
        "the mail server has no Pickup for recipients of other domains, nor a relay or an Outbox; \
         set one with `pickup_dir`, `relay` or `outbox`",
    )
}

/// The file of one local recipient: our `Received` ends the run whatever the sender wrote.
pub(crate) fn drop_copy(
    spool: &Spool,
    reverse_path: Option<&Address>,
    recipient: &Address,
) -> Copy<'static> {
    let envelope = Envelope {
        reverse_path,
        recipients: std::slice::from_ref(recipient),
    };
    let id = new_id();
    Copy {
        folder: Folder::Drop,
        top: envelope.run() + &received(spool, &id),
        name: format!("{id}.eml"),
        instead: None,
    }
}

/// The file of all other recipients; what ends the run is `top_field`, or the content itself when
/// we composed it.
pub(crate) fn pickup_copy(
    reverse_path: Option<&Address>,
    recipients: &[Address],
    top_field: &str,
) -> Copy<'static> {
    let envelope = Envelope {
        reverse_path,
        recipients,
    };
    Copy {
        folder: Folder::Pickup,
        name: format!("{}.eml", new_id()),
        top: envelope.run() + top_field,
        instead: None,
    }
}

/// The file in the queue of recipients who have one destination; it is like that in Pickup.
pub(crate) fn queue_copy(
    reverse_path: Option<&Address>,
    recipients: &[Address],
    top_field: &str,
) -> Copy<'static> {
    Copy {
        folder: Folder::Queue,
        ..pickup_copy(reverse_path, recipients, top_field)
    }
}

/// The three files of Badmail: why, to whom, and the message.
pub(crate) fn bad_copies<'t>(stem: &str, reason: &'t str, envelope: &'t str) -> [Copy<'t>; 3] {
    [
        ("BDR", Some(reason)),
        ("BDP", Some(envelope)),
        ("BAD", None),
    ]
    .map(|(ending, instead)| Copy {
        folder: Folder::Badmail,
        name: format!("{stem}.{ending}"),
        top: String::new(),
        instead,
    })
}

/// The trace field (RFC 5321 section 4.4). It names no recipient: the file tells its own.
pub(crate) fn received(spool: &Spool, id: &str) -> String {
    let domain = spool
        .local_domains
        .first()
        .map_or("localhost", String::as_str);
    let now = crate::time::rfc5322(std::time::SystemTime::now());
    format!("Received: by {domain} (cdonts)\r\n\twith local id {id};\r\n\t{now}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MailServer;
    use crate::transport::Folder;

    /// A copy is made only for what there is; if not, nothing is written anywhere.
    #[test]
    fn a_copy_for_a_folder_that_is_not_there_is_an_error() {
        let server = MailServer::temporary().unwrap();
        let copy = Copy {
            folder: Folder::Queue,
            name: "a.eml".to_owned(),
            top: String::new(),
            instead: None,
        };
        let content = |_: &mut dyn crate::format::encode::Sink| panic!("it is written");
        let errors = [
            publish_single(server.spool(), &copy, &content)
                .map(drop)
                .unwrap_err(),
            prepare_single(server.spool(), &copy, &content)
                .map(drop)
                .unwrap_err(),
        ];
        assert!(
            errors
                .iter()
                .all(|error| error.kind() == ErrorKind::Configuration)
        );
    }
}
