//! How much of a message is read and sent.

/// The limits on messages, enforced on the raw bytes before anything interprets them.
///
/// What exceeds [`depth`](Limits::depth) or [`parts`](Limits::parts) stays one part that is not
/// looked into, with a [`Problem`](crate::Problem); beyond the others the message gives an error
/// of kind [`TooLarge`](crate::ErrorKind::TooLarge) that names the limit.
///
/// ```
/// use cdonts::{Limits, MailServer};
///
/// # fn main() -> cdonts::Result<()> {
/// let mut limits = Limits::default();
/// limits.message = 10_000_000;
/// let server = MailServer::builder().limits(limits);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of a whole message; 100 MB by default.
    pub message: u64,
    /// Octets of one header section; 1 MB by default.
    pub header_section: usize,
    /// Octets of one header field; 64 KB by default.
    pub field: usize,
    /// Header fields in one section; 10,000 by default.
    pub fields: usize,
    /// Parts of a message, and files that stand uuencoded in its text; 10,000 by default.
    pub parts: usize,
    /// Parts within parts; 100 by default.
    pub depth: usize,
    /// Recipients of a message; 10,000 by default.
    pub recipients: usize,
    /// Octets of one text or HTML part once decoded; 32 MB by default.
    pub decoded_text: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 100_000_000,
            header_section: 1_000_000,
            field: 64 * 1024,
            fields: 10_000,
            parts: 10_000,
            depth: 100,
            recipients: 10_000,
            decoded_text: 32_000_000,
        }
    }
}

impl Limits {
    pub(crate) fn exceeded(limit: &str, most: impl std::fmt::Display) -> crate::Error {
        crate::Error::new(
            crate::ErrorKind::TooLarge,
            format!("the message exceeds the limit `{limit}` of {most}; see `Limits`"),
        )
    }
}
