//! What the pages show and do, asked as a browser asks.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::io::Cursor;

use cdonts::{BodyFormat, MailServer, NewMail, Profile, Session};
use cdonts_devbox::{Catch, Devbox};
use support::{app, ask, get, messages, nested, only, request};

fn server() -> MailServer {
    MailServer::temporary().unwrap()
}

fn mail(server: &MailServer, to: &str, subject: &str, text: &str) {
    let new = NewMail::new(server).from("shop@example.com").to(to);
    new.subject(subject).body(text).send().unwrap();
}

#[tokio::test]
async fn it_says_which_address_sees_what() {
    let server = server();
    mail(&server, "jane@example.com", "for jane", "");
    mail(&server, "jane@example.com; joe@example.com", "for both", "");
    let app = app(&server);
    let page = get(&app, "/mail").await;
    assert_eq!(messages(&page).len(), 3);
    for (address, count) in [("jane", 2), ("joe", 1)] {
        let entry = format!("<span>{address}@example.com</span> <small>{count}</small>");
        assert!(page.contains(&entry), "{page}");
    }
    let joes = get(&app, "/mail?to=joe%40example.com").await;
    assert_eq!(messages(&joes).len(), 1);
    assert!(joes.contains("for both") && !joes.contains("for jane"));
}

#[tokio::test]
async fn one_file_of_several_is_one_message_and_what_is_nobodys_is_told() {
    let root = tempfile::tempdir().unwrap();
    let server = MailServer::builder()
        .mailroot(root.path())
        .create_directories()
        .drop_writer(cdonts::Writer::Renames)
        .profile(Profile::IisDrop)
        .open()
        .unwrap();
    let text = "x-sender: a@example.net\r\nx-receiver: jane@example.com\r\n\
                x-receiver: joe@example.com\r\nSubject: shared\r\n\r\n";
    std::fs::write(root.path().join("Drop/1.eml"), text).unwrap();
    std::fs::write(root.path().join("Drop/2.eml"), "Subject: lost\r\n\r\n").unwrap();
    let app = app(&server);
    let page = get(&app, "/mail").await;
    assert_eq!(messages(&page).len(), 2);
    assert!(page.contains("jane@example.com, joe@example.com"), "{page}");
    assert!(
        page.contains("nobody's") || page.contains("nobody&#39;s"),
        "{page}"
    );
    // Deleted, it is gone for both.
    let shared = get(&app, "/mail?q=shared").await;
    let path = format!("{}/delete", messages(&shared)[0]);
    assert_eq!(ask(&app, request("POST", &path)).await.status, 303);
    assert!(!root.path().join("Drop/1.eml").exists());
    assert!(root.path().join("Drop/2.eml").exists());
}

