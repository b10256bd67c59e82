//! What can go wrong: one error, what sending gives back, and problems that stop nothing.

mod code;
mod problem;
mod send;

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use code::CdoCode;
pub use problem::Problem;
pub(crate) use problem::Problems;
pub use send::SendError;

use crate::fs::Failure;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong; see [`Error::kind`].
///
/// Each has its code of CDONTS, given here and by [`Error::cdo_code`].
///
/// ```
/// use cdonts::{ErrorKind, MailServer};
///
/// let error = MailServer::open("/no/such/mailroot").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::PathNotFound);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An address is no mailbox of RFC 5321 (`CdoE_INVALID_PARAMETER`; at log-on `CdoE_LOGON_FAILED`).
    InvalidAddress,
    /// A value cannot stand where it was put (`CdoE_INVALID_PARAMETER`).
    InvalidValue,
    /// A field that must be there is not, such as From (`CdoE_INVALID_PARAMETER`).
    MissingField,
    /// A message without a recipient was sent (`CdoE_NO_RECIPIENTS`).
    NoRecipients,
    /// A limit was exceeded; see [`Limits`](crate::Limits) (`CdoE_TOO_BIG`).
    TooLarge,
    /// A file or directory is not there (`CdoE_NOT_FOUND`).
    PathNotFound,
    /// The operating system denies it (`CdoE_NO_ACCESS`).
    NoAccess,
    /// The message was deleted or replaced since it was listed (`CdoE_OBJECT_DELETED`).
    MessageGone,
    /// A file of the mail server's state cannot be understood (`CdoE_CORRUPT_STORE`).
    Corrupt,
    /// The owner of the mail server does not let this address log on, or a mail server does not
    /// take the credentials (`CdoE_LOGON_FAILED`).
    LogonFailed,
    /// The time given was not enough (`CdoE_TIMEOUT`).
    TimedOut,
    /// The file system is full (`CdoE_NOT_ENOUGH_DISK`).
    DiskFull,
    /// The mail server has no such ability as it is configured (`CdoE_NO_SUPPORT`).
    NotSupported,
    /// The mail server's settings do not fit together or its directories (`CdoE_UNCONFIGURED`).
    Configuration,
    /// Any other failure of the operating system (`CdoE_DISK_ERROR`).
    Io,
    /// A server cannot be reached, is gone in the middle, too slow, or asks to come later; or it
    /// does not keep to its protocol (`CdoE_NETWORK_ERROR`).
    Network,
    /// A server offers no TLS where it is demanded, or its certificate is not trusted
    /// (`CdoE_NETWORK_ERROR`).
    NotPrivate,
    /// A server said no for good (`CdoE_CALL_FAILED`).
    Refused,
    /// The answer to the last step was lost: it may have been done (`CdoE_UNABLE_TO_COMPLETE`).
    OutcomeUnknown,
}

impl ErrorKind {
    /// The name for logs and data formats, in snake case, such as `invalid_address`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidAddress => "invalid_address",
            Self::InvalidValue => "invalid_value",
            Self::MissingField => "missing_field",
            Self::NoRecipients => "no_recipients",
            Self::TooLarge => "too_large",
            Self::PathNotFound => "path_not_found",
            Self::NoAccess => "no_access",
            Self::MessageGone => "message_gone",
            Self::Corrupt => "corrupt",
            Self::LogonFailed => "logon_failed",
            Self::TimedOut => "timed_out",
            Self::DiskFull => "disk_full",
            Self::NotSupported => "not_supported",
            Self::Configuration => "configuration",
            Self::Io => "io",
            Self::Network => "network",
            Self::NotPrivate => "not_private",
            Self::Refused => "refused",
            Self::OutcomeUnknown => "outcome_unknown",
        }
    }

    fn cdo_code(self) -> CdoCode {
        match self {
            Self::InvalidAddress | Self::InvalidValue | Self::MissingField => {
                CdoCode::InvalidParameter
            }
            Self::NoRecipients => CdoCode::NoRecipients,
            Self::TooLarge => CdoCode::TooBig,
            Self::PathNotFound => CdoCode::NotFound,
            Self::NoAccess => CdoCode::NoAccess,
            Self::MessageGone => CdoCode::ObjectDeleted,
            Self::Corrupt => CdoCode::CorruptStore,
            Self::LogonFailed => CdoCode::LogonFailed,
            Self::TimedOut => CdoCode::Timeout,
            Self::DiskFull => CdoCode::NotEnoughDisk,
            Self::NotSupported => CdoCode::NoSupport,
            Self::Configuration => CdoCode::Unconfigured,
            Self::Io => CdoCode::DiskError,
            Self::Network | Self::NotPrivate => CdoCode::NetworkError,
            Self::Refused => CdoCode::CallFailed,
            Self::OutcomeUnknown => CdoCode::UnableToComplete,
        }
    }
}

