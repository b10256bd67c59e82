//! One client: its commands, and the messages that it hands over.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use smtp_proto::Request;

use super::incoming::{Incoming, refusal};
use super::path::Path;
use super::wire::{Line, Wire};
use super::{Listener, Protocol};
use crate::delivery::Spool;
use crate::format::address::Address;

/// So many commands in a row that cannot be understood end the session.
const MOST_ERRORS: usize = 10;

pub(super) struct Session<'l> {
    pub(super) listener: &'l Listener,
    pub(super) spool: &'l Spool,
    ends: &'l AtomicBool,
    pub(super) peer: Option<SocketAddr>,
    pub(super) wire: Wire,
    pub(super) hello: Option<String>,
    transaction: Option<Transaction>,
    errors: usize,
}

pub(super) struct Transaction {
    /// `None` is the null reverse-path.
    pub(super) sender: Option<Address>,
    pub(super) recipients: Vec<Address>,
}

/// Whether the session goes on.
type Goes = io::Result<bool>;

impl<'l> Session<'l> {
    pub(super) fn new(listener: &'l Listener, stream: TcpStream, ends: &'l AtomicBool) -> Self {
        Self {
            listener,
            spool: listener.server.spool(),
            ends,
            peer: stream.peer_addr().ok(),
            wire: Wire::new(stream, listener.timeout),
            hello: None,
            transaction: None,
            errors: 0,
        }
    }

