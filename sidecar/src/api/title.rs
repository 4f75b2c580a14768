//! A title as the API shows and takes it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::store::units::Unit;

/// A title.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TitleView {
    /// Its code.
    #[schema(example = "manager")]
    id: String,
    /// Its name, as it stands in files of people.
    #[schema(example = "課長")]
    name: String,
    /// Scopes that its people may use at most.
    #[schema(example = json!(["text_apis"]))]
    entitlements: Vec<String>,
    /// How many people have it.
    people: u64,
    /// Who has the last word about it: `file`, the policy file, or `api`.
    #[schema(example = "file")]
    origin: &'static str,
}

/// What a title is.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TitleValues {
    /// Its name, as it stands in files of people.
    #[schema(example = "課長")]
    name: String,
    /// Scopes that its people may use at most.
    #[schema(example = json!(["text_apis"]))]
    entitlements: Vec<String>,
}

/// A new title.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTitle {
    /// Its code: 1 to 64 ASCII letters, digits, `-`, `_`, `.` or `:`.
    #[schema(example = "trainee")]
    pub(super) id: String,
    /// Its name, as it stands in files of people.
    #[schema(example = "見習い")]
    name: String,
    /// Scopes that its people may use at most.
    #[schema(example = json!(["text_apis"]))]
    entitlements: Vec<String>,
}

impl NewTitle {
    /// Members as in the policy file.
    pub(super) fn definition(self) -> Value {
        json!({"id": self.id, "name": self.name, "entitlements": self.entitlements})
    }
}

impl TitleValues {
    /// Members as in the policy file.
    pub(super) fn definition(&self, id: &str) -> Value {
        json!({"id": id, "name": self.name, "entitlements": self.entitlements})
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl TitleView {
    pub(super) fn new(unit: &Unit, people: u64) -> Self {
        let list = unit
            .definition
            .get("entitlements")
            .and_then(Value::as_array);
        let texts = list.into_iter().flatten().filter_map(Value::as_str);
        Self {
            id: unit.id.clone(),
            name: unit.name().to_owned(),
            entitlements: texts.map(str::to_owned).collect(),
            people,
            origin: unit.origin.as_str(),
        }
    }
}
