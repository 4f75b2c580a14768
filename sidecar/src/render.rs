//! A proxy's configuration, made from the policy.
//!
//! What a filter cannot do for itself is done here: normalising paths, stripping headers
//! that a client must not send, limiting sizes, times and connections, and putting
//! credentials on requests where no filter and no client sees them.

mod clusters;
mod listener;
mod operations;
mod pools;
mod routes;
pub mod secrets;
mod upstream_url;

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use sekisho_domain::Policy;
use serde_json::json;

use self::pools::Pools;

/// The sidecar's cluster.
pub(crate) const SIDECAR: &str = "sekisho_sidecar";

/// What the policy does not say: where things are.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// Directory of the `.wasm` files.
    pub filters: PathBuf,
    /// Which of them are loaded.
    pub modules: Modules,
    /// Where clients connect without TLS.
    pub listen: SocketAddr,
    /// Where clients connect with TLS.
    pub tls: Option<Tls>,
    /// Envoy's admin interface.
    pub admin: SocketAddr,
    /// The Link of each sidecar.
    pub links: Vec<LinkTarget>,
    /// Directory of the secret files.
    pub secrets: PathBuf,
    /// Certificate authorities for upstreams, PEM.
    pub ca: PathBuf,
    /// Where Envoy's own access log goes.
    pub access_log: AccessLog,
}

/// One filter that takes every decision, or one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Modules {
    /// `gateway.wasm`.
    Gateway,
    /// `scope.wasm`, `quota.wasm`, `upstream.wasm`, `audit.wasm`.
    Separate,
}

impl Modules {
    /// Filter names in the order of the chain.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Gateway => &["gateway"],
            Self::Separate => &["scope", "quota", "upstream", "audit"],
        }
    }
}

impl fmt::Display for Modules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gateway => "gateway",
            Self::Separate => "separate",
        })
    }
}

/// A second listener, with TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

/// Where Envoy's own access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// Nowhere.
    None,
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl FromStr for AccessLog {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "none" => Self::None,
            "stdout" => Self::Stdout,
            file => Self::File(file.into()),
        })
    }
}

/// Where the sidecar's Link is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkTarget {
    /// Name or address (IPv6 without brackets), and TCP port.
    HostPort(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Why a text is no [`LinkTarget`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `HOST:PORT`, such as `127.0.0.1:9902`, or `unix:PATH`")]
pub struct NotALinkTarget;

impl FromStr for LinkTarget {
    type Err = NotALinkTarget;

    fn from_str(text: &str) -> Result<Self, NotALinkTarget> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self::Unix(path.into()));
        }
        let (host, port) = text.rsplit_once(':').ok_or(NotALinkTarget)?;
        let port = port.parse().map_err(|_| NotALinkTarget)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or(NotALinkTarget)?,
            None if host.contains(':') => return Err(NotALinkTarget),
            None => host,
        };
        if host.is_empty() || port == 0 || !host.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(NotALinkTarget);
        }
        Ok(Self::HostPort(host.to_owned(), port))
    }
}

/// Why no configuration can be made.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The policy accepts URLs that Envoy cannot call.
    #[error("upstream `{upstream}`: `{url}` has no host and port that Envoy can connect to")]
    UnusableUrl {
        /// Its name.
        upstream: String,
        /// Its URL.
        url: String,
    },
    /// An upstream has the name of a cluster of ours.
    #[error("upstream `{SIDECAR}`: the name is taken by the sidecar's own cluster")]
    ReservedName,
    /// Several sidecars, and one of them at a socket.
    #[error("of several sidecars none can be at a Unix socket: give each as `HOST:PORT`")]
    SocketAmongSeveral,
    /// A value that YAML cannot carry.
    #[error("the configuration cannot be written as YAML")]
    Unwritable(#[from] serde_yaml_ng::Error),
}

/// A complete bootstrap for Envoy 1.40 or later, as YAML.
///
/// # Errors
/// See [`RenderError`].
pub fn envoy(policy: &Policy, bootstrap: &Bootstrap) -> Result<String, RenderError> {
    let mut upstreams: Vec<_> = policy.upstreams.values().collect();
    upstreams.sort_by(|a, b| a.name.cmp(&b.name));
    let mut clusters = vec![clusters::sidecar(&bootstrap.links)?];
    for upstream in &upstreams {
        let mut of_upstream = clusters::upstream(upstream, bootstrap)?;
        if let Some(cluster) = of_upstream.first_mut()
            && clusters::takes_sockets(policy, upstream)
        {
            clusters::only_http1(cluster);
        }
        clusters.extend(of_upstream);
    }
    let pools = Pools::new(policy);
    clusters.extend(pools.clusters());
    let routes = routes::all(policy, &upstreams, &pools);
    let mut listeners = vec![listener::plain(policy, bootstrap, &routes)];
    if let Some(tls) = &bootstrap.tls {
        listeners.push(listener::tls(policy, bootstrap, &routes, tls));
    }
    listeners.extend(pools.listeners());
    let mut document = json!({
        // Secret discovery wants to know who is asking, even of files.
        "node": {"id": "sekisho-gateway", "cluster": "sekisho"},
        "admin": operations::admin(bootstrap.admin),
        "overload_manager": operations::overload_manager(),
        "stats_config": operations::stats(),
        "static_resources": {"listeners": listeners, "clusters": clusters},
    });
    if let (false, Some(document)) = (pools.is_empty(), document.as_object_mut()) {
        let extensions = json!([pools::bootstrap_extension()]);
        document.insert("bootstrap_extensions".into(), extensions);
    }
    let yaml = serde_yaml_ng::to_string(&document)?;
    Ok(format!(
        "# Made by `sekisho render envoy` from the policy: change that, not this.\n{yaml}"
    ))
}

/// As protobuf's JSON writes a duration.
fn seconds(millis: u64) -> String {
    format!("{}.{:03}s", millis / 1_000, millis % 1_000)
}

fn socket_address(address: SocketAddr) -> serde_json::Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

#[cfg(test)]
mod tests;
