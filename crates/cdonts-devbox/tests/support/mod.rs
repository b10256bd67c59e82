//! What the tests share: asking a router as a browser would.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::missing_panics_doc,
    reason = "each test uses its part"
)]

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use cdonts::MailServer;
use cdonts_devbox::Devbox;
use tower::ServiceExt;

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

pub fn app(server: &MailServer) -> Router {
    nested(Devbox::new(server))
}

pub fn nested(devbox: Devbox) -> Router {
    Router::new().nest("/mail", devbox.router())
}

/// From this machine, under its own name.
pub fn request(method: &str, path: &str) -> axum::http::request::Builder {
    let peer = ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 40_000)));
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost:3000")
        .extension(peer)
}

pub async fn ask(app: &Router, request: axum::http::request::Builder) -> Answer {
    let request = request.body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let body = String::from_utf8(bytes.to_vec()).unwrap();
    Answer {
        status,
        headers,
        body,
    }
}

pub async fn get(app: &Router, path: &str) -> String {
    let answer = ask(app, request("GET", path)).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body
}

/// The addresses of the messages in a list, in its order.
pub fn messages(page: &str) -> Vec<String> {
    let links = page.split("href=\"").skip(1);
    let links = links.filter_map(|rest| rest.split(['"', '?']).next());
    links
        .filter(|link| link.contains("/m/"))
        .map(ToOwned::to_owned)
        .collect()
}

/// The address of the only message.
pub async fn only(app: &Router) -> String {
    let found = messages(&get(app, "/mail").await);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}
