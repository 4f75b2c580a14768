//! Reading a file that may be wrong in many places: each misfit is noted, taken out,
//! and reading goes on, so that one run shows them all.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Value, json};
use serde_path_to_error::Segment;

use super::Problem;
use super::raw::RawPolicy;

/// Rounds of mending after which the rest is left unread.
const MOST_PROBLEMS: usize = 100;

/// Names that the file defines, whether or not their definitions are sound, so that one
/// broken definition is not reported again at each of its uses.
#[derive(Debug, Default)]
pub(super) struct Defined {
    pub(super) scopes: HashSet<String>,
    pub(super) upstreams: HashSet<String>,
    pub(super) regions: HashSet<String>,
    pub(super) departments: HashSet<String>,
    pub(super) apis: HashSet<String>,
    pub(super) models: HashSet<String>,
}

impl Defined {
    fn of(file: &Value) -> Self {
        let list = |section: &str, member: &str| -> HashSet<String> {
            let items = file.get(section).and_then(Value::as_array);
            let names = items
                .into_iter()
                .flatten()
                .filter_map(|item| item.get(member)?.as_str());
            names.map(str::to_owned).collect()
        };
        let scopes = file.get("scopes").and_then(Value::as_object);
        let apis = file.get("apis").and_then(Value::as_array);
        let models = apis
            .into_iter()
            .flatten()
            .filter_map(|api| api.get("models")?.as_array())
            .flatten()
            .filter_map(|model| model.get("name")?.as_str());
        Self {
            scopes: scopes.into_iter().flat_map(|s| s.keys().cloned()).collect(),
            upstreams: list("upstreams", "name"),
            regions: list("upstreams", "region"),
            departments: list("departments", "id"),
            apis: list("apis", "name"),
            models: models.map(str::to_owned).collect(),
        }
    }
}

/// What could be read of a file, and what had to be put in its place.
pub(super) struct Reading {
    pub(super) raw: RawPolicy,
    pub(super) defined: Defined,
    /// Places whose value is a stand-in: nothing more is to be said about them.
    pub(super) stand_ins: HashSet<String>,
}

/// Reads the file as far as it can be read; nothing if it is not even an object.
pub(super) fn read(mut file: Value) -> (Option<Reading>, Vec<Problem>) {
    let defined = Defined::of(&file);
    let mut problems = Vec::new();
    let mut mended = Mended::default();
    for _ in 0..MOST_PROBLEMS {
        let error = match try_read(&file) {
            Ok(raw) => {
                let reading = Reading {
                    raw,
                    defined,
                    stand_ins: mended.members,
                };
                return (Some(reading), problems);
            }
            Err(error) => error,
        };
        let place = mended.show(&error.path);
        // A member that is missing only because it was just taken out is no news.
        let missing = error.missing.as_ref().map(|name| join(&place, name));
        if !missing
            .as_ref()
            .is_some_and(|member| mended.members.contains(member))
        {
            let path = if place.is_empty() {
                "(file)".to_owned()
            } else {
                place.clone()
            };
            problems.push(Problem {
                path,
                message: error.message,
            });
        }
        let done = match (error.missing, missing) {
            (Some(name), Some(member)) => mended.fill_in(&mut file, &error.path, &name, member),
            _ => mended.take_out(&mut file, &error.path, place),
        };
        if !done {
            return (None, problems);
        }
    }
    (None, problems)
}

/// Why a file is no policy, as far as the first misfit tells.
struct Misfit {
    message: String,
    path: Vec<Segment>,
    missing: Option<String>,
}

fn try_read(file: &Value) -> Result<RawPolicy, Misfit> {
    serde_path_to_error::deserialize::<_, RawPolicy>(file).map_err(|error| {
        let message = error.inner().to_string();
        let mut path: Vec<Segment> = error.path().iter().cloned().collect();
        if let Some(name) = quoted_after(&message, "unknown field") {
            // The path ends at the object or at the member itself.
            if !matches!(path.last(), Some(Segment::Map { key }) if key == name) {
                path.push(Segment::Map {
                    key: name.to_owned(),
                });
            }
        }
        let missing = quoted_after(&message, "missing field").map(str::to_owned);
        Misfit {
            message,
            path,
            missing,
        }
    })
}

