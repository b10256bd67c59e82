//! An SMTP server that counts what it has taken.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::Roots;

/// What kind of server it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kind {
    /// TLS from the first octet.
    pub(super) is_implicit: bool,
    /// It knows no EHLO.
    pub(super) is_old: bool,
    /// What it answers to `EHLO`, each a line.
    pub(super) can: &'static [&'static str],
    /// How it answers to `RCPT`, instead of 250.
    pub(super) recipient: Option<&'static str>,
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

pub(super) struct Server {
    pub(super) port: u16,
    authority: Vec<u8>,
    /// From whom the messages were that it has to their ends.
    pub(super) taken: Arc<Mutex<Vec<String>>>,
    pub(super) heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(super) fn start(kind: Kind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        super::certificate::certificate(dir.path());
        let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
        let authority = read("cert.pem");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let session = Session {
            kind,
            tls: super::tls::server(&authority, &read("key.pem")),
            taken: Arc::default(),
            heard: Arc::default(),
        };
        let (taken, heard) = (Arc::clone(&session.taken), Arc::clone(&session.heard));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let session = session.clone();
                std::thread::spawn(move || session.serve(stream));
            }
        });
        Self {
            port,
            authority,
            taken,
            heard,
        }
    }

    pub(super) fn roots(&self) -> Roots {
        Roots::Only(self.authority.clone())
    }
}

#[derive(Clone)]
struct Session {
    kind: Kind,
    tls: Arc<ServerConfig>,
    taken: Arc<Mutex<Vec<String>>>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Session {
    fn private(&self, stream: TcpStream) -> Box<dyn Stream> {
        let session = ServerConnection::new(Arc::clone(&self.tls)).unwrap();
        Box::new(StreamOwned::new(session, stream))
    }

    fn serve(&self, stream: TcpStream) {
        let (mut clear, mut from) = (Some(stream.try_clone().unwrap()), String::new());
        let mut talk: Box<dyn Stream> = if self.kind.is_implicit {
            self.private(stream)
        } else {
            Box::new(stream)
        };
        if say(&mut talk, "220 here") {
            while self.answer(&mut talk, &mut clear, &mut from).is_some() {}
        }
    }

    /// Answers one line; `None` at the end.
    fn answer(
        &self,
        talk: &mut Box<dyn Stream>,
        clear: &mut Option<TcpStream>,
        from: &mut String,
    ) -> Option<()> {
        let line = hear(talk)?;
        self.heard.lock().unwrap().push(line.clone());
        let said = match line.get(..4).unwrap_or(&line) {
            "EHLO" if self.kind.is_old => "502 what?".to_owned(),
            "EHLO" => {
                let lines = self.kind.can.iter().map(|can| format!("250-{can}\r\n"));
                format!("250-here\r\n{}250 HELP", lines.collect::<String>())
            }
            "STAR" => {
                say(talk, "220 go on").then_some(())?;
                *talk = self.private(clear.take()?);
                return Some(());
            }
            "AUTH" if line.starts_with("AUTH XOAUTH2") => {
                say(talk, "334 e30=").then_some(())?;
                hear(talk)?;
                "535 5.7.8 no".to_owned()
            }
            "AUTH" if line == "AUTH LOGIN" => {
                for word in ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"] {
                    say(talk, word).then_some(())?;
                    hear(talk)?;
                }
                "235 2.7.0 welcome".to_owned()
            }
            "AUTH" => "235 2.7.0 welcome".to_owned(),
            "RCPT" => self.kind.recipient.unwrap_or("250 2.1.5").to_owned(),
            "DATA" => {
                say(talk, "354 go").then_some(())?;
                while hear(talk)? != "." {}
                self.taken.lock().unwrap().push(from.clone());
                "250 2.0.0".to_owned()
            }
            "MAIL" => {
                from.clone_from(&line);
                "250 2.1.0".to_owned()
            }
            "QUIT" => return None,
            _ => "250 2.0.0 ok".to_owned(),
        };
        say(talk, &said).then_some(())
    }
}

fn say(talk: &mut Box<dyn Stream>, line: &str) -> bool {
    let written = talk.write_all(format!("{line}\r\n").as_bytes());
    written.and_then(|()| talk.flush()).is_ok()
}

/// A line without its end; `None` when the client is gone.
fn hear(talk: &mut Box<dyn Stream>) -> Option<String> {
    let mut line = Vec::new();
    let mut octet = [0];
    while !line.ends_with(b"\r\n") {
        talk.read_exact(&mut octet).ok()?;
        line.extend(octet);
    }
    line.truncate(line.len() - 2);
    Some(String::from_utf8_lossy(&line).into_owned())
}
