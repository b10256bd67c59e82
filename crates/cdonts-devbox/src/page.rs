//! The pages.

use std::collections::BTreeMap;

use cdonts::{MessageFile, time};
use maud::{DOCTYPE, Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::Deserialize;

use crate::mailbag::{Kind, Mail, Wanted};

/// How a message is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum View {
    /// HTML where there is some, else the text.
    #[default]
    Best,
    Html,
    Text,
    Headers,
    Attachments,
    Problems,
    Source,
}

impl View {
    const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::Html, "html", "HTML"),
        (Self::Text, "text", "Text"),
        (Self::Headers, "headers", "Headers"),
        (Self::Attachments, "attachments", "Attachments"),
        (Self::Problems, "problems", "Problems"),
        (Self::Source, "source", "Source"),
    ];
}

/// What a page shows beside the open message.
pub(crate) struct Shown<'a> {
    pub(crate) base: &'a str,
    /// What the mailbag's fingerprint is.
    pub(crate) state: &'a str,
    pub(crate) mails: &'a [Mail],
    pub(crate) total: usize,
    pub(crate) addresses: &'a BTreeMap<String, usize>,
    pub(crate) wanted: &'a Wanted,
}

/// So much of the source is shown; the rest can be saved.
const MOST_SOURCE: usize = 1_000_000;

/// Text as it stands in a part of a URL: all but the unreserved characters is encoded (RFC 3986).
pub(crate) fn encoded(text: &str) -> PercentEncode<'_> {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(text, RESERVED)
}

/// Where the list is.
pub(crate) fn home(base: &str) -> String {
    if base.is_empty() {
        "/".to_owned()
    } else {
        base.to_owned()
    }
}

fn query(wanted: &Wanted) -> String {
    let pairs = [("to", &wanted.address), ("q", &wanted.words)];
    let set = pairs.iter().filter(|(_, value)| !value.is_empty());
    let pairs: Vec<_> = set
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    if pairs.is_empty() {
        String::new()
    } else {
        format!("?{}", pairs.join("&"))
    }
}

pub(crate) fn page(shown: &Shown<'_>, opened: Option<(String, Markup)>) -> Markup {
    let (id, opened) = opened.unzip();
    let title = shown
        .mails
        .iter()
        .find(|mail| Some(&mail.id) == id.as_ref());
    let base = shown.base;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title.map_or("Mail", |mail| subject(mail))) }
                link rel="stylesheet" href={ (base) "/devbox.css" };
                script src={ (base) "/devbox.js" } data-ask={ (base) "/state" } data-state=(shown.state) defer {}
            }
            body class=@if opened.is_some() { "open" } @else { "" } {
                header {
                    a.home href=(home(base)) { "Mail" }
                    form action=(home(base)) role="search" {
                        @if !shown.wanted.address.is_empty() {
                            input type="hidden" name="to" value=(shown.wanted.address);
                        }
                        input type="search" name="q" value=(shown.wanted.words)
                            placeholder="Search" aria-label="Search";
                    }
                }
                nav #addresses aria-label="Addresses" { (addresses(shown)) }
                section #list aria-label="Messages" { (list(shown, id.as_deref())) }
                main {
                    @match opened {
                        Some(opened) => (opened),
                        None => p.empty { "Choose a message." },
                    }
                }
            }
        }
    }
}

fn addresses(shown: &Shown<'_>) -> Markup {
    let of = |address: &str| {
        let words = shown.wanted.words.clone();
        let address = address.to_owned();
        home(shown.base) + &query(&Wanted { address, words })
    };
    let current = |address: &str| (shown.wanted.address == address).then_some("page");
    html! {
        ul {
            li { a href=(of("")) aria-current=[current("")] {
                span { "All" } " " small { (shown.total) }
            } }
            @for (address, count) in shown.addresses {
                li { a href=(of(address)) aria-current=[current(address)] title=(address) {
                    span { (address) } " " small { (count) }
                } }
            }
        }
    }
}

fn list(shown: &Shown<'_>, open: Option<&str>) -> Markup {
    let query = query(shown.wanted);
    html! {
        @if shown.mails.is_empty() {
            p.empty {
                @if shown.total == 0 { "No mail yet. It appears here as it arrives." }
                @else { "No message fits." }
            }
        } @else {
            ol {
                @for mail in shown.mails {
                    li { a href={ (shown.base) "/m/" (mail.id) (query) }
                        aria-current=[(open == Some(&mail.id)).then_some("true")] {
                        b { (subject(mail)) }
                        span.from { (mail.sender) }
                        time datetime=(time::rfc3339(mail.time)) { (time::rfc3339(mail.time)) }
                        span.to { (seen_by(mail)) }
                    } }
                }
            }
            details.clear {
                summary { "Delete all of these" }
                form method="post" action={ (shown.base) "/clear" (query) } {
                    button { "Delete " (shown.mails.len()) }
                }
            }
        }
    }
}

