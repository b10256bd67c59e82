//! The table of targets, each figure beside a named peer's in the same run.
//!
//! `cargo bench --bench report -- [--json] [--files 10000,100000] [--rounds 5]
//! [--only composing] [--plot log-on.svg]`
//!
//! A ratio is the median of the ratios of so many pairs. `--check` fails when a ratio is over twice
//! its target: noise is real.
#![allow(clippy::disallowed_methods, reason = "it writes its messages")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::cell::Cell;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::BufWriter;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use cdonts::{Durability, MailServer, MessageFile, Profile, Session, Writer};
use peers::{TEXT, builder, draft, lettre_message, mailroot, publish};
use tempfile::TempDir;

mod peers;
mod plot;

struct Report {
    json: bool,
    check: bool,
    rounds: usize,
    plot: Option<PathBuf>,
    over: Vec<String>,
}

/// A part of the table, and its name for `--only`.
type Part<'a> = (&'a str, &'a dyn Fn(&mut Report));

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        words.get(at + 1)
    };
    if let Some(root) = after("--peak-of-listing") {
        let peak = peak_megabytes(&mut || {
            black_box(list(Path::new(root)));
        });
        println!("{peak}");
        return;
    }
    let mut report = Report {
        json: words.iter().any(|word| word == "--json"),
        check: words.iter().any(|word| word == "--check"),
        rounds: after("--rounds")
            .map_or(5, |count| count.parse().expect("--rounds takes a number")),
        plot: after("--plot").map(PathBuf::from),
        over: Vec::new(),
    };
    let sizes: Vec<usize> = after("--files").map_or(vec![10_000, 100_000], |list| {
        list.split(',')
            .map(|size| size.parse().expect("--files takes numbers"))
            .collect()
    });
    let parts: [Part<'_>; 6] = [
        ("composing", &Report::composing),
        ("attachment", &Report::attachment),
        ("sending", &Report::sending),
        ("reading", &Report::reading),
        ("listing", &|report| report.listing(&sizes)),
        ("plot", &|report| report.draw(&sizes)),
    ];
    for (name, part) in parts {
        if after("--only").is_none_or(|only| only == name) {
            part(&mut report);
        }
    }
    for row in &report.over {
        eprintln!("over twice its target: {row}");
    }
    if report.check && !report.over.is_empty() {
        std::process::exit(1);
    }
}

