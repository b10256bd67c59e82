//! Sends one message from the command line, or many from a file of JSON lines.

mod common;

use std::io::{BufRead, BufReader};

use base64::Engine;
use cdonts::{Draft, Importance, MailServer, NewMail, Profile, RecipientType};
use common::{Args, Failure, error_json};
use serde_json::{Value, json};

const USAGE: &str = "send --pickup DIR [--local-domain D --drop DIR] [--state DIR] [--dot-stuffed] \
    [--from A] [--to A]... [--cc A]... [--bcc A]... [--subject S] [--text T|--html H] \
    [--attach F]...\n       send --pickup DIR --spec FILE (- is standard input)";

fn main() -> Result<(), Failure> {
    let options = [
        "pickup",
        "local-domain",
        "drop",
        "state",
        "from",
        "to",
        "cc",
        "bcc",
        "subject",
        "text",
        "html",
        "attach",
        "spec",
    ];
    let args = Args::parse(USAGE, &options, &["dot-stuffed"]);
    let server = open(&args)?;
    let all_sent = match args.get("spec") {
        None => report(from_args(&server, &args)),
        Some("-") => send_lines(&server, std::io::stdin().lock())?,
        Some(path) => send_lines(&server, BufReader::new(std::fs::File::open(path)?))?,
    };
    if !all_sent {
        std::process::exit(1);
    }
    Ok(())
}

fn open(args: &Args) -> Result<MailServer, Failure> {
    let stuffed = args.is_on("dot-stuffed");
    let mut builder = MailServer::builder()
        .pickup_dir(args.need("pickup")?)
        .pickup_dot_stuffed(stuffed)
        .drop_dot_stuffed(stuffed);
    if let Some(drop) = args.get("drop") {
        builder = builder.drop_dir(drop, Profile::IisDrop);
    }
    for domain in args.all("local-domain") {
        builder = builder.local_domain(domain);
    }
    if let Some(state) = args.get("state") {
        builder = builder.state_dir(state);
    }
    Ok(builder.open()?)
}

fn from_args(server: &MailServer, args: &Args) -> Draft {
    let mut mail = NewMail::new(server);
    if let Some(from) = args.get("from") {
        mail = mail.from(from);
    }
    for to in args.all("to") {
        mail = mail.to(to);
    }
    for cc in args.all("cc") {
        mail = mail.cc(cc);
    }
    for bcc in args.all("bcc") {
        mail = mail.bcc(bcc);
    }
    for path in args.all("attach") {
        mail = mail.attach_file(path);
    }
    let mut draft = mail
        .subject(args.get("subject").unwrap_or_default())
        .into_draft();
    if let Some(text) = args.get("text") {
        draft.set_text(text);
    }
    if let Some(html) = args.get("html") {
        draft.set_html_text(html);
    }
    draft
}

/// Sends a message a line; whether all were sent.
fn send_lines(server: &MailServer, lines: impl BufRead) -> Result<bool, Failure> {
    let mut all_sent = true;
    for line in lines.lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        all_sent &= match from_spec(server, &line) {
            Ok(draft) => report(draft),
            Err(error) => {
                println!(
                    "{}",
                    json!({"ok": false, "kind": "invalid_value", "field": null,
                        "code": "CdoE_INVALID_PARAMETER", "error": error.to_string()})
                );
                false
            }
        };
    }
    Ok(all_sent)
}

fn from_spec(server: &MailServer, line: &str) -> Result<Draft, Failure> {
    let spec: Value = serde_json::from_str(line)?;
    let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
    let list = |key: &str| spec[key].as_array().cloned().unwrap_or_default();
    let mut draft = NewMail::new(server).into_draft();
    let from = &spec["from"];
    draft.set_sender(
        text(from, "name").unwrap_or_default(),
        text(from, "address").unwrap_or_default(),
    );
    for (key, kind) in [
        ("to", RecipientType::To),
        ("cc", RecipientType::Cc),
        ("bcc", RecipientType::Bcc),
    ] {
        for one in list(key) {
            let name = text(&one, "name").unwrap_or_default();
            draft
                .recipients_mut()
                .add(name, text(&one, "address").unwrap_or_default(), kind);
        }
    }
    draft.set_subject(text(&spec, "subject").unwrap_or_default());
    if let Some(body) = text(&spec, "text") {
        draft.set_text(body);
    }
    if let Some(html) = text(&spec, "html") {
        draft.set_html_text(html);
    }
    if let Some(name) = text(&spec, "importance") {
        let importance = Importance::from_name(&name);
        draft.set_importance(importance.ok_or("importance is low, normal or high")?);
    }
    for pair in list("headers") {
        let (Some(name), Some(value)) = (pair[0].as_str(), pair[1].as_str()) else {
            return Err("a header is a pair of strings".into());
        };
        draft.add_header(name, value);
    }
    for one in list("attachments") {
        let attachments = draft.attachments_mut();
        let attachment = if let Some(content) = text(&one, "content_b64") {
            let bytes = base64::engine::general_purpose::STANDARD.decode(content)?;
            attachments.add_bytes("", bytes)
        } else {
            attachments
                .add_file(text(&one, "path").ok_or("an attachment has a path or content_b64")?)
        };
        if let Some(name) = text(&one, "name") {
            attachment.set_name(name);
        }
        if let Some(content_type) = text(&one, "content_type") {
            attachment.set_content_type(content_type);
        }
        if let Some(id) = text(&one, "content_id") {
            attachment.set_content_id(id);
        }
        if let Some(location) = text(&one, "content_location") {
            attachment.set_content_location(location);
        }
    }
    Ok(draft)
}

/// Sends and prints what became of it; whether it was sent.
fn report(draft: Draft) -> bool {
    match draft.send() {
        Ok(sent) => {
            for problem in sent.pending() {
                eprintln!("{problem}");
            }
            println!(
                "{}",
                json!({"ok": true, "message_id": sent.message_id(), "files": sent.files(),
                    "delivered": sent.delivered()})
            );
            true
        }
        Err(error) => {
            println!("{}", error_json(error.error()));
            false
        }
    }
}
