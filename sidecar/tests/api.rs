//! The REST API from outside, over a real database, log and ledger.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what is missing fails the test"
)]

#[path = "api/alerts.rs"]
mod alerts;
#[path = "api/apikeys.rs"]
mod apikeys;
#[path = "api/audit.rs"]
mod audit;
#[path = "api/authentication.rs"]
mod authentication;
#[path = "api/budgets.rs"]
mod budgets;
#[path = "api/changes.rs"]
mod changes;
#[path = "api/contents.rs"]
mod contents;
#[path = "api/departments.rs"]
mod departments;
#[path = "api/emails.rs"]
mod emails;
#[path = "api/groups.rs"]
mod groups;
#[path = "api/health.rs"]
mod health;
#[path = "api/notices.rs"]
mod notices;
#[path = "api/openapi.rs"]
mod openapi;
#[path = "api/provisioning.rs"]
mod provisioning;
#[path = "api/push.rs"]
mod push;
#[path = "api/reports.rs"]
mod reports;
#[path = "api/roles.rs"]
mod roles;
#[path = "api/service.rs"]
mod service;
#[path = "api/settings.rs"]
mod settings;
#[path = "api/sync.rs"]
mod sync;
#[path = "api/system.rs"]
mod system;
#[path = "api/tenant.rs"]
mod tenant;
#[path = "tls/server.rs"]
mod tls;
#[path = "api/units.rs"]
mod units;
#[path = "api/users.rs"]
mod users;
#[expect(
    dead_code,
    reason = "shared with the tests of the core, which use all of it"
)]
#[path = "core/world.rs"]
mod world;
