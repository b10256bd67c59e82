//! How sent messages leave: as files that appear whole or not at all.

mod copy;
mod direct;
mod out_file;
mod pickup_format;
mod publish;
mod relay;
#[cfg(feature = "sendmail")]
mod sendmail;
#[cfg(feature = "smtp")]
mod smtp;
mod submit;

pub(crate) use copy::{Content, Copier, Copy, Folder};
pub(crate) use out_file::OutFile;
pub use pickup_format::PickupFormat;
pub(crate) use publish::{Unnamed, publish, publish_all};
pub use relay::{Outcome, RelayMessage, Reply, Transport};
#[cfg(feature = "sendmail")]
pub use sendmail::Sendmail;
#[cfg(feature = "smtp")]
pub use smtp::Smtp;
pub(crate) use submit::{
    Outgoing, Prepared, Submitted, bad_copies, check_ascii, check_envelope, drop_copy, no_way,
    pickup_copy, prepare, queue_copy, received, remote_copies, submit,
};
