use super::*;
use crate::{DepartmentId, SigningAlgorithm};
use serde_json::json;

fn sound() -> serde_json::Value {
    json!({
        "version": 1, "organisation": "Example", "time_zone": "Asia/Tokyo", "currency": "JPY",
        "scopes": {"all_apis": null, "text_apis": "all_apis"},
        "issuers": [{"issuer": "https://login.example/t/v2.0", "tenant": "T", "audiences": ["api://x"],
                     "jwks_uri": "https://login.example/keys"}],
        "upstreams": [{"name": "azure", "provider": "azure_openai", "url": "https://a.example",
                       "credential": {"header": {"name": "api-key", "secret_env": "AZURE_KEY"}}}],
        "apis": [{"name": "azure", "provider": "azure_openai", "operations": ["chat_completions"],
                  "scope": "text_apis", "models": [{"name": "gpt-4o", "upstream": "azure"}]}],
        "departments": [{"id": "sales", "name": "営業部", "entitlements": ["text_apis"]}],
        "budgets": [{"id": "b", "department": "sales", "meter": "cost", "window": "month", "limit": "50000"}],
        "prices": [{"model": "gpt-4o", "from": "2024-10-01", "input_per_million": 375, "output_per_million": "1500.5"}],
    })
}

#[test]
fn a_sound_file_becomes_a_policy() {
    let policy = Policy::parse(sound()).unwrap();
    assert_eq!(policy.budgets[0].limit, 50_000_000_000);
    assert_eq!(policy.issuers[0].tenant, "t");
    assert_eq!(
        policy.department("営業部").unwrap().id,
        DepartmentId::from("sales")
    );
    assert!(
        policy
            .prices
            .price("gpt-4o", crate::UnixMillis(1_727_740_800_000))
            .is_some()
    );
    assert!(
        policy
            .prices
            .price("gpt-4o", crate::UnixMillis(1_727_740_799_999))
            .is_none()
    );
}

#[test]
fn every_mistake_is_reported_with_its_path() {
    let mut file = sound();
    file["colour"] = json!("red");
    file["apis"][0]["scope"] = json!("txt_apis");
    file["apis"][0]["models"][0]["upstream"] = json!("azur");
    file["budgets"][0]["limit"] = json!(-5);
    file["prices"][0]["from"] = json!("2024-02-30");
    file["upstreams"][0]["url"] = json!("https://a.example/path");
    file["issuers"][0]["audiences"] = json!([]);
    let problems = Policy::parse(file).unwrap_err();
    let paths: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "apis[0].models[0].upstream",
            "apis[0].scope",
            "budgets[0].limit",
            "colour",
            "issuers[0].audiences",
            "prices[0].from",
            "upstreams[0].url",
        ]
    );
}

#[test]
fn two_mistakes_in_one_entry_are_two_problems() {
    let mut file = sound();
    file["budgets"][0] = json!({"id": "b", "department": "sale", "meter": "rquests",
                                "window": "month", "limit": -1});
    let problems = Policy::parse(file).unwrap_err();
    let paths: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "budgets[0].department",
            "budgets[0].limit",
            "budgets[0].meter"
        ]
    );
}

