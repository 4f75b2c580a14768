//! A container of Azure Blob Storage, as Azurite has it, and a bucket, as SeaweedFS does.

use sekisho::objects::Objects;
use serde_json::json;

use super::{BAD, Bench, HEADER, exact, file};
use crate::azurite::Azurite;
use crate::cloud::Cloud;
use crate::seaweed::Seaweed;

#[tokio::test]
async fn files_in_a_container_of_azure_are_picked_up_carried_out_and_set_aside() {
    picked_up(Azurite::start().await).await;
}

#[tokio::test]
async fn files_in_a_bucket_are_picked_up_carried_out_and_set_aside() {
    picked_up(Seaweed::start().await).await;
}

async fn picked_up<C: Cloud>(cloud: C) {
    let mut bench = Bench::new(json!({"apply": true})).await;
    let objects = Objects::open(
        &format!("{}://people/inbox", C::SCHEME),
        cloud.environment(),
    )
    .unwrap();
    let mut pickup = bench.pickup_of(objects.clone());
    let standing = pickup.standing();
    pickup.look().await.unwrap_err();
    let why = super::failure(&standing).unwrap();
    assert!(why.contains(C::MISSING), "{why}");
    cloud.make("people").await;
    let names = [
        "1 名簿 (新).csv.age",
        "2 it's #5 100% [x]&+.csv.age",
        "3.csv.age",
        "4.csv.age",
    ];
    let other = bench.sealed(&format!("{HEADER}\n{BAD}"));
    let files = [
        bench.sealed(&file(2, 1)),
        bench.sealed(&file(40, 1)),
        other,
        vec![0; 16 * 1024 * 1024 + 1],
    ];
    for (name, file) in names.iter().zip(&files) {
        objects.replace(name, file.clone().into()).await.unwrap();
    }
    bench.finish(&mut pickup).await.unwrap();
    assert_eq!(super::failure(&standing), None);
    exact(&bench.world.store, 40, 1).await;
    let jobs = bench.jobs().await;
    assert_eq!(jobs.len(), 2);
    let told = bench.told().await;
    assert_eq!(told.len(), 4);
    let mut wanted = Vec::new();
    for (n, (name, file)) in names.iter().zip(&files).enumerate() {
        let id = told[n]["target"].as_str().unwrap();
        let (folder, report) = match n {
            0 | 1 => ("done", "result.csv"),
            _ => ("refused", "errors.csv"),
        };
        let moved = format!("{folder}/{id}/{name}");
        let read = objects.read(&moved).await.unwrap().unwrap();
        assert_eq!(read, file.as_slice(), "{moved}");
        wanted.extend([moved, format!("{folder}/{id}/{report}")]);
    }
    wanted.sort();
    let left = objects.list("").await.unwrap();
    let left: Vec<String> = left.into_iter().map(|object| object.name).collect();
    assert_eq!(left, wanted);
    let result = format!("done/{}/result.csv", jobs[1].id);
    let result = objects.read(&result).await.unwrap().unwrap();
    let result = String::from_utf8(result.to_vec()).unwrap();
    assert_eq!(result.matches(",create,,done,").count(), 38, "{result}");
}
