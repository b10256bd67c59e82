//! Lines to and from a server, by deadlines that a server cannot stretch octet by octet.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::super::relay::Reply;
use crate::net::{Channel, Timed, after, named};

/// The longest line of a reply that is read; RFC 5321 section 4.5.3.1.5 has 512.
const LONGEST: usize = 8 * 1024;
/// So many lines a reply may have.
const MOST_LINES: usize = 200;

/// Why a dialogue came to its end.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection: not made, lost, too slow.
    Io(io::Error),
    /// The server does not keep to the protocol.
    Protocol(String),
    /// It said no.
    Said(Reply),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Fault {
    /// What is told of it; `server` is its name.
    pub(super) fn into_reply(self, server: &str) -> Reply {
        match self {
            Self::Io(error) => Reply::new(0, "4.4.1", format!("{server}: {error}")),
            Self::Protocol(text) => Reply::new(0, "4.5.0", format!("{server}: {text}")),
            Self::Said(reply) => reply,
        }
    }
}

pub(super) struct Connection {
    stream: Channel<ClientConnection>,
    /// What was read and not asked for yet.
    ahead: Vec<u8>,
}

impl Connection {
    pub(super) fn open(host: &str, port: u16, time: Duration) -> Result<Self, Fault> {
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
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(named(last).into())
    }

    /// Goes over to TLS. What was sent before in the clear is not ours: a server, or somebody
    /// between, must have said nothing more (RFC 3207 section 4.2).
    pub(super) fn start_tls(
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
        Ok(self.stream.start_tls(session)?)
    }

    /// Whether the server has said something that was not read yet.
    pub(super) fn has_more(&self) -> bool {
        !self.ahead.is_empty()
    }

    pub(super) fn is_private(&self) -> bool {
        self.stream.is_private()
    }

    pub(super) fn write(&mut self, bytes: &[u8], time: Duration) -> Result<(), Fault> {
        self.stream.set_time(time);
        self.stream.write_all(bytes)?;
        Ok(self.stream.flush()?)
    }

    /// The next reply: its code, and its lines without the code.
    pub(super) fn read_reply(&mut self, time: Duration) -> Result<(u16, Vec<String>), Fault> {
        self.stream.set_time(time);
        let mut lines = Vec::new();
        loop {
            let line = self.read_line()?;
            let wrong = || Fault::Protocol("the server's answer is no reply of SMTP".to_owned());
            let (code, rest) = line.split_at_checked(3).ok_or_else(wrong)?;
            let is_code = code.bytes().all(|byte| byte.is_ascii_digit());
            let code: u16 = code.parse().ok().filter(|_| is_code).ok_or_else(wrong)?;
            if !(200..600).contains(&code) {
                return Err(wrong());
            }
            let (is_last, text) = match rest.as_bytes().first() {
                None => (true, ""),
                Some(b' ') => (true, rest.get(1..).unwrap_or_default()),
                Some(b'-') => (false, rest.get(1..).unwrap_or_default()),
                Some(_) => return Err(wrong()),
            };
            lines.push(text.to_owned());
            if is_last {
                return Ok((code, lines));
            }
            if lines.len() >= MOST_LINES {
                return Err(Fault::Protocol("the server's answer has no end".to_owned()));
            }
        }
    }

    /// A line without its end. What is not ASCII becomes a question mark.
    fn read_line(&mut self) -> Result<String, Fault> {
        loop {
            if let Some(end) = self.ahead.iter().position(|&byte| byte == b'\n') {
                let rest = self.ahead.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.ahead, rest);
                line.truncate(end);
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                let shown = line
                    .iter()
                    .map(|&byte| if byte.is_ascii() { byte } else { b'?' });
                return Ok(shown.map(char::from).collect());
            }
            if self.ahead.len() > LONGEST {
                return Err(Fault::Protocol("the server's line has no end".to_owned()));
            }
            let mut block = [0; 1024];
            let count = self.stream.read(&mut block)?;
            if count == 0 {
                let text = "the server closed the connection";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text).into());
            }
            self.ahead
                .extend_from_slice(block.get(..count).unwrap_or_default());
        }
    }
}
