//! A mail server with some mail, and the pages that show it: `devbox [ADDRESS:PORT]`.

use std::net::SocketAddr;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use cdonts::{BodyFormat, Delivery, Importance, MailServer, NewMail};
use cdonts_devbox::{Catch, Devbox};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let address: SocketAddr = address.as_deref().unwrap_or("127.0.0.1:3000").parse()?;
    let catch = Catch::new();
    let server = MailServer::builder()
        .local_domain("example.com")
        .relay(catch.clone())
        .open_temporary()?;
    let delivery = Delivery::start(&server, std::time::Duration::from_secs(1))?;
    fill(&server)?;

    let app = Router::new()
        .route("/", get(async || Redirect::to("/mail")))
        .nest("/mail", Devbox::new(&server).catching(&catch).router());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}/mail", listener.local_addr()?);
    axum::serve(
        listener,
        app.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .await?;
    delivery.stop();
    Ok(())
}

fn fill(server: &MailServer) -> cdonts::Result<()> {
    let new = || NewMail::new(server).from("shop@example.com");
    new()
        .to("jane@example.com; joe@example.com")
        .subject("Your order 4711")
        .body("It is on its way.\n")
        .send()?;
    new()
        .to("jane@example.com")
        .subject("Grüße aus dem Laden")
        .body("<h1>Grüße</h1><p>Bis <b>bald</b>!</p>")
        .body_format(BodyFormat::Html)
        .attach_bytes("bill.txt", "Total: 12.00\n")
        .importance(Importance::High)
        .send()?;
    new()
        .to("customer@example.net")
        .subject("To another domain")
        .body("It stays here.\n")
        .send()?;
    Ok(())
}
