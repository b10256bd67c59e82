//! The way out by SMTP (RFC 5321): to a relay, or to a server that takes submissions (RFC 6409).
//!
//! What it trusts: nothing that a server says before TLS is up, no line that is too long, no answer
//! that does not fit the question. A connection on which anything went wrong is closed, never used
//! again.

mod auth;
mod content;
mod dialogue;
mod extensions;
mod replies;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::relay::{Outcome, RelayMessage, Reply, Transport};
use crate::credentials::Credentials;
use crate::error::Result;
use crate::net::client::Fault;
use crate::net::tls::{self, Roots, Security};
use content::Content;
use dialogue::Dialogue;

/// A mail server that takes messages by SMTP: a [`Transport`].
///
/// ```
/// use cdonts::{Credentials, MailServer, Smtp};
///
/// # fn main() -> cdonts::Result<()> {
/// let relay = Smtp::submission("mail.example.net")?
///     .credentials(Credentials::password("shop@example.com", "secret"));
/// let server = MailServer::builder()
///     .relay(relay)
///     .open_temporary()?;
/// # Ok(())
/// # }
/// ```
pub struct Smtp {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
    /// Without credentials of its own it takes those of a session.
    takes_submissions: bool,
    hello: String,
    deadlines: Deadlines,
    tls: Option<Arc<rustls::ClientConfig>>,
    idle: Idle,
}

/// Connections that may be used again.
#[derive(Default)]
struct Idle(Mutex<Vec<Resting>>);

struct Resting {
    dialogue: Dialogue,
    since: Instant,
    /// Who it is authenticated as: nobody else may send over it.
    credentials: Option<Credentials>,
}

impl Idle {
    fn take(&self, credentials: Option<&Credentials>) -> Option<Resting> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_him = |resting: &Resting| resting.credentials.as_ref() == credentials;
        let at = idle.iter().rposition(of_him)?;
        Some(idle.remove(at))
    }

    fn put(&self, dialogue: Dialogue, credentials: Option<&Credentials>) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(Resting {
            dialogue,
            since: Instant::now(),
            credentials: credentials.cloned(),
        });
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let idle = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        for resting in idle.drain(..) {
            resting.dialogue.quit();
        }
    }
}

/// How long each step may take, in all and not for each octet (RFC 5321 section 4.5.3.2).
#[derive(Clone, Copy, Debug)]
struct Deadlines {
    connect: Duration,
    /// For greeting, MAIL, RCPT and what else is asked.
    reply: Duration,
    /// For the answer to DATA.
    data: Duration,
    /// For each block of the message.
    block: Duration,
    /// For the answer to the message.
    end: Duration,
}

/// A connection that is not used is closed after so long.
const IDLE: Duration = Duration::from_secs(20);

impl Smtp {
    /// A relay: port 25, TLS after STARTTLS, no credentials.
    ///
    /// # Errors
    /// [`Configuration`](crate::ErrorKind::Configuration) when the system has no certificates to
    /// trust.
    pub fn new(host: impl Into<String>) -> Result<Self> {
        Self::with(host.into(), 25, Security::StartTls)
    }

    /// A server that takes submissions: port 465, TLS from the first octet. Without
    /// [`credentials`](Smtp::credentials) of its own it uses those of the session that sends
    /// ([`Session::logon`](crate::Session::logon)).
    ///
    /// # Errors
    /// As [`new`](Smtp::new).
    pub fn submission(host: impl Into<String>) -> Result<Self> {
        Ok(Self {
            takes_submissions: true,
            ..Self::with(host.into(), 465, Security::Implicit)?
        })
    }

    /// A server on this machine, or one that nobody between can reach: port 25, no TLS.
    pub fn plain(host: impl Into<String>) -> Self {
        Self::without_tls(host.into(), 25)
    }

    fn with(host: String, port: u16, security: Security) -> Result<Self> {
        Ok(Self {
            security,
            tls: Some(tls::config(&Roots::Platform)?),
            ..Self::without_tls(host, port)
        })
    }

