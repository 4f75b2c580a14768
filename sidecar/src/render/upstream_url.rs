//! What an upstream's URL means for Envoy.

use std::net::IpAddr;

use url::{Host, Url};

use super::RenderError;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) tls: bool,
    /// Name or address, IPv6 without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether `host` is an address: it has no SNI then.
    pub(super) address: Option<IpAddr>,
    /// The `Host` header: the port is there if it is not the scheme's own.
    pub(super) authority: String,
}

/// `upstream`: whose URL it is, for errors.
pub(super) fn origin(upstream: &str, url: &str) -> Result<Origin, RenderError> {
    let unusable = || RenderError::UnusableUrl {
        upstream: upstream.to_owned(),
        url: url.to_owned(),
    };
    let url = Url::parse(url).map_err(|_| unusable())?;
    let host = url.host().ok_or_else(unusable)?;
    let port = url.port_or_known_default().filter(|port| *port != 0);
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_string(),
    };
    let address = match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
    };
    Ok(Origin {
        tls: url.scheme() == "https",
        host: address.map_or_else(|| host.to_string(), |address| address.to_string()),
        port: port.ok_or_else(unusable)?,
        address,
        authority,
    })
}
