//! Answers: to a person, to all, onwards, and by a program that must not answer a program.

use crate::draft::{AutoSubmitted, Draft};
use crate::error::{Error, ErrorKind, Result};
use crate::format::address::Address;
use crate::message::Message;
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
        for to in self.reply_to()? {
            draft
                .recipients_mut()
                .add(to.name(), to.address(), RecipientType::To);
        }
        draft.set_text(self.quoted()?);
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
    /// the null reverse-path, says that it is automatic, or comes from a mailing list.
    ///
    /// # Errors
    /// When the message cannot be read, is gone or exceeds a limit.
    pub fn is_automatic(&self) -> Result<bool> {
        if self.has_null_reverse_path() {
            return Ok(true);
        }
        let headers = self.headers()?;
        let value = |name| {
            headers
                .get(name)
                .map(|header| header.value().to_ascii_lowercase())
        };
        let is_submitted = value("Auto-Submitted").is_some_and(|value| value.trim() != "no");
        let is_bulk = value("Precedence")
            .is_some_and(|value| matches!(value.trim(), "bulk" | "junk" | "list"));
        let is_list = ["List-Id", "List-Unsubscribe"]
            .iter()
            .any(|name| headers.get(name).is_some());
        let from = self.sender().address().to_ascii_lowercase();
        let is_daemon = from.starts_with("mailer-daemon@") || from == "mailer-daemon";
        Ok(is_submitted || is_bulk || is_list || is_daemon)
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
        let subject = self.subject();
        let has_prefix = subject
            .split_once(':')
            .is_some_and(|(first, _)| first.trim().eq_ignore_ascii_case(prefix));
        let subject = if has_prefix {
            subject.to_owned()
        } else {
            format!("{prefix}: {subject}")
        };
        let mut draft = from.outbox().messages().add(subject, "");
        if let Some(id) = self.message_id()? {
            let mut references = self.references()?;
            references.push(id.clone());
            draft.set_conversation(id, references);
        }
        Ok(draft)
    }

    fn quoted(&self) -> Result<String> {
        let text = self.text()?;
        let sent = self.time_sent()?.unwrap_or_else(|| self.time_received());
        let mut quoted = format!(
            "On {}, {} wrote:\n",
            crate::time::rfc5322(sent),
            self.sender()
        );
        for line in text.lines() {
            let is_quote = line.starts_with('>');
            quoted.push_str(if is_quote { ">" } else { "> " });
            quoted.push_str(line);
            quoted.push('\n');
        }
        Ok(quoted)
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
