//! By how much the spending of each budget can be over its limit.

use sekisho_domain::policy::AuditMode;
use sekisho_domain::policy::{Api, PathMeter};
use sekisho_domain::{Budget, Meter, Policy, Provider};

use crate::overshoot::{self, counts};

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
    let mut text = format!(
        "`{}`: overshoot {}",
        budget.id.plain(),
        over(policy, budget)
    );
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

/// By how much it can be over its limit, and why.
fn over(policy: &Policy, budget: &Budget) -> String {
    let Some(cut) = budget.mode.stream_cut() else {
        return "0".to_owned();
    };
    let mut text = format!(
        "at most {}: an answer that is cut (`mode: stream_cut`) can have used `ahead_tokens`, {}, more \
         than was set aside for it, which was `estimate_tokens`, {}, at least",
        budget.meter.shown(overshoot::of(policy, budget)),
        cut.ahead.0,
        cut.estimate.0
    );
    let unknown = overshoot::not_followed(policy, budget);
    if !unknown.is_empty() {
        let names: Vec<String> = unknown.iter().map(|name| format!("`{name}`")).collect();
        text.push_str(&format!(
            "; the most that they can use is set aside for answers of {} until \
             `hidden_output_tokens` of these models is set (0 for models that do not think)",
            names.join(", ")
        ));
    }
    text
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
                "models": [{"name": "gpt-4o", "upstream": "openai", "hidden_output_tokens": 0},
                           {"name": "thinks", "upstream": "openai", "price": "gpt-4o"}],
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
            "prices": [{"model": "gpt-4o", "from": "2024-10-01", "input_per_million": 1,
                        "output_per_million": 1}],
            "budgets": [
                {"id": "calls", "department": "sales", "api": "strict", "meter": "requests",
                 "window": "day", "limit": 7},
                {"id": "all-calls", "organisation": true, "meter": "requests", "window": "day",
                 "limit": 9},
                {"id": "sizes", "department": "sales", "api": "strict", "meter": "bytes",
                 "window": "day", "limit": 7},
                {"id": "all-sizes", "organisation": true, "meter": "bytes", "window": "day",
                 "limit": 9},
                {"id": "followed", "organisation": true, "meter": "tokens", "window": "day",
                 "limit": 100, "mode": "stream_cut"},
            ],
        }))
        .unwrap();
        let lines = lines(&policy);
        assert_eq!(lines[0], "budget `calls`: overshoot 0");
        assert!(lines[1].contains("of `quick`, where") && lines[1].contains("at most 9"));
        assert_eq!(lines[2], "budget `sizes`: overshoot 0");
        assert!(
            lines[4].starts_with("budget `followed`: overshoot at most 5: an answer that is cut"),
            "{}",
            lines[4]
        );
        assert!(
            lines[4].contains("for answers of `thinks` until"),
            "{}",
            lines[4]
        );
        assert!(
            lines[3].contains("calls of `quick` are refused"),
            "{}",
            lines[3]
        );
    }
}
