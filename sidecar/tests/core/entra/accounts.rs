use sekisho::provisioning::{Account, AccountKey, Refusal};

use super::*;

fn found(outcome: Outcome) -> Option<Account> {
    match outcome {
        Outcome::Done(Answer::Found(found)) => found,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_account_says_to_the_letter_what_the_order_says() {
    let tenant = Tenant::start().await;
    let names = [
        "山田太郎".to_owned(),
        "𠮷野家 髙橋 👩‍👩‍👧‍👦".to_owned(),
        "か\u{3099}く".to_owned(),
        "O'Neil \"<&>\" \\ \u{200d}".to_owned(),
        "関".repeat(256),
    ];
    let specs: Vec<AccountSpec> = (0..)
        .zip(&names)
        .map(|(at, name)| spec(&format!("{at:03}"), name))
        .collect();
    let orders: Vec<Order> = specs.iter().cloned().map(create).collect();
    for outcome in tenant.carry_out(&orders).await {
        assert!(
            matches!(outcome, Outcome::Done(Answer::Created(_))),
            "{outcome:?}"
        );
    }
    for wanted in specs {
        let key = AccountKey::Employee(wanted.employee.clone());
        let account = found(tenant.one(Order::Find(key)).await).unwrap();
        assert_eq!(account.spec, wanted);
        let key = AccountKey::UserName(wanted.user_name.clone());
        assert_eq!(found(tenant.one(Order::Find(key)).await).unwrap(), account);
        let password = tenant.graph.password(&account.id.0).unwrap();
        assert_eq!(password, format!("Initial-{}-9", wanted.employee.as_str()));
    }
    let nobody = AccountKey::Employee("O'Neil' or 1".into());
    assert_eq!(found(tenant.one(Order::Find(nobody)).await), None);
    let nobody = AccountKey::UserName(UserName("a/../b?#@example.com".into()));
    assert_eq!(found(tenant.one(Order::Find(nobody)).await), None);
    tenant.is_clean();
}

#[tokio::test]
async fn forty_five_creations_are_three_requests_and_one_that_fails_stops_no_other() {
    let tenant = Tenant::start().await;
    tenant.create(spec("taken", "x")).await;
    let mut orders: Vec<Order> = (0..44)
        .map(|at| create(spec(&format!("{at:03}"), "x")))
        .collect();
    let mut other = spec("taken", "somebody else");
    other.employee = "999".into();
    orders.push(create(other));
    let outcomes = tenant.carry_out(&orders).await;
    let done = outcomes.iter().filter(|o| matches!(o, Outcome::Done(_)));
    assert_eq!(done.count(), 44);
    assert_eq!(
        outcomes[44],
        Outcome::Refused(Refusal::Taken { what: "user name" })
    );
    assert!(
        tenant.graph.journal()[1..45]
            .iter()
            .all(|line| line.batched)
    );
    assert_eq!(tenant.graph.tokens(), 1);
    tenant.is_clean();
}

#[tokio::test]
async fn an_account_is_updated_disabled_and_deleted() {
    let tenant = Tenant::start().await;
    let id = tenant.create(spec("001", "山田太郎")).await;
    let mut wanted = spec("001", "山田次郎");
    (wanted.job_title, wanted.phone) = (String::new(), String::new());
    wanted.department = "法務部".to_owned();
    let update = Order::Update {
        id: id.clone(),
        spec: wanted.clone(),
    };
    assert_eq!(tenant.one(update).await, Outcome::DONE);
    let account = found(
        tenant
            .one(Order::Find(AccountKey::Object(id.clone())))
            .await,
    );
    assert_eq!(account.unwrap().spec, wanted);

    assert_eq!(tenant.one(Order::Disable(id.clone())).await, Outcome::DONE);
    let user = tenant.user(&id);
    assert_eq!(
        (&user["accountEnabled"], &user["sessionsRevoked"]),
        (&json!(false), &json!(1))
    );
    assert_eq!(tenant.one(Order::Enable(id.clone())).await, Outcome::DONE);
    assert_eq!(tenant.user(&id)["accountEnabled"], true);
    assert_eq!(
        tenant.one(Order::RevokeSessions(id.clone())).await,
        Outcome::DONE
    );
    assert_eq!(tenant.user(&id)["sessionsRevoked"], 2);

    let set = |password: &str| Order::SetPassword {
        id: id.clone(),
        password: Password::given(password.to_owned()),
    };
    assert_eq!(tenant.one(set("Another-1")).await, Outcome::DONE);
    assert_eq!(tenant.graph.password(&id.0).unwrap(), "Another-1");
    assert_eq!(
        tenant.one(set("allthesame")).await,
        Outcome::Refused(Refusal::Password)
    );
    let unlocked = tenant.one(Order::Unlock(id.clone())).await;
    assert!(matches!(
        unlocked,
        Outcome::Refused(Refusal::Impossible { .. })
    ));

    assert_eq!(tenant.one(Order::Delete(id.clone())).await, Outcome::DONE);
    tenant.hand.advance(LATER_MILLIS);
    for order in [
        Order::Delete(id.clone()),
        Order::Disable(id.clone()),
        Order::Enable(id.clone()),
    ] {
        assert_eq!(tenant.one(order).await, Outcome::Refused(Refusal::Gone));
    }
    assert_eq!(
        found(tenant.one(Order::Find(AccountKey::Object(id))).await),
        None
    );
    tenant.is_clean();
}

#[tokio::test]
async fn whoever_changes_department_changes_groups_and_roles_and_keeps_the_others() {
    let tenant = Tenant::start().await;
    let id = tenant.create(spec("001", "山田太郎")).await;
    let join = json!({"@odata.id": format!("http://x/v1.0/directoryObjects/{}", id.0)});
    let joined = tenant
        .graph
        .by_hand("POST", &format!("/groups/{CHOIR}/members/$ref"), &join);
    assert_eq!(joined, 204);
    let order = |place: Place| Order::Place {
        id: id.clone(),
        place,
    };
    let (sales, legal) = (&[SALES], &[LEGAL]);
    assert_eq!(
        tenant.one(order(place(sales, &["text_apis"]))).await,
        Outcome::DONE
    );
    let user = tenant.user(&id);
    assert_eq!(user["groups"], json!([SALES, CHOIR]));
    assert_eq!(user["appRoleIds"], json!([TEXT]));
    let changes = |tenant: &Tenant| {
        tenant
            .graph
            .journal()
            .iter()
            .filter(|l| l.committed)
            .count()
    };
    let before = changes(&tenant);
    assert_eq!(
        tenant.one(order(place(sales, &["text_apis"]))).await,
        Outcome::DONE
    );
    assert_eq!(changes(&tenant), before, "nothing to do");
    assert_eq!(
        tenant
            .one(order(place(legal, &["text_apis", "image_apis"])))
            .await,
        Outcome::DONE
    );
    let user = tenant.user(&id);
    assert_eq!(user["groups"], json!([LEGAL, CHOIR]));
    assert_eq!(user["appRoleIds"].as_array().unwrap().len(), 2);
    assert_eq!(tenant.one(order(place(&[], &[]))).await, Outcome::DONE);
    let user = tenant.user(&id);
    assert_eq!(
        (&user["groups"], &user["appRoleIds"]),
        (&json!([CHOIR]), &json!([]))
    );
    let unknown = Order::Place {
        id: id.clone(),
        place: Place {
            app_roles: vec!["video_apis".to_owned()],
            ..Place::default()
        },
    };
    let Outcome::Refused(refusal) = tenant.one(unknown).await else {
        panic!("a role that nobody has");
    };
    assert!(
        refusal
            .to_string()
            .contains("no enabled app role `video_apis`"),
        "{refusal}"
    );
    tenant.is_clean();
}

#[tokio::test]
async fn twenty_people_are_placed_in_rounds_not_one_by_one() {
    let tenant = Tenant::start().await;
    let mut orders = Vec::new();
    for at in 0..20 {
        let id = tenant.create(spec(&format!("{at:03}"), "x")).await;
        let place = place(&[SALES], &["text_apis"]);
        orders.push(Order::Place { id, place });
    }
    for outcome in tenant.carry_out(&orders).await {
        assert_eq!(outcome, Outcome::DONE);
    }
    let members = "POST /groups/{group-id}/members/$ref";
    assert_eq!(tenant.asked(members), 20);
    let journal = tenant.graph.journal();
    let of = journal.iter().filter(|line| line.operation == members);
    let numbers: Vec<u64> = of.map(|line| line.number).collect();
    assert_eq!(numbers[19] - numbers[0], 19, "they went together");
    tenant.is_clean();
}
