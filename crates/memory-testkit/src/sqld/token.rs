//! Tokens a server accepts, and some that it does not: JWTs signed with Ed25519.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::json;

/// What the holder of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Read and write.
    Full,
    /// Read.
    ReadOnly,
    /// Read and write, until long ago.
    Expired,
}

/// The key whose tokens a server accepts.
#[derive(Clone)]
pub struct TokenKey {
    pkcs8: Vec<u8>,
}

impl TokenKey {
    /// A fresh key; a token of another key is a token of the wrong key.
    pub fn generate() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("randomness");
        TokenKey { pkcs8: document.as_ref().to_vec() }
    }

    /// A token that grants `rights`.
    pub fn token(&self, rights: Rights) -> String {
        const IN_2001: u64 = 1_000_000_000;
        const IN_2100: u64 = 4_102_444_800;
        let (access, expires) = match rights {
            Rights::Full => ("rw", IN_2100),
            Rights::ReadOnly => ("ro", IN_2100),
            Rights::Expired => ("rw", IN_2001),
        };
        let header = encode(json!({ "alg": "EdDSA", "typ": "JWT" }).to_string());
        let claims = encode(json!({ "a": access, "exp": expires }).to_string());
        let signed = format!("{header}.{claims}");
        let signature = encode(self.pair().sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// The public half, in the form the server's key file takes.
    pub(super) fn public(&self) -> String {
        encode(self.pair().public_key())
    }

    fn pair(&self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(&self.pkcs8).expect("the key made above")
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(..)")
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
