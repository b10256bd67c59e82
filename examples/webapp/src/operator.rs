//! The operator's Inbox: reading, and answering.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use cdonts::{Error, ErrorKind, Message, Session, time};
use maud::{Markup, html};
use serde::Deserialize;

use crate::{App, page};

#[derive(Deserialize)]
pub(crate) struct Answer {
    text: String,
}

pub(crate) async fn inbox(State(app): State<App>) -> Response {
    match app.help_desk.inbox().messages_async().await {
        Ok(messages) => page::page(
            "Inbox",
            &html! {
                @if messages.is_empty() { p { "No question waits." } }
                ul { @for message in &messages { li {
                    a href={ "/inbox/" (file_of(&message)) } {
                        (if message.subject().is_empty() { "(no subject)" } else { message.subject() })
                    }
                    " — " (message.sender()) ", " (time::rfc5322(message.time_received()))
                } } }
            },
        )
        .into_response(),
        Err(error) => page::failed(&error).into_response(),
    }
}

pub(crate) async fn show(State(app): State<App>, Path(file): Path<String>) -> Response {
    let desk = app.help_desk;
    let read = app.server.run(move |_| {
        let message = find(&desk, &file)?;
        let from = message.reply_to()?;
        Ok((file, message.subject().to_owned(), from, message.text()?))
    });
    match read.await {
        Ok((file, subject, from, text)) => question(&file, &subject, &from, &text).into_response(),
        Err(error) => not_shown(&error),
    }
}

fn question(file: &str, subject: &str, from: &[cdonts::AddressEntry], text: &str) -> Markup {
    page::page(
        subject,
        &html! {
            p { @for one in from { (one) " " } }
            pre { (text) }
            form method="post" action={ "/inbox/" (file) } {
                label { "Answer" textarea name="text" rows="8" {} }
                button { "Send" }
            }
        },
    )
}

/// Answers the question and takes it off the pile: in this order, so that nothing is lost between.
pub(crate) async fn answer(
    State(app): State<App>,
    Path(file): Path<String>,
    Form(answer): Form<Answer>,
) -> Response {
    let desk = app.help_desk;
    let sent = app.server.run(move |_| {
        let message = find(&desk, &file)?;
        // To the visitor, with the fields by which mail programs show it in the same thread.
        let mut draft = message.reply(&desk)?;
        draft.set_text(format!("{}\n\n{}", answer.text, draft.text()));
        draft.send()?;
        message.delete()
    });
    match sent.await {
        Ok(()) => Redirect::to("/inbox").into_response(),
        Err(error) => not_shown(&error),
    }
}

/// How a page names the message: of its file only what stands in an address as it is.
fn file_of(message: &Message) -> String {
    let name = message.file_name().to_string_lossy().into_owned();
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// A name that a browser sends is compared with those that there are, and never opened.
fn find(desk: &Session, file: &str) -> cdonts::Result<Message> {
    let mut messages = desk.inbox().stream()?;
    messages
        .find(|message| {
            message
                .as_ref()
                .is_ok_and(|message| file_of(message) == file)
        })
        .unwrap_or_else(|| {
            Err(Error::of_store(
                ErrorKind::MessageGone,
                "this question is gone",
            ))
        })
}

fn not_shown(error: &Error) -> Response {
    match error.kind() {
        ErrorKind::MessageGone => {
            let text = html! { p { "Somebody has answered this question already." } };
            (StatusCode::NOT_FOUND, page::page("Answered", &text)).into_response()
        }
        _ => page::failed(error).into_response(),
    }
}
