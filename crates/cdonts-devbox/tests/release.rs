//! In a build without debug assertions, as a release is, the pages are there only when asked for.
//! Run with `--config profile.dev.package.cdonts-devbox.debug-assertions=false` it is one.

mod support;

use cdonts::MailServer;
use cdonts_devbox::Devbox;
use support::{app, ask, nested, request};

#[tokio::test]
async fn a_release_has_no_such_pages_unless_asked_for() {
    let server = MailServer::temporary().unwrap();
    let there = ask(&app(&server), request("GET", "/mail")).await.status;
    assert_eq!(there, if cfg!(debug_assertions) { 200 } else { 404 });
    let asked_for = nested(Devbox::new(&server).even_in_release());
    assert_eq!(ask(&asked_for, request("GET", "/mail")).await.status, 200);
}
