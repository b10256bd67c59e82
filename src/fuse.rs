//! Breaks the calls of one thread in tests, where no double stands around them.

#![allow(dead_code, reason = "each feature uses its part")]

use std::cell::Cell;
use std::io;

thread_local! {
    /// What the database under the index does with its file, and what it answers.
    pub(crate) static INDEX: Fuse = const { Fuse::new() };
    /// What is read from and written to connections.
    pub(crate) static NET: Fuse = const { Fuse::new() };
}

pub(crate) struct Fuse(Cell<State>);

#[derive(Clone, Copy, Default)]
enum State {
    /// Nothing is to be broken.
    #[default]
    Whole,
    /// So many calls work before one fails, and what is then.
    Burns(usize, Then),
    /// One has failed.
    Burnt(Then),
}

/// What is after a call that failed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    Works,
    Fails,
    /// So many calls work before another fails, the last.
    FailsAfter(usize),
}

impl Fuse {
    const fn new() -> Self {
        Self(Cell::new(State::Whole))
    }

    /// So many calls work; then one fails, or all do.
    pub(crate) fn set(&self, calls: usize, lasts: bool) {
        self.set_then(calls, if lasts { Then::Fails } else { Then::Works });
    }

    pub(crate) fn set_then(&self, calls: usize, then: Then) {
        self.0.set(State::Burns(calls, then));
    }

    /// Something is to be broken, or was.
    pub(crate) fn is_set(&self) -> bool {
        !matches!(self.0.get(), State::Whole)
    }

    /// Breaks nothing any more; whether something was broken.
    pub(crate) fn take(&self) -> bool {
        matches!(self.0.take(), State::Burnt(_))
    }

    /// One call less works.
    pub(crate) fn burn(&self) -> io::Result<()> {
        let (next, fails) = match self.0.get() {
            State::Whole => return Ok(()),
            State::Burns(0, then) => (State::Burnt(then), true),
            State::Burns(left, then) => (State::Burns(left - 1, then), false),
            State::Burnt(Then::FailsAfter(0)) => (State::Burnt(Then::Works), true),
            State::Burnt(Then::FailsAfter(left)) => {
                (State::Burnt(Then::FailsAfter(left - 1)), false)
            }
            State::Burnt(then) => (State::Burnt(then), matches!(then, Then::Fails)),
        };
        self.0.set(next);
        if fails {
            return Err(io::Error::other("nothing answers"));
        }
        Ok(())
    }
}
