//! From a credential to the caller.

use std::collections::HashMap;
use std::sync::Arc;

use sekisho_domain::policy::{DirectoryMode, Policy};
use sekisho_domain::{
    ApiKey, Denial, DenialCode, DepartmentId, IssuerKey, ScopeSet, ScopeTree, UnixMillis, User,
};

use crate::assurance::Assurance;
use crate::cache::{Cache, Facts, Verified};
use crate::credential::Credential;
use crate::directory::{Directory, known_department};
use crate::issuer::TrustedIssuer;
use crate::key::{hash_key, is_well_formed_key};
use crate::principal::Principal;
use crate::token::{self, Claims};
use crate::verify::{Rs256, UnusableKey, VerifyingKey};

/// How far clocks may differ when a token's times are checked, seconds.
pub const SKEW_SECONDS: u64 = 60;

/// Tells callers apart, under one policy.
///
/// A new policy means a new authenticator, filled again from a full snapshot: scope sets
/// (also those of subscription keys) belong to the scope tree of one policy.
pub struct Authenticator {
    issuers: Vec<TrustedIssuer>,
    scopes: ScopeTree,
    /// By code and by name.
    departments: HashMap<String, DepartmentId>,
    directory_mode: DirectoryMode,
    directory: Directory,
    pepper: Option<Vec<u8>>,
    verified: Cache,
}

