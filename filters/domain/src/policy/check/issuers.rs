//! Who is trusted to say who somebody is.

use std::collections::HashSet;
use std::net::IpAddr;

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
            if issuer
                .jwks_uri
                .as_deref()
                .is_some_and(|uri| !is_secure(uri))
            {
                self.problem(
                    format!("{path}.jwks_uri"),
                    "must be an https URL; http is for loopback addresses alone",
                );
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

/// Whether nobody on the way can read or change what is said: https, or http on this machine.
pub(super) fn is_secure(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix("http://").filter(|_| is_url(uri)) else {
        return is_url(uri);
    };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(address) => address.split(']').next(),
        None => authority.split(':').next(),
    };
    let host = host.filter(|_| !authority.contains('@'));
    let address = host.and_then(|host| host.parse::<IpAddr>().ok());
    host == Some("localhost") || address.is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        for uri in [
            "https://login.example/keys",
            "http://127.0.0.1:9000/keys",
            "http://127.0.0.1",
            "http://[::1]:9000/keys",
            "http://localhost/keys",
        ] {
            assert!(is_secure(uri), "{uri}");
        }
        for uri in [
            "http://login.example/keys",
            "http://127.0.0.1@login.example/keys",
            "http://127.0.0.1:80@login.example/keys",
            "http://127.0.0.1.login.example/keys",
            "http://localhost.login.example",
            "http://10.0.0.1/keys",
            "http://[::2]/keys",
            "ftp://127.0.0.1/keys",
            "keys",
        ] {
            assert!(!is_secure(uri), "{uri}");
        }
    }
}
