use serde_json::{Value, json};

use crate::{Budget, Meter, Modality, Mode, Payer, Policy, Problem, StreamCut, Subject, Tokens};

fn file(budgets: Value) -> Value {
    json!({
        "version": 1, "organisation": "Example", "time_zone": "Asia/Tokyo", "currency": "JPY",
        "scopes": {"all": null},
        "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                     "jwks_uri": "https://i.example/keys"}],
        "upstreams": [{"name": "azure", "provider": "azure_openai", "url": "https://a.example"}],
        "apis": [{"name": "azure", "provider": "azure_openai", "operations": ["chat_completions"],
                  "scope": "all", "models": [{"name": "gpt-4o", "upstream": "azure"}]}],
        "departments": [{"id": "sales", "name": "営業部"}],
        "prices": [{"model": "gpt-4o", "from": "2024-10-01", "input_per_million": 1, "output_per_million": 1}],
        "budgets": budgets,
    })
}

fn problems(budgets: Value) -> Vec<Problem> {
    Policy::parse(file(budgets)).unwrap_err()
}

/// A sound budget with this limit.
fn limited(meter: &str, limit: Value) -> Value {
    json!({"id": "b", "department": "sales", "meter": meter, "window": "day", "limit": limit})
}

#[test]
fn a_budget_says_whom_it_binds_what_it_counts_and_over_which_window() {
    let policy = Policy::parse(file(json!([
        {"id": "all", "organisation": true, "meter": "cost", "window": "month", "limit": "1000000.5"},
        {"id": "sound", "department": "sales", "modality": "audio", "meter": "requests", "window": "hour", "limit": 5},
        {"id": "taro", "user": "001", "api": "azure", "meter": "input_tokens", "window": "day", "limit": 0},
        {"id": "batch", "key": "key_1", "model": "gpt-4o", "meter": "output_tokens", "window": "minute", "limit": 9},
        {"id": "crowd", "department": "sales", "meter": "concurrency", "limit": 8},
    ])))
    .unwrap();
    let [all, sound, taro, batch, crowd] = policy.budgets.as_slice() else {
        panic!("{:?}", policy.budgets)
    };
    assert_eq!(
        (&all.payer, all.limit),
        (&Payer::Organisation, 1_000_000_500_000)
    );
    assert_eq!(sound.subject, Subject::Modality(Modality::Audio));
    assert_eq!((&taro.payer, taro.limit), (&Payer::User("001".into()), 0));
    assert_eq!(taro.subject, Subject::Api("azure".into()));
    assert_eq!(batch.payer, Payer::Key("key_1".into()));
    assert_eq!(batch.subject, Subject::Model("gpt-4o".into()));
    assert_eq!((crowd.meter, crowd.window), (Meter::Concurrency, None));
}

#[test]
fn a_budget_is_written_as_it_was_read() {
    let written = json!([
        {"id": "all", "organisation": true, "meter": "cost", "window": "month", "limit": "1000000.5"},
        {"id": "taro", "user": "001", "api": "azure", "meter": "tokens", "window": "day", "limit": 7},
        {"id": "crowd", "key": "k", "modality": "text", "meter": "concurrency", "limit": 8},
    ]);
    let policy = Policy::parse(file(written.clone())).unwrap();
    let raw: Vec<_> = policy.budgets.iter().map(Budget::to_raw).collect();
    assert_eq!(serde_json::to_value(&raw).unwrap(), written);
    for (raw, budget) in raw.iter().zip(&policy.budgets) {
        assert_eq!(Budget::from_raw(raw, 1).as_ref(), Some(budget));
        assert_eq!(Budget::check(raw, &policy).as_ref(), Ok(budget));
        let later = Budget::from_raw(raw, 3).unwrap();
        assert_eq!(
            (later.id.plain(), later.id == budget.id),
            (budget.id.as_str(), false)
        );
        assert!(later.counts_like(budget));
    }
}

#[test]
fn there_is_no_way_to_write_unlimited_by_mistake() {
    let mut missing = limited("requests", json!(1));
    missing.as_object_mut().unwrap().remove("limit");
    let wrong = [
        (missing, "missing"),
        (limited("requests", json!(null)), "null"),
        (limited("requests", json!(-1)), "-1"),
        (limited("requests", json!("unlimited")), "`unlimited`"),
        (limited("requests", json!("100")), "`100`"),
        (limited("requests", json!(1.5)), "1.5"),
        (limited("requests", json!(1e30)), "1e30"),
        (limited("requests", json!(true)), "true"),
        (limited("requests", json!([1])), "a list"),
        (limited("requests", json!({"max": 1})), "an object"),
        (limited("cost", json!("unlimited")), "`unlimited`"),
        (limited("cost", json!("")), "``"),
        (limited("cost", json!("-5")), "`-5`"),
        (limited("cost", json!(50000.0)), "50000.0"),
    ];
    for (budget, found) in wrong {
        let problems = problems(json!([budget.clone()]));
        let [problem] = problems.as_slice() else {
            panic!("{budget}: {problems:?}")
        };
        assert_eq!(problem.path, "budgets[0].limit", "{budget}");
        let message = &problem.message;
        assert!(message.contains(found), "{message}");
        assert!(message.contains("must be a whole number"), "{message}");
        assert!(message.contains("leave the budget out"), "{message}");
    }
}

#[test]
fn a_limit_that_nothing_could_reach_is_none() {
    for (meter, limit) in [
        ("requests", json!(u64::MAX)),
        ("tokens", json!(9_223_372_036_854_775_808u64)),
        ("cost", json!("9223372036854.775808")),
    ] {
        let problems = problems(json!([limited(meter, limit)]));
        assert_eq!(problems[0].path, "budgets[0].limit");
    }
    let most = limited("tokens", json!(i64::MAX));
    assert!(Policy::parse(file(json!([most]))).is_ok());
}

