//! The library from async code (feature `tokio`).
//!
//! Files are read and written by threads that may wait; each of these functions is a call of its
//! namesake on tokio's pool of them. A future that is dropped does not stop the work: a message
//! whose `send_async` was given up is sent all the same.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{JoinError, spawn_blocking};

use crate::draft::Draft;
use crate::error::{Error, ErrorKind, Result, SendError};
use crate::folder::{Inbox, Outbox};
use crate::message::Message;
use crate::messages::Messages;
use crate::sent::Sent;
use crate::server::MailServer;
use crate::session::Session;
use crate::watch::Watch;

/// A thread that is told to end looks this often whether it shall.
const LOOK: Duration = Duration::from_secs(1);

/// What a task that ended without an answer means: it panicked, or there is no runtime any more.
fn stopped(error: JoinError) -> Error {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => Error::new(ErrorKind::Io, "the runtime is shutting down")
            .with_source(std::io::Error::other(error)),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(stopped(error)))
}

impl MailServer {
    /// Work with this server that may wait, on tokio's pool of blocking threads.
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> cdonts::Result<()> {
    /// # let server = cdonts::MailServer::temporary()?;
    /// let delivered = server.run(|server| server.deliver_now()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of the work.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let server = self.clone();
        blocking(move || work(&server)).await
    }
}

impl Session {
    /// [`logon_smtp`](Session::logon_smtp).
    ///
    /// # Errors
    /// As `logon_smtp`.
    pub async fn logon_smtp_async(
        server: &MailServer,
        display_name: impl Into<String>,
        address: impl Into<String>,
    ) -> Result<Self> {
        let (name, address) = (display_name.into(), address.into());
        server
            .run(move |server| Self::logon_smtp(server, name, address))
            .await
    }
}

impl Inbox {
    /// [`messages`](Inbox::messages).
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> cdonts::Result<()> {
    /// # use cdonts::*;
    /// # let server = MailServer::temporary()?;
    /// let session = Session::logon_smtp_async(&server, "Jane", "jane@example.com").await?;
    /// for message in session.inbox().messages_async().await? {
    ///     let text = message.read_async(|message| message.text()).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As `messages`.
    pub async fn messages_async(&self) -> Result<Messages> {
        let inbox = self.clone();
        blocking(move || inbox.messages()).await
    }

    /// [`watch`](Inbox::watch) as a `Stream` of new messages.
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> cdonts::Result<()> {
    /// # use cdonts::*;
    /// use tokio_stream::StreamExt;
    ///
    /// # let server = MailServer::temporary()?;
    /// # let session = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
    /// let mut new = session.inbox().watch_async().await?;
    /// # NewMail::new(&server).from("a@example.com").to("jane@example.com").subject("1").send()?;
    /// let message = new.next().await.unwrap()?;
    /// assert_eq!(message.subject(), "1");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As `watch`.
    pub async fn watch_async(&self) -> Result<WatchStream> {
        let inbox = self.clone();
        let watch = blocking(move || inbox.watch()).await?;
        let (to, from) = channel(1);
        // A thread of its own: it waits for ever, and the pool is for work that ends.
        std::thread::Builder::new()
            .name("cdonts watch".to_owned())
            .spawn(move || forward(watch, &to))
            .map_err(|error| {
                Error::new(ErrorKind::Io, "cannot start a thread").with_source(error)
            })?;
        Ok(WatchStream(from))
    }
}

/// Hands on what comes until nobody listens any more.
fn forward(mut watch: Watch, to: &Sender<Result<Message>>) {
    while !to.is_closed() {
        let sent = match watch.next_within(LOOK) {
            Ok(None) => Ok(()),
            Ok(Some(message)) => to.blocking_send(Ok(message)),
            Err(error) => to.blocking_send(Err(error)),
        };
        if sent.is_err() {
            return;
        }
    }
}

/// New messages of an Inbox as a `Stream`: [`Inbox::watch_async`].
///
/// ```
/// fn is_a_stream<S: futures_core::Stream<Item = cdonts::Result<cdonts::Message>>>() {}
/// is_a_stream::<cdonts::WatchStream>();
/// ```
pub struct WatchStream(Receiver<Result<Message>>);

impl futures_core::Stream for WatchStream {
    type Item = Result<Message>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

impl fmt::Debug for WatchStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchStream").finish_non_exhaustive()
    }
}

impl Message {
    /// Anything that reads the message, on tokio's pool of blocking threads.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn read_async<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let message = self.clone();
        blocking(move || work(&message)).await
    }

    /// [`delete`](Message::delete).
    ///
    /// # Errors
    /// As `delete`.
    pub async fn delete_async(self) -> Result<()> {
        blocking(move || self.delete()).await
    }
}

impl Draft {
    /// [`send`](Draft::send). It is sent also when the future is dropped meanwhile.
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use cdonts::*;
    /// # let server = MailServer::temporary()?;
    /// let mail = NewMail::new(&server).from("a@example.com").to("jane@example.com").subject("Hello");
    /// let sent = mail.into_draft().send_async().await?;
    /// assert_eq!(sent.delivered(), ["jane@example.com"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As `send`; the draft comes back also when the runtime shuts down before it was sent.
    pub async fn send_async(self) -> Result<Sent, SendError> {
        match hand_over(self, Self::send).await {
            Ok(sent) => sent,
            Err((error, draft)) => Err(SendError::new(error, draft)),
        }
    }
}

/// Gives something to a blocking thread. When the runtime shuts down before the thread began, it
/// comes back: a draft is not lost.
async fn hand_over<D: Send + 'static, T: Send + 'static>(
    given: D,
    work: impl FnOnce(D) -> T + Send + 'static,
) -> Result<T, (Error, D)> {
    let place = Arc::new(Mutex::new(Some(given)));
    let take =
        |place: &Mutex<Option<D>>| place.lock().unwrap_or_else(PoisonError::into_inner).take();
    let theirs = Arc::clone(&place);
    let error = match spawn_blocking(move || take(&theirs).map(work)).await {
        Ok(Some(done)) => return Ok(done),
        Ok(None) => Error::new(ErrorKind::Io, "the work did not begin"),
        Err(error) => stopped(error),
    };
    match take(&place) {
        Some(given) => Err((error, given)),
        // A thread that has begun is not stopped: its answer is on its way to nobody.
        None => std::future::pending().await,
    }
}

impl Outbox {
    /// [`send_all`](Outbox::send_all).
    pub async fn send_all_async(
        &self,
        drafts: impl IntoIterator<Item = Draft>,
    ) -> Vec<Result<Sent, SendError>> {
        let drafts: Vec<_> = drafts.into_iter().collect();
        match hand_over(drafts, crate::draft::send_all).await {
            Ok(results) => results,
            Err((error, drafts)) => {
                let text = error.to_string();
                let refused = |draft| {
                    let error = Error::new(ErrorKind::Io, text.clone());
                    Err(SendError::new(error, draft))
                };
                drafts.into_iter().map(refused).collect()
            }
        }
    }
}
