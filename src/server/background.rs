//! Delivery in the background.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::MailServer;
use crate::error::{Error, Problem, Result};

/// A thread that does [`MailServer::deliver_now`] again and again.
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
    thread: Option<JoinHandle<()>>,
    problems: Arc<Mutex<Vec<Problem>>>,
}

impl Delivery {
    /// Starts delivering, at once and then `every` so often.
    ///
    /// # Errors
    /// As [`MailServer::deliver_now`]; and when the system gives no thread.
    pub fn start(server: &MailServer, every: Duration) -> Result<Self> {
        server.deliver_now()?;
        let (stop, stopped) = mpsc::channel();
        let problems = Arc::new(Mutex::new(Vec::new()));
        let found = Arc::clone(&problems);
        // A server that nobody else holds any more is not kept alive by its own delivery.
        let server = Arc::downgrade(&server.0);
        let thread = std::thread::Builder::new()
            .name("cdonts-delivery".to_owned())
            .spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(every) {
                    let Some(server) = server.upgrade().map(MailServer) else {
                        return;
                    };
                    let round = match server.deliver_now() {
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

    /// Ends the delivery and waits for the round that is under way.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A round that panicked has nothing to say that its problems did not.
            let _ = thread.join();
        }
    }
}
