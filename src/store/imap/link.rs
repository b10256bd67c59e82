//! Commands to an IMAP server and what it answers, one after the other.
//!
//! imap-next frames and parses; here are the deadlines, the limits, and the rule that an answer
//! that cannot be understood is never taken for none.

use imap_codec::GreetingCodec;
use imap_codec::decode::Decoder;
use imap_next::client::{Client, Error as ClientError, Event, Options};
use imap_next::imap_types::IntoStatic;
use imap_next::imap_types::command::{Command, CommandBody};
use imap_next::imap_types::core::Tag;
use imap_next::imap_types::response::{
    Capability, Code, Data, Greeting, GreetingKind, Status, StatusBody, StatusKind,
};
use imap_next::{Interrupt, Io, State};

use super::ascii::Ascii;
use super::done::Done;
use crate::error::{Error, Result};
use crate::net::client::{Connection, Fault};
use crate::store::endpoint::Endpoint;

/// The longest answer that is taken: a block of a message and what stands around it.
const MOST: u32 = 1 << 20;
/// Each block of an answer has the time of one.
const BLOCK: usize = 64 * 1024;

pub(super) struct Link {
    endpoint: Endpoint,
    pub(super) connection: Connection,
    pub(super) client: Client,
    ascii: Ascii,
    tags: u32,
    pub(super) capabilities: Vec<Capability<'static>>,
    /// Where in the dialogue the server is is not known: it is closed without another word.
    pub(super) is_lost: bool,
    /// Octets since the deadline was set.
    since: usize,
    /// Octets that may still come: nothing that is asked for has as many.
    budget: usize,
}

/// The most that comes for what is asked at once: fifty header sections of the longest.
const BUDGET: usize = 64 << 20;

impl Link {
    /// A connection that is greeted and private as it is to be.
    pub(super) fn open(endpoint: &Endpoint) -> Result<Self> {
        let connection = endpoint.connect()?;
        let mut options = Options::default();
        options.crlf_relaxed = false;
        options.max_response_size = MOST;
        // It is read by hand: the other side may be no server of this kind at all.
        options.discard_greeting = true;
        let mut link = Self {
            endpoint: endpoint.clone(),
            connection,
            client: Client::new(options),
            ascii: Ascii::default(),
            tags: 0,
            capabilities: Vec::new(),
            is_lost: false,
            since: 0,
            budget: BUDGET,
        };
        let greeting = link.greeting()?;
        if greeting.kind != GreetingKind::Ok {
            // Nobody knows as whom, and before TLS nobody knows who says so.
            return Err(link.wrong("the server's greeting is none that a log-on can follow"));
        }
        if endpoint.security == crate::Security::StartTls {
            link.start_tls()?;
        } else if let Some(Code::Capability(capabilities)) = greeting.code {
            link.capabilities = capabilities.into_iter().collect();
        }
        if link.capabilities.is_empty() {
            link.ask_capabilities()?;
        }
        Ok(link)
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }

    pub(super) fn has(&self, capability: &Capability<'_>) -> bool {
        self.capabilities.iter().any(|one| one == capability)
    }

    pub(super) fn wrong(&mut self, text: &str) -> Error {
        self.is_lost = true;
        self.endpoint.wrong(text)
    }

