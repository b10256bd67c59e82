//! Which address shows what.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use cdonts::MessageFile;
use maud::Markup;
use serde::Deserialize;

use crate::answer::{Failure, work};
use crate::mailbag::{self, Mail, Wanted};
use crate::page::{self, Shown, View};
use crate::{Devbox, frame, guard};

const STYLE: &str = include_str!("../assets/devbox.css");
const SCRIPT: &str = include_str!("../assets/devbox.js");

pub(crate) fn router<S: Clone + Send + Sync + 'static>(devbox: Arc<Devbox>) -> Router<S> {
    Router::new()
        .route("/", get(list))
        .route(
            "/devbox.css",
            get(async || text("text/css; charset=utf-8", STYLE)),
        )
        .route(
            "/devbox.js",
            get(async || text("text/javascript; charset=utf-8", SCRIPT)),
        )
        .route("/state", get(state))
        .route("/clear", post(clear))
        .route("/m/{devbox_id}", get(message))
        .route("/m/{devbox_id}/frame", get(html))
        .route("/m/{devbox_id}/raw", get(raw))
        .route("/m/{devbox_id}/part/{devbox_part}", get(part))
        .route("/m/{devbox_id}/delete", post(delete))
        .layer(from_fn_with_state(Arc::clone(&devbox), guard::check))
        .with_state(devbox)
}

fn text(content_type: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}

/// What a list is narrowed to, and how a message is shown.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    to: String,
    q: String,
    view: View,
}

impl Asked {
    fn wanted(&self) -> Wanted {
        Wanted {
            address: self.to.clone(),
            words: self.q.clone(),
        }
    }
}

/// Where the application has put the pages: what stands before our own path.
fn base(original: &Uri, own: &Uri) -> String {
    let path = original.path();
    let base = path.strip_suffix(own.path()).unwrap_or(path);
    match base.trim_matches('/') {
        "" => String::new(),
        // With one slash: two would begin the name of another server.
        base => format!("/{base}"),
    }
}

fn id(path: &HashMap<String, String>) -> String {
    path.get("devbox_id").cloned().unwrap_or_default()
}

fn find(devbox: &Devbox, id: &str) -> Result<Mail, Failure> {
    let found = mailbag::all(devbox)?.into_iter().find(|mail| mail.id == id);
    found.ok_or(Failure::Gone)
}

/// The list, and beside it the message that is open.
async fn show(
    devbox: Arc<Devbox>,
    base: String,
    asked: Asked,
    open: Option<String>,
) -> Result<Markup, Failure> {
    work(move || {
        let all = mailbag::all(&devbox)?;
        let wanted = asked.wanted();
        let addresses = mailbag::addresses(&all);
        let mut opened = None;
        if let Some(id) = open {
            let mail = all.iter().find(|mail| mail.id == id).ok_or(Failure::Gone)?;
            opened = Some((id, page::message(&base, mail, asked.view)));
        }
        let total = all.len();
        let shown = Shown {
            base: &base,
            state: &mailbag::fingerprint(&all),
            mails: &mailbag::wanted(all, &wanted),
            total,
            addresses: &addresses,
            wanted: &wanted,
        };
        Ok(page::page(&shown, opened))
    })
    .await
}

async fn list(
    State(devbox): State<Arc<Devbox>>,
    OriginalUri(original): OriginalUri,
    own: Uri,
    Query(asked): Query<Asked>,
) -> Result<Markup, Failure> {
    show(devbox, base(&original, &own), asked, None).await
}

async fn message(
    State(devbox): State<Arc<Devbox>>,
    OriginalUri(original): OriginalUri,
    own: Uri,
    Path(path): Path<HashMap<String, String>>,
    Query(asked): Query<Asked>,
) -> Result<Markup, Failure> {
    show(devbox, base(&original, &own), asked, Some(id(&path))).await
}

/// Opens a message away from the threads that answer.
async fn open<T: Send + 'static>(
    devbox: Arc<Devbox>,
    id: String,
    read: impl FnOnce(&MessageFile) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    work(move || read(&find(&devbox, &id)?.open()?)).await
}

/// Only inside our own page: as a page of its own it could go where it likes.
async fn html(
    State(devbox): State<Arc<Devbox>>,
    headers: HeaderMap,
    Path(path): Path<HashMap<String, String>>,
) -> Result<Response, Failure> {
    let into = headers.get("sec-fetch-dest").map(HeaderValue::as_bytes);
    if into.is_some_and(|into| into != b"iframe") {
        let text = "the HTML of a message is shown inside the devbox alone\n";
        return Ok((StatusCode::FORBIDDEN, text).into_response());
    }
    let html = open(devbox, id(&path), |message| Ok(frame::html(message)?)).await?;
    Ok(frame::answer(html))
}

async fn raw(
    State(devbox): State<Arc<Devbox>>,
    Path(path): Path<HashMap<String, String>>,
) -> Result<Response, Failure> {
    let bytes = open(devbox, id(&path), |message| {
        let mut bytes = Vec::new();
        message.write_to(&mut bytes)?;
        Ok(bytes)
    });
    Ok(download("message.eml", bytes.await?))
}

async fn part(
    State(devbox): State<Arc<Devbox>>,
    Path(path): Path<HashMap<String, String>>,
) -> Result<Response, Failure> {
    let number = path
        .get("devbox_part")
        .and_then(|number| number.parse().ok());
    let found = open(devbox, id(&path), move |message| {
        let attachments = message.attachments()?;
        let attachment = number.and_then(|number| attachments.get(number));
        let attachment = attachment.ok_or(Failure::Gone)?;
        Ok((attachment.name().to_owned(), attachment.read()?))
    });
    let (name, bytes) = found.await?;
    Ok(download(&name, bytes))
}

/// A file to be saved, never to be shown: its name and its octets are a stranger's.
fn download(name: &str, bytes: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename*=UTF-8''{}", page::encoded(name));
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
        (
            header::CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'".to_owned(),
        ),
    ];
    (headers, bytes).into_response()
}

async fn delete(
    State(devbox): State<Arc<Devbox>>,
    OriginalUri(original): OriginalUri,
    own: Uri,
    Path(path): Path<HashMap<String, String>>,
) -> Result<Redirect, Failure> {
    let id = id(&path);
    work(move || Ok(find(&devbox, &id)?.delete(&devbox)?)).await?;
    Ok(home(&original, &own))
}

/// Deletes what the list shows.
async fn clear(
    State(devbox): State<Arc<Devbox>>,
    OriginalUri(original): OriginalUri,
    own: Uri,
    Query(asked): Query<Asked>,
) -> Result<Redirect, Failure> {
    work(move || {
        let all = mailbag::wanted(mailbag::all(&devbox)?, &asked.wanted());
        Ok(all.into_iter().try_for_each(|mail| mail.delete(&devbox))?)
    })
    .await?;
    Ok(home(&original, &own))
}

fn home(original: &Uri, own: &Uri) -> Redirect {
    Redirect::to(&page::home(&base(original, own)))
}

/// What changes when something came or went. The page asks again and again: an answer that never
/// ends would keep the application from ending.
async fn state(State(devbox): State<Arc<Devbox>>) -> Result<String, Failure> {
    work(move || Ok(mailbag::fingerprint(&mailbag::all(&devbox)?))).await
}
