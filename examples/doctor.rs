//! Says what is wrong with a set-up of mail directories, and what to do: why mail would be lost,
//! seen by others, or held up.
//!
//! ```text
//! doctor MAILROOT [--profile NAME]
//! ```
//!
//! It ends with 0 when all is well, with 1 when it found something, and with 2 when it could not
//! look.

use std::process::ExitCode;

use cdonts::{Finding, MailServer, Profile};

const USAGE: &str = "usage: doctor MAILROOT [--profile NAME]";

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let looked = match words.as_slice() {
        [root] => look(root, None),
        [root, "--profile", name] => look(root, Some(name)),
        _ => Err(USAGE.to_owned()),
    };
    match looked {
        Ok(findings) if findings.is_empty() => {
            println!("all is well");
            ExitCode::SUCCESS
        }
        Ok(findings) => {
            for finding in findings {
                println!("{finding}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn look(root: &str, profile: Option<&str>) -> Result<Vec<Finding>, String> {
    let mut builder = MailServer::builder().mailroot(root);
    if let Some(name) = profile {
        builder = builder.profile(
            Profile::from_name(name).ok_or_else(|| format!("there is no profile `{name}`"))?,
        );
    }
    let server = builder.open().map_err(|error| error.to_string())?;
    server.check().map_err(|error| error.to_string())
}
