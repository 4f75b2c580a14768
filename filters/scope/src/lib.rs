//! Who is calling, and may they call this: the decision of the scope stage.
//!
//! [`find_credential`] finds the one credential of a request, [`Authenticator`] makes a
//! [`Principal`] of it, [`authorise`] holds the principal against the scope that the call
//! needs. Everything is denied that is not granted.
//!
//! No IO, no clock, no randomness: the time is an argument, and verifying a signature is the
//! caller's ([`SignatureVerifier`]), because Envoy does it some twenty times faster than a
//! filter can. Whoever verifies, the answers are the same: everything that an implementation
//! could take a different view of is settled before it is asked.

mod assurance;
mod authenticator;
mod cache;
mod claims;
mod credential;
mod directory;
mod facts;
mod issuer;
mod json;
mod key;
mod principal;
mod refusal;
mod titles;
mod token;
mod verify;
mod weakness;

pub use assurance::{Assurance, SignIn};
pub use authenticator::{Authenticator, MissingKey};
pub use cache::{MAX_CACHE_BYTES, MAX_CACHE_ENTRIES};
pub use credential::{CREDENTIAL_HEADERS, Credential, find_credential};
pub use facts::SKEW_SECONDS;
pub use key::{KEY_PREFIX, hash_key, is_well_formed_key, new_key};
pub use principal::{Asked, Identity, Principal, authorise};
pub use refusal::Refused;
pub use token::MAX_TOKEN_BYTES;
pub use verify::{PureRust, SignatureVerifier, UnusableKey, VerifyingKey, verified_payload};
pub use weakness::Weakness;
