use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::access::Access;
use super::dependency::{self, Dependency, Overall};
use super::moments::shown;
use super::problem::Problem;
use super::{Api, Role};
use crate::forward::List;
use crate::log;
use crate::mail::outbox::{self, State as LetterState};
use crate::store::alerts::list;
use crate::store::{StoreError, people};

/// Whether the sidecar works.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`: it works. `standby`: it would, if the active sidecar of its database were gone.
    /// `failing`: it cannot work, and the answer is 503; then only auditors get this.
    #[schema(example = "ok")]
    status: &'static str,
    /// For auditors.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
}

/// What the gateways decide by.
#[derive(Debug, Serialize, ToSchema)]
struct Details {
    /// How it is altogether.
    health: Overall,
    /// What the sidecar depends on, and how each is: as whoever uses it has found it last. Nothing is
    /// asked for this answer.
    dependencies: Vec<Dependency>,
    /// Version of the sidecar.
    release: &'static str,
    /// Name of the company.
    organisation: String,
    /// Version of the snapshot that gateways get.
    snapshot_version: u64,
    /// People known to the gateways.
    people: usize,
    /// Subscription keys known to the gateways.
    keys: usize,
    /// Trusted issuers.
    issuers: Vec<IssuerHealth>,
    /// Who is brought what the log tells; none on a sidecar that stands by.
    recipients: Vec<Recipient>,
    /// The mail server; absent: the policy names none, or this sidecar stands by.
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<MailHealth>,
    /// Files of people that are picked up; absent: the policy names no place for them, or this
    /// sidecar stands by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pickup: Option<PickupHealth>,
}

/// The place where files of people are picked up.
#[derive(Debug, Serialize, ToSchema)]
struct PickupHealth {
    /// Its URL.
    #[schema(example = "az://people/inbox")]
    place: String,
    /// When it was looked at last and nothing was wrong; absent: not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2024-10-14T03:12:45Z")]
    looked_at: Option<String>,
    /// Files that are being written or carried out.
    waiting: usize,
    /// Since when files cannot be picked up; absent: it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2024-10-14T03:12:45Z")]
    failing_since: Option<String>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

/// The mail server, and the outbox.
#[derive(Debug, Serialize, ToSchema)]
struct MailHealth {
    /// Its host and port.
    #[schema(example = "mail.example.com:587")]
    server: String,
    /// Mails that wait.
    waiting: u64,
    /// Mails of the last 90 days that the server has refused for good.
    refused: u64,
    /// Mails of the last 90 days that were tried for as many days as the policy says.
    given_up: u64,
    /// Since when nothing can be sent; absent: it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2024-10-14T03:12:45Z")]
    failing_since: Option<String>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "it answers 535 `5.7.8`")]
    failure: Option<String>,
}

/// One destination of `siem`, one webhook of `alerts`, or the rules.
#[derive(Debug, Serialize, ToSchema)]
struct Recipient {
    /// Section of the policy file, and its name there.
    #[schema(example = "siem/sentinel")]
    name: String,
    /// What kind of recipient it is.
    #[schema(example = "azure_monitor")]
    kind: &'static str,
    /// How many entries it has not taken yet.
    waiting: u64,
    /// Since when it takes nothing; absent: it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2024-10-14T03:12:45Z")]
    failing_since: Option<String>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "it answers 429")]
    failure: Option<String>,
}

/// One trusted issuer.
#[derive(Debug, Serialize, ToSchema)]
struct IssuerHealth {
    /// The `iss` of its tokens.
    issuer: String,
    /// Its signing keys that are known; without any, its tokens are refused.
    signing_keys: usize,
}

