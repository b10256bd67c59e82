//! Logging on and listing as a program that starts, does it and ends, beside notmuch and Dovecot.
//!
//! `cargo bench --bench processes -- [--messages 100000] [--json]`
//!
//! Of so many messages a hundred are jane's. Ours is this program run again: it opens the drop,
//! lists her messages by the index, and prints them. `notmuch search` prints the same hundred from
//! its own index. Dovecot is asked by IMAP to log on, to select a mailbox with as many messages and
//! to fetch date, size and flags of all (`FAST`); its process for the session starts with it.
#![allow(clippy::disallowed_methods, reason = "it makes its directories")]

#[cfg(target_os = "linux")]
#[path = "../tests/support/certificate.rs"]
mod certificate;
#[cfg(target_os = "linux")]
#[path = "../tests/support/dovecot.rs"]
mod dovecot;

fn main() {
    #[cfg(target_os = "linux")]
    measured::main();
    #[cfg(not(target_os = "linux"))]
    println!("skipped: needs Linux");
}

#[cfg(target_os = "linux")]
mod measured {
    use std::fs;
    use std::io::{BufRead, BufReader, BufWriter, Write};
    use std::net::TcpStream;
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant, SystemTime};

    use cdonts::{MailServer, Profile, Session, Writer};

    use crate::dovecot::Dovecot;

    /// Of jane.
    const HERS: usize = 100;
    const PAIRS: usize = 101;

    pub(super) fn main() {
        let args: Vec<String> = std::env::args().collect();
        let after = |name: &str| {
            let at = args.iter().position(|arg| arg == name)?;
            args.get(at + 1)
        };
        if let Some(root) = after("--list") {
            print_hers(Path::new(root));
            return;
        }
        let messages =
            after("--messages").map_or(100_000, |count| count.parse().expect("a number"));
        let is_json = args.iter().any(|arg| arg == "--json");
        let root = tempfile::tempdir().expect("a directory");
        fill(root.path(), messages);
        let ours = || list(root.path());
        // The first time makes the index.
        ours();
        if let Some(search) = notmuch(root.path()) {
            row(messages, "notmuch search", 0.2, is_json, &ours, &search);
        }
        if let Some(dovecot) = Dovecot::start() {
            dovecot.fill("ann", messages);
            let fetch = || select_and_fetch(dovecot.imap, messages);
            // The server makes its own lists the first time.
            fetch();
            let peer = "Dovecot SELECT + FETCH";
            row(messages, peer, 0.02, is_json, &ours, &fetch);
        }
    }

    fn row(
        messages: usize,
        peer: &str,
        target: f64,
        is_json: bool,
        ours: &dyn Fn() -> f64,
        theirs: &dyn Fn() -> f64,
    ) {
        let pairs: Vec<(f64, f64)> = (0..PAIRS).map(|_| (ours(), theirs())).collect();
        let of = |pick: fn(&(f64, f64)) -> f64| {
            let mut values: Vec<f64> = pairs.iter().map(pick).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().expect("some")
        };
        let (ratio, ours, theirs) = (of(|(a, b)| a / b), of(|pair| pair.0), of(|pair| pair.1));
        let work = format!("log on and list, nothing changed, {messages} files, as processes");
        if is_json {
            let row = serde_json::json!({
                "work": work, "ours": ours, "peer": theirs, "peer_name": peer,
                "ratio": ratio, "target": target,
            });
            println!("{row}");
        } else {
            let (ours, theirs) = (ours * 1e3, theirs * 1e3);
            println!("{ratio:>6.3} of {target} {ours:>8.2} ms {theirs:>8.2} ms  {work} / {peer}");
        }
    }

    fn fill(root: &Path, messages: usize) {
        for name in ["Drop", "State"] {
            fs::create_dir(root.join(name)).expect("a directory");
        }
        let every = (messages / HERS).max(1);
        for number in 0..messages {
            let to = match number % every {
                0 => "jane@example.com".to_owned(),
                other => format!("user{}@example.com", other % 5000),
            };
            let text = format!(
                "X-Sender: shop@example.org\r\nX-Receiver: {to}\r\n\
                 Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nFrom: Shop <shop@example.org>\r\n\
                 To: {to}\r\nMessage-ID: <{number}@example.org>\r\nSubject: Your order {number}\r\n\
                 \r\nIt is on its way.\r\n"
            );
            let name = format!("{number:032x}.eml");
            fs::write(root.join("Drop").join(name), text).expect("it is written");
        }
        let drop = fs::File::open(root.join("Drop")).expect("a directory");
        let rested = SystemTime::UNIX_EPOCH + Duration::from_hours(472_222);
        drop.set_modified(rested).expect("its time is set");
    }

    /// What the process does that is measured.
    fn print_hers(root: &Path) {
        let server = MailServer::builder()
            .drop_dir(root.join("Drop"), Profile::IisDrop)
            .state_dir(root.join("State"))
            .drop_writer(Writer::Renames)
            .open()
            .expect("a server");
        let session = Session::logon_smtp(&server, "", "jane@example.com").expect("a session");
        let mut out = BufWriter::new(std::io::stdout().lock());
        for message in &session.inbox().messages().expect("a listing") {
            let date = cdonts::time::rfc3339(message.time_received());
            let (sender, subject) = (message.sender(), message.subject());
            writeln!(out, "{date}  {sender}  {subject}").expect("it is printed");
        }
        out.flush().expect("it is printed");
    }

    /// Runs a program to its end; the seconds that it took, and what it printed.
    fn timed(command: &mut Command) -> f64 {
        let begin = Instant::now();
        let output = command.output().expect("it runs");
        let time = begin.elapsed().as_secs_f64();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{printed}");
        assert_eq!(printed.lines().count(), HERS, "{printed}");
        time
    }

    fn list(root: &Path) -> f64 {
        let own = std::env::current_exe().expect("this program");
        timed(Command::new(own).arg("--list").arg(root))
    }

    /// A search by notmuch over the same messages; `None` where there is none.
    fn notmuch(root: &Path) -> Option<impl Fn() -> f64> {
        let mail = root.join("notmuch/mail");
        fs::create_dir_all(&mail).expect("a directory");
        std::os::unix::fs::symlink(root.join("Drop"), mail.join("Drop")).expect("a link");
        let configuration = root.join("notmuch.conf");
        let (database, mail) = (root.join("notmuch"), mail.display());
        let text = format!(
            "[database]\npath={}\nmail_root={mail}\n[user]\nprimary_email=x@example.com\n",
            database.display()
        );
        fs::write(&configuration, text).expect("its configuration");
        let run = move |words: &[&str]| {
            let mut command = Command::new("notmuch");
            command.args(words).env("NOTMUCH_CONFIG", &configuration);
            command
        };
        let indexed = run(&["new", "--quiet"]).stderr(Stdio::null()).status();
        if !indexed.is_ok_and(|status| status.success()) {
            println!("skipped: no notmuch");
            return None;
        }
        Some(move || timed(&mut run(&["search", "to:jane@example.com"])))
    }

    fn select_and_fetch(port: u16, messages: usize) -> f64 {
        let begin = Instant::now();
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server");
        stream.set_nodelay(true).expect("an option");
        let mut replies = BufReader::new(stream.try_clone().expect("a handle")).lines();
        let mut ask = |tag: &str, command: &str| {
            let request = format!("{tag} {command}\r\n");
            (&stream).write_all(request.as_bytes()).expect("it is sent");
            let mut lines = 0;
            loop {
                let line = replies.next().expect("a line").expect("a line");
                if let Some(rest) = line.strip_prefix(tag) {
                    assert!(rest.starts_with(" OK"), "{line}");
                    return lines;
                }
                lines += 1;
            }
        };
        ask("a", "LOGIN ann@example.com annpw");
        ask("b", "SELECT INBOX");
        let fetched = ask("c", "FETCH 1:* FAST");
        let time = begin.elapsed().as_secs_f64();
        assert_eq!(fetched, messages);
        ask("d", "LOGOUT");
        time
    }
}
