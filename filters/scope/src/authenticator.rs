//! From a credential to the caller.

use std::sync::Arc;

use sekisho_domain::policy::{DirectoryMode, Policy};
use sekisho_domain::{ApiKey, Denial, DenialCode, IssuerKey, UnixMillis, User};

use crate::cache::{Cache, Verified};
use crate::claims::Claims;
use crate::credential::{Credential, is_one_word};
use crate::directory::{Directory, known_department};
use crate::facts::{Facts, Reading};
use crate::issuer::TrustedIssuer;
use crate::key::{hash_key, is_well_formed_key};
use crate::principal::Principal;
use crate::refusal::Refused;
use crate::titles::Titles;
use crate::token;
use crate::verify::{SignatureVerifier, UnusableKey, is_signed};

/// Tells callers apart, under one policy.
///
/// A new policy means a new authenticator, filled again from a full snapshot: scope sets
/// (also those of subscription keys) belong to the scope tree of one policy.
pub struct Authenticator {
    issuers: Vec<TrustedIssuer>,
    reading: Reading,
    titles: Titles,
    directory_mode: DirectoryMode,
    directory: Directory,
    pepper: Option<Vec<u8>>,
    verified: Cache,
}

/// A key that a token names and that its issuer, though trusted, is not known to have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MissingKey {
    /// The `iss` of the token: one of the policy.
    pub issuer: String,
    /// The `kid` of the token: whatever its sender wrote, up to 256 bytes.
    pub kid: String,
}

impl Authenticator {
    /// Trusts the policy's issuers and the keys that stand in the policy itself. Knows
    /// nobody yet.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        Self {
            issuers: policy.issuers.iter().map(TrustedIssuer::new).collect(),
            reading: Reading::new(policy),
            titles: Titles::new(policy),
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
    /// A [`Denial`] that never says what the credential says. Before the signature is
    /// verified, only the token's form, its issuer and the name of its key are judged.
    pub fn authenticate(
        &mut self,
        credential: &Credential<'_>,
        verifier: &dyn SignatureVerifier,
        now: UnixMillis,
    ) -> Result<Arc<Principal>, Denial> {
        let outcome = self.identify(credential, verifier, now);
        outcome.map_err(|refused| refused.denial)
    }

    /// The same as [`Authenticator::authenticate`], for whoever puts refusals on record.
    ///
    /// # Errors
    /// The same denial, and whose the credential is if it is genuine.
    pub fn identify(
        &mut self,
        credential: &Credential<'_>,
        verifier: &dyn SignatureVerifier,
        now: UnixMillis,
    ) -> Result<Arc<Principal>, Refused> {
        match credential {
            Credential::Key(secret) => self.by_key(secret, now),
            Credential::Bearer(token) => self.by_token(token, verifier, now),
        }
    }

    /// Which key is missing for this credential, where [`Authenticator::authenticate`] has
    /// just refused it as `UnknownSigningKey`: the sidecar may find it at the issuer.
    #[must_use]
    pub fn missing_key(&self, credential: &Credential<'_>) -> Option<MissingKey> {
        let Credential::Bearer(token) = credential else {
            return None;
        };
        let token = token::parse(token).ok()?;
        let claims = Claims::parse(&token.payload).ok()?;
        let (issuer, _) = self.issuer_of(&claims).ok()?;
        issuer.key(&token.kid).is_none().then(|| MissingKey {
            issuer: issuer.issuer.clone(),
            kid: token.kid,
        })
    }

    fn by_key(&mut self, secret: &[u8], now: UnixMillis) -> Result<Arc<Principal>, Refused> {
        if !is_well_formed_key(secret) {
            return Err(DenialCode::MalformedCredential.into());
        }
        let pepper = self.pepper.as_ref().ok_or(DenialCode::UnknownKey)?;
        let hash = hash_key(pepper, secret);
        let needs_user = self.directory_mode == DirectoryMode::Required;
        self.directory
            .by_secret(&hash, &self.titles, needs_user, now)
    }

