//! Who is trusted to say who somebody is.

use std::collections::HashSet;

use super::{Check, is_url};
use crate::policy::Issuer;
use crate::policy::raw::RawIssuer;
use crate::{IssuerKey, SigningAlgorithm};

impl Check<'_> {
    pub(super) fn issuers(&mut self, raw: Vec<RawIssuer>) -> Vec<Issuer> {
        let mut seen = HashSet::new();
        let mut issuers = Vec::new();
        if raw.is_empty() {
            self.problem(
                "issuers",
                "at least one issuer is needed, or nobody can call",
            );
        }
        for (at, issuer) in raw.into_iter().enumerate() {
            let path = format!("issuers[{at}]");
            self.unique(&mut seen, &format!("{path}.issuer"), &issuer.issuer);
            if !is_url(&issuer.issuer) {
                self.problem(
                    format!("{path}.issuer"),
                    "must be the URL of the `iss` claim",
                );
            }
            if issuer.tenant.is_empty() {
                self.problem(
                    format!("{path}.tenant"),
                    "must be the directory (tenant) id",
                );
            }
            if issuer.audiences.is_empty() || issuer.audiences.iter().any(String::is_empty) {
                self.problem(
                    format!("{path}.audiences"),
                    "must name at least one `aud` claim",
                );
            }
            if issuer.jwks_uri.is_none() && issuer.jwks.is_none() {
                self.problem(
                    path.as_str(),
                    "needs `jwks_uri`, or `jwks` for use without a sidecar",
                );
            }
            if issuer.jwks_uri.as_deref().is_some_and(|uri| !is_url(uri)) {
                self.problem(format!("{path}.jwks_uri"), "must be an http or https URL");
            }
            self.algorithms(&path, &issuer.algorithms);
            let mut keys = Vec::new();
            let mut kids = HashSet::new();
            for (k, key) in issuer.jwks.iter().flat_map(|jwks| &jwks.keys).enumerate() {
                let at = format!("{path}.jwks.keys[{k}]");
                match IssuerKey::from_jwk(&issuer.issuer, key) {
                    Ok(key) => {
                        self.unique(&mut kids, &format!("{at}.kid"), &key.kid);
                        keys.push(key);
                    }
                    Err(error) => self.problem(at, error.to_string()),
                }
            }
            issuers.push(Issuer {
                issuer: issuer.issuer,
                tenant: issuer.tenant.to_ascii_lowercase(),
                audiences: issuer.audiences,
                algorithms: issuer.algorithms,
                jwks_uri: issuer.jwks_uri,
                keys,
                department_claim: issuer.department_claim,
            });
        }
        issuers
    }

    fn algorithms(&mut self, path: &str, algorithms: &[SigningAlgorithm]) {
        if algorithms.is_empty() {
            let text = "must name at least one of `RS256`, `PS256` and `ES256`";
            self.problem(format!("{path}.algorithms"), text);
        }
        let mut seen = HashSet::new();
        for (at, algorithm) in algorithms.iter().enumerate() {
            let path = format!("{path}.algorithms[{at}]");
            self.unique(&mut seen, &path, algorithm.as_str());
        }
    }
}
