//! The promises under faults of the machine, of other processes and of the system calls themselves.
//!
//! Each test names the promise that it holds to. What it needs beyond the standard library (root,
//! `unshare`, `strace`) is looked for: where it is missing the test says so and passes, but where
//! `CI=true` it fails. `CDONTS_RUNS=all` makes the long runs.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod clock;
mod crowd;
mod damage;
mod killed;
mod machine;
mod names;
mod system_calls;
mod workload;

#[path = "../support/program.rs"]
mod program;
#[path = "../support/mod.rs"]
mod support;

use std::process::{Command, Stdio};

/// So many in a short run, so many in a long one.
fn runs(short: usize, long: usize) -> usize {
    match std::env::var("CDONTS_RUNS") {
        Ok(all) if all == "all" => long,
        _ => short,
    }
}

/// Whether a program can do that here; where it must, it fails.
fn can(what: &str, program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    let command = command
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let can = command.status().is_ok_and(|status| status.success());
    if !can {
        let is_root = rustix::process::geteuid().is_root();
        assert!(
            !is_root || std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "this needs {what}"
        );
        println!("skipped: needs {what}");
    }
    can
}
