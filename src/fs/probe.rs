//! Where a test can look into, and break, every call to the file system.

use std::io;
use std::path::Path;
#[cfg(test)]
use std::sync::Arc;

use super::{Failure, Op, Result};

/// Stands around every call. It does nothing outside this crate's own tests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probe(#[cfg(test)] pub(super) Option<Arc<super::double::Plan>>);

impl Probe {
    pub(super) fn call<T>(
        &self,
        op: Op,
        path: &Path,
        work: impl FnMut() -> io::Result<T>,
    ) -> Result<T> {
        self.run(op, path, work)
            .map_err(|source| Failure::new(op, path.to_path_buf(), source))
    }

    /// The same for an operation on two paths: a failure names the second, where it would go.
    pub(super) fn call_on<T>(
        &self,
        op: Op,
        from: &Path,
        to: &Path,
        work: impl FnMut() -> io::Result<T>,
    ) -> Result<T> {
        self.run(op, to, work).map_err(|source| {
            let path = match source.kind() {
                io::ErrorKind::NotFound => from,
                _ => to,
            };
            Failure::new(op, path.to_path_buf(), source)
        })
    }

    /// Calls again what a signal has interrupted, but not without end.
    pub(super) fn run<T>(
        &self,
        op: Op,
        path: &Path,
        mut work: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        for _ in 0..MOST_INTERRUPTIONS {
            match self.once(op, path, &mut work) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
        self.once(op, path, &mut work)
    }

    /// How many of so many octets the next call reads or writes at most: a test may have it do
    /// less, as a system may.
    #[cfg(test)]
    pub(super) fn most(&self, len: usize) -> usize {
        self.0.as_ref().map_or(len, |plan| plan.most(len))
    }

    #[cfg(not(test))]
    #[expect(
        clippy::unused_self,
        reason = "the form of this method under test uses it"
    )]
    pub(super) fn most(&self, len: usize) -> usize {
        len
    }

    /// Whether files without a name can be made: not everywhere, and a test may say so.
    #[cfg(test)]
    pub(super) fn has_unnamed(&self) -> bool {
        self.0.as_ref().is_none_or(|plan| plan.has_unnamed())
    }

    #[cfg(not(test))]
    #[expect(
        clippy::unused_self,
        reason = "the form of this method under test uses it"
    )]
    pub(super) fn has_unnamed(&self) -> bool {
        true
    }

    #[cfg(test)]
    fn once<T>(
        &self,
        op: Op,
        path: &Path,
        work: &mut impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        match &self.0 {
            Some(plan) => plan.run(op, path, work),
            None => work(),
        }
    }

    #[cfg(not(test))]
    #[expect(
        clippy::unused_self,
        reason = "the form of this method under test uses it"
    )]
    fn once<T>(&self, _: Op, _: &Path, work: &mut impl FnMut() -> io::Result<T>) -> io::Result<T> {
        work()
    }
}

const MOST_INTERRUPTIONS: usize = 100;

#[cfg(test)]
mod tests {
    use std::io::ErrorKind::Interrupted;

    use super::super::double::{Fault, Plan, place};
    use super::super::{Dir, Modes};
    use super::MOST_INTERRUPTIONS;

    #[test]
    fn a_call_that_is_interrupted_without_end_is_an_error_at_last() {
        let (root, plan) = (place(), Plan::new());
        let dir = Dir::open_path(root.path(), Modes::default(), &plan.probe()).unwrap();
        plan.arm(0, Fault::Lasting(Interrupted));
        assert!(dir.stat("a").is_err());
        assert_eq!(plan.disarm().len(), MOST_INTERRUPTIONS + 1);
        // A few times are none.
        plan.arm(0, Fault::Before(Interrupted));
        assert!(dir.create("a").is_ok());
        assert_eq!(plan.disarm().len(), 2);
    }
}
