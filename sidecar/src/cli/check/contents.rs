//! What the policy keeps of bodies, and what that means.

use sekisho_domain::Policy;
use sekisho_domain::policy::{Api, Contents};

/// A line for each way in which bodies are kept.
pub(super) fn lines(policy: &Policy) -> Vec<String> {
    let named = |contents| {
        let apis = policy.apis.iter();
        let names = apis.filter(|api: &&Api| api.contents == contents);
        let names: Vec<String> = names.map(|api| format!("`{}`", api.id)).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let end = match policy.keeping.days {
        Some(days) => format!("for {days} days"),
        None => "for good (`audit.contents_days` sets an end)".to_owned(),
    };
    let mut lines = Vec::new();
    if let Some(apis) = named(Contents::Full) {
        lines.push(format!(
            "warning: of {apis} all that people write and get is kept as it is {end}, passwords and \
             personal data among it (`contents: full`): every auditor can read it; `redacted` \
             takes secrets out"
        ));
    }
    if let Some(apis) = named(Contents::Redacted) {
        lines.push(format!(
            "of {apis} what people write and get is kept {end}, without what looks like a secret; \
             a name, or a secret of no known form, is not recognised (docs/contents.md)"
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(contents: &str, days: Option<u32>) -> Vec<String> {
        let policy = Policy::parse(serde_json::json!({
            "version": 1, "organisation": "x", "time_zone": "UTC", "currency": "JPY",
            "scopes": {"all": null},
            "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                         "jwks_uri": "https://i.example/keys"}],
            "upstreams": [{"name": "openai", "provider": "openai", "url": "https://api.openai.com"}],
            "apis": [{"name": "open", "provider": "openai", "operations": ["models"],
                      "scope": "all", "upstream": "openai", "contents": contents}],
            "audit": match days {
                Some(days) => serde_json::json!({"contents_days": days}),
                None => serde_json::json!({}),
            },
        }));
        lines(&policy.unwrap())
    }

    #[test]
    fn whoever_keeps_everything_is_warned() {
        let [line] = lines_of("full", None).try_into().unwrap();
        assert!(line.starts_with("warning: of `open` all"), "{line}");
        assert!(line.contains("for good"), "{line}");
        let [line] = lines_of("redacted", Some(90)).try_into().unwrap();
        assert!(
            line.starts_with("of `open` what") && line.contains("for 90 days"),
            "{line}"
        );
        assert_eq!(lines_of("digest", None), Vec::<String>::new());
    }
}
