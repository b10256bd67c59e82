//! Log-on and first page of a large mailbox over POP3 and IMAP, beside Python's poplib and
//! imaplib, on a Dovecot of its own.
//!
//! `cargo bench --bench mailboxes --all-features -- [--messages 100000] [--json] [--check]`
//!
//! The page is the newest 50 messages with sender, subject, size and date. It is measured on this
//! machine and over a line of 10 ms to and fro, as to a server elsewhere. Python's time is taken
//! inside its process: its start is not counted. With `--check` a ratio over twice its target fails.
//!
//! Dovecot's POP3 reads its whole mailbox before it answers anything after a log-on, a NOOP too. That
//! time is most of what there is, the same for every client, and no client can leave it out: a row
//! more gives both times beyond it.
#![allow(clippy::disallowed_methods, reason = "it makes its directories")]

#[cfg(all(feature = "pop3", feature = "imap", target_os = "linux"))]
#[path = "../tests/support/certificate.rs"]
mod certificate;
#[cfg(all(feature = "pop3", feature = "imap", target_os = "linux"))]
#[path = "../tests/support/dovecot.rs"]
mod dovecot;

fn main() {
    #[cfg(all(feature = "pop3", feature = "imap", target_os = "linux"))]
    measured::main();
    #[cfg(not(all(feature = "pop3", feature = "imap", target_os = "linux")))]
    println!("skipped: needs Linux and the features pop3 and imap");
}

#[cfg(all(feature = "pop3", feature = "imap", target_os = "linux"))]
mod measured {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::process::Command;
    use std::time::{Duration, Instant};

    use cdonts::{Credentials, Imap, MailServer, MailServerBuilder, Pop3, Roots, Session};

    use crate::dovecot::Dovecot;

    const PAGE: usize = 50;
    const PAIRS: usize = 5;
    const TARGET: f64 = 0.5;

    /// Each as its documentation shows it: list, then ask for each message of the page.
    const POPLIB: &str = "
import poplib, ssl, sys, time, email, email.policy
port, ca = int(sys.argv[1]), sys.argv[2]
begin = time.perf_counter()
box = poplib.POP3_SSL('localhost', port, context=ssl.create_default_context(cafile=ca))
box.user('ann@example.com')
box.pass_('annpw')
sizes = box.list()[1]
count = len(sizes)
page = []
for number in range(count, max(0, count - 50), -1):
    lines = box.top(number, 0)[1]
    head = email.message_from_bytes(b'\\r\\n'.join(lines), policy=email.policy.default)
    page.append((head['from'], head['subject'], head['received'], sizes[number - 1].split()[1]))
print(time.perf_counter() - begin, len(page))
box.quit()
";

    /// What the server takes to let somebody in and answer that it does nothing.
    const NOOP: &str = "
import poplib, ssl, sys, time
port, ca = int(sys.argv[1]), sys.argv[2]
box = poplib.POP3_SSL('localhost', port, context=ssl.create_default_context(cafile=ca))
box.user('ann@example.com')
begin = time.perf_counter()
box.pass_('annpw')
box.noop()
print(time.perf_counter() - begin, 50)
box.quit()
";

    const IMAPLIB: &str = "
import imaplib, ssl, sys, time, email, email.policy
port, ca = int(sys.argv[1]), sys.argv[2]
begin = time.perf_counter()
box = imaplib.IMAP4_SSL('localhost', port, ssl_context=ssl.create_default_context(cafile=ca))
box.login('ann@example.com', 'annpw')
box.select('INBOX', readonly=True)
uids = box.uid('search', None, 'ALL')[1][0].split()
page = []
for uid in reversed(uids[-50:]):
    answer = box.uid('fetch', uid, '(RFC822.SIZE BODY.PEEK[HEADER.FIELDS (FROM SUBJECT RECEIVED)])')[1]
    head = email.message_from_bytes(answer[0][1], policy=email.policy.default)
    page.append((head['from'], head['subject'], head['received'], answer[0][0].split(b'RFC822.SIZE ')[1].split()[0]))
print(time.perf_counter() - begin, len(page))
box.logout()
";

