//! Answers: to a person, to all, onwards, and by a program that must not answer a program.

use std::time::SystemTime;

use crate::address_entry::AddressEntry;
use crate::draft::{AutoSubmitted, Draft};
use crate::error::{Error, ErrorKind, Result};
use crate::format::address::Address;
use crate::headers::Headers;
use crate::message::Message;
use crate::message_file::MessageFile;
use crate::recipients::{Recipient, RecipientType};
use crate::session::Session;

impl Message {
    /// An answer to whom the message wants it ([`reply_to`](Message::reply_to)): with `Re:`, the
    /// text quoted, and In-Reply-To and References, by which mail programs show a conversation
    /// (RFC 5322 section 3.6.4).
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// # use cdonts::*;
    /// # let server = MailServer::temporary()?;
    /// # NewMail::new(&server).from("joe@example.com").to("jane@example.com").subject("Lunch?").send()?;
    /// let jane = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
    /// let question = jane.inbox().messages()?.get_first().unwrap();
    /// let mut answer = question.reply(&jane)?;
    /// assert_eq!(answer.subject(), "Re: Lunch?");
    /// answer.set_text(format!("Yes.\n\n{}", answer.text()));
    /// answer.send()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    pub fn reply(&self, from: &Session) -> Result<Draft> {
        let mut draft = self.answer(from, "Re")?;
        let sent = self.time_sent()?.unwrap_or_else(|| self.time_received());
        address(&mut draft, self.reply_to()?);
        draft.set_text(quoted(self.sender(), sent, &self.text()?));
        Ok(draft)
    }

    /// The same to all others who got it too, but not to the session's own address.
    ///
    /// # Errors
    /// As [`reply`](Message::reply).
    pub fn reply_all(&self, from: &Session) -> Result<Draft> {
        let mut draft = self.reply(from)?;
        let key =
            |address: &str| Address::parse(address).map_or(address.to_owned(), |a| a.key(false));
        let mut known: Vec<_> = draft
            .recipients()
            .iter()
            .map(|to| key(to.address()))
            .collect();
        known.push(key(from.address()));
        for other in self.recipients()? {
            if !known.contains(&key(other.address())) && !other.address().is_empty() {
                known.push(key(other.address()));
                let recipients = draft.recipients_mut();
                recipients.push(Recipient::new(
                    other.name().to_owned(),
                    other.address(),
                    RecipientType::Cc,
                ));
            }
        }
        Ok(draft)
    }

    /// A draft that carries the message on, attached as it is; it has no recipient yet.
    ///
    /// # Errors
    /// As [`reply`](Message::reply).
    pub fn forward(&self, from: &Session) -> Result<Draft> {
        let mut draft = self.answer(from, "Fwd")?;
        draft.attachments_mut().add_message(self);
        Ok(draft)
    }

    /// Whether a program has sent it, so that no program may answer it (RFC 3834 section 2): it has
    /// the null reverse-path, says that it is automatic (Auto-Submitted, a Precedence of bulk, junk,
    /// list or `auto_reply`, X-Autoreply, X-Autorespond), asks for no automatic answer
    /// (X-Auto-Response-Suppress), comes from a mailing list (List-Id, List-Unsubscribe), or from a
    /// mail server's own address.
    ///
    /// A program that hides what it is cannot be told from a person: whoever answers by himself also
    /// answers no sender more than once in a while.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    pub fn is_automatic(&self) -> Result<bool> {
        if self.has_null_reverse_path() {
            return Ok(true);
        }
        Ok(says_automatic(&self.headers()?, self.sender()))
    }

    /// An answer by a program (RFC 3834): to the reverse-path, with Auto-Submitted and the null
    /// reverse-path, so that nothing answers it again. Its Message-ID is made from the original's,
    /// so that two programs that answer one message send the same one.
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// # use cdonts::*;
    /// # let server = MailServer::temporary()?;
    /// # NewMail::new(&server).from("joe@example.com").to("help@example.com").send()?;
    /// let help = Session::logon_smtp(&server, "Help Desk", "help@example.com")?;
    /// for message in help.inbox().messages()? {
    ///     if !message.is_automatic()? {
    ///         let mut answer = message.auto_reply(&help)?;
    ///         answer.set_text("Thank you, we got it.");
    ///         answer.send()?;
    ///     }
    ///     message.delete()?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NotSupported`](ErrorKind::NotSupported) for a message that [is
    /// automatic](Message::is_automatic) or has no sender; else as [`reply`](Message::reply).
    pub fn auto_reply(&self, from: &Session) -> Result<Draft> {
        let sender = match self.reverse_path() {
            "" => self.sender().address(),
            reverse_path => reverse_path,
        };
        if self.is_automatic()? || sender.is_empty() {
            let message = "a program must not answer this message: a program or a list has sent it";
            return Err(Error::new(ErrorKind::NotSupported, message));
        }
        let mut draft = self.answer(from, "Auto")?;
        draft.recipients_mut().add("", sender, RecipientType::To);
        draft.set_auto_submitted(AutoSubmitted::Replied);
        if let Some(id) = self.message_id()? {
            draft.set_identity_from(&format!("{id} {}", from.address()));
        }
        Ok(draft)
    }

    fn answer(&self, from: &Session, prefix: &str) -> Result<Draft> {
        Ok(answer(from, prefix, self.subject(), &self.headers()?))
    }

    /// The Message-ID with its brackets; `None` when there is none.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    pub fn message_id(&self) -> Result<Option<String>> {
        Ok(self.headers()?.message_id())
    }

    /// The ids of the messages before it in the conversation, oldest first: References, else
    /// In-Reply-To.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    pub fn references(&self) -> Result<Vec<String>> {
        Ok(self.headers()?.references())
    }
}

