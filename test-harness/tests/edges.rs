//! The edges of HTTP on a real Envoy: odd requests, byte by byte, over HTTP/1.1 and HTTP/2. What
//! a provider executes is what was authorised and put on record, or the request is refused.

#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    clippy::indexing_slicing,
    reason = "a test that cannot do its work has failed"
)]

#[path = "edges/bodies.rs"]
mod bodies;
#[path = "edges/case.rs"]
mod case;
#[path = "edges/headers.rs"]
mod headers;
#[path = "edges/http1.rs"]
mod http1;
#[path = "edges/http2.rs"]
mod http2;
#[path = "edges/messages.rs"]
mod messages;
#[path = "edges/paths.rs"]
mod paths;
#[path = "edges/queries.rs"]
mod queries;
#[path = "edges/slow.rs"]
mod slow;
#[path = "edges/streams.rs"]
mod streams;
#[path = "edges/world.rs"]
mod world;

use std::fs::File;

use libtest_mimic::{Arguments, Failed, Trial};
use sekisho_test_harness::gateway::{ModuleSet, Place};

use crate::case::Case;
use crate::world::World;

fn main() {
    let arguments = Arguments::from_args();
    let place = Place::of_this_checkout();
    let sets = [ModuleSet::Gateway, ModuleSet::Separate];
    let trials = sets.map(|modules| {
        let missing = place.envoy.is_none();
        let place = place.clone();
        let test = move || every_edge(modules, &place);
        let name = format!("edges::envoy::{modules}");
        Trial::test(name, test).with_ignored_flag(missing)
    });
    libtest_mimic::run(&arguments, trials.into()).exit();
}

fn every_edge(modules: ModuleSet, place: &Place) -> Result<(), Failed> {
    let file = File::create(std::env::temp_dir().join("sekisho-scenarios-on-envoy.lock"))?;
    // Scenarios take turns with this, see `scenarios.rs`.
    file.lock()?;
    let mut world = World::start(modules, place);
    let tables = [
        ("paths", paths::cases(&world)),
        ("queries", queries::cases(&world)),
        ("messages", messages::cases(&world)),
        ("headers", headers::cases(&world)),
        ("bodies", bodies::cases(&world)),
        ("streams", streams::cases(&world)),
    ];
    let mut cases: Vec<Case> = tables
        .into_iter()
        .flat_map(|(table, cases)| cases.into_iter().map(move |case| case.of(table)))
        .collect();
    // To look at one: SEKISHO_EDGE='a length too short'.
    if let Ok(only) = std::env::var("SEKISHO_EDGE") {
        cases.retain(|case| case.name.contains(&only));
    }
    let mut wrong = world.attempt(&cases);
    wrong.extend(world.finish());
    wrong.extend(slow::attempt(&world));
    let by_proxy = world.refused_by_proxy();
    eprintln!(
        "{} odd requests, {by_proxy} refused by Envoy itself",
        cases.len()
    );
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Failed::from(wrong.join("\n")))
    }
}
