//! Reports that are sent by themselves: when a day or a month is over, by mail and into a place for
//! objects.
//!
//! That a report was sent is noted in the transaction that puts its letters into the outbox, and
//! files are written before, each once; so a period is reported once, over restarts and by whichever
//! sidecar is active.

pub mod config;
mod keep;

use std::sync::Arc;

use jiff::civil::Date;
use sekisho_domain::{Policy, UnixMillis};
use serde_json::json;
use sqlx::Row as _;

pub use config::{Form, Schedule};

use super::period::Length;
use super::{Context, Language, Period, Report, gather};
use crate::clock::Clock;
use crate::ledger::Calendar;
use crate::mail::outbox::{self, Order};
use crate::mail::templates::REPORT;
use crate::mail::{self, Letter, Mail, TemplateError};
use crate::objects::{Objects, ObjectsError, environment};
use crate::store::figures::to_db;
use crate::store::{Store, StoreError};

/// Reports of so many periods are made up for after a time in which no sidecar ran.
const MOST_LATE: usize = 31;

/// Which reports were sent; of a schedule that is new, the last period before it.
pub(crate) const DDL: &str = "
CREATE TABLE report_runs (
    name TEXT NOT NULL,
    period TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (name, period)
);
";

/// Why a report cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Where files go.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// The letter.
    #[error("the mail: {0}")]
    Mail(#[from] TemplateError),
    /// It cannot be written.
    #[error("the report cannot be written: {0}")]
    Form(String),
    /// The operating system has no randomness.
    #[error("no random bytes for the id of a mail")]
    Random,
}

impl From<sqlx::Error> for ScheduleError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Sends what is due. For the active sidecar alone.
#[derive(Clone, Debug)]
pub struct Scheduler {
    /// The database.
    pub store: Store,
    /// The policy in force.
    pub policy: Arc<Policy>,
    /// The company's calendar.
    pub calendar: Calendar,
    /// Tells the time.
    pub clock: Clock,
    /// The way of letters.
    pub mail: Option<Mail>,
    /// What is sent.
    pub schedules: Vec<Schedule>,
}

impl Scheduler {
    /// Sends the reports of one schedule that are due; their periods.
    ///
    /// # Errors
    /// [`ScheduleError`]; what was sent before stays sent.
    pub async fn round(&self, schedule: &Schedule) -> Result<Vec<String>, ScheduleError> {
        let now = self.clock.now();
        let today = self.calendar.day(now);
        let last_over = Period::of(schedule.every, today).previous();
        let mut next = match self.last_sent(schedule, today).await? {
            Some(sent) => sent.next(),
            None => {
                // What was over before anybody wanted it is not sent.
                self.note(schedule, last_over, &[], now).await?;
                let (report, first) = (&schedule.name, last_over.next().name());
                tracing::info!(
                    report,
                    first,
                    "a new schedule; its first report is of this period"
                );
                return Ok(Vec::new());
            }
        };
        let mut due = Vec::new();
        while next.days().from <= last_over.days().from && self.is_due(schedule, next, now) {
            due.push(next);
            next = next.next();
        }
        let late = due.len().saturating_sub(MOST_LATE);
        let mut sent = Vec::new();
        for period in due.into_iter().skip(late) {
            self.send(schedule, period, now).await?;
            sent.push(period.name());
        }
        Ok(sent)
    }

    fn is_due(&self, schedule: &Schedule, period: Period, now: UnixMillis) -> bool {
        let (first, local) = (period.next().days().from, self.calendar.local(now));
        local.date() > first || (local.date() == first && local.time() >= schedule.at)
    }

    async fn last_sent(
        &self,
        schedule: &Schedule,
        today: Date,
    ) -> Result<Option<Period>, ScheduleError> {
        let sql = "SELECT period FROM report_runs WHERE name = $1 ORDER BY period DESC LIMIT 1";
        let row = sqlx::query(sql)
            .bind(run_name(schedule))
            .fetch_optional(self.store.pool())
            .await?;
        let period: Option<String> = row.map(|row| row.try_get("period")).transpose()?;
        let read = |text: String| Period::asked(Some(schedule.every), Some(&text), today).ok();
        Ok(period.and_then(read))
    }