/// What went wrong, on which path or field, and what to do about it.
///
/// `Display` and `Debug` are the same single line, so that a `main` that returns the error prints
/// something readable. Neither ever shows a body or a Bcc recipient.
///
/// ```
/// use cdonts::{ErrorKind, MailServer, Session};
///
/// # fn main() -> cdonts::Result<()> {
/// let server = MailServer::temporary()?;
/// let error = Session::logon_smtp(&server, "Jane", "jane@@example.com").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidAddress);
/// assert!(!error.is_transient());
/// # Ok(())
/// # }
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    field: Option<String>,
    path: Option<PathBuf>,
    code: Option<CdoCode>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    /// Recipients for whom a message was taken nevertheless.
    taken: Vec<String>,
}

impl Error {
    /// An error of a [`Store`](crate::Store) or of another part that is not this crate's.
    ///
    /// ```
    /// use cdonts::{Error, ErrorKind};
    ///
    /// let error = Error::of_store(ErrorKind::Network, "the bucket does not answer");
    /// assert!(error.is_transient());
    /// ```
    pub fn of_store(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::new(kind, message)
    }

    /// The same with the error that led to it.
    pub fn caused_by(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.with_source(source)
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            field: None,
            path: None,
            code: None,
            source: None,
            taken: Vec::new(),
        }))
    }

    pub(crate) fn with_field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    pub(crate) fn with_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.0.path = Some(path.into());
        self
    }

    pub(crate) fn with_code(mut self, code: CdoCode) -> Self {
        self.0.code = Some(code);
        self
    }

    pub(crate) fn with_taken(mut self, taken: Vec<String>) -> Self {
        self.0.taken = taken;
        self
    }

    pub(crate) fn taken(&self) -> &[String] {
        &self.0.taken
    }

    pub(crate) fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// An error of the operating system while `doing` something with `path`.
    pub(crate) fn io(doing: &str, path: &Path, source: io::Error) -> Self {
        let kind = kind_of(&source);
        Self::new(kind, format!("cannot {doing}{}", advice(kind)))
            .with_path(path)
            .with_source(source)
    }

    /// A name that was to be made is there already.
    pub(crate) fn is_taken(&self) -> bool {
        let source = self
            .0
            .source
            .as_deref()
            .and_then(|source| source.downcast_ref::<io::Error>());
        source.is_some_and(|source| source.kind() == io::ErrorKind::AlreadyExists)
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The header field it is about, in header spelling (`Some("To")`), or the name of an
    /// attachment; at log-on `Name` or `Address`.
    pub fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// The file or directory it is about.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Whether the same call may succeed later without a change to it: a full disk, a time-out,
    /// a failure of the operating system or of the network.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::DiskFull
                | ErrorKind::TimedOut
                | ErrorKind::Io
                | ErrorKind::Network
                | ErrorKind::OutcomeUnknown
        )
    }

    /// Whether what was given in is at fault: an address, a value, a field that is missing, a limit.
    /// Whoever typed it in can mend it; [`field`](Error::field) says where. Otherwise a field only says
    /// what it happened at.
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// # use cdonts::*;
    /// # let server = MailServer::temporary()?;
    /// let sent = NewMail::new(&server).from("a@example.com").to("nobody").send();
    /// let error = sent.unwrap_err();
    /// assert!(error.is_invalid_input() && error.field() == Some("To"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_invalid_input(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::InvalidAddress
                | ErrorKind::InvalidValue
                | ErrorKind::MissingField
                | ErrorKind::NoRecipients
                | ErrorKind::TooLarge
        )
    }

    /// The code that CDONTS would have raised.
    pub fn cdo_code(&self) -> CdoCode {
        self.0.code.unwrap_or_else(|| self.0.kind.cdo_code())
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "{}: ", field.escape_debug())?;
        }
        f.write_str(&self.message)?;
        if let Some(path) = &self.path {
            write!(f, " ({})", path.to_string_lossy().escape_debug())?;
        }
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let (doing, path, source) = failure.into_parts();
        Self::io(&doing, &path, source)
    }
}

fn kind_of(source: &io::Error) -> ErrorKind {
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::PathNotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::NoAccess,
        io::ErrorKind::InvalidInput | io::ErrorKind::IsADirectory => ErrorKind::InvalidValue,
        io::ErrorKind::CrossesDevices => ErrorKind::Configuration,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
        _ => ErrorKind::Io,
    }
}

fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NoAccess => "; check the rights of the account that this program runs under",
        ErrorKind::Configuration => {
            "; put the state directory on the file system of Pickup and Drop with `state_dir`"
        }
        ErrorKind::DiskFull => "; free some space and try again",
        _ => "",
    }
}
