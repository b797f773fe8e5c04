//! A certificate authority of one test, and a server certificate for `localhost`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

static GENERATED: AtomicU64 = AtomicU64::new(0);

pub(super) struct Authority {
    pub(super) ca_pem: String,
    pub(super) acceptor: TlsAcceptor,
}

impl Authority {
    pub(super) fn generate() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names to be invalid");
        // Two authorities of one name would make a stranger's signature look like a forged one.
        let number = GENERATED.fetch_add(1, Ordering::Relaxed);
        params.distinguished_name.push(DnType::CommonName, format!("memory-testkit {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().expect("randomness");
        let ca = CertifiedIssuer::self_signed(params, ca_key).expect("a certificate authority");
        let names = vec!["localhost".to_owned()];
        let key = KeyPair::generate().expect("randomness");
        let certificate = CertificateParams::new(names)
            .and_then(|params| params.signed_by(&key, &ca))
            .expect("a certificate for localhost");
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .expect("the key belongs to the certificate");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Authority { ca_pem: ca.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}
