use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use sekisho_domain::{RecordId, UnixMillis};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;
use utoipa::ToSchema;

use super::access::Access;
use super::apikey_issue::random;
use super::extract::Json as Body;
use super::idempotency::{self, IdempotencyKey};
use super::moments::shown;
use super::problem::Problem;
use super::push::{PushMessage, no_push};
use super::recording::recorded;
use super::{Api, Shared};
use crate::events::digest;
use crate::push::outbox::{self, Order, Way};
use crate::push::{MOST_PAYLOAD, Push, subscriptions};
use crate::store::{StoreError, pending, people};

/// Most people and webhooks of one order.
const MOST: usize = 500;
/// Longest title, bytes.
const MOST_TITLE: usize = 256;
/// Milliseconds of a day.
const DAY: u64 = 24 * 3600 * 1000;

/// A message to the browsers of some people, and to webhooks.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPush {
    /// People of the directory, by the company's ids; with `webhooks` together 1 to 500.
    #[serde(default)]
    #[schema(example = json!(["001"]))]
    users: Vec<String>,
    /// Webhooks of the policy's section `push`, by their names.
    #[serde(default)]
    #[schema(example = json!(["teams"]))]
    webhooks: Vec<String>,
    /// One line of 1 to 256 bytes.
    #[schema(example = "Maintenance on Sunday")]
    title: String,
    /// Plain text; with everything else at most 3993 bytes of JSON.
    #[schema(example = "The platform is down from 01:00 to 02:00.")]
    text: String,
    /// The https URL that a click leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://status.example.com/")]
    url: Option<String>,
    /// How much it matters: by it, phones decide when to wake up.
    #[serde(default)]
    urgency: Urgency,
    /// After so many seconds nobody wants it any more; left out: the days of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 2_419_200)]
    ttl_seconds: Option<u64>,
}

/// How much a message matters (RFC 8030, section 5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Urgency {
    /// Only on mains power and Wi-Fi.
    VeryLow,
    /// On either of them.
    Low,
    /// On neither.
    #[default]
    Normal,
    /// Also on a low battery.
    High,
}

