//! Files of people become accounts, whatever happens on the way.

#[path = "provisioning/faulty.rs"]
mod faulty;
#[path = "provisioning/killed.rs"]
mod killed;
#[path = "provisioning/notices.rs"]
mod notices;
#[path = "provisioning/pickup.rs"]
mod pickup;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sekisho::events::Author;
use sekisho::ledger::Calendar;
use sekisho::people::csv;
use sekisho::people::plan::{Identities, plan};
use sekisho::provisioning::jobs::{self, Deed, NewJob, NewTask, Phase, State, Wanted};
use sekisho::provisioning::{Days, Embedded, Notices, PeopleSettings, Runner};
use sekisho::settings::{InForce, LiveSettings};
use sekisho::store::{Store, people};
use sekisho_domain::{Policy, UnixMillis};
use sqlx::Row as _;

use crate::world::World;
use faulty::{Faults, Faulty, Post};

pub(crate) const TENANT: &str = "8f3a1c52-6b7e-4d0f-9a21-5e6c7d8091ab";
const HEADER: &str = "user_id,name,email,department,job_title,phone,start_date,end_date,status";
/// Names that break what is careless with text.
const NAMES: [&str; 6] = [
    "山田太郎",
    "髙橋 﨑",
    "葛\u{e0100}城",
    "O’Brien \"Q\", Zoë",
    "e\u{301}mile",
    "𠮷野家",
];

/// A file of so many people; each third is inactive, `round` changes who is what.
pub(crate) fn file(people: usize, round: usize) -> String {
    let mut file = format!("{HEADER}\n");
    for n in 0..people {
        let name = name(n).replace('"', "\"\"");
        let department = if (n + round).is_multiple_of(2) {
            "sales"
        } else {
            "hr"
        };
        let status = if (n + round).is_multiple_of(3) {
            "inactive"
        } else {
            "active"
        };
        file +=
            &format!("{n:05},\"{name}\",p{n}@example.com,{department},,,2023/04/01,,{status}\n");
    }
    file
}

fn name(n: usize) -> String {
    format!("{} {n}", NAMES[n % NAMES.len()])
}

/// Plans what the file says, and confirms it at once.
pub(crate) async fn order(store: &Store, policy: &Policy, id: &str, file: &str, at: UnixMillis) {
    let rows = csv::read(file.as_bytes(), policy, &csv::Rules::default())
        .whole()
        .unwrap();
    let everybody = people::changed_after(store, -1).await.unwrap();
    let plan = plan(&everybody, TENANT, rows, Identities::WithAccount);
    assert_eq!(plan.problems, []);
    let tasks = plan.people.into_iter().map(|planned| {
        let deed = Deed::from(planned.action);
        NewTask {
            person: planned.person.id.clone(),
            deed,
            line: planned.line,
            changes: planned.changes,
            phase: if deed == Deed::Create {
                Phase::Look
            } else {
                Phase::Save
            },
            object_id: planned.person.object_id.clone(),
            wanted: Some(Wanted::new(&planned.person)),
        }
    });
    let job = NewJob {
        id: id.to_owned(),
        kind: "csv",
        caller: sekisho_domain::record::Caller::default(),
        at,
        planned: false,
        version: 0,
        tasks: tasks.collect(),
    };
    let mut connection = store.pool().acquire().await.unwrap();
    sqlx::raw_sql("BEGIN")
        .execute(&mut *connection)
        .await
        .unwrap();
    jobs::add(&mut connection, &job).await.unwrap();
    sqlx::raw_sql("COMMIT")
        .execute(&mut *connection)
        .await
        .unwrap();
}

/// Settings that say this of people.
fn live(people: PeopleSettings) -> LiveSettings {
    LiveSettings::fixed(InForce {
        people: Arc::new(people),
        ..InForce::default()
    })
}

pub(crate) fn settings() -> PeopleSettings {
    let section = serde_json::json!({"departments": {
        "sales": {"groups": ["g-sales"], "app_roles": ["text_apis"]}, "hr": {"groups": ["g-hr"], "app_roles": []}}});
    let mut problems = Vec::new();
    let settings = sekisho::provisioning::config::read(Some(section), &mut problems);
    assert_eq!(problems, []);
    settings
}

