//! A table in Azure Monitor, by the Logs Ingestion API.
//!
//! Source: `learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview`: a JSON
//! array of at most 1 MB, compressed or not; 204; 429 with `Retry-After`.

mod row;

use std::io::Write as _;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, StatusCode};
use url::Url;

use super::Entry;
use super::config::AzureTarget;
use super::ocsf::Context;
use crate::azure_token::Tokens;
use crate::clock::Clock;
use crate::forward::courier::Recipient;
use crate::forward::{Trouble, http};

/// For whom the tokens are.
const RESOURCE: &str = "https://monitor.azure.com";
/// Most bytes of one call before compression, with a little left for whoever counts otherwise.
const MOST_BYTES: usize = 1_000_000;

/// The table.
pub(super) struct Ingestion {
    url: Url,
    tokens: Tokens,
    context: Arc<Context>,
    client: Client,
    clock: Clock,
}

impl Ingestion {
    pub(super) fn new(
        target: &AzureTarget,
        context: Arc<Context>,
        clock: Clock,
    ) -> Result<Self, Trouble> {
        let client = http::client(None)?;
        Ok(Self {
            url: target.url.clone(),
            tokens: Tokens::new(&target.token, RESOURCE, client.clone(), clock.clone())?,
            context,
            client,
            clock,
        })
    }
}

impl Recipient for Ingestion {
    type Item = Entry;

    async fn bring(&mut self, items: &[Entry]) -> Result<usize, Trouble> {
        let (array, count) = array(items, &self.context);
        let body = gzip(&array)?;
        let bearer = self.tokens.bearer().await?;
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(CONTENT_ENCODING, HeaderValue::from_static("gzip"))
            .header(AUTHORIZATION, bearer.clone())
            .body(body);
        let answer = request.send().await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            // It may have been revoked before its end.
            self.tokens.forget(&bearer).await;
        }
        http::taken(answer, self.clock.now()).await?;
        Ok(count)
    }
}

/// As many of the first entries as fit into one call, at least one; how many.
fn array(items: &[Entry], context: &Context) -> (Vec<u8>, usize) {
    let mut array = vec![b'['];
    let mut count = 0;
    for entry in items {
        let row = row::json(entry, context);
        if count > 0 && array.len() + row.len() + 2 > MOST_BYTES {
            break;
        }
        if count > 0 {
            array.push(b',');
        }
        array.extend(row);
        count += 1;
    }
    array.push(b']');
    (array, count)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>, Trouble> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.map_err(|error| Trouble::Message(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_never_over_a_megabyte() {
        let entry = |seq| Entry {
            seq,
            body: b"{}".to_vec(),
            cost_micros: None,
        };
        let mut context = Context::default();
        context.log = "x".repeat(60_000);
        let entries: Vec<Entry> = (0..40).map(entry).collect();
        let (body, count) = array(&entries, &context);
        assert!(
            (900_000..=1_000_000).contains(&body.len()),
            "{}",
            body.len()
        );
        let rows: Vec<serde_json::Value> = serde_json::from_slice(&body).unwrap();
        assert_eq!(rows.len(), count);
        let (rest, left) = array(&entries[39..], &context);
        assert_eq!(left, 1);
        assert!(serde_json::from_slice::<serde_json::Value>(&rest).is_ok());
    }
}
