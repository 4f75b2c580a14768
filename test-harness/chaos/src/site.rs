//! The company of a run: its policy, its people's tokens, its Envoys.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sekisho::clock::Clock;
use sekisho::policy_file::{self, PolicyFile};
use sekisho::render::{self, AccessLog, Bootstrap, LinkTarget, Modules};
use sekisho_test_harness::on_envoy::process::{Envoy, LogLevels};
use sekisho_test_harness::tokens::{self, Algorithm, KEY_ID, Signer, Subject};
use serde_json::json;
use tempfile::TempDir;

use crate::{ChaosError, Place};

/// Whose tokens are limited.
pub(crate) const TOKENS: &str = "sales";
/// Whose money is limited.
pub(crate) const MONEY: &str = "hr";
/// Whose tokens are limited while answers stream.
pub(crate) const STREAMS: &str = "research";
/// Whose calls find out whether a gateway works; nothing is limited.
pub(crate) const PROBER: &str = "systems";

/// Who pays, in the order of the numbers with which prompts begin.
pub(crate) const PAYERS: [&str; 4] = [TOKENS, MONEY, PROBER, STREAMS];
/// The number of the payer whose answers are followed.
pub(crate) const FOLLOWED: usize = 3;

/// What a streamed answer of [`STREAMS`] begins with, and by how much it may be over.
const ESTIMATE_TOKENS: u64 = 320;
const AHEAD_TOKENS: u64 = 64;

/// Micro-yen of a token.
pub(crate) const INPUT_PRICE: u64 = 375;
pub(crate) const OUTPUT_PRICE: u64 = 1500;

const ISSUER: &str = "https://login.chaos.example/t/v2.0";
const AUDIENCE: &str = "api://sekisho";

/// What the departments may spend: so much that it never ends within a run, if nothing else
/// is said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of [`TOKENS`] in a month, and of [`STREAMS`].
    pub(crate) tokens: u64,
    /// Of [`MONEY`] in a month, micro-yen.
    pub(crate) micros: u64,
}

impl Limits {
    /// By how much answers that stream may take [`STREAMS`] over its limit, tokens.
    pub(crate) fn stream_bound(self) -> u64 {
        (self.tokens * AHEAD_TOKENS).div_ceil(ESTIMATE_TOKENS)
    }
}

/// Files and facts of a run.
pub(crate) struct Site {
    folder: TempDir,
    pub(crate) policy: Arc<PolicyFile>,
}

impl Site {
    pub(crate) fn new(upstream: SocketAddr, limits: Limits) -> Result<Self, ChaosError> {
        let folder = TempDir::with_prefix("sekisho-chaos-")?;
        let (n, e) = tokens::published()?;
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let departments = PAYERS.map(|id| json!({"id": id, "name": id}));
        // YAML's own flow style is JSON.
        let policy = json!({
            "version": 1, "organisation": "Chaos K.K.", "time_zone": "Asia/Tokyo", "currency": "JPY",
            "scopes": {"all_apis": null, "text_apis": "all_apis"},
            "directory": "none",
            "issuers": [{
                "issuer": ISSUER, "tenant": "t", "audiences": [AUDIENCE],
                "department_claim": "department",
                "jwks": {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID,
                                   "n": encode(&n), "e": encode(&e)}]},
            }],
            "departments": departments,
            "upstreams": [{"name": "llm", "provider": "openai", "url": format!("http://{upstream}")}],
            "apis": [{
                "name": "openai", "provider": "openai", "operations": ["chat_completions"],
                "scope": "text_apis",
                "models": [{"name": "gpt-4o", "upstream": "llm", "hidden_output_tokens": 0}],
            }],
            "budgets": [
                {"id": "tokens", "department": TOKENS, "meter": "tokens", "window": "month", "limit": limits.tokens},
                {"id": "money", "department": MONEY, "meter": "cost", "window": "month",
                 "limit": format!("{}.{:06}", limits.micros / 1_000_000, limits.micros % 1_000_000)},
                {"id": "streams", "department": STREAMS, "meter": "tokens", "window": "month", "limit": limits.tokens,
                 "mode": "stream_cut", "estimate_tokens": ESTIMATE_TOKENS, "ahead_tokens": AHEAD_TOKENS},
            ],
            "prices": [{"model": "gpt-4o", "from": "2024-10-01",
                        "input_per_million": INPUT_PRICE, "output_per_million": OUTPUT_PRICE}],
            "audit": {"mode": "strict"},
            "limits": {"ack_timeout_millis": 2_000},
        });
        let file = folder.path().join("sekisho.yaml");
        std::fs::write(&file, serde_json::to_vec_pretty(&policy)?)?;
        let policy = policy_file::load(&file).map_err(|error| match error {
            policy_file::PolicyFileError::Problems { problems, .. } => {
                let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
                ChaosError::Policy(texts.join("; "))
            }
            other => ChaosError::Policy(other.to_string()),
        })?;
        Ok(Self {
            folder,
            policy: Arc::new(policy),
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A token of a person of a department.
    pub(crate) fn token(&self, department: &str, person: usize) -> Result<String, ChaosError> {
        let scopes = ["text_apis".to_owned()];
        let object_id = format!("00000000-0000-4000-8000-{person:012}");
        let subject = Subject {
            issuer: ISSUER,
            tenant: "t",
            audience: AUDIENCE,
            object_id: &object_id,
            scopes: &scopes,
        };
        let mut claims = tokens::claims(&subject, Clock::system().now());
        claims.insert("department".to_owned(), json!(department));
        Ok(tokens::sign(
            &claims,
            Signer::Issuer,
            Algorithm::RS256,
            KEY_ID,
        )?)
    }

    /// Starts an Envoy of two workers that finds its sidecar behind one of these addresses.
    pub(crate) async fn envoy(
        &self,
        place: &Place,
        name: &str,
        links: &[SocketAddr],
    ) -> Result<Envoy, ChaosError> {
        let folder = self.path(name);
        let secrets = folder.join("secrets");
        std::fs::create_dir_all(&secrets)?;
        let any_port = (Ipv4Addr::LOCALHOST, 0).into();
        let target = |link: &SocketAddr| LinkTarget::HostPort(link.ip().to_string(), link.port());
        let bootstrap = Bootstrap {
            filters: std::path::absolute(&place.filters)?,
            modules: Modules::Gateway,
            listen: any_port,
            tls: None,
            admin: any_port,
            links: links.iter().map(target).collect(),
            secrets,
            ca: "/etc/ssl/certs/ca-certificates.crt".into(),
            access_log: AccessLog::None,
        };
        let configuration = render::envoy(&self.policy.policy, &bootstrap)?;
        Ok(Envoy::start(
            &place.envoy,
            &folder,
            &configuration,
            2,
            LogLevels::default(),
        )
        .await?)
    }

    /// The policy as sidecars read it.
    pub(crate) fn policy_file(&self) -> PathBuf {
        self.path("sekisho.yaml")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves the folder where it is, for whoever wants to know what happened.
    pub(crate) fn keep(self) -> PathBuf {
        self.folder.keep()
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<SocketAddr, ChaosError> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
