//! Locks, channels and threads: the standard library's; or, in tests under `--cfg shuttle`, those
//! of a scheduler that tries their interleavings one after the other.

#[cfg(all(feature = "watch", not(all(test, shuttle))))]
pub(crate) use std::sync::mpsc;
#[cfg(not(all(test, shuttle)))]
pub(crate) use std::{
    sync::{Mutex, MutexGuard, PoisonError, atomic},
    thread,
};

#[cfg(all(test, shuttle, feature = "watch"))]
pub(crate) use shuttle::sync::mpsc;
#[cfg(all(test, shuttle))]
pub(crate) use shuttle::{
    sync::{Mutex, MutexGuard, PoisonError, atomic},
    thread,
};
