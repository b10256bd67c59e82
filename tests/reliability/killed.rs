//! Processes that are killed at any time.

use std::time::{Duration, Instant};

use super::runs;
use super::workload::{check, prepare, start, told};

/// P3 to P5: killed at a random time, a process loses, doubles and halves nothing.
#[test]
fn p4_whoever_is_killed_at_any_time_loses_nothing_for_others() {
    let seed = 20_261_127;
    let mut random = fastrand::Rng::with_seed(seed);
    let (count, mut cut_short) = (runs(150, 10_000), 0);
    let roles = ["deliver and delete", "send", "relay", "delete"];
    // As long as they take here, when nobody kills them.
    let times = roles.map(|role| {
        let root = prepare(role);
        let begun = Instant::now();
        start(role, root.path()).wait_with_output().unwrap();
        begun.elapsed()
    });
    for round in 0..count {
        let (role, time) = (roles[round % 4], times[round % 4]);
        let root = prepare(role);
        let mut child = start(role, root.path());
        let wait = time.mul_f64(random.f64() * 1.1);
        std::thread::sleep(wait);
        let _ = child.kill();
        let output = child.wait_with_output().unwrap();
        let (lines, is_done) = told(&output);
        cut_short += usize::from(!is_done);
        let context = format!("round {round} of seed {seed}, after {wait:?}: {lines:?}");
        // Another one begins where it ended, and is killed too.
        let mut second = start("recover", root.path());
        std::thread::sleep(Duration::from_micros(random.u64(0..20_000)));
        let _ = second.kill();
        second.wait().unwrap();
        check(role, &root, &lines, &context);
    }
    println!("killed: {count} rounds of seed {seed}, {cut_short} before they were done");
    assert!(
        cut_short > count / 4,
        "only {cut_short} of {count} were cut short"
    );
}
