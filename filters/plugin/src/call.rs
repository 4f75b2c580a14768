//! One call on its way through this module.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use sekisho_audit::{About, Passage};
use sekisho_domain::policy::Contents;
use sekisho_domain::{Price, Provider, UnixMillis};
use sekisho_providers::{Edit, Edits, Operation, StreamWire};
use sekisho_quota::{Reservation, Streamed};
use sekisho_scope::Principal;

use crate::keeping::Keeping;
use crate::worker::Compiled;

/// Where a call is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its request is being read.
    #[default]
    Reading,
    /// The sidecar is asked for the signing key of its token: nobody has vouched for the caller.
    Asking,
    /// It waits for leases or its record; its request is held.
    Held,
    /// It goes upstream.
    Admitted,
    /// Its answer has ended, but for the last byte, which waits for the record.
    Ending,
    /// Nothing more is to be done.
    Done,
}

/// What this module knows of a call.
#[derive(Debug, Default)]
pub(crate) struct Call {
    pub(crate) phase: Phase,
    pub(crate) passage: Passage,
    /// The policy by which the call was looked at.
    pub(crate) compiled: Option<Rc<Compiled>>,
    /// The snapshot by which its caller was looked at.
    pub(crate) known: u64,
    /// What the records of this call have in common, once it is admitted.
    pub(crate) about: About,
    /// Path and query as they came.
    pub(crate) raw_path: Vec<u8>,
    /// When it was let go upstream.
    pub(crate) admitted: Option<UnixMillis>,
    /// Headers that must not reach a provider.
    pub(crate) unwanted: Vec<&'static str>,
    /// Where it comes from, if that is known.
    pub(crate) address: Option<IpAddr>,
    /// Who calls, where this module has found out.
    pub(crate) principal: Option<Arc<Principal>>,
    /// Place in the policy's list of APIs.
    pub(crate) api: usize,
    pub(crate) provider: Option<Provider>,
    pub(crate) operation: Option<&'static Operation>,
    pub(crate) strict: bool,
    /// The model as the client wrote it, if that is not the name under which it is offered.
    pub(crate) written: String,
    /// What makes the stream report usage that its client has not asked for.
    pub(crate) ask: Option<Edit>,
    /// Changes of the body that are still to be made.
    pub(crate) edits: Edits,
    /// Its answer may be as long as it likes: nothing bounds the bytes that it can use.
    pub(crate) is_boundless: bool,
    pub(crate) reservations: Vec<Reservation>,
    pub(crate) price: Option<Price>,
    /// Where budgets follow its answer: what it has used.
    pub(crate) streamed: Option<Followed>,
    /// Where the policy keeps bodies.
    pub(crate) keeping: Option<Box<Keeping>>,
}

/// An answer that budgets follow as it streams.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    pub(crate) wire: StreamWire,
    pub(crate) streamed: Streamed,
    /// It was cut: its last bytes are on their way to the client, after which it is reset.
    pub(crate) is_cut: bool,
}

impl Call {
    /// Whether its bodies count as usage.
    pub(crate) fn counts_bytes(&self) -> bool {
        self.operation
            .is_none_or(|operation| operation.counts_bytes)
    }

    /// The longest answer that is passed on, bytes; none: any.
    pub(crate) fn answer_bound(&self) -> Option<u64> {
        let compiled = self.compiled.as_ref()?;
        compiled.response_body_bytes(self.api)
    }

    /// What is kept of its bodies. Sessions have no one body.
    pub(crate) fn contents(&self) -> Contents {
        let is_socket = self.operation.is_some_and(|operation| operation.is_socket);
        let compiled = self.compiled.as_ref().filter(|_| !is_socket);
        let api = compiled.and_then(|compiled| compiled.policy.apis.get(self.api));
        api.map_or(Contents::None, |api| api.contents)
    }

    /// Whether its use is counted in tokens.
    pub(crate) fn counts_tokens(&self) -> bool {
        let per_token = || self.price.as_ref().is_some_and(Price::is_per_token);
        self.operation
            .is_none_or(|operation| operation.counts_tokens(per_token))
    }
}

/// A call that its filter and the link share: whichever hears first moves it on.
pub(crate) type SharedCall = Rc<RefCell<Call>>;
