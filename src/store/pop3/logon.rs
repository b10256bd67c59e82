//! How one comes into a POP3 mailbox: what the server can do, TLS, credentials.

use base64_simd::STANDARD;

use super::dialogue::{Answer, Capabilities, Dialogue, Open};
use crate::credentials::{Credentials, Proof};
use crate::error::{Error, ErrorKind, Result};

/// While it is authenticated: for the secret, why not, and that it is so.
const MOST_ANSWERS: usize = 3;

impl Dialogue<'_> {
    pub(super) fn ask_capabilities(&mut self) -> Result<()> {
        let mut found = Capabilities::default();
        let list = self.list("CAPA")?.unwrap_or_default();
        for line in list.split(|&byte| byte == b'\n') {
            let line = String::from_utf8_lossy(line).to_ascii_uppercase();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("STLS") => found.stls = true,
                Some("TOP") => found.top = true,
                Some("UIDL") => found.uidl = true,
                Some("PIPELINING") => found.pipelining = true,
                Some("AUTH-RESP-CODE") => found.tells_why = true,
                Some("SASL") => found.sasl = words.map(ToOwned::to_owned).collect(),
                _ => {}
            }
        }
        self.connection.capabilities = found;
        Ok(())
    }

    pub(super) fn start_tls(&mut self) -> Result<()> {
        if !self.connection.capabilities.stls {
            return Err(self.endpoint.not_private("the server has no STLS"));
        }
        if let Answer::No(text) = self.command("STLS")? {
            let text = format!("the server does not begin TLS: {text}");
            return Err(self.endpoint.not_private(&text));
        }
        self.endpoint.start_tls(&mut self.connection.connection)?;
        // What was said in the clear counts for nothing.
        self.ask_capabilities()
    }

    pub(super) fn authenticate(&mut self, credentials: &Credentials) -> Result<()> {
        let has = |open: &Open, name: &str| open.capabilities.sasl.iter().any(|one| one == name);
        let user = &credentials.user;
        match &credentials.proof {
            Proof::Token(token) => {
                if !has(self.connection, "XOAUTH2") {
                    return Err(self.logon_failed("the server takes no token (XOAUTH2)"));
                }
                let text = format!("user={user}\u{1}auth=Bearer {token}\u{1}\u{1}");
                self.sasl("XOAUTH2", &text)
            }
            Proof::Password(password) if has(self.connection, "PLAIN") => {
                if user.contains('\0') || password.contains('\0') {
                    let message = "a user name or a password holds a NUL";
                    return Err(Error::new(ErrorKind::InvalidValue, message));
                }
                self.sasl("PLAIN", &format!("\0{user}\0{password}"))
            }
            Proof::Password(password) => {
                let answer = self.command(&format!("USER {user}"))?;
                if let Answer::No(text) = answer {
                    return Err(self.refused_logon(&text));
                }
                match self.command(&format!("PASS {password}"))? {
                    Answer::Yes(_) => Ok(()),
                    Answer::No(text) => Err(self.refused_logon(&text)),
                }
            }
        }
    }

    /// One answer of the client is all that these mechanisms have.
    fn sasl(&mut self, mechanism: &str, text: &str) -> Result<()> {
        self.write(&format!("AUTH {mechanism}"))?;
        let mut sent = false;
        for _ in 0..MOST_ANSWERS {
            self.connection.connection.set_time(self.endpoint.time);
            let line = match self.connection.connection.read_line() {
                Ok(line) => line,
                Err(fault) => return self.lost(self.endpoint.error(fault)),
            };
            if line.starts_with("+OK") && sent {
                return Ok(());
            }
            if let Some(text) = line.strip_prefix("-ERR") {
                return Err(self.refused_logon(text.trim()));
            }
            if !line.starts_with('+') || line.starts_with("+OK") {
                return self.wrong("the server's answer is none of POP3");
            }
            // A second challenge tells why not, and waits for an empty line before it says no.
            let answer = if sent {
                String::new()
            } else {
                STANDARD.encode_to_string(text)
            };
            sent = true;
            self.write(&answer)?;
        }
        self.wrong("the server asks again and again")
    }

    fn logon_failed(&self, text: &str) -> Error {
        Error::new(ErrorKind::LogonFailed, format!("{}: {text}", self.endpoint))
    }

    /// Why the server does not let one in, as far as it says (RFC 2449 section 8, RFC 3206).
    fn refused_logon(&self, text: &str) -> Error {
        let has_code = text.starts_with('[');
        if text.starts_with("[AUTH]") || !has_code && !self.connection.capabilities.tells_why {
            return self.logon_failed(&format!("the server does not take the credentials: {text}"));
        }
        self.refused(text)
    }
}
