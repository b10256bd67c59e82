//! Under which rules a state directory was made.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::new_id;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::Dir;
use crate::profile::Profile;

const NAME: &str = "setting";

/// What the marks and the index mean depends on.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) drop: Option<PathBuf>,
    /// What recovery gives back to; not compared when one of the two has none.
    pub(crate) pickup: Option<PathBuf>,
    /// A Maildir that lost a folder would be read as an empty flat directory.
    pub(crate) is_maildir: bool,
    pub(crate) profile: Profile,
    pub(crate) case_sensitive: bool,
    pub(crate) drop_dot_stuffed: bool,
}

impl Setting {
    /// Name and value of each rule, one a line in the file. A drop beside the state directory is
    /// written relative to it, so that the whole tree can be moved.
    fn lines(&self, state: &Path) -> [(&'static str, String); 6] {
        let relative = |dir: Option<&Path>| {
            dir.map_or(String::new(), |dir| {
                let beside = state
                    .parent()
                    .and_then(|parent| dir.strip_prefix(parent).ok());
                beside
                    .unwrap_or(dir)
                    .to_string_lossy()
                    .escape_debug()
                    .to_string()
            })
        };
        let local_part = if self.case_sensitive {
            "case-sensitive"
        } else {
            "case-insensitive"
        };
        let form = if self.is_maildir { "maildir" } else { "flat" };
        [
            ("drop", relative(self.drop.as_deref())),
            ("pickup", relative(self.pickup.as_deref())),
            ("form", form.to_owned()),
            ("profile", self.profile.name().to_owned()),
            ("local-part", local_part.to_owned()),
            ("dot-stuffed", self.drop_dot_stuffed.to_string()),
        ]
    }

    fn text(&self, state: &Path) -> String {
        self.lines(state)
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"))
            .collect()
    }

    /// Compares with what the directory was made for, or writes it there the first time.
    /// A server without a drop has no rules of its own.
    pub(super) fn agree_with(&self, root: &Dir) -> Result<()> {
        if self.drop.is_none() {
            return Ok(());
        }
        let mut written = Self::read(root)?;
        if written.is_none() && !self.publish(root)? {
            written = Self::read(root)?;
        }
        let Some(written) = written else {
            return Ok(());
        };
        for (name, ours) in self.lines(root.path()) {
            let theirs = written
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .unwrap_or_default();
            let is_unknown = name == "pickup" && (theirs.is_empty() || ours.is_empty());
            if theirs != ours && !is_unknown {
                return Err(Error::new(
                    ErrorKind::Configuration,
                    format!(
                        "the state directory was made with {name} `{theirs}`, but it is `{ours}` \
                         now; open it as before, or use `rebuild_state` to change it for good"
                    ),
                )
                .with_path(root.path()));
            }
        }
        Ok(())
    }

    pub(super) fn replace_in(&self, root: &Dir) -> Result<()> {
        match root.remove(NAME) {
            Err(failure) if !failure.is_gone() => return Err(failure.into()),
            _ => {}
        }
        self.publish(root)?;
        Ok(())
    }

    fn read(root: &Dir) -> Result<Option<String>> {
        const MOST: usize = 64 * 1024;
        let file = match root.open(NAME) {
            Err(failure) if failure.is_gone() => return Ok(None),
            opened => opened?,
        };
        let mut text = vec![0; MOST];
        let count = file.read_at(&mut text, 0)?;
        text.truncate(count);
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    }

    /// Whether ours is the one that is there now.
    fn publish(&self, root: &Dir) -> Result<bool> {
        let temporary = format!("{NAME}-{}", new_id());
        let published = self.write_as(root, &temporary);
        if !matches!(published, Ok(true)) {
            // Nobody reads it; the failure that led here is the one to report.
            let _ = root.remove(&temporary);
        }
        published
    }

    fn write_as(&self, root: &Dir, temporary: &str) -> Result<bool> {
        let mut file = root.create(temporary)?;
        let text = self.text(root.path());
        let written = file.write_all(text.as_bytes());
        written.map_err(|source| file.write_failure(source))?;
        file.sync()?;
        if file.stat()?.stamp.size != text.len() as u64 {
            let message = "the setting was not written whole; try again";
            return Err(Error::new(ErrorKind::Io, message).with_path(root.path().join(temporary)));
        }
        match root.rename(temporary, root, NAME) {
            Ok(()) => Ok(true),
            Err(failure) if failure.is_taken() => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }
}
