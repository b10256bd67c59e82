//! What must hold of any bytes: the fuzz targets, and in `cargo test` the replay of their corpus.

#[cfg(all(feature = "smtp", feature = "pop3", feature = "imap"))]
mod conversation;
mod queue;

use std::io::sink;
use std::sync::OnceLock;

use crate::format::address::Address;
use crate::format::code_page::Charset;
use crate::format::envelope::{Head, header_envelope, read_run};
use crate::format::field::{Mailbox, mailboxes};
use crate::format::{address_list, fields, html, uuencode};
use crate::{
    CodePage, Draft, EncodingMethod, Limits, MailServer, MessageFile, MessageFormat, Profile,
    RecipientType, Result, Session,
};

#[cfg(all(feature = "smtp", feature = "pop3", feature = "imap"))]
pub use conversation::conversation;
pub use queue::queue;

/// Small enough that a fuzzer reaches each of them.
fn limits() -> Limits {
    Limits {
        header_section: 20_000,
        field: 10_000,
        fields: 200,
        parts: 50,
        depth: 6,
        recipients: 100,
        decoded_text: 50_000,
        ..Limits::default()
    }
}

/// A message: everything that can be asked of it, and of the messages in it.
pub fn parse(data: &[u8]) {
    let _ = MessageFile::from_bytes_with(data, &limits()).and_then(|message| read(&message));
    if let Ok(message) = MessageFile::from_bytes(data) {
        let _ = read(&message);
    }
}

fn read(message: &MessageFile) -> Result<()> {
    let len = message.size();
    let _ = (message.text(), message.html_text(), message.report());
    let _ = (message.text_part(), message.html_part());
    message.recipients()?;
    message.reply_to()?;
    message.importance()?;
    message.time_sent()?;
    let headers = message.headers()?;
    for header in &headers {
        assert!(!header.value().contains(char::is_control));
        assert!(!fields::names_blind_recipients(header.name()));
    }
    let _ = (
        headers.received(),
        headers.references(),
        headers.message_id(),
    );
    for problem in message.problems().iter().flatten() {
        assert!(!problem.to_string().contains(char::is_control) && problem.text().len() < 4096);
    }
    for (index, part) in message.parts()?.iter().enumerate() {
        assert!(part.parent().is_none_or(|parent| parent < index));
        assert!(part.read_raw()?.len() as u64 <= len);
        part.write_to(&mut sink())?;
        part.headers()?;
    }
    for attachment in &message.attachments()? {
        assert_eq!(attachment.read()?.len() as u64, attachment.size()?);
        if let Some(inner) = attachment.source()? {
            read(&inner)?;
        }
    }
    assert!(message.write_to(&mut sink())? <= len);
    Ok(())
}

const PROFILES: [Profile; 7] = [
    Profile::IisDrop,
    Profile::HeaderFallback,
    Profile::Postfix,
    Profile::Exim,
    Profile::OpenSmtpd,
    Profile::Dovecot,
    Profile::None,
];

/// Whose a file is: the first byte chooses the profile.
pub fn envelope(data: &[u8]) {
    let Some((&first, file)) = data.split_first() else {
        return;
    };
    let profile = PROFILES[usize::from(first) % PROFILES.len()];
    let Head::Run(whole) = read_run(profile, file, true) else {
        panic!("a whole file is not judged");
    };
    assert!(whole.end <= file.len());
    // What is decided on a part of the file is never decided otherwise on all of it.
    for cut in 0..file.len().min(300) {
        if let Head::Run(early) = read_run(profile, &file[..cut], false) {
            assert_eq!(early, whole, "cut at {cut}");
        }
    }
    // Nothing below the run counts.
    if profile != Profile::HeaderFallback {
        let mut other = file[..whole.end].to_vec();
        other.extend(
            b"Received: x\r\nX-Receiver: v@x\r\nDelivered-To: v@x\r\nEnvelope-to: v@x\r\n\r\n",
        );
        let Head::Run(again) = read_run(profile, &other, true) else {
            panic!("a whole file is not judged");
        };
        assert_eq!(again, whole);
    }
    header_envelope(file);
}

