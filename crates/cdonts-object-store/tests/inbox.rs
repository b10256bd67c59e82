//! An Inbox over buckets: the checks of every store, claims, rivals, lost replies.
#![allow(missing_docs, clippy::disallowed_methods, reason = "these are tests")]

#[path = "../../../tests/support/conformance.rs"]
#[allow(dead_code, reason = "nothing is sent here")]
mod conformance;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cdonts::{ErrorKind, MailServer, Session};
use cdonts_object_store::ObjectInbox;
use conformance::{Fixture, conforms};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn put(bucket: &Arc<dyn ObjectStore>, key: &str, message: &str) {
    let put = async {
        bucket
            .put(&Path::from(key), PutPayload::from(message.to_owned()))
            .await
    };
    runtime().block_on(put).unwrap();
}

fn keys(bucket: &Arc<dyn ObjectStore>, prefix: &str) -> Vec<String> {
    use futures_util::TryStreamExt;
    let prefix = Path::from(prefix);
    let listed = runtime()
        .block_on(bucket.list(Some(&prefix)).try_collect::<Vec<_>>())
        .unwrap();
    let mut keys: Vec<_> = listed
        .into_iter()
        .map(|meta| meta.location.to_string())
        .collect();
    keys.sort();
    keys
}

const ANN: &str = "ann@example.com";

fn inbox(bucket: &Arc<dyn ObjectStore>) -> ObjectInbox {
    ObjectInbox::of(Arc::clone(bucket), ANN, "in/ann").unwrap()
}

fn log_on(inbox: &ObjectInbox) -> Session {
    let server = MailServer::builder().inbox(inbox.clone()).open().unwrap();
    Session::logon_smtp(&server, "Ann", ANN).unwrap()
}

fn letter(subject: &str) -> String {
    format!("From: a@example.net\r\nSubject: {subject}\r\n\r\nHello.\r\n")
}

struct OnBucket {
    bucket: Arc<dyn ObjectStore>,
    ann: MailServer,
    bob: MailServer,
    number: AtomicUsize,
}

impl OnBucket {
    fn new(bucket: Arc<dyn ObjectStore>) -> Self {
        let server = |inbox: ObjectInbox| MailServer::builder().inbox(inbox).open().unwrap();
        let bob = ObjectInbox::of(Arc::clone(&bucket), "bob@example.com", "in/bob").unwrap();
        Self {
            ann: server(inbox(&bucket)),
            bob: server(bob),
            bucket,
            number: AtomicUsize::new(0),
        }
    }
}

impl Fixture for OnBucket {
    fn log_on(&self) -> Session {
        Session::logon_smtp(&self.ann, "Ann", ANN).unwrap()
    }

    fn log_on_other(&self) -> Session {
        Session::logon_smtp(&self.bob, "Bob", "bob@example.com").unwrap()
    }

    fn deliver(&self, message: &str) {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let on_top = "Return-Path: <sam@example.net>\r\n";
        put(
            &self.bucket,
            &format!("in/ann/{number:06}"),
            &format!("{on_top}{message}"),
        );
    }
}

#[test]
fn memory_conforms() {
    conforms(&OnBucket::new(Arc::new(InMemory::new())));
}

#[test]
fn a_directory_conforms() {
    let dir = tempfile::tempdir().unwrap();
    conforms(&OnBucket::new(Arc::new(
        LocalFileSystem::new_with_prefix(dir.path()).unwrap(),
    )));
}

#[test]
fn a_real_server_conforms() {
    let Some(moto) = Moto::start() else { return };
    conforms(&OnBucket::new(moto.bucket()));
    let bucket = moto.bucket();
    log_on(&inbox(&bucket))
        .inbox()
        .messages()
        .unwrap()
        .delete_all()
        .unwrap();
    put(&bucket, "in/ann/claimed", &letter("claimed"));
    let (one, other) = (log_on(&inbox(&bucket)), log_on(&inbox(&bucket)));
    let message = one.inbox().messages().unwrap().get(0).unwrap();
    message.text().unwrap();
    assert!(other.inbox().messages().unwrap().is_empty());
    message.delete().unwrap();
}

/// A server that speaks S3, in Python; where its program is, is in a variable.
struct Moto {
    server: std::process::Child,
    port: u16,
}

impl Moto {
    fn start() -> Option<Self> {
        let Ok(program) = std::env::var("CDONTS_MOTO") else {
            println!("skipped: CDONTS_MOTO does not name a moto_server");
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "it must on CI"
            );
            return None;
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let server = std::process::Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self { server, port };
        let begin = std::time::Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                begin.elapsed() < Duration::from_mins(1),
                "moto does not start"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        moto.make_bucket();
        Some(moto)
    }

