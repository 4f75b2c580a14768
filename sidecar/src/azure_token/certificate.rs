//! A signed assertion instead of a secret: the private key never leaves the sidecar.
//!
//! Source: `learn.microsoft.com/entra/identity-platform/certificate-credentials`: PS256,
//! `x5t#S256`, and the token endpoint as audience.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::Signer;
use sekisho_domain::UnixMillis;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// How long an assertion is good, seconds. Microsoft recommends 5 to 10 minutes.
const GOOD_SECONDS: u64 = 300;

/// Why an application cannot be known by a certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Its file.
    #[error("`{}` cannot be read: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No certificate is in it.
    #[error("`{}` holds no certificate in PEM", .0.display())]
    Certificate(PathBuf),
    /// No private key is in it.
    #[error("`{}` holds no private key in PEM beside the certificate", .0.display())]
    Key(PathBuf),
    /// A key of another kind.
    #[error("the private key in `{}` is no RSA key of 2048 to 8192 bits, which Entra ID needs", .0.display())]
    KeyKind(PathBuf),
    /// The key would not sign.
    #[error("the private key in `{}` cannot sign", .0.display())]
    Sign(PathBuf),
}

/// A certificate and its private key.
pub(super) struct Certificate {
    /// SHA-256 of the certificate, base64url.
    thumbprint: String,
    signer: Box<dyn Signer>,
    path: PathBuf,
}

impl Certificate {
    /// Reads a PEM file that holds both. It is read again for each assertion, so that a renewed
    /// certificate is used without a restart.
    pub(super) fn read(path: &Path) -> Result<Self, CertificateError> {
        let pem = std::fs::read(path).map_err(|source| CertificateError::File {
            path: path.to_owned(),
            source,
        })?;
        let certificate = CertificateDer::from_pem_slice(&pem)
            .map_err(|_| CertificateError::Certificate(path.to_owned()))?;
        let key = PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|_| CertificateError::Key(path.to_owned()))?;
        let key = rustls::crypto::ring::sign::any_supported_type(&key)
            .map_err(|_| CertificateError::KeyKind(path.to_owned()))?;
        let signer = key
            .choose_scheme(&[SignatureScheme::RSA_PSS_SHA256])
            .ok_or_else(|| CertificateError::KeyKind(path.to_owned()))?;
        Ok(Self {
            thumbprint: URL_SAFE_NO_PAD.encode(Sha256::digest(&certificate)),
            signer,
            path: path.to_owned(),
        })
    }

    /// The assertion of `client_id` for a token endpoint, good from `now` on for five minutes.
    /// `id`: random, new each time.
    pub(super) fn assertion(
        &self,
        token_url: &str,
        client_id: &str,
        id: Uuid,
        now: UnixMillis,
    ) -> Result<String, CertificateError> {
        let seconds = now.0 / 1_000;
        let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint});
        let claims = json!({
            "aud": token_url, "iss": client_id, "sub": client_id, "jti": id.to_string(),
            "iat": seconds, "nbf": seconds, "exp": seconds + GOOD_SECONDS,
        });
        let encoded = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encoded(&header), encoded(&claims));
        let signature = self.signer.sign(signed.as_bytes());
        let signature = signature.map_err(|_| CertificateError::Sign(self.path.clone()))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