fn seconds(work: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// The most memory that the work takes above what the process had; an allocator that counts would
/// slow down what is measured beside it.
fn peak_megabytes(work: &mut dyn FnMut()) -> f64 {
    let kilobytes = |name: &str| {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        number.unwrap_or(f64::NAN)
    };
    // From now on the highest mark counts.
    let _ = fs::write("/proc/self/clear_refs", "5");
    let before = kilobytes("VmRSS:");
    work();
    (kilobytes("VmHWM:") - before).max(0.0) / 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Report {
    /// Measures both in turns and prints the row; the time is that of one of `times`.
    fn pair(
        &mut self,
        work: &str,
        peer_name: &str,
        target: f64,
        times: usize,
        ours: &mut dyn FnMut(),
        peer: &mut dyn FnMut(),
    ) {
        let repeat = |work: &mut dyn FnMut()| {
            seconds(&mut || (0..times).for_each(|_| work())) / times as f64
        };
        ours();
        peer();
        let pairs: Vec<(f64, f64)> = (0..self.rounds)
            .map(|_| (repeat(ours), repeat(peer)))
            .collect();
        self.row(work, peer_name, Some(target), &pairs);
    }

    fn row(&mut self, work: &str, peer_name: &str, target: Option<f64>, pairs: &[(f64, f64)]) {
        let of = |pick: fn(&(f64, f64)) -> f64| median(pairs.iter().map(pick).collect());
        let (ours, peer) = (of(|pair| pair.0), of(|pair| pair.1));
        let ratio = of(|pair| pair.0 / pair.1);
        if let Some(target) = target.filter(|target| ratio > 2.0 * target) {
            self.over.push(format!("{work}: {ratio:.2} of {target}"));
        }
        if self.json {
            println!(
                "{}",
                serde_json::json!({
                    "work": work, "ours": ours, "peer": peer, "peer_name": peer_name,
                    "ratio": ratio, "target": target,
                })
            );
        } else {
            let target = target.map_or(String::new(), |target| format!("of {target}"));
            println!(
                "{ratio:>9.3} {target:<8} {:>12.1} µs {:>12.1} µs  {work} / {peer_name}",
                ours * 1e6,
                peer * 1e6
            );
        }
    }

    /// A figure without a peer.
    fn figure(&mut self, work: &str, ours: f64, target: f64) {
        if ours > 2.0 * target {
            self.over.push(format!("{work}: {ours:.1} of {target}"));
        }
        if self.json {
            println!(
                "{}",
                serde_json::json!({
                    "work": work, "ours": ours, "peer": null, "peer_name": null,
                    "ratio": null, "target": target,
                })
            );
        } else {
            println!("{ours:>9.1} of {target:<5} {work}");
        }
    }
}

impl Report {
    fn composing(&mut self) {
        let server = MailServer::temporary().expect("a server");
        let text = TEXT.repeat(12);
        let html = format!("<html><body><p>{}</p></body></html>", TEXT.repeat(14));
        let work = "compose a 2 KB text + HTML message, checks included";
        let mut ours = || {
            let mut message = Vec::new();
            draft(&server, &text, Some(&html))
                .write_to(&mut message)
                .expect("it is composed");
            black_box(message);
        };
        self.pair(
            work,
            "lettre (builder + formatted)",
            0.5,
            2000,
            &mut ours,
            &mut || {
                black_box(lettre_message(&text, &html));
            },
        );
        self.pair(
            work,
            "mail-builder, which checks nothing",
            2.0,
            2000,
            &mut ours,
            &mut || {
                let message = builder(&text).html_body(html.as_str());
                black_box(message.write_to_vec().expect("it is composed"));
            },
        );
        let ascii = TEXT.repeat(1_000_000 / TEXT.len());
        let utf_8 = ascii.replace("fox", "füchs");
        for (name, text) in [("ASCII", ascii), ("UTF-8", utf_8)] {
            let work = format!("compose a 1 MB text body, {name}");
            let message = draft(&server, &text, None);
            let mut ours = || {
                let mut source = Vec::new();
                message.write_to(&mut source).expect("it is composed");
                black_box(source);
            };
            self.pair(&work, "mail-builder", 1.0, 10, &mut ours, &mut || {
                black_box(builder(&text).write_to_vec().expect("it is composed"));
            });
        }
    }

    fn attachment(&mut self) {
        let dir = tempfile::tempdir().expect("a directory");
        let content: Vec<u8> = (0..25_000_000u32)
            .map(|n| n.to_le_bytes()[0] ^ 0x5a)
            .collect();
        let source = dir.path().join("source");
        fs::write(&source, &content).expect("the source is written");
        let server = MailServer::temporary().expect("a server");
        let compose = || {
            let mut message = draft(&server, "text", None);
            let from = File::open(&source).expect("the source opens");
            message.attachments_mut().add_reader("data.bin", from);
            let mut file = File::create(dir.path().join("ours")).expect("a file");
            message.write_to(&mut file).expect("it is composed");
        };
        let work = "compose a 25 MB attachment from a reader straight to a file";
        self.pair(
            work,
            "mail-builder write_to a BufWriter, bytes in memory",
            1.2,
            1,
            &mut || compose(),
            &mut || {
                let file = File::create(dir.path().join("peer")).expect("a file");
                let message = builder("text").attachment(
                    "application/octet-stream",
                    "data.bin",
                    content.as_slice(),
                );
                message
                    .write_to(BufWriter::new(file))
                    .expect("it is composed");
            },
        );
        let peak = peak_megabytes(&mut || compose());
        self.figure("memory of that, MB over the baseline", peak, 8.0);
    }

    fn sending(&mut self) {
        for (durability, work, peer, target) in [
            (
                Durability::Atomic,
                "compose and send, atomic (no fsync)",
                "O_TMPFILE + write + linkat of the same bytes",
                1.25,
            ),
            (
                Durability::Durable,
                "send, durable, one by one",
                "the same + fdatasync + directory fsync",
                1.05,
            ),
        ] {
            let root = tempfile::tempdir().expect("a directory");
            let server = mailroot(&root, durability);
            let message = || draft(&server, &TEXT.repeat(27), None);
            let mut bytes = Vec::new();
            message().write_to(&mut bytes).expect("it is composed");
            let bare = root.path().join("bare");
            fs::create_dir(&bare).expect("a directory");
            let dir = File::open(&bare).expect("a directory");
            let durable = durability == Durability::Durable;
            let mut number = 0;
            let times = if durable { 100 } else { 500 };
            self.pair(
                work,
                peer,
                target,
                times,
                &mut || {
                    message().send().expect("it is sent");
                },
                &mut || {
                    number += 1;
                    publish(&bare, &dir, &format!("{number}"), &bytes, durable);
                },
            );
        }
        let root = tempfile::tempdir().expect("a directory");
        let server = mailroot(&root, Durability::Durable);
        let session = Session::logon_smtp(&server, "", "shop@example.com").expect("a session");
        let message = || draft(&server, &TEXT.repeat(27), None);
        self.pair(
            "send, durable, 64 together, per message",
            "send durable one by one",
            0.35,
            1,
            &mut || {
                let results = session.outbox().send_all((0..64).map(|_| message()));
                assert!(results.iter().all(Result::is_ok));
            },
            &mut || {
                for _ in 0..64 {
                    message().send().expect("it is sent");
                }
            },
        );
    }

    fn reading(&mut self) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("message.eml");
        let content: Vec<u8> = (0..7_300_000u32).map(|n| n.to_le_bytes()[1]).collect();
        let message = builder(TEXT).attachment("application/octet-stream", "data.bin", content);
        let file = File::create(&path).expect("a file");
        message
            .write_to(BufWriter::new(file))
            .expect("it is written");
        let parse = |bytes: &[u8]| {
            let message = mail_parser::MessageParser::default()
                .parse(bytes)
                .expect("a message");
            black_box(message.subject().map(str::len));
        };
        self.pair(
            "open a 10 MB message and read its subject",
            "mail-parser parse",
            0.05,
            1,
            &mut || {
                let root = listed(&path);
                black_box(root);
            },
            &mut || {
                parse(&fs::read(&path).expect("it is read"));
            },
        );
        let message = MessageFile::open(&path).expect("a message");
        // A new file each time: one that is there already has to be emptied first.
        let number = Cell::new(0);
        let out = || {
            number.set(number.get() + 1);
            dir.path().join(format!("out{}", number.get()))
        };
        self.pair(
            "save one 10 MB attachment to a file",
            "mail-parser parse + write",
            0.35,
            1,
            &mut || {
                let attachments = message.attachments().expect("attachments");
                let attachment = attachments.get(0).expect("one");
                let mut file = File::create(out()).expect("a file");
                attachment.write_to(&mut file).expect("it is written");
            },
            &mut || {
                let bytes = fs::read(&path).expect("it is read");
                let message = mail_parser::MessageParser::default()
                    .parse(&bytes)
                    .expect("a message");
                let attachment = message.attachment(0).expect("one");
                fs::write(out(), attachment.contents()).expect("it is written");
            },
        );
    }
}

/// The subject of a large message, as a listing reads it.
fn listed(path: &Path) -> usize {
    use std::io::Read;
    // The head alone, as the library reads it from the drop.
    let mut head = vec![0; 64 * 1024];
    let count = File::open(path)
        .and_then(|mut file| file.read(&mut head))
        .expect("it is read");
    head.truncate(count);
    let message = MessageFile::from_bytes(head).expect("a message");
    message.subject().len()
}

/// Logs on as jane and lists.
fn list(root: &Path) -> usize {
    let server = MailServer::builder()
        .drop_dir(root.join("Drop"), Profile::IisDrop)
        .state_dir(root.join("State"))
        .drop_writer(Writer::Renames)
        .open()
        .expect("a server");
    let session = Session::logon_smtp(&server, "", "jane@example.com").expect("a session");
    session.inbox().messages().expect("a listing").len()
}

/// A drop of so many files of 2 KB, a hundred of them jane's.
struct DropOf {
    root: TempDir,
    files: usize,
}

impl DropOf {
    fn new(files: usize) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let drop = Self { root, files };
        for name in ["Drop", "State"] {
            fs::create_dir(drop.path(name)).expect("a directory");
        }
        for number in 0..files {
            drop.put(number);
        }
        drop.rest();
        drop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn put(&self, number: usize) {
        let to = match number % (self.files / 100).max(1) {
            0 => "jane@example.com".to_owned(),
            other => format!("user{}@example.com", other % 5000),
        };
        let text = format!(
            "X-Sender: shop@example.org\r\nX-Receiver: {to}\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n\
             From: Shop <shop@example.org>\r\nTo: {to}\r\nSubject: Your order {number}\r\n\r\n{}",
            TEXT.repeat(24)
        );
        fs::write(self.path("Drop").join(format!("{number:032x}.eml")), text)
            .expect("it is written");
    }

    fn rest(&self) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + self.files as u64);
        let dir = File::open(self.path("Drop")).expect("a directory");
        dir.set_modified(time).expect("its time is set");
    }

    fn list(&self) -> usize {
        list(self.root.path())
    }

    fn forget(&self) {
        let _ = fs::remove_file(self.path("State").join("index"));
    }

    fn names(&self) -> Vec<std::ffi::OsString> {
        let entries = fs::read_dir(self.path("Drop")).expect("a directory");
        entries
            .map(|entry| entry.expect("an entry").file_name())
            .collect()
    }

    /// What must be done at least: each file opened, and its beginning read, by as many threads as
    /// the library has.
    fn bare(&self) {
        const THREADS: usize = 8;
        let names = self.names();
        let drop = &self.path("Drop");
        std::thread::scope(|scope| {
            for share in names.chunks(names.len().div_ceil(THREADS).max(1)) {
                scope.spawn(move || {
                    let mut head = [0; 4096];
                    for name in share {
                        let file = File::open(drop.join(name)).expect("it opens");
                        black_box(file.read_at(&mut head, 0).expect("it is read"));
                    }
                });
            }
        });
    }
}

