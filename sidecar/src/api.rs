//! The REST API under `/v1`. One endpoint, one file.
//!
//! Callers show an access token of an issuer of the policy; it is checked by the same
//! crate that checks tokens at the gateway. Who may call what stands in one table: [`roles`].
//! Errors are problem details (RFC 9457).

mod access;
mod alert;
mod alert_acknowledge;
mod alert_get;
mod alert_list;
mod amounts;
mod apikey;
mod apikey_amend;
mod apikey_get;
mod apikey_issue;
mod apikey_list;
mod apikey_revoke;
mod apikey_rotate;
mod apikey_usage;
mod audit_contents;
mod audit_report;
mod audit_search;
mod audit_tell;
mod authentication;
mod budget;
mod budget_events;
mod budget_get;
mod budget_history;
mod budget_list;
mod budget_put;
mod budget_remove;
mod common_answers;
mod department;
mod department_create;
mod department_get;
mod department_history;
mod department_list;
mod department_member_put;
mod department_members;
mod department_put;
mod department_remove;
mod department_usage;
mod dependency;
mod email;
mod email_list;
mod email_retry;
mod email_send;
mod etag;
mod extract;
mod format;
mod graph_problem;
mod group_list;
mod group_member;
mod group_member_add;
mod group_member_remove;
mod health;
mod idempotency;
mod moments;
mod money;
mod notice;
mod notice_page;
mod notice_reveal;
mod page;
mod problem;
mod provisioning;
mod provisioning_job;
mod provisioning_job_apply;
mod provisioning_job_cancel;
mod provisioning_job_retry;
mod provisioning_job_tasks;
mod provisioning_jobs;
mod push;
mod push_key;
mod push_list;
mod push_retry;
mod push_send;
mod push_subscription;
mod push_subscription_add;
mod push_subscription_list;
mod push_subscription_remove;
mod recording;
mod retry;
pub mod roles;
mod settings;
mod settings_get;
mod settings_history;
mod settings_put;
mod standby;
mod state;
mod sync_start;
mod sync_status;
mod title;
mod title_create;
mod title_get;
mod title_history;
mod title_list;
mod title_member_put;
mod title_member_remove;
mod title_members;
mod title_put;
mod title_remove;
mod units;
mod usage_summary;
mod user;
mod user_create;
mod user_disable;
mod user_enable;
mod user_get;
mod user_me;
mod user_password_reset;
mod user_put;
mod user_remove;
mod user_sessions_revoke;
mod user_unlock;
mod user_usage;
mod users;
mod users_csv_download;
mod users_csv_upload;
mod users_sync_status;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{delete, get, post, put};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use crate::people::sealed;
use problem::Problem;
use state::Shared;
pub use state::{Api, Role};

/// Largest request body, bytes.
const MOST_BYTES: usize = 64 * 1024;

