//! Delivery in the background.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::MailServer;
use crate::delivery;
use crate::error::{Error, Problem, Result};

/// A thread that does [`MailServer::deliver_now`] again and again: the SMTP service's half of a mail
/// server. Several of them, in one process or many, share the work.
///
/// It ends when this is dropped or [stopped](Delivery::stop), or with the last clone of its server.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// use std::time::Duration;
/// use cdonts::{Delivery, MailServer};
///
/// let server = MailServer::temporary()?;
/// let delivery = Delivery::start(&server, Duration::from_secs(1))?;
/// // ... other programs put files into Pickup ...
/// delivery.stop();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Delivery {
    stop: Option<Sender<()>>,
    /// Set when it is to end after what is in hand.
    stops: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    problems: Arc<Mutex<Vec<Problem>>>,
}

impl Delivery {
    /// Starts delivering, at once and then `every` so often. Pickup and each destination of the
    /// queue go their own ways: a relay that is slow holds up nothing but its own messages.
    ///
    /// # Errors
    /// As [`MailServer::deliver_now`]; and when the system gives no thread.
    pub fn start(server: &MailServer, every: Duration) -> Result<Self> {
        delivery::deliver_pickup(server.spool(), &|| false)?;
        let (stop, stopped) = mpsc::channel();
        let problems = Arc::new(Mutex::new(Vec::new()));
        let stops = Arc::new(AtomicBool::new(false));
        let mut rounds = Rounds {
            stops: Arc::clone(&stops),
            busy: Arc::default(),
            left: Arc::default(),
            threads: Vec::new(),
        };
        let found = Arc::clone(&problems);
        // A server that nobody else holds any more is not kept alive by its own delivery.
        let server = Arc::downgrade(&server.0);
        let thread = std::thread::Builder::new()
            .name("cdonts-delivery".to_owned())
            .spawn(move || {
                let mut wait = Duration::ZERO;
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(wait) {
                    wait = every;
                    let Some(server) = server.upgrade().map(MailServer) else {
                        break;
                    };
                    let round = rounds.round(&server);
                    *found.lock().unwrap_or_else(PoisonError::into_inner) = round;
                }
                rounds.finish();
            })
            .map_err(|source| {
                let kind = crate::ErrorKind::Io;
                Error::new(kind, "cannot start the delivery thread").with_source(source)
            })?;
        Ok(Self {
            stop: Some(stop),
            stops,
            thread: Some(thread),
            problems,
        })
    }

    /// What the last round could not do.
    pub fn problems(&self) -> Vec<Problem> {
        self.problems
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ends the delivery, and waits until the messages that it has in hand are settled.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::Release);
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A round that panicked has nothing to say that its problems did not.
            let _ = thread.join();
        }
    }
}

/// The work of a delivery, again and again.
struct Rounds {
    stops: Arc<AtomicBool>,
    /// Destinations that a thread works for.
    busy: Arc<Mutex<HashSet<String>>>,
    /// What these threads could not do.
    left: Arc<Mutex<Vec<Problem>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Rounds {
    /// Pickup, and a thread for each destination that has none; what could not be done since the
    /// round before.
    fn round(&mut self, server: &MailServer) -> Vec<Problem> {
        let stops = Arc::clone(&self.stops);
        let stops = move || stops.load(Ordering::Acquire);
        // What goes wrong with one message must not end the delivery of all others.
        let taken = catch_unwind(AssertUnwindSafe(|| {
            delivery::deliver_pickup(server.spool(), &stops)
        }));
        let mut problems = match taken {
            Ok(Ok(delivered)) => delivered.problems().to_vec(),
            Ok(Err(error)) => vec![error.into()],
            Err(_) => vec![Problem::new("the delivery has panicked")],
        };
        match delivery::due(server.spool()) {
            Ok(due) => {
                problems.extend(due.problems);
                for (destination, ids) in due.by_destination {
                    self.send_off(server, &destination, ids);
                }
            }
            Err(error) => problems.push(error.into()),
        }
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        problems.append(&mut left);
        problems
    }

    fn send_off(&mut self, server: &MailServer, destination: &str, ids: Vec<String>) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if !busy.insert(destination.to_owned()) {
            return;
        }
        drop(busy);
        let (server, stops) = (server.clone(), Arc::clone(&self.stops));
        let (busy, left) = (Arc::clone(&self.busy), Arc::clone(&self.left));
        let name = destination.to_owned();
        let thread = std::thread::Builder::new()
            .name("cdonts-relay".to_owned())
            .spawn(move || {
                let stops = || stops.load(Ordering::Acquire);
                let worked = catch_unwind(AssertUnwindSafe(|| {
                    delivery::work_off_some(server.spool(), ids, &stops)
                }));
                let problems = worked
                    .unwrap_or_else(|_| vec![Problem::new("the delivery to a relay has panicked")]);
                let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
                left.extend(problems);
                let mut busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
                busy.remove(&name);
            });
        self.threads.retain(|thread| !thread.is_finished());
        match thread {
            Ok(thread) => self.threads.push(thread),
            Err(_) => {
                // Its turn comes when there is a thread again.
                let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
                busy.remove(destination);
            }
        }
    }

    fn finish(self) {
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}
