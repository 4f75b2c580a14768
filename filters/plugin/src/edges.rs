//! Where a client may say one thing to the gateway and another to a provider, or to itself.

use std::net::{IpAddr, SocketAddr};

/// The name of a header that no provider may see, if this is one: credentials of clients; what
/// makes a server execute another method, path or project than the one that was authorised; and
/// what a client says about where it is.
pub(crate) fn withheld(name: &[u8]) -> Option<&'static str> {
    // Of one length there are few: every header of every request is looked up.
    let of_this_length: &[&'static str] = match name.len() {
        6 => &["cookie", "x-host"],
        7 => &["api-key"],
        9 => &["forwarded", "x-api-key", "x-real-ip"],
        11 => &["x-client-ip"],
        12 => &["x-amz-target"],
        13 => &["authorization", "x-http-method", "x-rewrite-url"],
        14 => &[
            "openai-project",
            "true-client-ip",
            "x-goog-api-key",
            "x-original-uri",
            "x-original-url",
        ],
        15 => &["accept-encoding", "x-forwarded-uri", "x-original-host"],
        16 => &[
            "x-forwarded-host",
            "x-forwarded-port",
            "x-forwarded-path",
            "x-goog-fieldmask",
        ],
        17 => &["x-method-override", "x-original-method"],
        18 => &["x-forwarded-prefix", "x-forwarded-server"],
        19 => &[
            "openai-organization",
            "proxy-authorization",
            "x-goog-user-project",
        ],
        20 => &["x-amz-security-token"],
        22 => &["x-http-method-override"],
        25 => &["ocp-apim-subscription-key"],
        30 => &["x-goog-iam-authorization-token"],
        _ => return None,
    };
    of_this_length
        .iter()
        .find(|header| header.as_bytes() == name)
        .copied()
}

/// Where a request comes from, by the values of `x-forwarded-for` in their order. The proxy has
/// appended its peer; before that, each of the trusted hops has appended its own. What stands
/// further to the left is the client's word. With fewer entries than hops the request has passed
/// them by, and its peer is its client, as Envoy sees it. None: a hop wrote no address.
///
/// `peer` is what the proxy itself says of its peer, if it does: for one on the loopback address
/// Envoy appends its machine's own address to `x-forwarded-for`.
pub(crate) fn client_address<'v>(
    forwarded_for: impl DoubleEndedIterator<Item = &'v [u8]>,
    trusted_hops: u8,
    peer: Option<&'v [u8]>,
) -> Option<IpAddr> {
    let mut entries = forwarded_for
        .rev()
        .flat_map(|value| value.rsplit(|b| *b == b','));
    let appended = entries.next();
    let of_a_hop = trusted_hops
        .checked_sub(1)
        .and_then(|more| entries.nth(more.into()));
    let entry = of_a_hop.or(peer).or(appended)?;
    address(std::str::from_utf8(entry.trim_ascii()).ok()?)
}

/// Some proxies (Azure Application Gateway) append the port, too. An IPv4 address that IPv6
/// writes as its own is what it is.
fn address(text: &str) -> Option<IpAddr> {
    let address: Option<IpAddr> = text.parse().ok();
    let address = address.or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_reaches_a_provider() {
        for header in sekisho_scope::CREDENTIAL_HEADERS {
            assert_eq!(withheld(header.as_bytes()), Some(*header));
        }
    }

    #[test]
    fn what_is_withheld_stands_under_its_length() {
        for header in [
            "accept-encoding",
            "forwarded",
            "true-client-ip",
            "x-amz-target",
            "x-client-ip",
            "x-forwarded-host",
            "x-forwarded-path",
            "x-forwarded-port",
            "x-forwarded-prefix",
            "x-forwarded-server",
            "x-forwarded-uri",
            "x-goog-fieldmask",
            "x-goog-user-project",
            "x-host",
            "x-http-method",
            "x-http-method-override",
            "x-method-override",
            "x-original-host",
            "x-original-method",
            "x-original-uri",
            "x-original-url",
            "x-real-ip",
            "x-rewrite-url",
        ] {
            assert_eq!(withheld(header.as_bytes()), Some(header));
        }
        for header in [
            "content-type",
            "user-agent",
            "x-request-id",
            "anthropic-beta",
            "",
        ] {
            assert_eq!(withheld(header.as_bytes()), None);
        }
    }

    fn of(values: &[&str], hops: u8) -> Option<String> {
        let values = values.iter().map(|value| value.as_bytes());
        client_address(values, hops, None).map(|address| address.to_string())
    }

    #[test]
    fn the_client_is_where_the_last_trusted_hop_says() {
        for (values, hops, expected) in [
            (&["192.0.2.9"][..], 0, "192.0.2.9"),
            (&["10.0.0.1, 192.0.2.9"], 0, "192.0.2.9"),
            (&["10.0.0.1,192.0.2.9"], 1, "10.0.0.1"),
            (&["8.8.8.8, 10.0.0.1,192.0.2.9"], 1, "10.0.0.1"),
            (&["8.8.8.8", "10.0.0.1", "192.0.2.9"], 2, "8.8.8.8"),
            (&["2001:db8::1,192.0.2.9"], 1, "2001:db8::1"),
            (&["[2001:db8::1]:443,192.0.2.9"], 1, "2001:db8::1"),
            (&["10.0.0.1:50123,192.0.2.9"], 1, "10.0.0.1"),
            (&["::ffff:10.0.0.1,192.0.2.9"], 1, "10.0.0.1"),
            // Nobody stood before the gateway: there is no word of a hop.
            (&["192.0.2.9"], 2, "192.0.2.9"),
            (&["10.0.0.1,192.0.2.9"], 2, "192.0.2.9"),
        ] {
            assert_eq!(
                of(values, hops).as_deref(),
                Some(expected),
                "{values:?} {hops}"
            );
        }
    }

    #[test]
    fn what_is_no_address_is_none() {
        for entry in [
            "",
            "unknown",
            "localhost",
            "10.0.0.256",
            "10.0.0",
            "0x0a000001",
            "10.0.0.1 10.0.0.2",
            "_x",
        ] {
            assert_eq!(of(&[&format!("{entry},192.0.2.9")], 1), None, "{entry}");
        }
        assert_eq!(of(&[], 0), None);
        let odd = [b"\xff,192.0.2.9".as_slice()];
        assert_eq!(client_address(odd.into_iter(), 1, None), None);
    }

    #[test]
    fn the_proxy_knows_its_peer_best() {
        let of = |values: &[&'static str], hops| {
            let values = values.iter().map(|value| value.as_bytes());
            client_address(values, hops, Some(b"127.0.0.1")).map(|address| address.to_string())
        };
        assert_eq!(of(&["192.0.2.2"], 0).as_deref(), Some("127.0.0.1"));
        assert_eq!(of(&["10.0.0.1,192.0.2.2"], 0).as_deref(), Some("127.0.0.1"));
        assert_eq!(of(&["10.0.0.1,192.0.2.2"], 1).as_deref(), Some("10.0.0.1"));
        assert_eq!(of(&["10.0.0.1,192.0.2.2"], 2).as_deref(), Some("127.0.0.1"));
        assert_eq!(of(&["unknown,192.0.2.2"], 1), None);
    }
}
