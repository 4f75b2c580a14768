//! A gateway that is measured, and what each round said of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// `NAME=PORT:PID[:PID]`: a gateway on this machine, its process, and its sidecar's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) gateway: u32,
    pub(crate) sidecar: Option<u32>,
}

#[derive(Debug, thiserror::Error)]
#[error("must be `NAME=PORT:PID` or `NAME=PORT:PID:SIDECAR-PID`")]
pub(crate) struct NotARow;

impl FromStr for Row {
    type Err = NotARow;

    fn from_str(text: &str) -> Result<Self, NotARow> {
        let (name, rest) = text.split_once('=').ok_or(NotARow)?;
        let mut numbers = rest.split(':');
        let port: u16 = numbers.next().and_then(|n| n.parse().ok()).ok_or(NotARow)?;
        let gateway = numbers.next().and_then(|n| n.parse().ok()).ok_or(NotARow)?;
        let sidecar = numbers
            .next()
            .map(str::parse)
            .transpose()
            .map_err(|_| NotARow)?;
        if name.is_empty() || numbers.next().is_some() {
            return Err(NotARow);
        }
        Ok(Self {
            name: name.to_owned(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            gateway,
            sidecar,
        })
    }
}

/// What a row is asked, and what it is held against; its name says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A whole chain of filters: chat completions.
    Chain,
    /// The check of a token alone, of tokens that were all verified before.
    CachedToken,
    /// The check of a token alone, of tokens that were never seen before.
    FirstSeenToken,
    /// What bodies of a form cost; latency is that of the answer's first byte.
    Payload(Payload),
}

/// Forms of requests and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// JSON of about 1 KiB.
    Small,
    /// JSON of 100 KiB, and as much in the answer.
    Large,
    /// An answer of 200 server-sent events, each sent by itself.
    Events,
    /// A request of 20 MB.
    Upload,
}

impl Payload {
    pub(crate) const ALL: [Self; 4] = [Self::Small, Self::Large, Self::Events, Self::Upload];

    /// Names of the row with our filters, and of the one without.
    pub(crate) const fn rows(self) -> (&'static str, &'static str) {
        match self {
            Self::Small => ("json-1k", "json-1k-bare"),
            Self::Large => ("json-100k", "json-100k-bare"),
            Self::Events => ("sse-200", "sse-200-bare"),
            Self::Upload => ("upload-20m", "upload-20m-bare"),
        }
    }

    /// Of so many requests of the usual size, how many of this one take about as long.
    pub(crate) const fn share(self, requests: u32) -> u32 {
        let share = match self {
            Self::Small => requests,
            Self::Large => requests / 5,
            Self::Events => requests / 10,
            Self::Upload => requests / 200,
        };
        if share < 5 { 5 } else { share }
    }

    /// The same of requests per second.
    pub(crate) const fn rate(self, rate: u32) -> u32 {
        let rate = match self {
            Self::Small => rate,
            Self::Large => rate / 5,
            Self::Events => rate / 10,
            Self::Upload => rate / 200,
        };
        if rate < 1 { 1 } else { rate }
    }
}

impl Kind {
    /// The kind of the row of this name.
    pub(crate) fn of(name: &str) -> Self {
        let payload = Payload::ALL.into_iter().find(|payload| {
            let (gateway, bare) = payload.rows();
            name == gateway || name == bare
        });
        if let Some(payload) = payload {
            return Self::Payload(payload);
        }
        match name {
            "token-bare" | "token-cached" | "token-floor" | "native-cached" => Self::CachedToken,
            "token-first-seen" | "native-first-seen" => Self::FirstSeenToken,
            _ => Self::Chain,
        }
    }

    /// The row without filters, which says what is added.
    pub(crate) const fn bare(self) -> &'static str {
        match self {
            Self::Chain => "bare",
            Self::CachedToken | Self::FirstSeenToken => "token-bare",
            Self::Payload(payload) => payload.rows().1,
        }
    }

    /// The row with Envoy's own filters in place of ours.
    pub(crate) const fn native(self) -> Option<&'static str> {
        match self {
            Self::Chain => Some("native"),
            Self::CachedToken => Some("native-cached"),
            Self::FirstSeenToken => Some("native-first-seen"),
            Self::Payload(_) => None,
        }
    }

    /// Requests per second when latency is measured, of so many of the usual size.
    pub(crate) const fn rate(self, rate: u32) -> u32 {
        match self {
            Self::Payload(payload) => payload.rate(rate),
            _ => rate,
        }
    }

    /// Which moment of an answer is measured.
    pub(crate) const fn until(self) -> Until {
        match self {
            Self::Payload(_) => Until::FirstByte,
            _ => Until::End,
        }
    }
}

/// The moment at which a latency ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// The first byte of the answer's body is there.
    FirstByte,
    /// The last one is.
    End,
}

/// What one round at saturation said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Saturated {
    /// Processor time of the gateway per request, microseconds.
    pub(crate) cpu_us: f64,
    /// The same of its sidecar.
    pub(crate) sidecar_cpu_us: Option<f64>,
    /// Requests per second.
    pub(crate) rate: f64,
    /// Memory of the gateway's process after the round, MiB.
    pub(crate) resident_mib: f64,
}

/// What one round at a fixed rate said, milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paced {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// All rounds of one row, in order; every row has as many.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds {
    pub(crate) saturated: Vec<Saturated>,
    pub(crate) paced: Vec<Paced>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_for_tokens_is_held_against_others_for_tokens() {
        for (name, bare, native) in [
            ("gateway-strict", "bare", Some("native")),
            ("gateway-strict-before", "bare", Some("native")),
            ("token-cached", "token-bare", Some("native-cached")),
            ("native-cached", "token-bare", Some("native-cached")),
            ("token-first-seen", "token-bare", Some("native-first-seen")),
            ("sse-200", "sse-200-bare", None),
            ("sse-200-bare", "sse-200-bare", None),
        ] {
            let kind = Kind::of(name);
            assert_eq!((kind.bare(), kind.native()), (bare, native), "{name}");
        }
    }

    #[test]
    fn a_row_names_port_and_processes() {
        let row: Row = "bare=10001:42".parse().unwrap();
        assert_eq!(
            (row.address.port(), row.gateway, row.sidecar),
            (10001, 42, None)
        );
        let row: Row = "strict=10001:42:43".parse().unwrap();
        assert_eq!(row.sidecar, Some(43));
        for bad in [
            "",
            "bare",
            "bare=1",
            "=1:2",
            "bare=1:2:3:4",
            "bare=x:2",
            "bare=1:2:",
        ] {
            assert!(bad.parse::<Row>().is_err(), "{bad}");
        }
    }
}
