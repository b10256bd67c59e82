//! The application as a browser uses it.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use cdonts::{MailServer, Message, Session};
use tower::ServiceExt;

async fn ask(app: &Router, method: &str, path: &str, form: &str) -> (u16, String) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form.to_owned()))
        .unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn server() -> (MailServer, Router) {
    let server = MailServer::temporary().unwrap();
    let app = webapp::app(&server).unwrap();
    (server, app)
}

fn inbox(server: &MailServer, address: &str) -> Vec<Message> {
    let session = Session::logon_smtp(server, "", address).unwrap();
    session.inbox().messages().unwrap().into_iter().collect()
}

#[tokio::test]
async fn the_form_s_mail_lands_in_the_operator_s_inbox() {
    let (server, app) = server();
    let form = "name=Doe,+Jane&email=jane%40example.com&text=Do+you+sell+tea%3F";
    let (status, page) = ask(&app, "POST", "/", form).await;
    assert_eq!(status, 200, "{page}");
    let [question] = &inbox(&server, "help@example.com")[..] else {
        panic!("no question")
    };
    assert_eq!(question.text().unwrap(), "Do you sell tea?");
    let [from] = &question.reply_to().unwrap()[..] else {
        panic!("one to answer")
    };
    assert_eq!(
        (from.name(), from.address()),
        ("Doe, Jane", "jane@example.com")
    );
    let (_, page) = ask(&app, "GET", "/inbox", "").await;
    assert!(page.contains("A question from the web"), "{page}");
}

#[tokio::test]
async fn the_answer_lands_in_the_visitor_s_thread() {
    let (server, app) = server();
    ask(
        &app,
        "POST",
        "/",
        "name=Jane&email=jane%40example.com&text=Tea%3F",
    )
    .await;
    let [copy] = &inbox(&server, "jane@example.com")[..] else {
        panic!("no copy")
    };
    let (_, page) = ask(&app, "GET", "/inbox", "").await;
    let path = page
        .split("href=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let (_, page) = ask(&app, "GET", &path, "").await;
    assert!(page.contains("<pre>Tea?"), "{page}");

    let (status, _) = ask(&app, "POST", &path, "text=Yes.").await;
    assert_eq!(status, 303);
    let mails = inbox(&server, "jane@example.com");
    let answer = mails
        .iter()
        .find(|mail| mail.subject().starts_with("Re:"))
        .unwrap();
    let thread = copy.headers().unwrap().message_id().unwrap();
    let headers = answer.headers().unwrap();
    assert_eq!(headers.get("In-Reply-To").unwrap().value(), thread);
    assert_eq!(headers.references(), [thread]);
    assert!(answer.text().unwrap().starts_with("Yes.\r\n"));
    // It is off the pile, and cannot be answered twice.
    assert!(inbox(&server, "help@example.com").is_empty());
    assert_eq!(ask(&app, "POST", &path, "text=Yes.").await.0, 404);
}

#[tokio::test]
async fn an_injection_is_answered_by_a_clear_message_in_the_form() {
    let (server, app) = server();
    for (form, complaint) in [
        (
            "name=Jane%0D%0ABcc:+x%40example.com&email=jane%40example.com&text=Tea",
            "A name is one line of text",
        ),
        (
            "name=Jane&email=jane%40example.com%0D%0ABcc:+x%40example.com&text=Tea",
            "This is not an address",
        ),
        (
            "name=Jane&email=jane%40example.com,+x%40example.com&text=Tea",
            "This is not an address",
        ),
        ("name=Jane&email=nobody&text=Tea", "This is not an address"),
        (
            "name=%3Cscript%3E%0A&email=jane%40example.com&text=Tea",
            "A name is one line of text",
        ),
        (
            "name=Jane&email=jane%40example.com&text=+",
            "Please write something",
        ),
    ] {
        let (status, page) = ask(&app, "POST", "/", form).await;
        assert_eq!(status, 422, "{form}");
        assert!(page.contains(complaint), "{form}: {page}");
        assert!(!page.contains("<script"), "{form}: {page}");
    }
    for address in ["help@example.com", "jane@example.com", "x@example.com"] {
        assert!(inbox(&server, address).is_empty(), "{address}");
    }
}
