//! Whom to trust.

use std::path::Path;
use std::sync::Arc;

use memory_core::{Error, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Trusts the authorities in `ca_file`, else those of the system. Without TLS, nobody: reading the
/// system's certificates takes milliseconds.
///
/// # Errors
///
/// [`Error::Refused`]: the file or the system's certificates cannot be read.
pub fn config(https: bool, ca_file: Option<&Path>) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| refused("TLS cannot be set up", &e))?;
    let roots = match ca_file {
        Some(path) => roots(path)?,
        None if https => {
            let verifier = rustls_platform_verifier::Verifier::new(provider)
                .map_err(|e| refused("the system's certificates cannot be read", &e))?;
            return Ok(builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth());
        }
        None => RootCertStore::empty(),
    };
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn roots(path: &Path) -> Result<RootCertStore> {
    let named = |e: &dyn std::fmt::Display| refused(&format!("{}", path.display()), e);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| named(&e))? {
        let certificate = certificate.map_err(|e| named(&e))?;
        roots.add(certificate).map_err(|e| named(&e))?;
    }
    if roots.is_empty() {
        return Err(named(&"it holds no certificate"));
    }
    Ok(roots)
}

fn refused(what: &str, e: &dyn std::fmt::Display) -> Error {
    Error::Refused {
        problem: format!("{what}: {e}"),
        hint: "install the system's CA certificates, or name a PEM file with the authority's"
            .into(),
    }
}
