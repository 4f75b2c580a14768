//! Bills and budgets, computed from the records and compared with what is stored.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sekisho_domain::RecordId;
use sqlx::{AnyConnection, Row as _};

use super::older::Gone;
use super::{Report, What};
use crate::ledger::Calendar;
use crate::log::entry::Facts;
use crate::store::figures::from_db;
use crate::usage::{Figures, Place, columns, name};

/// Sums over the records.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) open: HashSet<RecordId>,
    /// What cannot be compared: records are gone from which it was computed.
    pub(super) gone: Option<Gone>,
    usage: BTreeMap<Place, Figures>,
    charges: BTreeMap<(String, u64), u64>,
}

impl Books {
    fn place(&mut self, calendar: &Calendar, facts: &Facts) -> &mut Figures {
        let place = Place {
            day: calendar.day(facts.at).to_string(),
            department: facts.department.clone(),
            user: facts.user.clone(),
            api: facts.api.clone(),
            model: facts.model.clone(),
        };
        self.usage.entry(place).or_default()
    }

    pub(super) fn refused(&mut self, calendar: &Calendar, facts: &Facts) {
        self.place(calendar, facts).add(&Figures::refusal());
    }

    pub(super) fn ended(&mut self, calendar: &Calendar, facts: &Facts, figures: &Figures) {
        self.place(calendar, facts).add(figures);
    }

    pub(super) fn charge(&mut self, budget: &str, window_start: u64, amount: u64) {
        let place = (budget.to_owned(), window_start);
        let sum = self.charges.entry(place).or_default();
        *sum = sum.saturating_add(amount);
    }

    /// Compares with the roll-ups and the ledger.
    pub(super) async fn compare(
        mut self,
        connection: &mut AnyConnection,
        report: &mut Report,
    ) -> Result<(), sqlx::Error> {
        self.compare_usage(connection, report).await?;
        self.compare_settled(connection, report).await?;
        let rows = sqlx::query("SELECT record_id FROM ledger_calls");
        let mut known = BTreeSet::new();
        for row in rows.fetch_all(connection).await? {
            let id: Vec<u8> = row.try_get("record_id")?;
            known.extend(RecordId::from_slice(&id));
        }
        let open: BTreeSet<RecordId> = self.open.drain().collect();
        for id in open.symmetric_difference(&known) {
            report.add(None, Some(*id), What::OpenCall);
        }
        Ok(())
    }

    async fn compare_usage(
        &mut self,
        connection: &mut AnyConnection,
        report: &mut Report,
    ) -> Result<(), sqlx::Error> {
        let rows = sqlx::query(concat!(
            "SELECT day, department, user_id, api, model, ",
            columns!(name, ", "),
            " FROM usage_rollups"
        ));
        for row in rows.fetch_all(connection).await? {
            let place = Place {
                day: row.try_get("day")?,
                department: row.try_get("department")?,
                user: row.try_get("user_id")?,
                api: row.try_get("api")?,
                model: row.try_get("model")?,
            };
            let mut expected = self.usage.remove(&place).unwrap_or_default();
            if !Figures::has_kinds(&row)? {
                expected = expected.without_kinds();
            }
            if Figures::read(&row)? != expected && !self.is_day_gone(&place.day) {
                report.add(None, None, What::RollUp(shown(&place)));
            }
        }
        let left = self.usage.keys();
        for place in left.filter(|place| !self.is_day_gone(&place.day)) {
            report.add(None, None, What::RollUp(shown(place)));
        }
        Ok(())
    }

    fn is_day_gone(&self, day: &str) -> bool {
        self.gone
            .as_ref()
            .is_some_and(|gone| day <= gone.day.as_str())
    }

    async fn compare_settled(
        &mut self,
        connection: &mut AnyConnection,
        report: &mut Report,
    ) -> Result<(), sqlx::Error> {
        let gone = self.gone.as_ref().map_or(0, |gone| gone.at);
        let has_gone = self.gone.is_some();
        let mut settled = |budget: String, window_start: u64, stored: u64, expected: u64| {
            // Of what is gone a part may be left.
            let is_part = has_gone && window_start <= gone && stored >= expected;
            if stored != expected && !is_part {
                let what = What::Settled {
                    budget,
                    window_start,
                    stored,
                    expected,
                };
                report.add(None, None, what);
            }
        };
        let rows = sqlx::query("SELECT budget, window_start, settled FROM ledger_windows");
        for row in rows.fetch_all(connection).await? {
            let place: (String, u64) = (
                row.try_get("budget")?,
                from_db(row.try_get("window_start")?),
            );
            let expected = self.charges.remove(&place).unwrap_or(0);
            settled(place.0, place.1, from_db(row.try_get("settled")?), expected);
        }
        for ((budget, start), expected) in std::mem::take(&mut self.charges) {
            settled(budget, start, 0, expected);
        }
        Ok(())
    }
}

fn shown(place: &Place) -> String {
    format!(
        "day {}, department `{}`, user `{}`, API `{}`, model `{}`",
        place.day, place.department, place.user, place.api, place.model
    )
}
