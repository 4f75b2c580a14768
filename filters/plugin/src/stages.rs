//! Which decisions a module takes.

/// The decisions that one module takes, in the order of a request's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stages {
    /// Who is calling and may they.
    pub scope: bool,
    /// Does the budget allow it.
    pub quota: bool,
    /// Where to.
    pub upstream: bool,
    /// Put it on record.
    pub audit: bool,
}

impl Stages {
    /// None: before a module has said.
    pub const NONE: Self = Self {
        scope: false,
        quota: false,
        upstream: false,
        audit: false,
    };
    /// All: `gateway.wasm`.
    pub const ALL: Self = Self {
        scope: true,
        quota: true,
        upstream: true,
        audit: true,
    };
    /// `scope.wasm`.
    pub const SCOPE: Self = Self {
        scope: true,
        ..Self::NONE
    };
    /// `quota.wasm`.
    pub const QUOTA: Self = Self {
        quota: true,
        ..Self::NONE
    };
    /// `upstream.wasm`.
    pub const UPSTREAM: Self = Self {
        upstream: true,
        ..Self::NONE
    };
    /// `audit.wasm`.
    pub const AUDIT: Self = Self {
        audit: true,
        ..Self::NONE
    };

    /// Whether other modules of the chain take other decisions.
    pub(crate) fn is_part(self) -> bool {
        self != Self::ALL
    }

    /// Whether this module can work from a policy alone.
    pub(crate) const fn needs_sidecar(self) -> bool {
        self.quota || self.audit
    }

    pub(crate) fn names(self) -> Vec<&'static str> {
        [
            ("scope", self.scope),
            ("quota", self.quota),
            ("upstream", self.upstream),
            ("audit", self.audit),
        ]
        .into_iter()
        .filter_map(|(name, on)| on.then_some(name))
        .collect()
    }
}
