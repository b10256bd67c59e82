//! Log-on and first page of a large mailbox over POP3 and IMAP, beside Python's poplib and
//! imaplib, on a Dovecot of its own.
//!
//! `cargo bench --bench mailboxes --all-features -- [--messages 100000] [--json] [--check]`
//!
//! The page is the newest 50 messages with sender and subject. Python's time is taken inside its
//! process: its start is not counted. With `--check` a ratio over twice its target fails.
#![allow(clippy::disallowed_methods, reason = "it makes its directories")]

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
    use std::process::Command;
    use std::time::Instant;

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
count = len(box.list()[1])
page = []
for number in range(count, max(0, count - 50), -1):
    lines = box.top(number, 0)[1]
    head = email.message_from_bytes(b'\\r\\n'.join(lines), policy=email.policy.default)
    page.append((head['from'], head['subject']))
print(time.perf_counter() - begin, len(page))
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
    answer = box.uid('fetch', uid, '(BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)])')[1]
    head = email.message_from_bytes(answer[0][1], policy=email.policy.default)
    page.append((head['from'], head['subject']))
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
            page.push((message.sender().to_string(), message.subject().to_owned()));
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
        let pop3 = || {
            let pop3 = Pop3::new("localhost").expect("roots").port(dovecot.pop3s);
            MailServer::builder().inbox(pop3.roots(&roots).expect("roots"))
        };
        let imap = || {
            let imap = Imap::new("localhost").expect("roots").port(dovecot.imaps);
            MailServer::builder().inbox(imap.roots(&roots).expect("roots"))
        };
        // The server makes its own lists the first time.
        ours(imap());
        ours(pop3());
        let mut failed = false;
        for (work, peer, pair) in [
            (
                "POP3",
                "poplib",
                &(|| (ours(pop3()), python(POPLIB, dovecot.pop3s, &certificate)))
                    as &dyn Fn() -> (f64, f64),
            ),
            ("IMAP", "imaplib", &|| {
                (ours(imap()), python(IMAPLIB, dovecot.imaps, &certificate))
            }),
        ] {
            let pairs: Vec<(f64, f64)> = (0..PAIRS).map(|_| pair()).collect();
            let ratio = median(pairs.iter().map(|(ours, theirs)| ours / theirs).collect());
            let (ours, theirs): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let (ours, theirs) = (median(ours), median(theirs));
            let work = format!("log on and first page of {messages} messages over {work}");
            if args.iter().any(|arg| arg == "--json") {
                let row = serde_json::json!({
                    "work": work, "ours": ours, "peer": theirs, "peer_name": peer,
                    "ratio": ratio, "target": TARGET,
                });
                println!("{row}");
            } else {
                println!(
                    "{ratio:>6.3} of {TARGET} {:>8.1} ms {:>8.1} ms  {work} / {peer}",
                    ours * 1e3,
                    theirs * 1e3
                );
            }
            failed |= ratio > 2.0 * TARGET;
        }
        if failed && args.iter().any(|arg| arg == "--check") {
            eprintln!("a ratio is over twice its target");
            std::process::exit(1);
        }
    }
}
