use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use sekisho_domain::RecordId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::apikey_issue::random;
use super::email::Email;
use super::extract::Json as Body;
use super::idempotency::{self, IdempotencyKey};
use super::problem::Problem;
use super::recording::recorded;
use crate::events::{Author, digest};
use crate::mail::outbox::{self, Order};
use crate::mail::templates::NOTIFICATION;
use crate::mail::{Address, Language, Letter, Mail};
use crate::store::{StoreError, pending, people};

/// Most recipients of one order.
const MOST: usize = 500;

/// A mail to some people, each of whom gets one of his or her own.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewEmail {
    /// Addresses; with `users` together 1 to 500.
    #[serde(default)]
    #[schema(example = json!(["operations@example.com"]))]
    to: Vec<String>,
    /// People of the directory, by the company's ids.
    #[serde(default)]
    #[schema(example = json!(["001"]))]
    users: Vec<String>,
    /// One line of at most 512 bytes.
    #[schema(example = "Maintenance on Sunday")]
    subject: String,
    /// Plain text of at most 48 KiB.
    #[schema(example = "The platform is down from 01:00 to 02:00.")]
    text: String,
    /// The language of what is around the text; that of the policy, if it is left out.
    #[serde(default)]
    language: Option<Language>,
}

/// Mails that wait in the outbox.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Emails {
    mails: Vec<Email>,
}

/// Write to people by mail
///
/// The mails wait in the outbox when this answers, and are brought to the mail server until it has
/// them. Send an `Idempotency-Key`: what is sent again under it is not written twice, for 90 days.
#[utoipa::path(
    post, path = "/v1/notifications/email", operation_id = "sendEmail", tag = "notifications",
    security(("token" = [])), request_body = NewEmail,
    params(("Idempotency-Key" = Option<String>, Header, description = "Any text of the caller's that no other order has")),
    responses(
        (status = 202, body = Emails, description = "They wait in the outbox, or have been sent before"),
        (status = 400, description = "The body is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The policy has no section `mail`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No recipient, too many, or one that is none; or the `Idempotency-Key` of another order", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    access: Access,
    idempotency_key: IdempotencyKey,
    Body(new): Body<NewEmail>,
) -> Result<(StatusCode, Json<Emails>), Problem> {
    let shared = &api.0;
    let now = shared.clock.now();
    let writer = shared.recording()?;
    let mail = shared.mail().ok_or_else(no_mail)?;
    let letters = letters(&api, mail, &new).await?;
    let name = idempotency_key.name(access.identity());
    let family = match name {
        Some(name) => name.record_id(&shared.pepper),
        None => RecordId::v7(now, random()?),
    };
    let content = serde_json::to_vec(&new).map_err(|error| Problem::internal(&error))?;
    let family = format!("{NOTIFICATION}/{family}/");
    let content = format!("{family}{}/", digest(&content));
    let mut author = access.author(now)?;
    let mut transaction = shared.store.begin_writing().await?;
    let earlier = outbox::family_in(&mut transaction, &family).await?;
    if earlier.is_empty() {
        for letter in &letters {
            let order = Order {
                once: &format!("{content}{}", letter.to.plain()),
                purpose: NOTIFICATION,
                letter,
                at: now,
                random: random()?,
            };
            outbox::put(&mut transaction, &order).await?;
        }
        tell(&mut transaction, &mut author, &letters).await?;
    } else if !earlier.iter().all(|(once, _)| once.starts_with(&content)) {
        return Err(idempotency::reused());
    }
    let mails = outbox::family_in(&mut transaction, &family).await?;
    transaction.commit().await.map_err(StoreError::from)?;
    recorded(writer).await?;
    let mails = mails.into_iter().map(|(_, entry)| Email::new(entry));
    let mails = mails.collect();
    Ok((StatusCode::ACCEPTED, Json(Emails { mails })))
}

/// Neither to whom nor what is on record: the log forgets nothing.
async fn tell(
    connection: &mut sqlx::AnyConnection,
    author: &mut Author,
    letters: &[Letter],
) -> Result<(), StoreError> {
    let told = author.tell("notification.email", "");
    let told = told.after(Some(json!({"recipients": letters.len()})));
    pending::leave(connection, told).await
}

async fn letters(api: &Api, mail: &Mail, new: &NewEmail) -> Result<Vec<Letter>, Problem> {
    let wrong = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
    let mut addresses: Vec<Address> = Vec::new();
    let mut add = |text: &str, what: &str| match text.parse::<Address>() {
        Ok(address) => {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
            Ok(())
        }
        Err(error) => Err(wrong(format!("{what} {error}"))),
    };
    if !(1..=MOST).contains(&(new.to.len() + new.users.len())) {
        return Err(wrong(format!(
            "`to` and `users` must name 1 to {MOST} recipients"
        )));
    }
    for (at, text) in new.to.iter().enumerate() {
        add(text, &format!("`to[{at}]`"))?;
    }
    for (at, user) in new.users.iter().enumerate() {
        let person = people::find(&api.0.store, user).await?;
        let person = person
            .ok_or_else(|| wrong(format!("`users[{at}]`: the directory has no such person")))?;
        add(&person.email, &format!("the address of `users[{at}]`"))?;
    }
    let values = json!({"subject": new.subject, "text": new.text});
    let compose = |to: &Address| {
        let letter = mail.compose(NOTIFICATION, new.language, to, &values);
        letter.map_err(|error| wrong(error.to_string()))
    };
    addresses.iter().map(compose).collect()
}

pub(super) fn no_mail() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "the policy has no section `mail`, so that nobody can be written to",
    )
}
