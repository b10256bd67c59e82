//! Lists, saves and deletes the messages of one address: in a drop directory, a Maildir or on a
//! mail server.

#![allow(
    clippy::disallowed_methods,
    reason = "a program of its own writes its own files"
)]

mod common;

use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;

use cdonts::{MailServer, Message, Profile, Session, time};
use common::{Args, Failure, escaped, message_json, store};

const USAGE: &str = "inbox --drop DIR --address A \
    [--profile iis-drop|postfix|exim|opensmtpd|dovecot|none|header-fallback] [--dot-stuffed] \
    [--settle MS] [--state DIR] [--json] [--delete FILE] [--save DIR]\n       \
    inbox --store STORE [--json] [--delete FILE] [--save DIR]";

fn main() -> Result<(), Failure> {
    let mut options = vec!["drop", "profile", "settle", "state", "delete", "save"];
    options.extend(store::OPTIONS);
    let usage = format!("{USAGE}\n       where STORE is {}", store::USAGE);
    let args = Args::parse(&usage, &options, &["dot-stuffed", "json"]);
    let session = match args.get("store") {
        Some(place) => store::log_on(&args, place)?,
        None if args.get("drop").is_none() => {
            eprintln!("--drop or --store is missing\nusage: {usage}");
            std::process::exit(2);
        }
        None => Session::logon_smtp(&open(&args)?, "", args.need("address")?)?,
    };

    if let Some(wanted) = args.get("delete") {
        let messages = session.inbox().messages()?;
        let found = messages
            .iter()
            .find(|message| escaped(&message.file_name()) == wanted);
        found
            .ok_or_else(|| format!("`{wanted}` is no message of this address"))?
            .delete()?;
    }

    let messages = session.inbox().messages()?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    for (index, message) in messages.iter().enumerate() {
        match line(&args, index + 1, &message) {
            Ok(line) => writeln!(out, "{line}")?,
            Err(error) => eprintln!("{}: {error}", escaped(&message.file_name())),
        }
    }
    out.flush()?;
    for problem in messages.problems() {
        eprintln!(
            "{}: {problem}",
            problem.path().map(escaped).unwrap_or_default()
        );
    }
    if messages.unreadable() > 0 {
        eprintln!(
            "{} files of the drop could not be judged",
            messages.unreadable()
        );
    }
    Ok(())
}

/// The first look at a large drop takes a while: how far it is, on one line.
fn bar(scan: cdonts::ScanProgress) {
    const WIDTH: u64 = 40;
    let done = scan.read() * WIDTH / scan.found().max(1);
    let filled = "#".repeat(usize::try_from(done).unwrap_or(0));
    let end = if scan.read() == scan.found() {
        "\r\x1b[K"
    } else {
        ""
    };
    eprint!(
        "\r[{filled:40}] {} of {} files{end}",
        scan.read(),
        scan.found()
    );
}

fn open(args: &Args) -> Result<MailServer, Failure> {
    let profile = args.get("profile").unwrap_or("iis-drop");
    let profile = Profile::from_name(profile).ok_or_else(|| format!("no profile `{profile}`"))?;
    let mut builder = MailServer::builder()
        .drop_dir(args.need("drop")?, profile)
        .drop_dot_stuffed(args.is_on("dot-stuffed"));
    if std::io::stderr().is_terminal() {
        builder = builder.on_scan(bar);
    }
    if let Some(state) = args.get("state") {
        builder = builder.state_dir(state);
    }
    if let Some(writer) = args.writer()? {
        builder = builder.drop_writer(writer);
    }
    Ok(builder.open()?)
}

/// What is shown of a message, which is saved first if that is asked for.
fn line(args: &Args, number: usize, message: &Message) -> Result<String, Failure> {
    if let Some(dir) = args.get("save") {
        save(Path::new(dir), number, message)?;
    }
    let file = escaped(&message.file_name());
    if args.is_on("json") {
        let value: cdonts::Result<_> = message_json!(message, file, false);
        return Ok(value?.to_string());
    }
    Ok(format!(
        "{number:4}  {}  {:>9}  {}  {}  [{file}]",
        time::rfc3339(message.time_received()),
        message.size(),
        message.sender(),
        message.subject(),
    ))
}

fn save(dir: &Path, number: usize, message: &Message) -> Result<(), Failure> {
    std::fs::create_dir_all(dir)?;
    let mut source = std::fs::File::create(dir.join(format!("{number}.eml")))?;
    message.write_to(&mut source)?;
    for attachment in message.attachments()? {
        attachment.write_to_dir(dir.join(number.to_string()))?;
    }
    Ok(())
}
