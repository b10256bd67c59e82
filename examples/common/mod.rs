//! What the example programs share: their command lines and the JSON form of a message.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    unused_macros,
    reason = "each program uses its part"
)]

pub mod store;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use cdonts::{Attachments, Error, Headers, Importance, Problem, Recipients, Writer, time};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// `--name value` options, `--name` switches and what is left.
pub struct Args {
    options: HashMap<String, Vec<String>>,
    switches: HashSet<String>,
    pub rest: Vec<String>,
}

impl Args {
    /// Reads the command line; prints `usage` and ends when it does not fit.
    pub fn parse(usage: &str, options: &[&str], switches: &[&str]) -> Self {
        let mut args = Self {
            options: HashMap::new(),
            switches: HashSet::new(),
            rest: Vec::new(),
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let name = word.trim_start_matches("--");
            if word == "--help" {
                println!("usage: {usage}");
                std::process::exit(0);
            } else if !word.starts_with("--") {
                args.rest.push(word);
            } else if switches.contains(&name) {
                args.switches.insert(name.to_owned());
            } else if let Some(value) = words.next().filter(|_| options.contains(&name)) {
                args.options.entry(name.to_owned()).or_default().push(value);
            } else {
                eprintln!("`{word}` is no option here, or its value is missing\nusage: {usage}");
                std::process::exit(2);
            }
        }
        args
    }

    pub fn all(&self, name: &str) -> &[String] {
        self.options
            .get(name)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).last().map(String::as_str)
    }

    pub fn need(&self, name: &str) -> Result<&str, Failure> {
        self.get(name)
            .ok_or_else(|| format!("--{name} is missing").into())
    }

    pub fn is_on(&self, name: &str) -> bool {
        self.switches.contains(name)
    }

    /// `--settle MS`: how long a file must stand still; 0 trusts what is there.
    pub fn writer(&self) -> Result<Option<Writer>, Failure> {
        let Some(settle) = self.get("settle") else {
            return Ok(None);
        };
        let settle = settle.parse().map_err(|_| "--settle takes milliseconds")?;
        let settle = Duration::from_millis(settle);
        Ok(Some(Writer::InPlace { settle }))
    }
}

/// A name as text: a backslash doubled, bytes that are not UTF-8 as `\xNN`.
pub fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

pub fn error_json(error: &Error) -> Value {
    json!({
        "ok": false,
        "kind": error.kind().name(),
        "field": error.field(),
        "code": error.cdo_code().name(),
        "error": error.to_string(),
    })
}

/// The empty string is an absent value.
pub fn or_null(text: &str) -> Value {
    if text.is_empty() {
        Value::Null
    } else {
        text.into()
    }
}

fn mailbox(name: &str, address: &str) -> Value {
    json!({ "name": or_null(name), "address": or_null(address) })
}

fn mailboxes(recipients: &Recipients, kind: cdonts::RecipientType) -> Value {
    recipients
        .of_type(kind)
        .map(|recipient| mailbox(recipient.name(), recipient.address()))
        .collect()
}

fn attachments(attachments: &Attachments, with_content: bool) -> cdonts::Result<Value> {
    let mut list = Vec::new();
    for attachment in attachments {
        let content = attachment.read()?;
        let sha256: String = Sha256::digest(&content)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let mut one = json!({
            "name": or_null(attachment.name()),
            "size": content.len(),
            "content_type": attachment.content_type(),
            "content_id": attachment.content_id(),
            "sha256": sha256,
        });
        if with_content {
            let encoded = base64::engine::general_purpose::STANDARD.encode(&content);
            one["content_b64"] = encoded.into();
        }
        list.push(one);
    }
    Ok(list.into())
}

fn headers(headers: &Headers) -> Value {
    headers
        .iter()
        .map(|header| json!([header.name(), header.value()]))
        .collect()
}

fn problems(problems: &[Problem]) -> Value {
    problems.iter().map(ToString::to_string).collect()
}

/// A message as one JSON object, from a `Message` or a `MessageFile`: both have these methods.
macro_rules! message_json {
    ($message:expr, $file:expr, $content:expr) => {
        (|| {
            let message = $message;
            let recipients = message.recipients()?;
            $crate::common::MessageJson {
                file: $file,
                sender: message.sender(),
                recipients,
                subject: message.subject(),
                date: message.time_sent()?,
                size: message.size(),
                importance: message.importance()?,
                text: message.text_part()?,
                html: message.html_part()?,
                attachments: message.attachments()?,
                headers: message.headers()?,
                problems: message.problems()?,
            }
            .value($content)
        })()
    };
}
pub(crate) use message_json;

pub struct MessageJson<'a> {
    pub file: String,
    pub sender: &'a cdonts::AddressEntry,
    pub recipients: &'a Recipients,
    pub subject: &'a str,
    pub date: Option<std::time::SystemTime>,
    pub size: u64,
    pub importance: Importance,
    pub text: Option<String>,
    pub html: Option<String>,
    pub attachments: Attachments,
    pub headers: Headers,
    pub problems: Vec<Problem>,
}

impl MessageJson<'_> {
    pub fn value(self, with_content: bool) -> cdonts::Result<Value> {
        let has_sender = *self.sender != cdonts::AddressEntry::default();
        let from = has_sender.then(|| mailbox(self.sender.name(), self.sender.address()));
        Ok(json!({
            "file": self.file,
            "from": from,
            "to": mailboxes(self.recipients, cdonts::RecipientType::To),
            "cc": mailboxes(self.recipients, cdonts::RecipientType::Cc),
            "subject": or_null(self.subject),
            "date": self.date.map(time::rfc3339),
            "size": self.size,
            "importance": self.importance.name(),
            "text": self.text,
            "html": self.html,
            "attachments": attachments(&self.attachments, with_content)?,
            "headers": headers(&self.headers),
            "problems": problems(&self.problems),
        }))
    }
}