/// A message that is kept is answered as one in an Inbox is.
impl MessageFile {
    /// An answer to whom the message wants it: as [`Message::reply`], for a message that was stored and
    /// deleted from the Inbox long ago.
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// # use cdonts::*;
    /// # let server = MailServer::temporary()?;
    /// let desk = Session::logon_smtp(&server, "Help Desk", "help@example.com")?;
    /// let stored = "From: jane@example.com\nSubject: Tea?\nMessage-ID: <1@example.com>\n\nAny?\n";
    /// let mut answer = MessageFile::from_bytes(stored)?.reply(&desk)?;
    /// answer.set_text(format!("Yes.\n\n{}", answer.text()));
    /// answer.send()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit.
    pub fn reply(&self, from: &Session) -> Result<Draft> {
        let mut draft = answer(from, "Re", self.subject(), &self.headers()?);
        address(&mut draft, self.reply_to()?);
        let text = self.text()?;
        draft.set_text(match self.time_sent()? {
            Some(sent) => quoted(self.sender(), sent, &text),
            None => quoted_lines(format!("{} wrote:\n", self.sender()), &text),
        });
        Ok(draft)
    }

    /// Whether its header says that a program has sent it; see [`Message::is_automatic`], which knows
    /// the reverse-path too.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit.
    pub fn is_automatic(&self) -> Result<bool> {
        Ok(says_automatic(&self.headers()?, self.sender()))
    }

    /// The Message-ID with its brackets; `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit.
    pub fn message_id(&self) -> Result<Option<String>> {
        Ok(self.headers()?.message_id())
    }

    /// The ids of the messages before it in the conversation, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit.
    pub fn references(&self) -> Result<Vec<String>> {
        Ok(self.headers()?.references())
    }
}

/// Begins an answer in the same conversation.
fn answer(from: &Session, prefix: &str, subject: &str, headers: &Headers) -> Draft {
    let has_prefix = subject
        .split_once(':')
        .is_some_and(|(first, _)| first.trim().eq_ignore_ascii_case(prefix));
    let subject = if has_prefix {
        subject.to_owned()
    } else {
        format!("{prefix}: {subject}")
    };
    let mut draft = from.outbox().messages().add(subject, "");
    if let Some(id) = headers.message_id() {
        let mut references = headers.references();
        references.push(id.clone());
        draft.set_conversation(id, references);
    }
    draft
}

fn address(draft: &mut Draft, to: Vec<AddressEntry>) {
    for to in to {
        let recipients = draft.recipients_mut();
        recipients.add(to.name(), to.address(), RecipientType::To);
    }
}

fn quoted(sender: &AddressEntry, sent: SystemTime, text: &str) -> String {
    let first = format!("On {}, {sender} wrote:\n", crate::time::rfc5322(sent));
    quoted_lines(first, text)
}

fn quoted_lines(mut quoted: String, text: &str) -> String {
    for line in text.lines() {
        let is_quote = line.starts_with('>');
        quoted.push_str(if is_quote { ">" } else { "> " });
        quoted.push_str(line);
        quoted.push('\n');
    }
    quoted
}

fn says_automatic(headers: &Headers, sender: &AddressEntry) -> bool {
    let value = |name| {
        let header = headers.get(name);
        header.map(|header| header.value().trim().to_ascii_lowercase())
    };
    let has = |name: &&str| headers.get(name).is_some();
    let is_submitted = value("Auto-Submitted").is_some_and(|value| value != "no");
    let is_bulk = value("Precedence")
        .is_some_and(|value| matches!(value.as_str(), "bulk" | "junk" | "list" | "auto_reply"));
    let asks_for_none = value("X-Auto-Response-Suppress").is_some_and(|value| value != "none");
    let tells = [
        "List-Id",
        "List-Unsubscribe",
        "X-Autoreply",
        "X-Autorespond",
    ];
    let from = sender.address().to_ascii_lowercase();
    let is_daemon = from.starts_with("mailer-daemon@") || from == "mailer-daemon";
    is_submitted || is_bulk || asks_for_none || tells.iter().any(has) || is_daemon
}
