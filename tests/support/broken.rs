//! Somebody between a client and a server who breaks what the server says, at one line of it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What becomes of the chosen line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    CutBefore,
    CutWithin,
    CutAfter,
    Stall,
    Endless,
    Garbled,
    Twice,
    BareLineFeed,
    Missing,
    /// From this line on nothing comes any more, over no connection.
    Gone,
    /// The end of a command of IMAP, which alone counts, is a refusal.
    Refused,
}

/// Those that strike once.
pub(crate) const FAULTS: [Fault; 9] = [
    Fault::CutBefore,
    Fault::CutWithin,
    Fault::CutAfter,
    Fault::Stall,
    Fault::Endless,
    Fault::Garbled,
    Fault::Twice,
    Fault::BareLineFeed,
    Fault::Missing,
];

impl Fault {
    /// The bytes that arrive are the server's.
    pub(crate) fn is_honest(self) -> bool {
        matches!(
            self,
            Self::CutBefore
                | Self::CutWithin
                | Self::CutAfter
                | Self::Stall
                | Self::Endless
                | Self::Gone
        )
    }
}

/// As long as a client waits on a broken line.
pub(crate) const PATIENCE: Duration = Duration::from_millis(300);
/// And on a good one, however slow the machine is.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// Stands before a server on loopback. The fault strikes once; before and after it the line is good,
/// unless it is gone.
pub(crate) struct Broken {
    pub(crate) port: u16,
    lines: Arc<AtomicUsize>,
}

impl Broken {
    pub(crate) fn new(server: u16, at: usize, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let lines = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&lines);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", server)))
                else {
                    continue;
                };
                let count = Arc::clone(&count);
                std::thread::spawn(move || between(client, server, &count, at, fault));
            }
        });
        Self { port, lines }
    }

    /// How many lines the server has said.
    pub(crate) fn lines(&self) -> usize {
        self.lines.load(Ordering::Relaxed)
    }
}

fn between(client: TcpStream, server: TcpStream, count: &AtomicUsize, at: usize, fault: Fault) {
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let mut client = client;
    let mut said = BufReader::new(server);
    loop {
        let mut line = Vec::new();
        let read = match fault {
            Fault::Gone => read_some(&mut said, &mut line),
            _ => said.read_until(b'\n', &mut line),
        };
        if !matches!(read, Ok(1..)) {
            break;
        }
        if fault == Fault::Refused && refusal(&line).is_none() {
            if client.write_all(&line).is_err() {
                break;
            }
            continue;
        }
        let number = count.fetch_add(1, Ordering::Relaxed);
        let is_struck = number == at || fault == Fault::Gone && number > at;
        let goes_on = if is_struck {
            strike(&mut client, &line, fault)
        } else {
            client.write_all(&line).is_ok()
        };
        if !goes_on {
            break;
        }
    }
    let _ = client.shutdown(std::net::Shutdown::Both);
    let _ = said.get_ref().shutdown(std::net::Shutdown::Both);
}

/// Instead of the end of a command that went well.
fn refusal(line: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(line).ok()?;
    let (tag, rest) = text.split_once(' ')?;
    let number = tag.strip_prefix('c')?;
    let is_end = rest.starts_with("OK") && number.bytes().all(|byte| byte.is_ascii_digit());
    is_end.then(|| format!("{tag} NO [LIMIT] not now\r\n").into_bytes())
}

