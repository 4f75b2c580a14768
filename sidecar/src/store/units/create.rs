//! Departments and titles that files of people name and nobody has set up.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::AnyConnection;

use super::{Kind, Origin, Unit, Units, all, history, save, tell};
use crate::events::{Author, digest};
use crate::store::StoreError;

/// Most bytes of a code.
const MOST_CODE: usize = 64;

/// A department or a title that is to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NewUnit {
    /// What it is.
    pub kind: Kind,
    /// Its code.
    pub id: String,
    /// Its name.
    pub name: String,
}

impl NewUnit {
    /// The one that a file calls so: by what is a code that is its code as well, otherwise the code
    /// follows from the name.
    #[must_use]
    pub fn named(kind: Kind, name: &str) -> Self {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        let is_code = (1..=MOST_CODE).contains(&name.len()) && name.bytes().all(is_plain);
        let id = if is_code {
            name.to_owned()
        } else {
            let digest = digest(name.as_bytes());
            format!("{}-{}", kind.as_str(), digest.get(..12).unwrap_or_default())
        };
        Self {
            kind,
            id,
            name: name.to_owned(),
        }
    }
}

/// Creates those of these that are not there, within a transaction that has taken its turn with
/// `version`; all that are in force then, or `None`: nothing was created. What is created grants
/// nothing.
///
/// # Errors
/// [`StoreError`].
pub async fn create_in(
    connection: &mut AnyConnection,
    version: i64,
    wanted: &[NewUnit],
    author: &mut Author,
) -> Result<Option<Units>, StoreError> {
    if wanted.is_empty() {
        return Ok(None);
    }
    let stored = all(connection).await?;
    let mut place = stored.iter().map(|unit| unit.place + 1).max().unwrap_or(0);
    let mut units = Units::new(stored.clone());
    let mut is_same = true;
    for new in wanted {
        let of_kind = units.of(new.kind);
        if of_kind
            .iter()
            .any(|unit| unit.id == new.id || unit.name() == new.name)
        {
            continue;
        }
        let former = stored
            .iter()
            .find(|unit| unit.kind == new.kind && unit.id == new.id);
        let unit = Unit {
            kind: new.kind,
            id: new.id.clone(),
            place: former.map_or(place, |former| former.place),
            definition: json!({"id": new.id, "name": new.name, "entitlements": []}),
            origin: Origin::Api,
            removed: false,
            version,
        };
        place += 1;
        save(connection, &unit).await?;
        history::note(connection, None, &unit, author).await?;
        tell(connection, None, &unit, author).await?;
        units = units.with(&unit);
        is_same = false;
    }
    Ok((!is_same).then_some(units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_stays_and_a_name_gets_one_that_follows_from_it() {
        let id = |name: &str| NewUnit::named(Kind::Department, name).id;
        assert_eq!(id("legal"), "legal");
        assert_eq!(id("法務部"), id("法務部"));
        assert_ne!(id("法務部"), id("総務部"));
        assert!(id("法務部").starts_with("department-"), "{}", id("法務部"));
        assert!(id(&"x".repeat(65)).len() <= MOST_CODE);
    }
}
