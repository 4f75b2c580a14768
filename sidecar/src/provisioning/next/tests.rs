use jiff::civil::date;

use super::*;
use crate::provisioning::accounts::UserName;
use crate::provisioning::jobs::Wanted;

fn person() -> Person {
    Person {
        id: "001".into(),
        tenant: "t".into(),
        object_id: "o".into(),
        name: "山田太郎".into(),
        email: "taro@example.com".into(),
        department: "sales".into(),
        job_title: String::new(),
        phone: String::new(),
        start: date(2023, 4, 1),
        end: None,
        enabled: true,
        suspended: false,
        tokens_valid_from: UnixMillis(0),
    }
}

fn task(phase: Phase) -> Task {
    Task {
        job: "j".to_owned(),
        number: 1,
        person: "001".into(),
        deed: Deed::Create,
        line: 2,
        changes: String::new(),
        wanted: Some(Wanted::new(&Person {
            object_id: String::new(),
            ..person()
        })),
        state: State::Waiting,
        phase,
        object_id: String::new(),
        unsure: false,
        attempts: 0,
        next_at: UnixMillis(0),
        note: String::new(),
        caller: sekisho_domain::record::Caller::default(),
    }
}

fn account(employee: &str) -> Account {
    Account {
        id: ObjectId("o".to_owned()),
        spec: AccountSpec {
            employee: employee.into(),
            user_name: UserName("taro@example.com".to_owned()),
            mail_nickname: "taro".to_owned(),
            display_name: "山田太郎".to_owned(),
            mail: "taro@example.com".to_owned(),
            department: "営業部".to_owned(),
            job_title: String::new(),
            phone: String::new(),
            enabled: true,
        },
    }
}

fn facts<'a>(person: Option<&'a Person>, known: Option<&'a Known>) -> Facts<'a> {
    Facts {
        spec: Some(account("001").spec),
        person,
        known,
        has_mail: true,
        has_password: false,
    }
}

fn after(task: &mut Task, outcome: Outcome) -> Follows {
    let settings = PeopleSettings::default();
    let facts = facts(None, None);
    let Next::Order(order) = next(task, &facts, &settings, || Password::given("p".to_owned()))
    else {
        panic!("no order for {task:?}");
    };
    settle(
        task,
        &order,
        outcome,
        &facts,
        &settings,
        UnixMillis(1_000),
        0,
    )
}

fn found(account: Option<Account>) -> Outcome {
    Outcome::Done(Answer::Found(account))
}

fn unknown() -> Outcome {
    Outcome::Unknown {
        why: "no answer".to_owned(),
    }
}

#[test]
fn a_creation_without_answer_is_looked_for_twice_before_it_is_ordered_again() {
    let mut task = task(Phase::Look);
    after(&mut task, found(None));
    assert_eq!(task.phase, Phase::Create);
    after(&mut task, unknown());
    assert_eq!((task.phase, task.unsure), (Phase::Look, true));
    assert!(task.next_at > UnixMillis(1_000));
    after(&mut task, found(None));
    assert_eq!(task.phase, Phase::LookByName);
    after(&mut task, found(None));
    assert_eq!(task.phase, Phase::Create);
    let Follows::Account { known, .. } = after(
        &mut task,
        Outcome::Done(Answer::Created(ObjectId("o".to_owned()))),
    ) else {
        panic!();
    };
    assert!(known.ours && !known.notified);
}

#[test]
fn a_creation_that_was_carried_out_unseen_is_ours() {
    for phase in [Phase::Look, Phase::LookByName] {
        let mut task = Task {
            unsure: true,
            ..task(phase)
        };
        let Follows::Account { id, known } = after(&mut task, found(Some(account("001")))) else {
            panic!();
        };
        assert_eq!(
            (id.0.as_str(), known.ours, known.notified),
            ("o", true, false)
        );
    }
}

#[test]
fn an_account_that_was_there_before_keeps_its_password() {
    let mut task = task(Phase::Look);
    let Follows::Account { known, .. } = after(&mut task, found(Some(account("001")))) else {
        panic!();
    };
    assert!(!known.ours && known.notified);
    assert_eq!(task.note, "the account was there already");
}

#[test]
fn a_name_that_somebody_else_has_is_refused_for_good() {
    let mut one = Task {
        unsure: true,
        ..task(Phase::LookByName)
    };
    after(&mut one, found(Some(account("002"))));
    assert_eq!(one.state, State::Failed);
    let mut other = task(Phase::Create);
    after(
        &mut other,
        Outcome::Refused(Refusal::Taken { what: "user name" }),
    );
    assert_eq!((other.state, other.phase), (State::Failed, Phase::Look));
    let mut unsure = Task {
        unsure: true,
        ..task(Phase::Create)
    };
    after(
        &mut unsure,
        Outcome::Refused(Refusal::Taken { what: "user name" }),
    );
    assert_eq!((unsure.state, unsure.phase), (State::Waiting, Phase::Look));
}

#[test]
fn a_throttled_order_waits_as_told_and_counts_for_nothing() {
    let mut task = task(Phase::Create);
    let follows = after(
        &mut task,
        Outcome::Throttled {
            until: UnixMillis(9_000),
        },
    );
    assert_eq!(follows, Follows::Pause(UnixMillis(9_000)));
    assert_eq!(
        (task.next_at, task.attempts, task.unsure),
        (UnixMillis(9_000), 0, false)
    );
    assert_eq!(task.phase, Phase::Look);
}

#[test]
fn an_account_is_disabled_first_and_enabled_last() {
    let person = person();
    let settings = PeopleSettings::default();
    let kinds = |enabled: bool| {
        let mut known = Known {
            ours: true,
            ..Known::default()
        };
        let mut task = task(Phase::Account);
        task.object_id = "o".to_owned();
        let mut orders = Vec::new();
        loop {
            let mut facts = facts(Some(&person), Some(&known));
            if let Some(spec) = &mut facts.spec {
                spec.enabled = enabled;
            }
            match next(&task, &facts, &settings, || Password::given("p".to_owned())) {
                Next::Order(order) => {
                    let name = format!("{order:?}");
                    orders.push(name.split(['(', ' ', '{']).next().unwrap().to_owned());
                    let follows = settle(
                        &mut task,
                        &order,
                        Outcome::DONE,
                        &facts,
                        &settings,
                        UnixMillis(1),
                        0,
                    );
                    match follows {
                        Follows::Known(after) => known = after,
                        _ => return orders,
                    }
                }
                _ => return orders,
            }
        }
    };
    assert_eq!(kinds(true), ["Update", "Place", "Enable", "SetPassword"]);
    assert_eq!(kinds(false), ["Disable", "Update", "Place"]);
}

#[test]
fn an_account_that_is_gone_need_not_be_disabled() {
    let mut task = Task {
        deed: Deed::Disable,
        object_id: "o".to_owned(),
        ..task(Phase::Account)
    };
    let (person, known) = (person(), Known::default());
    let facts = facts(Some(&person), Some(&known));
    let order = Order::Disable(ObjectId("o".to_owned()));
    let settings = PeopleSettings::default();
    settle(
        &mut task,
        &order,
        Outcome::Refused(Refusal::Gone),
        &facts,
        &settings,
        UnixMillis(1),
        0,
    );
    assert_eq!(task.state, State::Done);
}
