//! What a verified token says, in our words.

use std::collections::HashMap;
use std::sync::Arc;

use sekisho_domain::policy::Policy;
use sekisho_domain::{DenialCode, DepartmentId, ScopeSet, ScopeTree, UnixMillis};

use crate::assurance::{Assurance, SignIn};
use crate::claims::{Claims, ID_TOKEN};
use crate::issuer::TrustedIssuer;
use crate::refusal::Refusal;
use crate::verify::VerifyingKey;

/// How far clocks may differ when a token's times are checked, seconds.
pub const SKEW_SECONDS: u64 = 60;

/// What a verified token says.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) key: Arc<VerifyingKey>,
    /// Last moment with the allowed skew, exclusive.
    pub(crate) expires: UnixMillis,
    /// First moment with the allowed skew.
    pub(crate) begins: UnixMillis,
    /// 0 if the token does not say.
    pub(crate) issued: UnixMillis,
    pub(crate) is_application: bool,
    pub(crate) tenant: String,
    pub(crate) object_id: String,
    pub(crate) application: Option<String>,
    /// The department that a claim or a group names, if the policy has it.
    pub(crate) department: Option<DepartmentId>,
    pub(crate) granted: ScopeSet,
    pub(crate) roles: Vec<String>,
    pub(crate) assurance: Assurance,
}

impl Facts {
    /// Whether now is its time.
    pub(crate) fn check_times(&self, now: UnixMillis) -> Result<(), DenialCode> {
        if now >= self.expires {
            Err(DenialCode::ExpiredToken)
        } else if now < self.begins {
            Err(DenialCode::TokenNotYetValid)
        } else {
            Ok(())
        }
    }
}

/// What claims are read against.
pub(crate) struct Reading {
    scopes: ScopeTree,
    /// By code and by name.
    departments: HashMap<String, DepartmentId>,
    /// By group, with the place of the rule in the policy.
    groups: HashMap<String, (usize, DepartmentId)>,
}

impl Reading {
    pub(crate) fn new(policy: &Policy) -> Self {
        let mut departments = HashMap::new();
        for department in policy.departments.values() {
            departments.insert(department.name.clone(), department.id.clone());
        }
        // Codes after names: a code always means the department that has it.
        for id in policy.departments.keys() {
            departments.insert(id.0.clone(), id.clone());
        }
        let groups = policy.department_groups.iter().enumerate();
        let groups = groups.map(|(at, (group, id))| (group.clone(), (at, id.clone())));
        Self {
            scopes: policy.scopes.clone(),
            departments,
            groups: groups.collect(),
        }
    }

    /// What the claims of a verified token say.
    pub(crate) fn facts(
        &self,
        claims: &Claims,
        tid: &str,
        issuer: &TrustedIssuer,
        key: &Arc<VerifyingKey>,
    ) -> Result<Facts, Refusal> {
        claims.check_kind()?;
        let exp = claims.seconds("exp").ok_or(DenialCode::ExpiredToken)?;
        let [nbf, iat] = ["nbf", "iat"].map(|name| claims.seconds(name).unwrap_or(0));
        let version = version(claims, &issuer.issuer)?;
        let is_application = is_application(claims)?;
        let oid = claims.text("oid").filter(|oid| !oid.is_empty());
        let oid = oid.ok_or(Refusal::malformed(
            "The token does not say whose it is (`oid`).",
        ))?;
        Ok(Facts {
            key: Arc::clone(key),
            expires: unix_millis(exp.saturating_add(SKEW_SECONDS)),
            // Nobody issues tokens in the future: the later of the two.
            begins: unix_millis(nbf.max(iat).saturating_sub(SKEW_SECONDS)),
            issued: unix_millis(iat),
            is_application,
            tenant: tid.to_ascii_lowercase(),
            object_id: oid.to_ascii_lowercase(),
            application: application(claims, version)?.map(str::to_ascii_lowercase),
            department: self.department(claims, issuer).cloned(),
            granted: self.granted(claims, is_application),
            roles: claims.texts("roles").map(str::to_owned).collect(),
            assurance: if is_application {
                Assurance::None
            } else {
                Assurance::Person(sign_in(claims, version))
            },
        })
    }

