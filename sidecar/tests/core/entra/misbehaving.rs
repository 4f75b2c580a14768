use std::collections::{BTreeMap, BTreeSet};

use sekisho::provisioning::{AccountKey, Refusal};
use sekisho_demo_graph::Faults;

use super::*;

/// What a durable job does with people who have no account, in short: it looks before it creates
/// again, and asks again what may be answered otherwise.
async fn provision(tenant: &Tenant, specs: &[AccountSpec]) -> BTreeMap<String, ObjectId> {
    let mut made = BTreeMap::new();
    let mut in_doubt = BTreeSet::new();
    while made.len() < specs.len() {
        let open = specs
            .iter()
            .filter(|spec| !made.contains_key(spec.employee.as_str()));
        let open: Vec<&AccountSpec> = open.take(20).collect();
        let orders = open
            .iter()
            .map(|spec| match in_doubt.contains(spec.employee.as_str()) {
                true => Order::Find(AccountKey::Employee(spec.employee.clone())),
                false => create((*spec).clone()),
            });
        let orders: Vec<Order> = orders.collect();
        let outcomes = tenant.carry_out(&orders).await;
        for (spec, outcome) in open.into_iter().zip(outcomes) {
            let employee = spec.employee.as_str().to_owned();
            match outcome {
                Outcome::Done(Answer::Created(id)) => {
                    made.insert(employee, id);
                }
                Outcome::Done(Answer::Found(Some(account))) => {
                    made.insert(employee, account.id);
                }
                Outcome::Done(Answer::Found(None)) => {
                    in_doubt.remove(&employee);
                }
                Outcome::Unknown { .. } => {
                    in_doubt.insert(employee);
                }
                Outcome::Throttled { until } => {
                    assert!(until >= NOW);
                    tenant.hand.set(until.max(NOW));
                }
                Outcome::Again { .. } => {}
                other => panic!("{employee}: {other:?}"),
            }
        }
    }
    made
}

