//! The dialogue with a POP3 server (RFC 1939, 2449, 2595, 5034), from the greeting to QUIT.
//!
//! What it trusts: nothing that a server says before TLS is up, no length, no line that is too long.
//! A connection on which anything went wrong is closed without QUIT, which would commit what was
//! asked for.

use std::time::Duration;

use super::lines::Lines;
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Result};
use crate::format::encode::Sink;
use crate::limits::Limits;
use crate::net::client::Connection;
use crate::net::tls::Security;
use crate::store::endpoint::Endpoint;

/// What a server answers to a command.
pub(super) enum Answer {
    Yes(String),
    No(String),
}

/// Messages by their numbers in the session, and what is told of each.
pub(super) type Numbered = Vec<(u32, Vec<u8>)>;

/// What a listing is made of.
pub(super) struct Head {
    pub(super) size: u64,
    pub(super) section: Vec<u8>,
}

/// What a server can do, as it says.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a capability of its own"
)]
pub(super) struct Capabilities {
    pub(super) stls: bool,
    pub(super) top: bool,
    pub(super) uidl: bool,
    pub(super) pipelining: bool,
    pub(super) tells_why: bool,
    pub(super) sasl: Vec<String>,
}

pub(super) struct Dialogue<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) connection: &'a mut Open,
}

/// A connection that is authenticated.
pub(super) struct Open {
    pub(super) connection: Connection,
    pub(super) capabilities: Capabilities,
    /// Where in the dialogue the server is is not known.
    is_lost: bool,
}

/// The most that lists of ids and sizes may take: a line of 80 octets for each of many messages.
const MOST_LIST: u64 = 256 << 20;
/// So many messages a mailbox may have.
const MOST_MESSAGES: u32 = 1_000_000;
/// Each block of an answer has the time of one.
const BLOCK: u64 = 64 * 1024;

impl Open {
    /// Up to the point where messages can be asked for.
    pub(super) fn new(endpoint: &Endpoint, credentials: &Credentials) -> Result<Self> {
        let mut open = Self {
            connection: endpoint.connect()?,
            capabilities: Capabilities::default(),
            is_lost: false,
        };
        let mut dialogue = open.on(endpoint);
        match dialogue
            .answer()
            .map_err(|error| endpoint.no_greeting(error))?
        {
            Answer::Yes(_) => {}
            Answer::No(text) => return Err(dialogue.refused(&text)),
        }
        dialogue.ask_capabilities()?;
        if endpoint.security == Security::StartTls {
            dialogue.start_tls()?;
        }
        dialogue.authenticate(credentials)?;
        Ok(open)
    }

    pub(super) fn on<'a>(&'a mut self, endpoint: &'a Endpoint) -> Dialogue<'a> {
        Dialogue {
            endpoint,
            connection: self,
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }

    pub(super) fn has_top(&self) -> bool {
        self.capabilities.top
    }

    /// Says goodbye when nothing is to be committed. Waits for a moment until the server has the
    /// mailbox unlocked.
    pub(super) fn leave(mut self, endpoint: &Endpoint) {
        let time = endpoint.time.min(Duration::from_secs(2));
        if !self.is_lost && self.connection.write(b"QUIT\r\n", time).is_ok() {
            let _ = self.connection.read_line();
        }
    }
}

impl Dialogue<'_> {
    pub(super) fn lost<T>(&mut self, error: Error) -> Result<T> {
        self.connection.is_lost = true;
        Err(error)
    }

    pub(super) fn wrong<T>(&mut self, text: &str) -> Result<T> {
        self.lost(self.endpoint.wrong(text))
    }

    pub(super) fn write(&mut self, line: &str) -> Result<()> {
        if line.contains(['\r', '\n', '\0']) {
            let message = "a user name or a password holds a line end";
            return Err(Error::new(ErrorKind::InvalidValue, message));
        }
        if self.connection.is_lost {
            return Err(self.endpoint.wrong("the connection was lost"));
        }
        let line = format!("{line}\r\n");
        let time = self.endpoint.time;
        let written = self.connection.connection.write(line.as_bytes(), time);
        written.or_else(|fault| self.lost(self.endpoint.error(fault)))
    }