fn subject(mail: &Mail) -> &str {
    if mail.subject.is_empty() {
        "(no subject)"
    } else {
        &mail.subject
    }
}

fn seen_by(mail: &Mail) -> String {
    match mail.kind {
        Kind::Unclaimed => "nobody's".to_owned(),
        Kind::Delivered => mail.addresses.join(", "),
        Kind::Caught => format!("not sent: {}", mail.addresses.join(", ")),
    }
}

/// An open message, or why it cannot be read.
pub(crate) fn message(base: &str, mail: &Mail, view: View) -> Markup {
    let read = mail.open().and_then(|message| {
        let view = match view {
            View::Best if message.html_part()?.is_some() => View::Html,
            View::Best => View::Text,
            view => view,
        };
        Ok((view, shown(base, mail, &message, view)?))
    });
    let (view, shown) = match read {
        Ok((view, shown)) => (view, shown),
        Err(error) => (view, html! { p.error { (error) } }),
    };
    let to = |view: &str| format!("{base}/m/{}?view={view}", mail.id);
    html! {
        article {
            a.back href=(home(base)) { "← All mail" }
            h1 { (subject(mail)) }
            dl {
                dt { "From" } dd { (mail.sender) }
                dt { "Envelope" } dd {
                    @if mail.reverse_path.is_empty() { "(null reverse-path)" } @else { (mail.reverse_path) }
                }
                dt { @if mail.kind == Kind::Caught { "Would go to" } @else { "Seen by" } }
                dd { (if mail.addresses.is_empty() { "nobody".to_owned() } else { mail.addresses.join(", ") }) }
                dt { "Received" } dd { (time::rfc5322(mail.time)) }
                dt { "Size" } dd { (mail.size) " octets" }
            }
            div.views {
                @for (one, name, label) in View::ALL {
                    a href=(to(name)) aria-current=[(one == view).then_some("page")] { (label) }
                }
                a.save href={ (base) "/m/" (mail.id) "/raw" } { "Save" }
                form method="post" action={ (base) "/m/" (mail.id) "/delete" } { button { "Delete" } }
            }
            div.view { (shown) }
        }
    }
}

fn shown(base: &str, mail: &Mail, message: &MessageFile, view: View) -> cdonts::Result<Markup> {
    Ok(match view {
        View::Html | View::Best => html! {
            // Without `allow-…`: no scripts, forms, windows, and no origin.
            iframe sandbox="" referrerpolicy="no-referrer" title="The message"
                src={ (base) "/m/" (mail.id) "/frame" } {}
        },
        View::Text => html! { pre { (message.text()?) } },
        View::Headers => html! {
            table { tbody {
                @for field in &message.headers()? {
                    tr { th scope="row" { (field.name()) } td { (field.value()) } }
                }
            } }
        },
        View::Attachments => attachments(base, mail, message)?,
        View::Problems => {
            let problems = message.problems()?;
            html! {
                @if problems.is_empty() { p.empty { "None." } }
                ul.problems { @for problem in &problems { li { (problem.text()) } } }
            }
        }
        View::Source => {
            let mut bytes = Vec::new();
            message.write_to(&mut bytes)?;
            let is_long = bytes.len() > MOST_SOURCE;
            bytes.truncate(MOST_SOURCE);
            html! {
                pre { (String::from_utf8_lossy(&bytes)) }
                @if is_long { p.empty { "It goes on: save it to see the rest." } }
            }
        }
    })
}

fn attachments(base: &str, mail: &Mail, message: &MessageFile) -> cdonts::Result<Markup> {
    let attachments = message.attachments()?;
    let mut rows = Vec::new();
    for (number, attachment) in attachments.iter().enumerate() {
        let href = format!("{base}/m/{}/part/{number}", mail.id);
        rows.push((href, attachment, attachment.size()?));
    }
    Ok(html! {
        @if rows.is_empty() { p.empty { "None." } }
        @else {
            table {
                thead { tr { th { "Name" } th { "Type" } th { "Octets" } } }
                tbody { @for (href, attachment, size) in &rows { tr {
                    td { a href=(href) {
                        (if attachment.name().is_empty() { "(no name)" } else { attachment.name() })
                    } }
                    td { (attachment.content_type()) }
                    td { (size) }
                } } }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_searched_for_stands_in_the_address() {
        let wanted = Wanted {
            address: "a&b@x".to_owned(),
            words: "ä?".to_owned(),
        };
        assert_eq!(query(&wanted), "?to=a%26b%40x&q=%C3%A4%3F");
        assert_eq!(query(&Wanted::default()), "");
    }
}
