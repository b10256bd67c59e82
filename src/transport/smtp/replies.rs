//! Replies of an SMTP server (RFC 5321 section 4.2).

use std::time::Duration;

use crate::net::client::{Connection, Fault};
use crate::transport::Reply;

/// So many lines a reply may have.
const MOST_LINES: usize = 200;

impl Fault {
    /// What is told of it; `server` is its name.
    pub(super) fn into_reply(self, server: &str) -> Reply {
        match self {
            Self::Io(error) => Reply::new(0, "4.4.1", format!("{server}: {error}")),
            Self::NotPrivate(text, None) => Reply::new(0, "4.7.5", format!("{server}: {text}")),
            Self::NotPrivate(text, Some(error)) => {
                Reply::new(0, "4.7.5", format!("{server}: {text}: {error}"))
            }
            Self::Protocol(text) => Reply::new(0, "4.5.0", format!("{server}: {text}")),
            Self::Said(reply) => reply,
        }
    }
}

impl Connection {
    /// The next reply: its code, and its lines without the code.
    pub(super) fn read_reply(&mut self, time: Duration) -> Result<(u16, Vec<String>), Fault> {
        self.set_time(time);
        let mut lines = Vec::new();
        loop {
            let line = self.read_line()?;
            let wrong = || Fault::Protocol("the server's answer is no reply of SMTP".to_owned());
            let (code, rest) = line.split_at_checked(3).ok_or_else(wrong)?;
            let is_code = code.bytes().all(|byte| byte.is_ascii_digit());
            let code: u16 = code.parse().ok().filter(|_| is_code).ok_or_else(wrong)?;
            if !(200..600).contains(&code) {
                return Err(wrong());
            }
            let (is_last, text) = match rest.as_bytes().first() {
                None => (true, ""),
                Some(b' ') => (true, rest.get(1..).unwrap_or_default()),
                Some(b'-') => (false, rest.get(1..).unwrap_or_default()),
                Some(_) => return Err(wrong()),
            };
            lines.push(text.to_owned());
            if is_last {
                return Ok((code, lines));
            }
            if lines.len() >= MOST_LINES {
                return Err(Fault::Protocol("the server's answer has no end".to_owned()));
            }
        }
    }
}
