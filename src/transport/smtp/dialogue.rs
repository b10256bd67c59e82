//! The dialogue with one server: greeting, TLS, credentials, and messages one after the other.

use std::fmt;

use super::content::{Content, Wire};
use super::extensions::Extensions;
use super::{Deadlines, Smtp};
use crate::credentials::Credentials;
use crate::format::address::Address;
use crate::net::client::{Connection, Fault};
use crate::net::tls::Security;
use crate::transport::relay::{Outcome, RelayMessage, Reply};

/// So many recipients a server takes at least (RFC 5321 section 4.5.3.1.8).
const MOST_RECIPIENTS: usize = 100;
/// So many messages go over one connection.
const MOST_MESSAGES: usize = 100;

pub(super) struct Dialogue {
    pub(super) connection: Connection,
    pub(super) extensions: Extensions,
    pub(super) deadlines: Deadlines,
    messages: usize,
    /// Where the server is in the dialogue is not known: it is closed without another word, which
    /// could be taken for a part of a message.
    is_lost: bool,
}

impl fmt::Debug for Dialogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialogue").finish_non_exhaustive()
    }
}

/// A reply that was read, as others see it.
pub(super) fn reply(code: u16, lines: &[String]) -> Reply {
    let text = lines.join(" ");
    let is_enhanced = |word: &str| {
        let mut parts = word.split('.');
        let mut number = || {
            let part = parts.next()?;
            (part.len() <= 3 && !part.is_empty()).then_some(())?;
            part.bytes().all(|byte| byte.is_ascii_digit()).then_some(())
        };
        number().is_some() && number().is_some() && number().is_some() && parts.next().is_none()
    };
    match text.split_once(' ') {
        Some((word, rest)) if is_enhanced(word) => Reply::new(code, word, rest),
        None if is_enhanced(&text) => Reply::new(code, text, ""),
        _ => Reply::new(code, "", text),
    }
}

/// What the server answered to one step.
fn outcome(reply: Reply) -> Outcome {
    match reply.code() {
        500.. => Outcome::Refused(reply),
        _ => Outcome::Deferred(reply),
    }
}

/// Too many recipients for one message: it is not this one's fault (RFC 5321 section 4.5.3.1.10).
fn is_one_too_many(reply: &Reply) -> bool {
    match (reply.code(), reply.enhanced()) {
        (452 | 552, "") => true,
        (452 | 552, enhanced) => enhanced.ends_with(".5.3"),
        _ => false,
    }
}

impl Dialogue {
    /// Up to the point where messages may be sent.
    pub(super) fn open(smtp: &Smtp, credentials: Option<&Credentials>) -> Result<Self, Fault> {
        let deadlines = smtp.deadlines;
        let mut connection = Connection::open(&smtp.host, smtp.port, deadlines.connect)?;
        let start_tls = |connection: &mut Connection| match &smtp.tls {
            Some(config) => connection.start_tls(config, &smtp.host, deadlines.reply),
            None => Err(Fault::Protocol("TLS is not set up".to_owned())),
        };
        if smtp.security == Security::Implicit {
            start_tls(&mut connection)?;
        }
        let mut dialogue = Self {
            connection,
            extensions: Extensions::default(),
            deadlines,
            messages: 0,
            is_lost: false,
        };
        dialogue.expect(220)?;
        dialogue.hello(&smtp.hello)?;
        if smtp.security == Security::StartTls {
            if !dialogue.extensions.starttls {
                let text = "the server has no STARTTLS, without which nothing is sent";
                return Err(Fault::NotPrivate(text, None));
            }
            dialogue.command("STARTTLS")?;
            dialogue.expect(220)?;
            start_tls(&mut dialogue.connection)?;
            // What was said in the clear counts for nothing.
            dialogue.hello(&smtp.hello)?;
        }
        if let Some(credentials) = credentials {
            dialogue.authenticate(credentials)?;
        }
        Ok(dialogue)
    }

