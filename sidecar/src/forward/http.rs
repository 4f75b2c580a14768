//! Recipients over HTTP.

use std::path::Path;
use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response};
use sekisho_domain::UnixMillis;

use super::config::SecretHeader;
use super::{Trouble, secret, tls};

/// For an answer. Shorter than what a courier waits for anything.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is read of an answer at most, bytes.
const MOST_BYTES: usize = 64 * 1024;

/// Never to where somebody redirects: what we bring is for this recipient alone.
pub(crate) fn client(authorities: Option<&Path>) -> Result<Client, Trouble> {
    Ok(builder(authorities)?.build()?)
}

/// The same, for whoever has more to say about it.
pub(crate) fn builder(authorities: Option<&Path>) -> Result<ClientBuilder, Trouble> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .timeout(PATIENCE)
        .connect_timeout(Duration::from_secs(5))
        .redirect(Policy::none())
        .user_agent(concat!("sekisho/", env!("CARGO_PKG_VERSION")));
    if let Some(file) = authorities {
        let mut trusted = Vec::new();
        for certificate in tls::certificates(file)? {
            trusted.push(reqwest::Certificate::from_der(&certificate)?);
        }
        builder = builder.tls_certs_only(trusted);
    }
    Ok(builder)
}

/// The header with a secret.
pub(crate) fn secret_header(header: &SecretHeader) -> Result<(HeaderName, HeaderValue), Trouble> {
    let secret = secret::read(&header.secret)?;
    let message = |error: Box<dyn std::error::Error + Send + Sync>| Trouble::Message(error);
    let name = HeaderName::try_from(&header.name).map_err(|error| message(error.into()))?;
    let value = HeaderValue::try_from(format!("{}{secret}", header.prefix));
    let mut value = value.map_err(|error| message(error.into()))?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// Whether the answer is yes: 2xx.
pub(crate) async fn taken(answer: Response, now: UnixMillis) -> Result<(), Trouble> {
    let status = answer.status();
    if status.is_success() {
        // Read to its end, so that the connection can be used again.
        drain(answer).await;
        return Ok(());
    }
    let after = retry_after(answer.headers(), now);
    let code = answer.headers().get("x-ms-error-code").and_then(word);
    drain(answer).await;
    Err(Trouble::Refused {
        status: status.as_u16(),
        code,
        after,
    })
}

async fn drain(mut answer: Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        read += chunk.len();
        if read > MOST_BYTES {
            return;
        }
    }
}

/// A code, if it is a word: whatever else stands there is not for our log.
fn word(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let is_word = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_word.then(|| text.to_owned())
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds or a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: UnixMillis) -> Option<Duration> {
    after(headers.get(RETRY_AFTER)?.to_str().ok()?, now)
}

/// The value of a `Retry-After`.
pub(crate) fn after(text: &str, now: UnixMillis) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().relaxed_weekday(true);
    let date = date.parse_timestamp(text).ok()?.as_millisecond();
    let millis = u64::try_from(date).ok()?.saturating_sub(now.0);
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let told = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            // 1994-11-06T08:49:30Z
            retry_after(&headers, UnixMillis(784_111_770_000)).map(|after| after.as_secs())
        };
        assert_eq!(told("120"), Some(120));
        assert_eq!(told("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7));
        assert_eq!(told("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0));
        assert_eq!(told("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), UnixMillis(0)), None);
    }
}
