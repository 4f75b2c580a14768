//! `sekisho.yaml`: from the file to a checked policy, with every problem named.

mod sections;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use sekisho_domain::policy::Contents;
use sekisho_domain::policy::raw::{RawModelUpstream, RawPath, RawPolicy, RawUpstream};
use sekisho_domain::policy::{
    Api, Credential, HttpPath, Model, ModelUpstream, PathMeter, Place, Upstream, UpstreamLimits,
};
use sekisho_domain::{ApiId, AuditMode, Policy, Problem, Provider, scope::ScopeId};
use sekisho_providers::Catalogue;
use serde_json::{Value, json};

use crate::ledger::Calendar;
pub use sections::Sections;

/// A policy as it is served.
#[derive(Clone, Debug)]
pub struct PolicyFile {
    /// What the file means.
    pub policy: Policy,
    /// The same as JSON with sorted members and price days resolved to moments: what
    /// filters get.
    pub json: Vec<u8>,
    /// The whole file as JSON, for the record.
    pub whole: String,
    /// What is the sidecar's alone: filters do not get it.
    pub sections: Sections,
}

/// Why a policy file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    /// The file itself cannot be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file can be read, but not obeyed.
    #[error("`{}` has {}; `sekisho check` lists them", path.display(), count(problems.len()))]
    Problems {
        /// Which file.
        path: PathBuf,
        /// Everything that is wrong with it.
        problems: Vec<Problem>,
    },
}

/// Reads and checks a policy file.
///
/// # Errors
/// See [`PolicyFileError`].
pub fn load(path: &Path) -> Result<PolicyFile, PolicyFileError> {
    let text = std::fs::read_to_string(path).map_err(|source| PolicyFileError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|problems| PolicyFileError::Problems {
        path: path.to_owned(),
        problems,
    })
}

/// Reads and checks the text of a policy file.
///
/// # Errors
/// Every [`Problem`], sorted by path.
pub fn parse(text: &str) -> Result<PolicyFile, Vec<Problem>> {
    let mut file = read_yaml(text).map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let mut whole = file.clone();
    let sections = Sections::take(&mut file, &mut problems);
    problems.extend(resolve_days(&mut file));
    resolve_days(&mut whole);
    problems.extend(unknown_operations(&file));
    let parsed = Policy::parse(file.clone());
    if let Ok(policy) = &parsed {
        problems.extend(sections.check(policy));
    }
    match parsed {
        Ok(policy) if problems.is_empty() => {
            let json = file.to_string().into_bytes();
            return Ok(PolicyFile {
                policy,
                json,
                whole: whole.to_string(),
                sections,
            });
        }
        Ok(_) => {}
        Err(more) => problems.extend(more),
    }
    problems.sort();
    problems.dedup();
    Err(problems)
}

/// The JSON schema of `sekisho.yaml`, for editors.
#[must_use]
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(RawPolicy);
    sections::describe(&mut schema);
    schema.insert("title".into(), "sekisho.yaml".into());
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// `1 problem`, `2 problems`.
#[must_use]
pub fn count(problems: usize) -> String {
    match problems {
        1 => "1 problem".to_owned(),
        many => format!("{many} problems"),
    }
}

fn read_yaml(text: &str) -> Result<Value, Problem> {
    // Through YAML's own value first: it refuses a member that stands there twice, which
    // JSON's would silently overwrite.
    let yaml: serde_yaml_ng::Value = serde_yaml_ng::from_str(text).map_err(|error| {
        let message = error.to_string();
        match error.location() {
            Some(place) => Problem {
                path: format!("line {}, column {}", place.line(), place.column()),
                message,
            },
            None => at_file(message),
        }
    })?;
    serde_json::to_value(yaml).map_err(|error| at_file(error.to_string()))
}

fn at_file(message: String) -> Problem {
    Problem {
        path: "(file)".into(),
        message,
    }
}

/// Gives every price the moment at which its first day begins in the company's time zone.
fn resolve_days(file: &mut Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    let name = file
        .get("time_zone")
        .and_then(Value::as_str)
        .unwrap_or("UTC");
    let calendar = match Calendar::new(name) {
        Ok(calendar) => calendar,
        Err(unknown) => {
            return vec![Problem {
                path: "time_zone".into(),
                message: unknown.to_string(),
            }];
        }
    };
    let prices = file.get_mut("prices").and_then(Value::as_array_mut);
    for (at, price) in prices.into_iter().flatten().enumerate() {
        let Some(price) = price.as_object_mut() else {
            continue;
        };
        // What is not a day is reported by the policy itself.
        let day = price.get("from").and_then(Value::as_str);
        let Some(day) = day.and_then(|day| day.parse::<Date>().ok()) else {
            continue;
        };
        let begins = calendar.start_of(day).0;
        match price.insert("from_unix_millis".into(), begins.into()) {
            Some(given) if given != begins => problems.push(Problem {
                path: format!("prices[{at}].from_unix_millis"),
                message: "follows from `from` and `time_zone`; leave it out".into(),
            }),
            _ => {}
        }
    }
    problems
}

