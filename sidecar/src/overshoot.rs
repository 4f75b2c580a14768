//! By how much the spending of a budget can be over its limit.

use sekisho_domain::policy::{Api, Model};
use sekisho_domain::{Budget, Meter, Policy, Price, StreamCut, Subject, Tokens, Usage};

/// The most that one window of a budget can have spent over its limit, in its meter's unit,
/// where calls wait for their records.
///
/// With the mode `stream_cut`, an answer that is cut has used up what was set aside for it, its
/// estimate at least, and over that what its provider was ahead at most. What was set aside for
/// all of them together is the limit at most, so they are over it by that share of it.
#[must_use]
pub fn of(policy: &Policy, budget: &Budget) -> u64 {
    let Some(cut) = budget.mode.stream_cut() else {
        return 0;
    };
    let shares = followed(policy, budget).flat_map(|model| shares(policy, budget, model, cut));
    let over = shares.map(|(ahead, estimate)| {
        let over = u128::from(budget.limit) * u128::from(ahead);
        let over = over.div_ceil(u128::from(estimate.max(1)));
        u64::try_from(over).unwrap_or(u64::MAX)
    });
    over.max().unwrap_or(0)
}

/// What a provider is ahead and what is set aside at least for an answer of a model, in the
/// budget's unit; once for each of its prices.
fn shares(policy: &Policy, budget: &Budget, model: &Model, cut: StreamCut) -> Vec<(u64, u64)> {
    if budget.meter != Meter::Cost {
        return vec![(cut.ahead.0, cut.estimate.0)];
    }
    let cost = |price: &Price, output: Tokens| {
        let usage = Usage {
            output,
            ..Usage::default()
        };
        price.most(&usage).0.saturating_sub(price.per_request.0)
    };
    let prices = policy.prices.versions(&model.price);
    prices
        .map(|price| (cost(price, cut.ahead), cost(price, cut.estimate)))
        .collect()
}

/// The models of whose answers it follows those that stream.
fn followed<'p>(policy: &'p Policy, budget: &'p Budget) -> impl Iterator<Item = &'p Model> {
    models(policy, budget).filter(|model| model.hidden_output_tokens.is_some())
}

/// The models of whose answers it sets the most aside that they can use, also where they stream,
/// because nobody knows what they keep to themselves; by name, each once.
#[must_use]
pub fn not_followed<'p>(policy: &'p Policy, budget: &'p Budget) -> Vec<&'p str> {
    let unknown = models(policy, budget).filter(|model| model.hidden_output_tokens.is_none());
    let mut names: Vec<&str> = unknown.map(|model| model.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn models<'p>(policy: &'p Policy, budget: &'p Budget) -> impl Iterator<Item = &'p Model> {
    let apis = policy
        .apis
        .iter()
        .filter(|api| counts(&budget.subject, api));
    apis.flat_map(|api| api.models.values())
        .filter(|model| match &budget.subject {
            Subject::Model(name) => model.name == *name,
            _ => true,
        })
}

/// Whether a budget of this subject may count calls of an API.
pub(crate) fn counts(subject: &Subject, api: &Api) -> bool {
    match subject {
        Subject::Everything | Subject::Modality(_) => true,
        Subject::Api(id) => api.id == *id,
        Subject::Model(name) => api.models.contains_key(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A policy with such a budget, whose models cost what `prices` say for a million tokens.
    fn policy(budget: serde_json::Value, prices: &[(&str, &str)]) -> Policy {
        let models = prices.iter().map(|(name, _)| {
            serde_json::json!({"name": name, "upstream": "openai", "hidden_output_tokens": 0})
        });
        let mut models: Vec<serde_json::Value> = models.collect();
        models.push(serde_json::json!({"name": "thinks", "upstream": "openai", "price": "a"}));
        let prices = prices.iter().map(|(name, output)| {
            serde_json::json!({"model": name, "from": "2024-01-01",
                               "input_per_million": 1, "output_per_million": output})
        });
        let policy = serde_json::json!({
            "version": 1, "organisation": "x", "time_zone": "UTC", "currency": "JPY",
            "scopes": {"all": null},
            "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                         "jwks_uri": "https://i.example/keys"}],
            "upstreams": [{"name": "openai", "provider": "openai", "url": "https://api.openai.com"}],
            "apis": [{"name": "openai", "provider": "openai", "operations": ["chat_completions"],
                      "scope": "all", "models": models}],
            "prices": prices.collect::<Vec<_>>(),
            "budgets": [budget],
        });
        Policy::parse(policy).unwrap()
    }

    fn budget(meter: &str, members: serde_json::Value) -> serde_json::Value {
        let mut budget = serde_json::json!({
            "id": "b", "organisation": true, "meter": meter, "window": "day", "limit": 1000,
        });
        for (name, value) in members.as_object().unwrap() {
            budget[name] = value.clone();
        }
        budget
    }

    fn overshoot(budget: serde_json::Value, prices: &[(&str, &str)]) -> u64 {
        let policy = policy(budget, prices);
        of(&policy, &policy.budgets[0])
    }

    #[test]
    fn strict_budgets_are_never_over_and_others_by_their_share() {
        let prices = [("a", "1500")];
        let cut =
            serde_json::json!({"mode": "stream_cut", "estimate_tokens": 300, "ahead_tokens": 7});
        assert_eq!(
            overshoot(budget("tokens", serde_json::json!({})), &prices),
            0
        );
        // 1000 x 7 / 300
        assert_eq!(overshoot(budget("output_tokens", cut), &prices), 24);
        let usual = serde_json::json!({"mode": "stream_cut"});
        assert_eq!(overshoot(budget("tokens", usual), &prices), 50);
    }

    #[test]
    fn of_money_the_worst_price_counts_with_what_is_rounded_up() {
        let cut =
            serde_json::json!({"mode": "stream_cut", "estimate_tokens": 10, "ahead_tokens": 1});
        // Ten tokens at 0.05 micro-yen are one micro-yen, and so is one of them.
        let cheap = [("a", "1500"), ("b", "0.05")];
        assert_eq!(
            overshoot(budget("cost", cut.clone()), &cheap),
            1_000_000_000
        );
        assert_eq!(
            overshoot(budget("cost", cut.clone()), &cheap[..1]),
            100_000_000
        );
        let mut of_model = cut;
        of_model["model"] = "a".into();
        assert_eq!(overshoot(budget("cost", of_model), &cheap), 100_000_000);
    }

    #[test]
    fn models_of_which_nobody_knows_what_they_hide_are_named_and_not_followed() {
        let cut = serde_json::json!({"mode": "stream_cut", "model": "thinks"});
        let policy = policy(budget("tokens", cut), &[("a", "1500")]);
        assert_eq!(of(&policy, &policy.budgets[0]), 0);
        assert_eq!(not_followed(&policy, &policy.budgets[0]), ["thinks"]);
    }
}
