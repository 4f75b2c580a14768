//! The words that everybody at the checkpoint shares: who may do what, in which
//! units it is counted, what a refusal is called, what the record says and what
//! the policy file means.
//!
//! No IO, no clock, no randomness: whatever depends on them arrives as an argument.

pub mod budget;
pub mod decimal;
pub mod denial;
pub mod directory;
pub mod event;
pub mod ids;
pub mod kept;
pub mod network;
pub mod pattern;
pub mod policy;
pub mod price;
pub mod provider;
pub mod record;
pub mod scope;
pub mod signing;
pub mod sse;
pub mod units;
pub mod usage;

pub use budget::{
    Budget, Counting, Covered, Covering, Meter, Mode, Payer, StreamCut, Subject, WindowUnit,
};
pub use decimal::Decimal;
pub use denial::{Denial, DenialCode, Stage};
pub use directory::{ApiKey, FormerSecret, User};
pub use event::{Event, EventOutcome};
pub use ids::{ApiId, BudgetId, DepartmentId, KeyId, RecordId, TitleId, UserId};
pub use kept::{Cut, Sealed, SealedHalf, SealedKey};
pub use network::{Network, NetworkError};
pub use pattern::{Pattern, PatternError};
pub use policy::{AuditMode, Policy, Problem};
pub use price::{Price, PriceBook};
pub use provider::{Modality, Provider};
pub use record::{AuditRecord, Outcome, RecordKind};
pub use scope::{ScopeSet, ScopeTree};
pub use signing::{IssuerKey, JwkError, KeyMaterial, SigningAlgorithm};
pub use units::{ByteCount, Micros, Tokens, UnixMillis};
pub use usage::{Usage, UsageSource};
