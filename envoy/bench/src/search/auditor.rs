//! Who asks, over one connection.

use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpStream;

use super::SearchError;
use super::questions::Question;

pub(super) struct Auditor {
    connection: SendRequest<Empty<Bytes>>,
    address: SocketAddr,
    authorization: HeaderValue,
}

/// A page, as far as it is of interest.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
    next: Option<String>,
}

impl Auditor {
    pub(super) async fn connect(
        address: SocketAddr,
        authorization: HeaderValue,
    ) -> Result<Self, SearchError> {
        let unreachable = |source| SearchError::Unreachable { address, source };
        let stream = TcpStream::connect(address).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
        // How it ended is said by the request that it ended with.
        tokio::spawn(driver);
        Ok(Self {
            connection,
            address,
            authorization,
        })
    }

    /// Asks for a page, or for one after the other; returns how many records there were.
    pub(super) async fn ask(
        &mut self,
        question: &Question,
        asked: &[(&str, String)],
    ) -> Result<u64, SearchError> {
        let parts: Vec<_> = asked
            .iter()
            .map(|(name, is)| format!("{name}={is}"))
            .collect();
        let path = format!("/v1/audit/logs/search?{}", parts.join("&"));
        let (mut cursor, mut found) = (String::new(), 0);
        loop {
            let (status, body) = self.get(format!("{path}{cursor}")).await?;
            if status != StatusCode::OK {
                return Err(SearchError::Refused {
                    status: status.as_u16(),
                    question: question.what,
                    body: String::from_utf8_lossy(&body).into_owned(),
                });
            }
            let page: Page<'_> = serde_json::from_slice(&body)?;
            found += page.records.len() as u64;
            match page.next {
                Some(next) if question.whole => cursor = format!("&cursor={next}"),
                _ => return Ok(found),
            }
        }
    }

    async fn get(&mut self, path: String) -> Result<(StatusCode, Bytes), SearchError> {
        let request = Request::get(path)
            .header(HOST, self.address.to_string())
            .header(AUTHORIZATION, self.authorization.clone())
            .body(Empty::new())?;
        self.connection.ready().await?;
        let answer = self.connection.send_request(request).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }
}
