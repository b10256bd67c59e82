//! What the messages that were made to hurt cost at the sizes that the default limits allow: time,
//! and memory above what the program had before. Each lies in a file and is asked for everything.
//!
//! `cargo bench --bench hostile -- [NAME]` prints a line for each and fails over 2 s or 128 MB.
//! With `--peers` mail-parser, mailparse and Python's email read the same messages, each in a
//! process of its own, and it prints a table.
#![allow(clippy::disallowed_methods, reason = "it writes its messages")]

#[path = "../tests/support/bombs.rs"]
mod bombs;
#[path = "peers/hostile.rs"]
mod peers;

use std::time::{Duration, Instant};

use bombs::{BOMBS, read_all};
use cdonts::MessageFile;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MOST_TIME: Duration = Duration::from_secs(2);
const MOST_MEMORY: usize = 128_000_000;

fn main() {
    if std::env::args().any(|word| word == "--one") {
        return peers::read_one(MEMORY);
    }
    if std::env::args().any(|word| word == "--peers") {
        return peers::compare();
    }
    let wanted = std::env::args()
        .skip(1)
        .find(|word| !word.starts_with("--"));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("message.eml");
    let mut over = 0;
    println!("{:>9} {:>9} {:>9}  message", "octets", "ms", "MB");
    for bomb in BOMBS
        .iter()
        .filter(|bomb| wanted.as_deref().is_none_or(|name| name == bomb.name))
    {
        std::fs::write(&path, (bomb.make)(bomb.most)).expect("the message is written");
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let start = Instant::now();
        let read = MessageFile::open(&path).and_then(|message| read_all(&message));
        let time = start.elapsed();
        let memory = MEMORY.peak_usage().saturating_sub(before);
        let is_over = time > MOST_TIME || memory > MOST_MEMORY;
        over += usize::from(is_over);
        println!(
            "{:>9} {:>9} {:>9}  {}{}{}",
            bomb.most,
            time.as_millis(),
            megabytes(memory),
            bomb.name,
            if is_over { " — OVER" } else { "" },
            read.err()
                .map(|error| format!(" ({error})"))
                .unwrap_or_default(),
        );
    }
    if over > 0 {
        eprintln!("{over} are over 2 s or 128 MB");
        std::process::exit(1);
    }
}

/// With one place behind the point.
fn megabytes(octets: usize) -> String {
    format!("{}.{}", octets / 1_000_000, octets / 100_000 % 10)
}
