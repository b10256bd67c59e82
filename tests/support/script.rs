//! A mail server that keeps to a script: what it says, and what it must hear.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// One step of a session.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Sends this; `{tag}` is the first word of the line that was heard last.
    Say(String),
    /// Hears a line that begins with this, behind a tag if there is one.
    Hear(&'static str),
    /// Hears such a line and answers it: the two together.
    Answer(&'static str, String),
    /// Says nothing until the client goes.
    Stall,
}

pub(crate) fn say(text: &str) -> Step {
    Step::Say(text.to_owned())
}

pub(crate) fn hear(text: &'static str) -> Step {
    Step::Hear(text)
}

pub(crate) fn answer(heard: &'static str, text: &str) -> Step {
    Step::Answer(heard, text.to_owned())
}

/// A server for as many connections as there are scripts; each ends with its script.
pub(crate) struct Script {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Script {
    pub(crate) fn new(sessions: Vec<Vec<Step>>) -> Self {
        Self::on("127.0.0.1", sessions)
    }

    /// The same for connections that are open at once.
    pub(crate) fn side_by_side(sessions: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&heard);
        let thread = std::thread::spawn(move || {
            let sessions = sessions.into_iter().map(|session| {
                let (stream, _) = listener.accept().unwrap();
                let told = Arc::clone(&told);
                std::thread::spawn(move || run(stream, &session, &told))
            });
            for session in sessions.collect::<Vec<_>>() {
                session.join().unwrap();
            }
        });
        Self {
            port,
            heard,
            thread: Some(thread),
        }
    }

    pub(crate) fn on(address: &str, sessions: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&heard);
        let thread = std::thread::spawn(move || {
            for session in sessions {
                let (stream, _) = listener.accept().unwrap();
                run(stream, &session, &told);
            }
        });
        Self {
            port,
            heard,
            thread: Some(thread),
        }
    }

    /// All lines that came so far.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits for the scripts to end, and fails where one did not go as it should.
    pub(crate) fn finish(mut self) -> Vec<String> {
        self.thread.take().unwrap().join().unwrap();
        self.heard()
    }
}

fn run(stream: std::net::TcpStream, steps: &[Step], heard: &Mutex<Vec<String>>) {
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut out = stream.try_clone().unwrap();
    let mut lines = BufReader::new(stream);
    let mut tag = String::new();
    for step in steps {
        let (wanted, said) = match step {
            Step::Say(text) => (None, Some(text)),
            Step::Hear(wanted) => (Some(*wanted), None),
            Step::Answer(wanted, text) => (Some(*wanted), Some(text)),
            Step::Stall => {
                let mut rest = Vec::new();
                let _ = lines.read_to_end(&mut rest);
                return;
            }
        };
        if let Some(wanted) = wanted {
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            let line = line.trim_end().to_owned();
            heard.lock().unwrap().push(line.clone());
            let (first, rest) = line.split_once(' ').unwrap_or(("", &line));
            assert!(
                line.starts_with(wanted) || rest.starts_with(wanted),
                "`{line}` instead of `{wanted}`"
            );
            // What is said within a command has no tag of its own.
            if !first.is_empty() {
                first.clone_into(&mut tag);
            }
        }
        if let Some(said) = said {
            // The client may be gone by now: what it must hear is in the script.
            let _ = out.write_all(said.replace("{tag}", &tag).as_bytes());
        }
    }
}