fn runner(world: &World, faults: &Arc<Faults>, post: Option<&Arc<Post>>) -> Runner {
    let notices = post.map(|post| Arc::clone(post) as Arc<dyn Notices>);
    runner_with(world, faults, notices)
}

fn runner_with(world: &World, faults: &Arc<Faults>, notices: Option<Arc<dyn Notices>>) -> Runner {
    let embedded = Embedded::new(world.store.clone(), TENANT, world.clock.clone());
    let accounts = Faulty::new(embedded, Arc::clone(faults));
    Runner::new(
        world.store.clone(),
        world.hub.clone(),
        Calendar::new("Asia/Tokyo").unwrap(),
        world.clock.clone(),
        Arc::new(settings()),
        Arc::new(accounts),
        notices,
    )
}

/// Rounds until nothing is left to do, with time passing.
async fn finish(world: &World, runner: &mut Runner) {
    for _ in 0..3000 {
        while runner.round().await.unwrap() {}
        if jobs::standing(&world.store).await.unwrap().waiting == 0 {
            return;
        }
        world.hand.advance(61_000);
    }
    panic!("it never ends");
}

/// Everybody of the file has exactly one account, to the letter; nobody else has any.
pub(crate) async fn exact(store: &Store, people_of_file: usize, round: usize) {
    let everybody = people::changed_after(store, -1).await.unwrap();
    assert_eq!(everybody.len(), people_of_file);
    let rows = sqlx::query("SELECT * FROM embedded_accounts")
        .fetch_all(store.pool())
        .await
        .unwrap();
    assert_eq!(rows.len(), people_of_file, "accounts");
    let accounts: HashMap<String, _> = rows
        .iter()
        .map(|row| (row.get::<String, _>("object_id"), row))
        .collect();
    for (n, person) in everybody.iter().enumerate() {
        assert_eq!(person.name.as_bytes(), name(n).as_bytes());
        let account = accounts[&person.object_id];
        assert_eq!(account.get::<String, _>("employee"), person.id.as_str());
        assert_eq!(
            account.get::<String, _>("display_name").as_bytes(),
            name(n).as_bytes()
        );
        let active = !(n + round).is_multiple_of(3);
        assert_eq!(
            (person.enabled, account.get::<i64, _>("enabled") != 0),
            (active, active),
            "{}",
            person.id.as_str()
        );
        let group = if (n + round).is_multiple_of(2) {
            "g-sales"
        } else {
            "g-hr"
        };
        assert_eq!(account.get::<String, _>("group_ids"), group);
    }
    let failed = jobs::standing(store).await.unwrap().failed;
    assert_eq!(failed, 0);
}

#[tokio::test]
async fn a_file_becomes_accounts_and_the_same_file_again_changes_nothing() {
    let world = World::new().await;
    let (faults, post) = (Arc::new(Faults::default()), Arc::new(Post::default()));
    order(
        &world.store,
        &world.policy,
        "1",
        &file(20, 1),
        world.clock.now(),
    )
    .await;
    let mut runner = runner(&world, &faults, Some(&post));
    finish(&world, &mut runner).await;
    exact(&world.store, 20, 1).await;
    let told = post.told();
    let people: HashSet<&String> = told.iter().map(|(person, _)| person).collect();
    assert_eq!(
        (told.len(), people.len()),
        (14, 14),
        "active people, each once"
    );
    let version = people::version(&world.store).await.unwrap();
    order(
        &world.store,
        &world.policy,
        "2",
        &file(20, 1),
        world.clock.now(),
    )
    .await;
    finish(&world, &mut runner).await;
    assert_eq!(people::version(&world.store).await.unwrap(), version);
    let counts = jobs::counts(&world.store, "2").await.unwrap();
    assert_eq!(counts, [(Deed::Unchanged, State::Done, 20)]);
    assert_eq!(post.told().len(), 14);
    // Moved, enabled and disabled; whoever is active for the first time is told now.
    order(
        &world.store,
        &world.policy,
        "3",
        &file(20, 2),
        world.clock.now(),
    )
    .await;
    finish(&world, &mut runner).await;
    exact(&world.store, 20, 2).await;
    assert_eq!(post.told().len(), 20);
    world.writer.take_pending().await.unwrap();
    World::sound(&world.verify().await);
}

