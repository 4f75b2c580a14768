//! Settings as they are stored.

use sekisho::events::Author;
use sekisho::settings::{Ground, LiveSettings, SettingsValues};
use sekisho::store::settings::{change, history, newest, newest_version};
use serde_json::{Value, json};

use crate::world::World;

fn values(value: Value) -> SettingsValues {
    serde_json::from_value(value).unwrap()
}

async fn set(world: &World, value: Value, seed: u8) -> bool {
    let mut author = Author::program("test", world.clock.now(), [seed; 32]);
    let changed = change(&world.store, &mut author, |_| Ok::<_, ()>(values(value))).await;
    changed.unwrap().unwrap().1
}

#[tokio::test]
async fn settings_are_counted_kept_and_told_of() {
    let world = World::new().await;
    assert_eq!(newest_version(&world.store).await.unwrap(), 0);
    assert_eq!(newest(&world.store).await.unwrap(), None);
    let (one, other) = (
        json!({"people": {"unused": {"days": 30, "then": "disable"}}}),
        json!({"alerts": {"rules": {"off_hours": {"days": ["mon"], "from": "09:00"}}}}),
    );
    assert!(set(&world, one.clone(), 1).await);
    assert!(!set(&world, one.clone(), 2).await);
    assert!(set(&world, other.clone(), 3).await);
    let all = history(&world.store, i64::MAX, 10).await.unwrap();
    let shown: Vec<_> = all
        .iter()
        .map(|change| (change.version, &change.former, &change.values))
        .collect();
    let (one, other) = (values(one), values(other));
    let nothing = SettingsValues::default();
    assert_eq!(shown, [(2, &one, &other), (1, &nothing, &one)]);
    let before = history(&world.store, 2, 10).await.unwrap();
    assert_eq!(before, all[1..]);
    world.writer.take_pending().await.unwrap();
    World::sound(&world.verify().await);

    // A sidecar that starts now goes by them, one with another file as far as that allows.
    let file = json!({"settings": {"locked": ["alerts"]}});
    for (file, is_on) in [(json!({}), true), (file, false)] {
        let live = LiveSettings::new(Ground::new(&file)).unwrap();
        live.refresh(&world.store).await.unwrap();
        let in_force = live.now();
        assert_eq!(
            (in_force.version, in_force.rules.off_hours.is_some()),
            (2, is_on)
        );
    }
}

#[tokio::test]
async fn what_does_not_fit_a_later_file_is_left_aside_and_said() {
    let world = World::new().await;
    let link = json!({"people": {"notices": {"password": "split"}, "unused": {"days": 5}}});
    set(&world, link, 1).await;
    // No `mail` any longer.
    let live = LiveSettings::new(Ground::new(&json!({"people": {"unused": {"days": 7}}}))).unwrap();
    live.refresh(&world.store).await.unwrap();
    let in_force = live.now();
    assert_eq!(in_force.people.unused.map(|(days, _)| days), Some(7));
    let told: Vec<_> = in_force.problems.iter().map(|one| &*one.path).collect();
    assert_eq!(told, ["people.notices.password"]);
}
