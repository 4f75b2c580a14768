//! The section `siem` of the policy file.

use std::path::PathBuf;

use schemars::JsonSchema;
use sekisho_domain::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::azure_token::config::{AzureCredential, RawOwnIdentity};
use crate::forward::config::{Checking, RawSecretHeader, SecretHeader};

/// A destination of every audit record. Exactly one of the members beside `name`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawDestination {
    /// Its name. How far it has been brought the log is remembered under it.
    pub name: String,
    /// OCSF events, one JSON object a line, appended to a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ocsf_file: Option<RawOcsfFile>,
    /// OCSF events, one JSON object a line, posted to a collector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ocsf_http: Option<RawOcsfHttp>,
    /// Rows of a table in Azure Monitor (Log Analytics, Microsoft Sentinel), by the Logs
    /// Ingestion API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure_monitor: Option<RawAzureMonitor>,
    /// Messages in ArcSight's Common Event Format over syslog (RFC 5424, 5425 and 6587).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cef_syslog: Option<RawCefSyslog>,
}

/// A file of events.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawOcsfFile {
    /// The file, by its absolute path. It may be renamed at any time: then a new one is begun.
    pub path: String,
}

/// A collector of events.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawOcsfHttp {
    /// Where to post: https, or http on this machine.
    pub url: String,
    /// The header by which the collector knows us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<RawSecretHeader>,
    /// PEM file of the authorities that vouch for the collector; default: those of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// A table in Azure Monitor.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAzureMonitor {
    /// Logs ingestion endpoint of the data collection rule or endpoint, such as
    /// `https://NAME.japaneast-1.ingest.monitor.azure.com`.
    pub endpoint: String,
    /// Immutable id of the data collection rule: `dcr-...`.
    pub rule: String,
    /// Stream of the rule, such as `Custom-Sekisho_CL`.
    pub stream: String,
    /// An application and its client secret. Exactly one of this, `client_certificate` and
    /// `managed_identity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<RawClientSecret>,
    /// An application and its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<RawClientCertificate>,
    /// The identity of the machine or pod that the sidecar runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_identity: Option<RawOwnIdentity>,
}

/// An application of Entra ID.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawClientSecret {
    /// Token endpoint, such as `https://login.microsoftonline.com/TENANT/oauth2/v2.0/token`.
    pub token_url: String,
    /// Client (application) id.
    pub client_id: String,
    /// Environment variable of the sidecar that holds the client secret. Exactly one of this and
    /// `secret_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// File that the sidecar reads the client secret from, each time that it needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<String>,
}

/// An application of Entra ID that is known by its certificate.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawClientCertificate {
    /// Token endpoint, such as `https://login.microsoftonline.com/TENANT/oauth2/v2.0/token`.
    pub token_url: String,
    /// Client (application) id.
    pub client_id: String,
    /// PEM file of the certificate and its RSA private key, by its absolute path. It is read
    /// again for each token, so that it can be renewed at any time.
    pub file: String,
}

/// A receiver of syslog.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawCefSyslog {
    /// `host:port`; over TLS that is usually port 6514.
    pub address: String,
    /// Without TLS: whoever is on the way reads and changes the records. For receivers on this
    /// machine or in a network of their own.
    #[serde(default)]
    pub plaintext: bool,
    /// Over TLS, also count an end of the connection without `close_notify` as the receiver's
    /// word that it has everything. rsyslog with its GnuTLS driver needs it (with its OpenSSL
    /// driver it does not). A delivery at whose end somebody on the way cuts it off, or the
    /// receiver dies, then counts as taken, too.
    #[serde(default)]
    pub accept_bare_close: bool,
    /// PEM file of the authorities that vouch for the receiver; default: those of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// A destination of every record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its name.
    pub name: String,
    /// What it is.
    pub to: To,
}

/// What kind of destination it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// A file of OCSF events.
    OcsfFile(PathBuf),
    /// A collector of OCSF events.
    OcsfHttp(HttpTarget),
    /// A table in Azure Monitor.
    AzureMonitor(AzureTarget),
    /// A receiver of CEF over syslog.
    CefSyslog(SyslogTarget),
}

impl To {
    /// The name in the policy file.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::OcsfFile(_) => "ocsf_file",
            Self::OcsfHttp(_) => "ocsf_http",
            Self::AzureMonitor(_) => "azure_monitor",
            Self::CefSyslog(_) => "cef_syslog",
        }
    }
}

