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
    name: String,
    address: Option<String>,
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
            name: String::new(),
            address: None,
        }
    }

    /// A user name and an access token of `OAuth` 2.0 (AUTH XOAUTH2).
    pub fn token(user: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            proof: Proof::Token(token.into()),
            name: String::new(),
            address: None,
        }
    }

    /// The display name of [`Session::logon`](crate::Session::logon); empty by default.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The address of [`Session::logon`](crate::Session::logon), where the user name is another;
    /// the user name by default.
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    pub(crate) fn display_name(&self) -> &str {
        &self.name
    }

    pub(crate) fn mailbox(&self) -> &str {
        self.address.as_deref().unwrap_or(&self.user)
    }

    /// The user name, for a hook that checks it.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether the password is this one. Takes as long for a wrong one as for the right one of its
    /// length.
    pub fn is_password(&self, password: &str) -> bool {
        match &self.proof {
            Proof::Password(given) => is_same(given.as_bytes(), password.as_bytes()),
            Proof::Token(_) => false,
        }
    }
}

fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differences = one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b));
    one.len() == other.len() && std::hint::black_box(differences) == 0
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}
