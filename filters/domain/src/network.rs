//! Networks that callers may come from.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

/// A network in CIDR notation (RFC 4632; RFC 4291, section 2.3). A single address is the
/// network of itself. What IPv6 writes as a mapped IPv4 address (`::ffff:192.0.2.1`) is
/// that IPv4 address, in networks as in addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpNet);

/// Why a text is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Not CIDR notation.
    #[error("must be a network such as `192.0.2.0/24` or `2001:db8::/32`, or one address")]
    Form,
    /// Bits are set beyond the prefix: an address, or a prefix mistyped.
    #[error("has bits beyond its prefix; the network is `{network}`")]
    BitsBeyondPrefix { network: Network },
}

impl Network {
    /// Whether the address belongs to it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Form)?;
        let network = match prefix {
            None => IpNet::from(address),
            Some(prefix) => decimal(prefix)
                .and_then(|prefix| IpNet::new(address, prefix).ok())
                .ok_or(NetworkError::Form)?,
        };
        let network = unmapped(network);
        if network.addr() != network.network() {
            let network = Self(network.trunc());
            return Err(NetworkError::BitsBeyondPrefix { network });
        }
        Ok(Self(network))
    }
}

/// Leading zeros and signs mean something else to others.
fn decimal(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    let plain = plain && (text.len() == 1 || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// A network of mapped IPv4 addresses as the IPv4 network that it is.
fn unmapped(network: IpNet) -> IpNet {
    let mapped = match network.addr() {
        IpAddr::V6(address) => Ipv6Addr::to_ipv4_mapped(&address),
        IpAddr::V4(_) => None,
    };
    mapped
        .zip(network.prefix_len().checked_sub(96))
        .and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok())
        .map_or(network, IpNet::V4)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        for (net, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("::/0", "2001:db8::1", "203.0.113.9"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.0.0.1"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.1"),
            ("::1", "::1", "::2"),
        ] {
            let parsed = network(net);
            assert!(parsed.contains(address(inside)), "{net} {inside}");
            assert!(!parsed.contains(address(outside)), "{net} {outside}");
        }
    }

    #[test]
    fn whatever_is_not_a_network_is_refused() {
        for text in [
            "",
            "/",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "010.0.0.0/8",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            " 10.0.0.0/8",
            "10.0.0.0/8 ",
            "10.0.0.0/8/8",
            "10.0.0.0/-1",
            "fe80::1%eth0",
            "localhost",
            "10.0.0.0/255.0.0.0",
            "[::1]",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError::Form), "{text}");
        }
    }

    #[test]
    fn bits_beyond_the_prefix_are_named_with_the_network_that_was_meant() {
        let error = "10.1.2.3/8".parse::<Network>().unwrap_err();
        let text = "has bits beyond its prefix; the network is `10.0.0.0/8`";
        assert_eq!(error.to_string(), text);
        assert!("2001:db8::1/32".parse::<Network>().is_err());
        assert!("::ffff:10.0.0.1/104".parse::<Network>().is_err());
    }

    #[test]
    fn a_network_is_written_as_it_is_read() {
        for text in ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32"] {
            assert_eq!(network(text).to_string(), text);
        }
    }
}
