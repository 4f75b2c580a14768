//! An alert as it is shown.

use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::format::language;
use super::moments::shown;
use super::problem::Problem;
use crate::alerts::{RuleName, Severity};
use crate::forward::List;
use crate::report::Language;
use crate::store::alerts::StoredAlert;

/// Something that a rule has found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Alert {
    /// Its id, the same in every message about it.
    #[schema(example = "alert_0f343b0931126a20f133d67c2b018a3b")]
    id: String,
    /// Its place in the order in which alerts were raised.
    seq: u64,
    rule: RuleName,
    severity: Severity,
    /// What was found, in the language of `Accept-Language`.
    text: String,
    subject: AlertSubject,
    /// Of which department, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    department: Option<String>,
    /// When it was found.
    #[schema(example = "2024-10-14T03:12:45Z")]
    at: String,
    /// First moment of the stretch in which it happened.
    window_start: String,
    /// First moment after it.
    window_end: String,
    /// How many calls, or how many percent of a budget.
    count: u64,
    /// What is usual, or the least of what raises an alert.
    against: u64,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The record that raised it.
    #[serde(skip_serializing_if = "Option::is_none")]
    record_id: Option<String>,
    /// Who has taken note of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged: Option<Acknowledged>,
    /// Whether those who are told of alerts have been told; none on a sidecar that stands by.
    deliveries: Vec<AlertDelivery>,
}

/// Whom or what it is about.
#[derive(Debug, Serialize, ToSchema)]
struct AlertSubject {
    /// `user`, `account`, `key`, `address`, `denial`, `budget`, `gateways` or `target`.
    #[schema(example = "user")]
    kind: String,
    /// Which.
    #[schema(example = "E001")]
    id: String,
}

/// Somebody has taken note.
#[derive(Debug, Serialize, ToSchema)]
struct Acknowledged {
    /// When.
    at: String,
    /// Who: tenant and object id.
    by: String,
    /// What he or she has to say about it.
    note: String,
}

/// How it stands with one who is told of alerts.
#[derive(Debug, Serialize, ToSchema)]
struct AlertDelivery {
    /// Section of the policy file, and its name there.
    #[schema(example = "alerts/soc")]
    recipient: String,
    /// `done`: it has taken this alert, or does not want it; `waiting`: it is going to be told;
    /// `failing`: the same, but just now it takes nothing, and `GET /v1/system/health` says why.
    #[schema(example = "done")]
    state: &'static str,
}

/// How alerts are shown to one caller.
pub(super) struct Showing<'a> {
    api: &'a Api,
    language: Language,
}

impl<'a> Showing<'a> {
    pub(super) fn new(api: &'a Api, headers: &HeaderMap) -> Self {
        let language = language(headers);
        Self { api, language }
    }

    pub(super) fn alert(&self, stored: StoredAlert) -> Alert {
        let alert = stored.alert;
        Alert {
            text: alert.sentence(self.language),
            deliveries: self.deliveries(stored.seq),
            id: stored.id,
            seq: stored.seq,
            rule: alert.rule,
            severity: alert.severity,
            subject: AlertSubject {
                kind: alert.subject.kind,
                id: alert.subject.id,
            },
            department: alert.department,
            at: shown(alert.at),
            window_start: shown(alert.window.start),
            window_end: shown(alert.window.end),
            count: alert.count,
            against: alert.against,
            detail: alert.detail,
            record_id: alert.record.map(|id| id.to_string()),
            acknowledged: stored.acknowledged.map(|by| Acknowledged {
                at: shown(by.at),
                by: by.by,
                note: by.note,
            }),
        }
    }

    fn deliveries(&self, seq: u64) -> Vec<AlertDelivery> {
        let standings = self.api.0.standings.get();
        let all = standings
            .map(|standings| standings.all())
            .unwrap_or_default();
        let of_alerts = all.into_iter().filter(|one| one.list == List::Alerts);
        of_alerts
            .map(|one| AlertDelivery {
                state: match (one.next > seq, one.beat.failing) {
                    (true, _) => "done",
                    (false, None) => "waiting",
                    (false, Some(_)) => "failing",
                },
                recipient: one.name,
            })
            .collect()
    }
}

pub(super) fn unknown() -> Problem {
    Problem::not_found("there is no such alert")
}
