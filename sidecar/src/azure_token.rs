//! Access tokens of Entra ID for what the sidecar itself calls: Azure Monitor, Microsoft Graph.
//! By the secret of an application, by its certificate, as a pod's workload, or as the managed
//! identity of the machine.
//!
//! Source: `learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow`, its
//! three cases, and RFC 6749, section 4.4.

mod certificate;
pub mod config;

use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use sekisho_domain::UnixMillis;
use tokio::sync::Mutex;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::clock::Clock;
use crate::forward::{Trouble, secret};
use crate::managed_identity::{Asking, Token};
use certificate::Certificate;
pub use certificate::CertificateError;
pub use config::AzureCredential;

/// What a client assertion is (RFC 7523, section 2.2).
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Gets tokens for one resource, and keeps one as long as it is good.
pub(crate) struct Tokens {
    how: How,
    resource: String,
    client: Client,
    clock: Clock,
    /// Locked while somebody asks, so that many who need one ask once.
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    token: Token,
    until: UnixMillis,
}

enum How {
    Application(AzureCredential),
    Identity(Asking),
}

impl Tokens {
    /// For `resource`, such as `https://graph.microsoft.com`.
    ///
    /// # Errors
    /// [`Trouble`] if there can never be a token: no secret, no certificate, nobody to ask.
    pub(crate) fn new(
        how: &AzureCredential,
        resource: &str,
        client: Client,
        clock: Clock,
    ) -> Result<Self, Trouble> {
        let environment = |name: &str| std::env::var(name).ok();
        let how = match how {
            AzureCredential::ClientSecret { secret, .. } => {
                secret::read(secret)?;
                How::Application(how.clone())
            }
            AzureCredential::Certificate { file, .. } => {
                Certificate::read(file)?;
                How::Application(how.clone())
            }
            AzureCredential::Workload {
                token_url,
                client_id,
                token_file,
            } => How::Identity(Asking::workload(
                resource,
                token_url.clone(),
                client_id.clone(),
                token_file.clone(),
                environment,
                &clock,
            )?),
            AzureCredential::ManagedIdentity { client_id } => {
                let id = client_id.as_deref();
                How::Identity(Asking::new(resource, id, environment, &clock)?)
            }
        };
        Ok(Self {
            how,
            resource: resource.to_owned(),
            client,
            clock,
            kept: Mutex::new(None),
        })
    }

    /// A token that is still good, as the value of `Authorization`.
    pub(crate) async fn bearer(&self) -> Result<HeaderValue, Trouble> {
        let mut kept = self.kept.lock().await;
        let now = self.clock.now();
        if let Some(kept) = &*kept
            && now < kept.until
        {
            return header(&kept.token);
        }
        let token = match &self.how {
            How::Identity(asking) => asking.ask().await?,
            How::Application(how) => self.exchange(how).await?,
        };
        let rest = u64::try_from(token.rest(now).as_millis()).unwrap_or(u64::MAX);
        let bearer = header(&token)?;
        let until = now.plus_millis(rest);
        *kept = Some(Kept { token, until });
        Ok(bearer)
    }

    /// This token is not accepted any more: the next is a new one. Another that somebody has got
    /// meanwhile stays.
    pub(crate) async fn forget(&self, refused: &HeaderValue) {
        let mut kept = self.kept.lock().await;
        let is_it = |kept: &Kept| header(&kept.token).is_ok_and(|bearer| bearer == *refused);
        if kept.as_ref().is_some_and(is_it) {
            *kept = None;
        }
    }

    async fn exchange(&self, how: &AzureCredential) -> Result<Token, Trouble> {
        let (token_url, form) = self.form(how)?;
        let request = self
            .client
            .post(token_url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        let answer = request.send().await?;
        Ok(Token::of(answer, self.clock.now()).await?)
    }

    /// What is posted where.
    fn form(&self, how: &AzureCredential) -> Result<(Url, String), Trouble> {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        let scope = format!("{}/.default", self.resource.trim_end_matches('/'));
        form.append_pair("scope", &scope);
        let token_url = match how {
            AzureCredential::ClientSecret {
                token_url,
                client_id,
                secret,
            } => {
                form.append_pair("client_id", client_id)
                    .append_pair("client_secret", &secret::read(secret)?);
                token_url
            }
            AzureCredential::Certificate {
                token_url,
                client_id,
                file,
            } => {
                let (certificate, now) = (Certificate::read(file)?, self.clock.now());
                let id = uuid::Uuid::from_bytes(random()?);
                let assertion = certificate.assertion(token_url.as_str(), client_id, id, now)?;
                form.append_pair("client_id", client_id)
                    .append_pair("client_assertion_type", ASSERTION)
                    .append_pair("client_assertion", &assertion);
                token_url
            }
            AzureCredential::Workload { .. } | AzureCredential::ManagedIdentity { .. } => {
                return Err(Trouble::Secret("an application".to_owned()));
            }
        };
        Ok((token_url.clone(), form.finish()))
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the token.
        f.debug_struct("Tokens")
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}

fn header(token: &Token) -> Result<HeaderValue, Trouble> {
    let bearer = HeaderValue::try_from(format!("Bearer {}", token.secret()));
    let mut bearer = bearer.map_err(|error| Trouble::Message(error.into()))?;
    bearer.set_sensitive(true);
    Ok(bearer)
}

fn random() -> Result<[u8; 16], Trouble> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Trouble::Message(error.into()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
