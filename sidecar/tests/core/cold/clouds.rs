//! Where older records go in clouds.

use sekisho::cold::Place;
use sekisho::log::verify::What;
use sekisho::objects::Objects;

use super::{all_found, mover_to, whats, written};
use crate::azurite::Azurite;
use crate::cloud::Cloud;
use crate::seaweed::Seaweed;
use crate::world::World;

#[tokio::test]
async fn azure_blob_storage_keeps_older_records() {
    kept_in(Azurite::start().await).await;
}

#[tokio::test]
async fn a_bucket_keeps_older_records() {
    kept_in(Seaweed::start().await).await;
}

async fn kept_in<C: Cloud>(cloud: C) {
    let (world, kept) = written().await;
    let before = all_found(&world, kept[0]).await;
    let place = format!("{}://cold/of/sekisho", C::SCHEME);
    let objects = Objects::open(&place, cloud.environment()).unwrap();
    let store = world.store.clone().with_cold(Place::of(objects.clone()));
    let world = World { store, ..world };
    // Also while nothing is due.
    let early = mover_to(&world, 30, &place, objects.clone()).await;
    let refused = early.round(world.clock.now()).await.unwrap_err();
    assert!(refused.to_string().contains(C::MISSING), "{refused}");
    cloud.make("cold").await;
    let mover = mover_to(&world, 2, &place, objects.clone()).await;
    let moved = mover.round(world.clock.now()).await.unwrap();
    assert!(moved.files > 5);
    let report = world.verify().await;
    World::sound(&report);
    assert_eq!(report.cold, moved.records);
    assert_eq!(all_found(&world, kept[0]).await, before);
    let listed = objects.list("day=2026-11-24").await.unwrap();
    assert!(!listed.is_empty());
    // Nothing is ever written over.
    let again = objects.create(&listed[0].name, "other".into()).await;
    assert_eq!(again, Ok(false));
    World::sound(&world.verify().await);
    objects.delete(&listed[0].name).await.unwrap();
    let found = whats(&world).await;
    assert!(
        matches!(&found[0], What::Cold(why) if why.contains(&listed[0].name)),
        "{found:?}"
    );
}
