//! One thing that is wrong with a set-up.

use std::fmt;
use std::path::{Path, PathBuf};

/// What a [`Finding`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// The file system cannot rename without replacing.
    Rename,
    /// Directories between which files are moved are on several file systems.
    FileSystems,
    /// Somebody may do more, or this program less, than is good.
    Rights,
    /// The profile does not fit what lies in the drop.
    Profile,
    /// The clocks of this machine and of the file system differ.
    Clock,
    /// There is hardly any room left.
    Space,
    /// Files grow under the name under which they are read.
    Writer,
    /// Nobody takes what is put into Pickup.
    Pickup,
    /// What was sent is not in its place yet.
    Unfinished,
    /// Files of the drop cannot be read.
    Unreadable,
    /// Messages wait in the queue, and no relay is set.
    Queue,
}

/// One thing that is wrong with a set-up; see [`MailServer::check`](crate::MailServer::check).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    kind: FindingKind,
    text: String,
    advice: &'static str,
    path: PathBuf,
}

impl Finding {
    pub(super) fn new(
        kind: FindingKind,
        path: &Path,
        text: impl Into<String>,
        advice: &'static str,
    ) -> Self {
        Self {
            kind,
            text: text.into(),
            advice,
            path: path.to_path_buf(),
        }
    }

    /// What it is about.
    pub fn kind(&self) -> FindingKind {
        self.kind
    }

    /// What is wrong, in one line.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What to do about it, in one line.
    pub fn advice(&self) -> &str {
        self.advice
    }

    /// The directory or file that it is about.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display().to_string();
        let path = path.replace(|c: char| c.is_control(), " ");
        write!(f, "{path}: {}; {}", self.text, self.advice)
    }
}
