//! The contact form.

use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cdonts::{ErrorKind, NewMail, RecipientType, SendError};
use maud::{Markup, html};
use serde::Deserialize;

use crate::{App, page};

/// What the visitor has typed in, as it came.
#[derive(Clone, Default, Deserialize)]
pub(crate) struct Contact {
    name: String,
    email: String,
    text: String,
}

/// What is wrong, and with which field of the form.
#[derive(Default)]
struct Complaint {
    field: &'static str,
    text: String,
}

pub(crate) async fn form() -> Markup {
    show(&Contact::default(), &Complaint::default())
}

pub(crate) async fn submit(State(app): State<App>, Form(contact): Form<Contact>) -> Response {
    let typed = contact.clone();
    match app
        .server
        .run(move |server| Ok(send(server, &contact)))
        .await
    {
        Ok(Ok(())) => page::page(
            "Thank you",
            &html! {
                p { "We have your message and answer by mail. A copy of it is on its way to you." }
            },
        )
        .into_response(),
        Ok(Err(complaint)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, show(&typed, &complaint)).into_response()
        }
        Err(error) => page::failed(&error).into_response(),
    }
}

/// Whatever the visitor has typed in goes through setters that take it as one value: nothing in it
/// becomes another recipient or another field.
fn send(server: &cdonts::MailServer, contact: &Contact) -> Result<(), Complaint> {
    if contact.text.trim().is_empty() {
        return Err(Complaint {
            field: "text",
            text: "Please write something.".to_owned(),
        });
    }
    NewMail::new(server)
        .from("web@example.com")
        .to("help@example.com")
        .recipient(&contact.name, &contact.email, RecipientType::Cc)
        .reply_to(&contact.name, &contact.email)
        .subject("A question from the web")
        .body(&contact.text)
        .send()
        .map(|_| ())
        .map_err(|error| complaint(&error))
}

fn complaint(error: &SendError) -> Complaint {
    let is_visitors = error.is_invalid_input() && matches!(error.field(), Some("Reply-To" | "Cc"));
    let (field, text) = match error.kind() {
        ErrorKind::InvalidAddress if is_visitors => (
            "email",
            "This is not an address that mail can be sent to.".to_owned(),
        ),
        _ if is_visitors => (
            "name",
            "A name is one line of text, without special characters.".to_owned(),
        ),
        // Nothing is lost: `error.into_draft()` could be kept and sent later.
        _ => {
            eprintln!("{error}");
            (
                "",
                "Your message could not be sent; please try again later.".to_owned(),
            )
        }
    };
    Complaint { field, text }
}

fn show(contact: &Contact, complaint: &Complaint) -> Markup {
    let of = |field: &str| (complaint.field == field).then_some(complaint.text.as_str());
    page::page(
        "Contact",
        &html! {
            @if let Some(text) = of("").filter(|text| !text.is_empty()) { p.error role="alert" { (text) } }
            form method="post" action="/" {
                label { "Name" input name="name" value=(contact.name); }
                @if let Some(text) = of("name") { p.error role="alert" { (text) } }
                label { "E-mail" input name="email" value=(contact.email); }
                @if let Some(text) = of("email") { p.error role="alert" { (text) } }
                label { "Your question" textarea name="text" rows="8" { (contact.text) } }
                @if let Some(text) = of("text") { p.error role="alert" { (text) } }
                button { "Send" }
            }
        },
    )
}
