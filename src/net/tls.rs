//! Whom to believe that a server is the one it says.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::error::{Error, ErrorKind, Result};

/// How a connection is kept from being read and changed on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Security {
    /// TLS from the first octet (RFC 8314), as on port 465.
    Implicit,
    /// TLS after STARTTLS (RFC 3207; STLS of POP3), as on the ports 25, 587, 110 and 143. A server
    /// without it gets nothing.
    StartTls,
    /// None: for a server on this machine. By SMTP credentials are never sent then, by POP3 and IMAP
    /// only to this machine itself.
    None,
}

/// Whose certificates are trusted. There is no way to trust any: that would be no TLS.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use cdonts::{Roots, Smtp};
///
/// let ours = Roots::Only(std::fs::read("/etc/ssl/our-ca.pem")?);
/// let relay = Smtp::new("relay.internal.example")?.roots(&ours)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Roots {
    /// Those that the system trusts.
    Platform,
    /// Only these, in PEM: for a private authority.
    Only(Vec<u8>),
}

pub(crate) fn config(roots: &Roots) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let failed = |source: rustls::Error| {
        let message = "TLS cannot be used: no certificates to trust were found; install the \
                       system's (`ca-certificates`) or give your own";
        Error::new(ErrorKind::Configuration, message).with_source(source)
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let config = match roots {
        Roots::Platform => builder
            .with_platform_verifier()
            .map_err(failed)?
            .with_no_client_auth(),
        Roots::Only(pem) => builder
            .with_root_certificates(store(pem)?)
            .with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

fn store(pem: &[u8]) -> Result<RootCertStore> {
    let wrong = |text: String| Error::new(ErrorKind::Configuration, text);
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|error| wrong(format!("the certificates are no PEM: {error}")))?;
        let added = store.add(certificate);
        added.map_err(|error| wrong(format!("a certificate cannot be trusted: {error}")))?;
    }
    if store.is_empty() {
        return Err(wrong("there is no certificate in this PEM".to_owned()));
    }
    Ok(store)
}
