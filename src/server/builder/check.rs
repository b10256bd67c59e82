//! Whether the settings of a mail server and its directories fit together.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::fs::{Dir, Modes, Probe};
use crate::profile::Profile;
use crate::state::State;
use crate::store::DropStore;

pub(super) fn configuration(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

/// The path as it is known whatever the current directory will be; links are resolved. It need not
/// be there yet. A path that cannot be looked at is an error: taken for another, it would lead to
/// another state directory, and deletions would be forgotten.
pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    let failed = |source| Error::io("look at a directory", path, source);
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        resolved => return resolved.map_err(failed),
    }
    let whole = std::path::absolute(path).map_err(failed)?;
    let (Some(parent), Some(name)) = (whole.parent(), whole.file_name()) else {
        return Ok(whole);
    };
    match parent.canonicalize() {
        Ok(parent) => Ok(parent.join(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(whole),
        Err(error) => Err(failed(error)),
    }
}

/// Whether there is a directory; it cannot be guessed when nobody can tell.
pub(super) fn is_directory(path: &Path) -> Result<bool> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_dir()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("look at a directory", path, error)),
    }
}

/// Local delivery writes the IIS form into a flat directory, by renames on one file system.
pub(super) fn check_local_delivery(
    drop: Option<&DropStore>,
    pickup: Option<&Dir>,
    profile: Profile,
) -> Result<()> {
    let Some(drop) = drop else {
        return Err(configuration(
            "local delivery needs a Drop; set one with `drop_dir`, or leave out `local_domain`",
        ));
    };
    let path = drop.root().path();
    if drop.is_maildir() || profile != Profile::IisDrop {
        return Err(configuration(format!(
            "local delivery needs a flat Drop with the profile `iis-drop`, not a {} with `{}`; \
             leave out `local_domain`",
            if drop.is_maildir() {
                "Maildir"
            } else {
                "directory"
            },
            profile.name()
        ))
        .with_path(path));
    }
    if let Some(pickup) = pickup {
        let (pickup_stat, drop_stat) = (pickup.own_stat()?, drop.root().own_stat()?);
        let is_same_inode = pickup_stat.stamp.inode == drop_stat.stamp.inode
            && pickup_stat.device == drop_stat.device
            && pickup_stat.stamp.inode != 0;
        if is_same_inode || absolute(pickup.path())? == absolute(path)? {
            return Err(configuration(
                "Pickup and Drop are one directory: what is delivered would be delivered again; \
                 use two",
            )
            .with_path(path));
        }
    }
    if let Some(pickup) = pickup
        && pickup.own_stat()?.device != drop.root().own_stat()?.device
    {
        return Err(configuration(
            "local delivery needs Pickup and Drop on one file system, since files are moved by \
             renames; move one of them",
        )
        .with_path(path));
    }
    Ok(())
}

/// Messages come into the queue by renames out of the state directory.
pub(super) fn check_same_file_system(dir: &Dir, name: &str, state: &State) -> Result<()> {
    let Some(path) = state.path() else {
        return Err(configuration(format!(
            "a {name} needs a state directory; set one with `state_dir`"
        )));
    };
    if device_of(path)? == dir.own_stat()?.device {
        return Ok(());
    }
    let message = format!(
        "the {name} must be on the file system of the state directory; set another one with \
         `state_dir`"
    );
    Err(configuration(message).with_path(path))
}

/// Of a directory, or of the one it will be made in.
fn device_of(path: &Path) -> Result<u64> {
    let probe = Probe::default();
    let look = |path: &Path| Dir::open_path(path, Modes::default(), &probe)?.own_stat();
    let stat = look(path).or_else(|failure| path.parent().map_or(Err(failure), look))?;
    Ok(stat.device)
}

/// What is handed over moves from the state directory into the drop by one rename.
pub(super) fn check_one_file_system(drop: Option<&DropStore>, state: &State) -> Result<()> {
    let (Some(drop), Some(path)) = (drop, state.path()) else {
        return Err(configuration(
            "local delivery needs a state directory; set one with `state_dir`",
        ));
    };
    if device_of(path)? != drop.root().own_stat()?.device {
        return Err(configuration(
            "local delivery needs the state directory on the file system of the Drop; set another \
             one with `state_dir`",
        )
        .with_path(path));
    }
    Ok(())
}
