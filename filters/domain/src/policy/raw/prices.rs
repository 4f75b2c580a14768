//! What models cost.

use serde::{Deserialize, Serialize};

/// A price of a model.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawPrice {
    /// The model, by its price name.
    pub model: String,
    /// First day of validity: `YYYY-MM-DD`, from midnight in the company's time zone.
    pub from: String,
    /// That midnight in Unix milliseconds. The sidecar, which knows the rules of time
    /// zones, fills it in before it hands the policy to filters; without it: midnight UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_unix_millis: Option<u64>,
    /// Per million input tokens.
    pub input_per_million: Amount,
    /// Per million output tokens.
    pub output_per_million: Amount,
    /// Per million input tokens that the provider reads from its prompt cache; default: as other input.
    #[serde(default)]
    pub cached_input_per_million: Option<Amount>,
    /// Per million input tokens that the provider writes to its prompt cache; default: as other input.
    #[serde(default)]
    pub cache_write_per_million: Option<Amount>,
    /// Per million input tokens of sound; default: as other input.
    #[serde(default)]
    pub audio_input_per_million: Option<Amount>,
    /// Per million input tokens of pictures; default: as other input.
    #[serde(default)]
    pub image_input_per_million: Option<Amount>,
    /// Per million output tokens of sound; default: as other output.
    #[serde(default)]
    pub audio_output_per_million: Option<Amount>,
    /// Per million output tokens of pictures; default: as other output.
    #[serde(default)]
    pub image_output_per_million: Option<Amount>,
    /// Per call, whatever it used.
    #[serde(default)]
    pub per_request: Option<Amount>,
}

/// A whole number, or a decimal in quotes (`"0.375"`): never a floating-point number.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(
    untagged,
    expecting = "must be a whole number that is not negative, or a decimal in quotes such as `\"0.375\"`"
)]
pub enum Amount {
    /// Whole.
    Whole(u64),
    /// Decimal text.
    Decimal(String),
}
