//! Microsoft's published description of Graph (OpenAPI 3.0), where somebody has it: a second
//! opinion on every request.

use jsonschema::Validator;
use serde_json::{Value, json};

/// The description, or a part of it.
#[derive(Debug)]
pub struct Description(Value);

impl Description {
    /// Reads YAML or JSON.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut root: Value = serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?;
        if !root.get("paths").is_some_and(Value::is_object) {
            return Err("it has no `paths`".to_owned());
        }
        if let Some(components) = root.get_mut("components") {
            as_json_schema(components);
        }
        if let Some(paths) = root.get_mut("paths") {
            as_json_schema(paths);
        }
        Ok(Self(root))
    }

    /// What is wrong with a call, or `None` if the description does not have the operation.
    #[must_use]
    pub fn check(
        &self,
        (method, template): (&str, &str),
        options: &[String],
        body: &Value,
    ) -> Option<Vec<String>> {
        let item = self.0.get("paths")?.get(template)?;
        let operation = item.get(method.to_lowercase())?;
        let mut problems = Vec::new();
        let known = self.options(operation);
        for option in options.iter().filter(|option| *option != "$skiptoken") {
            if !known.contains(option) {
                problems.push(format!("query option `{option}` is not described"));
            }
        }
        let schema = operation.pointer("/requestBody/content/application~1json/schema");
        let schema = schema.or_else(|| {
            let reference = operation.pointer("/requestBody/$ref")?.as_str()?;
            let body = self.0.pointer(reference.strip_prefix('#')?)?;
            body.pointer("/content/application~1json/schema")
        });
        match (schema, body.is_null()) {
            (Some(schema), false) => problems.extend(self.validate(schema, body)),
            (None, false) => problems.push("a body is not described".to_owned()),
            (Some(_), true) if operation.pointer("/requestBody/required") == Some(&json!(true)) => {
                problems.push("a body is required".to_owned());
            }
            (_, true) => {}
        }
        Some(problems)
    }

    /// Names of the query options of an operation.
    fn options(&self, operation: &Value) -> Vec<String> {
        let parameters = operation.get("parameters").and_then(Value::as_array);
        let named = parameters.into_iter().flatten().filter_map(|parameter| {
            let parameter = match parameter.get("$ref").and_then(Value::as_str) {
                Some(reference) => self.0.pointer(reference.strip_prefix('#')?)?,
                None => parameter,
            };
            let is_query = parameter.get("in") == Some(&json!("query"));
            let name = parameter.get("name")?.as_str()?;
            is_query.then(|| name.to_owned())
        });
        named.collect()
    }

    fn validate(&self, schema: &Value, body: &Value) -> Vec<String> {
        let document = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema], "components": self.0.get("components"),
        });
        let validator: Validator = match jsonschema::validator_for(&document) {
            Ok(validator) => validator,
            Err(error) => return vec![format!("the description cannot be used: {error}")],
        };
        let errors = validator.iter_errors(body);
        errors
            .map(|error| format!("{} breaks {}", error.instance_path(), error.schema_path()))
            .collect()
    }
}

/// OpenAPI 3.0 has words of its own: `nullable`, and formats that are not text.
fn as_json_schema(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let nullable = members.remove("nullable") == Some(json!(true));
            members.remove("discriminator");
            members.remove("example");
            if nullable && let Some(Value::String(kind)) = members.get("type").cloned() {
                members.insert("type".to_owned(), json!([kind, "null"]));
            }
            members.values_mut().for_each(as_json_schema);
        }
        Value::Array(entries) => entries.iter_mut().for_each(as_json_schema),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r"
paths:
  /users:
    get: {parameters: [{name: $top, in: query}, {$ref: '#/components/parameters/select'}]}
    post: {requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/user'}}}}}
components:
  parameters: {select: {name: $select, in: query}}
  schemas: {user: {type: object, additionalProperties: false, properties: {jobTitle: {type: string, nullable: true}}}}
";

    #[test]
    fn a_call_is_held_to_the_description() {
        let description = Description::read(TEXT).unwrap();
        let wrong = |call, options: &[&str], body: Value| {
            let options: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
            description.check(call, &options, &body).map(|p| p.len())
        };
        assert_eq!(
            wrong(("GET", "/users"), &["$top", "$select"], Value::Null),
            Some(0)
        );
        assert_eq!(wrong(("GET", "/users"), &["$skip"], Value::Null), Some(1));
        let post = ("POST", "/users");
        assert_eq!(wrong(post, &[], json!({"jobTitle": null})), Some(0));
        assert_eq!(wrong(post, &[], json!({"jobTitle": 5})), Some(1));
        assert_eq!(wrong(post, &[], json!({"title": "x"})), Some(1));
        assert_eq!(wrong(post, &[], Value::Null), Some(1));
        assert_eq!(wrong(("GET", "/groups"), &[], Value::Null), None);
    }
}
