//! The section `entra` of the policy file.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use sekisho_domain::{Policy, Problem};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use crate::azure_token::AzureCredential;
use crate::azure_token::config::{RawCertificate, RawOwnIdentity, RawSecret, RawWays, RawWorkload};
use crate::forward::config::Checking;

/// The company's tenant of Entra ID, whose accounts the sidecar manages over Microsoft Graph.
/// Without it the embedded directory has the accounts. Exactly one of `client_secret`,
/// `certificate`, `workload_identity` and `managed_identity`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawEntra {
    /// Directory (tenant) id: a UUID, that of an issuer of this policy.
    pub tenant: String,
    /// In which of Microsoft's clouds the tenant is.
    #[serde(default)]
    pub cloud: Cloud,
    /// Client (application) id of the sidecar's own application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The application's secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<RawSecret>,
    /// The application's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<RawCertificate>,
    /// A token of another issuer that the application trusts, such as a Kubernetes cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<RawWorkload>,
    /// The identity of the machine or pod that the sidecar runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_identity: Option<RawOwnIdentity>,
    /// Where tokens come from, if not from `cloud`'s own place: https, or http on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// Where Microsoft Graph is, if not at `cloud`'s own place: https, or http on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph: Option<String>,
    /// PEM file of the authorities that vouch for both; default: those of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Client (application) id of the application whose app roles departments have: that of the
    /// gateway, for which people's tokens are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// How often directory and tenant are compared, minutes: 5 to 10080. Default: when somebody
    /// asks for it. What differs is shown, and corrected by an administrator alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare_minutes: Option<u32>,
}

/// One of Microsoft's clouds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cloud {
    /// The global service.
    #[default]
    Public,
    /// Azure for the US Government (L4).
    UsGovernment,
    /// Azure for the US Department of Defense (L5).
    UsGovernmentDod,
    /// Azure in China, operated by 21Vianet.
    China,
}

impl Cloud {
    /// Source: `learn.microsoft.com/graph/deployments`.
    const fn places(self) -> (&'static str, &'static str) {
        match self {
            Self::Public => (
                "https://login.microsoftonline.com",
                "https://graph.microsoft.com",
            ),
            Self::UsGovernment => (
                "https://login.microsoftonline.us",
                "https://graph.microsoft.us",
            ),
            Self::UsGovernmentDod => (
                "https://login.microsoftonline.us",
                "https://dod-graph.microsoft.us",
            ),
            Self::China => (
                "https://login.chinacloudapi.cn",
                "https://microsoftgraph.chinacloudapi.cn",
            ),
        }
    }
}

/// The tenant, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntraConfig {
    /// Tenant id, lower case.
    pub tenant: String,
    /// Who the sidecar is.
    pub credential: AzureCredential,
    /// For whom its tokens are.
    pub resource: String,
    /// Where Graph is, up to the version of the API.
    pub root: Url,
    /// Who vouches for both.
    pub authorities: Option<PathBuf>,
    /// Client id of the application that has the app roles.
    pub application: Option<String>,
    /// How often directory and tenant are compared by themselves; none: never.
    pub compare_every: Option<Duration>,
    /// How long an answer is waited for; none: a minute.
    pub patience: Option<Duration>,
}

/// Reads the section; every problem is noted.
pub(crate) fn read(section: Option<Value>, problems: &mut Vec<Problem>) -> Option<EntraConfig> {
    let section = section.filter(|section| !section.is_null())?;
    let mut checking = Checking::new(problems);
    let raw: RawEntra = checking.read("entra", section)?;
    let tenant = id(&mut checking, "entra.tenant", &raw.tenant);
    let (authority, graph) = raw.cloud.places();
    let authority = checking.url(
        "entra.authority".into(),
        raw.authority.as_deref().unwrap_or(authority),
    );
    let graph = checking.url("entra.graph".into(), raw.graph.as_deref().unwrap_or(graph));
    let authorities = raw
        .ca_file
        .map(|file| checking.file("entra.ca_file".into(), &file));
    let application = raw
        .application
        .map(|text| id(&mut checking, "entra.application", &text));
    let minutes = raw.compare_minutes;
    if minutes.is_some_and(|minutes| !(5..=10_080).contains(&minutes)) {
        checking.problem("entra.compare_minutes", "must be 5 to 10080");
    }
    let compare_every = minutes.map(|minutes| Duration::from_secs(u64::from(minutes) * 60));
    let token_url = authority.as_ref().and_then(|at| {
        let path = format!("/{tenant}/oauth2/v2.0/token");
        at.join(&path).ok()
    });
    let ways = RawWays {
        client_secret: raw.client_secret,
        certificate: raw.certificate,
        workload_identity: raw.workload_identity,
        managed_identity: raw.managed_identity,
    };
    let credential = ways.check(&mut checking, "entra", token_url, raw.client_id);
    let graph = graph?;
    let resource = graph.as_str().trim_end_matches('/').to_owned();
    Some(EntraConfig {
        tenant,
        credential: credential?,
        root: graph.join("/v1.0").ok()?,
        resource,
        authorities,
        application,
        compare_every,
        patience: None,
    })
}

