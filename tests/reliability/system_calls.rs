//! The system calls themselves fail, or the process is killed at them, from outside: nothing goes
//! round the one door to the file system.

use std::path::Path;
use std::process::Output;

use super::program::program;
use super::support::Root;
use super::workload::{check, command, prepare, told};
use super::{can, runs};

/// What changes files and names, or opens them.
const CALLS: [&str; 8] = [
    "openat",
    "write",
    "fsync",
    "renameat2",
    "linkat",
    "unlinkat",
    "mkdirat",
    "flock",
];

fn has_strace() -> bool {
    can(
        "strace that may trace",
        "strace",
        &["-o", "/dev/null", "true"],
    )
}

/// What looks, lists and prepares.
const OTHER_CALLS: [&str; 7] = [
    "pread64",
    "fchmod",
    "fchmodat",
    "fstat",
    "newfstatat",
    "statx",
    "getdents64",
];

const ROLES: [&str; 5] = ["send", "deliver", "delete", "read", "relay"];

/// Runs a program with these calls treated so: `<call>:<treatment>`.
fn treated(role: &str, root: &Root, log: &Path, calls: &[String]) -> Output {
    let names: Vec<_> = calls
        .iter()
        .filter_map(|call| call.split(':').next())
        .collect();
    let mut wrapper = vec!["strace", "-f", "-qq", "-o", log.to_str().unwrap()];
    let trace = format!("trace={}", names.join(","));
    wrapper.extend(["-e", &trace]);
    let injects = calls.iter().filter(|call| call.contains(':'));
    let injects: Vec<_> = injects.map(|call| format!("inject={call}")).collect();
    for inject in &injects {
        wrapper.extend(["-e", inject]);
    }
    command(role, root.path(), &wrapper).output().unwrap()
}

/// How often a program makes that call while others are treated.
fn count(role: &str, call: &str, others: &[String]) -> usize {
    let root = prepare(role);
    let log = root.join("calls");
    let calls = [others, &[call.to_owned()]].concat();
    let output = treated(role, &root, &log, &calls);
    assert!(told(&output).1, "{role} fails under strace: {calls:?}");
    let log = std::fs::read_to_string(log).unwrap();
    log.lines()
        .filter(|line| line.contains(&format!("{call}(")))
        .count()
}

/// Runs each program with the n-th of each of these calls treated so, and others always; how many
/// runs it took.
fn at_each_call(calls: &[&str], treatment: &str, others: &[String], step: usize) -> usize {
    let mut done = 0;
    for role in ROLES.into_iter().chain(["read without an index"]) {
        for call in calls {
            let most = count(role, call, others);
            for n in (1..=most).step_by(step) {
                let root = prepare(role);
                let this = format!("{call}:{treatment}:when={n}");
                let calls = [others, &[this]].concat();
                let output = treated(role, &root, Path::new("/dev/null"), &calls);
                let (lines, _) = told(&output);
                let context = format!("{role}: {calls:?}: {lines:?}");
                let without_path = lines.iter().find(|line| line.starts_with("failed false"));
                assert_eq!(without_path, None, "an error without a path: {context}");
                check(role, &root, &lines, &context);
                done += 1;
            }
        }
    }
    done
}

/// P1 to P6, whatever call a process dies at.
#[test]
fn p1_a_process_that_dies_at_any_system_call_breaks_no_promise() {
    if !has_strace() {
        return;
    }
    let done = at_each_call(&CALLS, "signal=KILL", &[], runs(9, 1));
    println!("system calls: {done} programs killed at one");
}

/// P2, whatever call fails.
#[test]
fn p2_a_system_call_that_fails_is_an_error_or_makes_no_difference() {
    if !has_strace() {
        return;
    }
    let mut done = 0;
    for error in ["EIO", "ENOSPC", "EACCES", "EINTR"] {
        done += at_each_call(&CALLS, &format!("error={error}"), &[], runs(23, 1));
    }
    println!("system calls: {done} programs with one that fails");
}

