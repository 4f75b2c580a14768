//! Pushed messages and registered browsers as they are stored, and a bearer that is killed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use sekisho::events::Author;
use sekisho::policy_file;
use sekisho::push::outbox::{self, Again, Order, State, Way};
use sekisho::push::subscriptions::{self, Wanted};
use sekisho::push::{Push, VapidKey};
use sekisho_domain::UnixMillis;
use serde_json::json;
use tokio::net::TcpListener;

use crate::world::{World, policy_json};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: u64 = 3600 * 1000;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

async fn put(world: &World, once: &str, webhook: &str, random: u8) {
    let now = world.clock.now();
    let way = Way::Webhook(webhook.to_owned());
    let order = Order {
        once,
        way: &way,
        title: once,
        content: r#"{"type": "x"}"#,
        urgency: "normal",
        expires_at: UnixMillis(now.0 + HOUR),
        at: now,
        random: [random; 10],
    };
    let mut connection = world.store.pool().acquire().await.unwrap();
    outbox::put(&mut connection, &order).await.unwrap();
}

async fn all(world: &World) -> Vec<(String, State)> {
    let found = outbox::list(&world.store, None, None, 100).await.unwrap();
    found
        .into_iter()
        .map(|entry| (entry.title, entry.life.state))
        .collect()
}

fn author(world: &World, seed: u8) -> Author {
    Author::program("test", world.clock.now(), [seed; 32])
}

#[tokio::test]
async fn a_browser_has_one_owner_and_leaves_with_him_or_her() {
    let world = World::new().await;
    let wanted = |person: &'static str, label: &'static str, random: u8| Wanted {
        person,
        endpoint: "https://push.example/1",
        public_key: &[4; 65],
        auth: &[7; 16],
        label,
        random: [random; 10],
    };
    let register = async |person, label, seed| {
        let mut author = author(&world, seed);
        let wanted = wanted(person, label, seed);
        subscriptions::register(&world.store, &wanted, &mut author)
            .await
            .unwrap()
    };
    let (first, is_new) = register("1", "a", 1).await;
    assert!(is_new);
    let (again, is_new) = register("1", "b", 2).await;
    assert_eq!(
        (&again.id, again.label.as_str(), is_new),
        (&first.id, "b", false)
    );
    let (other, is_new) = register("2", "c", 3).await;
    assert!(is_new && other.id != first.id);
    assert_eq!(subscriptions::of(&world.store, "1").await.unwrap(), []);
    let theirs = subscriptions::of(&world.store, "2").await.unwrap();
    assert_eq!(theirs, std::slice::from_ref(&other));
    let remove = async |person, seed| {
        let mut author = author(&world, seed);
        subscriptions::remove(&world.store, person, &other.id, "test", &mut author)
            .await
            .unwrap()
    };
    assert!(!remove("1", 4).await && remove("2", 5).await && !remove("2", 6).await);
    world.writer.take_pending().await.unwrap();
    World::sound(&world.verify().await);
}

#[tokio::test]
async fn a_message_is_posted_again_until_it_is_taken_whoever_is_killed_meanwhile() {
    let world = World::new().await;
    let (refusals, ids) = (
        Arc::new(AtomicU64::new(2)),
        Arc::new(Mutex::new(Vec::new())),
    );
    let (left, seen) = (Arc::clone(&refusals), Arc::clone(&ids));
    let take = async move |headers: HeaderMap| {
        let id = headers["webhook-id"].to_str().unwrap().to_owned();
        seen.lock().unwrap().push(id);
        let refuses = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        match refuses {
            Ok(_) => StatusCode::SERVICE_UNAVAILABLE,
            Err(_) => StatusCode::OK,
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let receiver = Router::new().route("/", post(take));
    tokio::spawn(async move { axum::serve(listener, receiver).await });
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), SECRET).unwrap();
    let mut file = policy_json();
    file["push"] = json!({"contact": "mailto:a@example.com", "webhooks": [
        {"name": "teams", "webhook": {"url": url, "secret_file": secret.path()}},
    ]});
    let file = policy_file::parse(&file.to_string()).unwrap();
    let key = VapidKey::read(&[9; 32]).unwrap();
    let push = Push::new(file.sections.push.unwrap(), key, &world.clock).unwrap();
    put(&world, "a", "teams", 1).await;
    put(&world, "a", "teams", 2).await;
    put(&world, "b", "nobody", 3).await;
    let waiting = async {
        // Killed after each look.
        while !all(&world)
            .await
            .iter()
            .all(|(_, state)| *state != State::Waiting)
        {
            let task = push.start(&world.store);
            tokio::time::sleep(Duration::from_millis(100)).await;
            task.abort();
            world.hand.advance(60_000);
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    let mut became = all(&world).await;
    became.sort_by(|one, other| one.0.cmp(&other.0));
    let wanted = [
        ("a".to_owned(), State::Sent),
        ("b".to_owned(), State::Refused),
    ];
    assert_eq!(became, wanted);
    let ids = ids.lock().unwrap().clone();
    assert!(
        ids.len() >= 3 && ids.iter().all(|id| *id == ids[0]),
        "{ids:?}"
    );

    let found = outbox::list(&world.store, Some(State::Refused), None, 10).await;
    let refused = found.unwrap().remove(0);
    let mut connection = world.store.pool().acquire().await.unwrap();
    let now = world.clock.now();
    let again = outbox::again(&mut connection, &refused.id, now).await;
    assert_eq!(again.unwrap(), Again::Waits);
    let sent = outbox::again(&mut connection, &ids[0], now).await;
    assert_eq!(sent.unwrap(), Again::Sent);
    let family = outbox::family_in(&mut connection, "b").await.unwrap();
    assert_eq!(family[0].1.expires_at, UnixMillis(now.0 + HOUR));
}