#[tokio::test]
async fn a_stop_at_any_order_leaves_no_half_person_and_no_second_account() {
    // Counted once without a fault, then stopped at each of them, before and after it.
    let people_of_file = 4;
    let orders = {
        let world = World::new().await;
        let faults = Arc::new(Faults::default());
        order(
            &world.store,
            &world.policy,
            "1",
            &file(people_of_file, 1),
            world.clock.now(),
        )
        .await;
        finish(&world, &mut runner(&world, &faults, Some(&Arc::default()))).await;
        faults.orders()
    };
    assert_eq!(orders, 12, "look, create and place each of four");
    for stop in 0..orders {
        for carried_out in [false, true] {
            let world = World::new().await;
            order(
                &world.store,
                &world.policy,
                "1",
                &file(people_of_file, 1),
                world.clock.now(),
            )
            .await;
            let post = Arc::new(Post::default());
            let faults = Arc::new(Faults::stop_at(stop, carried_out));
            let mut first = runner(&world, &faults, Some(&post));
            // The process ends within that order: what it knew is gone.
            tokio::select! {
                biased;
                () = faults.stopped() => {}
                () = finish(&world, &mut first) => panic!("{stop} was never reached"),
            }
            drop(first);
            world.hand.advance(1_000);
            finish(&world, &mut runner(&world, &Arc::default(), Some(&post))).await;
            exact(&world.store, people_of_file, 1).await;
            post.whoever_was_told_knows_the_last_password(&faults);
        }
    }
}

#[tokio::test]
async fn throttling_errors_and_lost_answers_end_in_one_account_each() {
    let world = World::new().await;
    let post = Arc::new(Post::default());
    let faults = Arc::new(Faults::random(7));
    order(
        &world.store,
        &world.policy,
        "1",
        &file(40, 1),
        world.clock.now(),
    )
    .await;
    finish(&world, &mut runner(&world, &faults, Some(&post))).await;
    exact(&world.store, 40, 1).await;
    assert!(faults.injected() > 40, "{}", faults.injected());
    post.whoever_was_told_knows_the_last_password(&faults);
}

#[tokio::test]
async fn nobody_orders_before_a_throttled_directory_says_so() {
    let world = World::new().await;
    let faults = Arc::new(Faults::throttle_once(world.clock.now(), 30_000));
    order(
        &world.store,
        &world.policy,
        "1",
        &file(5, 1),
        world.clock.now(),
    )
    .await;
    let mut runner = runner(&world, &faults, None);
    while runner.round().await.unwrap() {}
    let asked = faults.orders();
    world.hand.advance(29_999);
    assert!(!runner.round().await.unwrap());
    assert_eq!(faults.orders(), asked);
    world.hand.advance(1);
    finish(&world, &mut runner).await;
    exact(&world.store, 5, 1).await;
}

#[tokio::test]
async fn a_mail_that_is_not_taken_is_followed_by_one_with_the_same_password() {
    let world = World::new().await;
    let (faults, post) = (Arc::new(Faults::default()), Arc::new(Post::failing(2)));
    order(
        &world.store,
        &world.policy,
        "1",
        &format!("{HEADER}\n1,A,a@example.com,hr,,,2023/04/01,,active\n"),
        world.clock.now(),
    )
    .await;
    finish(&world, &mut runner(&world, &faults, Some(&post))).await;
    assert_eq!(post.told().len(), 1);
    assert_eq!(faults.passwords().len(), 1, "one for all tries");
    post.whoever_was_told_knows_the_last_password(&faults);
    for table in [
        "provisioning_tasks",
        "provisioning_jobs",
        "embedded_accounts",
        "pending_events",
    ] {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT * FROM {table}")))
            .fetch_all(world.store.pool())
            .await
            .unwrap();
        for row in rows {
            for at in 0..row.len() {
                let value = row.try_get::<String, _>(at).map(String::into_bytes);
                let value = value
                    .or_else(|_| row.try_get::<Vec<u8>, _>(at))
                    .unwrap_or_default();
                let value = String::from_utf8_lossy(&value).into_owned();
                assert!(
                    faults
                        .passwords()
                        .iter()
                        .all(|(_, password)| !value.contains(password)),
                    "{table}"
                );
            }
        }
    }
}