/// Operations that their provider does not have, or that are open twice, and names of models
/// that cannot be written for each upstream. Also of a file that is wrong elsewhere: so a policy
/// of nothing but its APIs is asked.
fn unknown_operations(file: &Value) -> Vec<Problem> {
    let Ok(mut policy) = Policy::parse(json!({
        "version": 1, "organisation": "", "time_zone": "UTC", "currency": "JPY",
        "scopes": {"any": null}, "apis": [],
        "issuers": [{"issuer": "https://issuer", "tenant": "t", "audiences": ["a"], "jwks": {"keys": []}}],
    })) else {
        return Vec::new();
    };
    let Some(scope) = policy.scopes.id("any") else {
        return Vec::new();
    };
    let apis = file.get("apis").and_then(Value::as_array);
    for api in apis.into_iter().flatten() {
        let member = |name: &str| api.get(name).cloned().unwrap_or_default();
        let provider = serde_json::from_value::<Provider>(member("provider"));
        let operations = serde_json::from_value::<Vec<String>>(member("operations"));
        // What is neither is reported by the policy itself; the others keep their places.
        let (provider, operations) = match (provider, operations) {
            (Ok(provider), Ok(operations)) => (provider, operations),
            _ => (Provider::OpenAi, Vec::new()),
        };
        policy.apis.push(Api {
            id: ApiId(member("name").as_str().unwrap_or_default().to_owned()),
            provider,
            operations,
            scope,
            audit: AuditMode::Strict,
            contents: Contents::None,
            applications: None,
            mfa: None,
            networks: Vec::new(),
            upstream: member("upstream").as_str().map(str::to_owned),
            price: None,
            rules: None,
            place: place(api),
            paths: paths(api),
            aliases: HashMap::new(),
            show_upstream: false,
            models: pooled_models(api, scope),
        });
    }
    let upstreams = file.get("upstreams").and_then(Value::as_array);
    for upstream in upstreams.into_iter().flatten() {
        let Ok(raw) = serde_json::from_value::<RawUpstream>(upstream.clone()) else {
            continue;
        };
        let upstream = Upstream {
            name: raw.name.clone(),
            provider: raw.provider,
            url: raw.url,
            credential: Credential::None,
            region: None,
            limits: UpstreamLimits::from(&raw.limits),
        };
        policy.upstreams.insert(raw.name, upstream);
    }
    let mut problems = Catalogue::new(&policy).err().unwrap_or_default();
    // The models were not looked at.
    problems.retain(|problem| {
        let api = problem.path.strip_suffix("].models");
        let at = api.and_then(|api| api.strip_prefix("apis[")?.parse::<usize>().ok());
        let named = at.and_then(|at| file.get("apis")?.get(at)?.get("models")?.as_array());
        named.is_none_or(Vec::is_empty)
    });
    problems
}

/// Project and location of an API, as far as they are there.
fn place(api: &Value) -> Option<Place> {
    let member = |name: &str| api.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(Place {
        project: member("project")?,
        location: member("location")?,
    })
}

/// The paths of an API that are paths.
fn paths(api: &Value) -> Vec<HttpPath> {
    let paths = api.get("paths").and_then(Value::as_array);
    let read = |(at, path): (usize, &Value)| {
        let read = serde_json::from_value::<RawPath>(path.clone());
        // What is none is reported by the policy itself; the others keep their places.
        let (method, template, meter) = match read {
            Ok(path) => (path.method, path.template, path.meter),
            Err(_) => (at.to_string(), String::new(), PathMeter::Requests),
        };
        HttpPath {
            method,
            template,
            meter,
        }
    };
    paths.into_iter().flatten().enumerate().map(read).collect()
}

