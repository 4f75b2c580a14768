//! The company: its policy, which is written anew for every life of the sidecar, and the days of
//! records that were there before.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use sekisho::clock::Clock;
use sekisho::events::Author;
use sekisho::link::{Link, LinkError, LinkSession};
use sekisho::policy_file;
use sekisho::snapshot::SnapshotHub;
use sekisho::store::Store;
use sekisho::writer::{Post, Writer};
use sekisho_domain::{AuditRecord, DenialCode, RecordKind, UnixMillis};
use sekisho_link::v1;
use sekisho_test_harness::tokens::{self, KEY_ID};
use sekisho_test_worker::{call, entry, record};
use serde_json::json;
use tempfile::TempDir;

use super::Kept;
use crate::ChaosError;

const HOUR: u64 = 3_600_000;
pub(super) const DAY: u64 = 24 * HOUR;
/// So often a day is signed while it is written.
const PARTS: u64 = 3;
/// Calls of one batch, at most.
const BATCH: u64 = 60;
const DEPARTMENTS: [&str; 2] = ["sales", "hr"];

pub(super) struct Company {
    folder: TempDir,
    to: Option<String>,
}

fn wrong(error: &dyn std::fmt::Display) -> ChaosError {
    ChaosError::Policy(error.to_string())
}

impl Company {
    /// `to`: where its older records go; none: into the sidecar's state.
    pub(super) fn new(to: Option<String>) -> Result<Self, ChaosError> {
        let folder = TempDir::with_prefix("sekisho-retention-")?;
        let company = Self { folder, to };
        company.keep(None)?;
        Ok(company)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn policy(&self) -> PathBuf {
        self.path("sekisho.yaml")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(super) fn database(&self) -> String {
        format!("sqlite:{}", self.path("sekisho.db").display())
    }

    /// Where its older records are.
    pub(super) fn place(&self) -> String {
        let of_state = || format!("file://{}", self.state().join("cold").display());
        self.to.clone().unwrap_or_else(of_state)
    }

    /// Leaves the folder where it is.
    pub(super) fn leave(self) -> PathBuf {
        self.folder.keep()
    }

    /// Writes the policy; none: whatever is on record stays in the database.
    pub(super) fn keep(&self, kept: Option<Kept>) -> Result<(), ChaosError> {
        let (n, e) = tokens::published()?;
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let departments = DEPARTMENTS.map(|id| json!({"id": id, "name": id}));
        let mut policy = json!({
            "version": 1, "organisation": "Chaos K.K.", "time_zone": "Asia/Tokyo", "currency": "JPY",
            "scopes": {"all_apis": null},
            "directory": "none",
            "issuers": [{"issuer": "https://login.chaos.example/t/v2.0", "tenant": "t",
                         "audiences": ["api://sekisho"], "department_claim": "department",
                         "jwks": {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID,
                                            "n": encode(&n), "e": encode(&e)}]}}],
            "departments": departments,
            "upstreams": [{"name": "llm", "provider": "openai", "url": "https://llm.example"}],
            "apis": [{
                "name": "openai", "provider": "openai", "operations": ["chat_completions"],
                "scope": "all_apis", "models": [{"name": "gpt-4o", "upstream": "llm"}],
            }],
            "prices": [{"model": "gpt-4o", "from": "2024-10-01",
                        "input_per_million": 375, "output_per_million": 1500}],
        });
        if let (Some(kept), Some(members)) = (kept, policy.as_object_mut()) {
            let retention = json!({
                "database_days": kept.database_days, "days": kept.days, "to": self.to,
            });
            members.insert("retention".to_owned(), retention);
        }
        std::fs::write(self.policy(), serde_json::to_vec_pretty(&policy)?)?;
        Ok(())
    }