#[tokio::test]
async fn an_account_that_was_there_is_taken_over_with_its_password() {
    let world = World::new().await;
    let sql = "INSERT INTO embedded_accounts VALUES ('o-1', '00001', 'p1@example.com', 'p1', 'Old', '', '', '', '', 1, '', '', 0, 0)";
    sqlx::query(sql).execute(world.store.pool()).await.unwrap();
    let post = Arc::new(Post::default());
    order(
        &world.store,
        &world.policy,
        "1",
        &file(2, 0),
        world.clock.now(),
    )
    .await;
    finish(&world, &mut runner(&world, &Arc::default(), Some(&post))).await;
    exact(&world.store, 2, 0).await;
    assert_eq!(post.told(), []);
    let tasks = jobs::tasks(&world.store, "1", 1, 10).await.unwrap();
    assert_eq!(tasks[0].object_id, "o-1");
}

#[tokio::test]
async fn what_the_directory_refuses_fails_with_its_reason_and_can_be_tried_again() {
    let world = World::new().await;
    let sql = "INSERT INTO embedded_accounts VALUES ('o-9', 'else', 'p1@example.com', 'p1', 'Other', '', '', '', '', 1, '', '', 0, 0)";
    sqlx::query(sql).execute(world.store.pool()).await.unwrap();
    order(
        &world.store,
        &world.policy,
        "1",
        &file(2, 1),
        world.clock.now(),
    )
    .await;
    let mut runner = runner(&world, &Arc::default(), None);
    finish(&world, &mut runner).await;
    let tasks = jobs::tasks(&world.store, "1", 0, 10).await.unwrap();
    assert_eq!(
        (tasks[0].state, tasks[1].state),
        (State::Done, State::Failed)
    );
    assert_eq!(
        tasks[1].note,
        "another account of the directory has this user name already"
    );
    assert!(
        people::find(&world.store, "00001").await.unwrap().is_none(),
        "a half person"
    );
    assert_eq!(
        jobs::job(&world.store, "1").await.unwrap().unwrap().state,
        "done"
    );
    sqlx::query("DELETE FROM embedded_accounts WHERE object_id = 'o-9'")
        .execute(world.store.pool())
        .await
        .unwrap();
    let mut connection = world.store.pool().acquire().await.unwrap();
    assert!(jobs::retry(&mut connection, "1").await.unwrap());
    drop(connection);
    finish(&world, &mut runner).await;
    exact(&world.store, 2, 1).await;
}

#[tokio::test]
async fn whoever_is_disabled_while_the_directory_is_down_is_disabled_there_when_it_is_back() {
    let world = World::new().await;
    let faults = Arc::new(Faults::default());
    order(
        &world.store,
        &world.policy,
        "1",
        &file(2, 1),
        world.clock.now(),
    )
    .await;
    let mut runner = runner(&world, &faults, None);
    finish(&world, &mut runner).await;
    faults.be_down(true);
    let job = NewJob {
        id: "2".to_owned(),
        kind: "user",
        caller: sekisho_domain::record::Caller::default(),
        at: world.clock.now(),
        planned: false,
        version: 0,
        tasks: vec![NewTask {
            person: "00000".into(),
            deed: Deed::Disable,
            line: 0,
            changes: Vec::new(),
            wanted: None,
            phase: Phase::Account,
            object_id: String::new(),
        }],
    };
    let mut author = Author::program("test", world.clock.now(), [3; 32]);
    let person = people::suspend(&world.store, "00000", true, &mut author, Some(&job)).await;
    assert!(person.unwrap().unwrap().suspended);
    for _ in 0..20 {
        runner.round().await.unwrap();
        world.hand.advance(61_000);
    }
    assert_eq!(jobs::standing(&world.store).await.unwrap().waiting, 1);
    faults.be_down(false);
    finish(&world, &mut runner).await;
    let row = sqlx::query(
        "SELECT enabled, sessions_revoked_at FROM embedded_accounts WHERE employee = '00000'",
    )
    .fetch_one(world.store.pool())
    .await
    .unwrap();
    assert_eq!(row.get::<i64, _>("enabled"), 0);
    assert!(row.get::<i64, _>("sessions_revoked_at") > 0);
}

