//! Where messages may go: browsers name their push services themselves, and nobody shall make the
//! sidecar knock at what only it can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Longest endpoint, bytes.
const MOST_BYTES: usize = 1024;

/// Why nothing is sent there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Not a URL that nobody else on the way reads.
    #[error("must be an https URL of at most {MOST_BYTES} bytes without user and password")]
    Url,
    /// By the policy.
    #[error("is on a host that `push.hosts` of the policy does not name")]
    Host,
    /// Only the company's own network has it.
    #[error(
        "is at an address that is not public, and `push.private_hosts` of the policy does not name it"
    )]
    Private,
}

/// Whom messages may go to; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Guard(Arc<Hosts>);

#[derive(Debug, Default)]
struct Hosts {
    /// None: every one.
    allowed: Vec<String>,
    private: Vec<String>,
}

impl Guard {
    /// `allowed`: hosts, `*.` for all under a name; none: all that are public. `private`: those that
    /// need not be.
    #[must_use]
    pub fn new(allowed: Vec<String>, private: Vec<String>) -> Self {
        Self(Arc::new(Hosts { allowed, private }))
    }

    /// The URL of a push service, as far as that can be told without asking for addresses.
    ///
    /// # Errors
    /// [`Forbidden`].
    pub fn check(&self, endpoint: &str) -> Result<Url, Forbidden> {
        let url = Url::parse(endpoint).map_err(|_| Forbidden::Url)?;
        let is_plain = url.username().is_empty() && url.password().is_none();
        if endpoint.len() > MOST_BYTES || url.scheme() != "https" || !is_plain {
            return Err(Forbidden::Url);
        }
        let host = url.host().ok_or(Forbidden::Url)?;
        let name = host.to_string();
        if self.is_private_allowed(&name) {
            return Ok(url);
        }
        let (hosts, is_public) = (
            &self.0.allowed,
            match host {
                Host::Domain(name) => !is_local(name),
                Host::Ipv4(address) => is_public(address.into()),
                Host::Ipv6(address) => is_public(address.into()),
            },
        );
        if !is_public {
            return Err(Forbidden::Private);
        }
        if !hosts.is_empty() && !hosts.iter().any(|pattern| fits(pattern, &name)) {
            return Err(Forbidden::Host);
        }
        Ok(url)
    }

    fn is_private_allowed(&self, host: &str) -> bool {
        self.0.private.iter().any(|pattern| fits(pattern, host))
    }
}

/// Names that are never another machine's.
fn is_local(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    !name.contains('.') || name.ends_with(".localhost")
}

fn fits(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => host
            .strip_suffix(parent)
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => pattern == host,
    }
}

/// Whether anybody's machine can reach it (RFC 6890 and its registries).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b));
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b) {
        // IPv4 in another dress: mapped, compatible, translated (NAT64), 6to4.
        (0, 0) if (c, d, e) == (0, 0, 0) => f == 0xffff && v4(g, h),
        (0x64, 0xff9b) => (c, d, e, f) == (0, 0, 0, 0) && v4(g, h),
        (0x2002, _) => v4(b, c),
        // Teredo, ORCHID, documentation.
        (0x2001, b) if b < 0x200 || b == 0xdb8 => false,
        (0x3fff, _) => false,
        // The only network that has been given away.
        _ => a & 0xe000 == 0x2000,
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let may_be_private = self.is_private_allowed(name.as_str());
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found
                .filter(|address| may_be_private || is_public(address.ip()))
                .collect();
            if found.is_empty() {
                return Err(Forbidden::Private.into());
            }
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_we_can_reach_is_no_push_service() {
        let guard = Guard::default();
        for (endpoint, trouble) in [
            ("https://fcm.googleapis.com/fcm/send/x", None),
            ("https://[2600:1901::1]/x", None),
            ("https://8.8.8.8/x", None),
            ("http://fcm.googleapis.com/x", Some(Forbidden::Url)),
            ("https://a:b@push.example.com/", Some(Forbidden::Url)),
            ("x", Some(Forbidden::Url)),
            ("https://localhost/", Some(Forbidden::Private)),
            ("https://sidecar/", Some(Forbidden::Private)),
            ("https://a.localhost./", Some(Forbidden::Private)),
            ("https://127.0.0.1/", Some(Forbidden::Private)),
            ("https://2130706433/", Some(Forbidden::Private)),
            ("https://0x7f.1/", Some(Forbidden::Private)),
            ("https://10.1.2.3/", Some(Forbidden::Private)),
            ("https://169.254.169.254/latest/", Some(Forbidden::Private)),
            ("https://100.100.100.200/", Some(Forbidden::Private)),
            ("https://[::1]/", Some(Forbidden::Private)),
            ("https://[::ffff:10.0.0.1]/", Some(Forbidden::Private)),
            ("https://[64:ff9b::a00:1]/", Some(Forbidden::Private)),
            ("https://[2002:a00:1::]/", Some(Forbidden::Private)),
            ("https://[fd00::1]/", Some(Forbidden::Private)),
            ("https://[fe80::1]/", Some(Forbidden::Private)),
        ] {
            assert_eq!(guard.check(endpoint).err(), trouble, "{endpoint}");
        }
        let long = format!("https://push.example.com/{}", "x".repeat(1024));
        assert_eq!(guard.check(&long), Err(Forbidden::Url));
    }

    #[test]
    fn the_policy_narrows_and_opens() {
        let hosts = ["fcm.googleapis.com", "*.push.apple.com"].map(str::to_owned);
        let private = ["push.corp.example", "127.0.0.1"].map(str::to_owned);
        let guard = Guard::new(hosts.into(), private.into());
        for (endpoint, trouble) in [
            ("https://fcm.googleapis.com/x", None),
            ("https://web.push.apple.com/x", None),
            ("https://push.corp.example:8443/x", None),
            ("https://127.0.0.1:8443/x", None),
            ("https://push.apple.com/x", Some(Forbidden::Host)),
            (
                "https://evilpush.apple.com.example/x",
                Some(Forbidden::Host),
            ),
            ("https://127.0.0.2/x", Some(Forbidden::Private)),
        ] {
            assert_eq!(guard.check(endpoint).err(), trouble, "{endpoint}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_private_address_leads_nowhere() {
        let name = || "localhost".parse().unwrap();
        let refused = Guard::default().resolve(name()).await;
        assert!(refused.is_err());
        let private = vec!["localhost".to_owned()];
        let allowed = Guard::new(Vec::new(), private).resolve(name()).await;
        assert!(allowed.unwrap().all(|address| address.ip().is_loopback()));
    }
}
