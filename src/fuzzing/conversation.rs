//! Servers that say anything: every dialogue ends, in an answer or an error.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::{Credentials, Imap, MailServer, Pop3, RelayMessage, Session, Smtp, Transport as _};

/// What one connection after the other is told.
struct Server {
    port: u16,
    says: mpsc::Sender<Vec<u8>>,
}

/// Pieces of `data`, each after something was heard; then it goes. `{tag}` is the first word of
/// what was heard last.
fn talk(mut stream: TcpStream, data: &[u8]) {
    let _ = stream.set_read_timeout(Some(Duration::from_millis(10)));
    let mut heard = [0; 4096];
    let mut tag = Vec::new();
    for piece in data.split(|&byte| byte == 0xff) {
        if stream.write_all(&with_tag(piece, &tag)).is_err() {
            return;
        }
        let Ok(count @ 1..) = stream.read(&mut heard) else {
            return;
        };
        let word = heard[..count].split(|&byte| byte == b' ').next();
        tag = word.unwrap_or_default().to_vec();
    }
}

fn with_tag(piece: &[u8], tag: &[u8]) -> Vec<u8> {
    let mut said = Vec::new();
    let mut rest = piece;
    while let Some(at) = memchr::memmem::find(rest, b"{tag}") {
        said.extend(&rest[..at]);
        said.extend(tag);
        rest = &rest[at + 5..];
    }
    said.extend(rest);
    said
}

fn server() -> &'static Mutex<Server> {
    static SERVER: OnceLock<Mutex<Server>> = OnceLock::new();
    SERVER.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (says, to_say) = mpsc::channel::<Vec<u8>>();
        std::thread::spawn(move || {
            let mut data = Vec::new();
            for stream in listener.incoming() {
                if let Some(newest) = to_say.try_iter().last() {
                    data = newest;
                }
                if let Ok(stream) = stream {
                    talk(stream, &data);
                }
            }
        });
        Mutex::new(Server { port, says })
    })
}

/// The first byte chooses the protocol; the rest is what the server says, a piece at a time.
pub fn conversation(data: &[u8]) {
    let Some((&protocol, said)) = data.split_first() else {
        return;
    };
    // One at a time: the corpus is replayed by tests that run beside each other.
    let server = server().lock().unwrap_or_else(PoisonError::into_inner);
    server.says.send(said.to_vec()).unwrap();
    let time = Duration::from_secs(2);
    match protocol % 3 {
        0 => smtp(&Smtp::plain("127.0.0.1").port(server.port).timeout(time)),
        1 => read(
            &MailServer::builder()
                .inbox(Pop3::plain("127.0.0.1").port(server.port).timeout(time))
                .open()
                .unwrap(),
        ),
        _ => read(
            &MailServer::builder()
                .inbox(Imap::plain("127.0.0.1").port(server.port).timeout(time))
                .open()
                .unwrap(),
        ),
    }
}

/// Each recipient has an outcome.
fn smtp(smtp: &Smtp) {
    let recipients = ["a@example.net".to_owned(), "b@example.net".to_owned()];
    let bytes = b"Subject: x\r\n\r\n.\r\ntext\r\n".to_vec();
    let message = RelayMessage {
        id: "0",
        reverse_path: "from@example.com",
        recipients: &recipients,
        range: 0..bytes.len() as u64,
        bytes: Arc::new(bytes),
        credentials: None,
    };
    assert_eq!(smtp.send(&message).len(), 2);
}

fn read(server: &MailServer) {
    let credentials = Credentials::password("ann@example.com", "secret");
    let Ok(session) = Session::logon(server, credentials) else {
        return;
    };
    let Ok(messages) = session.inbox().messages() else {
        return;
    };
    for message in messages.iter().take(20) {
        let _ = (message.text(), message.attachments().map(|all| all.len()));
        let _ = message.delete();
    }
}
