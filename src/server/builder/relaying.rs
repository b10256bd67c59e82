//! Settings of the queue: the ways out, and when they are tried.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::MailServerBuilder;
use super::check::{check_same_file_system, configuration};
use crate::delivery::{Clock, Queue, RetrySchedule};
use crate::error::Result;
use crate::format::address::domain_key;
use crate::fs::{Dir, Modes, Probe};
use crate::state::State;
use crate::sync::Mutex;
use crate::transport::Transport;

#[derive(Default)]
pub(in crate::server) struct Relaying {
    dir: Option<PathBuf>,
    relay: Option<Arc<dyn Transport>>,
    routes: Vec<(String, Arc<dyn Transport>)>,
    schedule: RetrySchedule,
    at_once: Option<NonZero<usize>>,
    clock: Option<Box<Clock>>,
}

impl MailServerBuilder {
    /// Hands messages for other domains to a mail server that delivers them on, instead of leaving
    /// them in Pickup: they wait in the queue until it has them. [`deliver_now`] and [`Delivery`]
    /// do the work.
    ///
    /// [`deliver_now`]: crate::MailServer::deliver_now
    /// [`Delivery`]: crate::Delivery
    pub fn relay(mut self, way: impl Transport + 'static) -> Self {
        self.relaying.relay = Some(Arc::new(way));
        self
    }

    /// Another way for the messages of one domain, which goes before the relay.
    pub fn route(mut self, domain: impl Into<String>, way: impl Transport + 'static) -> Self {
        self.relaying.routes.push((domain.into(), Arc::new(way)));
        self
    }

    /// The directory in which messages wait for a relay; by default `Queue` of the mailroot. It
    /// must be on the file system of the state directory, and is made when it is missing.
    pub fn queue_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.relaying.dir = Some(dir.as_ref().to_path_buf());
        self
    }

    /// When a message that a relay did not take is tried again, and when it is given up.
    pub fn retry(mut self, schedule: RetrySchedule) -> Self {
        self.relaying.schedule = schedule;
        self
    }

    /// How many messages are handed to one destination at once; 4 by default.
    pub fn relays_at_once(mut self, most: NonZero<usize>) -> Self {
        self.relaying.at_once = Some(most);
        self
    }

    /// The clock by which the queue waits, for tests: the system's by default.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.relaying.clock = Some(Box::new(now));
        self
    }
}

impl Relaying {
    pub(super) fn is_set(&self) -> bool {
        self.relay.is_some() || !self.routes.is_empty()
    }

    /// The directory of the queue, whether or not there is one.
    pub(super) fn dir(&self, mailroot: Option<&Path>) -> Option<PathBuf> {
        let below = mailroot.map(|root| root.join("Queue"));
        self.dir.clone().or(below)
    }

    /// Where messages wait for a relay, if there is one.
    pub(super) fn open(
        self,
        mailroot: Option<&Path>,
        state: &State,
        modes: Modes,
        probe: &Probe,
    ) -> Result<Option<Queue>> {
        if !self.is_set() {
            return Ok(None);
        }
        let Some(path) = self.dir(mailroot) else {
            return Err(configuration(
                "a relay needs a queue; set `mailroot` or `queue_dir`",
            ));
        };
        Dir::make_path(&path, modes, probe)?;
        let dir = Dir::open_path(&path, modes, probe)?;
        check_same_file_system(&dir, "Queue", state)?;
        let key = |domain: &str| {
            let key = domain_key(domain);
            key.ok_or_else(|| configuration(format!("`{}` is no domain", domain.escape_debug())))
        };
        let routes = self.routes.into_iter();
        let routes = routes.map(|(domain, way)| Ok((key(&domain)?, way)));
        Ok(Some(Queue {
            dir,
            relay: self.relay,
            routes: routes.collect::<Result<_>>()?,
            schedule: self.schedule,
            at_once: self.at_once.map_or(4, NonZero::get),
            clock: self.clock,
            memos: Mutex::default(),
            resting: Mutex::default(),
            rest: Mutex::default(),
        }))
    }
}
