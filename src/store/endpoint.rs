//! A server that a mailbox is on: where it is, and how one comes to it.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use super::mailbox::LogOn;
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Result};
use crate::format::address::Address;
use crate::net::client::{Connection, Fault};
use crate::net::tls::{self, Roots, Security};

#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) host: String,
    port: Option<u16>,
    /// Where the server is with TLS from the first octet, and without.
    ports: (u16, u16),
    pub(super) security: Security,
    roots: Roots,
    /// Made when it is needed first.
    tls: Arc<OnceLock<Arc<rustls::ClientConfig>>>,
    credentials: Option<Credentials>,
    /// For each answer in all; for a long one for each block of it.
    pub(super) time: Duration,
    pub(super) poll: Duration,
}

impl Endpoint {
    /// Of a server that is not there.
    #[cfg(test)]
    pub(super) fn offline() -> Self {
        Self {
            time: Duration::from_secs(1),
            ..Self::new("127.0.0.1".to_owned(), (1, 1), Security::None)
        }
    }

    pub(super) fn new(host: String, ports: (u16, u16), security: Security) -> Self {
        Self {
            host,
            port: None,
            ports,
            security,
            roots: Roots::Platform,
            tls: Arc::default(),
            credentials: None,
            time: Duration::from_mins(1),
            poll: Duration::from_secs(30),
        }
    }

    fn port(&self) -> u16 {
        let usual = match self.security {
            Security::Implicit => self.ports.0,
            _ => self.ports.1,
        };
        self.port.unwrap_or(usual)
    }

    pub(super) fn set_port(&mut self, port: u16) {
        self.port = Some(port);
    }

    pub(super) fn set_roots(&mut self, roots: Roots) {
        self.roots = roots;
        self.tls = Arc::default();
    }

    fn tls(&self) -> Result<&Arc<rustls::ClientConfig>> {
        if let Some(config) = self.tls.get() {
            return Ok(config);
        }
        let config = tls::config(&self.roots)?;
        Ok(self.tls.get_or_init(|| config))
    }

    pub(super) fn credentials(&mut self, credentials: Credentials) {
        self.credentials = Some(credentials);
    }

    /// The credentials of who logs on: his own, or those that were set for his address.
    pub(super) fn credentials_of(&self, who: &LogOn<'_>) -> Result<Credentials> {
        if let Some(credentials) = who.credentials {
            return Ok(credentials.clone());
        }
        let Some(set) = &self.credentials else {
            let message = "this Inbox asks for credentials: log on with `Session::logon`, or give \
                           it some with `credentials`";
            return Err(Error::new(ErrorKind::Configuration, message));
        };
        let own = Address::parse(set.mailbox());
        if own.is_ok_and(|own| own.key(false).eq_ignore_ascii_case(who.key)) {
            return Ok(set.clone());
        }
        let message = "the credentials that were set for this Inbox are not of this address";
        Err(Error::new(ErrorKind::LogonFailed, message).with_field("Address"))
    }

    /// A server that waits for TLS says nothing to one that waits for its greeting.
    pub(super) fn no_greeting(&self, error: Error) -> Error {
        let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
        let is_late =
            source.is_some_and(|source: &io::Error| source.kind() == io::ErrorKind::TimedOut);
        if self.security == Security::Implicit || !is_late {
            return error;
        }
        self.wrong(
            "the server says nothing; if TLS is spoken on this port from the first octet, say \
             `Security::Implicit`",
        )
    }

    /// A host's name holds no port, and no scheme.
    fn check_host(&self) -> Result<()> {
        let is_address = self.host.parse::<std::net::Ipv6Addr>().is_ok();
        let is_name = !self.host.is_empty() && !self.host.contains([':', '/', '[', '@', ' ']);
        if is_address || is_name {
            return Ok(());
        }
        let message = format!(
            "`{}` is no host: give its name or its address alone, and the port with `port`",
            self.host
        );
        Err(Error::new(ErrorKind::Configuration, message).with_field("host"))
    }

    /// A connection, private already where it is to be from the first octet.
    pub(super) fn connect(&self) -> Result<Connection> {
        self.check_host()?;
        let opened = Connection::open(&self.host, self.port(), self.time);
        let mut connection = opened.map_err(|fault| self.error(fault))?;
        match self.security {
            Security::Implicit => self.start_tls(&mut connection)?,
            Security::None if !connection.is_local() => {
                let message = "credentials go to another machine only by TLS";
                return Err(self.not_private(message));
            }
            _ => {}
        }
        Ok(connection)
    }

    pub(super) fn start_tls(&self, connection: &mut Connection) -> Result<()> {
        let started = connection.start_tls(self.tls()?, &self.host, self.time);
        started.map_err(|fault| self.error(fault))
    }

    pub(super) fn not_private(&self, message: &str) -> Error {
        Error::new(ErrorKind::NotPrivate, format!("{self}: {message}"))
    }

    /// What the server does is not what the protocol says.
    pub(super) fn wrong(&self, message: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Network, format!("{self}: {message}"))
    }

    pub(super) fn error(&self, fault: Fault) -> Error {
        match fault {
            Fault::Protocol(text) => self.wrong(text),
            #[cfg(feature = "smtp")]
            Fault::Said(reply) => self.wrong(reply),
            Fault::NotPrivate(text, source) => {
                let error = self.not_private(text);
                match source {
                    Some(source) => error.with_source(source),
                    None => error,
                }
            }
            Fault::Io(error) => {
                let message = format!("{self} cannot be reached, or went away");
                Error::new(ErrorKind::Network, message).with_source(error)
            }
        }
    }
}

