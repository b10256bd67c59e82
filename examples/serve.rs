//! The SMTP service's half of a mail server as a program of its own: empties Pickup, fills Drop,
//! and hands on what is for other domains.
//!
//! It ends when its input ends, after what it has in hand. `--relay` (feature `smtp`) speaks SMTP
//! without TLS, for a server on this machine; a program of your own sets more.

mod common;

use std::io::Read;
use std::time::Duration;

use cdonts::{Delivery, MailServer};
use common::{Args, Failure};

const USAGE: &str = "serve --mailroot DIR [--local-domain D]... [--relay HOST[:PORT]] \
                     [--sendmail PROGRAM] [--every SECONDS] [--settle MS]";

fn main() -> Result<(), Failure> {
    let options = [
        "mailroot",
        "local-domain",
        "relay",
        "sendmail",
        "every",
        "settle",
    ];
    let args = Args::parse(USAGE, &options, &[]);
    let mut builder = MailServer::builder()
        .mailroot(args.need("mailroot")?)
        .create_directories();
    if let Some(writer) = args.writer()? {
        builder = builder.pickup_writer(writer);
    }
    for domain in args.all("local-domain") {
        builder = builder.local_domain(domain);
    }
    #[cfg(feature = "smtp")]
    if let Some(relay) = args.get("relay") {
        // A host alone, or with its port.
        let (host, port) = relay.rsplit_once(':').unwrap_or((relay, "25"));
        builder = builder.relay(cdonts::Smtp::plain(host).port(port.parse()?));
    }
    #[cfg(feature = "sendmail")]
    if let Some(program) = args.get("sendmail") {
        builder = builder.relay(cdonts::Sendmail::at(program));
    }
    #[cfg(not(feature = "smtp"))]
    if args.get("relay").is_some() {
        return Err("--relay needs the feature `smtp`".into());
    }
    #[cfg(not(feature = "sendmail"))]
    if args.get("sendmail").is_some() {
        return Err("--sendmail needs the feature `sendmail`".into());
    }
    let server = builder.open()?;
    let every = Duration::try_from_secs_f64(args.get("every").unwrap_or("1").parse()?)?;
    let delivery = Delivery::start(&server, every)?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    for problem in delivery.problems() {
        eprintln!("{problem}");
    }
    delivery.stop();
    let counts = server.counts();
    println!(
        "accepted {}, delivered {}, relayed {}, deferred {}, bounced {}, bad {}",
        counts.accepted,
        counts.delivered,
        counts.relayed,
        counts.deferred,
        counts.bounced,
        counts.bad
    );
    Ok(())
}