/// The models of an API that run in several places, as far as they can be read.
fn pooled_models(api: &Value, scope: ScopeId) -> HashMap<String, Model> {
    let models = api.get("models").and_then(Value::as_array);
    let read = models.into_iter().flatten().filter_map(|model| {
        let name = model.get("name")?.as_str()?.to_owned();
        let places = model.get("upstreams")?.clone();
        let places: Vec<RawModelUpstream> = serde_json::from_value(places).ok()?;
        let upstreams = places.into_iter().map(|place| ModelUpstream {
            upstream: place.name,
            model: place.model.filter(|there| *there != name),
            weight: place.weight,
            priority: place.priority,
        });
        let model = Model {
            upstreams: upstreams.collect(),
            name: name.clone(),
            scope,
            max_output_tokens: 1,
            max_input_tokens: None,
            hidden_output_tokens: None,
            price: String::new(),
        };
        Some((name, model))
    });
    read.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_domain::UnixMillis;

    const SOUND: &str = r#"
version: 1
organisation: Example
time_zone: Asia/Tokyo
currency: JPY
scopes: {all_apis: , text_apis: all_apis}
issuers:
- {issuer: "https://login.example/t/v2.0", tenant: t, audiences: ["api://x"], jwks_uri: "https://login.example/k"}
upstreams:
- {name: azure, provider: azure_openai, url: "https://a.example", credential: {header: {name: api-key, secret_env: AZURE_KEY}}}
apis:
- name: azure
  provider: azure_openai
  operations: [chat_completions]
  scope: text_apis
  models: [{name: gpt-4o, upstream: azure}]
prices:
- {model: gpt-4o, from: 2024-10-01, input_per_million: 375, output_per_million: "1500.5"}
"#;

    fn paths(text: &str) -> Vec<String> {
        let problems = parse(text).unwrap_err();
        problems.into_iter().map(|problem| problem.path).collect()
    }

    #[test]
    fn a_price_begins_at_midnight_in_the_companys_time_zone() {
        let file = parse(SOUND).unwrap();
        // 2024-10-01T00:00+09:00
        let begins = UnixMillis(1_727_708_400_000);
        assert!(file.policy.prices.price("gpt-4o", begins).is_some());
        assert!(
            file.policy
                .prices
                .price("gpt-4o", UnixMillis(begins.0 - 1))
                .is_none()
        );
    }

    #[test]
    fn the_json_means_the_same_as_the_file() {
        let file = parse(SOUND).unwrap();
        let again = parse(std::str::from_utf8(&file.json).unwrap()).unwrap();
        assert_eq!(file.json, again.json);
        assert_eq!(file.policy.upstreams, again.policy.upstreams);
    }

    #[test]
    fn an_unknown_time_zone_is_a_problem() {
        let text = SOUND.replace("Asia/Tokyo", "Asia/Tokio");
        assert_eq!(paths(&text), ["time_zone"]);
    }

    #[test]
    fn a_moment_that_contradicts_its_day_is_a_problem() {
        let text = SOUND.replace("from: 2024-10-01", "from: 2024-10-01, from_unix_millis: 5");
        assert_eq!(paths(&text), ["prices[0].from_unix_millis"]);
    }

    #[test]
    fn text_that_is_not_yaml_is_reported_with_its_line() {
        let problems = parse("version: 1\nscopes: [\n").unwrap_err();
        assert!(problems[0].path.starts_with("line "), "{problems:?}");
    }

    #[test]
    fn an_operation_that_the_provider_does_not_have_is_reported() {
        let text = SOUND.replace("[chat_completions]", "[chat_completion]");
        assert_eq!(paths(&text), ["apis[0].operations[0]"]);
        let also = text.replace("JPY", "yen");
        assert_eq!(paths(&also), ["apis[0].operations[0]", "currency"]);
    }

    #[test]
    fn a_model_that_is_named_in_the_body_has_one_name_in_all_its_upstreams() {
        let places = "upstreams: [{name: azure, model: there}, {name: west}]";
        let text = SOUND
            .replace(
                "models: [{name: gpt-4o, upstream: azure}]",
                &format!("models: [{{name: gpt-4o, {places}}}]"),
            )
            .replace(
                "upstreams:\n",
                "upstreams:\n- {name: west, provider: azure_openai, url: 'https://w.example'}\n",
            );
        assert_eq!(paths(&text), ["apis[0].models[gpt-4o].upstreams"]);
        let in_path = text
            .replace("azure_openai", "gemini")
            .replace("chat_completions", "generate_content");
        assert!(parse(&in_path).is_ok(), "{:?}", paths(&in_path));
        let unwritable = in_path.replace("model: there", "model: th/ere");
        assert_eq!(paths(&unwritable), ["apis[0].models[gpt-4o].upstreams"]);
        let agreed = text.replace("{name: west}", "{name: west, model: there}");
        assert!(parse(&agreed).is_ok(), "{:?}", paths(&agreed));
    }

    #[test]
    fn a_member_that_stands_there_twice_is_reported() {
        let problems = parse(&format!("{SOUND}\ncurrency: EUR\n")).unwrap_err();
        assert!(problems[0].message.contains("currency"), "{problems:?}");
    }

    #[test]
    fn six_mistakes_are_six_problems() {
        let text = SOUND
            .replace("JPY", "yen")
            .replace("Asia/Tokyo", "Asia/Tokio")
            .replace("scope: text_apis", "scope: txt_apis")
            .replace("https://a.example", "https://a.example/path")
            .replace("2024-10-01", "2024-02-30")
            .replace("organisation", "organization");
        let problems = parse(&text).unwrap_err();
        assert_eq!(
            problems.len(),
            7,
            "one more for the missing `organisation`: {problems:#?}"
        );
    }

    #[test]
    fn the_committed_schema_is_current() {
        let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/sekisho.schema.json");
        let committed = std::fs::read_to_string(committed).unwrap_or_default();
        assert_eq!(
            committed,
            schema(),
            "run `cargo run -p sekisho -- schema > sidecar/sekisho.schema.json`"
        );
    }
}
