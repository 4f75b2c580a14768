//! What can go wrong on the way. Nothing of it tells a secret: URLs are left out.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::azure_token::CertificateError;
use crate::managed_identity::IdentityError;
use crate::store::StoreError;

/// Why something was not taken. It is brought again.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// No connection, or it broke.
    #[error("it cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An answer that is not yes.
    #[error("it answers {status}{}", code.as_deref().map(|code| format!(" `{code}`")).unwrap_or_default())]
    Refused {
        /// HTTP or SMTP status.
        status: u16,
        /// Its word for why, if it has one.
        code: Option<String>,
        /// When it wants to be asked again.
        after: Option<Duration>,
    },
    /// Nothing for too long.
    #[error("it is too slow")]
    Slow,
    /// It closed the connection before it had everything.
    #[error("it does not confirm that it has everything")]
    Unconfirmed,
    /// The secret is gone.
    #[error("no secret in {0}")]
    Secret(String),
    /// The secret is of no use.
    #[error("the secret in {0} has a line break or control character")]
    Unsendable(String),
    /// The secret of a webhook is none.
    #[error("the secret in {0} is not `whsec_` and 24 to 64 bytes in Base64")]
    NoWebhookSecret(String),
    /// No token.
    #[error("no token: {0}")]
    Identity(#[from] IdentityError),
    /// No token by a certificate.
    #[error("no token: {0}")]
    ClientCertificate(#[from] CertificateError),
    /// A file cannot be read or written.
    #[error("`{}` cannot be used: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of certificates.
    #[error("`{}` holds no certificates", .0.display())]
    Certificates(PathBuf),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A name that is none.
    #[error("`{0}` is no name of a host")]
    Host(String),
    /// What was to be sent cannot be written as a message.
    #[error("a message cannot be made")]
    Message(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Trouble {
    /// When the recipient wants to be asked again.
    pub(crate) const fn told(&self) -> Option<Duration> {
        match self {
            Self::Refused { after, .. } => *after,
            _ => None,
        }
    }

    /// The error and its causes, where it does not name them itself.
    pub(crate) fn sentence(&self) -> String {
        let mut sentence = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(source) = cause {
            let text = source.to_string();
            if !sentence.contains(&text) {
                sentence.push_str(": ");
                sentence.push_str(&text);
            }
            cause = source.source();
        }
        sentence
    }

    pub(crate) fn at(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Unreachable(error.into())
    }
}

impl From<reqwest::Error> for Trouble {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Slow;
        }
        Self::Unreachable(error.without_url().into())
    }
}