#[tokio::test]
async fn a_message_is_shown_from_all_sides() {
    let server = server();
    NewMail::new(&server)
        .from("shop@example.com")
        .to("jane@example.com")
        .subject("Order")
        .body("<p>Hello <b>Jane</b></p>")
        .body_format(BodyFormat::Html)
        .attach_reader("bill.txt", Cursor::new("12.00"))
        .value("X-Shop", "north")
        .send()
        .unwrap();
    let app = app(&server);
    let path = only(&app).await;
    let first = get(&app, &path).await;
    assert!(first.contains(&format!("<iframe sandbox=\"\" referrerpolicy=\"no-referrer\" title=\"The message\" src=\"{path}/frame\"")), "{first}");
    assert!(first.contains("<dd>shop@example.com</dd>"), "{first}");
    let frame = ask(
        &app,
        request("GET", &format!("{path}/frame")).header("sec-fetch-dest", "iframe"),
    )
    .await;
    assert!(frame.body.contains("<p>Hello <b>Jane</b></p>"));
    let text = get(&app, &format!("{path}?view=text")).await;
    assert!(text.contains("<pre>Hello Jane"), "{text}");
    let headers = get(&app, &format!("{path}?view=headers")).await;
    assert!(
        headers.contains("<th scope=\"row\">X-Shop</th><td>north</td>"),
        "{headers}"
    );
    let attachments = get(&app, &format!("{path}?view=attachments")).await;
    assert!(attachments.contains("bill.txt") && attachments.contains("<td>5</td>"));
    let problems = get(&app, &format!("{path}?view=problems")).await;
    assert!(problems.contains("None."));
    let source = get(&app, &format!("{path}?view=source")).await;
    assert!(source.contains("X-Shop: north\r\n"), "{source}");

    let part = ask(&app, request("GET", &format!("{path}/part/0"))).await;
    assert_eq!(part.body, "12.00");
    assert_eq!(
        part.header("content-disposition"),
        "attachment; filename*=UTF-8''bill.txt"
    );
    assert_eq!(part.header("content-type"), "application/octet-stream");
    let raw = ask(&app, request("GET", &format!("{path}/raw"))).await;
    assert!(raw.body.contains("X-Shop: north\r\n"));
    for gone in [
        format!("{path}/part/1"),
        format!("{path}/part/x"),
        "/mail/m/0".to_owned(),
    ] {
        assert_eq!(ask(&app, request("GET", &gone)).await.status, 404, "{gone}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_told() {
    let server = server();
    let jane = Session::logon_smtp(&server, "Jane", "jane@example.com").unwrap();
    let source = "From: a@example.com\r\nTo: jane@example.com\r\nSubject: odd\r\n\
                  Content-Type: text/plain; charset=klingon\r\n\r\nhi\r\n";
    jane.outbox()
        .send_raw(
            &cdonts::Envelope::new("a@example.com", ["jane@example.com"]),
            source,
        )
        .unwrap();
    let app = app(&server);
    let path = only(&app).await;
    let page = get(&app, &format!("{path}?view=problems")).await;
    assert!(page.contains("klingon"), "{page}");
}

#[tokio::test]
async fn words_are_searched_for_in_all_that_a_person_sees() {
    let server = server();
    mail(&server, "jane@example.com", "Grüße", "from the north");
    mail(&server, "joe@example.com", "Order 4711", "is on its way");
    let app = app(&server);
    for (words, count) in [
        ("gr%C3%BC%C3%9Fe", 1),
        ("4711+WAY", 1),
        ("joe%40", 1),
        ("shop", 2),
        ("north+4711", 0),
        ("", 2),
    ] {
        let page = get(&app, &format!("/mail?q={words}")).await;
        assert_eq!(messages(&page).len(), count, "{words}");
    }
    assert!(
        get(&app, "/mail?q=nothing")
            .await
            .contains("No message fits.")
    );
}

#[tokio::test]
async fn what_a_list_shows_is_deleted_together() {
    let server = server();
    mail(&server, "jane@example.com", "one", "");
    mail(&server, "jane@example.com", "two", "");
    mail(&server, "joe@example.com", "one", "");
    let app = app(&server);
    let answer = ask(
        &app,
        request("POST", "/mail/clear?to=jane%40example.com&q=one"),
    )
    .await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (303, "/mail")
    );
    assert_eq!(messages(&get(&app, "/mail").await).len(), 2);
    ask(&app, request("POST", "/mail/clear")).await;
    assert!(get(&app, "/mail").await.contains("No mail yet."));
}

#[tokio::test]
async fn what_would_go_out_is_kept_here() {
    let catch = Catch::new();
    let builder = MailServer::builder()
        .local_domain("example.com")
        .relay(catch.clone());
    let server = builder.open_temporary().unwrap();
    mail(
        &server,
        "customer@example.net; jane@example.com",
        "to both",
        "hello",
    );
    server.deliver_now().unwrap();
    assert!(server.queue().unwrap().is_empty());
    let app = nested(Devbox::new(&server).catching(&catch));
    let page = get(&app, "/mail?to=customer%40example.net").await;
    assert!(page.contains("not sent: customer@example.net"), "{page}");
    let path = messages(&page)[0].clone();
    assert!(
        get(&app, &format!("{path}?view=text"))
            .await
            .contains("hello")
    );
    assert_eq!(
        ask(&app, request("POST", &format!("{path}/delete")))
            .await
            .status,
        303
    );
    assert!(catch.is_empty());
    assert_eq!(messages(&get(&app, "/mail").await).len(), 1);
}

#[tokio::test]
async fn nobody_but_this_machine_is_answered() {
    let server = server();
    mail(&server, "jane@example.com", "secret", "");
    let own = app(&server);
    let peer = |ip: [u8; 4]| axum::extract::ConnectInfo(std::net::SocketAddr::from((ip, 1)));
    let refused = [
        (
            "another machine",
            request("GET", "/mail").extension(peer([192, 0, 2, 1])),
        ),
        (
            "through a proxy",
            request("GET", "/mail").header("x-forwarded-for", "192.0.2.1"),
        ),
        (
            "through one that says little",
            request("GET", "/mail").header("via", "1.1 proxy"),
        ),
        (
            "through an old one",
            request("GET", "/mail").version(axum::http::Version::HTTP_10),
        ),
        ("under another name", {
            let peer = peer([127, 0, 0, 1]);
            axum::http::Request::builder()
                .uri("/mail")
                .header("host", "evil.example")
                .extension(peer)
        }),
        (
            "nobody knows who",
            axum::http::Request::builder()
                .uri("/mail")
                .header("host", "localhost"),
        ),
    ];
    for (who, request) in refused {
        let answer = ask(&own, request).await;
        assert_eq!(answer.status, 403, "{who}");
        assert!(!answer.body.contains("secret"), "{who}");
    }
    let named = || {
        let builder = axum::http::Request::builder().uri("/mail");
        builder
            .header("host", "app.test:3000")
            .extension(peer([127, 0, 0, 1]))
    };
    assert_eq!(ask(&own, named()).await.status, 403);
    let with_name = nested(Devbox::new(&server).host("App.test"));
    assert_eq!(ask(&with_name, named()).await.status, 200);
    let open = nested(Devbox::new(&server).for_everyone());
    let far = request("GET", "/mail").extension(peer([192, 0, 2, 1]));
    assert_eq!(ask(&open, far).await.status, 200);
}

#[tokio::test]
async fn no_other_site_can_delete() {
    let server = server();
    mail(&server, "jane@example.com", "stays", "");
    for devbox in [Devbox::new(&server), Devbox::new(&server).for_everyone()] {
        let app = nested(devbox);
        let path = format!("{}/delete", only(&app).await);
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "http://localhost:4000"),
            ("origin", "null"),
        ] {
            let answer = ask(&app, request("POST", &path).header(name, value)).await;
            assert_eq!(answer.status, 403, "{name}: {value}");
        }
        // Looking at an address deletes nothing.
        assert_eq!(ask(&app, request("GET", &path)).await.status, 405);
        only(&app).await;
    }
    let app = app(&server);
    let path = format!("{}/delete", only(&app).await);
    let own = request("POST", &path).header("origin", "http://localhost:3000");
    assert_eq!(ask(&app, own).await.status, 303);
}

