//! What all pages have.

use axum::http::StatusCode;
use maud::{DOCTYPE, Markup, html};

const STYLE: &str = "body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; \
    padding: 0 1rem; color-scheme: light dark } label { display: block; margin: .75rem 0 } \
    input, textarea { display: block; width: 100%; box-sizing: border-box; font: inherit } \
    pre { white-space: pre-wrap } .error { color: light-dark(#a8231c, #f2938d); margin: 0 }";

pub(crate) fn page(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (maud::PreEscaped(STYLE)) }
            }
            body { h1 { (title) } (content) }
        }
    }
}

/// One line that the operator can act on; the visitor sees that it is not his fault.
pub(crate) fn failed(error: &cdonts::Error) -> (StatusCode, Markup) {
    eprintln!("{error}");
    let text = html! { p { "Something is wrong with the mail here; it has been noted." } };
    (StatusCode::INTERNAL_SERVER_ERROR, page("Sorry", &text))
}
