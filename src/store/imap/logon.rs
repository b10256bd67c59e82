//! How one comes into an IMAP mailbox.

use std::mem;

use imap_next::client::Event;
use imap_next::imap_types::auth::{AuthMechanism, AuthenticateData};
use imap_next::imap_types::command::CommandBody;
use imap_next::imap_types::response::{Capability, StatusKind};

use super::done::Done;
use super::link::Link;
use crate::credentials::{Credentials, Proof};
use crate::error::{Error, ErrorKind, Result};
use crate::store::endpoint::Endpoint;

/// What no name and no password may hold.
const ENDS: [char; 3] = ['\r', '\n', '\0'];
/// One for the secret, one that tells why not.
const MOST_CHALLENGES: usize = 2;

impl Link {
    /// A connection on which somebody is logged on.
    pub(super) fn log_on(endpoint: &Endpoint, credentials: &Credentials) -> Result<Self> {
        let mut link = Self::open(endpoint)?;
        let user = &credentials.user;
        let secret = match &credentials.proof {
            Proof::Token(secret) | Proof::Password(secret) => secret,
        };
        if user.contains(ENDS) || secret.contains(ENDS) {
            let message = "a user name or a password holds a line end or a NUL";
            return Err(Error::new(ErrorKind::InvalidValue, message));
        }
        let (mechanism, secret) = match &credentials.proof {
            Proof::Token(token) => (
                AuthMechanism::XOAuth2,
                format!("user={user}\u{1}auth=Bearer {token}\u{1}\u{1}"),
            ),
            Proof::Password(password) => (AuthMechanism::Plain, format!("\0{user}\0{password}")),
        };
        let done = if link.has(&Capability::Auth(mechanism.clone())) {
            link.authenticate(CommandBody::authenticate(mechanism), secret.into_bytes())?
        } else {
            match &credentials.proof {
                Proof::Password(password) => link.log_on_plainly(user, password)?,
                Proof::Token(_) => {
                    return Err(logon_failed(
                        endpoint,
                        "the server takes no token (XOAUTH2)",
                    ));
                }
            }
        };
        match done.kind {
            StatusKind::Ok => Ok(link),
            _ => Err(refused_logon(endpoint, &done)),
        }
    }

    /// For servers without the mechanism: what is not ASCII cannot be told them.
    fn log_on_plainly(&mut self, user: &str, password: &str) -> Result<Done> {
        if self.has(&Capability::LoginDisabled) {
            let endpoint = self.endpoint();
            return Err(logon_failed(endpoint, "the server takes no password here"));
        }
        let login = CommandBody::login(user.to_owned(), password.to_owned());
        let is_plain = user.is_ascii() && password.is_ascii();
        let Some(login) = login.ok().filter(|_| is_plain) else {
            let message = "the user name or the password cannot be told this server";
            return Err(Error::new(ErrorKind::InvalidValue, message));
        };
        let done = self.run(login, &mut |_| {})?;
        if done.kind == StatusKind::Ok {
            // What it can do may be more than before.
            self.run(CommandBody::Capability, &mut |_| {})?;
        }
        Ok(done)
    }

    /// Does AUTHENTICATE: one answer is all that the mechanisms have; a second challenge tells why
    /// not, and gets an empty one.
    fn authenticate(&mut self, body: CommandBody<'static>, secret: Vec<u8>) -> Result<Done> {
        let mut secret = secret;
        let tag = self.enqueue(body)?;
        // What was known before is not so any more, unless the server says so.
        self.capabilities.clear();
        let mut challenges = 0;
        loop {
            match self.event()? {
                Some(Event::AuthenticateContinuationRequestReceived { .. }) => {
                    challenges += 1;
                    if challenges > MOST_CHALLENGES {
                        return Err(self.wrong("the server asks again and again"));
                    }
                    let answer = AuthenticateData::r#continue(mem::take(&mut secret));
                    if self.client.set_authenticate_data(answer).is_err() {
                        return Err(self.wrong("the server asks for what is not begun"));
                    }
                }
                Some(
                    Event::AuthenticateStatusReceived { status, .. }
                    | Event::StatusReceived { status },
                ) => {
                    let done = self.status(status, Some(&tag), &mut |_| {})?;
                    if let Some(done) = done {
                        if done.kind == StatusKind::Ok && self.capabilities.is_empty() {
                            self.ask_capabilities()?;
                        }
                        return Ok(done);
                    }
                }
                Some(Event::DataReceived { data }) => self.take_data(data, &mut |_| {}),
                Some(_) | None => {}
            }
        }
    }
}

fn logon_failed(endpoint: &Endpoint, text: &str) -> Error {
    Error::new(ErrorKind::LogonFailed, format!("{endpoint}: {text}"))
}

/// Why the server does not let one in, as far as it says (RFC 5530).
fn refused_logon(endpoint: &Endpoint, done: &Done) -> Error {
    let code = format!("{:?}", done.code).to_ascii_uppercase();
    let text = format!("the server does not take the credentials: {}", done.text);
    if code.contains("UNAVAILABLE") || code.contains("INUSE") || done.kind == StatusKind::Bad {
        return Error::new(ErrorKind::Network, format!("{endpoint}: {text}"));
    }
    if code.contains("PRIVACYREQUIRED") {
        return endpoint.not_private(&text);
    }
    logon_failed(endpoint, &text)
}
