//! RFC 822 text to parts and back. It knows neither folders nor files.

pub(crate) mod address;
pub(crate) mod address_list;
pub(crate) mod base64;
pub(crate) mod body;
pub(crate) mod bytes;
pub(crate) mod charset;
pub(crate) mod code_page;
pub(crate) mod compose;
pub(crate) mod cursor;
pub(crate) mod date;
pub(crate) mod dots;
pub(crate) mod encode;
pub(crate) mod encoded_word;
pub(crate) mod envelope;
pub(crate) mod field;
pub(crate) mod fields;
pub(crate) mod flowed;
pub(crate) mod html;
mod lines;
pub(crate) mod media_type;
pub(crate) mod message_ids;
pub(crate) mod parameters;
mod quoted_printable;
pub(crate) mod structure;
pub(crate) mod url;
pub(crate) mod uuencode;