    fn without_tls(host: String, port: u16) -> Self {
        Self {
            host,
            port,
            security: Security::None,
            credentials: None,
            takes_submissions: false,
            hello: "localhost".to_owned(),
            deadlines: Deadlines {
                connect: Duration::from_secs(30),
                reply: Duration::from_mins(5),
                data: Duration::from_mins(2),
                block: Duration::from_mins(3),
                end: Duration::from_mins(10),
            },
            tls: None,
            idle: Idle::default(),
        }
    }

    /// Another port.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// TLS from the first octet or after STARTTLS, whatever the port.
    ///
    /// # Errors
    /// As [`new`](Smtp::new).
    pub fn security(mut self, security: Security) -> Result<Self> {
        if security != Security::None && self.tls.is_none() {
            self.tls = Some(tls::config(&Roots::Platform)?);
        }
        self.security = security;
        Ok(self)
    }

    /// Whose certificates are trusted; those that the system trusts by default.
    ///
    /// # Errors
    /// [`Configuration`](crate::ErrorKind::Configuration) when there is none among them.
    pub fn roots(mut self, roots: &Roots) -> Result<Self> {
        self.tls = Some(tls::config(roots)?);
        Ok(self)
    }

    /// Who one is to this server. Sent only over TLS.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// The name of this machine that is told the server; `localhost` by default, which relays on
    /// other machines may not like.
    pub fn hello(mut self, name: impl Into<String>) -> Self {
        self.hello = name.into();
        self
    }

    /// How long the server may take for each answer, instead of the minutes of RFC 5321.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.deadlines = Deadlines {
            connect: time,
            reply: time,
            data: time,
            block: time,
            end: time,
        };
        self
    }

    /// A connection that was used before and has rested only shortly, or a new one.
    fn dialogue(&self, credentials: Option<&Credentials>) -> Result<Dialogue, Fault> {
        while let Some(resting) = self.idle.take(credentials) {
            let mut dialogue = resting.dialogue;
            if resting.since.elapsed() > IDLE {
                dialogue.quit();
            } else if dialogue.reset().is_ok() {
                return Ok(dialogue);
            }
        }
        Dialogue::open(self, credentials)
    }

    fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl Transport for Smtp {
    fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome> {
        let all = |outcome: Outcome| vec![outcome; message.recipients().len()];
        let content = match Content::look(message) {
            Ok(content) => content,
            Err(error) => {
                let text = format!("the message cannot be read: {error}");
                return all(Outcome::Deferred(Reply::new(0, "4.3.0", text)));
            }
        };
        let of_session = || message.credentials.filter(|_| self.takes_submissions);
        let credentials = self.credentials.as_ref().or_else(of_session);
        let mut dialogue = match self.dialogue(credentials) {
            Ok(dialogue) => dialogue,
            Err(fault) => return all(Outcome::Deferred(fault.into_reply(&self.name()))),
        };
        let outcomes = dialogue.send(message, content);
        if dialogue.is_reusable() {
            self.idle.put(dialogue, credentials);
        } else {
            dialogue.quit();
        }
        outcomes
    }

    fn needs_credentials(&self) -> bool {
        self.takes_submissions && self.credentials.is_none()
    }
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("security", &self.security)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_tls_nothing_is_sent_that_asks_for_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Smtp {
            security: Security::Implicit,
            ..Smtp::plain("127.0.0.1").port(listener.local_addr().unwrap().port())
        };
        let recipients = ["joe@example.net".to_owned()];
        let outcomes = way.send(&RelayMessage {
            id: "id",
            reverse_path: "",
            recipients: &recipients,
            bytes: std::sync::Arc::new(Vec::new()),
            range: 0..0,
            credentials: None,
        });
        assert!(
            outcomes[0].reply().text().contains("TLS is not set up"),
            "{outcomes:?}"
        );
    }
}
