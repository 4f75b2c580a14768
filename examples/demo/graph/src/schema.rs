//! What requests are held to: schemas of our own after the published documentation, and Microsoft's
//! published description beside them where somebody has it.

use jsonschema::Validator;
use serde_json::Value;

use crate::description::Description;

/// A body that an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    UserCreate,
    UserUpdate,
    MemberReference,
    AppRoleAssignment,
    Batch,
}

/// The schemas, ready for use.
pub(crate) struct Schemas {
    all: Vec<(Body, Validator)>,
    description: Option<Description>,
}

/// A schema of our own that is none.
#[derive(Debug, thiserror::Error)]
#[error("schema of {body:?}: {why}")]
pub struct SchemaError {
    body: Body,
    why: String,
}

const TEXTS: [(Body, &str); 5] = [
    (
        Body::UserCreate,
        include_str!("../schemas/user-create.json"),
    ),
    (
        Body::UserUpdate,
        include_str!("../schemas/user-update.json"),
    ),
    (
        Body::MemberReference,
        include_str!("../schemas/member-reference.json"),
    ),
    (
        Body::AppRoleAssignment,
        include_str!("../schemas/app-role-assignment.json"),
    ),
    (Body::Batch, include_str!("../schemas/batch.json")),
];

impl Schemas {
    pub(crate) fn new(description: Option<Description>) -> Result<Self, SchemaError> {
        let mut all = Vec::new();
        for (body, text) in TEXTS {
            let wrong = |why: String| SchemaError { body, why };
            let schema = serde_json::from_str::<Value>(text);
            let schema = schema.map_err(|error| wrong(error.to_string()))?;
            let validator = jsonschema::validator_for(&schema);
            all.push((body, validator.map_err(|error| wrong(error.to_string()))?));
        }
        Ok(Self { all, description })
    }

    /// What is wrong with a body; the value itself is not told.
    pub(crate) fn check(&self, body: Body, value: &Value) -> Vec<String> {
        let of = self.all.iter().find(|(of, _)| *of == body);
        let errors = of
            .into_iter()
            .flat_map(|(_, schema)| schema.iter_errors(value));
        errors
            .map(|error| format!("{} breaks {}", error.instance_path(), error.schema_path()))
            .collect()
    }

    pub(crate) const fn description(&self) -> Option<&Description> {
        self.description.as_ref()
    }
}
