use sekisho_domain::Micros;
use serde::Serialize;
use utoipa::ToSchema;

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Money {
    /// Plain decimal with at most six fraction digits.
    #[schema(example = "12.345")]
    amount: String,
    /// ISO 4217 code.
    #[schema(example = "JPY")]
    currency: String,
}

impl Money {
    pub(super) fn new(amount: Micros, currency: &str) -> Self {
        Self {
            amount: amount.to_string(),
            currency: currency.to_owned(),
        }
    }
}
