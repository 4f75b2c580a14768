use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::extract::Query;
use super::format::{accepted, language};
use super::problem::Problem;
use crate::report::{self, Context, Language, Period, Report, period};

/// Which days.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// `day` or `month` of the company's calendar; default: whichever `date` is.
    #[param(example = "month")]
    period: Option<ReportLength>,
    /// The day as `2026-11-29`, or the month as `2026-11`; default: today, or this month.
    #[param(example = "2024-10")]
    date: Option<String>,
    /// How many people are shown one by one, those who cost most first: 0 to 1000; default: 20.
    #[param(maximum = 1000)]
    people: Option<u32>,
    /// `json`, `csv` or `html`; default: what `Accept` asks for.
    format: Option<ReportFormat>,
    /// Of HTML: `en` or `ja`; default: what `Accept-Language` asks for.
    #[param(example = "ja")]
    language: Option<String>,
}

/// How long it is.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReportLength {
    Day,
    Month,
}

/// In which form.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReportFormat {
    /// One object.
    Json,
    /// A line each.
    Csv,
    /// A page that can be printed.
    Html,
}

const FORMATS: [(&str, ReportFormat); 3] = [
    ("application/json", ReportFormat::Json),
    ("text/csv", ReportFormat::Csv),
    ("text/html", ReportFormat::Html),
];

/// The page loads nothing, sends nothing, and is nobody's frame.
const HTML_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Report a day or a month
///
/// Usage and cost, refusals, unknown ends and changes. Usage and cost are the sums from which
/// departments are billed.
#[utoipa::path(
    get, path = "/v1/audit/logs/report", operation_id = "reportAuditLog", tag = "audit",
    security(("token" = [])), params(Wanted, ("Accept-Language" = Option<String>, Header, description = "Of HTML: `en` or `ja`")),
    responses(
        (status = 200, content((Report = "application/json"), (String = "text/csv"), (String = "text/html"))),
        (status = 400, description = "The period is none, or has not begun", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Access,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let shared = &api.0;
    let now = shared.clock.now();
    let length = wanted.period.map(|length| match length {
        ReportLength::Day => period::Length::Day,
        ReportLength::Month => period::Length::Month,
    });
    let period = Period::asked(length, wanted.date.as_deref(), shared.calendar.day(now));
    let period = period.map_err(|error| Problem::bad_request(format!("`date` {error}")))?;
    let people = wanted.people.unwrap_or(report::PEOPLE);
    if people > report::MOST_PEOPLE {
        let most = report::MOST_PEOPLE;
        return Err(Problem::bad_request(format!(
            "`people` must be 0 to {most}"
        )));
    }
    let language = spoken(wanted.language.as_deref(), &headers)?;
    let format = wanted.format.or_else(|| accepted(&headers, &FORMATS));
    let policy = shared.hub.policy();
    let context = Context {
        store: &shared.store,
        policy: &policy,
        calendar: &shared.calendar,
        now,
    };
    let report = report::gather(context, period, people).await?;
    let form = format.unwrap_or(ReportFormat::Json);
    let mut response = shown(&report, form, language)?;
    let answer = response.headers_mut();
    let no_store = HeaderValue::from_static("no-store");
    answer.insert(header::CACHE_CONTROL, no_store);
    let vary = HeaderValue::from_static("accept, accept-language");
    answer.insert(header::VARY, vary);
    let name = format!(
        "inline; filename=\"sekisho-report-{period}.{}\"",
        form.suffix()
    );
    if let Ok(name) = HeaderValue::try_from(name) {
        answer.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

impl ReportFormat {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Html => "html",
        }
    }
}

fn spoken(asked: Option<&str>, headers: &HeaderMap) -> Result<Language, Problem> {
    match asked {
        None => Ok(language(headers)),
        Some(tag) => {
            Language::of(tag).ok_or_else(|| Problem::bad_request("`language` must be `en` or `ja`"))
        }
    }
}

fn shown(report: &Report, format: ReportFormat, language: Language) -> Result<Response, Problem> {
    Ok(match format {
        ReportFormat::Json => Json(report).into_response(),
        ReportFormat::Csv => {
            let csv = report.csv().map_err(|error| Problem::internal(&error))?;
            let kind = "text/csv; charset=utf-8; header=present";
            ([(header::CONTENT_TYPE, kind)], csv).into_response()
        }
        ReportFormat::Html => {
            let html = report.html(language);
            let html = html.map_err(|error| Problem::internal(&error))?;
            let headers = [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                (header::CONTENT_LANGUAGE, language.tag()),
                (header::CONTENT_SECURITY_POLICY, HTML_POLICY),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (header::REFERRER_POLICY, "no-referrer"),
            ];
            (headers, html).into_response()
        }
    })
}
