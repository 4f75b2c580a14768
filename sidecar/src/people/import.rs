//! Importing a CSV file: all rows or none.

use sekisho_domain::UserId;

use super::csv::{Row, RowProblem};
use super::plan::{Action, Identities, plan};
use crate::events::Author;
use crate::store::{Store, StoreError, people};

/// What an import does with one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Was not in the directory.
    Created,
    /// Was there and differed.
    Updated,
    /// Was there just so.
    Unchanged,
}

/// What an import did, in the order of the file.
pub type Imported = Vec<(UserId, Change)>;

/// Puts the rows into the directory of `tenant`, as people who have their accounts already.
/// People who are not in the file stay.
///
/// # Errors
/// [`StoreError`], or inside it every [`RowProblem`]; then nothing is changed.
pub async fn import(
    store: &Store,
    tenant: &str,
    rows: Vec<Row>,
    author: &mut Author,
) -> Result<Result<Imported, Vec<RowProblem>>, StoreError> {
    let tenant = tenant.to_lowercase();
    people::change(store, author, |everybody| {
        let plan = plan(everybody, &tenant, rows, Identities::Embedded);
        if !plan.problems.is_empty() {
            return Err(plan.problems);
        }
        let mut changed = Vec::new();
        let mut imported = Imported::new();
        for planned in plan.people {
            let change = match planned.action {
                Action::Create => Change::Created,
                Action::Unchanged => Change::Unchanged,
                _ => Change::Updated,
            };
            imported.push((planned.person.id.clone(), change));
            if change != Change::Unchanged {
                changed.push(planned.person);
            }
        }
        Ok((changed, imported))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use sekisho_domain::UnixMillis;

    const TENANT: &str = "8f3a1c52-6b7e-4d0f-9a21-5e6c7d8091ab";

    fn row(line: u64, id: &str, email: &str) -> Row {
        Row {
            creates: Vec::new(),
            line,
            id: id.into(),
            name: "Taro".into(),
            email: email.into(),
            department: "sales".into(),
            job_title: String::new(),
            phone: String::new(),
            start: date(2023, 4, 1),
            end: None,
            enabled: true,
            object_id: None,
        }
    }

    fn author() -> Author {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).unwrap();
        Author::program("test", UnixMillis(1_000), seed)
    }

    async fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("d.db").display());
        let store = Store::open(&url).await.unwrap();
        (dir, store)
    }

    fn changes(imported: &Imported) -> Vec<(&str, Change)> {
        imported
            .iter()
            .map(|(id, change)| (id.as_str(), *change))
            .collect()
    }

    #[tokio::test]
    async fn a_second_import_of_the_same_file_changes_nothing() {
        let (_dir, store) = store().await;
        let file = || vec![row(2, "001", "a@x.example"), row(3, "002", "b@x.example")];
        let first = import(&store, TENANT, file(), &mut author())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            changes(&first),
            [("001", Change::Created), ("002", Change::Created)]
        );
        let version = people::version(&store).await.unwrap();
        let second = import(&store, TENANT, file(), &mut author())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            changes(&second),
            [("001", Change::Unchanged), ("002", Change::Unchanged)]
        );
        assert_eq!(people::version(&store).await.unwrap(), version);
    }

    #[tokio::test]
    async fn a_new_address_keeps_the_identity_and_a_suspension_survives() {
        let (_dir, store) = store().await;
        import(
            &store,
            TENANT,
            vec![row(2, "001", "a@x.example")],
            &mut author(),
        )
        .await
        .unwrap()
        .unwrap();
        let before = people::suspend(&store, "001", true, &mut author(), None)
            .await
            .unwrap()
            .unwrap();
        let seen = people::version(&store).await.unwrap();
        let done = import(
            &store,
            TENANT,
            vec![row(2, "001", "new@x.example")],
            &mut author(),
        )
        .await
        .unwrap();
        assert_eq!(changes(&done.unwrap()), [("001", Change::Updated)]);
        let changed = people::changed_after(&store, seen).await.unwrap();
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0].object_id, before.object_id);
        assert_eq!(changed[0].email, "new@x.example");
        assert!(changed[0].suspended);
    }

    #[tokio::test]
    async fn an_address_of_somebody_else_stops_the_whole_import() {
        let (_dir, store) = store().await;
        import(
            &store,
            TENANT,
            vec![row(2, "001", "a@x.example")],
            &mut author(),
        )
        .await
        .unwrap()
        .unwrap();
        let file = vec![row(2, "002", "b@x.example"), row(3, "003", "a@x.example")];
        let problems = import(&store, TENANT, file, &mut author())
            .await
            .unwrap()
            .unwrap_err();
        assert!(
            problems.iter().all(|problem| problem.line == 3),
            "{problems:?}"
        );
        assert_eq!(people::changed_after(&store, -1).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn without_a_uuid_for_tenant_the_file_must_give_object_ids() {
        let (_dir, store) = store().await;
        let problems = import(
            &store,
            "contoso",
            vec![row(2, "001", "a@x.example")],
            &mut author(),
        )
        .await
        .unwrap();
        assert_eq!(problems.unwrap_err()[0].column, Some("object_id"));
        let given = Row {
            object_id: Some("o".into()),
            ..row(2, "001", "a@x.example")
        };
        import(&store, "contoso", vec![given], &mut author())
            .await
            .unwrap()
            .unwrap();
    }
}
