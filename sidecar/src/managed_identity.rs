//! Tokens of an Azure managed identity, in the secret files that Envoy watches. Envoy cannot get
//! them itself: whoever asks needs no secret, but a place inside Azure to ask.
//!
//! Source: `learn.microsoft.com/entra/identity/managed-identities-azure-resources/`
//! `how-to-use-vm-token`, `learn.microsoft.com/azure/app-service/overview-managed-identity`,
//! and for workload identity `learn.microsoft.com/entra/identity-platform/`
//! `v2-oauth2-client-creds-grant-flow` (third case, federated credential).

mod source;
mod token;

use std::path::PathBuf;
use std::time::Duration;

use sekisho_domain::policy::Credential;
use sekisho_domain::{Policy, UnixMillis};

use crate::clock::Clock;
use crate::render::secrets::{self, SecretsError};
use source::{Source, SourceError};
pub(crate) use token::Token;
use token::Unreadable;

/// Longest wait between two tries.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// Largest answer, bytes.
const MOST_BYTES: usize = 256 * 1024;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Nobody to ask.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// No answer. Its URL is left out: of some services that is not for logs.
    #[error("the identity endpoint cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// Refused.
    #[error("the identity endpoint answers {status}{}", code.as_deref().map(|code| format!(" `{code}`")).unwrap_or_default())]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its word for why, if it has one.
        code: Option<String>,
    },
    /// Not a token.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It cannot be shown to Envoy.
    #[error(transparent)]
    Unwritable(#[from] SecretsError),
}

/// One upstream's identity.
#[derive(Clone, Debug)]
struct Identity {
    upstream: String,
    resource: String,
    client_id: Option<String>,
}

fn identities(policy: &Policy) -> Vec<Identity> {
    let upstreams = policy.upstreams.values();
    upstreams
        .filter_map(|upstream| match &upstream.credential {
            Credential::ManagedIdentity {
                resource,
                client_id,
            } => Some(Identity {
                upstream: upstream.name.clone(),
                resource: resource.clone(),
                client_id: client_id.clone(),
            }),
            _ => None,
        })
        .collect()
}

/// Gets a token for each upstream of the policy that has a managed identity, and a new one in
/// time before it ends, and writes them where Envoy watches. What was there stays while there is
/// no new one. Starts one task for each and returns.
///
/// `environment` tells the value of a variable: those of the Azure SDKs.
///
/// # Errors
/// [`IdentityError`] if nobody can ever be asked.
pub fn keep(
    policy: &Policy,
    dir: &std::path::Path,
    environment: impl Fn(&str) -> Option<String>,
    clock: &Clock,
) -> Result<Vec<tokio::task::JoinHandle<()>>, IdentityError> {
    let mut tasks = Vec::new();
    for identity in identities(policy) {
        let client_id = identity.client_id.as_deref();
        let asking = Asking::new(&identity.resource, client_id, &environment, clock)?;
        let keeper = Keeper {
            asking,
            upstream: identity.upstream,
            dir: dir.to_owned(),
        };
        tasks.push(tokio::spawn(keeper.keep()));
    }
    Ok(tasks)
}

/// Never through a proxy, and never to where somebody redirects: the answer is a credential.
fn client() -> Result<reqwest::Client, IdentityError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .connect_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("sekisho/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(IdentityError::Unreachable)
}

/// Whom to ask for tokens for one resource.
pub(crate) struct Asking {
    source: Source,
    resource: String,
    client: reqwest::Client,
    clock: Clock,
}

impl Asking {
    /// `environment` tells the value of a variable: those of the Azure SDKs. `client_id`: which
    /// identity, where there are several.
    pub(crate) fn new(
        resource: &str,
        client_id: Option<&str>,
        environment: impl Fn(&str) -> Option<String>,
        clock: &Clock,
    ) -> Result<Self, IdentityError> {
        Ok(Self {
            source: Source::of(&environment, client_id)?,
            resource: resource.to_owned(),
            client: client()?,
            clock: clock.clone(),
        })
    }

    /// As a workload that shows another issuer's token at `token_url`; what is not given is what
    /// the environment says.
    pub(crate) fn workload(
        resource: &str,
        token_url: url::Url,
        client_id: Option<String>,
        token_file: Option<PathBuf>,
        environment: impl Fn(&str) -> Option<String>,
        clock: &Clock,
    ) -> Result<Self, IdentityError> {
        Ok(Self {
            source: Source::workload(token_url, client_id, token_file, &environment)?,
            resource: resource.to_owned(),
            client: client()?,
            clock: clock.clone(),
        })
    }

    /// Asks for a token.
    pub(crate) async fn ask(&self) -> Result<Token, IdentityError> {
        let request = self.source.request(&self.resource)?;
        let answer = self.client.execute(request).await.map_err(unreachable)?;
        Token::of(answer, self.clock.now()).await
    }
}

fn unreachable(error: reqwest::Error) -> IdentityError {
    IdentityError::Unreachable(error.without_url())
}

impl Token {
    /// The token of an answer.
    pub(crate) async fn of(
        mut answer: reqwest::Response,
        now: UnixMillis,
    ) -> Result<Self, IdentityError> {
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(Unreadable.into());
            }
            body.extend_from_slice(&chunk);
        }
        if status != 200 {
            let code = token::error_code(&body);
            return Err(IdentityError::Refused { status, code });
        }
        Ok(Self::read(&body, now)?)
    }
}

struct Keeper {
    asking: Asking,
    upstream: String,
    dir: PathBuf,
}

impl Keeper {
    async fn keep(self) {
        let upstream = &self.upstream;
        let mut failures = 0;
        loop {
            let rest = match self.renew().await {
                Ok(token) => {
                    failures = 0;
                    let rest = token.rest(self.asking.clock.now());
                    let seconds = rest.as_secs();
                    tracing::info!(
                        upstream,
                        seconds,
                        "a token of the managed identity is there"
                    );
                    rest
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(upstream, cause, "no token of the managed identity: {error}");
                    failures += 1;
                    // 1, 2, 4, ... seconds.
                    Duration::from_secs(1 << failures.min(6) >> 1).min(LONGEST_REST)
                }
            };
            tokio::time::sleep(rest).await;
        }
    }

    async fn renew(&self) -> Result<Token, IdentityError> {
        let token = self.asking.ask().await?;
        let (dir, name) = (self.dir.clone(), self.upstream.clone());
        let secret = token.secret().to_owned();
        let written =
            tokio::task::spawn_blocking(move || secrets::write_one(&dir, &name, &secret)).await;
        if let Ok(written) = written {
            written?;
        }
        Ok(token)
    }
}

#[cfg(test)]
mod tests;
