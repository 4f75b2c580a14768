//! What Envoy refuses by itself, before a filter sees it or when one has failed, is put on
//! record, too, and calls that a filter took with it when it failed are ended: Envoy tells of both
//! in its access log, of which the sidecar is the service.

use prost::bytes::Bytes;
use sekisho_domain::{AuditRecord, DenialCode, RecordId, RecordKind, UnixMillis};
use sekisho_link::v1;
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

use super::server::stopping;
use crate::ledger::{HolderId, VmId};
use crate::writer::{ApplyError, Lost, Session, Writer};

mod generated {
    #![expect(
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        clippy::missing_const_for_fn,
        unused_qualifications,
        unreachable_pub,
        reason = "generated code"
    )]
    tonic::include_proto!("envoy.service.accesslog.v3");
}

use generated::access_log_service_server::{AccessLogService, AccessLogServiceServer};
use generated::{
    HttpAccessLogEntry, HttpRequestProperties, StreamAccessLogsMessage, StreamAccessLogsResponse,
};

/// The header by which the filters name a call's record: it is on record then. From an upstream's
/// answer Envoy has removed it before a filter sees it.
pub(crate) const RECORD_HEADER: &str = "x-sekisho-record";
/// The header that names the trace of which a call is a part.
const TRACE_HEADER: &str = "traceparent";
/// What Envoy says of a request whose filter's VM trapped, its own or another's fault.
pub(crate) const TRAPPED: &str = "wasm_fail_stream";
/// Longest path and detail in a record, bytes.
const MOST_TEXT: usize = 512;
/// envoy.config.core.v3.RequestMethod.
const METHODS: [&str; 10] = [
    "", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

/// The gRPC service of Envoy's access log.
#[derive(Clone, Debug)]
pub(super) struct AccessLog {
    writer: Writer,
    ended: watch::Receiver<bool>,
}

impl AccessLog {
    pub(super) const fn new(writer: Writer, ended: watch::Receiver<bool>) -> Self {
        Self { writer, ended }
    }

    pub(super) fn into_service(self) -> AccessLogServiceServer<Self> {
        AccessLogServiceServer::new(self)
    }

    /// Puts what a message tells of on record; returns when it is durable.
    async fn take(&self, message: StreamAccessLogsMessage) -> Result<(), Status> {
        let entries = message.http_logs.unwrap_or_default().log_entry;
        let mut up = v1::Up {
            seq: 1,
            // Whoever sends it holds no leases, and nothing is owed to it.
            hello: Some(v1::Hello::default()),
            ..v1::Up::default()
        };
        let all_lost: Vec<Lost> = entries.iter().filter_map(lost).collect();
        // Nobody will tell the end of these.
        let known = match all_lost.as_slice() {
            [] => Vec::new(),
            lost => {
                let known = self.writer.lose(lost.to_vec()).await;
                known.map_err(|error| Status::unavailable(error.to_string()))?
            }
        };
        let known = all_lost.iter().zip(known).filter(|(_, known)| *known);
        let known: Vec<RecordId> = known.map(|(lost, _)| lost.id).collect();
        for entry in &entries {
            let id = lost(entry).map(|lost| lost.id);
            if id.is_some_and(|id| known.contains(&id)) {
                continue;
            }
            up.entries.extend(refusal(entry, id, random()?));
        }
        if up.entries.is_empty() {
            return Ok(());
        }
        let session = Session {
            holder: HolderId(random()?),
            vm: VmId(random()?),
            leasing: false,
        };
        let taken = self.writer.apply(&session, up).await;
        self.writer.disconnect(session.holder);
        match taken {
            Ok(_) => Ok(()),
            Err(ApplyError::Gone(error)) => Err(Status::unavailable(error.to_string())),
            Err(error) => {
                tracing::error!(%error, "a refusal of the proxy could not be put on record");
                Err(Status::internal(error.to_string()))
            }
        }
    }
}

#[tonic::async_trait]
impl AccessLogService for AccessLog {
    async fn stream_access_logs(
        &self,
        request: Request<Streaming<StreamAccessLogsMessage>>,
    ) -> Result<Response<StreamAccessLogsResponse>, Status> {
        let mut messages = request.into_inner();
        let mut ended = self.ended.clone();
        loop {
            let message = tokio::select! {
                () = stopping(&mut ended) => None,
                message = messages.message() => message?,
            };
            let Some(message) = message else {
                return Ok(Response::new(StreamAccessLogsResponse {}));
            };
            self.take(message).await?;
        }
    }
}

fn random<const N: usize>() -> Result<[u8; N], Status> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Status::internal("no random bytes"))?;
    Ok(bytes)
}

