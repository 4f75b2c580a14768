//! What the endpoints work with, and who of the sidecars they speak for.

use std::sync::{Arc, OnceLock};

use axum::http::StatusCode;
use tokio::sync::watch;

use super::authentication::Authentication;
use super::problem::Problem;
use crate::clock::Clock;
use crate::contents::MasterKey;
use crate::entra::EntraSync;
use crate::forward::Standings;
use crate::jwks::KeySets;
use crate::ledger::Calendar;
use crate::mail::Mail;
use crate::provisioning::Desk;
use crate::provisioning::pickup::PickupStanding;
use crate::push::Push;
use crate::settings::LiveSettings;
use crate::snapshot::SnapshotHub;
use crate::store::Store;
use crate::vitals::{Kind, Vitals};
use crate::writer::Writer;

/// What the endpoints work with; cheap to clone.
#[derive(Clone, Debug)]
pub struct Api(pub(super) Arc<Shared>, watch::Receiver<Role>);

/// What a sidecar is among those that share its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It writes the log and the ledger, and gateways are connected to it.
    Active,
    /// It waits for its turn.
    Standby,
}

pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) hub: SnapshotHub,
    pub(super) clock: Clock,
    pub(super) calendar: Calendar,
    pub(super) authentication: Authentication,
    pub(super) key_sets: Option<KeySets>,
    pub(super) pepper: Vec<u8>,
    pub(super) settings: LiveSettings,
    /// How whatever the sidecar depends on is.
    pub(super) vitals: Vitals,
    /// Once this sidecar writes.
    pub(super) writer: OnceLock<Writer>,
    /// Once this sidecar brings others what is for them.
    pub(super) standings: OnceLock<Standings>,
    /// The tenant that has the accounts; none: the embedded directory has them.
    pub(super) entra: OnceLock<EntraSync>,
    /// Once this sidecar sends mail, if the policy says how.
    pub(super) mail: OnceLock<Mail>,
    /// How messages are pushed, if the policy says how.
    pub(super) push: OnceLock<Push>,
    /// The key to kept bodies.
    pub(super) contents_key: OnceLock<MasterKey>,
    /// Once this sidecar makes accounts.
    pub(super) desk: OnceLock<Desk>,
    /// Once this sidecar picks files of people up, if the policy says where.
    pub(super) pickup: OnceLock<PickupStanding>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the pepper.
        f.debug_struct("Shared")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl Api {
    /// The API over a database and a snapshot. `pepper`: the secret under which keys are
    /// hashed; `key_sets`: whom to ask for signing keys that tokens name and nobody knows.
    #[must_use]
    pub fn new(
        store: Store,
        hub: SnapshotHub,
        clock: Clock,
        calendar: Calendar,
        key_sets: Option<KeySets>,
        pepper: Vec<u8>,
        settings: LiveSettings,
    ) -> Self {
        let authentication = Authentication::new(&hub);
        let vitals = Vitals::default();
        vitals.add(Kind::Database, store.shown(), store.pulse().clone());
        for (issuer, pulse) in key_sets.iter().flat_map(KeySets::pulses) {
            vitals.add(Kind::Issuer, issuer, pulse.clone());
        }
        let shared = Arc::new(Shared {
            store,
            hub,
            clock,
            calendar,
            authentication,
            key_sets,
            pepper,
            settings,
            vitals,
            writer: OnceLock::new(),
            standings: OnceLock::new(),
            entra: OnceLock::new(),
            mail: OnceLock::new(),
            push: OnceLock::new(),
            contents_key: OnceLock::new(),
            desk: OnceLock::new(),
            pickup: OnceLock::new(),
        });
        Self(shared, watch::channel(Role::Active).1)
    }

    /// What the sidecar depends on: whoever uses something more says so there.
    #[must_use]
    pub fn vitals(&self) -> &Vitals {
        &self.0.vitals
    }

    /// From now on this sidecar writes: changes of the ledger go to this writer.
    pub fn write_with(&self, writer: Writer) {
        let pulses = writer.pulses().clone();
        let vitals = &self.0.vitals;
        vitals.add(Kind::Disk, "room for the ends of calls", pulses.disk);
        vitals.add(Kind::Log, writer.origin(), pulses.log);
        vitals.add(Kind::Checkpoints, "second place", pulses.checkpoints);
        // Nobody becomes active twice.
        let _ = self.0.writer.set(writer);
    }

    /// From now on this sidecar brings records to a SIEM and alerts to people.
    pub fn forward_with(&self, standings: Standings) {
        // Nobody becomes active twice.
        let _ = self.0.standings.set(standings);
    }

    /// The accounts are in this tenant of Entra ID.
    pub fn with_tenant(&self, tenant: EntraSync) {
        let graph = tenant.pulse().clone();
        self.0.vitals.add(Kind::Graph, tenant.tenant(), graph);
        // There is one tenant.
        let _ = self.0.entra.set(tenant);
    }

    /// What was kept of bodies is read with this key.
    pub fn with_contents_key(&self, key: MasterKey) {
        // There is one key.
        let _ = self.0.contents_key.set(key);
    }

    /// From now on this sidecar sends mail.
    pub fn mail_with(&self, mail: Mail) {
        let server = mail.settings();
        let server = format!("{}:{}", server.host, server.port);
        let vitals = &self.0.vitals;
        vitals.add(Kind::Mail, server, mail.pulse().clone());
        // Nobody becomes active twice.
        let _ = self.0.mail.set(mail);
    }

    /// From now on this sidecar picks files of people up, which stands so.
    pub fn pick_up_with(&self, standing: PickupStanding) {
        // Nobody becomes active twice.
        let pulse = standing.pulse().clone();
        self.vitals().add(Kind::Pickup, standing.place(), pulse);
        let _ = self.0.pickup.set(standing);
    }

    /// Messages are pushed so: by the active sidecar, and all of them know browsers.
    pub fn push_with(&self, push: Push) {
        push.watch_over(&self.0.vitals);
        // There is one.
        let _ = self.0.push.set(push);
    }

    /// From now on this sidecar makes accounts: orders for people go to this desk.
    pub fn provision_with(&self, desk: Desk) {
        // Nobody becomes active twice.
        let _ = self.0.desk.set(desk);
    }

    /// The API of a sidecar that may have to stand by.
    #[must_use]
    pub fn with_role(self, role: watch::Receiver<Role>) -> Self {
        Self(self.0, role)
    }

    pub(super) fn role(&self) -> Role {
        *self.1.borrow()
    }
}

impl Shared {
    pub(super) fn writer(&self) -> Option<&Writer> {
        self.writer.get()
    }

    /// The way to the mail server, if there is one.
    pub(super) fn mail(&self) -> Option<&Mail> {
        self.mail.get()
    }

    /// How messages are pushed, if they are.
    pub(super) fn push(&self) -> Option<&Push> {
        self.push.get()
    }

    /// Directory and tenant side by side, if there is a tenant.
    pub(super) fn sync(&self) -> Result<&EntraSync, Problem> {
        self.entra.get().ok_or_else(|| {
            Problem::new(
                StatusCode::CONFLICT,
                "the embedded directory has the accounts: there is nothing beside it to compare it with",
            )
        })
    }
}