impl Authenticator {
    /// Trusts the policy's issuers and the keys that stand in the policy itself. Knows
    /// nobody yet.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        let mut departments = HashMap::new();
        for department in policy.departments.values() {
            departments.insert(department.name.clone(), department.id.clone());
        }
        // Codes after names: a code always means the department that has it.
        for id in policy.departments.keys() {
            departments.insert(id.0.clone(), id.clone());
        }
        Self {
            issuers: policy.issuers.iter().map(TrustedIssuer::new).collect(),
            scopes: policy.scopes.clone(),
            departments,
            directory_mode: policy.directory,
            directory: Directory::default(),
            pepper: None,
            verified: Cache::default(),
        }
    }

    /// Replaces the signing keys of an issuer. Tokens that a removed key verified have to
    /// be verified again. Returns what is wrong with keys that are left out.
    pub fn set_issuer_keys(&mut self, issuer: &str, keys: Vec<IssuerKey>) -> Vec<UnusableKey> {
        let Some(trusted) = self.issuers.iter_mut().find(|known| known.issuer == issuer) else {
            let unusable = keys
                .into_iter()
                .map(|IssuerKey { issuer, kid, .. }| UnusableKey::NotTrusted { issuer, kid });
            return unusable.collect();
        };
        let unusable = trusted.set_keys(keys);
        let issuers = &self.issuers;
        self.verified
            .retain(|facts| issuers.iter().any(|issuer| issuer.holds(&facts.key)));
        unusable
    }

    /// Adds or replaces a person.
    pub fn upsert_user(&mut self, user: User) {
        self.directory.upsert_user(user);
    }

    /// Adds or replaces a subscription key.
    pub fn upsert_key(&mut self, key: ApiKey) {
        self.directory.upsert_key(key);
    }

    /// Sets the secret under which subscription keys are hashed. Without one, every key is
    /// unknown.
    pub fn set_pepper(&mut self, pepper: &[u8]) {
        self.pepper = (!pepper.is_empty()).then(|| pepper.to_vec());
    }

    /// Forgets all people and keys, as a full snapshot begins with nobody.
    pub fn clear_directory(&mut self) {
        self.directory = Directory::default();
    }

    /// Forgets verified tokens that have expired. They are refused anyway; this gives
    /// their memory back while little is called.
    pub fn forget_expired(&mut self, now: UnixMillis) {
        self.verified.retain(|facts| now < facts.expires);
    }

    /// How many verified tokens are remembered.
    #[must_use]
    pub fn remembered_tokens(&self) -> usize {
        self.verified.len()
    }

    /// Who shows this credential. Accounts and keys are looked up on every call, so that
    /// disabling one takes effect at once, however long its token is valid.
    ///
    /// # Errors
    /// A [`Denial`] that says no more than its code. Before the signature is verified,
    /// only the token's form, its issuer and the name of its key are judged.
    pub fn authenticate(
        &mut self,
        credential: &Credential<'_>,
        rs256: &dyn Rs256,
        now: UnixMillis,
    ) -> Result<Arc<Principal>, Denial> {
        let outcome = match credential {
            Credential::Key(secret) => self.by_key(secret, now),
            Credential::Bearer(token) => self.by_token(token, rs256, now),
        };
        outcome.map_err(Denial::new)
    }

    fn by_key(&self, secret: &[u8], now: UnixMillis) -> Result<Arc<Principal>, DenialCode> {
        if !is_well_formed_key(secret) {
            return Err(DenialCode::MalformedCredential);
        }
        let pepper = self.pepper.as_ref().ok_or(DenialCode::UnknownKey)?;
        let hash = hash_key(pepper, secret);
        let key = self.directory.key(&hash).ok_or(DenialCode::UnknownKey)?;
        if key.revoked {
            return Err(DenialCode::RevokedKey);
        }
        if key.expires.is_some_and(|expires| now >= expires) {
            return Err(DenialCode::ExpiredKey);
        }
        Ok(Arc::clone(&key.principal))
    }

    fn by_token(
        &mut self,
        token: &[u8],
        rs256: &dyn Rs256,
        now: UnixMillis,
    ) -> Result<Arc<Principal>, DenialCode> {
        if let Some(verified) = self.verified.get(token, now) {
            if let Err(code) = check_times(&verified.facts, now) {
                self.verified.remove(token);
                return Err(code);
            }
            let facts = &verified.facts;
            let user = self.directory.user(&facts.tenant, &facts.object_id);
            if user.map(Arc::as_ptr) == verified.user.as_ref().map(Arc::as_ptr) {
                return verified.outcome;
            }
            let resolved = self.resolve(Arc::clone(facts));
            let outcome = resolved.outcome.clone();
            self.verified.insert(token.into(), resolved, now);
            return outcome;
        }
        let facts = self.verify(token, rs256, now)?;
        let resolved = self.resolve(Arc::new(facts));
        let outcome = resolved.outcome.clone();
        self.verified.insert(token.into(), resolved, now);
        outcome
    }

    fn verify(
        &self,
        token: &[u8],
        rs256: &dyn Rs256,
        now: UnixMillis,
    ) -> Result<Facts, DenialCode> {
        let parsed = token::parse(token)?;
        let claims = &parsed.claims;
        let (iss, tid) = claims
            .text("iss")
            .zip(claims.text("tid"))
            .ok_or(DenialCode::UnknownIssuer)?;
        let issuer = self
            .issuers
            .iter()
            .find(|issuer| issuer.issued(iss, tid))
            .ok_or(DenialCode::UnknownIssuer)?;
        let key = issuer
            .key(&parsed.kid)
            .ok_or(DenialCode::UnknownSigningKey)?;
        if !rs256.verify(key, token, parsed.signed, &parsed.signature) {
            return Err(DenialCode::BadSignature);
        }
        if !issuer.accepts(claims.texts("aud")) {
            return Err(DenialCode::WrongAudience);
        }
        let facts = self.facts(claims, tid, issuer, key)?;
        check_times(&facts, now)?;
        Ok(facts)
    }

    /// What the claims of a verified token say.
    fn facts(
        &self,
        claims: &Claims,
        tid: &str,
        issuer: &TrustedIssuer,
        key: &Arc<VerifyingKey>,
    ) -> Result<Facts, DenialCode> {
        let exp = claims.seconds("exp").ok_or(DenialCode::ExpiredToken)?;
        let nbf = claims.seconds("nbf").unwrap_or(0);
        let oid = claims.text("oid").filter(|oid| !oid.is_empty());
        let is_application = match claims.text("idtyp") {
            Some("app") => true,
            None | Some("user") => false,
            Some(_) => return Err(DenialCode::MalformedCredential),
        };
        let department = issuer
            .department_claim
            .as_deref()
            .and_then(|claim| claims.text(claim))
            .and_then(|name| self.departments.get(name));
        Ok(Facts {
            key: Arc::clone(key),
            expires: unix_millis(exp.saturating_add(SKEW_SECONDS)),
            begins: unix_millis(nbf.saturating_sub(SKEW_SECONDS)),
            is_application,
            tenant: tid.to_ascii_lowercase(),
            object_id: oid
                .ok_or(DenialCode::MalformedCredential)?
                .to_ascii_lowercase(),
            application: claims
                .text("azp")
                .or_else(|| claims.text("appid"))
                .map(str::to_owned),
            department: department.cloned(),
            granted: self.granted(claims, is_application),
            roles: claims.texts("roles").map(str::to_owned).collect(),
        })
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

    /// Holds a verified token against the directory.
    fn resolve(&self, facts: Arc<Facts>) -> Verified {
        let user = self
            .directory
            .user(&facts.tenant, &facts.object_id)
            .map(Arc::clone);
        let needs_entry = self.directory_mode == DirectoryMode::Required && !facts.is_application;
        let outcome = match &user {
            Some(user) if !user.active => Err(DenialCode::InactiveUser),
            None if needs_entry => Err(DenialCode::UnknownUser),
            _ => Ok(Arc::new(Principal {
                tenant: facts.tenant.clone(),
                object_id: facts.object_id.clone(),
                user: user.as_ref().map(|user| user.id.clone()),
                department: user
                    .as_ref()
                    .and_then(|user| known_department(&user.department))
                    .or_else(|| facts.department.clone()),
                title: None,
                application: facts.application.clone(),
                key: None,
                networks: Vec::new(),
                granted: facts.granted,
                roles: facts.roles.clone(),
                assurance: Assurance::None,
            })),
        };
        Verified {
            facts,
            user,
            outcome,
        }
    }
}

fn check_times(facts: &Facts, now: UnixMillis) -> Result<(), DenialCode> {
    if now >= facts.expires {
        Err(DenialCode::ExpiredToken)
    } else if now < facts.begins {
        Err(DenialCode::TokenNotYetValid)
    } else {
        Ok(())
    }
}

fn unix_millis(seconds: u64) -> UnixMillis {
    UnixMillis(seconds.saturating_mul(1000))
}
