//! The system calls themselves fail, or the process is killed at them, from outside: nothing goes
//! round the one door to the file system.

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

/// How often a program makes that call.
fn count(role: &str, call: &str) -> usize {
    let root = prepare(role);
    let log = root.join("calls");
    let trace = format!("trace={call}");
    let wrapper = [
        "strace",
        "-f",
        "-qq",
        "-o",
        log.to_str().unwrap(),
        "-e",
        &trace,
    ];
    let output = command(role, root.path(), &wrapper).output().unwrap();
    assert!(told(&output).1, "{role} fails under strace");
    let log = std::fs::read_to_string(log).unwrap();
    log.lines()
        .filter(|line| line.contains(&format!("{call}(")))
        .count()
}

/// Runs each program with the n-th of each call treated so; how many runs it took.
fn at_each_call(treatment: &str, step: usize) -> usize {
    let mut done = 0;
    for role in ["send", "deliver", "delete", "read", "relay"] {
        for call in CALLS {
            let most = count(role, call);
            for n in (1..=most).step_by(step) {
                let root = prepare(role);
                let inject = format!("inject={call}:{treatment}:when={n}");
                let trace = format!("trace={call}");
                let wrapper = [
                    "strace",
                    "-f",
                    "-qq",
                    "-o",
                    "/dev/null",
                    "-e",
                    &trace,
                    "-e",
                    &inject,
                ];
                let output = command(role, root.path(), &wrapper).output().unwrap();
                let (lines, _) = told(&output);
                let context = format!("{role}: {inject}: {lines:?}");
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
    let done = at_each_call("signal=KILL", runs(9, 1));
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
        done += at_each_call(&format!("error={error}"), runs(23, 1));
    }
    println!("system calls: {done} programs with one that fails");
}

/// A system that says that it wrote what it did not.
#[test]
fn p3_a_write_that_did_not_happen_is_found_out() {
    if !has_strace() {
        return;
    }
    let most = count("send", "write");
    for n in 1..=most {
        let root = prepare("send");
        let inject = format!("inject=write:retval=3:when={n}");
        let wrapper = [
            "strace",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "trace=write",
            "-e",
            &inject,
        ];
        let output = command("send", root.path(), &wrapper).output().unwrap();
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
