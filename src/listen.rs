//! Mail that other programs on this machine hand over by SMTP or LMTP (RFC 5321, RFC 2033).
//!
//! It takes mail for the local domains and for nobody else, on loopback alone, and what it says yes
//! to is in the Inboxes. Line ends are taken at their word: where a lone CR or LF stands, one
//! program could see the end of a message that another does not, so such a message is refused.

mod incoming;
mod path;
mod session;
mod wire;

use std::fmt;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{Error, ErrorKind, Result};
use crate::server::MailServer;
use session::Session;

/// Which of the two protocols is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Smtp,
    Lmtp,
}

/// Takes mail for the local domains by SMTP or LMTP, so that Postfix, Exim or any program can hand
/// it over the ordinary way.
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// use cdonts::{Listener, MailServer};
///
/// let server = MailServer::temporary()?; // local domain: example.com
/// let listening = Listener::lmtp(&server).listen("127.0.0.1:0")?;
/// println!("Postfix: lmtp:inet:{}", listening.address());
/// listening.stop();
/// # Ok(())
/// # }
/// ```
pub struct Listener {
    server: MailServer,
    protocol: Protocol,
    tls: Option<Arc<ServerConfig>>,
    timeout: Duration,
    connections: usize,
}

impl Listener {
    /// A listener that speaks SMTP.
    pub fn smtp(server: &MailServer) -> Self {
        Self::new(server, Protocol::Smtp)
    }

    /// A listener that speaks LMTP: a mail server that hands over by it learns of each recipient
    /// alone.
    pub fn lmtp(server: &MailServer) -> Self {
        Self::new(server, Protocol::Lmtp)
    }

    fn new(server: &MailServer, protocol: Protocol) -> Self {
        Self {
            server: server.clone(),
            protocol,
            tls: None,
            timeout: Duration::from_mins(5),
            connections: 100,
        }
    }

    /// Offers STARTTLS, with this certificate (and those that lead to its authority) and its key,
    /// in PEM.
    ///
    /// # Errors
    /// [`Configuration`](ErrorKind::Configuration) when they are none, or do not fit together.
    pub fn tls(mut self, certificates: &[u8], key: &[u8]) -> Result<Self> {
        let wrong = |error: &dyn fmt::Display| {
            let message = format!("the certificate or its key cannot be used: {error}");
            Error::new(ErrorKind::Configuration, message)
        };
        let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| wrong(&error))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong(&error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
        self.tls = Some(Arc::new(config.map_err(|error| wrong(&error))?));
        Ok(self)
    }

    /// How long a client may take for each command and each block of a message; 5 minutes by
    /// default.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    /// How many clients are served at once; 100 by default. Who comes beyond is told to come again.
    pub fn connections(mut self, most: usize) -> Self {
        self.connections = most;
        self
    }

    /// Begins to listen on an address of this machine's loopback; with port 0 the system chooses.
    ///
    /// # Errors
    /// [`Configuration`](ErrorKind::Configuration) for another address, and without a local domain:
    /// this is no server for the network. Otherwise as the system says.
    pub fn listen(self, address: impl ToSocketAddrs) -> Result<Listening> {
        if self.server.spool().local_domains.is_empty() {
            let message = "a listener takes mail for local domains; set one with `local_domain`";
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        let failed =
            |source| Error::new(ErrorKind::Io, "cannot listen on this address").with_source(source);
        let addresses: Vec<SocketAddr> = address.to_socket_addrs().map_err(failed)?.collect();
        if addresses.iter().any(|address| !address.ip().is_loopback()) {
            let message = "a listener is for this machine alone: give a loopback address";
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        let listener = TcpListener::bind(addresses.as_slice()).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            listener: self,
            ends: AtomicBool::new(false),
            busy: AtomicUsize::new(0),
            open: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("cdonts-listener".to_owned())
            .spawn(move || accept(&listener, &serving))
            .map_err(failed)?;
        Ok(Listening {
            address,
            shared,
            thread: Some(thread),
        })
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("protocol", &self.protocol)
            .field("has_tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

struct Shared {
    listener: Listener,
    ends: AtomicBool,
    /// How many clients are served now.
    busy: AtomicUsize,
    /// Clients that are waited for, so that an end need not wait.
    open: Mutex<Vec<Weak<TcpStream>>>,
}

/// A [`Listener`] at work; it ends when this is dropped or [stopped](Listening::stop).
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// # let server = cdonts::MailServer::temporary()?;
/// let listening = cdonts::Listener::smtp(&server).listen("127.0.0.1:0")?;
/// assert!(listening.address().ip().is_loopback());
/// # Ok(())
/// # }
/// ```
pub struct Listening {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: what was said yes to is delivered, and all else was never taken.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Release);
        // It waits for a client: here is one.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// A client's place among those that are served at once.
struct Place<'s>(&'s Shared);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Serves clients, each in a thread, until the end.
fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    std::thread::scope(|scope| {
        for stream in listener.incoming() {
            if shared.ends.load(Ordering::Acquire) {
                break;
            }
            let Ok(stream) = stream else {
                // No descriptor is left, for one: that passes.
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            let most = shared.listener.connections;
            if shared.busy.fetch_add(1, Ordering::AcqRel) >= most {
                shared.busy.fetch_sub(1, Ordering::AcqRel);
                wire::turn_away(stream);
                continue;
            }
            let Ok(handle) = stream.try_clone() else {
                shared.busy.fetch_sub(1, Ordering::AcqRel);
                continue;
            };
            let handle = Arc::new(handle);
            {
                let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
                open.retain(|one| one.strong_count() > 0);
                open.push(Arc::downgrade(&handle));
            }
            let place = Place(shared);
            let serve = move || {
                let listener = &shared.listener;
                // One client that goes wrong is not the others' end.
                let served = catch_unwind(AssertUnwindSafe(|| {
                    Session::new(listener, stream, &shared.ends).serve();
                }));
                drop(served);
                wire::close(&handle);
                drop(place);
            };
            // Without a thread the client is gone, and may come again.
            let _ = std::thread::Builder::new().spawn_scoped(scope, serve);
        }
        // Who waits for a command is not waited for; a message in hand is settled.
        let open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in open.iter().filter_map(Weak::upgrade) {
            let _ = stream.shutdown(Shutdown::Read);
        }
    });
}