/// A collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpTarget {
    /// Where.
    pub url: Url,
    /// How it knows us.
    pub header: Option<SecretHeader>,
    /// Who vouches for it.
    pub authorities: Option<PathBuf>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureTarget {
    /// Where its rows are posted.
    pub url: Url,
    /// How we get tokens.
    pub token: AzureCredential,
}

/// A receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogTarget {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Without TLS.
    pub plaintext: bool,
    /// Whether an end without `close_notify` is one.
    pub accept_bare_close: bool,
    /// Who vouches for it.
    pub authorities: Option<PathBuf>,
}

/// Reads the section; every problem is noted.
pub(crate) fn read(section: Option<Value>, problems: &mut Vec<Problem>) -> Vec<Destination> {
    let mut checking = Checking::new(problems);
    let raw = checking.list::<RawDestination>("siem", section);
    let mut destinations = Vec::new();
    for (path, raw) in raw {
        checking.name(&path, &raw.name);
        let name = raw.name.clone();
        destinations.extend(to(&mut checking, &path, raw).map(|to| Destination { name, to }));
    }
    destinations
}

fn to(checking: &mut Checking<'_>, path: &str, raw: RawDestination) -> Option<To> {
    let inside = |kind: &str| format!("{path}.{kind}");
    match (
        raw.ocsf_file,
        raw.ocsf_http,
        raw.azure_monitor,
        raw.cef_syslog,
    ) {
        (Some(raw), None, None, None) => {
            let at = format!("{path}.ocsf_file.path");
            Some(To::OcsfFile(checking.file(at, &raw.path)))
        }
        (None, Some(raw), None, None) => http(checking, &inside("ocsf_http"), raw),
        (None, None, Some(raw), None) => azure(checking, &inside("azure_monitor"), raw),
        (None, None, None, Some(raw)) => Some(syslog(checking, &inside("cef_syslog"), raw)),
        _ => {
            let text =
                "needs exactly one of `ocsf_file`, `ocsf_http`, `azure_monitor` and `cef_syslog`";
            checking.problem(path, text);
            None
        }
    }
}

fn http(checking: &mut Checking<'_>, path: &str, raw: RawOcsfHttp) -> Option<To> {
    let header = raw
        .header
        .map(|header| checking.header(&format!("{path}.header"), header));
    let authorities = raw
        .ca_file
        .map(|file| checking.file(format!("{path}.ca_file"), &file));
    Some(To::OcsfHttp(HttpTarget {
        url: checking.url(format!("{path}.url"), &raw.url)?,
        header,
        authorities,
    }))
}

fn azure(checking: &mut Checking<'_>, path: &str, raw: RawAzureMonitor) -> Option<To> {
    let is_segment = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    for (member, text) in [("rule", &raw.rule), ("stream", &raw.stream)] {
        if !is_segment(text) {
            let text = "must be ASCII letters, digits, `-` or `_`";
            checking.problem(format!("{path}.{member}"), text);
        }
    }
    let token = match (
        raw.client_secret,
        raw.client_certificate,
        raw.managed_identity,
    ) {
        (Some(raw), None, None) => {
            let path = format!("{path}.client_secret");
            let secret = checking.secret(&path, raw.secret_env, raw.secret_file);
            let token_url = checking.url(format!("{path}.token_url"), &raw.token_url);
            token_url.map(|token_url| AzureCredential::ClientSecret {
                token_url,
                client_id: raw.client_id,
                secret,
            })
        }
        (None, Some(raw), None) => {
            let path = format!("{path}.client_certificate");
            let file = checking.file(format!("{path}.file"), &raw.file);
            let token_url = checking.url(format!("{path}.token_url"), &raw.token_url);
            token_url.map(|token_url| AzureCredential::Certificate {
                token_url,
                client_id: raw.client_id,
                file,
            })
        }
        (None, None, Some(raw)) => Some(AzureCredential::ManagedIdentity {
            client_id: raw.client_id,
        }),
        _ => {
            let text =
                "needs exactly one of `client_secret`, `client_certificate` and `managed_identity`";
            checking.problem(path, text);
            None
        }
    };
    let endpoint = checking.url(format!("{path}.endpoint"), &raw.endpoint)?;
    let place = format!(
        "/dataCollectionRules/{}/streams/{}?api-version=2023-01-01",
        raw.rule, raw.stream
    );
    let url = endpoint.join(&place).ok()?;
    let token = token?;
    Some(To::AzureMonitor(AzureTarget { url, token }))
}

