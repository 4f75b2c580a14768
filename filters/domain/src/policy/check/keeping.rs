//! How bodies are kept.

use super::Check;
use crate::Pattern;
use crate::policy::Keeping;
use crate::policy::raw::RawAudit;

/// Bytes of each body, where the policy does not say.
const BYTES: u64 = 256 * 1024;
/// The most that can be asked for: each gateway worker holds some of them at a time.
const MOST_BYTES: u64 = 1024 * 1024;
/// The fewest that make sense.
const LEAST_BYTES: u64 = 1024;
/// Each place of a text is looked at with each pattern.
const MOST_PATTERNS: usize = 32;
/// A hundred years.
const MOST_DAYS: u32 = 36_500;

impl Check<'_> {
    pub(super) fn keeping(&mut self, raw: &RawAudit) -> Keeping {
        let most_bytes = raw.contents_bytes.unwrap_or(BYTES);
        if !(LEAST_BYTES..=MOST_BYTES).contains(&most_bytes) {
            let text = format!("must be from {LEAST_BYTES} to {MOST_BYTES}, not {most_bytes}");
            self.problem("audit.contents_bytes", text);
        }
        if let Some(days) = raw.contents_days {
            self.some("audit.contents_days", days.into(), MOST_DAYS.into());
        }
        if raw.redact.len() > MOST_PATTERNS {
            let text = format!("must be at most {MOST_PATTERNS} patterns");
            self.problem("audit.redact", text);
        }
        let mut patterns = Vec::new();
        for (at, text) in raw.redact.iter().enumerate() {
            match Pattern::parse(text) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => self.problem(format!("audit.redact[{at}]"), error.to_string()),
            }
        }
        Keeping {
            most_bytes,
            patterns,
            days: raw.contents_days,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Policy;

    fn problems(audit: serde_json::Value) -> Vec<String> {
        let policy = Policy::parse(serde_json::json!({
            "version": 1, "organisation": "x", "time_zone": "UTC", "currency": "JPY",
            "scopes": {"all": null},
            "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                         "jwks_uri": "https://i.example/keys"}],
            "apis": [], "audit": audit,
        }));
        let problems = policy.err().unwrap_or_default().into_iter();
        problems.map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn whatever_cannot_be_kept_to_is_refused_with_its_place() {
        let sound = serde_json::json!({"contents": "redacted", "contents_bytes": 1024,
            "contents_days": 1, "redact": ["EMP-[0-9]{6}", "社員[0-9]{4}"]});
        assert_eq!(problems(sound), Vec::<String>::new());
        let wrong = serde_json::json!({"contents_bytes": 2_000_000, "contents_days": 0,
            "redact": ["ok", "a.*"]});
        let problems = problems(wrong);
        let places: Vec<&str> = problems
            .iter()
            .filter_map(|p| p.split(':').next())
            .collect();
        assert_eq!(
            places,
            [
                "audit.contents_bytes",
                "audit.contents_days",
                "audit.redact[1]"
            ]
        );
        assert!(
            problems[2].contains("`.` is not known here"),
            "{problems:?}"
        );
    }

    #[test]
    fn there_are_not_too_many_patterns() {
        let many: Vec<String> = (0..33).map(|n| format!("n{n}")).collect();
        let problems = problems(serde_json::json!({"redact": many}));
        assert_eq!(problems, ["audit.redact: must be at most 32 patterns"]);
    }
}
