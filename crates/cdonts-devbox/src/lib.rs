#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod answer;
mod catch;
mod frame;
mod guard;
mod mailbag;
mod page;
mod routes;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use cdonts::MailServer;

pub use catch::Catch;

/// The mail of a server as pages for a browser.
///
/// ```
/// use axum::{Router, routing::get};
/// use cdonts::MailServer;
/// use cdonts_devbox::Devbox;
///
/// # fn main() -> cdonts::Result<()> {
/// let server = MailServer::temporary()?;
/// let app: Router = Router::new()
///     .route("/", get(async || "the application"))
///     .nest("/mail", Devbox::new(&server).router());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Devbox {
    server: MailServer,
    catch: Option<Catch>,
    hosts: Vec<String>,
    even_in_release: bool,
    for_everyone: bool,
}

impl Devbox {
    /// Shows all that lies in the drop of this server, whoever it is for.
    pub fn new(server: &MailServer) -> Self {
        Self {
            server: server.clone(),
            catch: None,
            hosts: Vec::new(),
            even_in_release: false,
            for_everyone: false,
        }
    }

    /// Shows what this [`Catch`] has kept from going out, too.
    pub fn catching(mut self, catch: &Catch) -> Self {
        self.catch = Some(catch.clone());
        self
    }

    /// Is there in a release build also. Without it the router of a release build has no page.
    pub fn even_in_release(mut self) -> Self {
        self.even_in_release = true;
        self
    }

    /// Answers under this name too. Without it only `localhost`, names below it, and the addresses
    /// of the machine itself: a page of the internet whose name suddenly means this machine
    /// reads nothing.
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into().to_ascii_lowercase());
        self
    }

    /// Answers whoever asks, from wherever and under whatever name: the application must have let
    /// only those come here who may read and delete everybody's mail.
    pub fn for_everyone(mut self) -> Self {
        self.for_everyone = true;
        self
    }

    /// The pages, to be nested where they shall be.
    ///
    /// The application must tell who asks: `axum::serve(listener,
    /// app.into_make_service_with_connect_info::<std::net::SocketAddr>())`. Otherwise they answer
    /// nobody but say so.
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        if cfg!(debug_assertions) || self.even_in_release {
            routes::router(Arc::new(self))
        } else {
            Router::new()
        }
    }
}

impl fmt::Debug for Devbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Devbox")
            .field("server", &self.server)
            .field("hosts", &self.hosts)
            .field("even_in_release", &self.even_in_release)
            .field("for_everyone", &self.for_everyone)
            .finish_non_exhaustive()
    }
}