    pub(super) fn command(&mut self, line: &str) -> Result<Answer> {
        if self.connection.connection.has_more() {
            // Every answer behind it would be taken for that of the question before.
            return self.wrong("the server answers what it was not asked");
        }
        self.write(line)?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Answer> {
        self.connection.connection.set_time(self.endpoint.time);
        let line = match self.connection.connection.read_line() {
            Ok(line) => line,
            Err(fault) => return self.lost(self.endpoint.error(fault)),
        };
        if let Some(text) = line.strip_prefix("+OK") {
            return Ok(Answer::Yes(text.trim().to_owned()));
        }
        if let Some(text) = line.strip_prefix("-ERR") {
            return Ok(Answer::No(text.trim().to_owned()));
        }
        self.wrong("the server's answer is none of POP3")
    }

    /// Reads the lines of an answer into `to`, at most so many octets.
    fn lines(&mut self, to: &mut dyn Sink, limit: &'static str, most: u64) -> Result<()> {
        let (mut lines, mut out) = (Lines::new(), Vec::new());
        let (mut total, mut since) = (0u64, 0u64);
        self.connection.connection.set_time(self.endpoint.time);
        loop {
            let some = match self.connection.connection.fill() {
                Ok(some) => some,
                Err(fault) => return self.lost(self.endpoint.error(fault)),
            };
            let (count, is_end) = lines.feed(some, &mut out);
            self.connection.connection.consume(count);
            total += out.len() as u64;
            since += count as u64;
            if total > most {
                // There is no way to stop it but to go.
                return self.lost(Limits::exceeded(limit, most));
            }
            if let Err(error) = to.put(&out) {
                return self.lost(error);
            }
            out.clear();
            if is_end {
                return Ok(());
            }
            if since >= BLOCK {
                since = 0;
                self.connection.connection.set_time(self.endpoint.time);
            }
        }
    }

    /// The lines of an answer, or what the server says instead.
    pub(super) fn list(&mut self, command: &str) -> Result<Result<Vec<u8>, String>> {
        match self.command(command)? {
            Answer::No(text) => Ok(Err(text)),
            Answer::Yes(_) => {
                let mut list = Vec::new();
                self.lines(&mut list, "message", MOST_LIST)?;
                Ok(Ok(list))
            }
        }
    }

    /// `[SYS/PERM]` is for good; all else may be otherwise later.
    pub(super) fn refused(&self, text: &str) -> Error {
        let kind = if text.starts_with("[SYS/PERM]") {
            ErrorKind::Refused
        } else {
            ErrorKind::Network
        };
        Error::new(
            kind,
            format!("{}: the server refuses: {text}", self.endpoint),
        )
    }

    /// The numbers of the messages with their unique ids; `None` where the server has none. That it
    /// does not tell them now is an error, and never that there are none.
    pub(super) fn unique_ids(&mut self) -> Result<Option<Numbered>> {
        match self.list("UIDL")? {
            Ok(list) => self.numbered(&list).map(Some),
            Err(text) if self.connection.capabilities.uidl || text.starts_with('[') => {
                Err(self.refused(&text))
            }
            Err(_) => Ok(None),
        }
    }

    /// The numbers of the messages with their sizes, as the server says.
    pub(super) fn sizes(&mut self) -> Result<Vec<(u32, u64)>> {
        let list = match self.list("LIST")? {
            Ok(list) => list,
            Err(text) => return Err(self.refused(&text)),
        };
        let numbered = self.numbered(&list)?.into_iter();
        let size = |text: &[u8]| {
            let text = std::str::from_utf8(text).ok();
            text.and_then(|text| text.parse().ok())
        };
        Ok(numbered
            .map(|(number, text)| (number, size(&text).unwrap_or(0)))
            .collect())
    }

    fn numbered(&mut self, list: &[u8]) -> Result<Numbered> {
        let lines = list.split(|&byte| byte == b'\n');
        let lines = lines
            .map(<[u8]>::trim_ascii)
            .filter(|line| !line.is_empty());
        let read = |line: &[u8]| {
            let mut words = line.splitn(2, |&byte| byte == b' ');
            let number = words.next().unwrap_or_default();
            let rest = words.next().unwrap_or_default();
            let number = std::str::from_utf8(number).ok()?.parse().ok()?;
            Some((number, rest.trim_ascii().to_vec()))
        };
        match lines.map(read).collect() {
            Some(numbered) => Ok(numbered),
            None => self.wrong("the server's list is none of POP3"),
        }
    }

    /// How many messages there are.
    pub(super) fn count(&mut self) -> Result<u32> {
        let text = match self.command("STAT")? {
            Answer::Yes(text) => text,
            Answer::No(text) => return Err(self.refused(&text)),
        };
        let count = text.split_whitespace().next().map(str::parse);
        match count {
            Some(Ok(count)) if count <= MOST_MESSAGES => Ok(count),
            Some(Ok(_)) => self.wrong("the server has more messages than can be listed"),
            _ => self.wrong("the server does not say how many messages there are"),
        }
    }

    /// The size of a message, as the server says; `None` where it does not.
    pub(super) fn size(&mut self, number: u32) -> Result<Option<u64>> {
        Ok(match self.command(&format!("LIST {number}"))? {
            Answer::Yes(text) => size_in(&text),
            Answer::No(_) => None,
        })
    }

    /// The header sections of messages, all asked for at once where the server takes that, with
    /// the sizes that are not known; `None` for one that it does not give.
    pub(super) fn heads(
        &mut self,
        wanted: &[(u32, Option<u64>)],
        most: u64,
    ) -> Result<Vec<Option<Head>>> {
        let is_piped = self.connection.capabilities.pipelining;
        if is_piped {
            for (number, size) in wanted {
                if size.is_none() {
                    self.write(&format!("LIST {number}"))?;
                }
                self.write(&format!("TOP {number} 0"))?;
            }
        }
        let mut heads = Vec::with_capacity(wanted.len());
        for (number, size) in wanted {
            heads.push(if is_piped {
                self.head(*size, most)?
            } else {
                let size = match size {
                    Some(size) => Some(*size),
                    None => self.size(*number)?,
                };
                let answer = self.command(&format!("TOP {number} 0"))?;
                self.section(&answer, size, most)?
            });
        }
        Ok(heads)
    }

    fn head(&mut self, size: Option<u64>, most: u64) -> Result<Option<Head>> {
        let size = match size {
            Some(size) => Some(size),
            None => match self.answer()? {
                Answer::Yes(text) => size_in(&text),
                Answer::No(_) => None,
            },
        };
        let answer = self.answer()?;
        self.section(&answer, size, most)
    }

    fn section(&mut self, answer: &Answer, size: Option<u64>, most: u64) -> Result<Option<Head>> {
        if let Answer::No(_) = answer {
            return Ok(None);
        }
        let mut section = Vec::new();
        self.lines(&mut section, "header_section", most)?;
        let size = size.unwrap_or(section.len() as u64);
        Ok(Some(Head { size, section }))
    }

    /// A whole message.
    pub(super) fn retrieve(&mut self, number: u32, to: &mut dyn Sink, most: u64) -> Result<()> {
        match self.command(&format!("RETR {number}"))? {
            Answer::No(text) => Err(self.refused(&text)),
            Answer::Yes(_) => self.lines(to, "message", most),
        }
    }

    /// Marks a message, which the end of the session deletes; or why the server will not.
    pub(super) fn delete(&mut self, number: u32) -> Result<Result<(), Error>> {
        Ok(match self.command(&format!("DELE {number}"))? {
            Answer::Yes(_) => Ok(()),
            Answer::No(text) => Err(self.refused(&text)),
        })
    }

    /// Commits what was deleted. Whether that was done is unknown when the answer is lost.
    pub(super) fn quit(&mut self) -> Result<()> {
        let answer = self.command("QUIT");
        self.connection.is_lost = true;
        let unknown = |text: String| {
            let message = format!(
                "{}: whether the messages are deleted is not known: {text}",
                self.endpoint
            );
            Error::new(ErrorKind::OutcomeUnknown, message)
        };
        match answer {
            Ok(Answer::Yes(_)) => Ok(()),
            Ok(Answer::No(text)) => Err(unknown(text)),
            Err(error) => Err(unknown(error.to_string())),
        }
    }
}

/// In an answer of a number and a size.
fn size_in(text: &str) -> Option<u64> {
    text.split_whitespace().nth(1)?.parse().ok()
}