/// All endpoints.
pub fn router(api: Api) -> Router {
    Router::new()
        .route(
            "/",
            get(|| async { Redirect::temporary("/v1/openapi.json") }),
        )
        .route("/v1/openapi.json", get(openapi))
        .route("/v1/system/health", get(health::get))
        .route(
            "/v1/system/settings",
            get(settings_get::get).put(settings_put::put),
        )
        .route("/v1/system/settings/history", get(settings_history::get))
        .route(
            "/v1/departments",
            get(department_list::get).post(department_create::post),
        )
        .route(
            "/v1/departments/{departmentId}",
            get(department_get::get)
                .put(department_put::put)
                .delete(department_remove::delete),
        )
        .route(
            "/v1/departments/{departmentId}/history",
            get(department_history::get),
        )
        .route(
            "/v1/departments/{departmentId}/members",
            get(department_members::get),
        )
        .route(
            "/v1/departments/{departmentId}/members/{userId}",
            put(department_member_put::put),
        )
        .route("/v1/titles", get(title_list::get).post(title_create::post))
        .route(
            "/v1/titles/{titleId}",
            get(title_get::get)
                .put(title_put::put)
                .delete(title_remove::delete),
        )
        .route("/v1/titles/{titleId}/history", get(title_history::get))
        .route("/v1/titles/{titleId}/members", get(title_members::get))
        .route(
            "/v1/titles/{titleId}/members/{userId}",
            put(title_member_put::put).delete(title_member_remove::delete),
        )
        .route("/v1/departments/usage/summary", get(usage_summary::get))
        .route(
            "/v1/departments/{departmentId}/usage",
            get(department_usage::get),
        )
        .route("/v1/audit/logs", post(audit_tell::post))
        .route(
            "/v1/audit/logs/{recordId}/contents",
            get(audit_contents::get),
        )
        .route("/v1/audit/logs/report", get(audit_report::get))
        .route("/v1/audit/logs/search", get(audit_search::get))
        .route("/v1/provisioning/jobs", get(provisioning_jobs::get))
        .route("/v1/provisioning/jobs/{jobId}", get(provisioning_job::get))
        .route(
            "/v1/provisioning/jobs/{jobId}/tasks",
            get(provisioning_job_tasks::get),
        )
        .route(
            "/v1/provisioning/jobs/{jobId}/apply",
            post(provisioning_job_apply::post),
        )
        .route(
            "/v1/provisioning/jobs/{jobId}/cancel",
            post(provisioning_job_cancel::post),
        )
        .route(
            "/v1/provisioning/jobs/{jobId}/retry",
            post(provisioning_job_retry::post),
        )
        .route("/v1/users", get(users::get).post(user_create::post))
        .route(
            "/v1/users/csv/upload",
            post(users_csv_upload::post).layer(DefaultBodyLimit::max(sealed::MOST_BYTES)),
        )
        .route("/v1/users/csv/download", get(users_csv_download::get))
        .route("/v1/users/me", get(user_me::get))
        .route("/v1/users/sync/status", get(users_sync_status::get))
        .route(
            "/v1/users/{userId}",
            get(user_get::get)
                .put(user_put::put)
                .delete(user_remove::delete),
        )
        .route("/v1/users/{userId}/usage", get(user_usage::get))
        .route(
            "/v1/users/{userId}/password/reset",
            post(user_password_reset::post),
        )
        .route("/v1/users/{userId}/unlock", post(user_unlock::post))
        .route("/v1/users/{userId}/disable", put(user_disable::put))
        .route("/v1/users/{userId}/enable", put(user_enable::put))
        .route(
            "/v1/users/{userId}/sessions/revoke",
            post(user_sessions_revoke::post),
        )
        .route(
            "/v1/notifications/email",
            get(email_list::get).post(email_send::post),
        )
        .route(
            "/v1/notifications/email/{mailId}/retry",
            post(email_retry::post),
        )
        .route(
            "/v1/notifications/push",
            get(push_list::get).post(push_send::post),
        )
        .route("/v1/notifications/push/key", get(push_key::get))
        .route(
            "/v1/notifications/push/{pushId}/retry",
            post(push_retry::post),
        )
        .route(
            "/v1/users/me/push-subscriptions",
            get(push_subscription_list::get).post(push_subscription_add::post),
        )
        .route(
            "/v1/users/me/push-subscriptions/{subscriptionId}",
            delete(push_subscription_remove::delete),
        )
        .route(
            "/v1/notices/{noticeId}",
            get(notice_page::get).post(notice_reveal::post),
        )
        .route("/v1/azuread/sync/start", post(sync_start::post))
        .route("/v1/azuread/sync/status", get(sync_status::get))
        .route("/v1/azuread/groups", get(group_list::get))
        .route(
            "/v1/azuread/groups/{groupId}/members",
            post(group_member_add::post),
        )
        .route(
            "/v1/azuread/groups/{groupId}/members/{userId}",
            delete(group_member_remove::delete),
        )
        .route(
            "/v1/apikeys",
            get(apikey_list::get).post(apikey_issue::post),
        )
        .route(
            "/v1/apikeys/{apiKey}",
            get(apikey_get::get).patch(apikey_amend::patch),
        )
        .route("/v1/apikeys/{apiKey}/rotate", post(apikey_rotate::post))
        .route("/v1/apikeys/{apiKey}/revoke", put(apikey_revoke::put))
        .route("/v1/apikeys/{apiKey}/usage", get(apikey_usage::get))
        .route("/v1/alerts", get(alert_list::get))
        .route("/v1/alerts/{alertId}", get(alert_get::get))
        .route(
            "/v1/alerts/{alertId}/acknowledge",
            put(alert_acknowledge::put),
        )
        .route("/v1/budget-events", get(budget_events::get))
        .route("/v1/budgets", get(budget_list::get))
        .route(
            "/v1/budgets/{budgetId}",
            get(budget_get::get)
                .put(budget_put::put)
                .delete(budget_remove::delete),
        )
        .route("/v1/budgets/{budgetId}/history", get(budget_history::get))
        .route_layer(from_fn_with_state(api.clone(), access::authorise))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path does not answer to this method",
            )
        })
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(from_fn_with_state(api.clone(), standby::send_changes_on))
        .with_state(api)
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], openapi_json())
}

