//! Where received messages are. It knows files and envelopes, not the object model.

mod addresses;
#[cfg(feature = "index")]
mod by_index;
mod delivered;
mod drop;
mod drop_mailbox;
#[cfg(any(feature = "pop3", feature = "imap"))]
mod endpoint;
mod entry;
#[cfg(feature = "imap")]
mod imap;
#[cfg(feature = "index")]
mod index;
#[cfg(any(feature = "pop3", feature = "imap"))]
mod ledger;
mod listing;
#[cfg(feature = "index")]
mod look;
mod mailbox;
#[cfg(feature = "maildir")]
mod maildir;
mod marks;
mod moved;
mod origin;
#[cfg(feature = "pop3")]
mod pop3;
#[cfg(feature = "maildir")]
mod quota;
mod remove;
mod scan;
pub(crate) mod settle;
#[cfg(feature = "watch")]
pub(crate) mod told;

pub use delivered::DeliveredBytes;
pub(crate) use drop::{DropRules, DropStore, is_maildir};
pub(crate) use drop_mailbox::DropMailbox;
pub use entry::Summary;
#[cfg(feature = "imap")]
pub use imap::Imap;
pub use mailbox::{
    Listing, LogOn, Mailbox, Page, PageRequest, Position, Store, StoredMessage, Waiter,
};
#[cfg(feature = "maildir")]
pub use maildir::Maildir;
pub(crate) use origin::FileBytes;
#[cfg(feature = "pop3")]
pub use pop3::Pop3;
pub(crate) use remove::{give_back, recover_removing};
pub(crate) use scan::Whose;
pub use settle::Writer;
