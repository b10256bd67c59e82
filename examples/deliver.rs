//! Delivers what is in a Pickup directory now: to Drop what is for a local domain.

mod common;

use cdonts::{MailServer, Profile};
use common::{Args, Failure};

const USAGE: &str =
    "deliver --pickup DIR --drop DIR --local-domain D... [--state DIR] [--settle MS]";

fn main() -> Result<(), Failure> {
    let options = ["pickup", "drop", "local-domain", "state", "settle"];
    let args = Args::parse(USAGE, &options, &[]);
    let mut builder = MailServer::builder()
        .pickup_dir(args.need("pickup")?)
        .drop_dir(args.need("drop")?, Profile::IisDrop);
    args.need("local-domain")?;
    for domain in args.all("local-domain") {
        builder = builder.local_domain(domain);
    }
    if let Some(state) = args.get("state") {
        builder = builder.state_dir(state);
    }
    if let Some(writer) = args.writer()? {
        builder = builder.pickup_writer(writer);
    }
    let delivered = builder.open()?.deliver_now()?;
    println!(
        "{} files delivered, as {} messages; {} to Badmail",
        delivered.messages(),
        delivered.recipients().len(),
        delivered.badmail().len()
    );
    for address in delivered.recipients() {
        println!("delivered to {address}");
    }
    for name in delivered.badmail() {
        println!("bad: {name}.BAD, for the reason in {name}.BDR");
    }
    for problem in delivered.problems() {
        eprintln!("{problem}");
    }
    Ok(())
}
