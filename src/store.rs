//! Where received messages are. It knows files and envelopes, not the object model.

#[cfg(feature = "index")]
mod by_index;
mod drop;
mod entry;
#[cfg(feature = "index")]
mod index;
mod listing;
#[cfg(feature = "index")]
mod look;
mod marks;
mod moved;
mod origin;
mod remove;
mod scan;
pub(crate) mod settle;

pub(crate) use drop::{DropRules, DropStore, is_maildir};
pub(crate) use entry::Entry;
pub(crate) use listing::{Entries, Listing, Page, Position};
pub(crate) use origin::{DropOrigin, FileBytes};
pub(crate) use remove::{give_back, recover_removing};
pub(crate) use scan::Whose;
pub use settle::Writer;
