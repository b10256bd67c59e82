//! Lines to and from a server, by deadlines that a server cannot stretch octet by octet.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::{Channel, Timed, after, named};
#[cfg(feature = "smtp")]
use crate::transport::Reply;

/// The longest line of a reply that is read; RFC 5321 section 4.5.3.1.5 has 512.
const LONGEST: usize = 8 * 1024;
/// Read at once.
const BLOCK: usize = 16 * 1024;

/// Why a dialogue came to its end.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The connection: not made, lost, too slow.
    Io(io::Error),
    /// The server does not keep to the protocol.
    Protocol(String),
    /// It is not private, or nobody knows with whom.
    NotPrivate(&'static str, Option<io::Error>),
    /// It said no.
    #[cfg(feature = "smtp")]
    Said(Reply),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(feature = "imap")]
impl Fault {
    /// Nothing came in the time that was set.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::TimedOut)
    }
}

/// Why there is no TLS, and what is to be done.
fn not_private(error: io::Error) -> Fault {
    use rustls::CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext,
    };
    let source = error.get_ref().and_then(|source| source.downcast_ref());
    let text = match source {
        None => return Fault::Io(error),
        Some(rustls::Error::InvalidCertificate(
            NotValidForName | NotValidForNameContext { .. },
        )) => "the server's certificate is for another name; correct the host's name",
        Some(rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. })) => {
            "the server's certificate has expired"
        }
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            "the server's certificate is not trusted; give its authority with `roots`"
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            "no TLS is spoken on this port; take the server's port for TLS, or \
             `Security::StartTls`"
        }
        Some(_) => "no TLS could be agreed on with the server",
    };
    Fault::NotPrivate(text, Some(error))
}

pub(crate) struct Connection {
    stream: Channel<ClientConnection>,
    /// What was read and not asked for yet.
    ahead: Vec<u8>,
    /// How much of it was consumed.
    at: usize,
    #[cfg(any(feature = "pop3", feature = "imap"))]
    peer: std::net::SocketAddr,
}

impl Connection {
    pub(crate) fn open(host: &str, port: u16, time: Duration) -> Result<Self, Fault> {
        let deadline = after(time);
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        let mut addresses = (host, port).to_socket_addrs()?;
        while let Some(address) = addresses.next() {
            // One that does not answer leaves time for the others.
            let others = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
            let left = deadline.saturating_duration_since(Instant::now());
            let left = left / others.saturating_add(1);
            if left.is_zero() {
                break;
            }
            match TcpStream::connect_timeout(&address, left) {
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(Self {
                        stream: Channel::Plain(Timed::new(stream, time)),
                        ahead: Vec::new(),
                        at: 0,
                        #[cfg(any(feature = "pop3", feature = "imap"))]
                        peer: address,
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(named(last).into())
    }

    /// Goes over to TLS. What was sent before in the clear is not ours: a server, or somebody
    /// between, must have said nothing more (RFC 3207 section 4.2).
    pub(crate) fn start_tls(
        &mut self,
        config: &Arc<ClientConfig>,
        host: &str,
        time: Duration,
    ) -> Result<(), Fault> {
        if !self.ahead.is_empty() {
            let text = "the server went on speaking in the clear when TLS was to begin";
            return Err(Fault::Protocol(text.to_owned()));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        self.stream.set_time(time);
        self.stream.start_tls(session).map_err(not_private)
    }

    /// Whether the server has said something that was not read yet.
    #[cfg(any(feature = "smtp", feature = "pop3"))]
    pub(crate) fn has_more(&self) -> bool {
        !self.ahead.is_empty()
    }

    #[cfg(feature = "smtp")]
    pub(crate) fn is_private(&self) -> bool {
        self.stream.is_private()
    }

    pub(crate) fn write(&mut self, bytes: &[u8], time: Duration) -> Result<(), Fault> {
        self.stream.set_time(time);
        self.stream.write_all(bytes)?;
        Ok(self.stream.flush()?)
    }

    /// Whether the other side is on this machine.
    #[cfg(any(feature = "pop3", feature = "imap"))]
    pub(crate) fn is_local(&self) -> bool {
        self.peer.ip().is_loopback()
    }

    /// How long what follows may take in all.
    pub(crate) fn set_time(&mut self, time: Duration) {
        self.stream.set_time(time);
    }

    /// A line without its end. What is not ASCII becomes a question mark.
    pub(crate) fn read_line(&mut self) -> Result<String, Fault> {
        let mut line = Vec::new();
        loop {
            let some = self.fill()?;
            let end = memchr::memchr(b'\n', some);
            let count = end.map_or(some.len(), |end| end + 1);
            line.extend_from_slice(some.get(..count).unwrap_or_default());
            self.consume(count);
            if end.is_some() {
                break;
            }
            if line.len() > LONGEST {
                return Err(Fault::Protocol("the server's line has no end".to_owned()));
            }
        }
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let shown = line
            .iter()
            .map(|&byte| if byte.is_ascii() { byte } else { b'?' });
        Ok(shown.map(char::from).collect())
    }

    /// What has come and was not consumed yet, at least one octet.
    pub(crate) fn fill(&mut self) -> Result<&[u8], Fault> {
        if self.ahead.is_empty() {
            self.ahead.resize(BLOCK, 0);
            self.at = 0;
            let read = self.stream.read(&mut self.ahead);
            self.ahead.truncate(*read.as_ref().unwrap_or(&0));
            if read? == 0 {
                let text = "the server closed the connection";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text).into());
            }
        }
        Ok(self.ahead.get(self.at..).unwrap_or_default())
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.at += count;
        if self.at >= self.ahead.len() {
            self.ahead.clear();
            self.at = 0;
        }
    }
}