/// Empties the caches of the system, if this user may.
fn empty_caches() -> bool {
    rustix::fs::sync();
    fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

impl Report {
    fn draw(&self, sizes: &[usize]) {
        if let Some(path) = &self.plot {
            let drops: Vec<_> = sizes.iter().map(|&files| DropOf::new(files)).collect();
            plot::draw(path, &self.log_on_times(&drops)).expect("the plot is drawn");
        }
    }

    /// Of each drop: the number of its files, and the seconds of a log-on with its listing and of
    /// the two that do without an index.
    fn log_on_times(&self, drops: &[DropOf]) -> Vec<plot::Point> {
        let of = |work: &mut dyn FnMut()| {
            work();
            median((0..self.rounds).map(|_| seconds(work)).collect())
        };
        let point = |drop: &DropOf| plot::Point {
            files: drop.files as f64,
            ours: of(&mut || assert!(drop.list() >= 100)),
            names: of(&mut || assert!(!drop.names().is_empty())),
            heads: of(&mut || drop.bare()),
        };
        drops.iter().map(point).collect()
    }

    /// From the disk, as a program finds a large drop that it sees for the first time; and with all
    /// of it in memory, where nothing hides what the index costs.
    fn first_listing(&mut self, drop: &DropOf) {
        const PEER: &str = "readdir + openat + pread of 4 KB + close";
        let work = format!("first listing of {} files for one address", drop.files);
        let listed = |is_cold: bool| {
            drop.forget();
            let is_cold = is_cold && empty_caches();
            let ours = seconds(&mut || assert!(drop.list() >= 100));
            if is_cold {
                empty_caches();
            }
            (ours, seconds(&mut || drop.bare()))
        };
        if empty_caches() {
            let pairs: Vec<_> = (0..self.rounds).map(|_| listed(true)).collect();
            self.row(&work, PEER, Some(1.15), &pairs);
        } else {
            eprintln!("skipped: {work} from the disk needs the right to empty the caches");
        }
        if !self.json {
            listed(false);
            let pairs: Vec<_> = (0..self.rounds).map(|_| listed(false)).collect();
            self.row(&format!("{work}, all in memory"), PEER, None, &pairs);
        }
    }

    fn listing(&mut self, sizes: &[usize]) {
        let drops: Vec<DropOf> = sizes.iter().map(|&files| DropOf::new(files)).collect();
        for drop in &drops {
            self.first_listing(drop);
        }
        let (Some(small), Some(large)) = (drops.first(), drops.last()) else {
            return;
        };
        let work = format!("log on and list, nothing changed, {} files", large.files);
        let peer = format!("the same at {} files", small.files);
        self.pair(
            &work,
            &peer,
            1.5,
            20,
            &mut || {
                black_box(large.list());
            },
            &mut || {
                black_box(small.list());
            },
        );
        // What it takes on the disk: the file has holes at its end.
        let index = fs::metadata(large.path("State").join("index"));
        let size = index.map_or(0, |index| index.blocks() * 512);
        self.figure(
            "index size, bytes a file",
            size as f64 / large.files as f64,
            200.0,
        );
        large.forget();
        // In a process of its own: this one has memory to spare by now.
        let child = std::process::Command::new(std::env::current_exe().expect("this program"))
            .arg("--peak-of-listing")
            .arg(large.root.path())
            .output()
            .expect("it runs again");
        let printed = String::from_utf8_lossy(&child.stdout);
        let peak = printed.trim().parse().expect("it prints a number");
        let work = format!("memory while listing {} files, MB", large.files);
        self.figure(&work, peak, 64.0);
        // As many in proportion as 1,000 among 1,000,000.
        let new = (large.files / 1000).max(1);
        let mut pairs = Vec::new();
        for round in 0..self.rounds {
            for number in 0..new {
                large.put(large.files + round * new + number);
            }
            let ours = seconds(&mut || {
                black_box(large.list());
            });
            let peer = seconds(&mut || {
                black_box(large.names());
            });
            pairs.push((ours, peer));
        }
        let work = format!("refresh after {new} new among {}", large.files);
        self.row(&work, "readdir of the directory", Some(1.5), &pairs);
    }
}
