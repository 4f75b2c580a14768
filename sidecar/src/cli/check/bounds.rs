//! By how much the spending of each budget can be over its limit.

use sekisho_domain::policy::AuditMode;
use sekisho_domain::policy::{Api, PathMeter};
use sekisho_domain::{Budget, Meter, Policy, Provider, Subject};

/// A line for each budget of the policy, in its order.
pub(super) fn lines(policy: &Policy) -> Vec<String> {
    let bound = |budget| format!("budget {}", bound(policy, budget));
    policy.budgets.iter().map(bound).collect()
}

fn bound(policy: &Policy, budget: &Budget) -> String {
    let apis: Vec<&Api> = policy
        .apis
        .iter()
        .filter(|api| counts(&budget.subject, api))
        .collect();
    let mut text = format!("`{}`: overshoot 0", budget.id.plain());
    let relaxed = named(&apis, |api| api.audit == AuditMode::Relaxed);
    if !relaxed.is_empty() {
        text.push_str(&format!(
            "; of {relaxed}, where calls do not wait for their records (`audit: relaxed`), what a \
             gateway that dies had leased and not told: at most {} each time",
            budget.meter.shown(budget.limit)
        ));
    }
    if budget.meter == Meter::Bytes {
        let boundless = named(&apis, is_boundless);
        if !boundless.is_empty() {
            text.push_str(&format!(
                "; calls of {boundless} are refused (`unbounded_cost`) until \
                 `rules.response_body_bytes` is set"
            ));
        }
    }
    text
}

/// Whether a budget of this subject may count calls of an API.
fn counts(subject: &Subject, api: &Api) -> bool {
    match subject {
        Subject::Everything | Subject::Modality(_) => true,
        Subject::Api(id) => api.id == *id,
        Subject::Model(name) => api.models.contains_key(name),
    }
}

/// Whether it counts bytes, and its answers may have any number of them.
fn is_boundless(api: &Api) -> bool {
    let counts_bytes = api.provider != Provider::Http
        || api.paths.iter().any(|path| path.meter == PathMeter::Bytes);
    let rules = api.rules.as_ref();
    counts_bytes && rules.is_none_or(|rules| rules.response_body_bytes.is_none())
}

/// The names of those APIs, in quotes.
fn named(apis: &[&Api], is_one: impl Fn(&Api) -> bool) -> String {
    let named = apis.iter().filter(|api| is_one(api));
    let names: Vec<String> = named.map(|api| format!("`{}`", api.id)).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_budget_has_a_bound_and_says_what_it_does_not_cover() {
        let api = |name: &str, audit: &str, rules: serde_json::Value| {
            serde_json::json!({
                "name": name, "provider": "openai", "operations": ["models"], "scope": "all",
                "upstream": "openai", "audit": audit, "rules": rules,
            })
        };
        let bounded = serde_json::json!({"response_body_bytes": 1000});
        let policy = Policy::parse(serde_json::json!({
            "version": 1, "organisation": "x", "time_zone": "UTC", "currency": "JPY",
            "scopes": {"all": null},
            "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                         "jwks_uri": "https://i.example/keys"}],
            "departments": [{"id": "sales", "name": "Sales"}],
            "upstreams": [{"name": "openai", "provider": "openai", "url": "https://api.openai.com"}],
            "apis": [
                api("strict", "strict", bounded),
                api("quick", "relaxed", serde_json::json!({})),
            ],
            "budgets": [
                {"id": "calls", "department": "sales", "api": "strict", "meter": "requests",
                 "window": "day", "limit": 7},
                {"id": "all-calls", "organisation": true, "meter": "requests", "window": "day",
                 "limit": 9},
                {"id": "sizes", "department": "sales", "api": "strict", "meter": "bytes",
                 "window": "day", "limit": 7},
                {"id": "all-sizes", "organisation": true, "meter": "bytes", "window": "day",
                 "limit": 9},
            ],
        }))
        .unwrap();
        let lines = lines(&policy);
        assert_eq!(lines[0], "budget `calls`: overshoot 0");
        assert!(lines[1].contains("of `quick`, where") && lines[1].contains("at most 9"));
        assert_eq!(lines[2], "budget `sizes`: overshoot 0");
        assert!(
            lines[3].contains("calls of `quick` are refused"),
            "{}",
            lines[3]
        );
    }
}
