//! Messages posted to somebody's URL as Standard Webhooks says (specification 1.0.0): with an
//! id that is the same at each try, a time, and a signature over both and the body.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use schemars::JsonSchema;
use sekisho_domain::UnixMillis;
use sekisho_domain::policy::SecretSource;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use url::Url;

use super::config::Checking;
use super::{Trouble, http, secret};
use crate::clock::Clock;

/// Before a secret's Base64.
const PREFIX: &str = "whsec_";
/// Bytes of a secret, by the specification.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// Where messages are posted.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawWebhook {
    /// Where to post: https, or http on this machine. Redirects are not followed.
    pub url: String,
    /// Environment variable of the sidecar that holds the secret: `whsec_` and 24 to 64 random
    /// bytes in Base64. While it is replaced it may be two, with a space between: messages are
    /// signed with both. Exactly one of this and `secret_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// File that the sidecar reads the secret from, each time that it needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<String>,
    /// PEM file of the authorities that vouch for the URL's host; default: those of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// Where messages are posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookTarget {
    /// Where.
    pub url: Url,
    /// Where the secret is.
    pub secret: SecretSource,
    /// Who vouches for its host.
    pub authorities: Option<PathBuf>,
}

impl WebhookTarget {
    pub(crate) fn read(checking: &mut Checking<'_>, path: &str, raw: RawWebhook) -> Option<Self> {
        let secret = checking.secret(path, raw.secret_env, raw.secret_file);
        let authorities = raw
            .ca_file
            .map(|file| checking.file(format!("{path}.ca_file"), &file));
        Some(Self {
            url: checking.url(format!("{path}.url"), &raw.url)?,
            secret,
            authorities,
        })
    }
}

/// Posts messages.
pub(crate) struct Webhook {
    target: WebhookTarget,
    client: Client,
    clock: Clock,
}

impl Webhook {
    /// # Errors
    /// [`Trouble`]: the secret or a certificate is missing or none.
    pub(crate) fn new(target: WebhookTarget, clock: Clock) -> Result<Self, Trouble> {
        secrets(&target.secret)?;
        Ok(Self {
            client: http::client(target.authorities.as_deref())?,
            target,
            clock,
        })
    }

    /// Posts a message; it has been taken when this returns. `id`: the same at each try.
    pub(crate) async fn post(&self, id: &str, body: Vec<u8>) -> Result<(), Trouble> {
        let now = self.clock.now();
        let secrets = secrets(&self.target.secret)?;
        let signatures = signatures(&secrets, id, now, &body)?;
        let request = self
            .client
            .post(self.target.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", now.seconds().to_string())
            .header("webhook-signature", signatures)
            .body(body);
        http::taken(request.send().await?, now).await
    }
}

fn secrets(source: &SecretSource) -> Result<Vec<Vec<u8>>, Trouble> {
    let text = secret::read(source)?;
    let read = |text: &str| {
        let base64 = text.strip_prefix(PREFIX)?;
        let secret = STANDARD.decode(base64).ok()?;
        LENGTHS.contains(&secret.len()).then_some(secret)
    };
    let secrets: Option<Vec<_>> = text.split_ascii_whitespace().map(read).collect();
    secrets.ok_or_else(|| Trouble::NoWebhookSecret(secret::place(source)))
}

/// One for each secret.
fn signatures(
    secrets: &[Vec<u8>],
    id: &str,
    at: UnixMillis,
    body: &[u8],
) -> Result<String, Trouble> {
    let mut signatures = Vec::with_capacity(secrets.len());
    for secret in secrets {
        let mac = Hmac::<Sha256>::new_from_slice(secret);
        let mut mac = mac.map_err(|error| Trouble::Message(error.into()))?;
        mac.update(format!("{id}.{}.", at.seconds()).as_bytes());
        mac.update(body);
        let tag = STANDARD.encode(mac.finalize().into_bytes());
        signatures.push(format!("v1,{tag}"));
    }
    Ok(signatures.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(secret: &str) -> Result<Vec<Vec<u8>>, Trouble> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), secret).unwrap();
        secrets(&SecretSource::File(file.path().display().to_string()))
    }

    /// The example that the libraries of the specification test themselves with.
    #[test]
    fn a_message_is_signed_as_the_published_example() {
        let secrets = held("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let signed = signatures(
            &secrets,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            UnixMillis(1_614_265_330_000),
            br#"{"test": 2432232314}"#,
        );
        let wanted = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signed.unwrap(), wanted);
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign() {
        let one = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let other = format!("{PREFIX}{}", STANDARD.encode([7; 32]));
        let secrets = held(&format!("{other} {one}")).unwrap();
        let signed = signatures(&secrets, "m", UnixMillis(0), b"x").unwrap();
        let parts: Vec<&str> = signed.split(' ').collect();
        assert!(parts.len() == 2 && parts.iter().all(|part| part.starts_with("v1,")));
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for secret in [
            "",
            "whsec_",
            "whsec_c2hvcnQ=",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_not base64",
        ] {
            let trouble = held(secret).unwrap_err();
            assert!(!trouble.sentence().contains("not base64"), "{trouble}");
        }
    }
}
