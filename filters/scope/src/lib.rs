//! Who is calling, and may they call this: the decision of the scope stage.
//!
//! [`find_credential`] finds the one credential of a request, [`Authenticator`] makes a
//! [`Principal`] of it, [`authorise`] holds the principal against the scope that the call
//! needs. Everything is denied that is not granted.
//!
//! No IO, no clock, no randomness: the time is an argument, and the RSA operation is the
//! caller's ([`Rs256`]), because Envoy does it some twenty times faster than a filter can.
//! Whoever verifies, the answers are the same: everything that an implementation could
//! take a different view of is settled before it is asked.

mod assurance;
mod authenticator;
mod cache;
mod credential;
mod directory;
mod issuer;
mod json;
mod key;
mod principal;
mod token;
mod verify;

pub use assurance::{Assurance, SignIn};
pub use authenticator::{Authenticator, SKEW_SECONDS};
pub use cache::{MAX_CACHE_BYTES, MAX_CACHE_ENTRIES};
pub use credential::{CREDENTIAL_HEADERS, Credential, find_credential};
pub use key::{KEY_PREFIX, hash_key, is_well_formed_key, new_key};
pub use principal::{Asked, Principal, authorise};
pub use token::MAX_TOKEN_BYTES;
pub use verify::{PureRust, Rs256, UnusableKey, VerifyingKey};