    /// Writes the records of so many days, the last of them yesterday's.
    pub(super) async fn fill(
        &self,
        (days, calls): (u64, u64),
        now: UnixMillis,
        random: &mut fastrand::Rng,
    ) -> Result<(), ChaosError> {
        let key = self.log_key(random)?;
        let file = policy_file::load(&self.policy()).map_err(|error| wrong(&error))?;
        let policy = std::sync::Arc::new(file.policy);
        let (clock, hand) = Clock::moved(UnixMillis(now.0.saturating_sub(days * DAY)));
        let store = Store::open(&self.database()).await?;
        let post = Post {
            policy: policy.clone(),
            clock: clock.clone(),
            log_key: key,
            checkpoint_dir: Some(self.state().join("checkpoints")),
            contents_key: None,
            reserve_bytes: 0,
        };
        let writer = Writer::start_with(store.clone(), post).await;
        let writer = writer.map_err(|error| wrong(&error))?;
        let hub = SnapshotHub::new(policy, file.json, random.u128(..).to_be_bytes().to_vec());
        let link = Link::new(writer.clone(), hub);
        for day in 0..days {
            for _ in 0..PARTS {
                let count = random.u64(0..=calls * 2 / PARTS);
                // Another one each time: what nobody hears of for hours is gone.
                let mut gateway = Gateway::new(&link, random);
                gateway.tell(count, &clock, random).await?;
                let mut author = Author::program("backup", clock.now(), bytes(random));
                let told = author.tell("backup.done", &format!("day {day}"));
                let told = writer.record(told).await;
                told.map_err(|error| wrong(&error))?;
                let ticked = writer.tick().await;
                ticked.map_err(|error| wrong(&error))?;
                hand.advance(DAY / PARTS - 60_000);
            }
            hand.advance(PARTS * 60_000);
        }
        drop((link, writer));
        store.pool().close().await;
        Ok(())
    }

    /// The key of the log, where the sidecar looks for it.
    fn log_key(&self, random: &mut fastrand::Rng) -> Result<SigningKey, ChaosError> {
        let key = SigningKey::from_bytes(&bytes(random));
        let mut folder = DirBuilder::new();
        folder.mode(0o700).create(self.state())?;
        let mut file = OpenOptions::new();
        file.write(true).create_new(true).mode(0o600);
        let pem = key.to_pkcs8_pem(LineEnding::LF);
        let pem = pem.map_err(|error| wrong(&error))?;
        file.open(self.state().join("log-key.pem"))?
            .write_all(pem.as_bytes())?;
        Ok(key)
    }
}

fn bytes(random: &mut fastrand::Rng) -> [u8; 32] {
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    bytes
}

/// A gateway of the days before.
struct Gateway {
    session: LinkSession,
    hello: Option<v1::Hello>,
    seq: u64,
}

impl Gateway {
    fn new(link: &Link, random: &mut fastrand::Rng) -> Self {
        let mut name = || random.u128(1..).to_be_bytes().to_vec().into();
        Self {
            session: link.open(),
            hello: Some(v1::Hello {
                vm: name(),
                holder: name(),
                stages: vec!["audit".to_owned()],
                ..v1::Hello::default()
            }),
            seq: 0,
        }
    }

    /// So many calls, of which some are refused.
    async fn tell(
        &mut self,
        mut count: u64,
        clock: &Clock,
        random: &mut fastrand::Rng,
    ) -> Result<(), ChaosError> {
        while count > 0 {
            let some = count.min(BATCH);
            let mut records = Vec::new();
            for _ in 0..some {
                records.extend(one(clock.now(), random));
            }
            self.seq += 1;
            let up = v1::Up {
                seq: self.seq,
                hello: self.hello.take(),
                entries: records.iter().filter_map(entry).collect(),
                ..v1::Up::default()
            };
            self.told(up).await.map_err(|error| wrong(&error))?;
            count -= some;
        }
        Ok(())
    }

    /// Says this and waits until it is durable.
    async fn told(&mut self, up: v1::Up) -> Result<(), LinkError> {
        self.session.take(up).await?;
        while self.session.recv().await?.ack < self.seq {}
        Ok(())
    }
}

fn one(now: UnixMillis, random: &mut fastrand::Rng) -> Vec<AuditRecord<'static>> {
    let department = random.choice(DEPARTMENTS).unwrap_or_default();
    if random.u8(..10) > 0 {
        let (admit, end) = call(department, now, random);
        return vec![admit, end];
    }
    let mut refusal = record(RecordKind::Refuse, department, now, random);
    refusal.denial = Some(DenialCode::UnknownModel);
    vec![refusal]
}
