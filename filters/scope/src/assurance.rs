//! How a person signed in, and what to ask for if that is not enough.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// How a person signed in, as an Entra ID token tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Assurance {
    /// Nothing is known: applications and subscription keys.
    #[default]
    None,
    /// A person's token.
    Person(SignIn),
}

/// What a person's token says about the sign-in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignIn {
    /// Whether the token is of version 1.0.
    pub v1: bool,
    /// Whether `amr` has `mfa`.
    pub mfa: bool,
    /// Authentication contexts that were satisfied: `acrs`.
    pub contexts: Vec<String>,
    /// Whether the client declared (`xms_cc`) that it understands claims challenges: `cp1`.
    pub understands_challenges: bool,
}

impl Assurance {
    /// Whether it shows multi-factor authentication; with a `context`: that one.
    pub(crate) fn shows(&self, context: Option<&str>) -> bool {
        let Self::Person(sign_in) = self else {
            return false;
        };
        match context {
            None => sign_in.mfa,
            Some(context) => {
                (sign_in.v1 && sign_in.mfa) || sign_in.contexts.iter().any(|held| held == context)
            }
        }
    }

    /// The claims challenge for a client that understands one: base64 of a claims request
    /// (OpenID Connect Core 1.0, section 5.5) for Entra ID.
    pub(crate) fn claims_to_ask_for(&self, context: Option<&str>) -> Option<String> {
        let Self::Person(sign_in) = self else {
            return None;
        };
        if !sign_in.understands_challenges {
            return None;
        }
        let request: Value = match context {
            Some(context) => json!({"acrs": {"essential": true, "value": context}}),
            None => json!({"amr": {"essential": true, "values": ["mfa"]}}),
        };
        Some(STANDARD.encode(json!({"access_token": request}).to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(v1: bool, mfa: bool, contexts: &[&str]) -> Assurance {
        Assurance::Person(SignIn {
            v1,
            mfa,
            contexts: contexts.iter().map(|&context| context.into()).collect(),
            understands_challenges: true,
        })
    }

    #[test]
    fn a_named_context_needs_that_context_or_the_mfa_of_a_v1_token() {
        for (shown, assurance) in [
            (true, person(false, false, &["c2", "c1"])),
            (true, person(true, true, &[])),
            (true, person(true, false, &["c1"])),
            (false, person(false, true, &[])),
            (false, person(false, true, &["c11"])),
            (false, person(true, false, &["C1"])),
            (false, Assurance::None),
        ] {
            assert_eq!(assurance.shows(Some("c1")), shown, "{assurance:?}");
        }
    }

    #[test]
    fn without_a_context_only_mfa_counts() {
        assert!(person(false, true, &[]).shows(None));
        assert!(person(true, true, &[]).shows(None));
        assert!(!person(false, false, &["c1"]).shows(None));
        assert!(!Assurance::None.shows(None));
    }

    #[test]
    fn the_challenge_is_the_one_of_microsofts_documentation() {
        let claims = person(false, false, &[]).claims_to_ask_for(Some("c1"));
        let json = STANDARD.decode(claims.unwrap()).unwrap();
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#
        );
        let not_declared = Assurance::Person(SignIn::default());
        assert_eq!(not_declared.claims_to_ask_for(Some("c1")), None);
    }
}
