//! What the policy file says about departments and titles, at each start.

use std::collections::HashSet;

use serde_json::Value;
use sqlx::Connection as _;

use super::{Kind, Origin, Unit, Units, all, history, next_version, save, tell};
use crate::events::Author;
use crate::store::{Store, StoreError};

/// Takes over what the policy file says. What was set or removed over the REST API stays as it is.
/// `departments` and `titles`: members as in the file. `check` gets all that would be in force; if
/// it is an error nothing is changed.
///
/// # Errors
/// [`StoreError`]; the error of `check` is inside.
pub async fn seed<E>(
    store: &Store,
    departments: &[Value],
    titles: &[Value],
    author: &mut Author,
    check: impl FnOnce(&Units) -> Result<(), E>,
) -> Result<Result<Units, E>, StoreError> {
    let mut connection = store.pool().acquire().await?;
    let mut transaction = connection
        .begin_with(store.dialect().begin_writing())
        .await?;
    let version = next_version(&mut transaction).await?;
    let mut stored = all(&mut transaction).await?;
    // What the first policy brings is told by the policy.
    let is_first = stored.is_empty();
    let changes = changes(&stored, departments, titles, version);
    for changed in &changes {
        stored.retain(|unit| (unit.kind, &unit.id) != (changed.kind, &changed.id));
        stored.push(changed.clone());
    }
    stored.sort_by(|a, b| (a.place, &a.id).cmp(&(b.place, &b.id)));
    let before = all(&mut transaction).await?;
    let units = Units::new(stored);
    if let Err(refused) = check(&units) {
        transaction.rollback().await?;
        return Ok(Err(refused));
    }
    if changes.is_empty() {
        transaction.rollback().await?;
        return Ok(Ok(units));
    }
    for changed in &changes {
        let former = before
            .iter()
            .find(|unit| (unit.kind, &unit.id) == (changed.kind, &changed.id) && !unit.removed);
        save(&mut transaction, changed).await?;
        history::note(&mut transaction, former, changed, author).await?;
        if !is_first {
            tell(&mut transaction, former, changed, author).await?;
        }
    }
    transaction.commit().await?;
    Ok(Ok(units))
}

/// What the file changes.
fn changes(stored: &[Unit], departments: &[Value], titles: &[Value], version: i64) -> Vec<Unit> {
    let mut changes = Vec::new();
    for (kind, file) in [(Kind::Department, departments), (Kind::Title, titles)] {
        let mut named = HashSet::new();
        for (place, definition) in (0i64..).zip(file) {
            let id = definition.get("id").and_then(Value::as_str);
            let id = id.unwrap_or_default();
            named.insert(id);
            let former = stored
                .iter()
                .find(|unit| unit.kind == kind && unit.id == id);
            if let Some(former) = former.filter(|former| former.origin == Origin::Api) {
                if former.removed || former.definition != *definition {
                    tracing::warn!(
                        kind = kind.as_str(),
                        id,
                        removed = former.removed,
                        "what was set over the REST API is in force, not what the policy file says"
                    );
                }
                continue;
            }
            let wanted = Unit {
                kind,
                id: id.to_owned(),
                place,
                definition: definition.clone(),
                origin: Origin::File,
                removed: false,
                version,
            };
            let is_same = former.is_some_and(|former| {
                (former.place, &former.definition, former.removed)
                    == (wanted.place, &wanted.definition, false)
            });
            if !is_same {
                changes.push(wanted);
            }
        }
        let gone = stored.iter().filter(|unit| {
            unit.kind == kind
                && unit.origin == Origin::File
                && !unit.removed
                && !named.contains(unit.id.as_str())
        });
        changes.extend(gone.map(|unit| Unit {
            removed: true,
            version,
            ..unit.clone()
        }));
    }
    changes
}
