//! What the policy file says about budgets, at each start.

use std::collections::{BTreeMap, HashSet};

use sekisho_domain::{Budget, UnixMillis};
use sqlx::AnyConnection;

use super::{Origin, StoredBudget, save};
use crate::store::StoreError;

/// Who changes a budget when the policy file does.
const THE_FILE: &str = "policy file";

/// Takes over what the policy file says, within a transaction. What was set or removed over
/// the REST API stays as it is. `counted`: what budgets counted before there was this table.
pub(crate) async fn seed(
    connection: &mut AnyConnection,
    file: &[Budget],
    counted: &BTreeMap<String, Budget>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let rows = sqlx::query("SELECT * FROM budgets")
        .fetch_all(&mut *connection)
        .await?;
    let mut stored = BTreeMap::new();
    for row in &rows {
        let budget = StoredBudget::read(row)?;
        stored.insert(budget.budget.id.plain().to_owned(), budget);
    }
    for wanted in file {
        let former = stored.get(wanted.id.plain());
        if let Some(former) = former.filter(|former| former.origin == Origin::Api) {
            let is_same = !former.removed
                && former.budget.counts_like(wanted)
                && former.budget.limit == wanted.limit;
            if !is_same {
                tracing::warn!(
                    budget = wanted.id.plain(),
                    removed = former.removed,
                    "what was set over the REST API is in force, not what the policy file says"
                );
            }
            continue;
        }
        let Some(mut changed) = StoredBudget::changed(former, wanted, Origin::File) else {
            continue;
        };
        let before = counted.get(wanted.id.plain());
        if former.is_none() && before.is_some_and(|before| !before.counts_like(wanted)) {
            changed.generation = 2;
            changed.budget.id = sekisho_domain::BudgetId::counter(wanted.id.plain(), 2);
        }
        save(connection, former, changed, THE_FILE, now).await?;
    }
    let named: HashSet<&str> = file.iter().map(|budget| budget.id.plain()).collect();
    for (id, former) in &stored {
        if former.origin == Origin::File && !former.removed && !named.contains(id.as_str()) {
            let gone = former.without(Origin::File);
            save(connection, Some(former), gone, THE_FILE, now).await?;
        }
    }
    Ok(())
}