    /// By one request of its own: object stores have no call for it.
    fn make_bucket(&self) {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request = "PUT /mailbucket HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\
            Authorization: AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request, \
            SignedHeaders=host, Signature=0\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 200 "), "{answer}");
    }

    fn bucket(&self) -> Arc<dyn ObjectStore> {
        // The client wants to be able to, though nothing here goes by TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = object_store::aws::AmazonS3Builder::new()
            .with_endpoint(format!("http://127.0.0.1:{}", self.port))
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name("mailbucket")
            .with_access_key_id("k")
            .with_secret_access_key("s");
        Arc::new(builder.build().unwrap())
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn of_many_servers_one_handles_each_message() {
    const MESSAGES: usize = 60;
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    for number in 0..MESSAGES {
        put(
            &bucket,
            &format!("in/ann/{number:03}"),
            &letter(&number.to_string()),
        );
    }
    let handled = Mutex::new(HashMap::<String, usize>::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let session = log_on(&inbox(&bucket));
                loop {
                    let messages = session.inbox().messages().unwrap();
                    if messages.is_empty() {
                        return;
                    }
                    for message in &messages {
                        match message.text() {
                            Ok(_) => {
                                *handled
                                    .lock()
                                    .unwrap()
                                    .entry(message.subject().to_owned())
                                    .or_default() += 1;
                                message.delete().unwrap();
                            }
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::MessageGone, "{error}");
                            }
                        }
                    }
                }
            });
        }
    });
    let handled = handled.into_inner().unwrap();
    assert_eq!(handled.len(), MESSAGES);
    assert!(handled.values().all(|&count| count == 1), "{handled:?}");
    assert_eq!(keys(&bucket, "in/ann/.cdonts/claims").len(), 0);
    assert_eq!(
        keys(&bucket, "in/ann")
            .iter()
            .filter(|key| !key.contains(".cdonts"))
            .count(),
        0
    );
}

#[test]
fn what_a_dead_server_had_another_gets_and_the_dead_one_cannot_delete_it() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    put(&bucket, "in/ann/1", &letter("one"));
    let lease = Duration::from_millis(300);
    let (dead, alive) = (inbox(&bucket).lease(lease), inbox(&bucket).lease(lease));
    // Its process is stopped: nothing renews. A claim that somebody else has written is like that.
    let dead_session = log_on(&dead);
    let message = dead_session.inbox().messages().unwrap().get(0).unwrap();
    message.text().unwrap();
    let claims = keys(&bucket, "in/ann/.cdonts/claims");
    assert_eq!(claims.len(), 1);
    assert!(
        log_on(&alive).inbox().messages().unwrap().is_empty(),
        "it is renewed"
    );
    std::thread::sleep(2 * lease);
    assert!(
        log_on(&alive).inbox().messages().unwrap().is_empty(),
        "it is still renewed"
    );
    put(&bucket, &claims[0], "another-token 1\n");
    std::thread::sleep(2 * lease);
    let session = log_on(&alive);
    let taken = session.inbox().messages().unwrap().get(0).unwrap();
    assert_eq!(taken.text().unwrap(), "Hello.\r\n");
    // The first comes back.
    assert_eq!(message.delete().unwrap_err().kind(), ErrorKind::MessageGone);
    taken.delete().unwrap();
    assert!(session.inbox().messages().unwrap().is_empty());
}

#[test]
fn a_message_that_is_given_back_comes_again_and_at_last_is_set_aside() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    put(&bucket, "in/ann/1", &letter("poison"));
    let inbox = inbox(&bucket).attempts(3);
    for _ in 0..3 {
        let session = log_on(&inbox);
        let message = session.inbox().messages().unwrap().get(0).unwrap();
        message.text().unwrap();
        // Its handler fails, and drops it.
    }
    let session = log_on(&inbox);
    let message = session.inbox().messages().unwrap().get(0).unwrap();
    let error = message.text().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MessageGone);
    assert!(error.to_string().contains("failed"), "{error}");
    drop(message);
    assert!(session.inbox().messages().unwrap().is_empty());
    assert_eq!(keys(&bucket, "in/ann/.cdonts/failed").len(), 1);
}

#[test]
fn what_was_handled_is_only_deleted_when_it_is_seen_again() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    put(&bucket, "in/ann/1", &letter("one"));
    let faulty: Arc<dyn ObjectStore> = Arc::new(Faulty::new(&bucket, |call, key| {
        call == "delete" && !key.contains(".cdonts")
    }));
    let session = log_on(&inbox(&faulty));
    // The object could not be removed; that it was handled is written down.
    session
        .inbox()
        .messages()
        .unwrap()
        .get(0)
        .unwrap()
        .delete()
        .unwrap();
    assert!(session.inbox().messages().unwrap().is_empty());
    assert!(keys(&bucket, "in/ann").contains(&"in/ann/1".to_owned()));
    assert!(
        log_on(&inbox(&bucket))
            .inbox()
            .messages()
            .unwrap()
            .is_empty()
    );
    assert!(!keys(&bucket, "in/ann").contains(&"in/ann/1".to_owned()));
}

