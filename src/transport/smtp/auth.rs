//! Who one is to a server (RFC 4954), told only over TLS.

use base64_simd::STANDARD;

use super::dialogue::{Dialogue, reply};
use crate::credentials::{Credentials, Proof};
use crate::net::client::Fault;

impl Dialogue {
    pub(super) fn authenticate(&mut self, credentials: &Credentials) -> Result<(), Fault> {
        if !self.connection.is_private() {
            let text = "credentials are not sent without TLS";
            return Err(Fault::NotPrivate(text, None));
        }
        let user = &credentials.user;
        let has = |name: &str| self.extensions.auth.iter().any(|one| one == name);
        match &credentials.proof {
            Proof::Token(token) if has("XOAUTH2") => {
                let text = format!("user={user}\u{1}auth=Bearer {token}\u{1}\u{1}");
                self.command(&format!("AUTH XOAUTH2 {}", STANDARD.encode_to_string(text)))?;
                let (mut code, mut lines) = self.connection.read_reply(self.deadlines.reply)?;
                if code == 334 {
                    // It tells why not, and waits for an empty line before it says no.
                    self.command("")?;
                    (code, lines) = self.connection.read_reply(self.deadlines.reply)?;
                }
                is_235(code, &lines)
            }
            Proof::Password(password) if has("PLAIN") => {
                let text = format!("\0{user}\0{password}");
                self.command(&format!("AUTH PLAIN {}", STANDARD.encode_to_string(text)))?;
                self.is_authenticated()
            }
            Proof::Password(password) if has("LOGIN") => {
                self.command("AUTH LOGIN")?;
                self.expect(334)?;
                self.command(&STANDARD.encode_to_string(user.as_bytes()))?;
                self.expect(334)?;
                self.command(&STANDARD.encode_to_string(password.as_bytes()))?;
                self.is_authenticated()
            }
            _ => {
                let text = "the server offers no way of authentication that fits the credentials";
                Err(Fault::Protocol(text.to_owned()))
            }
        }
    }

    fn is_authenticated(&mut self) -> Result<(), Fault> {
        let (code, lines) = self.connection.read_reply(self.deadlines.reply)?;
        is_235(code, &lines)
    }
}

fn is_235(code: u16, lines: &[String]) -> Result<(), Fault> {
    match code {
        235 => Ok(()),
        _ => Err(Fault::Said(reply(code, lines))),
    }
}
