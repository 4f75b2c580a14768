//! What became of a job, as a CSV file.

use std::collections::HashMap;

use super::jobs;
use super::notices::by_mail;
use crate::mail::outbox::{self, Entry, State};
use crate::people::csv::RowProblem;
use crate::people::formula;
use crate::store::{Store, StoreError};

const COLUMNS: [&str; 10] = [
    "row",
    "user_id",
    "action",
    "changes",
    "result",
    "object_id",
    "note",
    "mail_to",
    "mail_state",
    "mail_reason",
];

/// Mails of a job, by task.
///
/// # Errors
/// [`StoreError`].
pub async fn mails(store: &Store, job: &str) -> Result<HashMap<i64, Vec<Entry>>, StoreError> {
    let mut mails: HashMap<i64, Vec<Entry>> = HashMap::new();
    for (name, entry) in outbox::family(store, &by_mail::names_of_job(job)).await? {
        if let Some(task) = by_mail::task_of(&name) {
            mails.entry(task).or_default().push(entry);
        }
    }
    Ok(mails)
}

/// All tasks of a job. Nothing in it is what somebody wrote but ids and addresses, which are plain.
///
/// # Errors
/// [`StoreError`].
pub async fn results(store: &Store, job: &str) -> Result<Vec<u8>, StoreError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(unwritten)?;
    let mails = mails(store, job).await?;
    let mut after = 0;
    loop {
        let tasks = jobs::tasks(store, job, after, 1000).await?;
        let Some(last) = tasks.last() else { break };
        after = last.number;
        for task in tasks {
            let row = line(task.line);
            let (action, result) = (task.deed.as_str(), task.state.as_str());
            let about = mails.get(&task.number).map_or(&[][..], Vec::as_slice);
            let [to, state, reason] = summary(about);
            let values = [
                row.as_str(),
                task.person.as_str(),
                action,
                &task.changes,
                result,
                &task.object_id,
                &task.note,
                to,
                state,
                reason,
            ];
            writer.write_record(values).map_err(unwritten)?;
        }
    }
    let whole = writer.into_inner();
    whole.map_err(|error| unwritten(error.into_error().into()))
}

/// Everything that is wrong with a file. Values are masked; what spreadsheets would run is made text.
///
/// # Errors
/// It cannot be written; memory can always be.
pub(super) fn errors(problems: &[RowProblem]) -> Result<String, StoreError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = ["row", "column", "value", "reason"];
    writer.write_record(header).map_err(unwritten)?;
    for problem in problems {
        let row = line(problem.line);
        let value = problem.value.as_deref().map(formula::neutral);
        let values = [
            row.as_str(),
            problem.column.unwrap_or_default(),
            value.as_deref().unwrap_or_default(),
            &problem.reason,
        ];
        writer.write_record(values).map_err(unwritten)?;
    }
    let whole = writer.into_inner();
    let whole = whole.map_err(|error| unwritten(error.into_error().into()))?;
    Ok(String::from_utf8_lossy(&whole).into_owned())
}

/// Address, state and reason of the one among these mails that matters: the first that did not
/// arrive, or the last.
fn summary(all: &[Entry]) -> [&str; 3] {
    let missing = all.iter().find(|mail| mail.life.state != State::Sent);
    match missing.or(all.last()) {
        None => ["", "", ""],
        Some(mail) => [
            mail.to.plain(),
            mail.life.state.as_str(),
            mail.life.trouble.as_deref().unwrap_or_default(),
        ],
    }
}

/// 0: none.
fn line(number: u64) -> String {
    if number > 0 {
        number.to_string()
    } else {
        String::new()
    }
}

fn unwritten(error: csv::Error) -> StoreError {
    StoreError::Database(sqlx::Error::Encode(error.into()))
}
