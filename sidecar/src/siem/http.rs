//! A collector to which events are posted, one JSON object a line.

use std::sync::Arc;

use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderValue};

use super::Entry;
use super::config::HttpTarget;
use super::ocsf::{self, Context};
use crate::clock::Clock;
use crate::forward::courier::Recipient;
use crate::forward::{Trouble, http};

/// Most bytes of one request, unless one event alone is longer.
const MOST_BYTES: usize = 1_000_000;

/// A collector.
pub(super) struct Collector {
    target: HttpTarget,
    context: Arc<Context>,
    client: Client,
    clock: Clock,
}

impl Collector {
    pub(super) fn new(
        target: HttpTarget,
        context: Arc<Context>,
        clock: Clock,
    ) -> Result<Self, Trouble> {
        let client = http::client(target.authorities.as_deref())?;
        if let Some(header) = &target.header {
            http::secret_header(header)?;
        }
        Ok(Self {
            target,
            context,
            client,
            clock,
        })
    }
}

impl Recipient for Collector {
    type Item = Entry;

    async fn bring(&mut self, items: &[Entry]) -> Result<usize, Trouble> {
        let mut body = Vec::new();
        let mut count = 0;
        for entry in items {
            let line = ocsf::line(entry, &self.context);
            if count > 0 && body.len() + line.len() >= MOST_BYTES {
                break;
            }
            body.extend(line);
            body.push(b'\n');
            count += 1;
        }
        let ndjson = HeaderValue::from_static("application/x-ndjson");
        let mut request = self.client.post(self.target.url.clone());
        request = request.header(CONTENT_TYPE, ndjson).body(body);
        if let Some(header) = &self.target.header {
            let (name, value) = http::secret_header(header)?;
            request = request.header(name, value);
        }
        http::taken(request.send().await?, self.clock.now()).await?;
        Ok(count)
    }
}