fn quoted_after<'a>(message: &'a str, phrase: &str) -> Option<&'a str> {
    message.strip_prefix(phrase)?.split('`').nth(1)
}

fn join(place: &str, name: &str) -> String {
    if place.is_empty() {
        name.to_owned()
    } else {
        format!("{place}.{name}")
    }
}

fn at<'v>(file: &'v mut Value, path: &[Segment]) -> Option<&'v mut Value> {
    path.iter().try_fold(file, |at, segment| match segment {
        Segment::Seq { index } => at.get_mut(*index),
        Segment::Map { key } => at.get_mut(key.as_str()),
        Segment::Enum { .. } | Segment::Unknown => None,
    })
}

/// What was mended so far.
#[derive(Debug, Default)]
struct Mended {
    members: HashSet<String>,
    /// For each list, the places (as the file counts them) that are gone.
    items: BTreeMap<String, BTreeSet<usize>>,
}

impl Mended {
    /// The path as the file counts it, whatever was taken out before.
    fn show(&self, path: &[Segment]) -> String {
        let mut text = String::new();
        for segment in path {
            match segment {
                Segment::Seq { index } => {
                    let index = self.original(&text, *index);
                    text.push_str(&format!("[{index}]"));
                }
                Segment::Map { key } => text = join(&text, key),
                Segment::Enum { variant } => text = join(&text, variant),
                Segment::Unknown => text.push('?'),
            }
        }
        text
    }

    fn original(&self, list: &str, index: usize) -> usize {
        let mut at = index;
        for gone in self.items.get(list).into_iter().flatten() {
            if *gone <= at {
                at += 1;
            }
        }
        at
    }

    /// Puts some value of a fitting type where a member is missing, so that its
    /// neighbours can be read too.
    fn fill_in(&mut self, file: &mut Value, path: &[Segment], name: &str, place: String) -> bool {
        let fits = |file: &Value| {
            try_read(file).err().is_none_or(|next| {
                let at = self.show(&next.path);
                let misfit = next.missing.map_or(at.clone(), |name| join(&at, &name));
                let inside = misfit.strip_prefix(&place);
                !inside.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            })
        };
        for value in [
            json!([]),
            json!({}),
            json!(1),
            json!("x"),
            // Members with fixed values.
            json!("openai"),
            json!("requests"),
            json!("minute"),
        ] {
            let Some(Value::Object(members)) = at(file, path) else {
                return false;
            };
            members.insert(name.to_owned(), value);
            if fits(file) {
                self.members.insert(place);
                return true;
            }
        }
        false
    }

    fn take_out(&mut self, file: &mut Value, path: &[Segment], place: String) -> bool {
        let Some((last, above)) = path.split_last() else {
            return false;
        };
        match (last, at(file, above)) {
            (Segment::Map { key }, Some(Value::Object(members))) => {
                self.members.insert(place);
                members.remove(key.as_str()).is_some()
            }
            (Segment::Seq { index }, Some(Value::Array(items))) if *index < items.len() => {
                let list = self.show(above);
                let original = self.original(&list, *index);
                items.remove(*index);
                self.items.entry(list).or_default().insert(original)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_true_after_an_item_was_taken_out() {
        let (_, problems) = read(json!({
            "version": 1, "organisation": "x", "time_zone": "Asia/Tokyo", "currency": "JPY",
            "scopes": {}, "issuers": [], "apis": [],
            "departments": [{"id": 1, "name": "a"}, {"id": "b", "nam": "b"}, {"id": "c", "name": "c", "x": 1}],
        }));
        let paths: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "departments[0].id",
                "departments[1].nam",
                "departments[1]",
                "departments[2].x"
            ]
        );
    }

    #[test]
    fn items_that_are_no_objects_do_not_shift_their_neighbours() {
        let (_, problems) = read(json!({
            "version": 1, "organisation": "x", "time_zone": "Asia/Tokyo", "currency": "JPY",
            "scopes": {}, "issuers": [], "apis": [],
            "departments": ["a", 7, {"id": "c", "name": "c", "x": 1}],
        }));
        let paths: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
        assert_eq!(
            paths,
            ["departments[0]", "departments[1]", "departments[2].x"]
        );
    }

    #[test]
    fn missing_sections_are_each_named() {
        let (_, problems) = read(json!({"version": 1}));
        assert_eq!(problems.len(), 6, "{problems:?}");
    }
}
