#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
// A badge at each item that needs a feature.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    warn(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::todo,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod address_entry;
#[cfg(feature = "tokio")]
mod asynchronous;
mod attachments;
#[cfg(all(test, feature = "index", target_os = "linux", not(portable_fs)))]
mod costs;
mod credentials;
mod delivery;
mod draft;
mod draft_attachments;
mod error;
#[cfg(test)]
mod faults;
mod folder;
mod format;
mod fs;
#[cfg(test)]
mod fuse;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
#[allow(
    missing_docs,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "it is a test"
)]
pub mod fuzzing;
mod headers;
mod importance;
#[cfg(all(test, feature = "index"))]
mod index_faults;
mod limits;
#[cfg(feature = "listen")]
mod listen;
mod locale;
#[cfg(all(test, feature = "index"))]
mod looks;
pub mod manual;
mod message;
mod message_file;
mod message_format;
mod messages;
#[cfg(any(
    feature = "smtp",
    feature = "listen",
    feature = "pop3",
    feature = "imap"
))]
mod net;
#[cfg(all(
    test,
    target_os = "linux",
    feature = "smtp",
    feature = "pop3",
    feature = "imap",
    feature = "watch"
))]
mod net_faults;
mod new_mail;
mod number;
mod object;
mod part;
#[cfg(all(test, target_os = "linux"))]
mod power_cut;
mod profile;
#[cfg(test)]
mod queue_faults;
mod raw;
mod reading;
mod received;
mod recipients;
mod reply;
mod report;
mod scratch;
mod sent;
#[cfg(feature = "serde")]
mod serialize;
mod server;
mod session;
mod state;
mod store;
mod stream;
mod sync;
#[cfg(all(test, shuttle, target_os = "linux"))]
mod threads;
pub mod time;
mod transport;
#[cfg(feature = "watch")]
mod watch;

pub use address_entry::AddressEntry;
#[cfg(feature = "tokio")]
pub use asynchronous::WatchStream;
pub use attachments::{Attachment, AttachmentReader, AttachmentType, Attachments};
pub use credentials::Credentials;
pub use delivery::{Counts, Delivered, QueuedMessage, RetrySchedule};
pub use draft::{AutoSubmitted, Draft};
pub use draft_attachments::{DraftAttachment, DraftAttachments};
pub use error::{CdoCode, Error, ErrorKind, Problem, Result, SendError};
pub use folder::{Folder, FolderType, Inbox, Outbox, OutboxMessages};
pub use format::bytes::MessageBytes;
pub use format::structure::OutlinePart;
pub use headers::{Header, Headers};
pub use importance::Importance;
pub use limits::Limits;
#[cfg(feature = "listen")]
pub use listen::{Listener, Listening};
pub use locale::CodePage;
pub use message::Message;
pub use message_file::{EmbeddedMessage, MessageFile};
pub use message_format::{EncodingMethod, MailFormat, MessageFormat};
pub use messages::{Messages, MessagesIter};
#[cfg(any(feature = "smtp", feature = "pop3", feature = "imap"))]
pub use net::tls::{Roots, Security};
pub use new_mail::{BodyFormat, NewMail};
pub use object::{CdoObject, ObjectClass};
pub use part::{MessagePart, PartReader};
pub use profile::Profile;
pub use raw::Envelope;
pub use received::Received;
pub use recipients::{Recipient, RecipientType, Recipients};
pub use report::{Action, AutoReply, DeliveryReport, ReadReport, RecipientStatus, Report};
pub use sent::Sent;
pub use server::{
    Delivery, Durability, Finding, FindingKind, MailServer, MailServerBuilder, ScanProgress,
};
pub use session::Session;
#[cfg(feature = "imap")]
pub use store::Imap;
#[cfg(feature = "maildir")]
pub use store::Maildir;
#[cfg(feature = "pop3")]
pub use store::Pop3;
pub use store::{
    DeliveredBytes, Listing, LogOn, Mailbox, Page, PageRequest, Position, Store, StoredMessage,
    Summary, Waiter, Writer,
};
pub use stream::{Cursor, MessageStream, Since};
#[cfg(feature = "sendmail")]
pub use transport::Sendmail;
#[cfg(feature = "smtp")]
pub use transport::Smtp;
pub use transport::{Outcome, PickupFormat, RelayMessage, Reply, Transport};
#[cfg(feature = "watch")]
pub use watch::Watch;