    fn python(program: &str, port: u16, certificate: &str) -> f64 {
        let output = Command::new("python3")
            .args(["-c", program, &port.to_string(), certificate])
            .output()
            .expect("python3 runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut words = text.split_whitespace();
        let time = words.next().and_then(|word| word.parse().ok());
        assert_eq!(words.next(), Some("50"), "{text}");
        time.expect("a time")
    }

    fn ours(builder: MailServerBuilder) -> f64 {
        let begin = Instant::now();
        let server = builder.open().expect("a server");
        let who = Credentials::password("ann@example.com", "annpw");
        let session = Session::logon(&server, who).expect("a session");
        let mut page = Vec::with_capacity(PAGE);
        for message in session
            .inbox()
            .newest_first()
            .expect("the Inbox")
            .take(PAGE)
        {
            let message = message.expect("a message");
            page.push((
                message.sender().to_string(),
                message.subject().to_owned(),
                message.time_received(),
                message.size(),
            ));
        }
        let time = begin.elapsed().as_secs_f64();
        assert_eq!(page.len(), PAGE);
        time
    }

    fn median(mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().expect("some")
    }

    pub(super) fn main() {
        let args: Vec<String> = std::env::args().collect();
        let after = |name: &str| {
            args.iter()
                .position(|arg| arg == name)
                .and_then(|at| args.get(at + 1))
        };
        let messages: usize =
            after("--messages").map_or(100_000, |count| count.parse().expect("a number"));
        let Some(dovecot) = Dovecot::start() else {
            return;
        };
        dovecot.fill("ann", messages);
        let certificate = dovecot.path("cert.pem").display().to_string();
        let roots = Roots::Only(dovecot.certificate());
        let pop3 = |port: u16| {
            let pop3 = Pop3::new("localhost").port(port);
            MailServer::builder().inbox(pop3.roots(roots.clone()))
        };
        let imap = |port: u16| {
            let imap = Imap::new("localhost").port(port);
            MailServer::builder().inbox(imap.roots(roots.clone()))
        };
        // The server makes its own lists the first time.
        ours(imap(dovecot.imaps));
        ours(pop3(dovecot.pop3s));
        let (is_json, checks) = (has(&args, "--json"), has(&args, "--check"));
        let mut failed = false;
        for (line, way) in [("", 0), (", 10 ms away", 5)] {
            let away = |port: u16| if way == 0 { port } else { line_to(port, way) };
            let (pops, imaps) = (away(dovecot.pop3s), away(dovecot.imaps));
            let of_pop3 = || (ours(pop3(pops)), python(POPLIB, pops, &certificate));
            let of_imap = || (ours(imap(imaps)), python(IMAPLIB, imaps, &certificate));
            for (protocol, peer, pair) in [
                ("POP3", "poplib", &of_pop3 as &dyn Fn() -> (f64, f64)),
                ("IMAP", "imaplib", &of_imap),
            ] {
                let work = format!("log on and first page of {messages} over {protocol}{line}");
                let pairs: Vec<(f64, f64)> = (0..PAIRS).map(|_| pair()).collect();
                failed |= row(&work, peer, pairs, is_json) > 2.0 * TARGET;
            }
        }
        let beyond = || {
            let own = python(NOOP, dovecot.pop3s, &certificate);
            let ours = ours(pop3(dovecot.pop3s)) - own;
            let theirs = python(POPLIB, dovecot.pop3s, &certificate) - own;
            (ours.max(0.0), theirs.max(0.001))
        };
        let work = format!("log on and first page of {messages} over POP3, beyond PASS and NOOP");
        let pairs: Vec<(f64, f64)> = (0..PAIRS).map(|_| beyond()).collect();
        failed |= row(&work, "poplib", pairs, is_json) > 2.0 * TARGET;
        if failed && checks {
            eprintln!("a ratio is over twice its target");
            std::process::exit(1);
        }
    }

    fn has(args: &[String], name: &str) -> bool {
        args.iter().any(|arg| arg == name)
    }

    fn row(work: &str, peer: &str, pairs: Vec<(f64, f64)>, is_json: bool) -> f64 {
        let ratio = median(pairs.iter().map(|(ours, theirs)| ours / theirs).collect());
        let (ours, theirs): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let (ours, theirs) = (median(ours), median(theirs));
        if is_json {
            let row = serde_json::json!({
                "work": work, "ours": ours, "peer": theirs, "peer_name": peer,
                "ratio": ratio, "target": TARGET,
            });
            println!("{row}");
        } else {
            let (ours, theirs) = (ours * 1e3, theirs * 1e3);
            println!("{ratio:>6.3} of {TARGET} {ours:>8.1} ms {theirs:>8.1} ms  {work} / {peer}");
        }
        ratio
    }

    /// A port behind which everything takes so many milliseconds each way.
    fn line_to(port: u16, way: u64) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let own = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", port)).expect("the server");
                for stream in [&client, &server] {
                    stream.set_nodelay(true).expect("an option");
                }
                let both = (
                    client.try_clone().expect("a handle"),
                    server.try_clone().expect("a handle"),
                );
                delay(client, server, way);
                delay(both.1, both.0, way);
            }
        });
        own
    }

    fn delay(mut from: TcpStream, mut to: TcpStream, way: u64) {
        let (put, get) = std::sync::mpsc::channel::<(Instant, Vec<u8>)>();
        std::thread::spawn(move || {
            let mut block = vec![0; 65536];
            while let Ok(count @ 1..) = from.read(&mut block) {
                let due = Instant::now() + Duration::from_millis(way);
                if put.send((due, block[..count].to_vec())).is_err() {
                    return;
                }
            }
        });
        std::thread::spawn(move || {
            for (due, octets) in get {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                if to.write_all(&octets).is_err() {
                    return;
                }
            }
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
    }
}