fn worst(seed: u64) -> Faults {
    Faults {
        seed,
        throttled: 100,
        throttled_batches: 50,
        retry_after: 1,
        unavailable: 50,
        late: 80,
        dropped: 50,
        lost: 100,
        cut: 50,
        hidden_millis: 200,
        revoked_tokens: 30,
        ..Faults::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_lost_on_the_way_everybody_has_one_account() {
    let tenant = Tenant::start().await;
    let seed = std::env::var("SEKISHO_SEED").map_or(7, |seed| seed.parse().unwrap());
    println!("SEKISHO_SEED={seed}");
    tenant.graph.misbehave(worst(seed));
    let specs: Vec<AccountSpec> = (0..300)
        .map(|at| spec(&format!("{at:04}"), &format!("𠮷田 {at}")))
        .collect();
    let made = tokio::time::timeout(PATIENCE, provision(&tenant, &specs)).await;
    let made = made.expect("it takes too long");
    let users = tenant.graph.users();
    assert_eq!(users.len(), specs.len(), "nobody twice");
    for wanted in &specs {
        let user = tenant.user(&made[wanted.employee.as_str()]);
        assert_eq!(user["employeeId"], wanted.employee.as_str());
        assert_eq!(user["displayName"], wanted.display_name.as_str());
    }
    let journal = tenant.graph.journal();
    let lost = journal
        .iter()
        .filter(|line| line.committed && !line.answered);
    assert!(lost.count() > 10, "answers were lost");
    let conflicts = journal
        .iter()
        .filter(|l| l.operation == "POST /users" && l.status == 400);
    assert!(
        conflicts.count() > 0,
        "some were created again though they were there"
    );
    tenant.is_clean();
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_in_doubt_and_its_repetition_is_the_same_account() {
    let tenant = Tenant::start().await;
    tenant.graph.misbehave(Faults {
        lost: 1000,
        ..Faults::default()
    });
    let outcome = tenant.one(create(spec("001", "山田太郎"))).await;
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    tenant.graph.misbehave(Faults::default());
    let mut wanted = spec("001", "山田花子");
    wanted.enabled = false;
    let order = Order::Create {
        spec: wanted,
        password: Password::given("Second-Password-2".to_owned()),
    };
    let Outcome::Done(Answer::Created(id)) = tenant.one(order).await else {
        panic!("it is there");
    };
    assert_eq!(tenant.graph.users().len(), 1);
    let user = tenant.user(&id);
    assert_eq!(
        (&user["displayName"], &user["accountEnabled"]),
        (&json!("山田花子"), &json!(false))
    );
    assert_eq!(tenant.graph.password(&id.0).unwrap(), "Second-Password-2");
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_a_doubt_though_the_account_was_made() {
    let tenant = Tenant::start_with(Some(Duration::from_secs(3))).await;
    // The token comes in time.
    tenant.create(spec("000", "x")).await;
    tenant.graph.misbehave(Faults {
        slow: 1000,
        slow_millis: 60_000,
        ..Faults::default()
    });
    let outcome = tenant.one(create(spec("001", "x"))).await;
    let Outcome::Unknown { why } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(why, "Microsoft Graph does not answer: it is too slow");
    assert_eq!(tenant.graph.users().len(), 2);
}

#[tokio::test]
async fn each_fault_is_told_as_what_it_is() {
    let tenant = Tenant::start().await;
    let id = tenant.create(spec("001", "x")).await;
    let with = |faults: Faults| {
        tenant.graph.misbehave(faults);
        tenant.one(Order::Enable(id.clone()))
    };
    let throttled = with(Faults {
        throttled: 1000,
        retry_after: 17,
        ..Faults::default()
    })
    .await;
    assert_eq!(
        throttled,
        Outcome::Throttled {
            until: NOW.plus_millis(17_000)
        }
    );
    for faults in [
        Faults {
            unavailable: 1000,
            ..Faults::default()
        },
        Faults {
            dropped: 1000,
            ..Faults::default()
        },
        Faults {
            cut: 1000,
            ..Faults::default()
        },
    ] {
        let outcome = with(faults.clone()).await;
        let is_doubt = matches!(outcome, Outcome::Unknown { .. });
        // An answer without a body cannot be cut.
        assert!(is_doubt || faults.cut > 0, "{faults:?}: {outcome:?}");
    }
    // A token that ends before its time is replaced, once.
    let before = tenant.graph.tokens();
    tenant.graph.misbehave(Faults {
        revoked_tokens: 1000,
        ..Faults::default()
    });
    let outcome = tenant.one(Order::Enable(id.clone())).await;
    assert!(matches!(outcome, Outcome::Again { .. }), "{outcome:?}");
    assert!(tenant.graph.tokens() > before);
    tenant.graph.misbehave(Faults::default());
    assert_eq!(tenant.one(Order::Enable(id)).await, Outcome::DONE);
    tenant.is_clean();
}

#[tokio::test]
async fn a_new_account_that_is_not_known_everywhere_yet_is_not_gone() {
    let tenant = Tenant::start().await;
    tenant.graph.misbehave(Faults {
        hidden_millis: 3_600_000,
        ..Faults::default()
    });
    tenant.hand.advance(LATER_MILLIS);
    let id = tenant.create(spec("001", "x")).await;
    let order = || Order::Place {
        id: id.clone(),
        place: place(&[SALES], &[]),
    };
    let outcome = tenant.one(order()).await;
    assert!(matches!(outcome, Outcome::Again { .. }), "{outcome:?}");
    tenant.hand.advance(LATER_MILLIS);
    assert_eq!(tenant.one(order()).await, Outcome::Refused(Refusal::Gone));
}

#[tokio::test]
async fn a_domain_that_is_not_the_tenants_is_told_without_the_name() {
    let tenant = Tenant::start().await;
    let mut wanted = spec("001", "x");
    wanted.user_name = UserName("taro@elsewhere.example".to_owned());
    let Outcome::Refused(refusal) = tenant.one(create(wanted)).await else {
        panic!("created");
    };
    let told = refusal.to_string();
    assert!(
        told.contains("`InvalidValue` of `userPrincipalName`"),
        "{told}"
    );
    assert!(
        !told.contains("taro") && !told.contains("elsewhere"),
        "{told}"
    );
}