    /// Until the client says goodbye, or anything fails.
    pub(super) fn serve(mut self) {
        let protocol = match self.listener.protocol {
            Protocol::Smtp => "ESMTP",
            Protocol::Lmtp => "LMTP",
        };
        let greeting = format!("220 {} {protocol} cdonts\r\n", self.domain());
        if self.wire.say(&greeting).is_err() {
            return;
        }
        loop {
            match self.step() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    if error.kind() == io::ErrorKind::TimedOut {
                        let _ = self.wire.say("421 4.4.2 too slow; goodbye\r\n");
                    }
                    return;
                }
            }
        }
    }

    pub(super) fn domain(&self) -> &str {
        let first = self.spool.local_domains.first();
        first.map_or("localhost", String::as_str)
    }

    fn step(&mut self) -> Goes {
        let line = match self.wire.line()? {
            Line::Whole(line) => line,
            Line::TooLong => {
                // Where it ends is not known, nor what comes behind it.
                self.wire
                    .say("500 5.5.2 the line is too long; goodbye\r\n")?;
                return Ok(false);
            }
            Line::Odd => {
                self.wire
                    .say("500 5.5.2 a line ends with CR LF; goodbye\r\n")?;
                return Ok(false);
            }
        };
        if self.ends.load(Ordering::Acquire) {
            self.wire.say("421 4.3.2 closing\r\n")?;
            return Ok(false);
        }
        let Ok(text) = String::from_utf8(line.clone()) else {
            return self.wrong("501 5.5.4 a command is UTF-8");
        };
        let verb = text.get(..4).unwrap_or_default();
        if verb.eq_ignore_ascii_case("MAIL") {
            return match Path::of(&text, "MAIL FROM:") {
                Some(from) => self.mail(&from),
                None => self.wrong("501 5.5.4 it is MAIL FROM:<address>"),
            };
        }
        if verb.eq_ignore_ascii_case("RCPT") {
            return match Path::of(&text, "RCPT TO:") {
                Some(to) => self.rcpt(&to),
                None => self.wrong("501 5.5.4 it is RCPT TO:<address>"),
            };
        }
        match Request::parse(&mut line.iter()) {
            Ok(request) => self.answer(request.into_owned()),
            Err(_) => self.wrong("500 5.5.2 this command is not understood"),
        }
    }

    fn wrong(&mut self, reply: &str) -> Goes {
        self.errors += 1;
        if self.errors > MOST_ERRORS {
            self.wire.say("421 4.7.0 too many errors; goodbye\r\n")?;
            return Ok(false);
        }
        self.refuse(reply)
    }

    /// A refusal that says nothing about the client.
    fn refuse(&mut self, reply: &str) -> Goes {
        self.wire.say(&format!("{reply}\r\n"))?;
        Ok(true)
    }

    fn say(&mut self, reply: &str) -> Goes {
        self.errors = 0;
        self.wire.say(&format!("{reply}\r\n"))?;
        Ok(true)
    }

    fn answer(&mut self, request: Request<String>) -> Goes {
        let is_lmtp = self.listener.protocol == Protocol::Lmtp;
        match request {
            Request::Lhlo { host } if is_lmtp => self.greet(host, true),
            Request::Ehlo { host } if !is_lmtp => self.greet(host, true),
            Request::Helo { host } if !is_lmtp => self.greet(host, false),
            Request::Data => self.data(),
            Request::Rset => {
                self.transaction = None;
                self.say("250 2.0.0 ok")
            }
            Request::Noop { .. } => self.say("250 2.0.0 ok"),
            Request::Vrfy { .. } => self.say("252 2.1.5 send, and see"),
            Request::StartTls => self.start_tls(),
            Request::Quit => {
                self.say("221 2.0.0 goodbye")?;
                Ok(false)
            }
            _ => self.wrong("502 5.5.1 this command is not for here"),
        }
    }

    fn greet(&mut self, host: String, is_extended: bool) -> Goes {
        self.hello = Some(host);
        self.transaction = None;
        let domain = self.domain().to_owned();
        if !is_extended {
            return self.say(&format!("250 {domain}"));
        }
        let mut reply = format!("250-{domain}\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n");
        if self.listener.tls.is_some() && !self.wire.is_private() {
            reply += "250-STARTTLS\r\n";
        }
        reply += &format!("250-SIZE {}\r\n", self.spool.limits.message);
        self.say(&(reply + "250-8BITMIME\r\n250 SMTPUTF8"))
    }

    fn start_tls(&mut self) -> Goes {
        let Some(tls) = self
            .listener
            .tls
            .clone()
            .filter(|_| !self.wire.is_private())
        else {
            return self.wrong("502 5.5.1 there is no TLS to begin");
        };
        if self.wire.has_more() {
            // Whoever spoke on in the clear is perhaps not the client.
            self.say("501 5.5.4 nothing may follow STARTTLS; goodbye")?;
            return Ok(false);
        }
        self.say("220 2.0.0 go on")?;
        self.wire.start_tls(&tls)?;
        self.hello = None;
        self.transaction = None;
        Ok(true)
    }

    fn mail(&mut self, from: &Path<'_>) -> Goes {
        if self.hello.is_none() {
            return self.wrong("503 5.5.1 say hello first");
        }
        if self.transaction.is_some() {
            return self.wrong("503 5.5.1 a transaction is under way");
        }
        let most = self.spool.limits.message;
        let size = from.parameter("SIZE").map(str::parse::<u64>);
        match size {
            Some(Err(_)) => return self.wrong("501 5.5.4 SIZE is a number of octets"),
            Some(Ok(size)) if size > most => {
                let reply = format!("552 5.3.4 a message has at most {most} octets");
                return self.refuse(&reply);
            }
            _ => {}
        }
        let body = from.parameter("BODY").unwrap_or("7BIT");
        if !["7BIT", "8BITMIME"]
            .iter()
            .any(|one| body.eq_ignore_ascii_case(one))
        {
            return self.wrong("501 5.5.4 BODY is 7BIT or 8BITMIME");
        }
        let sender = match from.address {
            "" => Ok(None),
            _ => from.mailbox().map(Some),
        };
        match sender {
            Ok(sender) => {
                let recipients = Vec::new();
                self.transaction = Some(Transaction { sender, recipients });
                self.say("250 2.1.0 ok")
            }
            Err(reason) => self.refuse(&format!("553 5.1.7 the address {reason}")),
        }
    }

    fn rcpt(&mut self, to: &Path<'_>) -> Goes {
        let postmaster = format!("postmaster@{}", self.domain());
        let Some(transaction) = &mut self.transaction else {
            return self.wrong("503 5.5.1 MAIL comes first");
        };
        // He has no domain where it is this server's (RFC 5321 section 4.5.1).
        let address = if to.address.eq_ignore_ascii_case("postmaster") {
            Address::parse(&postmaster)
        } else {
            to.mailbox()
        };
        let address = match address {
            Ok(address) => address,
            Err(reason) => return self.refuse(&format!("553 5.1.3 the address {reason}")),
        };
        if !self.spool.is_local(&address) {
            return self.refuse("550 5.7.1 mail is taken for this machine's own domains alone");
        }
        if transaction.recipients.len() >= self.spool.limits.recipients {
            return self.say("452 4.5.3 too many recipients");
        }
        transaction.recipients.push(address);
        self.say("250 2.1.5 ok")
    }

    fn data(&mut self) -> Goes {
        let transaction = self.transaction.take();
        let Some(transaction) = transaction.filter(|one| !one.recipients.is_empty()) else {
            return self.wrong("503 5.5.1 there is no recipient");
        };
        let Ok(file) = self.spool_file() else {
            return self.say("451 4.3.0 it cannot be stored now");
        };
        self.say("354 go on, up to a dot")?;
        let mut incoming = Incoming::new(file, self.spool.limits.message);
        let message = match self.wire.message(|block| incoming.take(block)) {
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                self.refuse("552 5.3.4 the message is too large, and has no end; goodbye")?;
                return Ok(false);
            }
            message => message?,
        };
        let reply = if message.is_odd {
            "550 5.6.11 a CR or LF stands alone in the message".to_owned()
        } else {
            match incoming
                .finish()
                .and_then(|bytes| self.deliver(&transaction, bytes))
            {
                Ok(()) => "250 2.0.0 delivered".to_owned(),
                Err(error) => refusal(&error),
            }
        };
        let count = match self.listener.protocol {
            Protocol::Smtp => 1,
            Protocol::Lmtp => transaction.recipients.len(),
        };
        self.wire.say(&format!("{reply}\r\n").repeat(count))?;
        Ok(true)
    }
}