/// The call that a filter had begun to record and took with it when it failed, if this is one.
fn lost(entry: &HttpAccessLogEntry) -> Option<Lost> {
    let response = entry.response.as_ref()?;
    let why = text(&response.response_code_details)?;
    let id = response.response_headers.get(RECORD_HEADER)?;
    let id = RecordId::parse(std::str::from_utf8(id).ok()?)?;
    (why == TRAPPED).then_some(Lost { id, why })
}

/// The record of a request that Envoy refused; `None`: a filter has put it on record, or it was
/// none. `named`: the call that a filter named, and of which there is no record.
fn refusal(
    entry: &HttpAccessLogEntry,
    named: Option<RecordId>,
    random: [u8; 10],
) -> Option<v1::Entry> {
    let response = entry.response.clone().unwrap_or_default();
    let known = response.response_headers.get(RECORD_HEADER);
    if named.is_none() && known.is_some_and(|record| !record.is_empty()) {
        return None;
    }
    let common = entry.common_properties.clone().unwrap_or_default();
    let time = common.start_time.unwrap_or_default();
    let at = UnixMillis(millis(time.seconds, time.nanos));
    let id = named.unwrap_or_else(|| RecordId::v7(at, random));
    let mut record = AuditRecord::new(RecordKind::Refuse, id, at);
    let code = DenialCode::RefusedByProxy;
    (record.denial, record.stage) = (Some(code), Some(code.stage()));
    let status = response
        .response_code
        .and_then(|code| code.value.try_into().ok());
    record.status = status;
    record.detail = text(&response.response_code_details).map(Into::into);
    let address = common.downstream_remote_address.unwrap_or_default();
    let address = address.socket_address.unwrap_or_default().address;
    record.caller.address = text(&address).map(Into::into);
    let request = entry.request.clone().unwrap_or_default();
    let method = usize::try_from(request.request_method).unwrap_or(0);
    let method = METHODS.get(method).filter(|method| !method.is_empty());
    record.call.method = method.map(|method| (*method).into());
    let path = path(&request);
    let path = path.map(|path| sekisho_audit::without_secrets(&path).into_owned());
    record.call.path = path.map(Into::into);
    record.call.request_id = text(&request.request_id).map(Into::into);
    let trace = request.request_headers.get(TRACE_HEADER);
    let trace = trace.and_then(|trace| sekisho_audit::trace_id(trace));
    record.call.trace_id = trace.map(|trace| trace.to_owned().into());
    record.request_bytes = Some(request.request_body_bytes).filter(|bytes| *bytes > 0);
    let body = serde_json::to_vec(&record).ok()?;
    Some(v1::Entry {
        kind: v1::entry::Kind::Refuse.into(),
        record_id: Bytes::copy_from_slice(&id.0),
        record: body.into(),
        reservations: Vec::new(),
    })
}

fn millis(seconds: i64, nanos: i32) -> u64 {
    let seconds = u64::try_from(seconds).unwrap_or(0).saturating_mul(1000);
    seconds.saturating_add(u64::try_from(nanos / 1_000_000).unwrap_or(0))
}

/// The path as the client wrote it, without its query, which may carry secrets.
fn path(request: &HttpRequestProperties) -> Option<String> {
    let raw = if request.original_path.is_empty() {
        &request.path
    } else {
        &request.original_path
    };
    let end = raw.iter().position(|byte| matches!(byte, b'?' | b'#'));
    text(raw.get(..end.unwrap_or(raw.len()))?)
}

