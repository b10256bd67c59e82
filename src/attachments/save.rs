//! Attachments to files: whole, or not at all.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Attachment;
use super::safe_name::{numbered, safe_name};
use crate::error::{Error, Result};
use crate::format::body;
use crate::fs::outside;

/// How many names are tried beside each other.
const MOST: u32 = 10_000;

pub(super) fn over(attachment: &Attachment, path: &Path) -> Result<()> {
    // What is wrong with the message is found out before a file that is there is emptied.
    let mut reader = attachment.reader()?;
    let file = outside::create(path).map_err(|source| Error::io("create a file", path, source))?;
    fill(&mut reader.0, file, path)
}

pub(super) fn into(attachment: &Attachment, dir: &Path) -> Result<PathBuf> {
    let mut reader = attachment.reader()?;
    let name = safe_name(attachment.name());
    outside::make_dir(dir).map_err(|source| Error::io("make a directory", dir, source))?;
    let mut number = 1;
    loop {
        let path = dir.join(match number {
            1 => name.clone(),
            _ => numbered(&name, number),
        });
        match outside::create_new(&path) {
            Ok(file) => {
                let filled = fill(&mut reader.0, file, &path);
                if filled.is_err() {
                    outside::discard(&path);
                }
                filled?;
                outside::sync_dir(dir)
                    .map_err(|source| Error::io("sync a directory", dir, source))?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < MOST => {
                number += 1;
            }
            Err(source) => return Err(Error::io("create a file", &path, source)),
        }
    }
}

fn fill(reader: &mut body::BodyReader, mut file: File, path: &Path) -> Result<()> {
    let failed = |source| Error::io("write", path, source);
    body::copy(reader, |block| file.write_all(block).map_err(failed))?;
    file.sync_data().map_err(failed)
}
