//! A mail server that keeps to a script: what it says, and what it must hear.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
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
    /// Says nothing, and hears whatever comes until the client goes.
    HearAll,
    /// Hears `QUIT`; or else the client goes on, and it is the next session that is meant: all of
    /// it behind the first step that answers this.
    QuitOrNextBehind(&'static str),
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
                std::thread::spawn(move || Talk::new(stream).run(&session, &told).is_none())
            });
            for session in sessions.collect::<Vec<_>>() {
                assert!(session.join().unwrap());
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
            let mut going_on = None;
            for mut session in sessions {
                let mut talk = match going_on.take() {
                    Some((talk, last)) => {
                        let is_last =
                            |step: &Step| matches!(step, Step::Answer(heard, _) if *heard == last);
                        let at = session.iter().position(is_last).unwrap();
                        session.drain(..=at);
                        talk
                    }
                    None => Talk::new(listener.accept().unwrap().0),
                };
                going_on = talk.run(&session, &told).map(|last| (talk, last));
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

/// Where nobody waits for the end, a client that did not keep to the script is no secret either.
impl Drop for Script {
    fn drop(&mut self) {
        let is_kept = !self.heard.is_poisoned();
        assert!(is_kept || std::thread::panicking(), "see the script");
    }
}

/// A connection, and what was heard last.
struct Talk {
    out: TcpStream,
    lines: BufReader<TcpStream>,
    tag: String,
    /// A line that was heard already.
    ahead: Option<String>,
}

impl Talk {
    fn new(stream: TcpStream) -> Self {
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self {
            out: stream.try_clone().unwrap(),
            lines: BufReader::new(stream),
            tag: String::new(),
            ahead: None,
        }
    }

    /// Keeps to the script; if the client goes on instead of leaving, what he goes on behind.
    fn run(&mut self, steps: &[Step], heard: &Mutex<Vec<String>>) -> Option<&'static str> {
        for step in steps {
            let (wanted, said) = match step {
                Step::Say(text) => (None, Some(text)),
                Step::Hear(wanted) => (Some(*wanted), None),
                Step::Answer(wanted, text) => (Some(*wanted), Some(text)),
                Step::Stall => {
                    let mut rest = Vec::new();
                    let _ = self.lines.read_to_end(&mut rest);
                    return None;
                }
                Step::HearAll => {
                    let mut rest = String::new();
                    let _ = self.lines.read_to_string(&mut rest);
                    heard
                        .lock()
                        .unwrap()
                        .extend(rest.lines().map(ToOwned::to_owned));
                    return None;
                }
                Step::QuitOrNextBehind(last) => {
                    let line = self.line();
                    if line == "QUIT" {
                        heard.lock().unwrap().push(line);
                        return None;
                    }
                    self.ahead = Some(line);
                    return Some(last);
                }
            };
            if let Some(wanted) = wanted {
                let line = self.line();
                // Whoever does not keep to the script poisons it.
                let mut heard = heard.lock().unwrap();
                heard.push(line.clone());
                let (first, rest) = line.split_once(' ').unwrap_or(("", &line));
                assert!(
                    line.starts_with(wanted) || rest.starts_with(wanted),
                    "`{line}` instead of `{wanted}`"
                );
                // What is said within a command has no tag of its own.
                if !first.is_empty() {
                    first.clone_into(&mut self.tag);
                }
            }
            if let Some(said) = said {
                // The client may be gone by now: what it must hear is in the script.
                let said = said.replace("{tag}", &self.tag);
                let _ = self.out.write_all(said.as_bytes());
            }
        }
        None
    }

    fn line(&mut self) -> String {
        self.ahead.take().unwrap_or_else(|| {
            let mut line = String::new();
            self.lines.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        })
    }
}
