//! Files that are put into a place are picked up once, whatever happens on the way.

#[path = "clouds.rs"]
mod clouds;
#[path = "faulty_objects.rs"]
mod faulty_objects;

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use sekisho::events::Author;
use sekisho::ledger::Calendar;
use sekisho::objects::Objects;
use sekisho::people::sealed::{Opener, Recipient};
use sekisho::provisioning::pickup::{Next, PickupStanding, Trouble, source};
use sekisho::provisioning::{Desk, Embedded, PeopleSettings, Pickup, Runner, config, jobs};
use sekisho::store::people;
use serde_json::{Value, json};
use sqlx::Row as _;
use tempfile::TempDir;

use super::{HEADER, TENANT, exact, file};
use crate::world::World;
use faulty_objects::{Faulty, Steps};

const PLACE: &str = "az://people/inbox";

/// Where files are put.
enum Kind {
    Memory(Arc<InMemory>),
    Folder(TempDir),
}

struct Bench {
    world: World,
    kind: Kind,
    opener: Opener,
    runner: Runner,
    settings: Value,
}

impl Bench {
    async fn new(pickup: Value) -> Self {
        Self::at(Kind::Memory(Arc::default()), pickup).await
    }

    async fn in_folder(pickup: Value) -> Self {
        Self::at(Kind::Folder(tempfile::tempdir().unwrap()), pickup).await
    }

    async fn at(kind: Kind, pickup: Value) -> Self {
        let world = match kind {
            Kind::Memory(_) => World::new().await,
            // What a folder does differently has nothing to do with the database.
            Kind::Folder(_) => World::on_sqlite().await,
        };
        let runner = Runner::new(
            world.store.clone(),
            world.hub.clone(),
            Calendar::new("Asia/Tokyo").unwrap(),
            world.clock.clone(),
            Arc::new(super::settings()),
            Arc::new(Embedded::new(
                world.store.clone(),
                TENANT,
                world.clock.clone(),
            )),
            None,
        );
        Self {
            world,
            kind,
            opener: Opener::generate(),
            runner,
            settings: json!({"tenant": TENANT, "pickup": pickup}),
        }
    }

    fn settings(&self) -> PeopleSettings {
        let mut section = self.settings.clone();
        section["pickup"]["place"] = PLACE.into();
        let mut problems = Vec::new();
        let settings = config::read(Some(section), &mut problems);
        assert_eq!(problems, []);
        settings
    }

