//! Problems: what was wrong with one entry and stopped nothing else.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Error;

/// Something that was wrong with one message or one file and did not stop the work on the others.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// let message = cdonts::MessageFile::from_bytes("Content-Type: text/plain; charset=klingon\n\nhi")?;
/// let problems = message.problems()?;
/// assert!(problems.iter().any(|problem| problem.text().contains("klingon")));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    text: String,
    path: Option<PathBuf>,
}

impl Problem {
    /// Part of the text may come from a message: a control character in it becomes a blank.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        let text = text.into().replace(|c: char| c.is_control(), " ");
        Self { text, path: None }
    }

    pub(crate) fn at(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            path: Some(path.into()),
        }
    }

    /// The file it is about; `None` inside a message.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What was wrong, in one line for a person to read.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What is wrong with one message: the same once, and no more than a person would read. A hostile
/// message has a thousand faults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    const MOST: usize = 100;

    pub(crate) fn say(&mut self, text: impl Into<String>) {
        if self.0.len() < Self::MOST {
            let problem = Problem::new(text);
            if !self.0.contains(&problem) {
                self.0.push(problem);
            }
        }
    }

    pub(crate) fn extend(&mut self, others: &[Problem]) {
        for problem in others {
            self.say(problem.text());
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self {
            path: error.path().map(Path::to_path_buf),
            text: error.to_string(),
        }
    }
}

impl fmt::Display for Problem {
    /// Control characters are shown escaped, since part of it may come from a message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.text.chars() {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}