#[test]
fn a_reply_that_is_lost_is_made_up_for() {
    for place in ["claims", "done", "effects"] {
        let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        put(&bucket, "in/ann/1", &letter("one"));
        let lossy: Arc<dyn ObjectStore> = Arc::new(Faulty::new(&bucket, move |call, key| {
            call == "reply" && key.contains(place)
        }));
        let inbox = inbox(&lossy);
        let session = log_on(&inbox);
        let message = session.inbox().messages().unwrap().get(0).unwrap();
        assert_eq!(message.text().unwrap(), "Hello.\r\n", "{place}");
        assert!(inbox.effect(&message, "reply", b"once").unwrap(), "{place}");
        message.delete().unwrap();
        assert!(session.inbox().messages().unwrap().is_empty());
    }
}

#[test]
fn an_effect_is_written_once() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    put(&bucket, "in/ann/1", &letter("one"));
    let (one, other) = (inbox(&bucket), inbox(&bucket));
    let messages = (
        log_on(&one).inbox().messages().unwrap(),
        log_on(&other).inbox().messages().unwrap(),
    );
    let (first, second) = (messages.0.get(0).unwrap(), messages.1.get(0).unwrap());
    assert!(one.effect(&first, "reply", b"first").unwrap());
    assert!(!other.effect(&second, "reply", b"second").unwrap());
    assert_eq!(
        other.effect_of(&second, "reply").unwrap().unwrap(),
        b"first"
    );
    assert!(other.effect_of(&second, "none").unwrap().is_none());
    let error = one.effect(&first, "../x", b"").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidValue);
    assert_eq!(one.sweep(Duration::from_mins(1)).unwrap(), 0);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(one.sweep(Duration::from_millis(1)).unwrap(), 1);
}

#[test]
fn a_store_that_lets_an_object_be_created_twice_is_refused() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let careless: Arc<dyn ObjectStore> =
        Arc::new(Faulty::new(&bucket, |call, _| call == "condition"));
    let error = ObjectInbox::of(careless, ANN, "in/ann").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(keys(&bucket, "in").is_empty());
}

#[test]
fn an_object_that_is_replaced_is_another_message() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    put(&bucket, "in/ann/1", &letter("old"));
    let session = log_on(&inbox(&bucket));
    let old = session.inbox().messages().unwrap().get(0).unwrap();
    put(&bucket, "in/ann/1", &letter("new"));
    assert_eq!(old.text().unwrap_err().kind(), ErrorKind::MessageGone);
    let new = session.inbox().messages().unwrap().get(0).unwrap();
    assert_eq!(
        (new.subject(), new.text().unwrap().as_str()),
        ("new", "Hello.\r\n")
    );
}

#[test]
fn what_the_service_puts_there_at_set_up_is_no_message() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    put(&bucket, "in/ann/AMAZON_SES_SETUP_NOTIFICATION", "hello");
    put(&bucket, "in/ann/deeper/1", &letter("of another prefix"));
    put(&bucket, "in/annette/1", &letter("of another address"));
    let session = log_on(&inbox(&bucket));
    assert!(session.inbox().messages().unwrap().is_empty());
    let server = MailServer::builder().inbox(inbox(&bucket)).open().unwrap();
    let error = Session::logon_smtp(&server, "", "bob@example.com").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LogonFailed);
}

#[test]
fn it_works_inside_of_a_runtime() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    put(&bucket, "in/ann/1", &letter("one"));
    runtime().block_on(async {
        let session = log_on(&inbox(&bucket));
        assert_eq!(session.inbox().messages().unwrap().len(), 1);
    });
}

type Rule = dyn Fn(&str, &str) -> bool + Send + Sync;

/// A store of which some calls fail, some answers are lost, or conditions are ignored.
struct Faulty {
    inner: Arc<dyn ObjectStore>,
    rule: Box<Rule>,
}

impl Faulty {
    fn new(
        inner: &Arc<dyn ObjectStore>,
        rule: impl Fn(&str, &str) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner: Arc::clone(inner),
            rule: Box::new(rule),
        }
    }
}

fn broken() -> object_store::Error {
    object_store::Error::Generic {
        store: "Faulty",
        source: "it broke".into(),
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> object_store::Result<PutResult> {
        if (self.rule)("condition", at.as_ref()) {
            options.mode = PutMode::Overwrite;
        }
        let done = self.inner.put_opts(at, payload, options).await;
        if (self.rule)("reply", at.as_ref()) {
            return Err(broken());
        }
        done
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.inner.get_opts(at, options).await
    }

    fn delete_stream(
        &self,
        locations: futures_util::stream::BoxStream<'static, object_store::Result<Path>>,
    ) -> futures_util::stream::BoxStream<'static, object_store::Result<Path>> {
        use futures_util::StreamExt;
        // One location at a time is all that is asked here.
        let locations = futures_util::FutureExt::now_or_never(locations.collect::<Vec<_>>())
            .unwrap_or_default();
        let is_broken = locations
            .iter()
            .flatten()
            .any(|at| (self.rule)("delete", at.as_ref()));
        if is_broken {
            return futures_util::stream::iter([Err(broken())]).boxed();
        }
        self.inner
            .delete_stream(futures_util::stream::iter(locations).boxed())
    }

    fn list(
        &self,
        prefix: Option<&Path>,
    ) -> futures_util::stream::BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
