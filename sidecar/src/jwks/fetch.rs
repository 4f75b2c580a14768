//! Getting a key set from its issuer.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::ACCEPT;
use reqwest::redirect::{Action, Attempt, Policy};
use url::{Host, Url};

use super::JwksError;

/// Largest key set, bytes.
const MOST_BYTES: usize = 1024 * 1024;
/// Most redirects, all of them on the issuer's host.
const MOST_REDIRECTS: usize = 3;

/// Fetches key sets; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Client(reqwest::Client);

impl Client {
    pub(super) fn new() -> Result<Self, JwksError> {
        // One for the whole program; whoever comes second gets an error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .connect_timeout(Duration::from_secs(5))
            .redirect(Policy::custom(on_the_same_host))
            .user_agent(concat!("sekisho/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self(client))
    }

    /// The body of the answer, of whatever type it says that it is.
    pub(super) async fn get(&self, uri: &Url) -> Result<Vec<u8>, JwksError> {
        let request = self.0.get(uri.clone());
        let accept = "application/jwk-set+json, application/json;q=0.9, */*;q=0.1";
        let mut answer = request.header(ACCEPT, accept).send().await?;
        if answer.status() != StatusCode::OK {
            return Err(JwksError::Status(answer.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(JwksError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// The address of a key set that nobody on the way can change: https, or http on this machine.
pub(super) fn secure(uri: &str) -> Option<Url> {
    let uri = Url::parse(uri).ok()?;
    let secure = match (uri.scheme(), uri.host()?) {
        ("https", _) => true,
        ("http", Host::Ipv4(address)) => address.is_loopback(),
        ("http", Host::Ipv6(address)) => address.is_loopback(),
        ("http", Host::Domain(name)) => name == "localhost",
        _ => false,
    };
    secure.then_some(uri)
}

/// Whoever can redirect elsewhere could bring keys of its own.
fn on_the_same_host(attempt: Attempt<'_>) -> Action {
    let same = attempt
        .previous()
        .first()
        .is_some_and(|first| first.origin() == attempt.url().origin());
    if same && attempt.previous().len() <= MOST_REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        for uri in [
            "https://login.example/keys",
            "http://127.0.0.1:9000/keys",
            "http://[::1]/keys",
            "http://localhost:9000/keys",
            "HTTP://LOCALHOST/keys",
        ] {
            assert!(secure(uri).is_some(), "{uri}");
        }
        for uri in [
            "http://login.example/keys",
            "http://127.0.0.1@login.example/keys",
            "http://127.0.0.1.login.example/keys",
            "http://localhost.login.example/keys",
            "http://10.0.0.1/keys",
            "ftp://127.0.0.1/keys",
            "file:///etc/keys",
            "keys",
        ] {
            assert!(secure(uri).is_none(), "{uri}");
        }
    }
}
