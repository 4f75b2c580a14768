//! Refusals on the way to a principal: small enough to be remembered with a token.

use sekisho_domain::{Denial, DenialCode};

use crate::principal::Identity;

/// Why a credential is refused, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub denial: Denial,
    /// Whose the credential is, where it is genuine: its issuer has signed it, or it is a key's
    /// secret. `None` for all others: anybody can write any name into a token.
    pub who: Option<Box<Identity>>,
}

impl Refused {
    pub(crate) fn of(code: DenialCode, who: Identity) -> Self {
        Self {
            denial: code.into(),
            who: Some(Box::new(who)),
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            denial: refusal.into(),
            who: None,
        }
    }
}

impl From<DenialCode> for Refused {
    fn from(code: DenialCode) -> Self {
        Refusal::from(code).into()
    }
}

/// A code, and the sentence for the caller where the code alone does not say enough. The
/// sentence is ours: nothing that a token says gets into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: DenialCode,
    sentence: Option<&'static str>,
}

impl Refusal {
    /// A token of a kind that is never accepted.
    pub(crate) const fn unsupported(sentence: &'static str) -> Self {
        Self {
            code: DenialCode::UnsupportedToken,
            sentence: Some(sentence),
        }
    }

    /// Not a token, for a reason worth telling.
    pub(crate) const fn malformed(sentence: &'static str) -> Self {
        Self {
            code: DenialCode::MalformedCredential,
            sentence: Some(sentence),
        }
    }
}

impl From<DenialCode> for Refusal {
    fn from(code: DenialCode) -> Self {
        Self {
            code,
            sentence: None,
        }
    }
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        match refusal.sentence {
            Some(sentence) => Self::with(refusal.code, sentence),
            None => Self::new(refusal.code),
        }
    }
}