    fn hello(&mut self, name: &str) -> Result<(), Fault> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-[]:".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(Fault::Protocol("the name for HELO is none".to_owned()));
        }
        self.command(&format!("EHLO {name}"))?;
        let (code, lines) = self.connection.read_reply(self.deadlines.reply)?;
        self.extensions = match code {
            250 => Extensions::of(&lines),
            // It is older than extensions are.
            500..=504 if !self.connection.is_private() => {
                self.command(&format!("HELO {name}"))?;
                self.expect(250)?;
                Extensions::default()
            }
            _ => return Err(Fault::Said(reply(code, &lines))),
        };
        Ok(())
    }

    /// Makes ready for another message.
    pub(super) fn reset(&mut self) -> Result<(), Fault> {
        self.command("RSET")?;
        self.expect(250).map(drop)
    }

    pub(super) fn is_reusable(&self) -> bool {
        !self.is_lost && self.messages < MOST_MESSAGES
    }

    /// Says goodbye, if that can be understood, and does not wait for an answer.
    pub(super) fn quit(mut self) {
        if self.is_lost {
            return;
        }
        let _ = self.connection.write(b"QUIT\r\n", self.deadlines.connect);
    }

    pub(super) fn command(&mut self, line: &str) -> Result<(), Fault> {
        if line.contains(['\r', '\n', '\0']) {
            return Err(Fault::Protocol("a command holds a line end".to_owned()));
        }
        if self.connection.has_more() {
            // Every answer behind it would be taken for that of the question before.
            let text = "the server answers what it was not asked";
            return Err(Fault::Protocol(text.to_owned()));
        }
        let line = format!("{line}\r\n");
        self.connection.write(line.as_bytes(), self.deadlines.reply)
    }

    pub(super) fn expect(&mut self, wanted: u16) -> Result<Reply, Fault> {
        let (code, lines) = self.connection.read_reply(self.deadlines.reply)?;
        if code == wanted {
            return Ok(reply(code, &lines));
        }
        Err(Fault::Said(reply(code, &lines)))
    }

    /// Sends one message: an outcome for each recipient. Those that are too many for one
    /// transaction get another.
    pub(super) fn send(&mut self, message: &RelayMessage<'_>, content: Content) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; message.recipients().len()];
        let mut rest: Vec<usize> = (0..outcomes.len()).collect();
        while !rest.is_empty() {
            let later = rest.split_off(rest.len().min(MOST_RECIPIENTS));
            let recipients = rest.iter().filter_map(|&at| message.recipients().get(at));
            let recipients: Vec<String> = recipients.cloned().collect();
            let answers = self.send_to(&message.to(&recipients), content);
            let is_progress = answers
                .iter()
                .any(|one| matches!(one, Outcome::Accepted(_)));
            let mut again = Vec::new();
            for (&at, answer) in rest.iter().zip(answers) {
                if is_progress && is_one_too_many(answer.reply()) {
                    again.push(at);
                } else if let Some(slot) = outcomes.get_mut(at) {
                    *slot = Some(answer);
                }
            }
            rest = again.into_iter().chain(later).collect();
            if self.is_lost {
                break;
            }
        }
        let lost = Outcome::Deferred(Reply::new(0, "4.4.2", "the connection was lost before"));
        let all = outcomes.into_iter();
        all.map(|one| one.unwrap_or_else(|| lost.clone())).collect()
    }

    fn send_to(&mut self, message: &RelayMessage<'_>, content: Content) -> Vec<Outcome> {
        self.messages += 1;
        let mut outcomes: Vec<Option<Outcome>> = vec![None; message.recipients().len()];
        let mail = match self.mail(message, content) {
            Ok(mail) => mail,
            Err(reply) => return vec![Outcome::Refused(reply); outcomes.len()],
        };
        let rest = match self.transact(message, &mail, &mut outcomes) {
            Ok(end) => end,
            // It said no to one step: the dialogue goes on, but for 421, which ends it.
            Err(Fault::Said(reply)) if (400..600).contains(&reply.code()) => {
                self.is_lost |= reply.code() == 421;
                outcome(reply)
            }
            Err(fault) => {
                self.is_lost = true;
                Outcome::Deferred(fault.into_reply("the relay"))
            }
        };
        let all = outcomes.into_iter();
        all.map(|one| one.unwrap_or_else(|| rest.clone())).collect()
    }

    /// The MAIL command; or why this server can never take the message.
    fn mail(&self, message: &RelayMessage<'_>, content: Content) -> Result<String, Reply> {
        let can = &self.extensions;
        let sender = path(message.reverse_path())?;
        let recipients = message.recipients().iter();
        let is_utf8 = content.is_utf8_header
            || !sender.is_ascii()
            || recipients.into_iter().any(|to| !to.is_ascii());
        if is_utf8 && !can.utf8 {
            let text = "the server does not take addresses or header fields that are not ASCII \
                        (SMTPUTF8)";
            return Err(Reply::new(0, "5.6.7", text));
        }
        if content.is_eight_bit && !can.eight_bit {
            let text = "the server does not take a message with octets that are not ASCII \
                        (8BITMIME)";
            return Err(Reply::new(0, "5.6.3", text));
        }
        if let Some(most) = can.size.filter(|&most| content.size > most) {
            let text = format!(
                "the message has {} octets, the server takes {most}",
                content.size
            );
            return Err(Reply::new(0, "5.3.4", text));
        }
        let mut mail = format!("MAIL FROM:{sender}");
        if can.is_sizing {
            mail += &format!(" SIZE={}", content.size);
        }
        if content.is_eight_bit {
            mail += " BODY=8BITMIME";
        }
        if is_utf8 {
            mail += " SMTPUTF8";
        }
        if can.dsn {
            mail += &format!(" RET=HDRS ENVID={}", message.id());
        }
        Ok(mail)
    }

    /// Fills in the outcomes that are known of single recipients; returns that of all others.
    fn transact(
        &mut self,
        message: &RelayMessage<'_>,
        mail: &str,
        outcomes: &mut [Option<Outcome>],
    ) -> Result<Outcome, Fault> {
        self.command(mail)?;
        self.expect(250)?;
        for (to, slot) in message.recipients().iter().zip(outcomes.iter_mut()) {
            let to = match path(to) {
                Ok(to) => to,
                Err(reply) => {
                    *slot = Some(Outcome::Refused(reply));
                    continue;
                }
            };
            self.command(&format!("RCPT TO:{to}"))?;
            let (code, lines) = self.connection.read_reply(self.deadlines.reply)?;
            let reply = reply(code, &lines);
            match code {
                250..=252 => {}
                421 => return Err(Fault::Said(reply)),
                552 if is_one_too_many(&reply) => *slot = Some(Outcome::Deferred(reply)),
                400.. => *slot = Some(outcome(reply)),
                _ => return Err(Fault::Protocol(format!("{code} is no answer to RCPT"))),
            }
        }
        if outcomes.iter().all(Option::is_some) {
            self.reset()?;
            // Nobody is left whom it would be for.
            return Ok(Outcome::Deferred(Reply::new(0, "", "")));
        }
        self.command("DATA")?;
        let (code, lines) = self.connection.read_reply(self.deadlines.data)?;
        match code {
            354 => {}
            400.. => return Err(Fault::Said(reply(code, &lines))),
            // Whoever goes on now speaks to a server that does not listen.
            _ => return Err(Fault::Protocol(format!("{code} is no answer to DATA"))),
        }
        self.give(message)?;
        Ok(self.end())
    }

    fn give(&mut self, message: &RelayMessage<'_>) -> Result<(), Fault> {
        let mut blocks = Blocks {
            connection: &mut self.connection,
            deadlines: self.deadlines,
            fault: None,
        };
        let mut wire = Wire::new(&mut blocks, true);
        let written = message.write_to(&mut wire).and_then(|_| wire.finish());
        match (blocks.fault, written) {
            (Some(fault), _) => Err(fault),
            // The file cannot be read: the message must not end here.
            (None, Err(error)) => Err(Fault::Io(error)),
            (None, Ok(())) => Ok(()),
        }
    }

    /// The dot. From here on the server may have the message whatever is heard of it.
    fn end(&mut self) -> Outcome {
        let end = self.deadlines.end;
        let answer = self.connection.write(b".\r\n", end);
        match answer.and_then(|()| self.connection.read_reply(end)) {
            Ok((code @ 250..=259, lines)) => Outcome::Accepted(reply(code, &lines)),
            Ok((code @ 400.., lines)) => outcome(reply(code, &lines)),
            Ok((code, lines)) => {
                self.is_lost = true;
                Outcome::Unknown(reply(code, &lines))
            }
            Err(fault) => {
                self.is_lost = true;
                Outcome::Unknown(fault.into_reply("the relay"))
            }
        }
    }
}

/// An address in brackets; empty ones for the null reverse-path. What is no address never gets to
/// the wire, wherever it comes from.
fn path(address: &str) -> Result<String, Reply> {
    if address.is_empty() {
        return Ok("<>".to_owned());
    }
    match Address::parse(address) {
        Ok(address) => Ok(format!("<{address}>")),
        Err(reason) => Err(Reply::new(0, "5.1.3", format!("the address {reason}"))),
    }
}

/// The message on its way: each block has its time.
struct Blocks<'a> {
    connection: &'a mut Connection,
    deadlines: Deadlines,
    fault: Option<Fault>,
}

impl std::io::Write for Blocks<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Err(fault) = self.connection.write(bytes, self.deadlines.block) {
            self.fault = Some(fault);
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
