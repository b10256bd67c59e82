//! Hostile mail in a real browser: a headless Chromium opens the pages, and a server that stands for
//! the rest of the world counts who connects to it.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Html;
use axum::routing::get;
use cdonts::{Envelope, MailServer, NewMail, Session};
use cdonts_devbox::Devbox;

/// Where Chromium is; without one a test says so and passes, but not where everything must run.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|dir| ["chromium", "chromium-headless-shell"].map(|name| dir.join(name)))
        .find(|program| program.is_file());
    if found.is_none() {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "chromium is missing"
        );
        println!("skipped: needs chromium");
    }
    found
}

const VIEWS: [&str; 6] = [
    "html",
    "text",
    "headers",
    "attachments",
    "problems",
    "source",
];

/// What a browser asks its maker for is not the page's doing.
const BROWSER: [&str; 7] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
];

/// Lets a browser work on a page and gives what has become of it.
/// Its clock runs ahead while nothing is under way, so that `seconds` are soon over.
fn visit(chromium: &Path, url: &str, seconds: u32) -> String {
    let profile = tempfile::tempdir().unwrap();
    let budget = format!("--virtual-time-budget={}", seconds * 1000);
    run(chromium, profile.path(), &[&budget, "--dump-dom", url])
}

/// What it prints; it has a minute of real time.
fn run(chromium: &Path, profile: &Path, words: &[&str]) -> String {
    let printed = profile.join("printed");
    let mut browser = Command::new(chromium)
        .args(BROWSER)
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(words)
        .stdout(File::create(&printed).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..600 {
        if browser.try_wait().unwrap().is_some() {
            return std::fs::read_to_string(&printed).unwrap();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    browser.kill().unwrap();
    browser.wait().unwrap();
    panic!("the browser does not come to an end with {words:?}");
}

/// The rest of the world: what connected, and what it asked for.
struct World {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (mut connection, heard) = (connection.unwrap(), Arc::clone(&heard));
                std::thread::spawn(move || {
                    let mut bytes = [0; 2048];
                    let _ = connection.set_read_timeout(Some(Duration::from_secs(1)));
                    let count = connection.read(&mut bytes).unwrap_or(0);
                    let line = String::from_utf8_lossy(&bytes[..count]);
                    heard
                        .lock()
                        .unwrap()
                        .push(line.lines().next().unwrap_or("a connection").to_owned());
                    let _ = connection.write_all(
                        b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                    );
                });
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        // A connection that asks for nothing is told when its time is over.
        std::thread::sleep(Duration::from_millis(1200));
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// All ways that are known by which a document asks for something.
fn hostile(world: &World) -> String {
    let out = format!("http://{}", world.address);
    format!(
        r#"<html><head>
<base href="{out}/base/">
<link rel="stylesheet" href="{out}/link.css"><link rel="icon" href="{out}/icon">
<link rel="prefetch" href="{out}/prefetch"><link rel="preload" as="image" href="{out}/preload">
<link rel="preconnect" href="{out}"><link rel="dns-prefetch" href="{out}"><link rel="manifest" href="{out}/manifest">
<link rel="prerender" href="{out}/prerender"><link rel="modulepreload" href="{out}/module.js">
<script type="speculationrules">{{"prefetch":[{{"source":"list","urls":["{out}/speculation"]}}]}}</script>
<style>@import url("{out}/import.css"); body {{ background: url({out}/background) }}
@font-face {{ font-family: f; src: url({out}/font) }} p {{ font-family: f; cursor: url({out}/cursor), auto }}
li {{ list-style-image: url({out}/list) }} p::after {{ content: url({out}/content) }}</style>
<script>fetch("{out}/script"); new Image().src = "{out}/image-script"</script>
<script src="{out}/source.js"></script></head>
<body onload="fetch('{out}/onload')" background="{out}/old-background">
<p style="background-image: url({out}/style)">Hello</p><ul><li>x</ul>
<img src="{out}/img"><img srcset="{out}/srcset 1x"><img src="relative"><img src=x onerror="fetch('{out}/onerror')">
<picture><source srcset="{out}/picture"><img></picture><input type="image" src="{out}/input">
<iframe src="{out}/iframe"></iframe><iframe srcdoc="<img src='{out}/srcdoc'>"></iframe>
<object data="{out}/object"></object><embed src="{out}/embed">
<video src="{out}/video" poster="{out}/poster" autoplay></video><audio src="{out}/audio" autoplay></audio>
<video><track src="{out}/track" default></video>
<svg><image href="{out}/svg-image"/><use href="{out}/use.svg#x"/><script>fetch("{out}/svg-script")</script></svg>
<table background="{out}/table"><tr><td>x</table><math><mtext href="{out}/math">x</mtext></math>
<form action="{out}/form" id="f"><input name="a"></form>
<a href="{out}/link" ping="{out}/ping" id="a">link</a>
<script>navigator.sendBeacon("{out}/beacon"); new WebSocket("ws://{host}/socket");
new EventSource("{out}/events"); new RTCPeerConnection({{iceServers:[{{urls:"stun:{host}"}}]}}).createOffer();</script>
</body></html>"#,
        host = world.address,
    )
}

/// Ways by which a document goes elsewhere, and takes its reader along: one in each.
fn leaving(world: &World) -> [(&'static str, String); 5] {
    let out = format!("http://{}", world.address);
    [
        (
            "/refresh",
            format!("<meta http-equiv=refresh content='0;url={out}/refresh'>"),
        ),
        (
            "/location",
            format!("<script>location = '{out}/location'</script>"),
        ),
        (
            "/frame",
            format!("<frameset><frame src='{out}/frame'></frameset>"),
        ),
        (
            "/top",
            format!("<script>top.location = '{out}/top'</script>"),
        ),
        (
            "/form",
            format!("<form action='{out}/form' id=f></form><script>f.submit()</script>"),
        ),
    ]
}

/// Serves the pages, and the document as it is beside them, and notes what is asked for.
fn serve(server: &MailServer, document: String) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    let note = move |request: Request, next: Next| {
        heard.lock().unwrap().push(request.uri().path().to_owned());
        next.run(request)
    };
    let app = Router::new()
        .route("/bare", get(async move || Html(document)))
        .nest("/mail", Devbox::new(server).router())
        .layer(from_fn(note));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, app).await.unwrap();
    });
    (address, asked)
}

async fn visited(chromium: &Path, address: SocketAddr, path: &str, seconds: u32) -> String {
    let (chromium, url) = (chromium.to_owned(), format!("http://{address}{path}"));
    tokio::task::spawn_blocking(move || visit(&chromium, &url, seconds))
        .await
        .unwrap()
}

async fn path_of_the_message(server: &MailServer) -> String {
    support::only(&support::app(server)).await
}

/// Sends a document to Jane.
fn send_html(server: &MailServer, html: &str) {
    let session = Session::logon_smtp(server, "", "mallory@example.com").unwrap();
    let head = "From: mallory@example.com\r\nSubject: hostile\r\n\
                Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let encoded = base64_simd::STANDARD.encode_to_string(html);
    let message = folded(&format!("{head}{encoded}"));
    let envelope = Envelope::new("mallory@example.com", ["jane@example.com"]);
    session.outbox().send_raw(&envelope, message).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_html_runs_nothing_and_loads_nothing() {
    let Some(chromium) = chromium() else { return };
    let world = World::new();
    let html = hostile(&world);
    let server = MailServer::temporary().unwrap();
    send_html(&server, &html);
    let (address, asked) = serve(&server, html);

    // The same document without the frame: else the browser, not the frame, would hold it back.
    visited(&chromium, address, "/bare", 4).await;
    let bare = world.asked();
    for way in [
        "/img",
        "/import.css",
        "/script",
        "/iframe",
        "/object",
        "/background",
        "/video",
    ] {
        let is_asked = bare.iter().any(|line| line.contains(way));
        assert!(is_asked, "{way} is not asked for: {bare:?}");
    }

    let path = path_of_the_message(&server).await;
    for view in VIEWS {
        let page = visited(&chromium, address, &format!("{path}?view={view}"), 4).await;
        assert!(page.contains("hostile"), "{view}: {page}");
        assert_eq!(world.asked(), [""; 0], "{view}");
    }
    let frame = format!("{path}/frame");
    assert!(
        asked.lock().unwrap().contains(&frame),
        "the frame was not shown"
    );
    // The document alone, in a window of its own, is not given.
    visited(&chromium, address, &frame, 4).await;
    assert_eq!(world.asked(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_html_takes_nobody_elsewhere() {
    let Some(chromium) = chromium() else { return };
    let world = World::new();
    for (way, html) in leaving(&world) {
        let server = MailServer::temporary().unwrap();
        send_html(&server, &html);
        let (address, _) = serve(&server, html);
        visited(&chromium, address, "/bare", 4).await;
        let bare = world.asked();
        assert!(
            bare.iter().any(|line| line.contains(way)),
            "{way}: {bare:?}"
        );
        let path = path_of_the_message(&server).await;
        visited(&chromium, address, &path, 4).await;
        assert_eq!(world.asked(), [""; 0], "{way}");
    }
}

/// In lines that mail may have.
fn folded(message: &str) -> String {
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    let lines = body
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).unwrap());
    format!(
        "{head}\r\n\r\n{}\r\n",
        lines.collect::<Vec<_>>().join("\r\n")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_headers_and_names_are_text() {
    let Some(chromium) = chromium() else { return };
    let world = World::new();
    let attack = format!(
        "<script>fetch('http://{0}/run')</script><img src=http://{0}/img>\"'><svg onload=fetch('http://{0}/on')>",
        world.address
    );
    let server = MailServer::temporary().unwrap();
    NewMail::new(&server)
        .from("shop@example.com")
        .to("jane@example.com")
        .subject(attack.clone())
        .body(attack.clone())
        .value("X-Attack", attack.clone())
        .attach_bytes(format!("{attack}.html"), attack.clone())
        .send()
        .unwrap();
    let (address, _) = serve(&server, String::new());
    let path = path_of_the_message(&server).await;
    for view in VIEWS {
        let page = visited(&chromium, address, &format!("{path}?view={view}"), 4).await;
        assert!(page.contains("&lt;script&gt;fetch("), "{view}: {page}");
        // Our own script is the only one, whatever the browser has made of the page.
        assert_eq!(page.matches("<script").count(), 1, "{view}: {page}");
        assert!(
            !page.contains("<svg") && !page.contains("<img"),
            "{view}: {page}"
        );
    }
    let words = format!(
        "/mail?q={}",
        "%3Cscript%3Efetch(1)%3C/script%3E%22%3E%3Cimg%20src=x%3E"
    );
    let page = visited(&chromium, address, &words, 4).await;
    assert!(!page.contains("<img"), "{page}");
    assert_eq!(world.asked(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_the_message_brings_is_shown() {
    let Some(chromium) = chromium() else { return };
    let server = MailServer::temporary().unwrap();
    let session = Session::logon_smtp(&server, "", "shop@example.com").unwrap();
    // One red pixel.
    let message = "From: shop@example.com\r\nSubject: picture\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n\
        <img width=100 height=100 src=\"cid:dot%40x\">\r\n--b\r\nContent-Type: image/gif\r\nContent-ID: <dot@x>\r\n\
        Content-Transfer-Encoding: base64\r\n\r\n\
        R0lGODlhAQABAIAAAP8AAP///yH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==\r\n--b--\r\n";
    let envelope = Envelope::new("shop@example.com", ["jane@example.com"]);
    session.outbox().send_raw(&envelope, message).unwrap();
    let (address, _) = serve(&server, String::new());
    let path = path_of_the_message(&server).await;
    // The frame lets nobody look into it: what it shows is seen in a picture of the page.
    let shown =
        tokio::task::spawn_blocking(move || picture(&chromium, &format!("http://{address}{path}")));
    let pixels = shown.await.unwrap();
    // Not quite red, where the one pixel was drawn larger.
    let is_red = |pixel: &&[u8]| pixel[0] > 200 && pixel[1] < 80 && pixel[2] < 80;
    let red = pixels.chunks(3).filter(is_red).count();
    assert!(red > 1000, "{red} red pixels");
}

/// The pixels of a page.
fn picture(chromium: &Path, url: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("page.png");
    let into = format!("--screenshot={}", file.display());
    run(chromium, dir.path(), &[&into, url]);
    let mut decoder = png::Decoder::new(std::io::BufReader::new(File::open(file).unwrap()));
    decoder.set_transformations(png::Transformations::STRIP_16 | png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    match frame.color_type {
        png::ColorType::Rgb => pixels,
        _ => pixels
            .chunks(4)
            .flat_map(|pixel| pixel[..3].to_vec())
            .collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_appears_as_it_arrives() {
    let Some(chromium) = chromium() else { return };
    let server = MailServer::temporary().unwrap();
    let (address, asked) = serve(&server, String::new());
    let sender = server.clone();
    // When the page has asked for the first time.
    let sent = tokio::task::spawn_blocking(move || {
        while !asked
            .lock()
            .unwrap()
            .iter()
            .any(|path| path == "/mail/state")
        {
            std::thread::sleep(Duration::from_millis(20));
        }
        let new = NewMail::new(&sender)
            .from("shop@example.com")
            .to("jane@example.com");
        new.subject("just now").send().unwrap();
    });
    let page = visited(&chromium, address, "/mail", 600).await;
    sent.await.unwrap();
    assert!(page.contains("just now"), "{page}");
    assert!(page.contains("<span>jane@example.com</span>"), "{page}");
}
