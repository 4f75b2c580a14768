//! Where calls go: upstreams, their credentials, and the places where a model runs.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::issuers::is_secure;
use super::{Check, is_origin};
use crate::policy::raw::{
    RawCredential, RawFailover, RawManagedIdentity, RawModel, RawModelUpstream, RawUpstream,
};
use crate::policy::{Credential, Failover, ModelUpstream, SecretSource, Upstream, UpstreamLimits};

/// Shares are whole numbers up to this.
const MOST_WEIGHT: u32 = 1_000;
/// Numbers of priorities end here.
const LAST_PRIORITY: u8 = 7;
/// Places where one model can run.
const MOST_UPSTREAMS: usize = 8;

impl Check<'_> {
    pub(super) fn failover(&mut self, raw: &RawFailover) -> Failover {
        self.some("failover.eject_after", raw.eject_after.into(), 100);
        self.some("failover.eject_seconds", raw.eject_seconds, 3_600);
        Failover {
            eject_after: raw.eject_after,
            eject_seconds: raw.eject_seconds,
        }
    }

    pub(super) fn upstreams(&mut self, raw: Vec<RawUpstream>) -> HashMap<String, Upstream> {
        let mut seen = HashSet::new();
        let mut upstreams = HashMap::new();
        for (at, upstream) in raw.into_iter().enumerate() {
            let path = format!("upstreams[{at}]");
            self.name(&format!("{path}.name"), &upstream.name);
            self.unique(&mut seen, &format!("{path}.name"), &upstream.name);
            if !is_origin(&upstream.url) {
                self.problem(
                    format!("{path}.url"),
                    "must be `http://host:port` or `https://host[:port]`, without path",
                );
            }
            if let Some(region) = &upstream.region {
                self.name(&format!("{path}.region"), region);
            }
            let limits = self.limits(&format!("{path}.limits"), &upstream);
            let credential = self.credential(&path, upstream.credential);
            upstreams.insert(
                upstream.name.clone(),
                Upstream {
                    name: upstream.name,
                    provider: upstream.provider,
                    url: upstream.url,
                    credential,
                    region: upstream.region,
                    limits,
                },
            );
        }
        upstreams
    }

    fn limits(&mut self, path: &str, upstream: &RawUpstream) -> UpstreamLimits {
        let limits = &upstream.limits;
        for (name, value, most) in [
            ("max_requests", limits.max_requests.into(), 1_000_000),
            ("max_connections", limits.max_connections.into(), 1_000_000),
            (
                "connect_timeout_millis",
                limits.connect_timeout_millis,
                60_000,
            ),
            (
                "first_byte_timeout_millis",
                limits.first_byte_timeout_millis,
                600_000,
            ),
        ] {
            self.some(&format!("{path}.{name}"), value, most);
        }
        UpstreamLimits::from(limits)
    }

    fn credential(&mut self, path: &str, raw: Option<RawCredential>) -> Credential {
        let path = format!("{path}.credential");
        match raw {
            None => Credential::None,
            Some(RawCredential {
                header: Some(header),
                aws: None,
                oauth2: None,
                managed_identity: None,
            }) => {
                let path = format!("{path}.header");
                let name = header.name.to_ascii_lowercase();
                if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                {
                    self.problem(format!("{path}.name"), "must be a header name");
                }
                Credential::Header {
                    name,
                    prefix: header.prefix,
                    secret: self.secret(&path, header.secret_env, header.secret_file),
                }
            }
            Some(RawCredential {
                header: None,
                aws: Some(aws),
                oauth2: None,
                managed_identity: None,
            }) => {
                self.name(&format!("{path}.aws.region"), &aws.region);
                Credential::AwsSigV4 { region: aws.region }
            }
            Some(RawCredential {
                header: None,
                aws: None,
                oauth2: Some(oauth2),
                managed_identity: None,
            }) => {
                let path = format!("{path}.oauth2");
                if !is_token_endpoint(&oauth2.token_url) {
                    let text = "must be an `https://` URL with a path (or `http://` on this machine), without `?`, `#` and `@`";
                    self.problem(format!("{path}.token_url"), text);
                }
                if oauth2.client_id.is_empty() {
                    self.problem(format!("{path}.client_id"), "must be a client's id");
                }
                Credential::OAuth2 {
                    secret: self.secret(&path, oauth2.secret_env, oauth2.secret_file),
                    token_url: oauth2.token_url,
                    client_id: oauth2.client_id,
                    scopes: oauth2.scopes,
                }
            }
            Some(RawCredential {
                header: None,
                aws: None,
                oauth2: None,
                managed_identity: Some(identity),
            }) => self.managed_identity(&format!("{path}.managed_identity"), identity),
            Some(_) => {
                let text = "needs exactly one of `header`, `aws`, `oauth2` and `managed_identity`";
                self.problem(path, text);
                Credential::None
            }
        }
    }

    fn managed_identity(&mut self, path: &str, raw: RawManagedIdentity) -> Credential {
        let rest = raw.resource.strip_prefix("https://");
        let is_plain = |rest: &str| {
            !rest.is_empty()
                && rest
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-./_".contains(&b))
        };
        if !rest.is_some_and(is_plain) || raw.resource.ends_with("/.default") {
            let text =
                "must be a resource such as `https://cognitiveservices.azure.com`, not a scope";
            self.problem(format!("{path}.resource"), text);
        }
        let is_id = |id: &String| {
            !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if !raw.client_id.as_ref().is_none_or(is_id) {
            self.problem(format!("{path}.client_id"), "must be a client's id");
        }
        Credential::ManagedIdentity {
            resource: raw.resource,
            client_id: raw.client_id,
        }
    }

    fn secret(&mut self, path: &str, env: Option<String>, file: Option<String>) -> SecretSource {
        let source = match (env, file) {
            (Some(variable), None) => SecretSource::Environment(variable),
            (None, Some(file)) => SecretSource::File(file),
            _ => {
                let text = "needs exactly one of `secret_env` and `secret_file`";
                self.problem(path, text);
                return SecretSource::File(String::new());
            }
        };
        match &source {
            SecretSource::Environment(name) if name.is_empty() => {
                let text = "must be the name of an environment variable";
                self.problem(format!("{path}.secret_env"), text);
            }
            SecretSource::File(file) if file.is_empty() => {
                self.problem(format!("{path}.secret_file"), "must be the path of a file");
            }
            _ => {}
        }
        source
    }

    pub(super) fn known_upstream(&mut self, path: &str, name: &str) {
        if !self.defined.upstreams.contains(name) {
            self.problem(path, format!("`{name}` is not under `upstreams`"));
        }
    }

    /// The places where a model runs, those that are asked first first.
    pub(super) fn model_upstreams(
        &mut self,
        path: &str,
        raw: &RawModel,
        upstreams: &HashMap<String, Upstream>,
    ) -> Vec<ModelUpstream> {
        let named = |there: &Option<String>| there.clone().filter(|there| *there != raw.name);
        match (&raw.upstream, &raw.upstreams) {
            (Some(name), None) => {
                self.known_upstream(&format!("{path}.upstream"), name);
                vec![ModelUpstream {
                    upstream: name.clone(),
                    model: named(&raw.upstream_model),
                    weight: 1,
                    priority: 0,
                }]
            }
            (None, Some(list)) => {
                if raw.upstream_model.is_some() {
                    let text = "belongs to `upstream`; with `upstreams`, each has its `model`";
                    self.problem(format!("{path}.upstream_model"), text);
                }
                let path = format!("{path}.upstreams");
                if list.is_empty() || list.len() > MOST_UPSTREAMS {
                    let text = format!("must name 1 to {MOST_UPSTREAMS} upstreams");
                    self.problem(path.as_str(), text);
                }
                let mut seen = HashSet::new();
                for (at, place) in list.iter().enumerate() {
                    self.place(&format!("{path}[{at}]"), place, &mut seen);
                }
                self.same_wire(&path, list, upstreams);
                let mut places: Vec<_> = list
                    .iter()
                    .map(|place| ModelUpstream {
                        upstream: place.name.clone(),
                        model: named(&place.model),
                        weight: place.weight,
                        priority: place.priority,
                    })
                    .collect();
                places.sort_by_key(|place| (place.priority, std::cmp::Reverse(place.weight)));
                places
            }
            _ => {
                self.problem(path, "needs exactly one of `upstream` and `upstreams`");
                Vec::new()
            }
        }
    }

    fn place(&mut self, path: &str, place: &RawModelUpstream, seen: &mut HashSet<String>) {
        self.known_upstream(&format!("{path}.name"), &place.name);
        self.unique(seen, &format!("{path}.name"), &place.name);
        self.some(
            &format!("{path}.weight"),
            place.weight.into(),
            MOST_WEIGHT.into(),
        );
        if place.priority > LAST_PRIORITY {
            let text = format!("must be from 0 to {LAST_PRIORITY}, not {}", place.priority);
            self.problem(format!("{path}.priority"), text);
        }
    }

    /// A request is written once, whoever takes it in the end.
    fn same_wire(
        &mut self,
        path: &str,
        list: &[RawModelUpstream],
        upstreams: &HashMap<String, Upstream>,
    ) {
        let mut wires = list
            .iter()
            .filter_map(|place| upstreams.get(&place.name))
            .map(|upstream| upstream.provider);
        let first = wires.next();
        if wires.any(|wire| Some(wire) != first) {
            let text = "must all have the same `provider`: a call is passed on as it was written";
            self.problem(path, text);
        }
    }

    /// A region that no upstream has is a slip of the pen that would refuse every call.
    pub(super) fn department_regions(
        &mut self,
        path: &str,
        raw: Option<Vec<String>>,
    ) -> Option<BTreeSet<String>> {
        let regions = raw?;
        let path = format!("{path}.regions");
        if regions.is_empty() {
            let text = "must name at least one region; without the member all are allowed";
            self.problem(path.as_str(), text);
        }
        for (at, region) in regions.iter().enumerate() {
            if !self.defined.regions.contains(region) {
                let text = format!("no upstream is in region `{region}`");
                self.problem(format!("{path}[{at}]"), text);
            }
        }
        Some(regions.into_iter().collect())
    }
}

/// A client secret is sent there.
fn is_token_endpoint(text: &str) -> bool {
    let rest = text.split_once("://").map(|(_, rest)| rest);
    is_secure(text)
        && rest.is_some_and(|rest| rest.contains('/') && !rest.contains(['?', '#', '@']))
}
