//! Whether the settings of a mail server and its directories fit together.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::fs::{Dir, Modes, Probe};
use crate::profile::Profile;
use crate::state::State;
use crate::store::DropStore;

pub(super) fn configuration(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

/// The path as it is known whatever the current directory will be; links are resolved.
pub(super) fn absolute(path: &Path) -> PathBuf {
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    // It need not be there yet, but its parent is.
    match (path.parent().map(Path::canonicalize), path.file_name()) {
        (Some(Ok(parent)), Some(name)) => parent.join(name),
        _ => std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()),
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
        if is_same_inode || absolute(pickup.path()) == absolute(path) {
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

/// What is handed over moves from the state directory into the drop by one rename.
pub(super) fn check_one_file_system(drop: Option<&DropStore>, state: &State) -> Result<()> {
    let (Some(drop), Some(path)) = (drop, state.path()) else {
        return Err(configuration(
            "local delivery needs a state directory; set one with `state_dir`",
        ));
    };
    let probe = Probe::default();
    let look = |path: &Path| Dir::open_path(path, Modes::default(), &probe)?.own_stat();
    let stat = look(path).or_else(|failure| path.parent().map_or(Err(failure), look))?;
    if stat.device != drop.root().own_stat()?.device {
        return Err(configuration(
            "local delivery needs the state directory on the file system of the Drop; set another \
             one with `state_dir`",
        )
        .with_path(path));
    }
    Ok(())
}
