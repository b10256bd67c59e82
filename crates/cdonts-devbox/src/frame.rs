//! The HTML of a message, as it was sent, in a frame in which it can do nothing.
//!
//! A developer wants to see what is sent. That it runs nothing and loads nothing is the browser's
//! doing, by a policy that allows the document its own style and pictures that it brings along.
//! What no policy holds back is taken out: elements for which a browser connects to a server before
//! it asks whether it may. Pictures of other parts (`cid:`) are put into it as data.

use std::collections::HashMap;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use cdonts::{Attachment, MessageFile, Result};
use percent_encoding::percent_decode_str;

/// A document of nobody, without scripts, forms, windows, and without any request.
const POLICY: &str = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
     font-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'";

/// Pictures of so many octets are read.
const MOST: u64 = 20_000_000;
/// And so much of them is put into a document: it may name one a million times.
const MOST_INSERTED: usize = 40_000_000;

pub(crate) fn answer(html: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, html).into_response()
}

/// The HTML of a message with its pictures in it.
pub(crate) fn html(message: &MessageFile) -> Result<String> {
    let html = message.html_text()?;
    let mut room = MOST;
    let mut pictures = HashMap::new();
    for attachment in &message.attachments()? {
        let Some(id) = attachment.content_id() else {
            continue;
        };
        if !is_picture(attachment.content_type()) {
            continue;
        }
        // One that cannot be read is not shown; the rest is.
        let left = attachment
            .size()
            .ok()
            .and_then(|size| room.checked_sub(size));
        if let (Some(left), Ok(data)) = (left, data_of(attachment)) {
            room = left;
            pictures.entry(id.to_owned()).or_insert(data);
        }
    }
    Ok(without_connecting(&with_pictures(&html, &pictures)))
}

/// Elements for whose sake a browser connects to a server before it asks whether it may; `frame`
/// stands for `frameset` too.
const CONNECTING: [&str; 5] = ["link", "iframe", "frame", "object", "embed"];

/// Makes them elements that no browser knows. A tag has no other spelling.
fn without_connecting(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, behind)) = rest.split_once('<') {
        out.push_str(before);
        out.push('<');
        let is_one = |name: &str| {
            let begin = behind.as_bytes().get(..name.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(name.as_bytes()))
        };
        if CONNECTING.iter().any(|name| is_one(name)) {
            out.push_str("no-");
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// Whether a type is one of pictures and holds nothing that could end an attribute.
fn is_picture(content_type: &str) -> bool {
    let name = content_type.strip_prefix("image/").unwrap_or("");
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte);
    !name.is_empty() && name.bytes().all(is_plain)
}

fn data_of(picture: &Attachment) -> Result<String> {
    let bytes = picture.read()?;
    let encoded = base64_simd::STANDARD.encode_to_string(bytes);
    Ok(format!("data:{};base64,{encoded}", picture.content_type()))
}

/// Puts pictures where the document names them: as often as it does, but not for ever.
fn with_pictures(html: &str, pictures: &HashMap<String, String>) -> String {
    let mut room = MOST_INSERTED;
    let mut rest = html;
    let mut out = String::with_capacity(html.len());
    while let Some((before, behind)) = rest.split_once("cid:") {
        out.push_str(before);
        let end = behind.find(['"', '\'', '>', ')', '<', ' ', '\t', '\r', '\n']);
        let (name, after) = behind.split_at(end.unwrap_or(behind.len()));
        // A URL's form of an id (RFC 2392).
        let id = percent_decode_str(name).decode_utf8_lossy();
        let data = pictures.get(id.as_ref());
        if let Some(data) = data.filter(|data| data.len() <= room) {
            room -= data.len();
            out.push_str(data);
        } else {
            out.push_str("cid:");
            out.push_str(name);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_where_the_document_names_them() {
        let pictures = HashMap::from([
            ("logo".to_owned(), "data:1".to_owned()),
            ("logo2@x".to_owned(), "data:2".to_owned()),
        ]);
        let html =
            "<img src=\"cid:logo\"><img src='cid:logo2%40x'><p style=\"a: url(cid:logo)\">cid:none";
        assert_eq!(
            with_pictures(html, &pictures),
            "<img src=\"data:1\"><img src='data:2'><p style=\"a: url(data:1)\">cid:none"
        );
    }

    #[test]
    fn a_picture_that_is_named_a_million_times_fills_no_memory() {
        let pictures = HashMap::from([("a".to_owned(), "x".repeat(1_000_000))]);
        let shown = with_pictures(&"cid:a ".repeat(1_000_000), &pictures);
        assert!(shown.len() < MOST_INSERTED + 7_000_000, "{}", shown.len());
        assert!(shown.ends_with("cid:a "));
    }

    #[test]
    fn no_element_is_left_that_connects_unasked() {
        let html =
            "<link rel=preconnect><LiNk\n><<link/><a>link</a></link><iFrame src=x><frameset>";
        let without = "<no-link rel=preconnect><no-LiNk\n><<no-link/><a>link</a></link><no-iFrame src=x><no-frameset>";
        assert_eq!(without_connecting(html), without);
    }

    #[test]
    fn a_type_that_would_end_an_attribute_is_no_picture() {
        assert!(is_picture("image/svg+xml"));
        for wrong in ["image/\"onload=x", "text/html", "image/", "image/a b"] {
            assert!(!is_picture(wrong), "{wrong}");
        }
    }
}