    async fn send(
        &self,
        schedule: &Schedule,
        period: Period,
        now: UnixMillis,
    ) -> Result<(), ScheduleError> {
        let context = Context {
            store: &self.store,
            policy: &self.policy,
            calendar: &self.calendar,
            now,
        };
        let report = gather(context, period, schedule.people).await?;
        let language = self.language(schedule);
        if let Some(place) = &schedule.into {
            let objects = Objects::open(place, environment())?;
            for form in &schedule.formats {
                let name = format!("{}/{}.{}", schedule.name, period.name(), form.as_str());
                let content = written(&report, *form, language)?;
                // One that is there was written before this sidecar was active.
                objects.create(&name, content.into()).await?;
            }
        }
        let letters = self.letters(schedule, period, &report, language)?;
        self.note(schedule, period, &letters, now).await
    }

    fn language(&self, schedule: &Schedule) -> mail::Language {
        let of_mail = self.mail.as_ref().map(|mail| mail.settings().language);
        schedule.language.or(of_mail).unwrap_or_default()
    }

    fn letters(
        &self,
        schedule: &Schedule,
        period: Period,
        report: &Report,
        language: mail::Language,
    ) -> Result<Vec<Letter>, ScheduleError> {
        let Some(mail) = self.mail.as_ref().filter(|_| !schedule.to.is_empty()) else {
            return Ok(Vec::new());
        };
        let html = report.html(of_report(language)).map_err(form)?;
        let mut letters = Vec::new();
        for to in &schedule.to {
            let compose = |is_whole: bool| {
                let values = values(report, period, is_whole);
                mail.compose(REPORT, Some(language), to, &values)
            };
            letters.push(match compose(true)?.with_html(html.clone()) {
                Ok(letter) => letter,
                Err(_) => compose(false)?,
            });
        }
        Ok(letters)
    }

    /// Notes that a report was sent, and puts its letters into the outbox, unless it was before.
    async fn note(
        &self,
        schedule: &Schedule,
        period: Period,
        letters: &[Letter],
        at: UnixMillis,
    ) -> Result<(), ScheduleError> {
        let mut transaction = self.store.begin_writing().await?;
        let sql = "INSERT INTO report_runs (name, period, at) VALUES ($1, $2, $3) \
            ON CONFLICT (name, period) DO NOTHING";
        let noted = sqlx::query(sql)
            .bind(run_name(schedule))
            .bind(period.name())
            .bind(to_db(at.0))
            .execute(&mut *transaction)
            .await?;
        if noted.rows_affected() == 1 {
            for letter in letters {
                let mut random = [0; 10];
                getrandom::fill(&mut random).map_err(|_| ScheduleError::Random)?;
                let (name, period) = (run_name(schedule), period.name());
                let order = Order {
                    once: &format!("{REPORT}/{name}/{period}/{}", letter.to.plain()),
                    purpose: REPORT,
                    letter,
                    at,
                    random,
                };
                outbox::put(&mut transaction, &order).await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// One name for days and another for months: periods of both are not compared.
fn run_name(schedule: &Schedule) -> String {
    format!("{}/{}", schedule.every.as_str(), schedule.name)
}

fn written(
    report: &Report,
    wanted: Form,
    language: mail::Language,
) -> Result<Vec<u8>, ScheduleError> {
    Ok(match wanted {
        Form::Json => serde_json::to_vec_pretty(report).map_err(form)?,
        Form::Csv => report.csv().map_err(form)?,
        Form::Html => report.html(of_report(language)).map_err(form)?.into_bytes(),
    })
}

fn form(error: impl std::fmt::Display) -> ScheduleError {
    ScheduleError::Form(error.to_string())
}

const fn of_report(language: mail::Language) -> Language {
    match language {
        mail::Language::Ja => Language::Japanese,
        mail::Language::En => Language::English,
    }
}

fn values(report: &Report, period: Period, is_whole: bool) -> serde_json::Value {
    let total = &report.total;
    json!({
        "length": match period.length() {
            Length::Day => "day",
            Length::Month => "month",
        },
        "period": period.name(),
        "from": report.period.from,
        "to": report.period.to,
        "time_zone": report.period.time_zone,
        "requests": total.requests,
        "refused": total.refused,
        "unknown_ends": report.unknown_ends.count,
        "input_tokens": total.input_tokens,
        "output_tokens": total.output_tokens,
        "cost": total.cost,
        "currency": report.currency,
        "alerts": report.alerts.count,
        "changes": report.changes.count,
        "is_whole": is_whole,
    })
}
