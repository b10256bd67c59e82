//! Starts the application: `webapp [ADDRESS:PORT]`.

use std::net::SocketAddr;

use cdonts::MailServer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let address: SocketAddr = address.as_deref().unwrap_or("127.0.0.1:3000").parse()?;
    // In production `MailServer::open("/var/spool/mailroot")`, or whatever the machine has.
    let server = MailServer::temporary()?;
    let app = webapp::app(&server)?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    println!(
        "the form http://{address}/, the operator http://{address}/inbox, all mail http://{address}/mail"
    );
    axum::serve(
        listener,
        app.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .await?;
    Ok(())
}