/// Printable text of bounded length; `None`: nothing.
fn text(raw: &[u8]) -> Option<String> {
    let raw = raw.get(..MOST_TEXT).unwrap_or(raw);
    let text = String::from_utf8_lossy(raw);
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::generated::{
        AccessLogCommon, Address, HttpResponseProperties, SocketAddress, Timestamp, UInt32Value,
    };
    use super::*;

    fn entry(path: &[u8], record: Option<&str>) -> HttpAccessLogEntry {
        let headers = record.map(|record| (RECORD_HEADER.to_owned(), record.into()));
        HttpAccessLogEntry {
            common_properties: Some(AccessLogCommon {
                downstream_remote_address: Some(Address {
                    socket_address: Some(SocketAddress {
                        address: b"192.0.2.7".to_vec(),
                    }),
                }),
                start_time: Some(Timestamp {
                    seconds: 1_795_424_400,
                    nanos: 250_000_000,
                }),
            }),
            request: Some(HttpRequestProperties {
                request_method: 3,
                path: path.to_vec(),
                request_id: b"r-1".to_vec(),
                request_headers: [(
                    TRACE_HEADER.to_owned(),
                    b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_vec(),
                )]
                .into(),
                ..HttpRequestProperties::default()
            }),
            response: Some(HttpResponseProperties {
                response_code: Some(UInt32Value { value: 400 }),
                response_headers: headers.into_iter().collect(),
                response_code_details: b"http1.codec_error".to_vec(),
            }),
        }
    }

    fn record(entry: &HttpAccessLogEntry) -> serde_json::Value {
        let refusal = refusal(entry, None, [7; 10]).unwrap();
        serde_json::from_slice(&refusal.record).unwrap()
    }

    #[test]
    fn a_refusal_of_the_proxy_says_what_is_known_of_it() {
        let record = record(&entry(b"/v1/x?key=secret", None));
        assert_eq!(record["denial"], "refused_by_proxy");
        assert_eq!(record["stage"], "proxy");
        assert_eq!(record["status"], 400);
        assert_eq!(record["detail"], "http1.codec_error");
        assert_eq!(record["at"], 1_795_424_400_250_u64);
        assert_eq!(record["caller"]["address"], "192.0.2.7");
        assert_eq!(record["call"]["method"], "POST");
        assert_eq!(record["call"]["path"], "/v1/x");
        assert_eq!(record["call"]["request_id"], "r-1");
        assert_eq!(
            record["call"]["trace_id"],
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
    }

    #[test]
    fn what_a_filter_has_recorded_is_not_recorded_twice() {
        assert!(refusal(&entry(b"/", Some("019a")), None, [7; 10]).is_none());
        assert!(refusal(&entry(b"/", Some("")), None, [7; 10]).is_some());
    }

    #[test]
    fn a_call_that_a_filter_took_with_it_is_told_from_others() {
        let id = RecordId([9; 16]);
        let of = |details: &str, record: Option<&str>| {
            let mut entry = entry(b"/v1/messages", record);
            entry.response.as_mut().unwrap().response_code_details = details.into();
            entry
        };
        let named = id.to_string();
        let trapped = of(TRAPPED, Some(&named));
        let why = TRAPPED.to_owned();
        assert_eq!(lost(&trapped), Some(Lost { id, why }));
        for other in [
            of("via_upstream", Some(&named)),
            of(TRAPPED, Some("019a")),
            of(TRAPPED, None),
        ] {
            assert_eq!(lost(&other), None);
        }
        // Nobody knows of it: that is its record, under the name that its client was told.
        let refusal = refusal(&trapped, Some(id), [7; 10]).unwrap();
        let record: AuditRecord<'_> = serde_json::from_slice(&refusal.record).unwrap();
        assert_eq!(record.record_id, id);
        assert_eq!(record.detail.as_deref(), Some(TRAPPED));
    }

    #[test]
    fn whatever_was_sent_makes_a_record() {
        let long = [b'a'; 5000];
        for path in [b"/\xff\x00\n".as_slice(), b"", &long, b"?key=secret"] {
            let record = record(&entry(path, None)).to_string();
            assert!(
                record.len() < 2000 && !record.contains("secret"),
                "{record}"
            );
        }
        let secret = record(&entry(b"/password=hunter22", None));
        assert_eq!(secret["call"]["path"], "/password=[redacted:secret]");
        let nothing = HttpAccessLogEntry::default();
        assert!(refusal(&nothing, None, [7; 10]).is_some());
    }
}
