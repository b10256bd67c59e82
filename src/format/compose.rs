//! A message to bytes: header section, bodies and attachments, straight to where they go.
//!
//! It trusts that values were checked (`field::check`) and does nothing by halves: what it writes
//! is a whole message of RFC 5322 or an error.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::code_page::Charset;
use super::encode::{
    Sink, Source, TextEncoding, canonical_lines, is_plain, write_base64, write_lines,
};
use super::field::{self, Mailbox};
use super::{html, media_type, uuencode};
use crate::error::Result;
use crate::importance::Importance;

/// A message as it will be written. Values were checked.
pub(crate) struct Composition<'a> {
    pub(crate) date: SystemTime,
    /// With brackets.
    pub(crate) message_id: &'a str,
    pub(crate) from: &'a Mailbox,
    pub(crate) sender: Option<&'a Mailbox>,
    pub(crate) reply_to: &'a [Mailbox],
    pub(crate) to: &'a [Mailbox],
    pub(crate) cc: &'a [Mailbox],
    pub(crate) subject: &'a str,
    pub(crate) importance: Importance,
    /// Fields that are written already.
    pub(crate) own_fields: String,
    /// Fields of the caller, repeated ones too, in order.
    pub(crate) headers: &'a [(String, String)],
    /// Of texts and names; what it lacks goes out in UTF-8.
    pub(crate) charset: Charset,
    /// Of the HTML, which its URLs are relative to.
    pub(crate) content_location: Option<String>,
    pub(crate) text: Option<&'a str>,
    pub(crate) html: Option<&'a str>,
    /// As uninterrupted text, the attachments uuencoded in it.
    pub(crate) as_text: bool,
    pub(crate) attachments: Vec<Attachment<'a>>,
    /// Made once for a message, so that every copy of it is the same.
    pub(crate) boundaries: Boundaries,
}

/// An attachment as it will be written.
pub(crate) struct Attachment<'a> {
    pub(crate) name: String,
    pub(crate) media_type: String,
    pub(crate) content_id: Option<&'a str>,
    pub(crate) content_location: Option<String>,
    /// A message that goes as it is: mail must not encode one (RFC 2046 section 5.2.1).
    pub(crate) is_message: bool,
    pub(crate) open: Box<dyn Fn() -> Result<Box<dyn Source + 'a>> + 'a>,
}

impl Attachment<'_> {
    /// Whether the HTML refers to it: it goes beside the HTML then.
    fn is_inline(&self) -> bool {
        self.content_id.is_some() || self.content_location.is_some()
    }
}

/// What divides the parts of one message: with `=_`, which neither quoted-printable nor base64 can
/// hold, and a number that no sender of a part can guess. None begins another.
pub(crate) struct Boundaries {
    seed: String,
}

/// The kinds of multipart (RFC 2046 section 5.1, RFC 2387).
#[derive(Clone, Copy)]
enum Multipart {
    Mixed,
    Alternative,
    Related,
}

impl Multipart {
    fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Alternative => "alternative",
            Self::Related => "related",
        }
    }
}

impl Boundaries {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // Its keys are the system's random numbers, drawn once a thread.
        let number = RandomState::new().hash_one(COUNT.fetch_add(1, Ordering::Relaxed));
        let seed = format!("{number:016x}");
        Self { seed }
    }

    /// The header of a multipart, which ends the one it stands in.
    fn begin(&self, kind: Multipart, to: &mut dyn Sink) -> Result<()> {
        to.put(b"Content-Type: multipart/")?;
        to.put(kind.name().as_bytes())?;
        if matches!(kind, Multipart::Related) {
            to.put(b";\r\n type=\"text/html\"")?;
        }
        to.put(b";\r\n boundary=\"")?;
        self.put(kind, to)?;
        to.put(b"\"\r\n\r\n--")?;
        self.put(kind, to)?;
        to.put(b"\r\n")
    }

    fn next(&self, kind: Multipart, to: &mut dyn Sink) -> Result<()> {
        to.put(b"\r\n--")?;
        self.put(kind, to)?;
        to.put(b"\r\n")
    }

    fn end(&self, kind: Multipart, to: &mut dyn Sink) -> Result<()> {
        to.put(b"\r\n--")?;
        self.put(kind, to)?;
        to.put(b"--\r\n")
    }

    fn put(&self, kind: Multipart, to: &mut dyn Sink) -> Result<()> {
        to.put(b"=_")?;
        to.put(kind.name().as_bytes())?;
        to.put(b"_")?;
        to.put(self.seed.as_bytes())
    }
}

