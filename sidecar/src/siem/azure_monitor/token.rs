//! Tokens for Azure Monitor: of an application (RFC 6749, section 4.4) or a managed identity.

use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use url::form_urlencoded::Serializer;

use crate::clock::Clock;
use crate::forward::{Trouble, secret};
use crate::managed_identity::{Asking, Token};
use crate::siem::config::AzureToken;

/// For whom the tokens are.
const RESOURCE: &str = "https://monitor.azure.com";

/// Gets tokens, and keeps one as long as it is good.
pub(super) struct Tokens {
    how: How,
    client: Client,
    clock: Clock,
    kept: Option<(Token, sekisho_domain::UnixMillis)>,
}

enum How {
    Secret(AzureToken),
    Identity(Asking),
}

impl Tokens {
    pub(super) fn new(how: &AzureToken, client: Client, clock: Clock) -> Result<Self, Trouble> {
        let how = match how {
            AzureToken::ClientSecret { secret, .. } => {
                secret::read(secret)?;
                How::Secret(how.clone())
            }
            AzureToken::ManagedIdentity { client_id } => {
                let environment = |name: &str| std::env::var(name).ok();
                let id = client_id.as_deref();
                How::Identity(Asking::new(RESOURCE, id, environment, &clock)?)
            }
        };
        Ok(Self {
            how,
            client,
            clock,
            kept: None,
        })
    }

    /// A token that is still good.
    pub(super) async fn get(&mut self) -> Result<String, Trouble> {
        let now = self.clock.now();
        if let Some((token, until)) = &self.kept
            && now < *until
        {
            return Ok(token.secret().to_owned());
        }
        let token = match &self.how {
            How::Identity(asking) => asking.ask().await?,
            How::Secret(how) => self.with_secret(how).await?,
        };
        let rest = u64::try_from(token.rest(now).as_millis()).unwrap_or(u64::MAX);
        let kept = token.secret().to_owned();
        self.kept = Some((token, now.plus_millis(rest)));
        Ok(kept)
    }

    /// The token is not accepted.
    pub(super) fn forget(&mut self) {
        self.kept = None;
    }

    async fn with_secret(&self, how: &AzureToken) -> Result<Token, Trouble> {
        let AzureToken::ClientSecret {
            token_url,
            client_id,
            secret,
        } = how
        else {
            return Err(Trouble::Secret("an application".to_owned()));
        };
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", client_id)
            .append_pair("client_secret", &secret::read(secret)?)
            .append_pair("scope", &format!("{RESOURCE}/.default"))
            .finish();
        let request = self
            .client
            .post(token_url.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        let answer = request.send().await?;
        Ok(Token::of(answer, self.clock.now()).await?)
    }
}
