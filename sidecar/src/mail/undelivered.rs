//! What becomes of a letter that is brought to a server.

use std::time::Duration;

use crate::forward::Trouble;

/// The server has taken the letter, and has to deliver it or say that it cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedOver {
    /// Its `Message-ID`, by which the server's own log knows it.
    pub message_id: String,
}

/// Why a letter was not taken. No text of the server is in it, for that may name people.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    /// Nobody could hand over anything just now: no connection, no TLS, a refused password or
    /// sender. It says nothing about this letter.
    #[error("the mail server cannot be used: {}", .0.sentence())]
    Server(#[source] Trouble),
    /// Not now: the server says so of this letter (4xx).
    #[error("the mail server answers {}: not now", reply(*code, status.as_deref()))]
    Temporary {
        /// SMTP code.
        code: u16,
        /// Enhanced status code (RFC 3463), if it gave one.
        status: Option<String>,
        /// How long it says to wait, if it does.
        after: Option<Duration>,
    },
    /// Never: the server says so of this letter (5xx).
    #[error("the mail server answers {}: it takes this letter never", reply(*code, status.as_deref()))]
    Refused {
        /// SMTP code.
        code: u16,
        /// Enhanced status code (RFC 3463), if it gave one.
        status: Option<String>,
    },
    /// The connection ended after the letter was sent and before the server said anything:
    /// it may have it.
    #[error("the connection ended before the mail server had confirmed the letter: it may have it")]
    InDoubt(#[source] Trouble),
}

impl Undelivered {
    /// Whether trying again can only be in vain.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// Whether the recipient may get it all the same.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        matches!(self, Self::InDoubt(_))
    }

    /// The SMTP code, where the server gave one for this letter.
    #[must_use]
    pub const fn code(&self) -> Option<u16> {
        match self {
            Self::Temporary { code, .. } | Self::Refused { code, .. } => Some(*code),
            Self::Server(_) | Self::InDoubt(_) => None,
        }
    }
}

impl From<Trouble> for Undelivered {
    fn from(trouble: Trouble) -> Self {
        Self::Server(trouble)
    }
}

/// `550 5.1.1`.
fn reply(code: u16, status: Option<&str>) -> String {
    match status {
        Some(status) => format!("{code} {status}"),
        None => code.to_string(),
    }
}
