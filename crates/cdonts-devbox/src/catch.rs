//! A way out that lets nothing out.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use cdonts::{MessageFile, Outcome, RelayMessage, Reply, Transport};

/// So many are kept, the newest.
const MOST: usize = 1000;
/// And so many octets of them all.
const MOST_OCTETS: usize = 256 * 1024 * 1024;

/// A relay that keeps everything: what a program under development sends to other domains is shown
/// in the [`Devbox`](crate::Devbox) and never leaves the machine.
///
/// It keeps the newest thousand messages, and 256 MB, as long as the program runs.
///
/// ```
/// use std::time::Duration;
///
/// use cdonts::{Delivery, MailServer, NewMail};
/// use cdonts_devbox::{Catch, Devbox};
///
/// # fn main() -> cdonts::Result<()> {
/// let catch = Catch::new();
/// let server = MailServer::builder().relay(catch.clone()).open_temporary()?;
/// let delivery = Delivery::start(&server, Duration::from_secs(1))?; // empties the queue
/// NewMail::new(&server).from("shop@example.com").to("jane@customer.example").send()?;
/// let devbox = Devbox::new(&server).catching(&catch);
/// # delivery.stop();
/// # server.deliver_now()?;
/// # assert_eq!(catch.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Catch(Arc<Mutex<VecDeque<Caught>>>);

/// A message that would have gone out.
#[derive(Clone)]
pub(crate) struct Caught {
    /// The queue's.
    pub(crate) id: String,
    pub(crate) time: SystemTime,
    pub(crate) reverse_path: String,
    pub(crate) recipients: Vec<String>,
    /// Of its header, empty when that cannot be read.
    pub(crate) sender: String,
    pub(crate) subject: String,
    pub(crate) bytes: Arc<Vec<u8>>,
}

impl Catch {
    /// One that has nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many messages it has.
    pub fn len(&self) -> usize {
        self.with(|kept| kept.len())
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn with<T>(&self, work: impl FnOnce(&mut VecDeque<Caught>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn all(&self) -> Vec<Caught> {
        self.with(|kept| kept.iter().cloned().collect())
    }

    pub(crate) fn remove(&self, id: &str) {
        self.with(|kept| kept.retain(|caught| caught.id != id));
    }

    fn keep(&self, caught: Caught) {
        self.with(|kept| {
            kept.push_back(caught);
            let mut octets: usize = kept.iter().map(|one| one.bytes.len()).sum();
            while kept.len() > MOST || (octets > MOST_OCTETS && kept.len() > 1) {
                let oldest = kept.pop_front();
                octets -= oldest.map_or(0, |oldest| oldest.bytes.len());
            }
        });
    }
}

impl Transport for Catch {
    fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome> {
        let mut bytes = Vec::new();
        let outcome = match message.write_to(&mut bytes) {
            Ok(_) => {
                let read = MessageFile::from_bytes(bytes.clone()).ok();
                let read = read.as_ref();
                self.keep(Caught {
                    sender: read
                        .map(|message| message.sender().to_string())
                        .unwrap_or_default(),
                    subject: read
                        .map(|message| message.subject().to_owned())
                        .unwrap_or_default(),
                    id: message.id().to_owned(),
                    time: SystemTime::now(),
                    reverse_path: message.reverse_path().to_owned(),
                    recipients: message.recipients().to_vec(),
                    bytes: Arc::new(bytes),
                });
                Outcome::Accepted(Reply::new(250, "2.0.0", "kept in the devbox"))
            }
            Err(error) => Outcome::Deferred(Reply::new(451, "4.3.0", error.to_string())),
        };
        vec![outcome; message.recipients().len()]
    }
}

impl fmt::Debug for Catch {
    /// How many, and nothing of what they say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catch")
            .field("messages", &self.len())
            .finish()
    }
}