    fn by_token(
        &mut self,
        token: &[u8],
        verifier: &dyn SignatureVerifier,
        now: UnixMillis,
    ) -> Result<Arc<Principal>, Refused> {
        if let Some(verified) = self.verified.get(token, now) {
            let facts = &verified.facts;
            if let Err(code) = facts.check_times(now) {
                self.verified.remove(token);
                return Err(self.refused(code, facts));
            }
            let user = self.directory.user(&facts.tenant, &facts.object_id);
            if user.map(Arc::as_ptr) == verified.user.as_ref().map(Arc::as_ptr) {
                let outcome = verified.outcome;
                return outcome.map_err(|code| self.refused(code, facts));
            }
            return self.remember(token, Arc::clone(facts), now);
        }
        if !is_one_word(token) {
            return Err(DenialCode::MalformedCredential.into());
        }
        let facts = self.verify(token, verifier)?;
        if let Err(code) = facts.check_times(now) {
            return Err(self.refused(code, &facts));
        }
        self.remember(token, Arc::new(facts), now)
    }

    /// Holds a verified token against the directory, and keeps what came of it.
    fn remember(
        &mut self,
        token: &[u8],
        facts: Arc<Facts>,
        now: UnixMillis,
    ) -> Result<Arc<Principal>, Refused> {
        let resolved = self.resolve(Arc::clone(&facts));
        let outcome = resolved.outcome.clone();
        self.verified.insert(token.into(), resolved, now);
        outcome.map_err(|code| self.refused(code, &facts))
    }

    /// What a token says that its issuer has signed, whatever its time.
    fn verify(&self, token: &[u8], verifier: &dyn SignatureVerifier) -> Result<Facts, Refused> {
        let token = token::parse(token)?;
        let claims = Claims::parse(&token.payload)?;
        let (issuer, tid) = self.issuer_of(&claims)?;
        let key = issuer
            .key(&token.kid)
            .ok_or(DenialCode::UnknownSigningKey)?;
        if !is_signed(&token, key, &issuer.algorithms, verifier) {
            return Err(DenialCode::BadSignature.into());
        }
        let facts = self.reading.facts(&claims, tid, issuer, key);
        let accepted = issuer.accepts(claims.texts("aud"));
        match facts {
            Ok(facts) if accepted => Ok(facts),
            Ok(facts) => Err(self.refused(DenialCode::WrongAudience, &facts)),
            Err(_) if !accepted => Err(DenialCode::WrongAudience.into()),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// The refusal of a token that its issuer has signed.
    fn refused(&self, code: DenialCode, facts: &Facts) -> Refused {
        let user = self.directory.user(&facts.tenant, &facts.object_id);
        let who = self.principal(facts, user.map(Arc::as_ref)).identity();
        Refused::of(code, who)
    }

    /// The trusted issuer that the token claims to be of, and the tenant.
    fn issuer_of<'a>(&self, claims: &'a Claims) -> Result<(&TrustedIssuer, &'a str), DenialCode> {
        let (iss, tid) = claims
            .text("iss")
            .zip(claims.text("tid"))
            .ok_or(DenialCode::UnknownIssuer)?;
        let issued = |issuer: &&TrustedIssuer| issuer.issued(iss, tid);
        let issuer = self.issuers.iter().find(issued);
        issuer
            .map(|issuer| (issuer, tid))
            .ok_or(DenialCode::UnknownIssuer)
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
            Some(user) if facts.issued < user.tokens_valid_from => Err(DenialCode::RevokedSession),
            None if needs_entry => Err(DenialCode::UnknownUser),
            _ => Ok(Arc::new(self.principal(&facts, user.as_deref()))),
        };
        Verified {
            facts,
            user,
            outcome,
        }
    }

    fn principal(&self, facts: &Facts, user: Option<&User>) -> Principal {
        let in_directory = user.and_then(|user| known_department(&user.department));
        Principal {
            tenant: facts.tenant.clone(),
            object_id: facts.object_id.clone(),
            user: user.map(|user| user.id.clone()),
            department: in_directory.or_else(|| facts.department.clone()),
            title: user.and_then(|user| self.titles.of(user)),
            application: facts.application.clone(),
            key: None,
            networks: Vec::new(),
            granted: facts.granted,
            roles: facts.roles.clone(),
            assurance: facts.assurance.clone(),
        }
    }
}
