//! What the benchmarks compare with, and messages for both sides.
#![allow(clippy::disallowed_methods, reason = "it writes its messages")]

use std::fs::File;
use std::io::Write;
use std::path::Path;

use cdonts::{BodyFormat, Draft, Durability, MailServer, NewMail, RecipientType};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use tempfile::TempDir;

pub(crate) const TEXT: &str =
    "The quick brown fox jumps over the lazy dog, and then it does so again.\r\n";

/// Without a mail server behind it: nothing is sent.
pub(crate) fn draft(server: &MailServer, text: &str, html: Option<&str>) -> Draft {
    let mail = NewMail::new(server)
        .from("shop@example.com")
        .recipient("Jane Doe", "jane@example.com", RecipientType::To)
        .subject("Your order of yesterday");
    let mut draft = match html {
        Some(html) => mail.body_format(BodyFormat::Html).body(html).into_draft(),
        None => mail.into_draft(),
    };
    draft.set_text(text);
    draft
}

pub(crate) fn lettre_message(text: &str, html: &str) -> Vec<u8> {
    lettre::Message::builder()
        .from("shop@example.com".parse().expect("an address"))
        .to("Jane Doe <jane@example.com>".parse().expect("an address"))
        .subject("Your order of yesterday")
        .multipart(lettre::message::MultiPart::alternative_plain_html(
            text.to_owned(),
            html.to_owned(),
        ))
        .expect("a message")
        .formatted()
}

pub(crate) fn builder(text: &str) -> mail_builder::MessageBuilder<'_> {
    mail_builder::MessageBuilder::new()
        .from("shop@example.com")
        .to(("Jane Doe", "jane@example.com"))
        .subject("Your order of yesterday")
        .text_body(text)
}

pub(crate) fn mailroot(root: &TempDir, durability: Durability) -> MailServer {
    MailServer::builder()
        .mailroot(root.path())
        .create_directories()
        .local_domain("example.com")
        .durability(durability)
        .open()
        .expect("a server")
}

pub(crate) fn publish(path: &Path, dir: &File, name: &str, bytes: &[u8], durable: bool) {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(0o600)).expect("a file");
    let mut file = File::from(fd);
    file.write_all(bytes).expect("it is written");
    if durable {
        file.sync_data().expect("it is synced");
    }
    let own = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    rustix::fs::linkat(CWD, own.as_str(), dir, name, AtFlags::SYMLINK_FOLLOW)
        .expect("it is linked");
    if durable {
        dir.sync_all().expect("it is synced");
    }
}
