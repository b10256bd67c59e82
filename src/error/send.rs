//! The error of sending, which gives the draft back.

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;

use super::{CdoCode, Error, ErrorKind};
use crate::draft::Draft;

/// A send that failed: the [`Error`], and the [`Draft`] with all that was composed.
///
/// The draft keeps its Message-ID and its date, so that sending it again sends the same message.
/// `?` turns it into an [`Error`]. Where another server took the message for some of its recipients
/// and not for all, the draft is left with those who did not get it.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// use cdonts::{MailServer, NewMail, RecipientType};
///
/// let server = MailServer::temporary()?;
/// let error = NewMail::new(&server).from("shop@example.com").subject("Hi").send().unwrap_err();
/// assert_eq!(error.kind(), cdonts::ErrorKind::NoRecipients);
/// let mut draft = error.into_draft();
/// draft.recipients_mut().add("Jane", "jane@example.com", RecipientType::To);
/// draft.send()?;
/// # Ok(())
/// # }
/// ```
pub struct SendError {
    error: Error,
    draft: Box<Draft>,
}

impl SendError {
    pub(crate) fn new(error: Error, mut draft: Draft) -> Self {
        draft.without_taken(error.taken());
        Self {
            error,
            draft: Box::new(draft),
        }
    }

    /// What went wrong.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The draft that was not sent.
    pub fn draft(&self) -> &Draft {
        &self.draft
    }

    /// The draft that was not sent, to mend it or to send it again later.
    pub fn into_draft(self) -> Draft {
        *self.draft
    }

    /// What kind of thing went wrong; see [`Error::kind`].
    pub fn kind(&self) -> ErrorKind {
        self.error.kind()
    }

    /// The field it is about; see [`Error::field`].
    pub fn field(&self) -> Option<&str> {
        self.error.field()
    }

    /// The path it is about; see [`Error::path`].
    pub fn path(&self) -> Option<&Path> {
        self.error.path()
    }

    /// Whether sending the same draft later may succeed; see [`Error::is_transient`].
    pub fn is_transient(&self) -> bool {
        self.error.is_transient()
    }

    /// Whether what was given in is at fault; see [`Error::is_invalid_input`].
    pub fn is_invalid_input(&self) -> bool {
        self.error.is_invalid_input()
    }

    /// The code that CDONTS would have raised; see [`Error::cdo_code`].
    pub fn cdo_code(&self) -> CdoCode {
        self.error.cdo_code()
    }
}

impl From<SendError> for Error {
    fn from(failed: SendError) -> Self {
        failed.error
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, f)
    }
}

impl StdError for SendError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}
