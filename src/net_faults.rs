//! The network fails at each read and each write in turn, once or from there on: what was sent is
//! with the server or was not told to be, and what is read is whole.

#![allow(clippy::disallowed_methods, reason = "tests may write files")]

#[path = "../tests/support/broken.rs"]
mod broken;
#[path = "../tests/support/certificate.rs"]
mod certificate;
#[path = "../tests/support/dovecot.rs"]
mod dovecot;
mod mailboxes;
mod server;
mod smtp;
#[path = "../tests/support/tls.rs"]
mod tls;

use crate::fuse::{Fuse, NET, Then};

/// Runs work with one call failing, or all from it on, for each call until none is reached; tells
/// `after` whether one was. How many there were.
fn at_each_call<T>(
    then: Then,
    step: usize,
    mut work: impl FnMut() -> T,
    mut after: impl FnMut(usize, T, bool),
) -> usize {
    let mut n = 0;
    loop {
        NET.with(|fuse| fuse.set_then(n, then));
        let done = work();
        let has_failed = NET.with(Fuse::take);
        after(n, done, has_failed);
        if !has_failed {
            println!("faults: the network: {} runs", n / step);
            return n;
        }
        n += step;
    }
}
