//! What scenarios ask of a gateway, whichever host its filters run in.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sekisho_domain::UnixMillis;
use serde::Deserialize;

use crate::host::HostError;
use crate::sidecar::{Sidecar, SidecarError};

/// What the filters run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum HostKind {
    /// The test host: no Envoy, and a clock that scenarios move.
    Wasm,
    /// Envoy itself, the real time.
    Envoy,
}

/// Which modules are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ModuleSet {
    /// `gateway.wasm`.
    Gateway,
    /// `scope.wasm`, `quota.wasm`, `upstream.wasm`, `audit.wasm`, in this order.
    Separate,
}

impl ModuleSet {
    /// Names in the order of the chain.
    #[must_use]
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Gateway => &["gateway"],
            Self::Separate => &["scope", "quota", "upstream", "audit"],
        }
    }
}

impl fmt::Display for HostKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wasm => "wasm",
            Self::Envoy => "envoy",
        })
    }
}

impl fmt::Display for ModuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gateway => "gateway",
            Self::Separate => "separate",
        })
    }
}

/// Where things are.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder of the filter modules.
    pub filters: PathBuf,
    /// Envoy's binary; only for [`HostKind::Envoy`].
    pub envoy: Option<PathBuf>,
}

impl Place {
    /// What SEKISHO_FILTERS and SEKISHO_ENVOY say; else the filters as they were built here, and
    /// no Envoy.
    #[must_use]
    pub fn of_this_checkout() -> Self {
        let filters = std::env::var_os("SEKISHO_FILTERS").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/filters"),
            PathBuf::from,
        );
        Self {
            filters,
            envoy: std::env::var_os("SEKISHO_ENVOY").map(PathBuf::from),
        }
    }
}

/// What becomes of the sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disturbance {
    /// It hears nothing and says nothing, but its connections stay open.
    Stall,
    /// Its connections are cut, new ones refused.
    Cut,
    /// It is there again.
    Resume,
    /// Its process ends at once and begins anew on the same data.
    Restart,
}

/// A request as a client sends it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Path and query, as they stand on the request line.
    pub path: String,
    /// Headers in order; values are bytes and may be anything.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body in the pieces in which it is sent; none: no body.
    pub body: Vec<Vec<u8>>,
    /// Sent without a length.
    pub chunked: bool,
    /// The client goes away once it has got this many bytes of the answer's body.
    pub leaves_after: Option<usize>,
    /// The address that the client connects from, one of the loopback network's; 127.0.0.1 if
    /// nothing else is said.
    pub from: Option<Ipv4Addr>,
}

/// What a provider answers.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers, without those that frame the body.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body in the pieces in which it is sent.
    pub body: Vec<Vec<u8>>,
    /// Sent without a length.
    pub chunked: bool,
    /// What happens to the sidecar when all but the last byte has been sent.
    pub before_end: Option<Disturbance>,
    /// How it ends.
    pub end: AnswerEnd,
    /// So long it takes to begin.
    pub after: Duration,
    /// What upstreams of these names answer instead.
    pub elsewhere: BTreeMap<String, Answer>,
}

impl Answer {
    /// What the upstream of this name answers.
    #[must_use]
    pub fn of(&self, upstream: &str) -> &Self {
        self.elsewhere.get(upstream).unwrap_or(self)
    }
}

/// How a provider's answer ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerEnd {
    /// As it should.
    #[default]
    Whole,
    /// The connection is cut.
    Cut,
    /// Not while the client is there.
    Never,
    /// There is none: the connection is closed instead.
    Unanswered,
}

/// A request as a provider saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The upstream of the policy that was asked.
    pub cluster: String,
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body.
    pub body: Vec<u8>,
    /// How many records were in the log at that moment.
    pub log_size: u64,
}

/// What a client got.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body as far as it came.
    pub body: Vec<u8>,
    /// It ended as it should.
    pub complete: bool,
}

