//! A contact form, the operator's Inbox, and answers in the visitor's thread.
//!
//! What a visitor writes goes to the operator by mail, with a copy for the visitor: that is the
//! thread. The operator reads and answers on a page of the application, or in any mail program.
//! While it is developed, `/mail` shows all mail that the application sends.
//!
//! It is an example of mail, not of everything: a form in the open needs a limit for each visitor,
//! and the operator's pages stand behind the application's log-in, with its protection against other
//! sites that send forms.

mod contact;
mod operator;
mod page;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/ecosystem.md")]
mod ecosystem {}

use axum::Router;
use axum::routing::get;
use cdonts::{MailServer, Session};
use cdonts_devbox::Devbox;

/// What the handlers share.
#[derive(Clone)]
pub struct App {
    server: MailServer,
    /// Where the form's mail goes, and who answers it.
    help_desk: Session,
}

/// The application over a mail server that has the domain `example.com`.
///
/// # Errors
/// When the help desk cannot log on.
pub fn app(server: &MailServer) -> cdonts::Result<Router> {
    let app = App {
        server: server.clone(),
        help_desk: Session::logon_smtp(server, "Help Desk", "help@example.com")?,
    };
    Ok(Router::new()
        .route("/", get(contact::form).post(contact::submit))
        .route("/inbox", get(operator::inbox))
        .route("/inbox/{file}", get(operator::show).post(operator::answer))
        .with_state(app)
        .nest("/mail", Devbox::new(server).router()))
}