    /// A process that picks files up; `steps` says where it stops.
    fn pickup(&self, steps: &Arc<Steps>) -> Pickup {
        let folder = match &self.kind {
            Kind::Memory(_) => None,
            Kind::Folder(folder) => Some(folder.path().to_owned()),
        };
        let inner: Arc<dyn ObjectStore> = match &self.kind {
            Kind::Memory(store) => Arc::clone(store) as Arc<dyn ObjectStore>,
            Kind::Folder(folder) => {
                Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap())
            }
        };
        let steps = Arc::clone(steps);
        let store = Arc::new(Faulty { inner, steps });
        self.pickup_of(Objects::over(store, PLACE.to_owned(), folder))
    }

    fn pickup_of(&self, objects: Objects) -> Pickup {
        let settings = self.settings();
        let desk = Desk::new(
            self.world.store.clone(),
            self.world.hub.clone(),
            Arc::new(settings.clone()),
            Some(self.opener.clone()),
            "embedded",
            false,
        );
        let (store, clock) = (self.world.store.clone(), self.world.clock.clone());
        Pickup::new(desk, store, objects, settings.pickup.unwrap(), clock)
    }

    /// All objects below the place, without a fault.
    fn objects(&self) -> Objects {
        match &self.kind {
            Kind::Memory(store) => Objects::over(store.clone(), PLACE.to_owned(), None),
            Kind::Folder(folder) => {
                let store = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
                let folder = Some(folder.path().to_owned());
                Objects::over(Arc::new(store), PLACE.to_owned(), folder)
            }
        }
    }

    fn sealed(&self, file: &str) -> Vec<u8> {
        let recipient = Recipient::read(&self.opener.recipient()).unwrap();
        recipient.seal(file.as_bytes()).unwrap()
    }

    async fn put(&self, name: &str, content: impl Into<Vec<u8>>) {
        let content: Vec<u8> = content.into();
        self.objects().replace(name, content.into()).await.unwrap();
    }

    /// Looks and carries out what is found until nothing is under way.
    async fn finish(&mut self, pickup: &mut Pickup) -> Result<(), Trouble> {
        for _ in 0..200 {
            let next = pickup.look().await?;
            while self.runner.round().await.unwrap() {}
            self.world.hand.advance(2_000);
            if next == Next::Usual {
                return Ok(());
            }
        }
        panic!("it never ends");
    }

    async fn names(&self) -> Vec<String> {
        let listed = self.objects().list("").await.unwrap();
        listed.into_iter().map(|object| object.name).collect()
    }

    /// The content of the only object whose name ends so.
    async fn text(&self, end: &str) -> String {
        String::from_utf8(self.content(end).await).unwrap()
    }

    async fn content(&self, end: &str) -> Vec<u8> {
        let mut names = self.names().await;
        names.retain(|name| name.ends_with(end));
        assert_eq!(names.len(), 1, "{end}: {:?}", self.names().await);
        let read = self.objects().read(&names[0]).await.unwrap().unwrap();
        read.to_vec()
    }

    /// Jobs in the order of their files' names.
    async fn jobs(&self) -> Vec<jobs::Job> {
        let store = &self.world.store;
        let mut jobs = Vec::new();
        for job in jobs::list(store, "", 100).await.unwrap() {
            let source = source(store, &job.id).await.unwrap().unwrap();
            jobs.push((source.name, job));
        }
        jobs.reverse();
        jobs.sort_by(|(a, _), (b, _)| a.cmp(b));
        jobs.into_iter().map(|(_, job)| job).collect()
    }

    /// What is on record of files, in the order of their names.
    async fn told(&self) -> Vec<Value> {
        self.world.writer.take_pending().await.unwrap();
        let sql = "SELECT body FROM audit_entries WHERE event = 'provisioning.pickup' ORDER BY seq";
        let rows = sqlx::query(sql)
            .fetch_all(self.world.store.pool())
            .await
            .unwrap();
        let read = |row: &sqlx::any::AnyRow| {
            let record: Value = serde_json::from_slice(&row.get::<Vec<u8>, _>("body")).unwrap();
            assert_eq!(record["caller"], json!({"application": "sekisho serve"}));
            record["event"].clone()
        };
        let mut told: Vec<Value> = rows.iter().map(read).collect();
        told.sort_by_key(|event| event["after"]["name"].to_string());
        told
    }
}

fn no_stop() -> Arc<Steps> {
    Steps::stop_at(None)
}

fn failure(standing: &PickupStanding) -> Option<String> {
    let failing = standing.pulse().beat().failing;
    failing.map(|failing| failing.why)
}

const BAD: &str = "001,A,not an address,sales,,,2023/04/01,,active\n002,=B,b@example.com,nowhere,,,2023/04/31,,active\n";