/// A list of addresses: what is read, written and read again is the same.
pub fn address_list(data: &[u8]) {
    const MOST: usize = 1000;
    let entries = address_list::parse(data, MOST);
    assert!(entries.len() <= MOST);
    let list: Vec<Mailbox> = entries
        .iter()
        .filter_map(|entry| {
            let address = Address::parse(&entry.address).ok()?;
            let name = entry.name.clone();
            crate::format::field::check_name("To", &name).ok()?;
            Some(Mailbox { name, address })
        })
        .collect();
    if list.is_empty() {
        return;
    }
    let mut written = String::new();
    mailboxes(&mut written, "To", &list, Charset::UTF_8);
    assert!(written.split("\r\n").all(|line| line.len() <= 998));
    let again = address_list::parse(&fields::unfold(&written.as_bytes()[3..]), MOST);
    assert_eq!(again.len(), list.len(), "{written}");
    for (read, wanted) in again.iter().zip(&list) {
        assert_eq!(Address::parse(&read.address).unwrap(), wanted.address);
        assert_eq!(squeezed(&read.name), squeezed(&wanted.name));
    }
}

/// Files within a text, and HTML, the other thing that stands in one.
pub fn uuencode(data: &[u8]) {
    const MOST: usize = 10_000;
    let (plain, files) = uuencode::split(data, MOST, 100);
    assert!(plain.len() <= data.len());
    assert!(files.iter().map(|file| file.content.len()).sum::<usize>() <= MOST);
    assert!(!files.is_empty() || plain == data);
    let (mut whole, mut pieces) = (Vec::new(), Vec::new());
    for (cut, out) in [(data.len().max(1), &mut whole), (3, &mut pieces)] {
        let mut decoder = uuencode::Decoder::default();
        data.chunks(cut).for_each(|piece| decoder.feed(piece, out));
        decoder.finish(out);
    }
    assert_eq!(whole, pieces);
    let mut text = Vec::new();
    let put = |line: &str| {
        text.extend(format!("{line}\n").into_bytes());
        Ok(())
    };
    uuencode::write("x", &mut &data[..], put).unwrap();
    let (rest, back) = uuencode::split(&text, usize::MAX, 2);
    assert!(rest.is_empty() && back.len() == 1 && back[0].content == data);
    let source = String::from_utf8_lossy(data);
    html::to_text(&source);
    // Text that became HTML is read as it was.
    let shown = html::to_text(&html::from_text(&source));
    assert_eq!(squeezed(&shown), squeezed(&source));
}

/// A message composed of any values is refused, or read back as it was meant.
pub fn compose_then_parse(data: &[u8]) {
    let mut pieces = data.split(|&byte| byte == 0xff);
    let mut next = || String::from_utf8_lossy(pieces.next().unwrap_or_default()).into_owned();
    let flags = next().bytes().next().unwrap_or(0);
    let (subject, name, text, source) = (next(), next(), next(), next());
    let (file, content, value) = (next(), next(), next());
    let mut draft = draft();
    draft
        .set_subject(&subject)
        .set_sender(&name, "from@example.com")
        .set_text(&text)
        .add_header("X-Own", &value);
    draft.set_code_page(page(flags));
    draft
        .recipients_mut()
        .add(&name, "to@example.net", RecipientType::To);
    if flags & 4 != 0 {
        draft.set_html_text(&source);
    }
    if flags & 8 != 0 {
        draft.set_message_format(MessageFormat::Text);
    }
    if flags & 16 != 0 {
        let attachment = draft.attachments_mut().add_bytes(&file, content.clone());
        if flags & 32 != 0 {
            attachment.set_encoding_method(EncodingMethod::UuEncode);
        }
    }
    let mut message = Vec::new();
    if draft.write_to(&mut message).is_err() {
        return;
    }
    check_form(&message);
    let read = MessageFile::from_bytes(message).unwrap();
    assert_eq!(squeezed(read.subject()), squeezed(&subject));
    assert_eq!(squeezed(read.sender().name()), squeezed(&name));
    assert_eq!(read.recipients().unwrap().len(), 1);
    let headers = read.headers().unwrap();
    assert_eq!(
        squeezed(headers.get("X-Own").unwrap().value()),
        squeezed(&value)
    );
    // A blank text beside the HTML is not what a person reads.
    if flags & 4 == 0 || !lines(&text).trim().is_empty() {
        assert_eq!(lines(&read.text().unwrap()), lines(&text));
    }
    if flags & 4 != 0 {
        assert_eq!(lines(&read.html_part().unwrap().unwrap()), lines(&source));
    }
    let attachments = read.attachments().unwrap();
    assert_eq!(attachments.len(), usize::from(flags & 16 != 0));
    for attachment in &attachments {
        assert_eq!(attachment.read().unwrap(), content.as_bytes());
    }
}

