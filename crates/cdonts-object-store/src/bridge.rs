//! From the blocking calls of an Inbox to the futures of an object store.

use std::future::Future;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use cdonts::{Error, ErrorKind, Result};
use tokio::runtime::{Builder, Runtime};

/// Threads of its own, so that it works inside and outside of another runtime.
#[derive(Clone, Debug)]
pub(crate) struct Bridge(Arc<Held>);

#[derive(Debug)]
struct Held(Option<Runtime>);

impl Drop for Held {
    fn drop(&mut self) {
        // A runtime must not be waited for inside of another.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Bridge {
    pub(crate) fn new() -> Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| {
            Error::of_store(ErrorKind::Io, "no thread for the object store").caused_by(error)
        })?;
        Ok(Self(Arc::new(Held(Some(runtime)))))
    }

    /// Waits for a future, but not for ever.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        time: Duration,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let late = || {
            Error::of_store(
                ErrorKind::Network,
                "the object store does not answer in time",
            )
        };
        let (put, get) = mpsc::sync_channel(1);
        if let Some(runtime) = &self.0.0 {
            runtime.spawn(async move {
                let done = tokio::time::timeout(time, work).await;
                // Nobody waits for it any more if this fails.
                let _ = put.send(done);
            });
        }
        match get.recv() {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) | Err(_) => Err(late()),
        }
    }
}
