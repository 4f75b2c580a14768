//! Log, ledger and Link together, on a real database.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what is missing fails the test"
)]

#[path = "core/alerts.rs"]
mod alerts;
#[path = "core/archive.rs"]
mod archive;
#[path = "core/azurite.rs"]
mod azurite;
#[path = "core/cloud.rs"]
mod cloud;
#[path = "core/cold.rs"]
mod cold;
#[path = "core/contents.rs"]
mod contents;
#[path = "core/crash.rs"]
mod crash;
#[path = "core/duplicates.rs"]
mod duplicates;
#[path = "core/entra.rs"]
mod entra;
#[path = "core/events.rs"]
mod events;
#[path = "core/full_disk.rs"]
mod full_disk;
#[path = "core/grpc.rs"]
mod grpc;
#[path = "core/key_sets.rs"]
mod key_sets;
#[path = "core/mail.rs"]
mod mail;
#[path = "core/older_release.rs"]
mod older_release;
#[path = "core/pipelined.rs"]
mod pipelined;
#[path = "core/provisioning.rs"]
mod provisioning;
#[path = "core/push.rs"]
mod push;
#[path = "core/recalls.rs"]
mod recalls;
#[path = "core/reports.rs"]
mod reports;
#[path = "core/scheduled_reports.rs"]
mod scheduled_reports;
#[path = "core/searches.rs"]
mod searches;
#[path = "core/seaweed.rs"]
mod seaweed;
#[path = "core/settings.rs"]
mod settings;
#[path = "core/siem.rs"]
mod siem;
#[path = "core/silence.rs"]
mod silence;
#[path = "core/takeover.rs"]
mod takeover;
#[path = "core/tampering.rs"]
mod tampering;
#[path = "tls/server.rs"]
mod tls;
#[path = "core/world.rs"]
mod world;
