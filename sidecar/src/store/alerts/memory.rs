//! What rules remember of subjects: stored in the transaction in which the cursor moves on,
//! so that whoever goes on from there remembers exactly what came before it.

use std::collections::BTreeMap;

use sekisho_domain::UnixMillis;
use sqlx::{AnyConnection, Row as _};

use crate::alerts::alert::{RuleName, Subject};
use crate::alerts::rules::{Place, State};
use crate::store::figures::to_db;
use crate::store::script::{Rows, Script};
use crate::store::{Store, StoreError};

/// Everything.
pub(crate) async fn load(store: &Store) -> Result<BTreeMap<Place, State>, StoreError> {
    let rows = sqlx::query("SELECT * FROM alert_memory").fetch_all(store.pool());
    let mut states = BTreeMap::new();
    for row in rows.await? {
        let (rule, state): (String, String) = (row.try_get("rule")?, row.try_get("state")?);
        let (kind, id): (String, String) = (row.try_get("subject_kind")?, row.try_get("subject")?);
        // What another release remembered is of no use to this one.
        if let (Some(rule), Ok(state)) = (RuleName::parse(&rule), serde_json::from_str(&state)) {
            states.insert((rule, Subject::new(&kind, &id)), state);
        }
    }
    Ok(states)
}

const SAVE: Rows = Rows {
    head: "INSERT INTO alert_memory (rule, subject_kind, subject, state, expires) VALUES",
    columns: 5,
    tail: "ON CONFLICT (rule, subject_kind, subject) \
           DO UPDATE SET state = excluded.state, expires = excluded.expires",
};

pub(crate) async fn save(
    connection: &mut AnyConnection,
    states: Vec<(Place, State)>,
) -> Result<(), StoreError> {
    let states = states.into_iter().map(|((rule, subject), state)| {
        let json = serde_json::to_string(&state);
        json.map(|json| (rule, subject, json, state.expires()))
    });
    let states: Result<Vec<_>, _> = states.collect();
    let states = states.map_err(|error| sqlx::Error::Encode(error.into()))?;
    let mut script = Script::default();
    // Many at a time: while this transaction lasts no record becomes durable.
    script.write(SAVE, states, |(rule, subject, json, expires)| {
        [
            rule.as_str().to_owned().into(),
            subject.kind.into(),
            subject.id.into(),
            json.into(),
            to_db(expires.0).into(),
        ]
    });
    script.run(connection).await?;
    Ok(())
}

pub(crate) async fn forget(
    connection: &mut AnyConnection,
    now: UnixMillis,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM alert_memory WHERE expires <= $1")
        .bind(to_db(now.0))
        .execute(connection)
        .await?;
    Ok(())
}