fn syslog(checking: &mut Checking<'_>, path: &str, raw: RawCefSyslog) -> To {
    if raw.plaintext && raw.ca_file.is_some() {
        let text = "says whom TLS trusts, but `plaintext` says that there is none";
        checking.problem(format!("{path}.ca_file"), text);
    }
    let authorities = raw
        .ca_file
        .map(|file| checking.file(format!("{path}.ca_file"), &file));
    let (host, port) = checking.address(format!("{path}.address"), &raw.address);
    To::CefSyslog(SyslogTarget {
        host,
        port,
        plaintext: raw.plaintext,
        accept_bare_close: raw.accept_bare_close,
        authorities,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(section: Value) -> Vec<String> {
        let mut problems = Vec::new();
        read(Some(section), &mut problems);
        problems.into_iter().map(|problem| problem.path).collect()
    }

    #[test]
    fn each_kind_of_destination_is_read() {
        let mut problems = Vec::new();
        let section = json!([
            {"name": "lines", "ocsf_file": {"path": "/var/log/sekisho/ocsf.jsonl"}},
            {"name": "collector", "ocsf_http": {"url": "https://siem.example/in", "ca_file": "/etc/ca.pem",
                "header": {"name": "authorization", "prefix": "Splunk ", "secret_env": "SPLUNK"}}},
            {"name": "sentinel", "azure_monitor": {"endpoint": "https://x.japaneast-1.ingest.monitor.azure.com",
                "rule": "dcr-01", "stream": "Custom-Sekisho_CL", "managed_identity": {}}},
            {"name": "arcsight", "cef_syslog": {"address": "[::1]:6514"}},
        ]);
        let read = read(Some(section), &mut problems);
        assert_eq!(problems, []);
        let kinds: Vec<_> = read
            .iter()
            .map(|destination| destination.to.kind())
            .collect();
        assert_eq!(
            kinds,
            ["ocsf_file", "ocsf_http", "azure_monitor", "cef_syslog"]
        );
        let To::AzureMonitor(target) = &read[2].to else {
            panic!("{:?}", read[2]);
        };
        assert_eq!(
            target.url.as_str(),
            "https://x.japaneast-1.ingest.monitor.azure.com/dataCollectionRules/dcr-01/streams/Custom-Sekisho_CL?api-version=2023-01-01"
        );
        let To::CefSyslog(target) = &read[3].to else {
            panic!("{:?}", read[3]);
        };
        assert_eq!((target.host.as_str(), target.port), ("::1", 6514));
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let section = json!([
            {"name": "a", "ocsf_file": {"path": "here.jsonl"}},
            {"name": "a", "ocsf_http": {"url": "http://siem.example/in",
                "header": {"name": "a b", "secret_env": "X", "secret_file": "/y"}}},
            {"name": "c d", "azure_monitor": {"endpoint": "https://x", "rule": "../x", "stream": "s",
                "client_secret": {"token_url": "https://login", "client_id": "c"}}},
            {"name": "d", "cef_syslog": {"address": "siem.example", "plaintext": true, "ca_file": "/x"}},
            {"name": "e"},
            {"name": "f", "ocsf_file": {"path": "/x", "rotate": 5}},
            {"ocsf_file": {"path": "/x"}},
        ]);
        let mut found = problems(section);
        found.sort();
        assert_eq!(
            found,
            [
                "siem[0].ocsf_file.path",
                "siem[1].name",
                "siem[1].ocsf_http.header",
                "siem[1].ocsf_http.header.name",
                "siem[1].ocsf_http.url",
                "siem[2].azure_monitor.client_secret",
                "siem[2].azure_monitor.rule",
                "siem[2].name",
                "siem[3].cef_syslog.address",
                "siem[3].cef_syslog.ca_file",
                "siem[4]",
                "siem[5].ocsf_file.rotate",
                "siem[6]",
            ]
        );
        let two = json!([{"name": "a", "azure_monitor": {"endpoint": "https://x", "rule": "r", "stream": "s",
            "client_certificate": {"token_url": "https://login", "client_id": "c", "file": "x.pem"}}},
            {"name": "b", "azure_monitor": {"endpoint": "https://x", "rule": "r", "stream": "s",
            "client_certificate": {"token_url": "https://login", "client_id": "c", "file": "/x.pem"},
            "managed_identity": {}}}]);
        assert_eq!(
            problems(two),
            [
                "siem[0].azure_monitor.client_certificate.file",
                "siem[1].azure_monitor"
            ]
        );
        assert_eq!(problems(json!({})), ["siem"]);
        assert!(problems(Value::Null).is_empty());
    }
}
