//! Budgets as the writer takes them over and changes them: table, terms and ledger together.

use sekisho_domain::{Budget, UnixMillis};
use sqlx::AnyConnection;

use super::room::is_full;
use super::{Core, Poison, begin, commit};
use crate::events::Author;
use crate::ledger::{Ledger, terms};
use crate::log::tables;
use crate::store::StoreError;
use crate::store::budgets::{self, Origin, StoredBudget};
use crate::writer::StartError;
use crate::writer::orders::{BudgetOrder, BudgetOutcome};

/// Takes over what the policy file says, and puts all that is in force into the ledger, which
/// has none yet. `size`: of the log.
pub(super) async fn take_over(
    connection: &mut AnyConnection,
    ledger: &mut Ledger,
    file: &[Budget],
    size: u64,
    now: UnixMillis,
) -> Result<(), StartError> {
    let counted = terms::open(connection).await?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|_| StartError::Random)?;
    let mut author = Author::program(budgets::THE_FILE, now, seed);
    let seeded = budgets::seed(connection, file, &counted, &mut author, size == 0).await;
    seeded.map_err(StartError::Budgets)?;
    let in_force = budgets::in_force(connection).await;
    let in_force: Vec<Budget> = in_force
        .map_err(StartError::Budgets)?
        .into_iter()
        .map(|stored| stored.budget)
        .collect();
    terms::save(connection, &in_force, size).await?;
    for budget in in_force {
        ledger.put(budget);
    }
    Ok(())
}

impl Core {
    /// Carries an order out: it is durable, and in force for whoever asks for leases, when
    /// this returns.
    pub(in crate::writer) async fn change_budget(
        &mut self,
        mut order: BudgetOrder,
        now: UnixMillis,
    ) -> Result<BudgetOutcome, Poison> {
        match self.try_to_change(&mut order, now).await {
            Err(Poison::Database(error)) if is_full(&error) && self.make_room() => {
                // There may be no transaction any more.
                let rollback = sqlx::raw_sql("ROLLBACK").execute(&mut self.connection);
                let _ = rollback.await;
                self.try_to_change(&mut order, now).await
            }
            outcome => outcome,
        }
    }

    async fn try_to_change(
        &mut self,
        order: &mut BudgetOrder,
        now: UnixMillis,
    ) -> Result<BudgetOutcome, Poison> {
        let former = stored(budgets::find_on(&mut self.connection, &order.id).await)?;
        let current = former.as_ref().filter(|former| !former.removed);
        if !(order.condition)(current.map(|current| current.version)) {
            return Ok(BudgetOutcome::Condition);
        }
        let changed = match (&order.wanted, current) {
            (Some(wanted), _) => StoredBudget::changed(former.as_ref(), wanted, Origin::Api),
            (None, Some(current)) => Some(current.without(Origin::Api)),
            (None, None) => return Ok(BudgetOutcome::Unknown),
        };
        let Some(changed) = changed else {
            // Nothing is different, so there is one.
            return Ok(former.map_or(BudgetOutcome::Unknown, BudgetOutcome::Changed));
        };
        begin(&mut self.connection, self.dialect).await?;
        if tables::touch(&mut self.connection, self.epoch).await? != 1 {
            return Err(Poison::TakenOver);
        }
        let saved = budgets::save(
            &mut self.connection,
            former.as_ref(),
            changed,
            &order.author,
        );
        let changed = stored(saved.await)?;
        let told = budgets::tell(
            &mut self.connection,
            former.as_ref(),
            &changed,
            &mut order.author,
        );
        stored(told.await)?;
        let (connection, size) = (&mut self.connection, self.tree.size());
        if let Some(current) = current
            && (changed.removed || current.budget.id != changed.budget.id)
        {
            terms::end(connection, current.budget.id.as_str(), size).await?;
        }
        if !changed.removed {
            terms::begin(connection, &changed.budget, size).await?;
        }
        commit(connection).await?;
        self.put_into_force(current, &changed, now);
        Ok(match (current, changed.removed) {
            (_, true) => BudgetOutcome::Removed(changed),
            (None, false) => BudgetOutcome::Created(changed),
            (Some(_), false) => BudgetOutcome::Changed(changed),
        })
    }

    fn put_into_force(
        &mut self,
        former: Option<&StoredBudget>,
        changed: &StoredBudget,
        now: UnixMillis,
    ) {
        if let Some(former) = former
            && (changed.removed || former.budget.id != changed.budget.id)
        {
            self.ledger.remove(former.budget.id.as_str());
        }
        if !changed.removed {
            let index = self.ledger.put(changed.budget.clone());
            self.desk.recall_all(&self.ledger, index, now);
            self.push();
        }
    }
}

fn stored<T>(result: Result<T, StoreError>) -> Result<T, Poison> {
    result.map_err(|error| match error {
        StoreError::Database(error) => Poison::Database(error),
        other => Poison::Database(sqlx::Error::Protocol(other.to_string())),
    })
}
