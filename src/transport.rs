//! How sent messages leave: as files that appear whole or not at all.

mod copy;
mod out_file;
mod publish;
mod submit;

pub(crate) use copy::{Content, Copier, Copy, Folder};
pub(crate) use out_file::OutFile;
pub(crate) use publish::{Unnamed, publish, publish_all};
pub(crate) use submit::{
    Outgoing, Prepared, Submitted, check_ascii, check_envelope, drop_copy, no_way, pickup_copy,
    prepare, received, submit,
};
