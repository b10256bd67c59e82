//! How far the first look at a drop has come.

use std::fmt;
use std::sync::Arc;

/// How far the reading of new files has come: given to the hook that
/// [`MailServerBuilder::on_scan`](crate::MailServerBuilder::on_scan) sets.
///
/// ```no_run
/// # fn main() -> cdonts::Result<()> {
/// let server = cdonts::MailServer::builder()
///     .drop_dir("/var/mail/shared", cdonts::Profile::Postfix)
///     .on_scan(|scan| eprintln!("{} of {} files", scan.read(), scan.found()))
///     .open()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanProgress {
    pub(crate) found: u64,
    pub(crate) read: u64,
}

impl ScanProgress {
    /// New files found so far; more while the directory is still being listed.
    pub fn found(&self) -> u64 {
        self.found
    }

    /// Files that were read.
    pub fn read(&self) -> u64 {
        self.read
    }
}

type Hook = dyn Fn(ScanProgress) + Send + Sync;

/// Who is told of it, if anybody.
#[derive(Clone, Default)]
pub(crate) struct Progress(Option<Arc<Hook>>);

impl Progress {
    pub(crate) fn new(hook: impl Fn(ScanProgress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    #[cfg(feature = "index")]
    pub(crate) fn tell(&self, progress: ScanProgress) {
        if let Some(hook) = &self.0 {
            hook(progress);
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Progress(set)"
        } else {
            "Progress(none)"
        })
    }
}
