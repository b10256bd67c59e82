//! Hints of the system that a directory has changed: they may come late, twice or not at all, and
//! so the clock leads to a look as well.

use std::path::Path;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::mailbox::Waiter;
use crate::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};

/// Where the system tells of changes, a look is taken this often nevertheless.
const SELDOM: Duration = Duration::from_secs(5);
/// Where it does not.
const OFTEN: Duration = Duration::from_millis(250);

pub(crate) struct Told {
    hints: Receiver<()>,
    /// Held: it tells as long as it lives. `None` where the system tells nothing.
    watcher: Option<RecommendedWatcher>,
}

/// How hints come. One that waits is enough: what it leads to is a look at everything.
fn channel() -> (impl Fn() + Clone + Send + 'static, Receiver<()>) {
    let (tell, hints) = sync_channel(1);
    let hint = move || {
        let _ = tell.try_send(());
    };
    (hint, hints)
}

impl Told {
    pub(super) fn new<'a>(directories: impl Iterator<Item = &'a Path>) -> Self {
        let (hint, hints) = channel();
        let watcher = notify::recommended_watcher(move |_| hint())
            .and_then(|mut watcher| {
                for dir in directories {
                    watcher.watch(dir, RecursiveMode::NonRecursive)?;
                }
                Ok(watcher)
            })
            .ok();
        Self { hints, watcher }
    }

    /// Whose hints come from a test.
    #[cfg(all(test, shuttle))]
    pub(crate) fn by_hand() -> (Self, impl Fn() + Clone + Send + 'static) {
        let (hint, hints) = channel();
        let watcher = None;
        (Self { hints, watcher }, hint)
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

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;
    use std::time::Instant;

    /// Without hints it looks again after a moment.
    #[test]
    fn what_cannot_be_watched_is_waited_for_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        let mut told = Told::new([dir.path(), missing.as_path()].into_iter());
        assert!(told.watcher.is_none());
        let begin = Instant::now();
        for _ in 0..2 {
            told.wait(Duration::from_millis(20));
        }
        assert!(begin.elapsed() >= Duration::from_millis(40));
    }

    #[test]
    fn it_waits_while_nothing_happens() {
        let dir = tempfile::tempdir().unwrap();
        let mut told = Told::new([dir.path()].into_iter());
        // What the system tells of the directory's own making is heard first.
        told.wait(Duration::from_millis(100));
        let begin = Instant::now();
        told.wait(Duration::from_millis(100));
        assert!(begin.elapsed() >= Duration::from_millis(90));
    }
}
