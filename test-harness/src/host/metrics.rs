//! Metrics that filters defined.

/// The kinds, as the ABI numbers them; an id's lowest two bits are its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}

pub(crate) const KIND_MASK: u32 = 3;
pub(crate) const ID_STEP: u32 = 4;

impl Kind {
    pub(crate) const fn from_abi(kind: u32) -> Option<Self> {
        Some(match kind {
            0 => Self::Counter,
            1 => Self::Gauge,
            2 => Self::Histogram,
            _ => return None,
        })
    }
}

/// A metric's value. All VMs of the proxy that define a name share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metric {
    Counter(u64),
    Gauge(u64),
    /// The recorded samples, in order.
    Histogram(Vec<u64>),
}

impl Metric {
    pub(crate) const fn new(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter(0),
            Kind::Gauge => Self::Gauge(0),
            Kind::Histogram => Self::Histogram(Vec::new()),
        }
    }
}
