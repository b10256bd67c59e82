//! Mail that was made to hurt: it costs what other mail of its size costs, and ends no thread.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

#[path = "support/bombs.rs"]
mod bombs;
mod support;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bombs::{BOMBS, read_all};
use cdonts::{ErrorKind, Limits, MessageFile};
use support::{Root, messages};

type Change = fn(&mut Limits);

/// Ten times what a message may take at most.
const WATCHDOG: Duration = Duration::from_secs(20);

/// On a thread with the stack that Rust gives to threads, in a build that checks everything.
#[test]
fn no_message_ends_its_thread_or_takes_for_ever() {
    for bomb in BOMBS {
        let (done, wait) = mpsc::channel();
        let message = (bomb.make)(bomb.most.min(3_000_000));
        thread::Builder::new()
            .stack_size(2 << 20)
            .spawn(move || {
                let read = MessageFile::from_bytes(message).and_then(|message| read_all(&message));
                done.send(read).unwrap();
            })
            .unwrap();
        match wait.recv_timeout(WATCHDOG) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => panic!("{}: {error}", bomb.name),
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("{}: still busy", bomb.name),
            Err(mpsc::RecvTimeoutError::Disconnected) => panic!("{}: a panic", bomb.name),
        }
    }
}

/// Eight times the input takes about eight times the work; a reader that looks back would take
/// sixty-four times as much. Work is the processor time of the thread, which the load of the machine
/// does not change much, and the least of several runs.
#[test]
fn work_grows_with_the_input_and_no_faster() {
    let work = |message: &[u8]| {
        let start = cpu_time::ThreadTime::now();
        let read = MessageFile::from_bytes(message).and_then(|message| read_all(&message));
        (start.elapsed(), read)
    };
    for bomb in BOMBS {
        let large = bomb.most.min(400_000);
        let (small, large) = ((bomb.make)(large / 8), (bomb.make)(large));
        work(&small)
            .1
            .unwrap_or_else(|error| panic!("{}: {error}", bomb.name));
        let mut least = [Duration::MAX; 2];
        let grows = |least: [Duration; 2]| least[1] > least[0] * 20 + Duration::from_millis(1);
        for _ in 0..6 {
            for (least, message) in least.iter_mut().zip([&small, &large]) {
                *least = (*least).min(work(message).0);
            }
            if !grows(least) {
                break;
            }
        }
        assert!(!grows(least), "{}: {least:?}", bomb.name);
    }
}

/// Beyond a limit, too, everything ends, and the error names the limit.
#[test]
fn beyond_a_limit_the_error_names_it() {
    let over = |change: Change, message: String| {
        let mut limits = Limits::default();
        change(&mut limits);
        let message = MessageFile::from_bytes_with(message, &limits)?;
        read_all(&message)
    };
    let cases: [(&str, Change, String); 7] = [
        ("message", |l| l.message = 10, "x".repeat(11)),
        (
            "header_section",
            |l| l.header_section = 10,
            "A: 12345678\n\n".into(),
        ),
        ("field", |l| l.field = 5, "A: 123\n\n".into()),
        ("fields", |l| l.fields = 1, "A: 1\nB: 2\n\n".into()),
        (
            "recipients",
            |l| l.recipients = 1,
            "To: a@x\nCc: b@x\n\n".into(),
        ),
        (
            "decoded_text",
            |l| l.decoded_text = 3,
            "A: b\n\nfour".into(),
        ),
        (
            "decoded_text",
            |l| l.decoded_text = 3,
            "Content-Type: text/plain; charset=windows-1252\n\n\u{80}\u{80}".into(),
        ),
    ];
    for (name, change, message) in cases {
        let error = over(change, message).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{name}");
        assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
    }
    // Depth and parts: what lies beyond is one part, and the message is read.
    let cases: [(&str, Change); 2] = [
        ("2 deep", |l| l.depth = 2),
        ("more than 3 parts", |l| l.parts = 3),
    ];
    let mut deep = String::new();
    for level in 0..4 {
        deep += &format!("Content-Type: multipart/x; boundary=b{level}\n\n--b{level}\n");
    }
    let many = "Content-Type: multipart/x; boundary=b\n\n--b\n\nfirst".to_owned()
        + &"\n--b\n\nx".repeat(5);
    for ((words, change), source) in cases.into_iter().zip([deep, many.clone()]) {
        let mut limits = Limits::default();
        change(&mut limits);
        let message = MessageFile::from_bytes_with(source, &limits).unwrap();
        let problems = message.problems().unwrap();
        assert!(
            problems
                .iter()
                .any(|problem| problem.text().contains(words)),
            "{problems:?}"
        );
        assert_eq!(message.attachments().unwrap().len(), 1);
    }
    let mut limits = Limits::default();
    limits.parts = 3;
    let message = MessageFile::from_bytes_with(many, &limits).unwrap();
    assert_eq!(message.text().unwrap(), "first");
    let rest = message
        .attachments()
        .unwrap()
        .get(0)
        .unwrap()
        .read()
        .unwrap();
    assert_eq!(rest, b"\nx\n--b\n\nx\n--b\n\nx\n--b\n\nx");
}

#[test]
fn the_other_messages_of_the_folder_stay_readable() {
    let root = Root::new();
    let server = root.builder().open().unwrap();
    let drop = root.path().join("Drop");
    let run = "X-Sender: s@x.example\r\nX-Receiver: jane@example.com\r\n";
    let mut count = 0;
    for (number, bomb) in BOMBS.iter().enumerate() {
        let mut file = run.as_bytes().to_vec();
        file.extend(b"Received: x\r\n");
        file.extend((bomb.make)(bomb.most.min(30_000)));
        std::fs::write(drop.join(format!("{number}.eml")), file).unwrap();
        count += 1;
    }
    let over = format!("{run}Subject: {}\r\n\r\n", "x".repeat(100_000));
    std::fs::write(drop.join("over.eml"), over).unwrap();
    let good = format!("{run}Subject: good\r\n\r\ntext");
    std::fs::write(drop.join("zz.eml"), good).unwrap();
    let found = messages(&server, "jane@example.com");
    assert_eq!(found.len(), count + 2);
    let good: Vec<_> = found.iter().filter(|m| m.subject() == "good").collect();
    assert_eq!(good[0].text().unwrap(), "text");
    let over: Vec<_> = found
        .iter()
        .filter(|m| m.file_name().to_str() == Some("over.eml"))
        .collect();
    let error = over[0].text().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(error.path(), Some(drop.join("over.eml").as_path()));
    for message in found
        .iter()
        .filter(|m| m.file_name() != over[0].file_name())
    {
        message.text().unwrap();
        message.problems().unwrap();
    }
}
