//! Log, ledger and Link together, on a real database.

#[path = "core/crash.rs"]
mod crash;
#[path = "core/duplicates.rs"]
mod duplicates;
#[path = "core/grpc.rs"]
mod grpc;
#[path = "core/tampering.rs"]
mod tampering;
#[path = "core/world.rs"]
mod world;