    /// By the claim that the issuer is said to have, else by group. Where the groups did not
    /// fit into the token, only the directory can tell.
    fn department(&self, claims: &Claims, issuer: &TrustedIssuer) -> Option<&DepartmentId> {
        let claim = issuer.department_claim.as_deref();
        let claimed = claim
            .and_then(|claim| claims.text(claim))
            .and_then(|name| self.departments.get(name));
        if claimed.is_some() || self.groups.is_empty() || claims.groups_are_elsewhere() {
            return claimed;
        }
        claims
            .texts("groups")
            .filter_map(|group| self.groups.get(group.to_ascii_lowercase().as_str()))
            .min_by_key(|(place, _)| place)
            .map(|(_, department)| department)
    }

    /// People consent to `scp`, administrators assign `roles` to applications. A person's
    /// roles grant no scope, and an application holds none on its own behalf by `scp`.
    fn granted(&self, claims: &Claims, is_application: bool) -> ScopeSet {
        if is_application {
            self.scopes.granted_by_all(claims.texts("roles"))
        } else {
            let scp = claims.text("scp").unwrap_or("");
            self.scopes.granted_by_all(scp.split(' '))
        }
    }
}

/// Versions of Entra ID's tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
    /// Of an issuer that does not say.
    Unsaid,
}

/// The version belongs to the issuer: Entra ID issues version 2.0 under `.../v2.0` only.
fn version(claims: &Claims, issuer: &str) -> Result<Version, Refusal> {
    const OF_ANOTHER: Refusal =
        Refusal::malformed("The token's version (`ver`) is not one of its issuer.");
    let of_two = issuer.ends_with("/v2.0");
    let of_one = issuer.starts_with("https://sts.windows.net/");
    match claims.text("ver") {
        Some("1.0") if !of_two => Ok(Version::One),
        Some("2.0") if !of_one => Ok(Version::Two),
        Some(_) => Err(OF_ANOTHER),
        None => Ok(Version::Unsaid),
    }
}

/// A person's token has `scp`, an application's says `idtyp` `app`. What has neither is
/// nobody's access token: neither's rights may be read into it.
fn is_application(claims: &Claims) -> Result<bool, Refusal> {
    match claims.text("idtyp") {
        Some("app") if claims.has("scp") => Err(Refusal::malformed(
            "The token says of an application what only a person's can (`scp`).",
        )),
        Some("app") => Ok(true),
        Some("user") => Ok(false),
        Some(_) => Err(Refusal::unsupported(
            "The token is neither a person's nor an application's (`idtyp`).",
        )),
        None if claims.has("scp") => Ok(false),
        None if claims.has("roles") => Err(Refusal::unsupported(
            "The token has roles but no scopes and does not say whose it is: add the optional \
             claim `idtyp` to the gateway's app registration.",
        )),
        None => Err(Refusal::unsupported(ID_TOKEN)),
    }
}

/// The application that got the token, by the claim of the token's version.
fn application(claims: &Claims, version: Version) -> Result<Option<&str>, Refusal> {
    let (azp, appid) = (claims.text("azp"), claims.text("appid"));
    match version {
        Version::One => Ok(appid),
        Version::Two => Ok(azp),
        Version::Unsaid => match (azp, appid) {
            (Some(one), Some(other)) if one != other => Err(Refusal::malformed(
                "The token names two applications (`azp`, `appid`).",
            )),
            _ => Ok(azp.or(appid)),
        },
    }
}

fn sign_in(claims: &Claims, version: Version) -> SignIn {
    SignIn {
        v1: version == Version::One,
        mfa: claims.texts("amr").any(|method| method == "mfa"),
        contexts: claims.texts("acrs").map(str::to_owned).collect(),
        understands_challenges: claims
            .texts("xms_cc")
            .any(|capability| capability.eq_ignore_ascii_case("cp1")),
    }
}

fn unix_millis(seconds: u64) -> UnixMillis {
    UnixMillis(seconds.saturating_mul(1000))
}