/// The description of the API (OpenAPI), as it is served and committed.
#[must_use]
pub fn openapi_json() -> String {
    let mut document = Description::openapi();
    common_answers::describe(&mut document);
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(
            "Access token of an issuer of the policy with the app role that the operation asks for: `Sekisho.Administrator`, `Sekisho.Auditor`, `Sekisho.DepartmentManager` or `Sekisho.Recorder`; a person of the directory needs none for what is about himself or herself",
        ))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sekisho",
        description = "The sidecar of the Sekisho API checkpoint. Of several sidecars on one database only the active one takes changes; the others answer every method but GET with 503, `retry-after`, and a `link` with `rel=\"edit\"` to the active one.",
        license(name = "Apache-2.0")
    ),
    // What only parameters of queries refer to.
    components(schemas(
        audit_search::Decision,
        audit_search::Format,
        audit_report::ReportFormat,
        audit_report::ReportLength,
        users_csv_upload::Missing,
    )),
    paths(
        health::get,
        settings_get::get,
        settings_put::put,
        settings_history::get,
        department_list::get,
        department_create::post,
        department_get::get,
        department_put::put,
        department_remove::delete,
        department_history::get,
        department_members::get,
        department_member_put::put,
        title_list::get,
        title_create::post,
        title_get::get,
        title_put::put,
        title_remove::delete,
        title_history::get,
        title_members::get,
        title_member_put::put,
        title_member_remove::delete,
        usage_summary::get,
        department_usage::get,
        audit_tell::post,
        audit_search::get,
        audit_report::get,
        audit_contents::get,
        alert_list::get,
        alert_get::get,
        alert_acknowledge::put,
        users::get,
        user_create::post,
        users_csv_upload::post,
        users_csv_download::get,
        users_sync_status::get,
        user_me::get,
        user_get::get,
        user_usage::get,
        user_put::put,
        user_remove::delete,
        user_disable::put,
        user_enable::put,
        user_sessions_revoke::post,
        sync_start::post,
        sync_status::get,
        group_list::get,
        group_member_add::post,
        group_member_remove::delete,
        user_password_reset::post,
        email_list::get,
        email_send::post,
        email_retry::post,
        push_list::get,
        push_send::post,
        push_retry::post,
        push_key::get,
        push_subscription_list::get,
        push_subscription_add::post,
        push_subscription_remove::delete,
        notice_page::get,
        notice_reveal::post,
        user_unlock::post,
        provisioning_jobs::get,
        provisioning_job::get,
        provisioning_job_tasks::get,
        provisioning_job_apply::post,
        provisioning_job_cancel::post,
        provisioning_job_retry::post,
        apikey_list::get,
        apikey_issue::post,
        apikey_get::get,
        apikey_amend::patch,
        apikey_rotate::post,
        apikey_revoke::put,
        apikey_usage::get,
        budget_list::get,
        budget_get::get,
        budget_put::put,
        budget_remove::delete,
        budget_events::get,
        budget_history::get,
    )
)]
struct Description;