impl Urgency {
    const fn header(self) -> &'static str {
        match self {
            Self::VeryLow => "very-low",
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// Messages that wait in the outbox.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Pushes {
    messages: Vec<PushMessage>,
    /// Those of `users` who have registered no browser: they are not told.
    without_browser: Vec<String>,
}

/// Push a message to the browsers of people, and to webhooks
///
/// The messages wait in the outbox when this answers, one for each browser and webhook, and are brought
/// until they are taken or nobody wants them any more. Send an `Idempotency-Key`: what is sent again
/// under it is not pushed twice, for 90 days.
#[utoipa::path(
    post, path = "/v1/notifications/push", operation_id = "sendPush", tag = "notifications",
    security(("token" = [])), request_body = NewPush,
    params(("Idempotency-Key" = Option<String>, Header, description = "Any text of the caller's that no other order has")),
    responses(
        (status = 202, body = Pushes, description = "They wait in the outbox, or have been pushed before"),
        (status = 400, description = "The body is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The policy has no section `push`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No recipient, too many, or one that is none; a text that is too long; or the `Idempotency-Key` of another order", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    access: Access,
    idempotency_key: IdempotencyKey,
    Body(new): Body<NewPush>,
) -> Result<(StatusCode, Json<Pushes>), Problem> {
    let shared = &api.0;
    let now = shared.clock.now();
    let writer = shared.recording()?;
    let push = shared.push().ok_or_else(no_push)?;
    let expires_at = expiry(push, &new, now)?;
    recipients(shared, push, &new).await?;
    let name = idempotency_key.name(access.identity());
    let order = match name {
        Some(name) => name.record_id(&shared.pepper),
        None => RecordId::v7(now, random()?),
    };
    let content = content(&new, order, now)?;
    let whole = serde_json::to_vec(&new).map_err(|error| Problem::internal(&error))?;
    let family = format!("notification/{order}/");
    let named = format!("{family}{}/", digest(&whole));
    let mut author = access.author(now)?;
    let mut transaction = shared.store.begin_writing().await?;
    let earlier = outbox::family_in(&mut transaction, &family).await?;
    if !earlier.iter().all(|(once, _)| once.starts_with(&named)) {
        return Err(idempotency::reused());
    }
    let (mut ways, mut without_browser) = (Vec::new(), Vec::new());
    for user in &new.users {
        let browsers = subscriptions::of_in(&mut transaction, user).await?;
        if browsers.is_empty() {
            without_browser.push(user.clone());
        }
        ways.extend(browsers.into_iter().map(|browser| Way::Browser {
            person: browser.person,
            subscription: browser.id,
        }));
    }
    ways.extend(new.webhooks.iter().cloned().map(Way::Webhook));
    if earlier.is_empty() {
        for way in &ways {
            let once = match way {
                Way::Browser { subscription, .. } => format!("{named}{subscription}"),
                Way::Webhook(name) => format!("{named}webhook/{name}"),
            };
            let order = Order {
                once: &once,
                way,
                title: &new.title,
                content: &content,
                urgency: new.urgency.header(),
                expires_at,
                at: now,
                random: random()?,
            };
            outbox::put(&mut transaction, &order).await?;
        }
        // Neither to whom nor what is on record: the log forgets nothing.
        let told = author.tell("notification.push", "");
        let told = told.after(Some(json!({
            "people": new.users.len(), "browsers": ways.len() - new.webhooks.len(),
            "webhooks": new.webhooks,
        })));
        pending::leave(&mut transaction, told).await?;
    }
    let messages = outbox::family_in(&mut transaction, &family).await?;
    transaction.commit().await.map_err(StoreError::from)?;
    recorded(writer).await?;
    let messages = messages
        .into_iter()
        .map(|(_, entry)| PushMessage::new(entry));
    let pushes = Pushes {
        messages: messages.collect(),
        without_browser,
    };
    Ok((StatusCode::ACCEPTED, Json(pushes)))
}

fn wrong(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
}

fn expiry(push: &Push, new: &NewPush, now: UnixMillis) -> Result<UnixMillis, Problem> {
    let most = push.settings().days * DAY;
    let wanted = match new.ttl_seconds {
        None => most,
        Some(seconds) if (1..=most / 1000).contains(&seconds) => seconds * 1000,
        Some(_) => {
            let text = format!("`ttl_seconds` must be 1 to {}", most / 1000);
            return Err(wrong(text));
        }
    };
    Ok(UnixMillis(now.0.saturating_add(wanted)))
}

/// Checks whom it is for.
async fn recipients(shared: &Shared, push: &Push, new: &NewPush) -> Result<(), Problem> {
    if !(1..=MOST).contains(&(new.users.len() + new.webhooks.len())) {
        return Err(wrong(format!(
            "`users` and `webhooks` must name 1 to {MOST} recipients"
        )));
    }
    for (at, name) in new.webhooks.iter().enumerate() {
        let mut known = push.settings().webhooks.iter();
        if !known.any(|(known, _)| known == name) {
            return Err(wrong(format!(
                "`webhooks[{at}]`: the policy has no such webhook under `push`"
            )));
        }
        if new.webhooks.iter().take(at).any(|before| before == name) {
            return Err(wrong(format!("`webhooks[{at}]` is named twice")));
        }
    }
    for (at, user) in new.users.iter().enumerate() {
        if new.users.iter().take(at).any(|before| before == user) {
            return Err(wrong(format!("`users[{at}]` is named twice")));
        }
        if people::find(&shared.store, user).await?.is_none() {
            return Err(wrong(format!(
                "`users[{at}]`: the directory has no such person"
            )));
        }
    }
    Ok(())
}

/// The message as it is encrypted or posted: of the form of Standard Webhooks, also for browsers.
fn content(new: &NewPush, order: RecordId, now: UnixMillis) -> Result<String, Problem> {
    let is_line = !new.title.chars().any(char::is_control);
    if !is_line || !(1..=MOST_TITLE).contains(&new.title.len()) {
        let text = format!("`title` must be one line of 1 to {MOST_TITLE} bytes");
        return Err(wrong(text));
    }
    let is_link = |url: &String| {
        let url = Url::parse(url).ok();
        url.is_some_and(|url| url.scheme() == "https" && url.has_host())
    };
    if new.url.as_ref().is_some_and(|url| !is_link(url)) {
        return Err(wrong("`url` must be an https URL"));
    }
    let content = json!({
        "type": "notification.sent", "timestamp": shown(now),
        "data": {"id": order.to_string(), "title": new.title, "text": new.text, "url": new.url},
    });
    let content = content.to_string();
    if content.len() > MOST_PAYLOAD {
        return Err(wrong(format!(
            "title, text and URL make a message of {} bytes; push services take at most {MOST_PAYLOAD}",
            content.len()
        )));
    }
    Ok(content)
}
