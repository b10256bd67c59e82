//! Work on the mail away from the threads that answer, and what is said when it fails.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cdonts::{Error, ErrorKind};

/// Why there is no page.
pub(crate) enum Failure {
    /// No message has that number, or none any more.
    Gone,
    Mail(Error),
    /// The work was broken off.
    Stopped,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::MessageGone => Self::Gone,
            _ => Self::Mail(error),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Gone => (
                StatusCode::NOT_FOUND,
                "there is no such message; it was deleted, or another came in its place\n"
                    .to_owned(),
            ),
            Self::Mail(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            Self::Stopped => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "reading the mail was broken off\n".to_owned(),
            ),
        };
        (status, text).into_response()
    }
}

/// Does what waits for a disk on a thread that may wait.
pub(crate) async fn work<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(_) => Err(Failure::Stopped),
    }
}
