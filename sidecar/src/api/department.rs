//! A department as the API shows and takes it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::store::units::Unit;

/// A department.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DepartmentView {
    /// Its code.
    #[schema(example = "sales")]
    id: String,
    /// Its name, as it stands in files of people.
    #[schema(example = "営業部")]
    name: String,
    /// Scopes that its people may use at most; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["text_apis"]))]
    entitlements: Option<Vec<String>>,
    /// Object ids of groups whose members work here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    /// Networks that its people may call from, as CIDR; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    networks: Option<Vec<String>>,
    /// Regions in which its calls may be computed; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    regions: Option<Vec<String>>,
    /// How many people it has.
    people: u64,
    /// Who has the last word about it: `file`, the policy file, or `api`.
    #[schema(example = "file")]
    origin: &'static str,
}

/// What a department is.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DepartmentValues {
    /// Its name, as it stands in files of people.
    #[schema(example = "営業部")]
    name: String,
    /// Scopes that its people may use at most; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["text_apis"]))]
    entitlements: Option<Vec<String>>,
    /// Object ids of groups whose members work here, where neither the directory nor a claim says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    /// Networks that its people may call from, as CIDR; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["192.0.2.0/24"]))]
    networks: Option<Vec<String>>,
    /// Regions in which its calls may be computed; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    regions: Option<Vec<String>>,
}

/// A new department.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDepartment {
    /// Its code: 1 to 64 ASCII letters, digits, `-`, `_`, `.` or `:`.
    #[schema(example = "legal")]
    pub(super) id: String,
    /// Its name, as it stands in files of people.
    #[schema(example = "法務部")]
    name: String,
    /// Scopes that its people may use at most; absent: all.
    #[serde(default)]
    #[schema(example = json!(["text_apis"]))]
    entitlements: Option<Vec<String>>,
    /// Object ids of groups whose members work here.
    #[serde(default)]
    groups: Vec<String>,
    /// Networks that its people may call from, as CIDR; absent: all.
    #[serde(default)]
    networks: Option<Vec<String>>,
    /// Regions in which its calls may be computed; absent: all.
    #[serde(default)]
    regions: Option<Vec<String>>,
}

impl NewDepartment {
    /// Members as in the policy file.
    pub(super) fn definition(self) -> Value {
        let values = DepartmentValues {
            name: self.name,
            entitlements: self.entitlements,
            groups: self.groups,
            networks: self.networks,
            regions: self.regions,
        };
        values.definition(&self.id)
    }
}

impl DepartmentValues {
    /// Members as in the policy file.
    pub(super) fn definition(&self, id: &str) -> Value {
        let mut definition = serde_json::to_value(self).unwrap_or_default();
        if let Value::Object(members) = &mut definition {
            members.insert("id".to_owned(), json!(id));
        }
        definition
    }
}

impl DepartmentView {
    pub(super) fn new(unit: &Unit, people: u64) -> Self {
        let list = |name: &str| {
            let list = unit.definition.get(name).and_then(Value::as_array)?;
            let texts = list.iter().filter_map(Value::as_str).map(str::to_owned);
            Some(texts.collect::<Vec<_>>())
        };
        Self {
            id: unit.id.clone(),
            name: unit.name().to_owned(),
            entitlements: list("entitlements"),
            groups: list("groups").unwrap_or_default(),
            networks: list("networks"),
            regions: list("regions"),
            people,
            origin: unit.origin.as_str(),
        }
    }
}