#[tokio::test]
async fn first_and_last_days_reach_accounts_on_their_day_in_the_companys_time_zone() {
    let world = World::new().await;
    // It is 18:00 of the 23rd in Tokyo.
    let file = format!(
        "{HEADER}\n1,Leaves,l@example.com,hr,,,2023/04/01,2026/11/23,active\n\
         2,Comes,c@example.com,hr,,,2026/11/24,,active\n"
    );
    let post = Arc::new(Post::default());
    order(&world.store, &world.policy, "1", &file, world.clock.now()).await;
    let mut runner = runner(&world, &Arc::default(), Some(&post));
    finish(&world, &mut runner).await;
    let enabled = async || {
        let sql = "SELECT enabled FROM embedded_accounts ORDER BY employee";
        let rows = sqlx::query(sql)
            .fetch_all(world.store.pool())
            .await
            .unwrap();
        rows.iter()
            .map(|row| row.get::<i64, _>("enabled"))
            .collect::<Vec<_>>()
    };
    assert_eq!(enabled().await, [1, 0]);
    let told = |post: &Post| {
        post.told()
            .into_iter()
            .map(|(person, _)| person)
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&post), ["1"]);
    let days = Days::new(
        world.store.clone(),
        Calendar::new("Asia/Tokyo").unwrap(),
        world.clock.clone(),
        live(settings()),
        Arc::default(),
    );
    world
        .hand
        .set(UnixMillis(1_795_424_400_000 + 6 * 3_600_000 - 1));
    days.day().await.unwrap();
    finish(&world, &mut runner).await;
    assert_eq!(enabled().await, [1, 0]);
    world
        .hand
        .set(UnixMillis(1_795_424_400_000 + 6 * 3_600_000));
    days.day().await.unwrap();
    finish(&world, &mut runner).await;
    assert_eq!(enabled().await, [0, 1]);
    assert_eq!(told(&post), ["1", "2"]);
    days.day().await.unwrap();
    assert_eq!(
        jobs::standing(&world.store).await.unwrap().waiting,
        0,
        "a second time there is nothing to do"
    );
}

#[tokio::test]
async fn whoever_does_not_call_for_long_is_disabled_but_for_exceptions() {
    let world = World::new().await;
    let section =
        serde_json::json!({"unused": {"days": 30, "then": "disable"}, "exceptions": ["3"]});
    let settings = live(sekisho::provisioning::config::read(
        Some(section),
        &mut Vec::new(),
    ));
    let file = format!(
        "{HEADER}\n1,Calls,a@example.com,hr,,,2023/04/01,,active\n\
         2,Sleeps,b@example.com,hr,,,2023/04/01,,active\n\
         3,Rests,c@example.com,hr,,,2023/04/01,,active\n\
         4,New,d@example.com,hr,,,2026/11/01,,active\n"
    );
    order(&world.store, &world.policy, "1", &file, world.clock.now()).await;
    let mut runner = runner(&world, &Arc::default(), None);
    finish(&world, &mut runner).await;
    let calendar = Calendar::new("Asia/Tokyo").unwrap();
    let days = Days::new(
        world.store.clone(),
        calendar,
        world.clock.clone(),
        settings,
        Arc::default(),
    );
    let suspended = async || {
        days.day().await.unwrap();
        let everybody = people::changed_after(&world.store, -1).await.unwrap();
        let suspended = everybody.into_iter().filter(|person| person.suspended);
        suspended.map(|person| person.id.0).collect::<Vec<_>>()
    };
    assert_eq!(
        suspended().await,
        Vec::<String>::new(),
        "usage is not counted for that long"
    );
    for (day, user) in [("2026-10-01", "2"), ("2026-11-20", "1")] {
        let sql = "INSERT INTO usage_rollups (day, department, user_id, api, model, requests, refused, \
                   input_tokens, output_tokens, cost_micros) VALUES ($1, 'hr', $2, 'a', 'm', 1, 0, 0, 0, 0)";
        sqlx::query(sql)
            .bind(day)
            .bind(user)
            .execute(world.store.pool())
            .await
            .unwrap();
    }
    assert_eq!(suspended().await, ["2"]);
    finish(&world, &mut runner).await;
    let row = sqlx::query("SELECT enabled FROM embedded_accounts WHERE employee = '2'")
        .fetch_one(world.store.pool())
        .await
        .unwrap();
    assert_eq!(row.get::<i64, _>("enabled"), 0);
}