/// What came of a request.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// None: the connection ended without an answer, or the client did not wait for it.
    pub response: Option<Response>,
    /// What providers saw.
    pub seen: Vec<Seen>,
    /// With [`Answer::before_end`]: whether the end waited for the sidecar, and what of the
    /// body the client had meanwhile.
    pub waited: Option<Vec<u8>>,
    /// From the request's first byte to the answer's last.
    pub took: Duration,
    /// By how many bytes the memory of all VMs together has grown, where the host can tell.
    pub grown: Option<usize>,
}

/// A side of a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Who has opened it.
    Client,
    /// The provider.
    Server,
}

/// What a side of a WebSocket has heard.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// All bytes behind the handshake.
    pub bytes: Vec<u8>,
    /// The connection is over.
    pub over: bool,
}

/// Why a gateway cannot do what a scenario wants.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A module is missing.
    #[error("`{}` is not there: run scripts/build-filters", .0.display())]
    NoModule(PathBuf),
    /// Envoy is missing.
    #[error("there is no Envoy at `{}`: set SEKISHO_ENVOY to an Envoy 1.40 or later", .0.display())]
    NoEnvoy(PathBuf),
    /// Envoy is not named.
    #[error("SEKISHO_ENVOY is not set to an Envoy 1.40 or later")]
    NoEnvoyNamed,
    /// The test host does not start.
    #[error("the test host did not start")]
    Host(#[from] HostError),
    /// The sidecar fails.
    #[error(transparent)]
    Sidecar(#[from] SidecarError),
    /// Envoy does not start.
    #[error("Envoy did not start: {0}")]
    EnvoyNotReady(String),
    /// No configuration for Envoy.
    #[error("no configuration for Envoy can be made")]
    Render(#[from] sekisho::render::RenderError),
    /// No secrets for Envoy.
    #[error("the providers' secrets cannot be written")]
    Secrets(#[from] sekisho::render::secrets::SecretsError),
    /// The operating system refuses.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A request that this host's client cannot send.
    #[error("the request cannot be sent: {0}")]
    Unsendable(String),
    /// Nobody can move the real time.
    #[error("only the wasm host has a clock that can be moved: say `hosts: [wasm]`")]
    RealTime,
}

/// Every secret of a provider begins so.
pub const SECRET_PREFIX: &str = "secret-of-";

/// A gateway with its sidecar.
pub trait Gateway {
    /// Sends a request, answers in the provider's place, and waits for what comes of it.
    ///
    /// # Errors
    /// [`GatewayError`] if the host itself fails; a refusal is an answer.
    fn call(&mut self, request: &Request, answer: &Answer) -> Result<Exchange, GatewayError>;

    /// Opens a WebSocket, to which the provider agrees, and leaves it open until the next.
    ///
    /// # Errors
    /// [`GatewayError`] if the host itself fails; a refusal is an answer.
    fn open_socket(&mut self, request: &Request) -> Result<Exchange, GatewayError>;

    /// A side of the open WebSocket says something.
    fn say(&mut self, side: Side, bytes: &[u8]);

    /// What a side has heard so far.
    fn heard(&self, side: Side) -> Heard;

    /// A side goes away.
    fn hang_up(&mut self, side: Side);

    /// Moves the clock.
    ///
    /// # Errors
    /// [`GatewayError::RealTime`] on a host that cannot.
    fn advance(&mut self, by: Duration) -> Result<(), GatewayError>;

    /// Does something to the sidecar.
    ///
    /// # Errors
    /// [`GatewayError`] if the sidecar does not come back.
    fn disturb(&mut self, what: Disturbance) -> Result<(), GatewayError>;

    /// Lets a change of the directory reach the filters.
    ///
    /// # Errors
    /// [`GatewayError`] if it does not within a second.
    fn let_arrive(&mut self) -> Result<(), GatewayError>;

    /// Lets some time pass in which filters can tell what they have to tell.
    fn wait(&mut self);

    /// The gateway's time.
    fn now(&self) -> UnixMillis;

    /// Its sidecar.
    fn sidecar(&self) -> &Sidecar;

    /// What its filters logged: for whoever looks for a mistake.
    fn log(&self) -> Vec<String>;

    /// All that was written where others than its owner may read it, each with its name.
    fn exposed(&self) -> Vec<(&'static str, String)> {
        vec![("the log of the filters", self.log().join("\n"))]
    }
}
