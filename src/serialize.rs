//! The forms of summaries and reports for other programs (feature `serde`).
//!
//! Each is written, never read: what is told of a message is of use as data, but data make no
//! message. Names are those of the getters, times are RFC 3339 in UTC, and choices are words. No
//! body and no password is in any of them.

use std::time::SystemTime;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::time::rfc3339;
use crate::{
    Action, AddressEntry, AutoReply, Counts, Delivered, DeliveryReport, Finding, FindingKind,
    Importance, Message, Problem, QueuedMessage, ReadReport, Received, RecipientStatus, Report,
    ScanProgress, Sent, Summary,
};

/// How the getters of a type are written.
macro_rules! fields {
    ($type:ty as $it:ident: $($name:ident = $value:expr),+ $(,)?) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let $it = self;
                let count = [$(stringify!($name)),+].len();
                let mut fields = to.serialize_struct("", count)?;
                $(fields.serialize_field(stringify!($name), &$value)?;)+
                fields.end()
            }
        }
    };
}

/// The word for each choice.
macro_rules! words {
    ($type:ident: $($choice:ident = $word:literal),+ $(,)?) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(match self {
                    $(Self::$choice => $word),+
                })
            }
        }
    };
}

fn time(time: Option<SystemTime>) -> Option<String> {
    time.map(rfc3339)
}

fields!(AddressEntry as it: name = it.name(), address = it.address());
// What a listing knows of it.
fields!(Message as it:
    sender = it.sender(),
    subject = it.subject(),
    time_received = rfc3339(it.time_received()),
    size = it.size(),
    reverse_path = it.reverse_path(),
    delivered_to = it.delivered_to(),
    file_name = it.file_name().to_string_lossy(),
);
fields!(Summary as it:
    sender = AddressEntry::from(it.sender.clone()),
    subject = it.subject(),
    time_received = time(it.received),
    size = it.size(),
);
fields!(Sent as it:
    message_id = it.message_id(),
    delivered = it.delivered(),
    files = it.files(),
    accepted = it.accepted(),
    queued = it.queued(),
    pending = it.pending(),
);
fields!(Received as it:
    from = it.from(),
    by = it.by(),
    via = it.via(),
    with = it.with(),
    id = it.id(),
    recipient = it.recipient(),
    time = time(it.time()),
);
fields!(DeliveryReport as it:
    original_message_id = it.original_message_id(),
    reporting_mta = it.reporting_mta(),
    recipients = it.recipients(),
);
fields!(RecipientStatus as it:
    address = it.address(),
    original_address = it.original_address(),
    action = it.action(),
    status = it.status(),
    diagnostic = it.diagnostic(),
    will_retry_until = time(it.will_retry_until()),
    is_permanent = it.is_permanent(),
);
fields!(ReadReport as it:
    original_message_id = it.original_message_id(),
    recipient = it.recipient(),
    disposition = it.disposition(),
);
fields!(AutoReply as it: original_message_id = it.original_message_id());
fields!(Problem as it:
    text = it.text(),
    path = it.path().map(|path| path.to_string_lossy()),
);
fields!(Finding as it:
    kind = it.kind(),
    path = it.path().to_string_lossy(),
    text = it.text(),
    advice = it.advice(),
);
fields!(Counts as it:
    accepted = it.accepted,
    delivered = it.delivered,
    relayed = it.relayed,
    deferred = it.deferred,
    bounced = it.bounced,
    bad = it.bad,
);
fields!(Delivered as it:
    messages = it.messages(),
    recipients = it.recipients(),
    badmail = it.badmail(),
    problems = it.problems(),
);
fields!(QueuedMessage as it:
    id = it.id(),
    reverse_path = it.reverse_path(),
    recipients = it.recipients().into_iter().map(|address| Waiting {
        address,
        last_reply: it.last_reply(address),
    }).collect::<Vec<_>>(),
    attempts = it.attempts(),
    time_queued = rfc3339(it.time_queued()),
    next_attempt = rfc3339(it.next_attempt()),
);
fields!(ScanProgress as it: found = it.found(), read = it.read());

/// Who does not have a message of the queue yet.
struct Waiting<'a> {
    address: &'a str,
    last_reply: &'a str,
}

fields!(Waiting<'_> as it: address = it.address, last_reply = it.last_reply);

words!(Importance: Low = "low", Normal = "normal", High = "high");
words!(Action:
    Failed = "failed",
    Delayed = "delayed",
    Delivered = "delivered",
    Relayed = "relayed",
    Expanded = "expanded",
    Other = "other",
);
words!(FindingKind:
    Rename = "rename",
    FileSystems = "file-systems",
    Rights = "rights",
    Profile = "profile",
    Clock = "clock",
    Space = "space",
    Writer = "writer",
    Pickup = "pickup",
    Queue = "queue",
    Unfinished = "unfinished",
    Unreadable = "unreadable",
);

/// Which report it is stands beside what it says.
impl Serialize for Report {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = to.serialize_struct("Report", 1)?;
        match self {
            Self::Delivery(report) => fields.serialize_field("delivery", report)?,
            Self::Read(report) => fields.serialize_field("read", report)?,
            Self::AutoReply(report) => fields.serialize_field("auto_reply", report)?,
        }
        fields.end()
    }
}
