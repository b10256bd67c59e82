//! `--store`: where the Inbox is, if not in a drop directory.

use cdonts::{MailServer, MailServerBuilder, Session};

use super::{Args, Failure};

/// The options of a store.
pub const OPTIONS: [&str; 5] = ["store", "address", "password-file", "ca", "security"];

/// What there is to say of them.
pub const USAGE: &str = "maildir:DIR --address A  (or a pattern: maildir:/vmail/{domain}/{user})\n       \
    or pop3://USER@HOST[:PORT] or imap://USER@HOST[:PORT], with [--address A] [--password-file FILE]\n       \
    [--ca FILE] [--security implicit|starttls|none]; without a FILE the password is in the variable\n       \
    CDONTS_PASSWORD";

const KINDS: &str = "--store takes maildir:DIR, pop3://USER@HOST or imap://USER@HOST";

/// Logs on where `--store` says.
pub fn log_on(args: &Args, store: &str) -> Result<Session, Failure> {
    let (kind, place) = store.split_once(':').ok_or(KINDS)?;
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
            let message =
                format!("no store `{kind}`: unknown, or built without its feature; {KINDS}");
            Err(message.into())
        }
    }
}

/// `//user@host:port`; the user's name may hold an at-sign, the host's cannot.
fn server_of(place: &str) -> Result<(&str, &str, Option<u16>), Failure> {
    let place = place.trim_start_matches('/').trim_end_matches('/');
    let (user, host) = place.rsplit_once('@').ok_or(KINDS)?;
    // An address of IPv6 stands in brackets.
    let (host, port) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match host.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host, None),
        },
    };
    let number = |port: &str| {
        let number = port.parse();
        number.map_err(|_| format!("`{port}` is no port"))
    };
    Ok((user, host, port.map(number).transpose()?))
}

fn authenticate(args: &Args, builder: MailServerBuilder, user: &str) -> Result<Session, Failure> {
    let password = match args.get("password-file") {
        Some(file) => std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?,
        None => std::env::var("CDONTS_PASSWORD")
            .map_err(|_| "no password: --password-file and CDONTS_PASSWORD are missing")?,
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
        Some(other) => {
            Err(format!("--security takes implicit, starttls or none, not `{other}`").into())
        }
    }
}

#[cfg(any(feature = "pop3", feature = "imap"))]
fn roots(args: &Args) -> Result<Option<cdonts::Roots>, Failure> {
    let Some(file) = args.get("ca") else {
        return Ok(None);
    };
    let pem = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    Ok(Some(cdonts::Roots::Only(pem)))
}
