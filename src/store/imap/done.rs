//! How a command to an IMAP server ended, and what a refusal means.

use imap_next::imap_types::response::{Code, StatusKind};

use crate::error::{Error, ErrorKind};
use crate::store::endpoint::Endpoint;

/// How a command ended.
pub(super) struct Done {
    pub(super) kind: StatusKind,
    pub(super) code: Option<Code<'static>>,
    pub(super) text: String,
    /// Answers that could not be understood.
    pub(super) malformed: usize,
}

impl Done {
    /// What the server said no to, and why.
    pub(super) fn refused(&self, endpoint: &Endpoint) -> Error {
        let text = &self.text;
        let message = format!("{endpoint}: the server refuses: {text}");
        let kind = match &self.code {
            Some(Code::ReadOnly) => ErrorKind::NoAccess,
            Some(Code::Other(code)) => match code.inner().to_ascii_uppercase().as_slice() {
                b"NOPERM" => ErrorKind::NoAccess,
                b"NONEXISTENT" => ErrorKind::PathNotFound,
                b"UNAVAILABLE" | b"INUSE" | b"LIMIT" | b"SERVERBUG" => ErrorKind::Network,
                _ => ErrorKind::Refused,
            },
            _ => ErrorKind::Refused,
        };
        Error::new(kind, message)
    }
}

#[cfg(test)]
mod tests {
    use imap_next::imap_types::response::CodeOther;

    use super::*;
    use crate::Security;

    #[test]
    fn a_refusal_is_told_by_its_code() {
        let endpoint = Endpoint::new("mail.example.com".to_owned(), (993, 143), Security::None);
        for (code, kind) in [
            ("NOPERM", ErrorKind::NoAccess),
            ("noperm", ErrorKind::NoAccess),
            ("NONEXISTENT", ErrorKind::PathNotFound),
            ("UNAVAILABLE", ErrorKind::Network),
            ("INUSE", ErrorKind::Network),
            ("LIMIT", ErrorKind::Network),
            ("SERVERBUG", ErrorKind::Network),
            ("WHATEVER", ErrorKind::Refused),
        ] {
            let done = Done {
                kind: StatusKind::No,
                code: Some(Code::Other(CodeOther::unvalidated(
                    code.as_bytes().to_vec(),
                ))),
                text: "because".to_owned(),
                malformed: 0,
            };
            let error = done.refused(&endpoint);
            assert_eq!(error.kind(), kind, "{code}");
            assert!(error.to_string().contains("because"), "{error}");
        }
    }
}