#[tokio::test]
async fn a_file_is_carried_out_and_set_aside_with_its_result() {
    let mut bench = Bench::in_folder(json!({"apply": true})).await;
    let newcomers = bench.sealed(&file(5, 1));
    bench.put("名簿 #1 %.csv.age", newcomers.clone()).await;
    let mut pickup = bench.pickup(&no_stop());
    assert_eq!(pickup.look().await.unwrap(), Next::Soon, "it may grow");
    assert_eq!(bench.jobs().await, []);
    bench.world.hand.advance(2_000);
    bench.finish(&mut pickup).await.unwrap();
    exact(&bench.world.store, 5, 1).await;
    let job = bench.jobs().await.remove(0).id;
    let (moved, result) = (
        format!("done/{job}/名簿 #1 %.csv.age"),
        format!("done/{job}/result.csv"),
    );
    assert_eq!(bench.names().await, [result.clone(), moved]);
    assert_eq!(bench.content("csv.age").await, newcomers);
    let text = bench.text("result.csv").await;
    assert!(text.starts_with("row,user_id,action,"), "{text}");
    assert_eq!(text.matches(",create,,done,").count(), 5, "{text}");
    let told = bench.told().await;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["target"], &told[0]["after"]["name"]),
        (&json!(job), &json!("名簿 #1 %.csv.age"))
    );
    let sha256 = sekisho::events::digest(&newcomers);
    assert_eq!(told[0]["after"]["sha256"], sha256);
    let found = source(&bench.world.store, &job).await.unwrap().unwrap();
    assert_eq!(found.sha256, sha256);
    // The same people again, in a file of the same name: nothing changes.
    let again = bench.sealed(&file(5, 1));
    bench.put("名簿 #1 %.csv.age", again).await;
    bench.finish(&mut pickup).await.unwrap();
    let jobs = bench.jobs().await;
    assert_eq!(jobs.len(), 2);
    let counts = jobs::counts(&bench.world.store, &jobs[1].id).await.unwrap();
    assert_eq!(counts, [(jobs::Deed::Unchanged, jobs::State::Done, 5)]);
    World::sound(&bench.world.verify().await);
}