/// The same of what only looks, lists and prepares.
#[test]
fn p2_a_look_that_fails_is_an_error_or_makes_no_difference() {
    if !has_strace() {
        return;
    }
    let mut done = 0;
    for error in ["EIO", "EINTR"] {
        done += at_each_call(&OTHER_CALLS, &format!("error={error}"), &[], runs(19, 1));
    }
    println!("system calls: {done} programs with a look that fails");
}

/// P2 on file systems that lack a call: files without a name, a rename that does not replace, locks,
/// a sync of directories; and where `/proc` is not to be had.
#[test]
fn p2_what_a_file_system_lacks_is_done_otherwise() {
    if !has_strace() {
        return;
    }
    let step = runs(11, 1);
    let mut done = at_each_call(&["openat"], "error=EOPNOTSUPP", &[], step);
    done += at_each_call(&["openat"], "error=EIO", &[], step);
    done += at_each_call(&["linkat"], "error=ENOENT", &[], 1);
    done += at_each_call(&["flock"], "error=ENOLCK", &[], step);
    done += at_each_call(&["fsync"], "error=EINVAL", &[], step);
    let without_rename = ["renameat2:error=EINVAL".to_owned()];
    done += at_each_call(
        &["renameat", "newfstatat"],
        "error=EIO",
        &without_rename,
        step,
    );
    // What was taken out of Pickup goes back beside what has its name by now.
    let root = prepare("recover");
    root.dir("State/staging/0123/claim");
    for path in ["State/staging/0123/claim/a.eml", "Pickup/a.eml"] {
        root.write(path, path);
    }
    treated("recover", &root, Path::new("/dev/null"), &without_rename);
    let pickup = root.files("Pickup");
    assert_eq!(pickup.len(), 2, "{pickup:?}");
    // Neither way to give a file its name works.
    let (root, calls) = (prepare("delete"), ["linkat:error=ENOENT".to_owned()]);
    let (lines, _) = told(&treated("delete", &root, Path::new("/dev/null"), &calls));
    check("delete", &root, &lines, "without links");
    // Whether it can rename so is told, or that it cannot be found out. What the portable form can do
    // is known, and not tried out.
    let tries: &[(&str, bool)] = if cfg!(portable_fs) {
        &[]
    } else {
        &[("EINVAL", true), ("EIO", false)]
    };
    for &(error, is_told) in tries {
        let (root, calls) = (prepare("check"), [format!("renameat2:error={error}")]);
        root.dir("State");
        let output = treated("check", &root, Path::new("/dev/null"), &calls);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.contains("Rename"), is_told, "{error}: {said}");
        assert!(is_told || said.contains("failed true"), "{error}: {said}");
    }
    println!("system calls: {done} programs without one");
}

/// A system that says that it wrote what it did not.
#[test]
fn p3_a_write_that_did_not_happen_is_found_out() {
    if !has_strace() {
        return;
    }
    let most = count("send", "write", &[]);
    for n in 1..=most {
        let root = prepare("send");
        let inject = format!("write:retval=3:when={n}");
        let output = treated(
            "send",
            &root,
            Path::new("/dev/null"),
            std::slice::from_ref(&inject),
        );
        let (lines, _) = told(&output);
        check("send", &root, &lines, &format!("{inject}: {lines:?}"));
    }
}

/// What a network disk answers that has no such rename.
#[test]
fn the_doctor_tells_of_a_file_system_that_cannot_rename_without_replacing() {
    // What the portable form can do is known, and not tried out.
    if cfg!(portable_fs) || !has_strace() {
        return;
    }
    let root = Root::new();
    root.dir("State");
    let doctor = program("doctor");
    let output = std::process::Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2"])
        .args(["-e", "inject=renameat2:error=EINVAL"])
        .arg(doctor.get_program())
        .arg(root.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot rename without replacing"), "{said}");
    // Nothing of the trial is left.
    let left = root.files("State");
    assert!(!left.iter().any(|name| name.contains("check-")), "{left:?}");
}