#[test]
fn a_broken_definition_is_not_reported_at_its_uses() {
    let mut file = sound();
    file["departments"][0]["name"] = json!(7);
    let problems = Policy::parse(file).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn days_count_from_1970() {
    assert_eq!(day_start("1970-01-01"), Some(crate::UnixMillis(0)));
    assert_eq!(
        day_start("2000-03-01"),
        Some(crate::UnixMillis(951_868_800_000))
    );
    for bad in [
        "2023-02-29",
        "2023-1-01",
        "2023-13-01",
        "1969-12-31",
        "x",
        "+023-01-01",
    ] {
        assert_eq!(day_start(bad), None, "{bad}");
    }
}

#[test]
fn rules_about_callers_are_read() {
    let mut file = sound();
    file["issuers"][0]["algorithms"] = json!(["RS256", "ES256"]);
    file["apis"][0]["applications"] = json!(["AAAAAAAA-0000-4000-8000-000000000001"]);
    file["apis"][0]["mfa"] = json!({"authentication_context": "c1"});
    file["apis"][0]["networks"] = json!(["10.0.0.0/8", "2001:db8::/32"]);
    file["departments"][0]["groups"] = json!(["BBBBBBBB-0000-4000-8000-000000000002"]);
    file["departments"][0]["networks"] = json!(["192.0.2.7"]);
    file["titles"] = json!([{"id": "manager", "name": "部長", "entitlements": ["all_apis"]}]);
    file["mfa"] = json!([{"scope": "text_apis"}]);
    file["client_address"] = json!({"trusted_hops": 8});
    let policy = Policy::parse(file).unwrap();
    let [rs256, _, es256] = SigningAlgorithm::EVERY;
    assert_eq!(policy.issuers[0].algorithms, [rs256, es256]);
    let api = &policy.apis[0];
    let lower = "aaaaaaaa-0000-4000-8000-000000000001";
    assert!(api.applications.as_ref().unwrap().contains(lower));
    assert_eq!(api.mfa.as_ref().unwrap().context.as_deref(), Some("c1"));
    assert_eq!(api.networks.len(), 2);
    let group = "bbbbbbbb-0000-4000-8000-000000000002".to_owned();
    assert_eq!(policy.department_groups, [(group, "sales".into())]);
    let text = policy.scopes.id("text_apis").unwrap();
    let all = policy.scopes.id("all_apis").unwrap();
    assert!(policy.titles["manager"].entitlements.grants(text));
    assert!(policy.mfa[0].scopes.grants(text) && !policy.mfa[0].scopes.grants(all));
    assert_eq!(policy.trusted_hops, 8);
}

#[test]
fn without_rules_about_callers_nothing_is_demanded() {
    let policy = Policy::parse(sound()).unwrap();
    let [rs256, ..] = SigningAlgorithm::EVERY;
    assert_eq!(policy.issuers[0].algorithms, [rs256]);
    let api = &policy.apis[0];
    assert!(api.applications.is_none() && api.mfa.is_none() && api.networks.is_empty());
    assert!(policy.mfa.is_empty() && policy.titles.is_empty());
    assert_eq!(policy.trusted_hops, 0);
}

#[test]
fn mistakes_in_rules_about_callers_are_reported_with_their_paths() {
    let group = "bbbbbbbb-0000-4000-8000-000000000002";
    for (change, paths) in [
        (
            json!({"issuers": [{"algorithms": []}]}),
            &["issuers[0].algorithms"][..],
        ),
        (
            json!({"issuers": [{"algorithms": ["RS256", "none"]}]}),
            &["issuers[0].algorithms[1]"],
        ),
        (
            json!({"issuers": [{"algorithms": ["ES256", "ES256"]}]}),
            &["issuers[0].algorithms[1]"],
        ),
        (
            json!({"issuers": [{"algorithms": null}]}),
            &["issuers[0].algorithms"],
        ),
        (
            json!({"apis": [{"applications": []}]}),
            &["apis[0].applications"],
        ),
        (
            json!({"apis": [{"applications": null}]}),
            &["apis[0].applications"],
        ),
        (
            json!({"apis": [{"applications": ["a", "A"]}]}),
            &["apis[0].applications[1]"],
        ),
        (json!({"apis": [{"mfa": null}]}), &["apis[0].mfa"]),
        (json!({"apis": [{"mfa": true}]}), &["apis[0].mfa"]),
        (
            json!({"apis": [{"mfa": {"context": "c1"}}]}),
            &["apis[0].mfa.context"],
        ),
        (
            json!({"apis": [{"mfa": {"authentication_context": ""}}]}),
            &["apis[0].mfa.authentication_context"],
        ),
        (
            json!({"apis": [{"mfa": {"authentication_context": null}}]}),
            &["apis[0].mfa.authentication_context"],
        ),
        (json!({"apis": [{"networks": []}]}), &["apis[0].networks"]),
        (json!({"apis": [{"networks": null}]}), &["apis[0].networks"]),
        (
            json!({"apis": [{"networks": ["10.0.0.0/8", "10.0.0.1/8", "x"]}]}),
            &["apis[0].networks[1]", "apis[0].networks[2]"],
        ),
        (
            json!({"departments": [{"networks": ["::/129"]}]}),
            &["departments[0].networks[0]"],
        ),
        (
            json!({"departments": [{"groups": [group, group.to_uppercase(), ""]}]}),
            &["departments[0].groups[1]", "departments[0].groups[2]"],
        ),
        (
            json!({"titles": [
                {"id": "m", "name": "M", "entitlements": ["text_api"]},
                {"id": "m", "name": "M", "entitlements": []},
                {"id": "n", "name": "N"},
            ]}),
            &[
                "titles[0].entitlements[0]",
                "titles[1].id",
                "titles[1].name",
                "titles[2]",
            ],
        ),
        (
            json!({"mfa": [{"scope": "txt"}, {"scope": "text_apis"}, {"scope": "text_apis"}]}),
            &["mfa[0].scope", "mfa[2].scope"],
        ),
        (
            json!({"mfa": [{"authentication_context": "c1"}]}),
            &["mfa[0]"],
        ),
        (
            json!({"client_address": {"trusted_hops": 9}}),
            &["client_address.trusted_hops"],
        ),
        (
            json!({"client_address": {"trusted_hops": -1}}),
            &["client_address.trusted_hops"],
        ),
    ] {
        let mut file = sound();
        merge(&mut file, change.clone());
        let problems = Policy::parse(file).unwrap_err();
        let found: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
        assert_eq!(found, paths, "{change}: {problems:?}");
    }
}

#[test]
fn a_group_of_two_departments_is_reported() {
    let mut file = sound();
    file["departments"] = json!([
        {"id": "a", "name": "A", "groups": ["g1", "g2"]},
        {"id": "sales", "name": "B", "groups": ["g3", "G2"]},
    ]);
    let problems = Policy::parse(file).unwrap_err();
    let [problem] = problems.as_slice() else {
        panic!("{problems:?}")
    };
    assert_eq!(problem.path, "departments[1].groups[1]");
}

#[test]
fn keys_in_the_policy_are_public_and_have_different_ids() {
    let key = json!({"kty": "RSA", "kid": "k", "n": "AQAB", "e": "AQAB"});
    let mut private = key.clone();
    private["d"] = json!("AQAB");
    private["kid"] = json!("p");
    let ec = json!({"kty": "EC", "kid": "e", "crv": "P-256", "x": "AQ", "y": "AQ"});
    let mut file = sound();
    file["issuers"][0]["jwks"] = json!({"keys": [key, ec, key, private]});
    let problems = Policy::parse(file).unwrap_err();
    let found: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(
        found,
        ["issuers[0].jwks.keys[2].kid", "issuers[0].jwks.keys[3]"]
    );
}

/// Members and items of `change` replace those of `file`; what it does not name stays.
fn merge(file: &mut serde_json::Value, change: serde_json::Value) {
    match (file, change) {
        (serde_json::Value::Object(members), serde_json::Value::Object(changes)) => {
            for (name, change) in changes {
                merge(members.entry(name).or_insert(json!(null)), change);
            }
        }
        (serde_json::Value::Array(items), serde_json::Value::Array(changes))
            if changes.iter().all(serde_json::Value::is_object) && items.len() >= changes.len() =>
        {
            for (item, change) in items.iter_mut().zip(changes) {
                merge(item, change);
            }
        }
        (place, change) => *place = change,
    }
}

fn pooled() -> serde_json::Value {
    let mut file = sound();
    file["upstreams"] = json!([
        {"name": "east", "provider": "azure_openai", "url": "https://e.example", "region": "jp-east"},
        {"name": "west", "provider": "azure_openai", "url": "https://w.example",
         "credential": {"oauth2": {"token_url": "https://login.example/t/token", "client_id": "c",
                                   "scopes": ["s"], "secret_file": "/run/secret"}}},
        {"name": "other", "provider": "openai", "url": "https://o.example"},
    ]);
    file["apis"][0]["models"] = json!([{"name": "gpt-4o", "upstreams": [
        {"name": "west", "priority": 1}, {"name": "east", "weight": 3, "model": "there"}]}]);
    file
}

#[test]
fn a_models_places_stand_in_the_order_in_which_they_are_asked() {
    let policy = Policy::parse(pooled()).unwrap();
    let places = &policy.apis[0].models["gpt-4o"].upstreams;
    let asked: Vec<_> = places
        .iter()
        .map(|place| {
            (
                place.upstream.as_str(),
                place.weight,
                place.model.as_deref(),
            )
        })
        .collect();
    assert_eq!(asked, [("east", 3, Some("there")), ("west", 1, None)]);
    assert_eq!(policy.upstreams["east"].limits.max_requests, 4096);
    assert_eq!(policy.failover.eject_after, 5);
}

#[test]
fn every_mistake_in_a_pool_is_reported() {
    let mut file = pooled();
    file["upstreams"][1]["credential"]["oauth2"]["token_url"] = json!("http://login.example/token");
    file["upstreams"][1]["credential"]["oauth2"]["secret_env"] = json!("BOTH");
    file["upstreams"][2]["credential"]["managed_identity"] =
        json!({"resource": "https://cognitiveservices.azure.com/.default", "client_id": "a b"});
    file["upstreams"][0]["limits"] =
        json!({"max_requests": 0, "first_byte_timeout_millis": 600_001});
    file["apis"][0]["upstream"] = json!("nowhere");
    file["apis"][0]["models"] = json!([
        {"name": "gpt-4o", "upstreams": [{"name": "east", "weight": 0}, {"name": "east", "priority": 8},
                                         {"name": "other"}, {"name": "gone"}]},
        {"name": "none", "price": "gpt-4o", "upstreams": []},
        {"name": "both", "price": "gpt-4o", "upstream": "east", "upstreams": [{"name": "east"}]},
        {"name": "old", "price": "gpt-4o", "upstream_model": "x", "upstreams": [{"name": "east"}]},
    ]);
    file["departments"][0]["regions"] = json!(["jp-east", "jp-esat"]);
    file["failover"] = json!({"eject_after": 0});
    let problems = Policy::parse(file).unwrap_err();
    let paths: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "apis[0].models[0].upstreams",
            "apis[0].models[0].upstreams[0].weight",
            "apis[0].models[0].upstreams[1].name",
            "apis[0].models[0].upstreams[1].priority",
            "apis[0].models[0].upstreams[3].name",
            "apis[0].models[1].upstreams",
            "apis[0].models[2]",
            "apis[0].models[3].upstream_model",
            "apis[0].upstream",
            "departments[0].regions[1]",
            "failover.eject_after",
            "upstreams[0].limits.first_byte_timeout_millis",
            "upstreams[0].limits.max_requests",
            "upstreams[1].credential.oauth2",
            "upstreams[1].credential.oauth2.token_url",
            "upstreams[2].credential.managed_identity.client_id",
            "upstreams[2].credential.managed_identity.resource",
        ]
    );
}
