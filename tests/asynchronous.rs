//! The library from async code.
#![cfg(feature = "tokio")]
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::time::Duration;

use cdonts::{ErrorKind, MailServer, Message, RecipientType, Session};
use support::Root;
use tokio_stream::StreamExt;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_is_sent_watched_read_and_deleted() {
    let root = Root::new();
    let server = root.delivering();
    let session = Session::logon_smtp_async(&server, "Jane", "jane@example.com")
        .await
        .unwrap();
    let error = Session::logon_smtp_async(&server, "", "nobody")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidAddress);
    let mut new = session.inbox().watch_async().await.unwrap();
    let outbox = session.outbox();
    let draft = |subject: &str, to: &str| {
        let mut draft = outbox.messages().add(subject, "text");
        draft.recipients_mut().add("", to, RecipientType::To);
        draft
    };
    draft("one", "jane@example.com").send_async().await.unwrap();
    let error = draft("bad", "no address").send_async().await.unwrap_err();
    assert_eq!(error.into_draft().subject(), "bad");
    let results = outbox
        .send_all_async([draft("two", "jane@example.com"), draft("bad", "no address")])
        .await;
    assert!(results[0].is_ok() && results[1].is_err());
    for subject in ["one", "two"] {
        let message = tokio::time::timeout(Duration::from_secs(20), new.next())
            .await
            .unwrap();
        let message = message.unwrap().unwrap();
        assert_eq!(message.subject(), subject);
        assert_eq!(message.read_async(Message::text).await.unwrap(), "text");
        message.delete_async().await.unwrap();
    }
    assert_eq!(session.inbox().messages_async().await.unwrap().len(), 0);
    let problems = server.run(MailServer::problems).await.unwrap();
    assert_eq!(problems, []);
}

#[test]
fn a_draft_is_not_lost_with_the_runtime() {
    let root = Root::new();
    let server = root.delivering();
    let session = support::session(&server, "jane@example.com");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let handle = runtime.handle().clone();
    runtime.shutdown_background();
    let mut draft = session.outbox().messages().add("kept", "text");
    draft
        .recipients_mut()
        .add("", "jane@example.com", RecipientType::To);
    let _within = handle.enter();
    let mut sending = Box::pin(draft.send_async());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let kept = loop {
        match sending.as_mut().poll(&mut context) {
            std::task::Poll::Ready(result) => break result,
            std::task::Poll::Pending => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    assert_eq!(kept.unwrap_err().into_draft().subject(), "kept");
}
