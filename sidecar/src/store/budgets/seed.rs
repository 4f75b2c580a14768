//! What the policy file says about budgets, at each start.

use std::collections::{BTreeMap, HashSet};

use sekisho_domain::Budget;
use sqlx::AnyConnection;

use super::{Origin, StoredBudget, save, tell};
use crate::events::Author;
use crate::store::StoreError;

/// Who changes a budget when the policy file does.
pub(crate) const THE_FILE: &str = "policy file";

/// Takes over what the policy file says, within a transaction. What was set or removed over
/// the REST API stays as it is. `counted`: what budgets counted before there was this table.
/// `is_first`: the log is empty still; what the first policy brings is told by the policy.
pub(crate) async fn seed(
    connection: &mut AnyConnection,
    file: &[Budget],
    counted: &BTreeMap<String, Budget>,
    author: &mut Author,
    is_first: bool,
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
            let is_same = !former.removed && former.budget.is_as(wanted);
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
        let changed = save(connection, former, changed, author).await?;
        if !is_first {
            tell(connection, former, &changed, author).await?;
        }
    }
    let named: HashSet<&str> = file.iter().map(|budget| budget.id.plain()).collect();
    for (id, former) in &stored {
        if former.origin == Origin::File && !former.removed && !named.contains(id.as_str()) {
            let gone = former.without(Origin::File);
            let gone = save(connection, Some(former), gone, author).await?;
            tell(connection, Some(former), &gone, author).await?;
        }
    }
    Ok(())
}