fn draft() -> Draft {
    static SERVER: OnceLock<MailServer> = OnceLock::new();
    let server = SERVER.get_or_init(|| MailServer::temporary().unwrap());
    let session = Session::logon_smtp(server, "", "from@example.com").unwrap();
    session.outbox().messages().add("", "")
}

fn page(flags: u8) -> CodePage {
    let id = [65001, 1251, 28591, 932][usize::from(flags & 3)];
    CodePage::try_from(id).unwrap()
}

/// RFC 5322 section 2: lines of at most 998 octets that end in CRLF, no NUL, only ASCII.
fn check_form(message: &[u8]) {
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        // The last line of a text need not end.
        let text = line.strip_suffix(b"\r\n").unwrap_or(line);
        assert!(!text.ends_with(b"\n"));
        assert!(text.len() <= 998 && text.is_ascii());
        assert!(!text.contains(&b'\r') && !text.contains(&0));
    }
}

/// White space aside, which a fold may change, and the mark that a reader takes off.
fn squeezed(text: &str) -> String {
    let text = text.replace('\u{feff}', "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.trim_start_matches('\u{feff}')
        .trim_end_matches('\n')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What the fuzzer found and what it began with.
    fn replay(target: &str, run: fn(&[u8])) {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(target);
        let mut count = 0;
        for file in std::fs::read_dir(&dir).unwrap() {
            let path = file.unwrap().path();
            let data = std::fs::read(&path).unwrap();
            let done = std::panic::catch_unwind(|| run(&data));
            assert!(done.is_ok(), "{}", path.display());
            // The fuzzer itself runs for an hour before a release; this is what there is time for.
            let mut random = fastrand::Rng::with_seed(20_261_127 + count);
            for number in 0..CHANGED {
                let changed = changed(&data, &mut random);
                let done = std::panic::catch_unwind(|| run(&changed));
                assert!(
                    done.is_ok(),
                    "{} changed: {number}: {changed:?}",
                    path.display()
                );
            }
            count += 1;
        }
        assert!(count > 0, "{} is empty", dir.display());
    }

    /// So many changed forms of each file are tried.
    const CHANGED: usize = 8;

    /// A few bytes become others, come, or go.
    fn changed(data: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
        let mut data = data.to_vec();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(0..=data.len());
            let end = (at + random.usize(0..8)).min(data.len());
            let byte = *random.choice(b"\0\r\n :;=?\"-<>@,.\xff\xe9a0").unwrap();
            match random.u32(0..4) {
                0 if at < data.len() => data[at] ^= 1 << random.u32(0..8),
                1 => drop(data.drain(at..end)),
                2 => data.insert(at, byte),
                _ => {
                    let copied = data[at..end].to_vec();
                    data.splice(at..at, copied);
                }
            }
        }
        data
    }

    #[test]
    fn the_corpus_of_parse() {
        replay("parse", parse);
    }

    #[test]
    fn the_corpus_of_envelope() {
        replay("envelope", envelope);
    }

    #[test]
    fn the_corpus_of_address_list() {
        replay("address_list", address_list);
    }

    #[test]
    fn the_corpus_of_uuencode() {
        replay("uuencode", uuencode);
    }

    #[test]
    fn the_corpus_of_queue() {
        replay("queue", queue);
    }

    #[cfg(all(feature = "smtp", feature = "pop3", feature = "imap"))]
    #[test]
    fn the_corpus_of_conversation() {
        replay("conversation", conversation);
    }

    #[test]
    fn the_corpus_of_compose_then_parse() {
        replay("compose_then_parse", compose_then_parse);
    }
}
