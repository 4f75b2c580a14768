//! Importing a CSV file: all rows or none.

use std::collections::HashMap;

use sekisho_domain::{UnixMillis, UserId};

use super::csv::{Row, RowProblem, masked};
use super::{Person, embedded_object_id};
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

/// Puts the rows into the directory of `tenant`. People who are not in the file stay.
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
    people::change(store, author, |everybody| plan(everybody, &tenant, rows)).await
}

fn plan(
    everybody: &[Person],
    tenant: &str,
    rows: Vec<Row>,
) -> Result<(Vec<Person>, Imported), Vec<RowProblem>> {
    let known: HashMap<&str, &Person> = everybody.iter().map(|p| (p.id.as_str(), p)).collect();
    let mut problems = Vec::new();
    let mut after: HashMap<String, Person> = HashMap::new();
    let mut imported = Imported::new();
    let mut changed = Vec::new();
    let mut lines = HashMap::new();
    for row in rows {
        let line = row.line;
        let known = known.get(row.id.as_str()).copied();
        let Some(person) = person(row, tenant, known) else {
            problems.push(RowProblem {
                line,
                column: Some("object_id"),
                message: format!(
                    "is needed, because the tenant {} is not a UUID from which one could follow",
                    masked(tenant)
                ),
            });
            continue;
        };
        let change = match known {
            None => Change::Created,
            Some(known) if *known == person => Change::Unchanged,
            Some(_) => Change::Updated,
        };
        imported.push((person.id.clone(), change));
        if change != Change::Unchanged {
            changed.push(person.clone());
        }
        lines.insert(person.id.0.clone(), line);
        after.insert(person.id.0.clone(), person);
    }
    problems.extend(taken(everybody, &after, &lines));
    if problems.is_empty() {
        Ok((changed, imported))
    } else {
        problems.sort_by_key(|problem| problem.line);
        Err(problems)
    }
}

fn person(row: Row, tenant: &str, known: Option<&Person>) -> Option<Person> {
    // An identity once given stays, also when the address changes.
    let object_id = row
        .object_id
        .or_else(|| known.map(|known| known.object_id.clone()))
        .or_else(|| embedded_object_id(tenant, &row.email))?;
    Some(Person {
        id: UserId(row.id),
        tenant: tenant.to_owned(),
        object_id,
        name: row.name,
        email: row.email,
        department: row.department,
        job_title: row.job_title,
        phone: row.phone,
        start: row.start,
        end: row.end,
        enabled: row.enabled,
        suspended: known.is_some_and(|known| known.suspended),
        tokens_valid_from: known.map_or(UnixMillis(0), |known| known.tokens_valid_from),
    })
}

/// Addresses and identities that belong to somebody else once the import is done.
fn taken(
    everybody: &[Person],
    after: &HashMap<String, Person>,
    lines: &HashMap<String, u64>,
) -> Vec<RowProblem> {
    type Unique = fn(&Person) -> &str;
    let columns: [(&'static str, Unique); 2] = [
        ("email", |person| &person.email),
        ("object_id", |person| &person.object_id),
    ];
    let stay = everybody
        .iter()
        .filter(|person| !after.contains_key(person.id.as_str()));
    let mut everybody: Vec<&Person> = stay.chain(after.values()).collect();
    // Those who stay keep what they have; among rows, the earlier one does.
    everybody.sort_by_key(|person| lines.get(person.id.as_str()).copied().unwrap_or(0));
    let mut problems = Vec::new();
    for (column, value) in columns {
        let mut owners: HashMap<&str, &str> = HashMap::new();
        for person in &everybody {
            let owner = *owners.entry(value(person)).or_insert(person.id.as_str());
            if let (true, Some(line)) = (owner != person.id.as_str(), lines.get(person.id.as_str()))
            {
                problems.push(RowProblem {
                    line: *line,
                    column: Some(column),
                    message: format!(
                        "{} belongs to user {} already",
                        masked(value(person)),
                        masked(owner)
                    ),
                });
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    const TENANT: &str = "8f3a1c52-6b7e-4d0f-9a21-5e6c7d8091ab";

    fn row(line: u64, id: &str, email: &str) -> Row {
        Row {
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
        let before = people::suspend(&store, "001", true, &mut author())
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
