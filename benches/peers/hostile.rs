//! The messages that were made to hurt, read by others: everything that they can be asked for.
//!
//! Each reads in a process of its own, since one may end it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cdonts::MessageFile;
use mail_parser::{MessageParser, MimeHeaders as _};
use peak_alloc::PeakAlloc;

use super::bombs::{BOMBS, read_all};

/// Who has not done with a message by then is stopped.
const PATIENCE: Duration = Duration::from_secs(20);

const READERS: [&str; 4] = ["cdonts", "mail-parser", "mailparse", "email"];

/// A row for each message: what each reader took.
pub(super) fn compare() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("message.eml");
    println!("| message | octets | {} |", READERS.join(" | "));
    println!("|---|---|{}", "---|".repeat(READERS.len()));
    for bomb in BOMBS {
        std::fs::write(&path, (bomb.make)(bomb.most)).expect("the message is written");
        let cells = READERS.map(|reader| measure(reader, &path)).join(" | ");
        println!("| {} | {} | {cells} |", bomb.name, bomb.most);
    }
}

fn measure(reader: &str, path: &Path) -> String {
    let mut command = match reader {
        "email" => {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/hostile.py");
            let mut python = Command::new("python3");
            python.arg(script);
            python
        }
        _ => {
            let mut this = Command::new(std::env::current_exe().expect("this program"));
            this.args(["--one", reader]);
            this
        }
    };
    let mut child = command
        .arg(path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a process");
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().expect("its status") {
            let output = child.wait_with_output().expect("what it said");
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            return match (status.success(), said.is_empty()) {
                (true, false) => said,
                _ => "**ends**".to_owned(),
            };
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    format!("**> {} s**", PATIENCE.as_secs())
}

/// Reads one message by one reader, and says what that took.
pub(super) fn read_one(memory: PeakAlloc) {
    let words: Vec<_> = std::env::args()
        .skip_while(|word| word != "--one")
        .collect();
    let [_, reader, path, ..] = words.as_slice() else {
        panic!("--one READER PATH");
    };
    memory.reset_peak_usage();
    let before = memory.current_usage();
    let begin = Instant::now();
    let refused = match reader.as_str() {
        "cdonts" => MessageFile::open(path)
            .and_then(|message| read_all(&message))
            .is_err(),
        "mail-parser" => !with_mail_parser(&std::fs::read(path).expect("the message")),
        "mailparse" => !with_mailparse(&std::fs::read(path).expect("the message")),
        other => panic!("{other} is no reader"),
    };
    let time = begin.elapsed();
    let memory = memory.peak_usage().saturating_sub(before);
    let mut said = format!("{} ms, {} MB", time.as_millis(), memory / 1_000_000);
    if refused {
        said.write_str(" (refused)").expect("a text grows");
    }
    println!("{said}");
}

fn with_mail_parser(bytes: &[u8]) -> bool {
    let Some(message) = MessageParser::default().parse(bytes) else {
        return false;
    };
    let mut octets = 0;
    for part in &message.parts {
        octets += part.contents().len() + part.attachment_name().map_or(0, str::len);
    }
    let text = message.body_text(0).map_or(0, |text| text.len());
    let html = message.body_html(0).map_or(0, |text| text.len());
    std::hint::black_box(octets + text + html);
    true
}

fn with_mailparse(bytes: &[u8]) -> bool {
    fn walk(part: &mailparse::ParsedMail<'_>) -> usize {
        let fields: usize = part
            .headers
            .iter()
            .map(|field| field.get_value().len())
            .sum();
        let body = part.get_body_raw().map_or(0, |body| body.len());
        let text = part.get_body().map_or(0, |text| text.len());
        fields + body + text + part.subparts.iter().map(walk).sum::<usize>()
    }
    match mailparse::parse_mail(bytes) {
        Ok(message) => {
            std::hint::black_box(walk(&message));
            true
        }
        Err(_) => false,
    }
}
