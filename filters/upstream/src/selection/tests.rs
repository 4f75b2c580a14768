use serde_json::json;

use super::*;

fn policy() -> Policy {
    let upstream = |name: &str, region: Option<&str>| match region {
        Some(region) => {
            json!({"name": name, "provider": "openai", "url": "https://x.example", "region": region})
        }
        None => json!({"name": name, "provider": "openai", "url": "https://x.example"}),
    };
    let models = json!([
        {"name": "single", "upstream": "west", "upstream_model": "there"},
        {"name": "many", "upstreams": [
            {"name": "east", "weight": 3}, {"name": "west"},
            {"name": "abroad", "priority": 1}, {"name": "somewhere", "priority": 2}]},
        {"name": "named", "upstreams": [{"name": "east", "model": "x"}, {"name": "abroad", "model": "x"}]},
        {"name": "abroad-only", "upstream": "abroad"},
    ]);
    let price = |model: &str| json!({"model": model, "from": "2024-10-01", "input_per_million": 1, "output_per_million": 1});
    Policy::parse(json!({
        "version": 1, "organisation": "x", "time_zone": "UTC", "currency": "JPY",
        "scopes": {"all": null},
        "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                     "jwks_uri": "https://i.example/keys"}],
        "upstreams": [upstream("east", Some("jp-east")), upstream("west", Some("jp-west")),
                      upstream("abroad", Some("us")), upstream("somewhere", None)],
        "apis": [
            {"name": "plain", "provider": "openai", "operations": ["chat_completions", "responses"],
             "scope": "all", "models": models},
            {"name": "kept", "provider": "openai", "operations": ["models"], "scope": "all",
             "upstream": "west", "models": models},
        ],
        "departments": [
            {"id": "free", "name": "free"},
            {"id": "home", "name": "home", "regions": ["jp-east", "jp-west"]},
            {"id": "east", "name": "east", "regions": ["jp-east"]},
        ],
        "prices": [price("single"), price("many"), price("named"), price("abroad-only")],
    }))
    .unwrap()
}

fn asked<'a>(api: usize, operation: &'a str, model: &'a str, department: &'a str) -> Asked<'a> {
    Asked {
        api,
        operation,
        model: Some(model).filter(|model| !model.is_empty()),
        department,
    }
}

fn cluster(asked: &Asked<'_>) -> Result<String, DenialCode> {
    Selection::new(&policy())
        .select(asked)
        .map(|to| to.cluster.to_owned())
        .map_err(|denial| denial.code)
}

#[test]
fn a_model_in_one_place_goes_straight_there() {
    let selection = Selection::new(&policy());
    let to = selection.select(&asked(0, "chat_completions", "single", "free"));
    assert_eq!(
        to,
        Ok(Destination {
            cluster: "west",
            is_pool: false,
            rename: Some("there")
        })
    );
}

#[test]
fn a_department_without_regions_has_every_upstream() {
    for department in ["free", "", "unheard-of"] {
        let asked = asked(0, "chat_completions", "many", department);
        assert_eq!(
            cluster(&asked).as_deref(),
            Ok("east*3+west>abroad>somewhere")
        );
    }
}

#[test]
fn regions_leave_only_what_stands_in_them() {
    let chat = |model, department| cluster(&asked(0, "chat_completions", model, department));
    assert_eq!(chat("many", "home").as_deref(), Ok("east*3+west"));
    assert_eq!(chat("many", "east").as_deref(), Ok("east"));
    assert_eq!(chat("named", "east").as_deref(), Ok("east"));
    assert_eq!(
        chat("abroad-only", "home"),
        Err(DenialCode::RegionNotAllowed)
    );
    assert_eq!(chat("single", "east"), Err(DenialCode::RegionNotAllowed));
}

#[test]
fn a_name_on_which_all_agree_is_written_for_a_pool_and_for_what_regions_leave_of_it() {
    let policy = policy();
    let selection = Selection::new(&policy);
    for department in ["free", "east"] {
        let to = selection.select(&asked(0, "chat_completions", "named", department));
        assert_eq!(to.unwrap().rename, Some("x"), "{department}");
    }
}

#[test]
fn what_keeps_state_stays_where_the_department_lives() {
    let selection = Selection::new(&policy());
    let mut homes = BTreeSet::new();
    for nth in 0..100 {
        let department = format!("d{nth}");
        let asked = asked(0, "responses", "many", &department);
        let home = selection.select(&asked).unwrap();
        assert!(!home.is_pool);
        assert_eq!(selection.select(&asked).unwrap(), home);
        homes.insert(home.cluster);
    }
    assert_eq!(homes, BTreeSet::from(["east", "west"]));
}

#[test]
fn an_apis_own_upstream_keeps_its_state_and_takes_what_concerns_no_model() {
    assert_eq!(
        cluster(&asked(1, "responses", "many", "free")).as_deref(),
        Ok("west")
    );
    assert_eq!(
        cluster(&asked(1, "models", "", "home")).as_deref(),
        Ok("west")
    );
    assert_eq!(
        cluster(&asked(1, "models", "", "east")),
        Err(DenialCode::RegionNotAllowed)
    );
    assert_eq!(
        cluster(&asked(0, "models", "", "free")),
        Err(DenialCode::NoUpstream)
    );
}

#[test]
fn every_pool_that_a_call_can_go_to_is_known_beforehand() {
    let policy = policy();
    let pools = Selection::pools(&policy);
    let names: Vec<_> = pools.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["east*3+west", "east*3+west>abroad>somewhere", "east+abroad"]
    );
    let selection = Selection::new(&policy);
    for model in ["single", "many", "named", "abroad-only"] {
        for department in ["free", "home", "east"] {
            if let Ok(to) = selection.select(&asked(0, "chat_completions", model, department)) {
                let known = match to.is_pool {
                    true => pools.contains_key(to.cluster),
                    false => policy.upstreams.contains_key(to.cluster),
                };
                assert!(known, "{model} {department} {to:?}");
            }
        }
    }
}
