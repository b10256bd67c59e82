//! Reads message files outside any drop directory.

mod common;

use std::io::BufRead;
use std::path::Path;

use cdonts::{MessageFile, time};
use common::{Args, Failure, escaped, message_json};
use serde_json::json;

const USAGE: &str = "read [--json] [--content] FILE... (paths on standard input without any)";

fn main() -> Result<(), Failure> {
    let args = Args::parse(USAGE, &[], &["json", "content"]);
    if args.rest.is_empty() {
        for path in std::io::stdin().lock().lines() {
            show(&args, &path?);
        }
    }
    for path in &args.rest {
        show(&args, path);
    }
    Ok(())
}

fn show(args: &Args, path: &str) {
    let name = Path::new(path).file_name().unwrap_or_default();
    let value: cdonts::Result<_> = MessageFile::open(path).and_then(|message| {
        if args.is_on("json") {
            message_json!(&message, escaped(Path::new(name)), args.is_on("content"))
        } else {
            print(path, &message)?;
            Ok(json!(null))
        }
    });
    match value {
        Ok(mut value) if args.is_on("json") => {
            value["path"] = path.into();
            println!("{value}");
        }
        Ok(_) => {}
        Err(error) if args.is_on("json") => {
            println!("{}", json!({ "path": path, "error": error.to_string() }));
        }
        Err(error) => eprintln!("{path}: {error}"),
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
