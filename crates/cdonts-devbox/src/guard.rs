//! Who may look, and what a browser may do with what it gets.
//!
//! Behind these pages lies everybody's mail. So they answer the machine itself alone, under a name
//! of the machine alone (a page of the internet can have its own name point here), and only when no
//! other site makes the browser ask.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::Devbox;

/// What our own pages may load: themselves.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     connect-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";

/// What proxies put into a request.
const PROXIES: [&str; 6] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

pub(crate) async fn check(
    State(devbox): State<Arc<Devbox>>,
    request: Request,
    next: Next,
) -> Response {
    if let Err(refusal) = may(&devbox, &request) {
        return harmless((StatusCode::FORBIDDEN, format!("{refusal}\n")).into_response());
    }
    harmless(next.run(request).await)
}

fn may(devbox: &Devbox, request: &Request) -> Result<(), &'static str> {
    let headers = request.headers();
    if !comes_from_here(request.method(), headers) {
        return Err("only a page of the devbox itself may ask for that");
    }
    if devbox.for_everyone {
        return Ok(());
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let Some(ConnectInfo(peer)) = peer else {
        return Err(
            "the devbox is not told who asks: serve the application with \
                    `app.into_make_service_with_connect_info::<std::net::SocketAddr>()`",
        );
    };
    // A proxy that says nothing of itself cannot be told from the machine.
    let is_passed_on = PROXIES.iter().any(|name| headers.contains_key(*name))
        || request.version() == Version::HTTP_10;
    if !peer.ip().to_canonical().is_loopback() || is_passed_on {
        return Err(
            "the devbox answers its own machine alone, unless `Devbox::for_everyone` is set",
        );
    }
    let host = request.uri().host().or_else(|| {
        let host = headers.get(header::HOST)?.to_str().ok()?;
        Some(without_port(host))
    });
    if !host.is_some_and(|host| is_local(host) || devbox.hosts.contains(&host.to_ascii_lowercase()))
    {
        return Err("the devbox does not answer under this name; `Devbox::host` sets one");
    }
    Ok(())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_local(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address: Option<IpAddr> = bare.unwrap_or(&host).parse().ok();
    address.is_some_and(|address| address.to_canonical().is_loopback())
        || host == "localhost"
        || host.ends_with(".localhost")
}

/// Whether no other site has made the browser send this, but for a link that was followed to a page.
/// Programs other than browsers say nothing of it.
fn comes_from_here(method: &Method, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        let is_followed = method == Method::GET
            && text("sec-fetch-mode") == Some("navigate")
            && text("sec-fetch-dest") == Some("document");
        return site == "same-origin" || site == "none" || is_followed;
    }
    let Some(origin) = text("origin") else {
        return true;
    };
    let own = text("host").unwrap_or("?");
    let rest = origin.split_once("://").map(|(_, rest)| rest);
    rest.is_some_and(|rest| rest.eq_ignore_ascii_case(own))
}

/// Whatever the answer is, it is taken for what it says, kept nowhere and loads nothing.
fn harmless(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, PAGE_POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Not none at all: a browser would not say then that our own form is ours.
    set(header::REFERRER_POLICY, "same-origin");
    set(header::CACHE_CONTROL, "no-store");
    set(header::X_DNS_PREFETCH_CONTROL, "off");
    set(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_these_names() {
        for host in [
            "localhost",
            "LOCALHOST",
            "app.localhost",
            "127.0.0.1",
            "127.1.2.3",
            "[::1]",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "example.com",
            "localhost.example.com",
            "10.0.0.1",
            "[::2]",
            "",
            "notlocalhost",
        ] {
            assert!(!is_local(host), "{host}");
        }
        assert_eq!(without_port("[::1]:80"), "[::1]");
        assert_eq!(without_port("localhost:80"), "localhost");
    }
}
