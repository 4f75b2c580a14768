//! Single people, ordered as a row of a file says them.

use super::{Desk, Refused, new_task, order};
use crate::events::Author;
use crate::people::csv::{self, Rules};
use crate::people::plan::{Action, Identities, plan};
use crate::provisioning::jobs::{self, Deed};
use crate::store::{StoreError, people};

impl Desk {
    /// Orders a new person, as a row of a file says it.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn create(
        &self,
        values: &[(&'static str, String)],
        id: String,
        author: &mut Author,
    ) -> Result<(), Refused> {
        let tenant = self.tenant.as_deref().ok_or(Refused::NoTenant)?;
        let row = self.row(values)?;
        let mut transaction = self.store.begin_writing().await?;
        people::next_version(&mut transaction).await?;
        let everybody = people::everybody_in(&mut transaction).await?;
        let plan = plan(&everybody, tenant, vec![row], Identities::WithAccount);
        let planned = plan.people.into_iter().next();
        let Some(planned) = planned else {
            let problems = plan.problems;
            return Err(Refused::Problems { problems, total: 1 });
        };
        if planned.action != Action::Create {
            return Err(Refused::Known);
        }
        let task = new_task(Deed::Create, 0, Vec::new(), &planned.person);
        let job = order(id, task, author);
        jobs::add(&mut transaction, &job).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        self.wake.notify_one();
        Ok(())
    }

    /// One person's values, checked like a row of a file.
    ///
    /// # Errors
    /// [`Refused::Problems`].
    pub fn row(&self, values: &[(&'static str, String)]) -> Result<csv::Row, Refused> {
        let file = csv::single(values);
        let rules = Rules {
            known_titles: self.settings.known_titles,
            ..Rules::default()
        };
        let reading = csv::read(file.as_bytes(), &self.hub.policy(), &rules);
        let problems = reading.problems;
        let row = reading.rows.into_iter().next();
        row.ok_or(Refused::Problems { problems, total: 1 })
    }
}
