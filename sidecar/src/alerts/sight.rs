//! What rules see of a record.

use sekisho_domain::{AuditRecord, RecordId, RecordKind, UnixMillis};

/// One record, as far as rules look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// When, by the gateway's clock.
    pub at: UnixMillis,
    /// Which moment.
    pub kind: RecordKind,
    /// Which call or event.
    pub record: RecordId,
    /// The company's id of the person.
    pub user: Option<String>,
    /// Object id of the account.
    pub account: Option<String>,
    /// Department code.
    pub department: Option<String>,
    /// Why it was refused.
    pub denial: Option<String>,
    /// Whether it tells of an end that nobody saw.
    pub is_unknown_end: bool,
    /// Which key; of refusals alone.
    pub key: Option<String>,
    /// Where from; of refusals alone.
    pub address: Option<String>,
    /// What happened; of events alone.
    pub event: Option<Happening>,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// Its name.
    pub name: String,
    /// To whom or what.
    pub target: String,
    /// Who did it.
    pub by: String,
}

impl Sight {
    /// Adds what stands in the record alone.
    pub(super) fn look_inside(&mut self, body: &[u8]) {
        // What is no record is for `sekisho audit verify` to tell.
        let Ok(record) = serde_json::from_slice::<AuditRecord<'_>>(body) else {
            return;
        };
        let caller = &record.caller;
        self.key = caller.key.as_deref().map(str::to_owned);
        self.address = caller.address.as_deref().map(network);
        self.event = record.event.as_ref().map(|event| {
            let names = [&caller.user, &caller.object_id, &caller.application];
            let by = names.into_iter().flatten().next();
            Happening {
                name: event.name.clone().into_owned(),
                target: event.target.as_deref().unwrap_or_default().to_owned(),
                by: by.map_or_else(String::new, |by| by.clone().into_owned()),
            }
        });
    }
}

/// Whoever has an IPv6 address has a whole network of 64 bits of them.
fn network(address: &str) -> String {
    match address.parse::<std::net::Ipv6Addr>() {
        Ok(address) if address.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_ipv6_network_are_one() {
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("2001:db8:1:2::9"), "2001:db8:1:2::/64");
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("::ffff:192.0.2.7"), "::ffff:192.0.2.7");
    }
}
