use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::apikey_issue::random;
use super::extract::Json as Body;
use super::problem::Problem;
use super::push::no_push;
use super::push_subscription::{PushSubscription, owner};
use super::recording::recorded;
use crate::push::SubscriberKeys;
use crate::push::subscriptions::{self, Wanted};

/// Longest label, bytes.
const MOST_LABEL: usize = 128;

/// What `PushSubscription.toJSON()` of a browser gives, with a label.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewPushSubscription {
    /// Where the push service takes messages for the browser.
    #[schema(example = "https://fcm.googleapis.com/fcm/send/c1KrmpTuRm")]
    endpoint: String,
    /// What messages are encrypted with.
    keys: NewPushKeys,
    /// What to call the browser; at most 128 bytes.
    #[serde(default)]
    #[schema(example = "Laptop")]
    label: String,
}

/// The browser's keys, in Base64url.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewPushKeys {
    /// An uncompressed point of P-256.
    #[schema(
        example = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
    )]
    p256dh: String,
    /// 16 bytes.
    #[schema(example = "BTBZMqHH6r4Tts7J_aSIgg")]
    auth: String,
}

/// Have messages sent to a browser of one's own
///
/// What a browser has subscribed to with the key of `GET /v1/notifications/push/key`. One that is registered
/// already is changed. Of more than twenty of one person, the one that was used least lately is forgotten.
#[utoipa::path(
    post, path = "/v1/users/me/push-subscriptions", operation_id = "addPushSubscription", tag = "notifications",
    security(("token" = [])), request_body = NewPushSubscription,
    responses(
        (status = 200, body = PushSubscription, description = "It was registered already"),
        (status = 201, body = PushSubscription),
        (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller is nobody of the directory", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The policy has no section `push`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is no subscription, or its push service is none that messages may go to", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    access: Access,
    Body(new): Body<NewPushSubscription>,
) -> Result<(StatusCode, Json<PushSubscription>), Problem> {
    let shared = &api.0;
    let writer = shared.recording()?;
    let push = shared.push().ok_or_else(no_push)?;
    let person = owner(&access)?;
    let wrong = |text: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text);
    let endpoint = push.guard().check(&new.endpoint);
    let endpoint = endpoint.map_err(|why| wrong(format!("`endpoint` {why}")))?;
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
    let (Some(public_key), Some(auth)) = (bytes(&new.keys.p256dh), bytes(&new.keys.auth)) else {
        return Err(wrong("`keys` must be in Base64url".to_owned()));
    };
    if let Err(why) = SubscriberKeys::read(&public_key, &auth) {
        return Err(wrong(format!("`keys`: {why}")));
    }
    if new.label.len() > MOST_LABEL || new.label.chars().any(char::is_control) {
        let text = format!("`label` must be one line of at most {MOST_LABEL} bytes");
        return Err(wrong(text));
    }
    let wanted = Wanted {
        person,
        endpoint: endpoint.as_str(),
        public_key: &public_key,
        auth: &auth,
        label: &new.label,
        random: random()?,
    };
    let mut author = access.author(shared.clock.now())?;
    let registered = subscriptions::register(&shared.store, &wanted, &mut author);
    let (subscription, is_new) = registered.await?;
    recorded(writer).await?;
    let status = match is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok((status, Json(PushSubscription::new(&subscription))))
}
