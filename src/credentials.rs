//! Who one is to a mail server that asks.

use std::fmt;

/// A user name and what proves it. Neither is ever shown: not by `Debug`, not in an error.
///
/// ```
/// use cdonts::Credentials;
///
/// let credentials = Credentials::password("shop@example.com", "hunter2");
/// assert!(!format!("{credentials:?}").contains("hunter2"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub(crate) user: String,
    pub(crate) proof: Proof,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    Password(String),
    Token(String),
}

impl Credentials {
    /// A user name and a password (AUTH PLAIN and LOGIN).
    pub fn password(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            proof: Proof::Password(password.into()),
        }
    }

    /// A user name and an access token of `OAuth` 2.0 (AUTH XOAUTH2).
    pub fn token(user: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            proof: Proof::Token(token.into()),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}
