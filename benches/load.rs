//! Many messages from many threads through the queue, with two services and a relay that defers
//! every tenth; beside Postfix's own way in, its `sendmail`, where there is one.
//!
//! `cargo bench --bench load -- [--messages 10000]`
#![allow(clippy::disallowed_methods, reason = "it makes its directories")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cdonts::{
    Delivery, MailServer, NewMail, Outcome, RelayMessage, Reply, RetrySchedule, Transport,
};

const THREADS: usize = 16;
const TEXT: &str = "The quick brown fox jumps over the lazy dog, and then it does so again.\r\n";

#[derive(Clone, Default)]
struct Moody(Arc<Mutex<HashMap<String, usize>>>);

impl Transport for Moody {
    fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome> {
        // It reads all of it, as one does who hands it on.
        let _ = message.write_to(&mut std::io::sink());
        let mut times = self.0.lock().expect("no thread has panicked");
        let mut answer = |to: &String| {
            let time = times.entry(to.clone()).or_default();
            *time += 1;
            if to.contains("0@") && *time == 1 {
                Outcome::Deferred(Reply::new(450, "4.2.0", "later"))
            } else {
                Outcome::Accepted(Reply::new(250, "2.0.0", "ok"))
            }
        };
        message.recipients().iter().map(&mut answer).collect()
    }
}

fn open(root: &Path, relay: &Moody) -> MailServer {
    MailServer::builder()
        .mailroot(root)
        .create_directories()
        .local_domain("example.com")
        .relay(relay.clone())
        .retry(RetrySchedule::default().retry_after([Duration::ZERO]))
        .open()
        .expect("a server")
}

/// Runs `work` for each number, by all threads.
fn by_threads(messages: usize, work: impl Fn(usize) + Sync) -> f64 {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let work = &work;
            scope.spawn(move || (thread..messages).step_by(THREADS).for_each(work));
        }
    });
    messages as f64 / begin.elapsed().as_secs_f64()
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let after = words.iter().position(|word| word == "--messages");
    let messages = after.and_then(|at| words.get(at + 1)?.parse().ok());
    let messages = messages.unwrap_or(10_000);
    let root = tempfile::tempdir().expect("a directory");
    let relay = Moody::default();
    let services: Vec<_> = (0..2)
        .map(|_| {
            let server = open(root.path(), &relay);
            let every = Duration::from_millis(50);
            (Delivery::start(&server, every).expect("it starts"), server)
        })
        .collect();
    let server = open(root.path(), &relay);
    let begin = Instant::now();
    let sent = by_threads(messages, |number| {
        let mail = NewMail::new(&server).from("shop@example.com");
        let mail = mail.to(format!("{number}@example.net"));
        mail.body(TEXT.repeat(27)).send().expect("it is sent");
    });
    while !server.queue().expect("a queue").is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let all = messages as f64 / begin.elapsed().as_secs_f64();
    drop(services);
    let times = relay.0.lock().expect("no thread has panicked");
    let twice = times.values().filter(|&&times| times > 1).count();
    assert_eq!((times.len(), twice), (messages, messages.div_ceil(10)));
    println!("{sent:>9.0} messages a second sent, durable, from {THREADS} threads");
    println!("{all:>9.0} messages a second sent and relayed, each once");
    postfix(messages / 10);
}

/// As many as a tenth: a program is started for each.
fn postfix(messages: usize) {
    let sendmail = Path::new("/usr/sbin/sendmail");
    let config = std::env::var_os("MAIL_CONFIG");
    let (true, Some(_)) = (sendmail.exists(), config) else {
        println!("skipped: no Postfix that runs (its directory in MAIL_CONFIG)");
        return;
    };
    let taken = by_threads(messages, |number| {
        let mut child = Command::new(sendmail)
            .args(["-i", "-f", "shop@example.com", "--"])
            .arg(format!("{number}@example.org"))
            .stdin(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut input = child.stdin.take().expect("its input");
        let message = format!("Subject: x\n\n{}", TEXT.repeat(27));
        input.write_all(message.as_bytes()).expect("it is written");
        drop(input);
        assert!(child.wait().expect("it ends").success());
    });
    println!("{taken:>9.0} messages a second taken by Postfix's sendmail, from {THREADS} threads");
}
