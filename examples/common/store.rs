//! `--store`: where the Inbox is, if not in a drop directory.

use cdonts::{MailServer, MailServerBuilder, Session};

use super::{Args, Failure};

/// The options of a store.
pub const OPTIONS: [&str; 5] = ["store", "address", "password-file", "ca", "security"];

/// What there is to say of them.
pub const USAGE: &str = "--store maildir:DIR|pop3://USER@HOST[:PORT]|imap://USER@HOST[:PORT] \
    [--address A] [--password-file FILE] [--ca FILE] [--security implicit|starttls|none]\n       \
    (the password is in FILE, or else in the variable CDONTS_PASSWORD)";

/// Logs on where `--store` says.
pub fn log_on(args: &Args, store: &str) -> Result<Session, Failure> {
    let (kind, place) = store.split_once(':').ok_or("--store takes KIND:PLACE")?;
    match kind {
        #[cfg(feature = "maildir")]
        "maildir" => {
            let address = args.need("address")?;
            // A pattern has the Maildirs of all; a directory is one user's.
            let maildir = if place.contains('{') {
                cdonts::Maildir::new(place)
            } else {
                cdonts::Maildir::of(address, place)
            };
            let server = MailServer::builder().inbox(maildir).open()?;
            Ok(Session::logon_smtp(&server, "", address)?)
        }
        #[cfg(feature = "pop3")]
        "pop3" => {
            let (user, host, port) = server_of(place)?;
            let mut pop3 = match args.get("security") {
                Some("none") => cdonts::Pop3::plain(host),
                _ => cdonts::Pop3::new(host),
            };
            if let Some(security) = security(args)? {
                pop3 = pop3.security(security);
            }
            if let Some(roots) = roots(args)? {
                pop3 = pop3.roots(roots);
            }
            if let Some(port) = port {
                pop3 = pop3.port(port);
            }
            authenticate(args, MailServer::builder().inbox(pop3), user)
        }
        #[cfg(feature = "imap")]
        "imap" => {
            let (user, host, port) = server_of(place)?;
            let mut imap = match args.get("security") {
                Some("none") => cdonts::Imap::plain(host),
                _ => cdonts::Imap::new(host),
            };
            if let Some(security) = security(args)? {
                imap = imap.security(security);
            }
            if let Some(roots) = roots(args)? {
                imap = imap.roots(roots);
            }
            if let Some(port) = port {
                imap = imap.port(port);
            }
            authenticate(args, MailServer::builder().inbox(imap), user)
        }
        _ => {
            // Without any of the features nothing is asked of it.
            let _ = (args, place);
            Err(format!("no store `{kind}`: unknown, or built without its feature").into())
        }
    }
}

/// `//user@host:port`; the user's name may hold an at-sign, the host's cannot.
fn server_of(place: &str) -> Result<(&str, &str, Option<u16>), Failure> {
    let place = place.trim_start_matches('/').trim_end_matches('/');
    let (user, host) = place.rsplit_once('@').ok_or("--store takes USER@HOST")?;
    Ok(match host.rsplit_once(':') {
        Some((host, port)) => (user, host, Some(port.parse()?)),
        None => (user, host, None),
    })
}

fn authenticate(args: &Args, builder: MailServerBuilder, user: &str) -> Result<Session, Failure> {
    let password = match args.get("password-file") {
        Some(file) => std::fs::read_to_string(file)?,
        None => std::env::var("CDONTS_PASSWORD").map_err(|_| "--password-file is missing")?,
    };
    let mut who = cdonts::Credentials::password(user, password.trim_end_matches(['\r', '\n']));
    if let Some(address) = args.get("address") {
        who = who.address(address);
    }
    Ok(Session::logon(&builder.open()?, who)?)
}

#[cfg(any(feature = "pop3", feature = "imap"))]
fn security(args: &Args) -> Result<Option<cdonts::Security>, Failure> {
    match args.get("security") {
        None | Some("none") => Ok(None),
        Some("implicit") => Ok(Some(cdonts::Security::Implicit)),
        Some("starttls") => Ok(Some(cdonts::Security::StartTls)),
        Some(other) => Err(format!("no security `{other}`").into()),
    }
}

#[cfg(any(feature = "pop3", feature = "imap"))]
fn roots(args: &Args) -> Result<Option<cdonts::Roots>, Failure> {
    let pem = args.get("ca").map(std::fs::read).transpose()?;
    Ok(pem.map(cdonts::Roots::Only))
}
