//! The plugin's configuration: where the sidecar is, or a whole policy for use without one.

use sekisho_domain::Policy;
use serde::Deserialize;

use crate::Stages;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    link: Option<RawLink>,
    policy: Option<serde_json::Value>,
    /// No other module of ours follows in the chain.
    #[serde(default)]
    standalone: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLink {
    cluster: String,
}

/// Where the policy comes from.
#[derive(Debug)]
pub(crate) enum Config {
    /// From the sidecar behind this cluster.
    Link { cluster: String },
    /// From the configuration itself.
    Inline {
        policy: Box<Policy>,
        /// No other module follows that would read what this one has found out.
        standalone: bool,
    },
}

impl Config {
    /// Reads the configuration; on failure every problem, a line each.
    pub(crate) fn parse(bytes: &[u8], stages: Stages) -> Result<Self, String> {
        let raw: RawConfig = serde_json::from_slice(bytes)
            .map_err(|error| format!("plugin configuration: {error}"))?;
        let standalone = raw.standalone;
        match (raw.link, raw.policy) {
            (Some(_), None) if standalone => {
                Err("plugin configuration: standalone: goes with `policy` only".into())
            }
            (Some(RawLink { cluster }), None) if !cluster.is_empty() => Ok(Self::Link { cluster }),
            (Some(_), None) => Err("plugin configuration: link.cluster: must name a cluster".into()),
            (None, Some(_)) if stages.needs_sidecar() => Err(
                "plugin configuration: policy: budgets and records need a sidecar; give `link` instead"
                    .into(),
            ),
            (None, Some(policy)) => {
                let policy = Policy::parse(policy).map_err(|problems| {
                    let lines = problems.iter().map(|p| format!("policy.{p}"));
                    lines.collect::<Vec<_>>().join("\n")
                })?;
                Ok(Self::Inline { policy: Box::new(policy), standalone })
            }
            _ => Err("plugin configuration: needs exactly one of `link` and `policy`".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_a_link_or_a_policy() {
        let ok = Config::parse(br#"{"link": {"cluster": "sekisho_sidecar"}}"#, Stages::ALL);
        assert!(matches!(ok, Ok(Config::Link { .. })));
        for bad in [
            "",
            "{}",
            "[]",
            r#"{"link": {"cluster": ""}}"#,
            r#"{"link": {"cluster": "a", "x": 1}}"#,
            r#"{"link": {"cluster": "a"}, "standalone": true}"#,
            r#"{"standalone": true}"#,
            r#"{"policy": {}}"#,
            r#"{"link": {"cluster": "a"}, "policy": {}}"#,
        ] {
            assert!(Config::parse(bad.as_bytes(), Stages::ALL).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bad_inline_policy_is_refused_with_its_paths() {
        let error = Config::parse(br#"{"policy": {"version": 2}}"#, Stages::SCOPE).unwrap_err();
        assert!(
            error.contains("policy.version") && error.lines().count() > 3,
            "{error}"
        );
    }
}