    fn greeting(&mut self) -> Result<Greeting<'static>> {
        self.arm();
        let line = self.connection.read_line().map_err(|fault| {
            self.is_lost = true;
            self.endpoint.no_greeting(self.endpoint.error(fault))
        })? + "\r\n";
        match GreetingCodec::default().decode(line.as_bytes()) {
            Ok((_, greeting)) => Ok(greeting.into_static()),
            Err(_) => Err(self.wrong("the server's greeting is none of IMAP")),
        }
    }

    pub(super) fn ask_capabilities(&mut self) -> Result<()> {
        let done = self.run(CommandBody::Capability, &mut |_| {})?;
        match done.kind {
            StatusKind::Ok => Ok(()),
            _ => Err(done.refused(&self.endpoint)),
        }
    }

    /// What was said in the clear counts for nothing (RFC 3501 section 6.2.1): the command goes by
    /// hand, so that nothing that stands behind its answer is read.
    fn start_tls(&mut self) -> Result<()> {
        let lost = |link: &mut Self, fault| {
            link.is_lost = true;
            Err(link.endpoint.error(fault))
        };
        let time = self.endpoint.time;
        if let Err(fault) = self.connection.write(b"t STARTTLS\r\n", time) {
            return lost(self, fault);
        }
        loop {
            let line = match self.connection.read_line() {
                Ok(line) => line,
                Err(fault) => return lost(self, fault),
            };
            if line.starts_with("* ") {
                continue;
            }
            if line
                .get(..5)
                .is_some_and(|start| start.eq_ignore_ascii_case("t OK "))
            {
                break;
            }
            self.is_lost = true;
            return Err(self.endpoint.not_private("the server has no STARTTLS"));
        }
        self.endpoint.start_tls(&mut self.connection)
    }

    /// A new question has all its time, and all its room for an answer.
    pub(super) fn begin(&mut self) {
        self.budget = BUDGET;
        self.arm();
    }

    fn arm(&mut self) {
        self.since = 0;
        self.connection.set_time(self.endpoint.time);
    }

    /// The next event; `None` for an answer that cannot be understood.
    pub(super) fn event(&mut self) -> Result<Option<Event>> {
        loop {
            if self.is_lost {
                return Err(self.endpoint.wrong("the connection was lost"));
            }
            match self.client.next() {
                Ok(event) => return Ok(Some(event)),
                Err(Interrupt::Io(Io::Output(octets))) => {
                    let time = self.endpoint.time;
                    if let Err(fault) = self.connection.write(&octets, time) {
                        self.is_lost = true;
                        return Err(self.endpoint.error(fault));
                    }
                }
                Err(Interrupt::Io(Io::NeedMoreInput)) => self.read()?,
                Err(Interrupt::Error(ClientError::MalformedMessage { discarded_bytes })) => {
                    return self.malformed(discarded_bytes.declassify()).map(|()| None);
                }
                Err(Interrupt::Error(ClientError::ResponseTooLong { .. })) => {
                    return Err(self.wrong("the server's answer is too long"));
                }
                Err(Interrupt::Error(ClientError::ExpectedCrlfGotLf { .. })) => {
                    return Err(self.wrong("the server's answer has a line without CR"));
                }
            }
        }
    }

    fn read(&mut self) -> Result<()> {
        let count = self.take_some().map_err(|fault| {
            self.is_lost = true;
            self.endpoint.error(fault)
        })?;
        self.since += count;
        let left = self.budget.checked_sub(count);
        self.budget = left.unwrap_or(0);
        if left.is_none() {
            return Err(self.wrong("the server says more than it was asked"));
        }
        if self.since >= BLOCK {
            self.arm();
        }
        Ok(())
    }

    /// Gives the parser what has come; how many octets that is.
    pub(super) fn take_some(&mut self) -> Result<usize, Fault> {
        let some = self.connection.fill()?;
        let count = some.len();
        self.client.enqueue_input(&self.ascii.of(some));
        self.connection.consume(count);
        Ok(count)
    }

    /// If it was the end of the command that cannot be understood, one would wait for it for ever.
    fn malformed(&mut self, octets: &[u8]) -> Result<()> {
        if octets.starts_with(b"* ") || octets.starts_with(b"+") {
            return Ok(());
        }
        Err(self.wrong("the server's answer to a command cannot be understood"))
    }

    fn tag(&mut self) -> Result<Tag<'static>> {
        self.tags = self.tags.wrapping_add(1);
        Tag::try_from(format!("c{}", self.tags)).map_err(|_| self.wrong("no tag"))
    }

    pub(super) fn enqueue(&mut self, body: CommandBody<'static>) -> Result<Tag<'static>> {
        let tag = self.tag()?;
        let command = Command {
            tag: tag.clone(),
            body,
        };
        self.client.enqueue_command(command);
        self.begin();
        Ok(tag)
    }

    /// Does a command to its end; what the server tells meanwhile goes to `on`.
    pub(super) fn run(
        &mut self,
        body: CommandBody<'static>,
        on: &mut dyn FnMut(Told),
    ) -> Result<Done> {
        let tag = self.enqueue(body)?;
        self.finish(&tag, on)
    }

    /// Does several commands, which are sent at once.
    pub(super) fn run_together(
        &mut self,
        bodies: Vec<CommandBody<'static>>,
        on: &mut dyn FnMut(Told),
    ) -> Result<Vec<Done>> {
        let tags = bodies.into_iter().map(|body| self.enqueue(body));
        let tags: Vec<Tag<'static>> = tags.collect::<Result<_>>()?;
        tags.iter().map(|tag| self.finish(tag, on)).collect()
    }

    /// The end of the command of that tag, which is the first that is not done.
    fn finish(&mut self, tag: &Tag<'static>, on: &mut dyn FnMut(Told)) -> Result<Done> {
        let mut malformed = 0;
        loop {
            let Some(event) = self.event()? else {
                malformed += 1;
                continue;
            };
            match event {
                Event::DataReceived { data } => self.take_data(data, on),
                Event::StatusReceived { status } => {
                    if let Some(done) = self.status(status, Some(tag), on)? {
                        return Ok(Done { malformed, ..done });
                    }
                }
                Event::CommandRejected { status, .. } => {
                    if let Some(done) = self.status(status, Some(tag), on)? {
                        return Ok(done);
                    }
                }
                Event::CommandSent { .. } => {}
                _ => return Err(self.wrong("the server answers what it was not asked")),
            }
        }
    }

    pub(super) fn take_data(&mut self, data: Data<'static>, on: &mut dyn FnMut(Told)) {
        match data {
            Data::Capability(capabilities) => {
                self.capabilities = capabilities.into_iter().collect();
            }
            data => on(Told::Data(data)),
        }
    }

    /// The end of the command of that tag, if it is it.
    pub(super) fn status(
        &mut self,
        status: Status<'static>,
        tag: Option<&Tag<'static>>,
        on: &mut dyn FnMut(Told),
    ) -> Result<Option<Done>> {
        let body = match status {
            Status::Bye(bye) => {
                let text = format!("the server says goodbye: {}", bye.text);
                return Err(self.wrong(&text));
            }
            Status::Untagged(StatusBody { code, .. }) => {
                if let Some(code) = code {
                    on(Told::Code(code));
                }
                return Ok(None);
            }
            Status::Tagged(tagged) if Some(&tagged.tag) == tag => tagged.body,
            Status::Tagged(_) => {
                return Err(self.wrong("the server ends a command that was not sent"));
            }
        };
        let code = match body.code {
            Some(Code::Capability(capabilities)) => {
                self.capabilities = capabilities.into_iter().collect();
                None
            }
            code => code,
        };
        Ok(Some(Done {
            kind: body.kind,
            code,
            text: body.text.to_string(),
            malformed: 0,
        }))
    }

    /// Says goodbye and does not wait for an answer.
    pub(super) fn leave(mut self) {
        if !self.is_lost {
            let _ = self.connection.write(b"z LOGOUT\r\n", self.endpoint.time);
        }
    }
}

/// What the server tells while a command runs.
pub(super) enum Told {
    Data(Data<'static>),
    Code(Code<'static>),
}