/// Whether the sidecar works; with a token, in detail.
#[utoipa::path(
    get, path = "/v1/system/health", operation_id = "getHealth", tag = "system",
    security((), ("token" = [])),
    responses(
        (status = 200, body = Health),
        (status = 401, description = "The token is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer; auditors hear the same in detail", content((Problem = "application/problem+json"), (Health = "application/json"))),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    access: Option<Access>,
) -> Result<Response, Problem> {
    let is_told = access.is_some_and(|access| access.reach().is_everything());
    if let Err(error) = people::version(&api.0.store).await {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the database does not answer"
        );
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        api.0
            .store
            .pulse()
            .failed(api.0.clock.now(), error.to_string());
        if is_told {
            let health = Health {
                status: "failing",
                details: Some(details(&api, Vec::new(), None)),
            };
            return Ok((unavailable, Json(health)).into_response());
        }
        return Err(Problem::new(unavailable, "the database does not answer"));
    }
    api.0.store.pulse().well(api.0.clock.now());
    let details = match is_told {
        true => Some(details(&api, recipients(&api).await?, mail(&api).await?)),
        false => None,
    };
    let status = match api.role() {
        Role::Active => "ok",
        Role::Standby => "standby",
    };
    Ok(Json(Health { status, details }).into_response())
}

fn details(api: &Api, recipients: Vec<Recipient>, mail: Option<MailHealth>) -> Details {
    let policy = api.0.hub.policy();
    let counts = api.0.hub.counts();
    let signing_keys = |iss: &str| counts.issuer_keys.get(iss).copied();
    let issuers = policy.issuers.iter().map(|issuer| IssuerHealth {
        issuer: issuer.issuer.clone(),
        signing_keys: signing_keys(&issuer.issuer).unwrap_or(issuer.keys.len()),
    });
    let dependencies = dependency::all(api);
    Details {
        health: Overall::of(&dependencies),
        dependencies,
        release: env!("CARGO_PKG_VERSION"),
        organisation: policy.organisation.clone(),
        snapshot_version: counts.version,
        people: counts.users,
        keys: counts.keys,
        issuers: issuers.collect(),
        recipients,
        mail,
        pickup: pickup(api),
    }
}

fn pickup(api: &Api) -> Option<PickupHealth> {
    let standing = api.0.pickup.get()?;
    let beat = standing.pulse().beat();
    let failing = beat.failing;
    let (since, why) = failing
        .map(|failing| (shown(failing.since), failing.why))
        .unzip();
    Some(PickupHealth {
        place: standing.place().to_owned(),
        looked_at: beat.last_success.map(shown),
        waiting: standing.waiting(),
        failing_since: since,
        failure: why,
    })
}

async fn mail(api: &Api) -> Result<Option<MailHealth>, StoreError> {
    let Some(mail) = api.0.mail() else {
        return Ok(None);
    };
    let settings = mail.settings();
    let store = &api.0.store;
    let (since, why) = mail
        .failing()
        .map(|failing| (shown(failing.since), failing.why))
        .unzip();
    Ok(Some(MailHealth {
        server: format!("{}:{}", settings.host, settings.port),
        waiting: outbox::count(store, LetterState::Waiting).await?,
        refused: outbox::count(store, LetterState::Refused).await?,
        given_up: outbox::count(store, LetterState::GivenUp).await?,
        failing_since: since,
        failure: why,
    }))
}

async fn recipients(api: &Api) -> Result<Vec<Recipient>, StoreError> {
    let Some(standings) = api.0.standings.get() else {
        return Ok(Vec::new());
    };
    let records = log::size(&api.0.store).await?;
    let alerts = list::next(&api.0.store).await?;
    let shown = standings.all().into_iter().map(|standing| {
        let end = match standing.list {
            List::Log => records,
            List::Alerts => alerts,
        };
        let (since, why) = standing
            .beat
            .failing
            .map(|failing| (shown(failing.since), failing.why))
            .unzip();
        Recipient {
            name: standing.name,
            kind: standing.kind,
            waiting: end.saturating_sub(standing.next),
            failing_since: since,
            failure: why,
        }
    });
    Ok(shown.collect())
}