#[tokio::test]
async fn no_other_site_can_read_but_a_link_can_be_followed() {
    let server = server();
    mail(&server, "jane@example.com", "secret", "");
    let app = app(&server);
    let path = only(&app).await;
    for path in ["/mail".to_owned(), format!("{path}/raw"), path.clone()] {
        for site in ["cross-site", "same-site"] {
            for (mode, dest) in [
                ("cors", "empty"),
                ("no-cors", "image"),
                ("navigate", "iframe"),
            ] {
                let asked = request("GET", &path)
                    .header("sec-fetch-site", site)
                    .header("sec-fetch-mode", mode)
                    .header("sec-fetch-dest", dest);
                assert_eq!(ask(&app, asked).await.status, 403, "{path} {site} {mode}");
            }
        }
        let by_origin = request("GET", &path).header("origin", "http://localhost:4000");
        assert_eq!(ask(&app, by_origin).await.status, 403, "{path}");
    }
    let followed = request("GET", "/mail")
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document");
    assert_eq!(ask(&app, followed).await.status, 200);
}

#[tokio::test]
async fn wherever_it_is_nested_its_links_lead_to_itself() {
    let server = server();
    mail(&server, "jane@example.com", "x", "");
    let devbox = || Devbox::new(&server).router::<()>();
    let deep = axum::Router::new().nest("/a/b", devbox());
    let page = get(&deep, "/a/b").await;
    assert!(messages(&page)[0].starts_with("/a/b/m/"), "{page}");
    let top = axum::Router::new().merge(devbox());
    let page = get(&top, "/").await;
    assert!(messages(&page)[0].starts_with("/m/"), "{page}");
    let captured = axum::Router::new().nest("/{a}/{b}", devbox());
    let answer = ask(&captured, request("GET", "//evil.example")).await;
    assert!(!answer.body.contains("\"//"), "{}", answer.body);
}

#[tokio::test]
async fn every_answer_forbids_the_browser_to_load_or_keep_anything() {
    let server = server();
    mail(&server, "jane@example.com", "x", "");
    let app = app(&server);
    let path = only(&app).await;
    for path in [
        "/mail".to_owned(),
        path.clone(),
        format!("{path}/raw"),
        "/mail/devbox.js".to_owned(),
        "/mail/m/0".to_owned(),
    ] {
        let answer = ask(&app, request("GET", &path)).await;
        assert!(
            answer
                .header("content-security-policy")
                .contains("default-src 'none'"),
            "{path}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
    }
    let frame = ask(&app, request("GET", &format!("{path}/frame"))).await;
    assert_eq!(frame.header("referrer-policy"), "no-referrer");
    assert!(
        frame
            .header("content-security-policy")
            .starts_with("sandbox; default-src 'none'")
    );
    let alone = request("GET", &format!("{path}/frame")).header("sec-fetch-dest", "document");
    assert_eq!(ask(&app, alone).await.status, 403);
}

#[tokio::test]
async fn whoever_may_not_log_on_is_left_out_and_the_rest_is_shown() {
    let builder = MailServer::builder().local_domain("example.com");
    let builder = builder.authorize(|address| !address.starts_with("joe@"));
    let server = builder.open_temporary().unwrap();
    mail(&server, "jane@example.com; joe@example.com", "for both", "");
    let page = get(&app(&server), "/mail").await;
    assert_eq!(messages(&page).len(), 1);
}