impl Composition<'_> {
    /// Writes the message.
    pub(crate) fn write(&self, to: &mut dyn Sink) -> Result<()> {
        to.put(self.header().as_bytes())?;
        if self.as_text {
            return self.text_with_files(to);
        }
        let (inline, files): (Vec<_>, Vec<_>) = self
            .attachments
            .iter()
            .partition(|attachment| attachment.is_inline() && self.html.is_some());
        if files.is_empty() {
            return self.bodies(&inline, to);
        }
        self.boundaries.begin(Multipart::Mixed, to)?;
        self.bodies(&inline, to)?;
        for attachment in files {
            self.boundaries.next(Multipart::Mixed, to)?;
            write_attachment(attachment, "attachment", self.charset, to)?;
        }
        self.boundaries.end(Multipart::Mixed, to)
    }

    /// Date comes first: it ends the run of envelope fields above it.
    fn header(&self) -> String {
        let mut header = String::with_capacity(1024);
        let to = &mut header;
        field::verbatim(to, "Date", &crate::time::rfc5322(self.date));
        field::mailboxes(to, "From", std::slice::from_ref(self.from), self.charset);
        if let Some(sender) = self.sender {
            field::mailboxes(to, "Sender", std::slice::from_ref(sender), self.charset);
        }
        for (name, list) in [
            ("Reply-To", self.reply_to),
            ("To", self.to),
            ("Cc", self.cc),
        ] {
            if !list.is_empty() {
                field::mailboxes(to, name, list, self.charset);
            }
        }
        if self.to.is_empty() && self.cc.is_empty() {
            field::verbatim(to, "To", "undisclosed-recipients:;");
        }
        field::unstructured(to, "Subject", self.subject, self.charset);
        field::verbatim(to, "Message-ID", self.message_id);
        to.push_str(importance(self.importance));
        to.push_str(&self.own_fields);
        for (name, value) in self.headers {
            field::unstructured(to, name, value, self.charset);
        }
        to.push_str("MIME-Version: 1.0\r\n");
        header
    }

    /// One text part, and the files in its text.
    fn text_with_files(&self, to: &mut dyn Sink) -> Result<()> {
        let text = canonical_lines(self.text.unwrap_or_default());
        let encoding = write_flat_text(&text, self.charset, to)?;
        if !self.attachments.is_empty() && !text.is_empty() && !text.ends_with("\r\n") {
            to.put(b"\r\n")?;
        }
        for attachment in &self.attachments {
            let mut source = (attachment.open)()?;
            uuencode::write(&attachment.name, source.as_mut(), |line| {
                encoding.write(line.as_bytes(), to)?;
                to.put(b"\r\n")
            })?;
        }
        Ok(())
    }

    /// Text alone, or text and HTML, and what the HTML shows.
    fn bodies(&self, inline: &[&Attachment<'_>], to: &mut dyn Sink) -> Result<()> {
        let Some(html) = self.html else {
            return write_text("plain", self.text.unwrap_or_default(), self.charset, to);
        };
        let derived;
        let text = match self.text {
            Some(text) => text,
            None => {
                derived = html::to_text(html);
                &derived
            }
        };
        self.boundaries.begin(Multipart::Alternative, to)?;
        write_text("plain", text, self.charset, to)?;
        self.boundaries.next(Multipart::Alternative, to)?;
        self.related(html, inline, to)?;
        self.boundaries.end(Multipart::Alternative, to)
    }

    fn html_part(&self, html: &str, to: &mut dyn Sink) -> Result<()> {
        if let Some(location) = &self.content_location {
            let mut header = String::new();
            field::verbatim(&mut header, "Content-Location", location);
            to.put(header.as_bytes())?;
        }
        write_text("html", html, self.charset, to)
    }

    fn related(&self, html: &str, inline: &[&Attachment<'_>], to: &mut dyn Sink) -> Result<()> {
        if inline.is_empty() {
            return self.html_part(html, to);
        }
        self.boundaries.begin(Multipart::Related, to)?;
        self.html_part(html, to)?;
        for attachment in inline {
            self.boundaries.next(Multipart::Related, to)?;
            write_attachment(attachment, "inline", self.charset, to)?;
        }
        self.boundaries.end(Multipart::Related, to)
    }
}

/// Two fields that agree (RFC 2156 section 5.3.4 and what clients made of it); X-MSMail-Priority
/// alone is a mark of spam.
fn importance(importance: Importance) -> &'static str {
    match importance {
        Importance::Low => "Importance: low\r\nX-Priority: 5\r\n",
        Importance::Normal => "",
        Importance::High => "Importance: high\r\nX-Priority: 1\r\n",
    }
}

