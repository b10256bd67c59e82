//! What is attached to a message while it is composed.

mod attachment;
mod content;
mod held_part;

use std::io::{Cursor, Read, Seek};
use std::path::Path;

pub use attachment::DraftAttachment;
use attachment::Kind;
use held_part::HeldPart;

use crate::attachments::Attachment;
use crate::fs::outside;
use crate::message::Message;
use crate::message_file::MessageFile;
use crate::reading::Reading;

/// The attachments of a [`Draft`](crate::Draft) (CDONTS `Attachments` in the Outbox).
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # use cdonts::*;
/// # let server = MailServer::temporary()?;
/// # let session = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
/// # let mut draft = session.outbox().messages().add("", "");
/// let attachments = draft.attachments_mut();
/// attachments.add_bytes("hello.txt", "Hello!");
/// attachments.add_reader("data.csv", std::io::Cursor::new("a;b")).set_content_type("text/csv");
/// assert_eq!(attachments.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct DraftAttachments(Vec<DraftAttachment>);

impl DraftAttachments {
    /// Attaches a file under its own name. It is opened now, so that it may be gone when the draft
    /// is sent; an error of that shows at `send`.
    #[doc(alias = "Attachments.Add")]
    #[doc(alias = "Attachment.ReadFromFile")]
    #[doc(alias = "ReadFromFile")]
    pub fn add_file(&mut self, path: impl AsRef<Path>) -> &mut DraftAttachment {
        let path = path.as_ref();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let source = match outside::open(path) {
            Ok(file) => Kind::Reader(Box::new(file)),
            Err(error) => Kind::Failed(path.to_path_buf(), error.kind(), error.to_string()),
        };
        self.add(name.into_owned(), source)
    }

    /// Attaches bytes under a name.
    pub fn add_bytes(
        &mut self,
        name: impl Into<String>,
        bytes: impl Into<Vec<u8>>,
    ) -> &mut DraftAttachment {
        self.add_reader(name, Cursor::new(bytes.into()))
    }

    /// Attaches what a reader gives, from its beginning to its end. It is read when the draft is
    /// sent, block by block, and rewound for each attempt.
    pub fn add_reader(
        &mut self,
        name: impl Into<String>,
        from: impl Read + Seek + Send + 'static,
    ) -> &mut DraftAttachment {
        self.add(name.into(), Kind::Reader(Box::new(from)))
    }

    /// Attaches an attachment of a received message, with its name, type, Content-ID and location.
    /// The message is opened now, so that it may be deleted before the draft is sent; an error of
    /// that shows at `send`, as does a name or an id that must not be sent. What is a message is
    /// attached as by [`add_message`](DraftAttachments::add_message).
    ///
    /// ```
    /// # fn main() -> cdonts::Result<()> {
    /// # use cdonts::*;
    /// # let server = MailServer::temporary()?;
    /// # NewMail::new(&server).from("a@example.com").to("jane@example.com")
    /// #     .attach_bytes("log.txt", "all is well").send()?;
    /// let session = Session::logon_smtp(&server, "Jane", "jane@example.com")?;
    /// let message = session.inbox().messages()?.get(0).expect("a message");
    /// let mut draft = message.reply(&session)?;
    /// for attachment in message.attachments()? {
    ///     draft.attachments_mut().add_attachment(&attachment);
    /// }
    /// # assert_eq!(draft.attachments().get(0).unwrap().name(), "log.txt");
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_attachment(&mut self, attachment: &Attachment) -> &mut DraftAttachment {
        if let Ok(Some(message)) = attachment.source() {
            let added = self.add_message_file(&message);
            if !attachment.name().is_empty() {
                added.set_name(attachment.name());
            }
            return added;
        }
        let source = match attachment.part().held() {
            Ok(part) => Kind::Reader(Box::new(HeldPart::new(part))),
            Err(error) => Kind::Gone(error.kind(), error.to_string()),
        };
        let added = self.add(attachment.name().to_owned(), source);
        added.content_type = Some(attachment.content_type().to_owned());
        added.content_id = attachment.content_id().map(ToOwned::to_owned);
        added.content_location = attachment.content_location().map(ToOwned::to_owned);
        added.content_base = attachment.content_base().map(ToOwned::to_owned);
        added
    }

    /// Attaches a copy of a received message, as it is now: it may be deleted before the draft is
    /// sent. It is named after its subject. An error of opening it shows at `send`.
    ///
    /// It goes as `message/rfc822`, but as a plain `.eml` file when it holds what mail must not
    /// hold unencoded: 8-bit characters or very long lines.
    pub fn add_message(&mut self, message: &Message) -> &mut DraftAttachment {
        self.add_visible(message.subject(), message.reading())
    }

    /// The same for a message that is in a file, in memory, or in another message.
    pub fn add_message_file(&mut self, message: &MessageFile) -> &mut DraftAttachment {
        self.add_visible(message.subject(), message.reading())
    }

    fn add_visible(&mut self, subject: &str, message: &Reading) -> &mut DraftAttachment {
        let source = match message.visible_bytes() {
            Ok(bytes) => Kind::Message(bytes),
            Err(error) => Kind::Gone(error.kind(), error.to_string()),
        };
        let is_plain = matches!(&source, Kind::Message(bytes) if bytes.is_plain().unwrap_or(false));
        let attachment = self.add(named_after(subject), source);
        if is_plain {
            attachment.content_type = Some("message/rfc822".to_owned());
        }
        attachment
    }

    fn add(&mut self, name: String, source: Kind) -> &mut DraftAttachment {
        self.0.push_mut(DraftAttachment::new(name, source))
    }

    /// How many there are.
    #[doc(alias = "Attachments.Count")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The attachment at `index`, from 0 (CDONTS counts from 1).
    #[doc(alias = "Attachments.Item")]
    pub fn get(&self, index: usize) -> Option<&DraftAttachment> {
        self.0.get(index)
    }

    /// The attachment at `index`, to be changed.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut DraftAttachment> {
        self.0.get_mut(index)
    }

    /// Removes the attachment at `index`; whether there was one.
    #[doc(alias = "Attachment.Delete")]
    pub fn remove(&mut self, index: usize) -> bool {
        let is_there = index < self.0.len();
        if is_there {
            self.0.remove(index);
        }
        is_there
    }

    /// Removes all.
    #[doc(alias = "Attachments.Delete")]
    pub fn delete_all(&mut self) {
        self.0.clear();
    }

    /// All of them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, DraftAttachment> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a DraftAttachments {
    type Item = &'a DraftAttachment;
    type IntoIter = std::slice::Iter<'a, DraftAttachment>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// What a message is called as a file.
fn named_after(subject: &str) -> String {
    if subject.is_empty() {
        "message.eml".to_owned()
    } else {
        format!("{}.eml", subject.replace(['/', '\\'], "_"))
    }
}
