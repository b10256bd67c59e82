//! Waiting for messages by IDLE (RFC 2177), over a connection of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use imap_next::imap_types::response::Capability;

use super::link::Link;
use super::mailbox::Shared;
use crate::error::Result;
use crate::store::mailbox::Waiter;

/// An IDLE that lasts longer may be ended by the server, or by something between (RFC 2177 has 29
/// minutes).
const LONGEST: Duration = Duration::from_mins(15);
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
        let left = LONGEST.saturating_sub(idling.since.elapsed());
        let is_told = idling.link.wait(most.min(left).min(SELDOM))?;
        if !is_told && idling.since.elapsed() >= LONGEST {
            idling.link.end_idle()?;
            idling.since = Instant::now();
            if !idling.link.begin_idle()? {
                self.idling = None;
            }
        }
        Ok(())
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