/// What is wrong with the section, given the rest of the file.
pub(crate) fn check(config: &EntraConfig, policy: &Policy) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut issuers = policy.issuers.iter();
    if !issuers.any(|issuer| issuer.tenant.eq_ignore_ascii_case(&config.tenant)) {
        problems.push(Problem {
            path: "entra.tenant".into(),
            message: "no issuer of `issuers` has this tenant: nobody who is put there could call"
                .into(),
        });
    }
    problems
}

/// A UUID as Entra ID writes it.
fn id(checking: &mut Checking<'_>, path: &str, text: &str) -> String {
    match Uuid::try_parse(text) {
        Ok(id) => id.hyphenated().to_string(),
        Err(_) => {
            checking.problem(path, "must be a UUID");
            String::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TENANT: &str = "8f3a1c52-6b7e-4d0f-9a21-5e6c7d8091ab";

    fn section() -> Value {
        json!({
            "tenant": TENANT, "client_id": "c", "certificate": {"file": "/etc/sekisho/entra.pem"},
            "application": TENANT,
        })
    }

    fn found(section: Value) -> Result<EntraConfig, Vec<String>> {
        let mut problems = Vec::new();
        let read = read(Some(section), &mut problems);
        let mut paths: Vec<_> = problems.into_iter().map(|problem| problem.path).collect();
        paths.sort();
        match paths.is_empty() {
            true => Ok(read.unwrap()),
            false => Err(paths),
        }
    }

    #[test]
    fn the_cloud_says_where_tokens_and_graph_are() {
        for (cloud, token_url, root) in [
            (
                "public",
                "https://login.microsoftonline.com/",
                "https://graph.microsoft.com/v1.0",
            ),
            (
                "us_government",
                "https://login.microsoftonline.us/",
                "https://graph.microsoft.us/v1.0",
            ),
            (
                "us_government_dod",
                "https://login.microsoftonline.us/",
                "https://dod-graph.microsoft.us/v1.0",
            ),
            (
                "china",
                "https://login.chinacloudapi.cn/",
                "https://microsoftgraph.chinacloudapi.cn/v1.0",
            ),
        ] {
            let mut section = section();
            section["cloud"] = cloud.into();
            let config = found(section).unwrap();
            assert_eq!(config.root.as_str(), root);
            let AzureCredential::Certificate { token_url: at, .. } = config.credential else {
                panic!("{cloud}");
            };
            assert_eq!(
                at.as_str(),
                format!("{token_url}{TENANT}/oauth2/v2.0/token")
            );
        }
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        assert!(read(None, &mut Vec::new()).is_none());
        let section = json!({
            "tenant": "contoso", "client_secret": {}, "certificate": {"file": "x.pem"},
            "graph": "http://graph.example", "ca_file": "ca.pem", "application": "api://x",
            "compare_minutes": 1,
        });
        assert_eq!(
            found(section).unwrap_err(),
            [
                "entra",
                "entra.application",
                "entra.ca_file",
                "entra.compare_minutes",
                "entra.graph",
                "entra.tenant",
            ]
        );
        let without = json!({"tenant": TENANT, "client_secret": {"secret_env": "X"}});
        assert_eq!(found(without).unwrap_err(), ["entra.client_id"]);
        let misspelt = json!({"tenant": TENANT, "managed_identity": {}, "groups": []});
        assert_eq!(found(misspelt).unwrap_err(), ["entra.groups"]);
    }
}