/// Writes a text part: its header and its body, in the plainest form that arrives.
pub(crate) fn write_text(
    subtype: &str,
    text: &str,
    charset: Charset,
    to: &mut dyn Sink,
) -> Result<()> {
    if is_plain(text.as_bytes(), false) {
        put_text_header(subtype, "us-ascii", TextEncoding::SevenBit, to)?;
        return to.put(text.as_bytes());
    }
    let text = canonical_lines(text);
    let (label, octets) = labelled(&text, charset);
    let encoding = TextEncoding::of(&octets, label == "iso-2022-jp");
    put_text_header(subtype, label, encoding, to)?;
    encoding.write(&octets, to)
}

/// The octets of a text, and the name of the character set they are in.
fn labelled(text: &str, charset: Charset) -> (&'static str, Cow<'_, [u8]>) {
    match charset.encode(text) {
        _ if text.is_ascii() => ("us-ascii", text.as_bytes().into()),
        Some(octets) => (charset.label, octets),
        None => (Charset::UTF_8.label, text.as_bytes().into()),
    }
}

/// The same, in an encoding that goes on line by line after it; returns which.
fn write_flat_text(text: &str, charset: Charset, to: &mut dyn Sink) -> Result<TextEncoding> {
    let (label, octets) = labelled(text, charset);
    let encoding = match TextEncoding::of(&octets, label == "iso-2022-jp") {
        TextEncoding::Base64 => TextEncoding::QuotedPrintable,
        other => other,
    };
    put_text_header("plain", label, encoding, to)?;
    encoding.write(&octets, to)?;
    Ok(encoding)
}

fn put_text_header(
    subtype: &str,
    charset: &str,
    encoding: TextEncoding,
    to: &mut dyn Sink,
) -> Result<()> {
    for piece in [
        "Content-Type: text/",
        subtype,
        "; charset=",
        charset,
        "\r\nContent-Transfer-Encoding: ",
        encoding.name(),
        "\r\n\r\n",
    ] {
        to.put(piece.as_bytes())?;
    }
    Ok(())
}

fn write_attachment(
    attachment: &Attachment<'_>,
    disposition: &str,
    charset: Charset,
    to: &mut dyn Sink,
) -> Result<()> {
    let mut header = format!("Content-Type: {}", attachment.media_type);
    if !attachment.name.is_empty() {
        header += &field::name_parameter(&attachment.name, charset);
    }
    header += &format!("\r\nContent-Disposition: {disposition}");
    if !attachment.name.is_empty() {
        header += &field::parameter("filename", &attachment.name);
    }
    header += "\r\n";
    if let Some(id) = attachment.content_id {
        field::verbatim(&mut header, "Content-ID", &format!("<{id}>"));
    }
    if let Some(location) = &attachment.content_location {
        field::verbatim(&mut header, "Content-Location", location);
    }
    let encoding = if attachment.is_message {
        "7bit"
    } else {
        "base64"
    };
    header += &format!("Content-Transfer-Encoding: {encoding}\r\n\r\n");
    to.put(header.as_bytes())?;
    let mut source = (attachment.open)()?;
    if attachment.is_message {
        write_lines(source.as_mut(), to)
    } else {
        write_base64(source.as_mut(), to)
    }
}

/// The type an attachment goes out under. A message or a multipart must not be base64
/// (RFC 2046 section 5.2.1), so that it goes as plain data.
pub(crate) fn attachment_type(wanted: Option<&str>, name: &str) -> String {
    let wanted = wanted.unwrap_or_else(|| media_type::of_file_name(name));
    let lower = wanted.to_ascii_lowercase();
    if lower.starts_with("message/") || lower.starts_with("multipart/") {
        "application/octet-stream".to_owned()
    } else {
        wanted.to_owned()
    }
}