#[tokio::test]
async fn a_stop_at_any_step_takes_no_file_twice_and_loses_none() {
    for kind in ["memory", "folder"] {
        let bench = async || match kind {
            "memory" => Bench::new(json!({"apply": true})).await,
            _ => Bench::in_folder(json!({"apply": true})).await,
        };
        let put = async |bench: &Bench| {
            bench.put("1.csv.age", bench.sealed(&file(3, 1))).await;
            let bad = bench.sealed(&format!("{HEADER}\n{BAD}"));
            bench.put("2.csv.age", bad).await;
        };
        let steps = no_stop();
        let mut whole = bench().await;
        put(&whole).await;
        whole.finish(&mut whole.pickup(&steps)).await.unwrap();
        assert!(steps.taken() > 10, "{}", steps.taken());
        for stop in 0..steps.taken() {
            for carried_out in [false, true] {
                let mut bench = bench().await;
                put(&bench).await;
                let steps = Steps::stop_at(Some((stop, carried_out)));
                let mut first = bench.pickup(&steps);
                // The process ends within that step: what it knew is gone.
                tokio::select! {
                    biased;
                    () = steps.stopped() => {}
                    ended = bench.finish(&mut first) => panic!("{stop} was never reached: {ended:?}"),
                }
                drop(first);
                let mut second = bench.pickup(&no_stop());
                bench.finish(&mut second).await.unwrap();
                let what = format!("{kind}: stopped at {stop}, carried out: {carried_out}");
                exact(&bench.world.store, 3, 1).await;
                let jobs = bench.jobs().await;
                assert_eq!(jobs.len(), 1, "{what}");
                let told = bench.told().await;
                assert_eq!(told.len(), 2, "{what}: {told:?}");
                let refused = told.iter().find(|event| event["outcome"] == "failure");
                let refused = refused.unwrap()["target"].as_str().unwrap();
                let done = &jobs[0].id;
                let names = [
                    format!("done/{done}/1.csv.age"),
                    format!("done/{done}/result.csv"),
                    format!("refused/{refused}/2.csv.age"),
                    format!("refused/{refused}/errors.csv"),
                ];
                assert_eq!(bench.names().await, names, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_file_with_wrong_rows_is_refused_with_all_that_is_wrong_and_can_be_put_there_again() {
    let mut bench = Bench::in_folder(json!({"apply": true})).await;
    bench
        .put("bad.csv.age", bench.sealed(&format!("{HEADER}\n{BAD}")))
        .await;
    let mut pickup = bench.pickup(&no_stop());
    bench.finish(&mut pickup).await.unwrap();
    assert_eq!(bench.jobs().await, []);
    let errors = bench.text("errors.csv").await;
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(
        lines,
        [
            "row,column,value,reason",
            "2,email,n***,is not an e-mail address",
            "3,name,'=***,begins as a spreadsheet formula does",
            "3,department,n***,is no department of the policy",
            "3,start_date,2***,is not a day as `2023/04/01` or `2023-04-01`",
        ]
    );
    let told = bench.told().await;
    assert_eq!(told[0]["detail"], "4 of the values in 2 rows are wrong");
    // As it is, by its old name: it is looked at anew.
    let Kind::Folder(folder) = &bench.kind else {
        panic!("a folder")
    };
    let mut names = bench.names().await;
    names.retain(|name| name.ends_with("bad.csv.age"));
    std::fs::rename(
        folder.path().join(&names[0]),
        folder.path().join("bad.csv.age"),
    )
    .unwrap();
    bench.finish(&mut pickup).await.unwrap();
    assert_eq!(bench.told().await.len(), 2);
    assert!(!bench.names().await.contains(&"bad.csv.age".to_owned()));
}

#[tokio::test]
async fn what_cannot_be_opened_is_refused_and_says_why() {
    let mut bench = Bench::new(json!({"apply": true})).await;
    let other = Recipient::read(&Opener::generate().recipient()).unwrap();
    let large = vec![0; 16 * 1024 * 1024 + 1];
    for (name, content) in [
        ("empty", Vec::new()),
        ("large", large),
        ("other", other.seal(file(1, 0).as_bytes()).unwrap()),
        ("plain", file(1, 0).into_bytes()),
        ("result.csv", b"x".to_vec()),
    ] {
        bench.put(name, content).await;
    }
    let cut = bench.sealed(&file(3, 0));
    bench.put("cut", &cut[..cut.len() - 1]).await;
    // Written by programs that give a file its name when it is whole.
    bench.put("new.csv.part", "x").await;
    let mut pickup = bench.pickup(&no_stop());
    for _ in 0..5 {
        assert_eq!(pickup.look().await.unwrap(), Next::Soon);
        bench.world.hand.advance(2_000);
    }
    let mut left = bench.names().await;
    left.retain(|name| !name.contains('/'));
    assert_eq!(left, ["cut", "empty", "new.csv.part"], "may still grow");
    bench.world.hand.advance(600_000);
    bench.finish(&mut pickup).await.unwrap();
    let told = bench.told().await;
    let told: std::collections::BTreeMap<_, _> = told
        .iter()
        .map(|event| {
            let name = event["after"]["name"].as_str().unwrap();
            (name, event["detail"].as_str().unwrap())
        })
        .collect();
    assert_eq!(told.len(), 6);
    for (name, why) in [
        ("empty", "empty"),
        ("large", "larger than 16 MiB"),
        ("other", "another recipient"),
        ("plain", "is not encrypted"),
        ("result.csv", "is not encrypted"),
        ("cut", "is damaged"),
    ] {
        assert!(told[name].contains(why), "{name}: {}", told[name]);
    }
    assert_eq!(bench.text("/file-result.csv").await, "x");
    assert_eq!(bench.content("/large").await.len(), 16 * 1024 * 1024 + 1);
    assert_eq!(bench.jobs().await, []);
    // Nothing of what was in them is told.
    let (cell, found) = ("@example.com", bench.told().await);
    assert!(!format!("{found:?}").contains(cell));
}

#[tokio::test]
async fn a_file_that_is_still_being_written_is_taken_when_it_is_whole() {
    let mut bench = Bench::in_folder(json!({"apply": true})).await;
    let whole = bench.sealed(&file(30, 1));
    let mut pickup = bench.pickup(&no_stop());
    for part in 1..=4 {
        bench
            .put("x.csv.age", &whole[..whole.len() * part / 4])
            .await;
        assert_eq!(pickup.look().await.unwrap(), Next::Soon);
        bench.world.hand.advance(500);
        assert_eq!(pickup.look().await.unwrap(), Next::Soon);
        assert_eq!(bench.jobs().await, [], "part {part}");
        bench
            .world
            .hand
            .advance(if part == 2 { 60_000 } else { 200 });
        if part == 2 {
            // It stalls.
            assert_eq!(pickup.look().await.unwrap(), Next::Soon);
            assert_eq!(bench.told().await, [] as [Value; 0]);
        }
    }
    bench.finish(&mut pickup).await.unwrap();
    exact(&bench.world.store, 30, 1).await;
}

#[tokio::test]
async fn a_plan_waits_for_somebody_and_is_set_aside_when_it_was_decided() {
    let mut bench = Bench::new(json!({})).await;
    bench.put("1.csv.age", bench.sealed(&file(2, 1))).await;
    bench.put("2.csv.age", bench.sealed(&file(3, 1))).await;
    let mut pickup = bench.pickup(&no_stop());
    bench.finish(&mut pickup).await.unwrap();
    let jobs = bench.jobs().await;
    let states: Vec<&str> = jobs.iter().map(|job| job.state.as_str()).collect();
    assert_eq!(states, ["planned", "planned"]);
    assert_eq!(bench.names().await, ["1.csv.age", "2.csv.age"]);
    let settings = Arc::new(bench.settings());
    let world = &bench.world;
    let desk = Desk::new(
        world.store.clone(),
        world.hub.clone(),
        settings,
        None,
        "embedded",
        false,
    );
    let mut author = Author::program("test", world.clock.now(), [1; 32]);
    desk.confirm(&jobs[1].id, &mut author).await.unwrap();
    assert!(desk.cancel(&jobs[0].id, &mut author).await.unwrap());
    bench.finish(&mut pickup).await.unwrap();
    exact(&bench.world.store, 3, 1).await;
    let (done, refused) = (&jobs[1].id, &jobs[0].id);
    let names = [
        format!("done/{done}/2.csv.age"),
        format!("done/{done}/result.csv"),
        format!("refused/{refused}/1.csv.age"),
        format!("refused/{refused}/result.csv"),
    ];
    assert_eq!(bench.names().await, names);
}

#[tokio::test]
async fn the_next_file_is_planned_when_the_one_before_is_in_the_directory() {
    let mut bench = Bench::new(json!({"apply": true, "missing": "delete"})).await;
    for (name, people) in [("1.csv.age", 4), ("2.csv.age", 2), ("3.csv.age", 3)] {
        bench.put(name, bench.sealed(&file(people, 1))).await;
    }
    let mut pickup = bench.pickup(&no_stop());
    bench.finish(&mut pickup).await.unwrap();
    // Had they been planned together, the second had found nobody to delete.
    exact(&bench.world.store, 3, 1).await;
    let jobs = bench.jobs().await;
    assert_eq!(jobs.len(), 3);
    let second = jobs::counts(&bench.world.store, &jobs[1].id).await.unwrap();
    assert!(
        second.contains(&(jobs::Deed::Delete, jobs::State::Done, 2)),
        "{second:?}"
    );
}

#[tokio::test]
async fn rows_that_were_left_out_are_told_beside_the_result_to_whom_it_is_for_alone() {
    let reader = Opener::generate();
    let pickup = json!({"apply": true, "partial": true, "results_for": reader.recipient()});
    let mut bench = Bench::new(pickup).await;
    bench
        .put("x.csv.age", bench.sealed(&format!("{}{BAD}", file(2, 1))))
        .await;
    let mut pickup = bench.pickup(&no_stop());
    bench.finish(&mut pickup).await.unwrap();
    exact(&bench.world.store, 2, 1).await;
    let errors = reader.open(&bench.content("errors.csv.age").await).unwrap();
    assert_eq!(String::from_utf8_lossy(&errors).lines().count(), 5);
    let result = reader.open(&bench.content("result.csv.age").await).unwrap();
    assert_eq!(String::from_utf8_lossy(&result).lines().count(), 3);
    assert!(
        bench
            .names()
            .await
            .iter()
            .all(|name| !name.ends_with(".csv"))
    );
}

#[tokio::test]
async fn two_sidecars_that_both_think_that_they_are_active_take_a_file_once() {
    // Each step of the one that is late, from before it takes the file until after it has set it aside.
    for stop in 1..14 {
        let carried_out = stop % 2 == 0;
        let mut bench = Bench::new(json!({"apply": true})).await;
        bench.put("x.csv.age", bench.sealed(&file(2, 1))).await;
        let steps = Steps::stop_at(Some((stop, carried_out)));
        let mut late = bench.pickup(&steps);
        let its_steps = Arc::clone(&steps);
        let late = tokio::spawn(async move {
            while !its_steps.has_stopped() {
                let _ = late.look().await;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            late
        });
        while !steps.has_stopped() {
            while bench.runner.round().await.unwrap() {}
            bench.world.hand.advance(2_000);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let mut other = bench.pickup(&no_stop());
        bench.finish(&mut other).await.unwrap();
        steps.release();
        let mut late = late.await.unwrap();
        bench.finish(&mut late).await.unwrap();
        let what = format!("late at {stop}, carried out: {carried_out}");
        exact(&bench.world.store, 2, 1).await;
        assert_eq!(bench.jobs().await.len(), 1, "{what}");
        assert_eq!(bench.told().await.len(), 1, "{what}");
        assert_eq!(bench.names().await.len(), 2, "{what}");
    }
}

#[tokio::test]
async fn a_file_that_takes_the_place_of_one_under_way_is_taken_as_well() {
    let mut bench = Bench::new(json!({})).await;
    bench.put("x.csv.age", bench.sealed(&file(2, 1))).await;
    let mut pickup = bench.pickup(&no_stop());
    bench.finish(&mut pickup).await.unwrap();
    bench.put("x.csv.age", bench.sealed(&file(3, 1))).await;
    bench.finish(&mut pickup).await.unwrap();
    let jobs = bench.jobs().await;
    assert_eq!(jobs.len(), 2);
    let mut connection = bench.world.store.pool().acquire().await.unwrap();
    let now = bench.world.clock.now();
    jobs::cancel(&mut connection, &jobs[0].id, now)
        .await
        .unwrap();
    drop(connection);
    bench.finish(&mut pickup).await.unwrap();
    let refused = format!("refused/{}/result.csv", jobs[0].id);
    assert_eq!(bench.names().await, [refused, "x.csv.age".to_owned()]);
}

#[tokio::test]
async fn a_store_that_is_down_is_told_and_asked_again() {
    let mut bench = Bench::new(json!({"apply": true})).await;
    bench.put("x.csv.age", bench.sealed(&file(2, 1))).await;
    let steps = no_stop();
    let mut pickup = bench.pickup(&steps);
    let standing = pickup.standing();
    steps.be_down(true);
    for _ in 0..3 {
        pickup.look().await.unwrap_err();
        bench.world.hand.advance(1_000);
    }
    let why = failure(&standing).unwrap();
    assert!(why.contains("503") && !why.contains("sEcReT"), "{why}");
    let since = standing.pulse().beat().failing.unwrap().since;
    assert_eq!(since.0 + 3_000, bench.world.clock.now().0);
    steps.be_down(false);
    bench.finish(&mut pickup).await.unwrap();
    assert_eq!(failure(&standing), None);
    assert_eq!((standing.waiting(), standing.place()), (0, PLACE));
    exact(&bench.world.store, 2, 1).await;
}

#[tokio::test]
async fn a_name_that_no_object_can_have_is_told_and_keeps_no_other_file() {
    let mut bench = Bench::in_folder(json!({"apply": true})).await;
    bench.put("x.csv.age", bench.sealed(&file(2, 1))).await;
    let Kind::Folder(folder) = &bench.kind else {
        panic!("a folder")
    };
    std::fs::write(folder.path().join("a\nb"), "x").unwrap();
    let mut pickup = bench.pickup(&no_stop());
    let standing = pickup.standing();
    for _ in 0..6 {
        let _ = pickup.look().await;
        while bench.runner.round().await.unwrap() {}
        bench.world.hand.advance(2_000);
    }
    exact(&bench.world.store, 2, 1).await;
    let why = failure(&standing).unwrap();
    assert!(why.contains(r#""a\nb""#), "{why}");
    assert_eq!(
        people::changed_after(&bench.world.store, -1)
            .await
            .unwrap()
            .len(),
        2
    );
}