/// A line, or of one that has no end yet, as within TLS, what has come of it.
fn read_some(from: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<usize> {
    let some = from.fill_buf()?;
    let end = some.iter().position(|&octet| octet == b'\n');
    let count = end.map_or(some.len(), |end| end + 1);
    line.extend_from_slice(&some[..count]);
    from.consume(count);
    Ok(count)
}

/// Whether the connection goes on.
fn strike(client: &mut TcpStream, line: &[u8], fault: Fault) -> bool {
    match fault {
        Fault::CutBefore | Fault::Gone => return false,
        Fault::CutWithin => {
            let _ = client.write_all(&line[..line.len() / 2]);
            return false;
        }
        Fault::CutAfter => {
            let _ = client.write_all(line);
            return false;
        }
        // Until the client goes.
        Fault::Stall => {
            std::thread::sleep(PATIENCE * 4);
            return false;
        }
        Fault::Endless => {
            let block = vec![b'x'; 64 * 1024];
            for _ in 0..4000 {
                if client.write_all(&block).is_err() {
                    break;
                }
            }
            return false;
        }
        Fault::Garbled => client.write_all(b"\0\xff\x1b[2J garbled \xc3(\r\n"),
        Fault::Twice => client.write_all(&[line, line].concat()),
        Fault::BareLineFeed => {
            let text = line.strip_suffix(b"\r\n").unwrap_or(line);
            client.write_all(&[text, b"\n"].concat())
        }
        Fault::Missing => Ok(()),
        Fault::Refused => client.write_all(&refusal(line).unwrap_or_default()),
    }
    .is_ok()
}

/// Stands before an IMAP server and says something else wherever an answer about a message says
/// this.
pub(crate) fn altered(server: u16, from: &'static str, to: &'static str) -> u16 {
    altered_by(server, move |line| {
        if line.contains(" FETCH (") {
            Some(line.replace(from, to))
        } else {
            Some(line.to_owned())
        }
    })
}

/// Stands before a server and says something else, or nothing, instead of a line of text.
pub(crate) fn altered_by(
    server: u16,
    alter: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let alter = Arc::new(alter);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
            let (mut said, mut asked) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut said, &mut asked);
                let _ = asked.shutdown(std::net::Shutdown::Write);
            });
            let alter = Arc::clone(&alter);
            std::thread::spawn(move || {
                let (mut client, mut server, mut line) =
                    (client, BufReader::new(server), Vec::new());
                while let Ok(1..) = server.read_until(b'\n', &mut line) {
                    let said = match std::str::from_utf8(&line) {
                        Ok(text) => alter(text).unwrap_or_default().into_bytes(),
                        Err(_) => line.clone(),
                    };
                    if client.write_all(&said).is_err() {
                        break;
                    }
                    line.clear();
                }
                let _ = client.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    port
}

/// Stands before a POP3 server and refuses one of its answers, with all that it says; how many there
/// were.
pub(crate) fn refusing_pop3(server: u16, at: usize) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let answers = Arc::clone(&count);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
            let (tell, asked) = std::sync::mpsc::channel();
            // The greeting answers nothing.
            tell.send(false).unwrap();
            let (said, mut out) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                for line in BufReader::new(said).lines().map_while(Result::ok) {
                    let is_long = ["CAPA", "LIST", "UIDL"].contains(&line.as_str())
                        || ["TOP ", "RETR"].iter().any(|word| line.starts_with(word));
                    let _ = tell.send(is_long);
                    if out.write_all(format!("{line}\r\n").as_bytes()).is_err() {
                        break;
                    }
                }
                let _ = out.shutdown(std::net::Shutdown::Write);
            });
            let answers = Arc::clone(&answers);
            std::thread::spawn(move || {
                let _ = answer_pop3(client, server, &asked, &answers, at);
            });
        }
    });
    (port, count)
}

fn answer_pop3(
    mut client: TcpStream,
    server: TcpStream,
    asked: &std::sync::mpsc::Receiver<bool>,
    answers: &AtomicUsize,
    at: usize,
) -> std::io::Result<()> {
    let mut server = BufReader::new(server);
    let mut line = Vec::new();
    while server.read_until(b'\n', &mut line)? > 0 {
        let is_long = asked.recv().unwrap_or(false) && line.starts_with(b"+OK");
        let is_refused = answers.fetch_add(1, Ordering::Relaxed) == at;
        let said: &[u8] = if is_refused {
            b"-ERR not now\r\n"
        } else {
            &line
        };
        client.write_all(said)?;
        while is_long && line != b".\r\n" {
            line.clear();
            server.read_until(b'\n', &mut line)?;
            if !is_refused {
                client.write_all(&line)?;
            }
        }
        line.clear();
    }
    client.shutdown(std::net::Shutdown::Both)
}
