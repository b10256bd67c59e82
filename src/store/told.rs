//! Hints of the system that a directory has changed: they may come late, twice or not at all, and
//! so the clock leads to a look as well.

use std::path::Path;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::mailbox::Waiter;
use crate::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};

/// Where the system tells of changes, a look is taken this often nevertheless.
const SELDOM: Duration = Duration::from_secs(5);
/// Where it does not.
const OFTEN: Duration = Duration::from_millis(250);

pub(crate) struct Told {
    hints: Receiver<()>,
    /// Held: it tells as long as it lives. `None` where the system tells nothing.
    watcher: Option<RecommendedWatcher>,
}

/// One hint that waits is enough: what it leads to is a look at everything.
fn hint(tell: &SyncSender<()>) {
    let _ = tell.try_send(());
}

impl Told {
    pub(super) fn new<'a>(directories: impl Iterator<Item = &'a Path>) -> Self {
        let (tell, hints) = sync_channel(1);
        let watcher = notify::recommended_watcher(move |_| hint(&tell))
            .and_then(|mut watcher| {
                for dir in directories {
                    watcher.watch(dir, RecursiveMode::NonRecursive)?;
                }
                Ok(watcher)
            })
            .ok();
        Self { hints, watcher }
    }
}

impl Waiter for Told {
    fn wait(&mut self, most: Duration) {
        let pause = if self.watcher.is_some() {
            SELDOM
        } else {
            OFTEN
        };
        match self.hints.recv_timeout(pause.min(most)) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                self.watcher = None;
                std::thread::sleep(OFTEN.min(most));
            }
        }
    }
}

#[cfg(all(test, shuttle))]
impl Told {
    /// Whose hints come from the test.
    pub(crate) fn by_hand() -> (Self, impl Fn() + Clone + Send + 'static) {
        let (tell, hints) = sync_channel(1);
        let told = Self {
            hints,
            watcher: None,
        };
        (told, move || hint(&tell))
    }
}
