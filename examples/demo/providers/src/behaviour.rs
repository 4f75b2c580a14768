//! Delays and errors on demand.

use std::time::Duration;

use hyper::StatusCode;
use serde::{Deserialize, Serialize};

use crate::provider::Provider;

/// Which calls a rule is for; a member that is absent matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Matcher {
    provider: Option<Provider>,
    model: Option<String>,
    path_contains: Option<String>,
}

impl Matcher {
    fn covers(&self, provider: Provider, model: &str, path: &str) -> bool {
        self.provider.is_none_or(|wanted| wanted == provider)
            && self.model.as_deref().is_none_or(|wanted| wanted == model)
            && self
                .path_contains
                .as_deref()
                .is_none_or(|wanted| path.contains(wanted))
    }
}

/// What to do with the calls that match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rule {
    #[serde(rename = "match")]
    matcher: Matcher,
    /// Answer with this error instead.
    #[serde(with = "status")]
    pub(crate) status: Option<StatusCode>,
    /// Goes into the error's `retry-after` header.
    pub(crate) retry_after_seconds: Option<u64>,
    /// Wait before the answer begins.
    delay_ms: u64,
    /// Wait before every piece of a streamed answer but the first.
    chunk_delay_ms: Option<u64>,
    /// Break the connection after so many pieces of a streamed answer.
    pub(crate) cut_after_chunks: Option<usize>,
    /// End a streamed answer with the provider's own error after so many pieces.
    pub(crate) fail_after_chunks: Option<usize>,
    /// Forget the rule after so many calls.
    times: Option<u64>,
}

impl Rule {
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    pub(crate) fn chunk_delay(&self) -> Option<Duration> {
        self.chunk_delay_ms.map(Duration::from_millis)
    }
}

/// The rules in force; the one given last is asked first.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Behaviour {
    rules: Vec<Rule>,
}

impl Behaviour {
    pub(crate) fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// The rule for a call, counted down; a rule that asks for nothing if none is.
    pub(crate) fn take(&mut self, provider: Provider, model: &str, path: &str) -> Rule {
        let found = self
            .rules
            .iter_mut()
            .rev()
            .find(|rule| rule.times != Some(0) && rule.matcher.covers(provider, model, path));
        let Some(rule) = found else {
            return Rule::default();
        };
        if let Some(times) = &mut rule.times {
            *times = times.saturating_sub(1);
        }
        let taken = rule.clone();
        self.rules.retain(|rule| rule.times != Some(0));
        taken
    }
}

mod status {
    use hyper::StatusCode;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        status: &Option<StatusCode>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match status {
            Some(status) => serializer.serialize_some(&status.as_u16()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<StatusCode>, D::Error> {
        let Some(number) = Option::<u16>::deserialize(deserializer)? else {
            return Ok(None);
        };
        match StatusCode::from_u16(number) {
            Ok(status) if status.as_u16() >= 400 => Ok(Some(status)),
            _ => Err(D::Error::custom(
                "`status` must be an error, from 400 to 999",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behaviour(rule: &str) -> Behaviour {
        let mut behaviour = Behaviour::default();
        behaviour.add(serde_json::from_str(rule).unwrap());
        behaviour
    }

    #[test]
    fn a_rule_is_for_the_calls_that_match() {
        let mut behaviour = behaviour(r#"{"match": {"provider": "gemini"}, "status": 503}"#);
        let other = behaviour.take(Provider::Anthropic, "claude-x", "/v1/messages");
        assert_eq!(other, Rule::default());
        let rule = behaviour.take(Provider::Gemini, "gemini-x", "/v1beta/models");
        assert_eq!(rule.status, Some(StatusCode::SERVICE_UNAVAILABLE));
    }

    #[test]
    fn a_rule_ends_after_its_times() {
        let mut behaviour = behaviour(r#"{"status": 429, "times": 2}"#);
        let mut status = || behaviour.take(Provider::Gemini, "", "").status;
        assert!(status().is_some());
        assert!(status().is_some());
        assert!(status().is_none());
    }

    #[test]
    fn a_misspelt_member_is_refused() {
        assert!(serde_json::from_str::<Rule>(r#"{"delay": 5}"#).is_err());
        assert!(serde_json::from_str::<Rule>(r#"{"status": 200}"#).is_err());
    }
}
