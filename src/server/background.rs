//! Delivery in the background.

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
    /// Starts delivering, at once and then `every` so often.
    ///
    /// # Errors
    /// As [`MailServer::deliver_now`]; and when the system gives no thread.
    pub fn start(server: &MailServer, every: Duration) -> Result<Self> {
        // A relay may take its time: the thread waits for it, not the caller.
        let has_queue = server.spool().queue.is_some();
        if !has_queue {
            server.deliver_now()?;
        }
        let mut wait = if has_queue { Duration::ZERO } else { every };
        let (stop, stopped) = mpsc::channel();
        let problems = Arc::new(Mutex::new(Vec::new()));
        let found = Arc::clone(&problems);
        let stops = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&stops);
        // A server that nobody else holds any more is not kept alive by its own delivery.
        let server = Arc::downgrade(&server.0);
        let thread = std::thread::Builder::new()
            .name("cdonts-delivery".to_owned())
            .spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(wait) {
                    wait = every;
                    let Some(server) = server.upgrade().map(MailServer) else {
                        return;
                    };
                    let ends = || ends.load(Ordering::Acquire);
                    let round = match delivery::deliver(server.spool(), &ends) {
                        Ok(delivered) => delivered.problems().to_vec(),
                        Err(error) => vec![error.into()],
                    };
                    *found.lock().unwrap_or_else(PoisonError::into_inner) = round;
                }
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
