//! Reads message files outside any drop directory, or all messages of a store.

mod common;

use std::io::BufRead;
use std::path::Path;

use cdonts::{Message, MessageFile, time};
use common::{Args, Failure, escaped, message_json, store};
use serde_json::json;

const USAGE: &str = "read [--json] [--content] FILE... (paths on standard input without any)\n       \
    read --store STORE [--json] [--content]";

fn main() -> Result<(), Failure> {
    let usage = format!("{USAGE}\n       where STORE is {}", store::USAGE);
    let args = Args::parse(&usage, &store::OPTIONS, &["json", "content"]);
    let mut all = true;
    if let Some(place) = args.get("store") {
        let session = store::log_on(&args, place)?;
        for message in session.inbox().stream()? {
            let message = message?;
            let name = message.file_name();
            all &= match in_memory(&message) {
                Ok(read) => show_message(&args, &escaped(&name), &name, &read),
                Err(error) => failed(&args, &escaped(&name), &error),
            };
        }
    } else if args.rest.is_empty() {
        for path in std::io::stdin().lock().lines() {
            all &= show(&args, &path?);
        }
    }
    for path in &args.rest {
        all &= show(&args, path);
    }
    // As JSON each failure is a line of its own.
    if !all && !args.is_on("json") {
        std::process::exit(1);
    }
    Ok(())
}

/// As a file would hold it.
fn in_memory(message: &Message) -> cdonts::Result<MessageFile> {
    let mut source = Vec::new();
    message.write_to(&mut source)?;
    MessageFile::from_bytes(source)
}

/// Whether it could be read.
fn show(args: &Args, path: &str) -> bool {
    let name = Path::new(path).file_name().unwrap_or_default();
    match MessageFile::open(path) {
        Ok(message) => show_message(args, path, Path::new(name), &message),
        Err(error) => failed(args, path, &error),
    }
}

fn failed(args: &Args, path: &str, error: &cdonts::Error) -> bool {
    if args.is_on("json") {
        println!("{}", json!({ "path": path, "error": error.to_string() }));
    } else {
        eprintln!("{path}: {error}");
    }
    false
}

fn show_message(args: &Args, path: &str, name: &Path, message: &MessageFile) -> bool {
    let value: cdonts::Result<_> = if args.is_on("json") {
        message_json!(message, escaped(name), args.is_on("content"))
    } else {
        print(path, message).map(|()| json!(null))
    };
    match value {
        Ok(mut value) if args.is_on("json") => {
            value["path"] = path.into();
            println!("{value}");
            true
        }
        Ok(_) => true,
        Err(error) => failed(args, path, &error),
    }
}

fn print(path: &str, message: &MessageFile) -> cdonts::Result<()> {
    println!("{path}");
    println!("  From:    {}", message.sender());
    for recipient in message.recipients()? {
        println!(
            "  {:8} {recipient}",
            format!("{}:", recipient.recipient_type().name())
        );
    }
    println!("  Subject: {}", message.subject());
    if let Some(sent) = message.time_sent()? {
        println!("  Date:    {}", time::rfc5322(sent));
    }
    for attachment in message.attachments()? {
        println!(
            "  File:    {} ({}, {} octets)",
            attachment.name(),
            attachment.content_type(),
            attachment.size()?
        );
    }
    for problem in message.problems()? {
        println!("  Problem: {problem}");
    }
    println!("\n{}\n", message.text()?);
    Ok(())
}
