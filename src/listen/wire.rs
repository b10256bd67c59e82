//! The lines of a client, by deadlines and caps, with ends that leave nothing to interpretation.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection};

use crate::net::{Channel, Timed};

/// The longest command line: RFC 5321 section 4.5.3.1.4 has 512, and extensions add to it.
const LONGEST: usize = 4096;

/// Ends a connection so that the client hears the last word: closed at once, with octets of his
/// unread, it would be lost on the way.
pub(super) fn close(mut stream: &TcpStream) {
    const LINGER: Duration = Duration::from_millis(500);
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.set_read_timeout(Some(LINGER / 5));
    let end = Instant::now() + LINGER;
    let mut block = [0; 4096];
    while Instant::now() < end && matches!(stream.read(&mut block), Ok(1..)) {}
    let _ = stream.shutdown(Shutdown::Both);
}

pub(super) fn turn_away(mut stream: TcpStream) {
    let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
    let _ = stream.write_all(b"421 4.3.2 too many clients; come again later\r\n");
}

pub(super) struct Wire {
    stream: Channel<ServerConnection>,
    ahead: Vec<u8>,
    timeout: Duration,
}

/// One command line.
pub(super) enum Line {
    /// With its CR LF.
    Whole(Vec<u8>),
    TooLong,
    /// It does not end as it must.
    Odd,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, timeout: Duration) -> Self {
        let _ = stream.set_nodelay(true);
        Self {
            stream: Channel::Plain(Timed::new(stream, timeout)),
            ahead: Vec::new(),
            timeout,
        }
    }

    fn begin(&mut self) {
        self.stream.set_time(self.timeout);
    }

    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        self.begin();
        self.stream.write_all(text.as_bytes())?;
        self.stream.flush()
    }

    pub(super) fn is_private(&self) -> bool {
        self.stream.is_private()
    }

    /// Whether the client spoke on before it had an answer.
    pub(super) fn has_more(&self) -> bool {
        !self.ahead.is_empty()
    }

    pub(super) fn start_tls(&mut self, config: &Arc<ServerConfig>) -> io::Result<()> {
        self.begin();
        let session = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        self.stream.start_tls(session)
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut block = [0; 16 * 1024];
        let count = self.stream.read(&mut block)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.ahead
            .extend_from_slice(block.get(..count).unwrap_or_default());
        Ok(())
    }

    /// The next command.
    pub(super) fn line(&mut self) -> io::Result<Line> {
        self.begin();
        let mut searched = 0;
        loop {
            let rest = self.ahead.get(searched..).unwrap_or_default();
            if let Some(at) = memchr::memchr(b'\n', rest) {
                let rest = self.ahead.split_off(searched + at + 1);
                let line = std::mem::replace(&mut self.ahead, rest);
                let is_odd = !line.ends_with(b"\r\n")
                    || memchr::memchr(b'\r', &line).is_some_and(|at| at + 2 != line.len())
                    || line.contains(&0);
                return Ok(match (line.len() > LONGEST, is_odd) {
                    (true, _) => Line::TooLong,
                    (false, true) => Line::Odd,
                    (false, false) => Line::Whole(line),
                });
            }
            searched = self.ahead.len();
            if searched > 2 * LONGEST {
                return Ok(Line::TooLong);
            }
            self.fill()?;
        }
    }

    /// The message behind DATA, up to its dot; dots are unstuffed. `give` gets it block by block.
    pub(super) fn message(
        &mut self,
        mut give: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<Message> {
        let mut reader = DataReader::default();
        loop {
            self.begin();
            if self.ahead.is_empty() {
                self.fill()?;
            }
            let block = std::mem::take(&mut self.ahead);
            let mut out = Vec::with_capacity(block.len());
            let used = reader.feed(&block, &mut out);
            give(&out)?;
            if reader.is_done {
                self.ahead = block.get(used..).unwrap_or_default().to_vec();
                return Ok(Message {
                    is_odd: reader.is_odd,
                });
            }
        }
    }
}

/// What there is to say of a message that was read to its end.
pub(super) struct Message {
    /// A CR or LF stood alone in it.
    pub(super) is_odd: bool,
}

/// Finds CR LF dot CR LF, and only that.
#[derive(Default)]
struct DataReader {
    state: At,
    is_odd: bool,
    is_done: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum At {
    #[default]
    LineStart,
    Text,
    Cr,
    Dot,
    DotCr,
}

impl DataReader {
    /// How much of the block belongs to the message.
    fn feed(&mut self, block: &[u8], out: &mut Vec<u8>) -> usize {
        for (index, &byte) in block.iter().enumerate() {
            self.state = match (self.state, byte) {
                (At::LineStart, b'.') => At::Dot,
                (At::Dot, b'\r') => At::DotCr,
                (At::DotCr, b'\n') => {
                    self.is_done = true;
                    return index + 1;
                }
                (At::DotCr, _) => {
                    // It was a line that begins with a dot and a lone CR.
                    self.is_odd = true;
                    out.push(b'\r');
                    self.next(byte, out)
                }
                (At::Cr, b'\n') => {
                    out.extend_from_slice(b"\r\n");
                    At::LineStart
                }
                (At::Cr, _) => {
                    self.is_odd = true;
                    out.push(b'\r');
                    self.next(byte, out)
                }
                _ => self.next(byte, out),
            };
        }
        block.len()
    }

    fn next(&mut self, byte: u8, out: &mut Vec<u8>) -> At {
        match byte {
            b'\r' => At::Cr,
            b'\n' => {
                // It ends no line here, so that no dot behind it ends the message.
                self.is_odd = true;
                out.push(byte);
                At::Text
            }
            _ => {
                out.push(byte);
                At::Text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(wire: &[u8], cut: usize) -> (String, bool, bool, usize) {
        let mut reader = DataReader::default();
        let (mut out, mut used) = (Vec::new(), 0);
        for piece in wire.chunks(cut) {
            if reader.is_done {
                break;
            }
            used += reader.feed(piece, &mut out);
        }
        let text = String::from_utf8(out).unwrap();
        (text, reader.is_odd, reader.is_done, used)
    }

    #[test]
    fn only_a_dot_between_whole_line_ends_ends_a_message() {
        for (wire, text, is_odd) in [
            ("a\r\n.\r\n", "a\r\n", false),
            (".\r\n", "", false),
            ("..\r\n...b\r\n.\r\n", ".\r\n..b\r\n", false),
            (".b\r\n.\r\n", "b\r\n", false),
            ("a\n.\r\nMAIL\r\n.\r\n", "a\n.\r\nMAIL\r\n", true),
            ("a\r.\r\nMAIL\r\n.\r\n", "a\r.\r\nMAIL\r\n", true),
            ("a\r\n.\nMAIL\r\n.\r\n", "a\r\n\nMAIL\r\n", true),
            ("a\r\n.\rMAIL\r\n.\r\n", "a\r\n\rMAIL\r\n", true),
            ("a\r\r\n.\r\n", "a\r\r\n", true),
        ] {
            for cut in 1..9 {
                let expected = (text.to_owned(), is_odd, true, wire.len());
                assert_eq!(read(wire.as_bytes(), cut), expected, "{wire:?} {cut}");
            }
        }
        let (_, _, is_done, _) = read(b"a\r\n.\n.\r.\n\n.\r\r\n", 3);
        assert!(!is_done);
        // What follows is the next command.
        assert_eq!(read(b".\r\nQUIT\r\n", 99).3, 3);
    }
}
