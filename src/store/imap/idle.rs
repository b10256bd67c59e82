//! Waiting for messages by IDLE (RFC 2177), over a connection of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use imap_next::client::{Error as ClientError, Event};
use imap_next::imap_types::command::CommandBody;
use imap_next::imap_types::response::{Capability, Status};
use imap_next::{Interrupt, Io, State};

use super::link::Link;
use super::mailbox::Shared;
use crate::error::Result;
use crate::store::mailbox::Waiter;

/// A look is taken this often nevertheless.
const SELDOM: Duration = Duration::from_mins(5);

pub(super) struct Idle {
    shared: Arc<Shared>,
    idling: Option<Idling>,
    /// The server has no IDLE, or it did not work: looks are taken by the clock.
    is_without: bool,
}

struct Idling {
    link: Link,
    since: Instant,
}

impl Idle {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            idling: None,
            is_without: false,
        }
    }

    fn begin(&self, most: Duration) -> Result<Option<Idling>> {
        let mut endpoint = self.shared.endpoint.clone();
        // Who waits for a short time does not wait long for a log-on.
        endpoint.time = endpoint.time.min(most.max(Duration::from_secs(1)));
        let mut link = Link::log_on(&endpoint, &self.shared.credentials)?;
        if !link.has(&Capability::Idle) {
            link.leave();
            return Ok(None);
        }
        let folder = self.shared.folder_name(&mut link)?;
        link.examine(folder)?;
        if !link.begin_idle()? {
            link.leave();
            return Ok(None);
        }
        let since = Instant::now();
        Ok(Some(Idling { link, since }))
    }

    fn try_wait(&mut self, most: Duration) -> Result<()> {
        let Some(idling) = &mut self.idling else {
            self.idling = self.begin(most)?;
            self.is_without = self.idling.is_none();
            // What came before it began is not told: a look finds it.
            return Ok(());
        };
        let longest = self.shared.idle;
        let left = longest.saturating_sub(idling.since.elapsed());
        let is_told = idling.link.wait(most.min(left).min(SELDOM))?;
        if !is_told && idling.since.elapsed() >= longest {
            idling.link.end_idle()?;
            idling.since = Instant::now();
            if !idling.link.begin_idle()? {
                self.idling = None;
            }
        }
        Ok(())
    }
}

impl Link {
    /// Goes into IDLE (RFC 2177); `false` when the server will not.
    pub(super) fn begin_idle(&mut self) -> Result<bool> {
        self.enqueue(CommandBody::Idle)?;
        loop {
            match self.event()? {
                Some(Event::IdleAccepted { .. }) => return Ok(true),
                Some(Event::IdleRejected { .. }) => return Ok(false),
                _ => {}
            }
        }
    }

    /// Waits in IDLE until the server tells something or the time is over: whether it told.
    pub(super) fn wait(&mut self, time: Duration) -> Result<bool> {
        let begin = Instant::now();
        loop {
            match self.client.next() {
                Ok(Event::DataReceived { .. }) => return Ok(true),
                Ok(Event::StatusReceived {
                    status: Status::Bye(_),
                }) => return Err(self.wrong("the server says goodbye")),
                Ok(_) | Err(Interrupt::Error(ClientError::MalformedMessage { .. })) => {}
                Err(Interrupt::Io(Io::Output(octets))) => {
                    let written = self.connection.write(&octets, self.endpoint().time);
                    written.map_err(|fault| self.endpoint().error(fault))?;
                }
                Err(Interrupt::Io(Io::NeedMoreInput)) => {
                    // What the server says to keep the line open does not begin it anew.
                    let left = time.saturating_sub(begin.elapsed());
                    if left.is_zero() {
                        return Ok(false);
                    }
                    self.connection.set_time(left);
                    match self.take_some() {
                        Ok(_) => {}
                        Err(fault) if fault.is_timeout() => return Ok(false),
                        Err(fault) => {
                            self.is_lost = true;
                            return Err(self.endpoint().error(fault));
                        }
                    }
                }
                Err(Interrupt::Error(_)) => return Err(self.wrong("the server's answer is none")),
            }
        }
    }

    /// Ends IDLE.
    pub(super) fn end_idle(&mut self) -> Result<()> {
        if self.client.set_idle_done().is_none() {
            return Err(self.wrong("there is no IDLE to end"));
        }
        self.begin();
        loop {
            match self.event()? {
                Some(Event::StatusReceived {
                    status: Status::Tagged(_),
                }) => return Ok(()),
                Some(Event::StatusReceived {
                    status: Status::Bye(_),
                }) => return Err(self.wrong("the server says goodbye")),
                _ => {}
            }
        }
    }

    /// Says goodbye out of IDLE.
    pub(super) fn leave_idle(mut self) {
        if !self.is_lost {
            let _ = self
                .connection
                .write(b"DONE\r\nz LOGOUT\r\n", Duration::from_secs(1));
        }
    }
}

impl Waiter for Idle {
    fn wait(&mut self, most: Duration) {
        if self.is_without {
            std::thread::sleep(self.shared.endpoint.poll.min(most));
            return;
        }
        if self.try_wait(most).is_err() {
            self.idling = None;
            std::thread::sleep(self.shared.endpoint.poll.min(most));
        }
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        if let Some(idling) = self.idling.take() {
            idling.link.leave_idle();
        }
    }
}