#[test]
fn whom_it_binds_is_said_once_and_of_what_exists() {
    let budget = |members: Value| {
        let mut budget = json!({"id": "b", "meter": "requests", "window": "day", "limit": 1});
        for (name, value) in members.as_object().unwrap() {
            budget[name] = value.clone();
        }
        json!([budget])
    };
    let cases = [
        (json!({}), "budgets[0]"),
        (json!({"department": "sales", "user": "001"}), "budgets[0]"),
        (json!({"organisation": true, "key": "k"}), "budgets[0]"),
        (json!({"organisation": false}), "budgets[0].organisation"),
        (json!({"organisation": null}), "budgets[0].organisation"),
        (
            json!({"department": null, "user": "001"}),
            "budgets[0].department",
        ),
        (json!({"department": "sale"}), "budgets[0].department"),
        (json!({"user": ""}), "budgets[0].user"),
        (
            json!({"department": "sales", "api": "azur"}),
            "budgets[0].api",
        ),
        (
            json!({"department": "sales", "model": "gpt-5"}),
            "budgets[0].model",
        ),
        (
            json!({"department": "sales", "modality": "smell"}),
            "budgets[0].modality",
        ),
        (
            json!({"department": "sales", "api": "azure", "model": "gpt-4o"}),
            "budgets[0]",
        ),
        (
            json!({"department": "sales", "window": null}),
            "budgets[0].window",
        ),
        (
            json!({"department": "sales", "meter": "concurrency"}),
            "budgets[0].window",
        ),
        (
            json!({"department": "sales", "mode": "lenient"}),
            "budgets[0].mode",
        ),
    ];
    for (members, path) in cases {
        let problems = problems(budget(members.clone()));
        let paths: Vec<&str> = problems
            .iter()
            .map(|problem| problem.path.as_str())
            .collect();
        assert!(paths.contains(&path), "{members}: {problems:?}");
    }
}

#[test]
fn answers_are_followed_only_by_budgets_that_say_so_of_what_grows() {
    let budget = |members: Value| {
        let mut budget = json!({
            "id": "b", "organisation": true, "meter": "tokens", "window": "day", "limit": 1,
        });
        for (name, value) in members.as_object().unwrap() {
            budget[name] = value.clone();
        }
        budget
    };
    for (members, mode) in [
        (json!({}), Mode::Strict),
        (json!({"mode": "strict"}), Mode::Strict),
        (json!({"mode": "stream_cut"}), cut(2_000, 100)),
        (
            json!({"mode": "stream_cut", "estimate_tokens": 50}),
            cut(50, 50),
        ),
        (
            json!({"mode": "stream_cut", "estimate_tokens": 50, "ahead_tokens": 0, "meter": "cost"}),
            cut(50, 0),
        ),
    ] {
        let policy = Policy::parse(file(json!([budget(members.clone())]))).unwrap();
        assert_eq!(policy.budgets[0].mode, mode, "{members}");
        let again = Budget::from_raw(&policy.budgets[0].to_raw(), 1).unwrap();
        assert_eq!(again, policy.budgets[0]);
    }
    for (members, path) in [
        (
            json!({"mode": "stream_cut", "meter": "requests"}),
            "budgets[0].mode",
        ),
        (
            json!({"mode": "stream_cut", "meter": "bytes"}),
            "budgets[0].mode",
        ),
        (
            json!({"mode": "stream_cut", "estimate_tokens": 0}),
            "budgets[0].estimate_tokens",
        ),
        (
            json!({"mode": "stream_cut", "estimate_tokens": 5, "ahead_tokens": 6}),
            "budgets[0].ahead_tokens",
        ),
        (json!({"estimate_tokens": 5}), "budgets[0].estimate_tokens"),
        (
            json!({"mode": "strict", "ahead_tokens": 5}),
            "budgets[0].ahead_tokens",
        ),
    ] {
        let problems = problems(json!([budget(members.clone())]));
        assert_eq!(problems[0].path, path, "{members}: {problems:?}");
    }
}

fn cut(estimate: u64, ahead: u64) -> Mode {
    Mode::StreamCut(StreamCut {
        estimate: Tokens(estimate),
        ahead: Tokens(ahead),
    })
}

#[test]
fn every_mistake_of_a_budget_is_reported_at_once() {
    let problems = problems(json!([
        {"id": "b b", "department": "sale", "user": "1", "model": "x", "meter": "requests", "limit": -1},
        {"id": "ok", "organisation": true, "meter": "requests", "window": "day", "limit": 1},
        {"id": "ok", "organisation": true, "meter": "concurrency", "window": "day", "limit": null},
    ]));
    let paths: Vec<&str> = problems
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    assert_eq!(
        paths,
        [
            "budgets[0]",
            "budgets[0].department",
            "budgets[0].id",
            "budgets[0].limit",
            "budgets[0].model",
            "budgets[0].window",
            "budgets[2].id",
            "budgets[2].limit",
            "budgets[2].window",
        ]
    );
}

#[test]
fn a_budget_that_is_written_alone_is_checked_as_in_the_file() {
    let policy = Policy::parse(file(json!([]))).unwrap();
    let raw = serde_json::from_value(json!({
        "id": "a b", "department": "sale", "meter": "requests", "window": "day", "limit": -1,
    }));
    let problems = Budget::check(&raw.unwrap(), &policy).unwrap_err();
    let paths: Vec<&str> = problems
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    assert_eq!(paths, ["department", "id", "limit"]);
}
