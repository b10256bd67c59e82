//! How a message is put into lines: MIME, or text as before MIME.

/// The form of outgoing messages (`CdoMessageFormats`).
///
/// The default is MIME; CDONTS had text, and its users suffered from it.
///
/// ```
/// use cdonts::MessageFormat;
///
/// assert_eq!(MessageFormat::default(), MessageFormat::Mime);
/// assert_eq!(MessageFormat::Text as i32, 1);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[doc(alias = "CdoMessageFormats")]
pub enum MessageFormat {
    /// `CdoMime`, 0, the default.
    #[default]
    Mime = 0,
    /// `CdoText`, 1: one text, the attachments uuencoded in it. A message that cannot be sent so is
    /// sent as MIME: with HTML, with an attachment that asks for [`EncodingMethod::Base64`] or has
    /// a name that is not ASCII, or with a line of text that would be taken for the beginning of a
    /// file.
    Text = 1,
}

/// [`MessageFormat`] under its name in [`NewMail`](crate::NewMail) (`CdoMailFormats`).
#[doc(alias = "CdoMailFormats")]
pub type MailFormat = MessageFormat;

/// How an attachment is encoded (`CdoEncodingMethod`).
///
/// In a text message files are uuencoded by default, and one in base64 makes it MIME. In a MIME
/// message all files are in base64, which every reader knows.
///
/// ```
/// assert_eq!(cdonts::EncodingMethod::Base64 as i32, 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "CdoEncodingMethod")]
pub enum EncodingMethod {
    /// `CdoEncodingUUencode`, 0.
    UuEncode = 0,
    /// `CdoEncodingBase64`, 1.
    Base64 = 1,
}