/// Who is logged on: another who logs on as the same shares his connection. Users do not wait for one
/// another.
pub(super) struct Opened<T>(Mutex<HashMap<String, Arc<Mutex<Weak<T>>>>>);

impl<T> Default for Opened<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Opened<T> {
    pub(super) fn get_or_open(
        &self,
        user: &str,
        is_same: impl FnOnce(&T) -> bool,
        open: impl FnOnce() -> Result<T>,
    ) -> Result<Arc<T>> {
        let slot = {
            let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            users.retain(|_, slot| {
                // One that is held just now is in use.
                Arc::strong_count(slot) > 1
                    || slot.lock().is_ok_and(|opened| opened.strong_count() > 0)
            });
            Arc::clone(users.entry(user.to_owned()).or_default())
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = slot.upgrade().filter(|known| is_same(known)) {
            return Ok(known);
        }
        let opened = Arc::new(open()?);
        *slot = Arc::downgrade(&opened);
        Ok(opened)
    }
}

/// A session on a server, which may have died.
pub(super) trait Lasting {
    fn is_lost(&self) -> bool;
}

/// The session there is, or another.
pub(super) fn opened<S: Lasting>(
    slot: &mut Option<S>,
    open: impl FnOnce() -> Result<S>,
) -> Result<&mut S> {
    slot.take_if(|session| session.is_lost());
    if let Some(session) = slot {
        return Ok(session);
    }
    Ok(slot.insert(open()?))
}

/// Does what can be done twice: over another session when the one there was has died.
pub(super) fn again_if_lost<S: Lasting, T>(
    slot: &mut Option<S>,
    mut open: impl FnMut() -> Result<S>,
    work: impl Fn(&mut S) -> Result<T>,
) -> Result<T> {
    let was_open = slot.is_some();
    match work(opened(slot, &mut open)?) {
        Err(error) if was_open && error.kind() == ErrorKind::Network => {
            if slot.as_ref().is_some_and(Lasting::is_lost) {
                return work(opened(slot, open)?);
            }
            Err(error)
        }
        done => done,
    }
}

/// What failed for several messages together failed for each.
pub(super) fn for_each<K>(keys: &[K], error: &Error) -> Vec<Result<()>> {
    let copy = |_| Err(Error::new(error.kind(), error.to_string()));
    keys.iter().map(copy).collect()
}

/// Where it is, for errors.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("host", &self.host)
            .field("port", &self.port())
            .field("security", &self.security)
            .finish_non_exhaustive()
    }
}

/// The settings that every mailbox on a server has.
macro_rules! settings {
    ($store:ty) => {
        impl $store {
            /// Another port than the usual one.
            pub fn port(mut self, port: u16) -> Self {
                self.endpoint.set_port(port);
                self
            }

            /// TLS from the first octet or after the protocol's own command. Without any TLS
            /// credentials go to this machine alone.
            pub fn security(mut self, security: crate::Security) -> Self {
                self.endpoint.security = security;
                self
            }

            /// Whose certificates are trusted; those that the system trusts by default. Where there
            /// is none among them, who logs on gets an error of kind
            /// [`Configuration`](crate::ErrorKind::Configuration).
            pub fn roots(mut self, roots: crate::Roots) -> Self {
                self.endpoint.set_roots(roots);
                self
            }

            /// Credentials for a program that logs on without any
            /// ([`logon_smtp`](crate::Session::logon_smtp)): for their own address alone.
            pub fn credentials(mut self, credentials: crate::Credentials) -> Self {
                self.endpoint.credentials(credentials);
                self
            }

            /// How long the server may take for each answer, and for each 64 KB of a long one; a
            /// minute by default.
            pub fn timeout(mut self, time: std::time::Duration) -> Self {
                self.endpoint.time = time;
                self
            }

            /// How often who waits for messages has a look where the server does not tell of them;
            /// 30 seconds by default.
            pub fn poll_every(mut self, time: std::time::Duration) -> Self {
                self.endpoint.poll = time;
                self
            }
        }
    };
}
pub(super) use settings;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_dialogue_says_with_whom_it_was() {
        let endpoint = Endpoint::new("host".to_owned(), (995, 110), Security::Implicit);
        let faults = [
            (Fault::Protocol("odd".to_owned()), ErrorKind::Network, "odd"),
            (
                Fault::NotPrivate("no TLS", None),
                ErrorKind::NotPrivate,
                "no TLS",
            ),
            #[cfg(feature = "smtp")]
            (
                Fault::Said(crate::Reply::new(550, "", "no")),
                ErrorKind::Network,
                "550 no",
            ),
        ];
        for (fault, kind, text) in faults {
            let error = endpoint.error(fault);
            assert_eq!(error.kind(), kind);
            assert_eq!(error.to_string(), format!("host:995: {text}"));
        }
    }

    #[test]
    fn the_port_follows_from_the_security_unless_it_is_set() {
        let mut endpoint = Endpoint::new("host".to_owned(), (995, 110), Security::Implicit);
        assert_eq!(endpoint.to_string(), "host:995");
        endpoint.security = Security::StartTls;
        assert_eq!(endpoint.to_string(), "host:110");
        endpoint.set_port(1100);
        assert_eq!(endpoint.to_string(), "host:1100");
    }
}
