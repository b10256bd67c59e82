//! The example programs, as they were built beside the tests.

use std::path::Path;
use std::process::Command;

/// `cargo test` builds them for all tests; for one by its name it does not.
pub(crate) fn program(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let dir = test
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples");
    let path = dir.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.exists(),
        "{} is missing: run `cargo build --examples` with the features of the test",
        path.display()
    );
    Command::new(path)
}
