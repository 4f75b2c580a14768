//! Brings what is in the outbox to push services and webhooks.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use sekisho_domain::UnixMillis;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::encrypt::{Random, SubscriberKeys, encrypt};
use super::outbox::{self, Due, MESSAGES, State, Way};
use super::{Push, subscriptions};
use crate::events::Author;
use crate::forward::{Trouble, http};
use crate::outbox::{Forgetting, PERIOD, Why, wait};
use crate::store::{Store, StoreError};

/// Messages under way at a time: one service that is slow is to hold up none of the others.
const AT_ONCE: u32 = 16;

pub(super) struct Bearer {
    push: Push,
    store: Store,
    forgetting: Forgetting,
}

/// What became of one try.
enum Outcome {
    Taken,
    /// It is never taken.
    Refused(Why),
    /// There is no such browser any longer.
    Gone(Why),
    /// Not now.
    Later(Why, Option<Duration>),
}

impl Bearer {
    pub(super) const fn new(push: Push, store: Store) -> Self {
        Self {
            push,
            store,
            forgetting: Forgetting::of(&MESSAGES),
        }
    }

    /// Brings what is there and what comes, for ever.
    pub(super) async fn run(mut self) {
        let mut is_failing = false;
        loop {
            match self.round().await {
                Ok(true) => is_failing = false,
                Ok(false) => {
                    is_failing = false;
                    tokio::time::sleep(PERIOD).await;
                }
                Err(error) => {
                    // Once per outage, not every second.
                    if !is_failing {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(error, "messages that wait to be pushed cannot be read");
                    }
                    is_failing = true;
                    tokio::time::sleep(PERIOD).await;
                }
            }
        }
    }

    /// Whether there was anything to bring.
    async fn round(&mut self) -> Result<bool, StoreError> {
        let now = self.push.0.clock.now();
        self.forgetting.look(&self.store, now).await?;
        let due = outbox::due(&self.store, now, AT_ONCE).await?;
        let any = !due.is_empty();
        let mut under_way = JoinSet::new();
        for due in due {
            under_way.spawn(bring(self.push.clone(), self.store.clone(), due));
        }
        while let Some(done) = under_way.join_next().await {
            match done {
                Ok(done) => done?,
                Err(error) => tracing::error!(%error, "a message could not be pushed"),
            }
        }
        Ok(any)
    }
}

/// Brings one message, and notes what becomes of it.
async fn bring(push: Push, store: Store, due: Due) -> Result<(), StoreError> {
    let now = push.0.clock.now();
    let outcome = if now >= due.expires_at {
        let text = "nobody wants it any more: it was to be taken before".to_owned();
        let why = Why { code: None, text };
        return MESSAGES
            .ended(&store, &due.id, State::GivenUp, &why, now)
            .await;
    } else {
        match &due.way {
            Way::Webhook(name) => to_webhook(&push, name, &due).await,
            Way::Browser { subscription, .. } => {
                to_browser(&push, &store, subscription, &due).await?
            }
        }
    };
    let now = push.0.clock.now();
    match outcome {
        Outcome::Taken => {
            if let Way::Browser { subscription, .. } = &due.way {
                subscriptions::used(&store, subscription, now).await?;
            }
            MESSAGES
                .ended(&store, &due.id, State::Sent, &Why::default(), now)
                .await
        }
        Outcome::Refused(why) => {
            tracing::warn!(push = due.id, why = why.text, "a message is refused");
            MESSAGES
                .ended(&store, &due.id, State::Refused, &why, now)
                .await
        }
        Outcome::Gone(why) => {
            if let Way::Browser {
                person,
                subscription,
            } = &due.way
            {
                forget_browser(&store, person, subscription, now).await?;
            }
            MESSAGES
                .ended(&store, &due.id, State::Gone, &why, now)
                .await
        }
        Outcome::Later(why, after) => {
            let wait = after.unwrap_or_default().max(wait(due.tries));
            let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            // Never later than it is of use: then it is given up.
            let next = UnixMillis(now.0.saturating_add(wait)).min(due.expires_at);
            MESSAGES.put_off(&store, &due.id, &why, next).await
        }
    }
}

async fn forget_browser(
    store: &Store,
    person: &str,
    subscription: &str,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| sqlx::Error::Encode(error.to_string().into()))?;
    let mut author = Author::program("sekisho serve", now, seed);
    let why = "its push service does not know it any longer";
    subscriptions::remove(store, person, subscription, why, &mut author).await?;
    Ok(())
}

async fn to_webhook(push: &Push, name: &str, due: &Due) -> Outcome {
    let Some((webhook, pulse)) = push.0.webhooks.get(name) else {
        let text = "the policy has no webhook of this name any longer".to_owned();
        return Outcome::Refused(Why { code: None, text });
    };
    let posted = webhook
        .post(&due.id, due.content.clone().into_bytes())
        .await;
    let now = push.0.clock.now();
    match posted {
        Ok(()) => {
            pulse.well(now);
            Outcome::Taken
        }
        Err(trouble) => {
            let why = why(&trouble);
            if pulse.failed(now, why.text.clone()) {
                tracing::warn!(to = name, why = why.text, "a message is not taken");
            }
            Outcome::Later(why, trouble.told())
        }
    }
}

async fn to_browser(
    push: &Push,
    store: &Store,
    subscription: &str,
    due: &Due,
) -> Result<Outcome, StoreError> {
    let Some(browser) = subscriptions::find(store, subscription).await? else {
        let text = "its owner has taken it away".to_owned();
        return Ok(Outcome::Gone(Why { code: None, text }));
    };
    let refused = |text: String| Ok(Outcome::Refused(Why { code: None, text }));
    let url = match push.0.guard.check(&browser.endpoint) {
        Ok(url) => url,
        Err(forbidden) => return refused(format!("its push service {forbidden}")),
    };
    let keys = SubscriberKeys::read(&browser.public_key, &browser.auth);
    let mut random = Random {
        key: Zeroizing::new([0; 32]),
        salt: [0; 16],
    };
    let filled = getrandom::fill(random.key.as_mut_slice())
        .and_then(|()| getrandom::fill(random.salt.as_mut_slice()));
    if filled.is_err() {
        let text = "the operating system has no random bytes".to_owned();
        return Ok(Outcome::Later(Why { code: None, text }, None));
    }
    let body = keys.and_then(|keys| encrypt(due.content.as_bytes(), &keys, &random));
    let body = match body {
        Ok(body) => body,
        Err(trouble) => return refused(trouble.to_string()),
    };
    let now = push.0.clock.now();
    let seconds = due.expires_at.since(now) / 1000;
    let authorization = push
        .0
        .key
        .authorization(&url, &push.0.settings.contact, now);
    let octets = HeaderValue::from_static("application/octet-stream");
    let request = push
        .0
        .client
        .post(url)
        .header(AUTHORIZATION, authorization)
        .header(CONTENT_TYPE, octets)
        .header(CONTENT_ENCODING, HeaderValue::from_static("aes128gcm"))
        .header("ttl", seconds.to_string())
        .header("urgency", due.urgency.as_str())
        .body(body);
    let taken = match request.send().await {
        Ok(answer) => http::taken(answer, push.0.clock.now()).await,
        Err(error) => Err(error.into()),
    };
    Ok(judged(push, taken))
}

/// What a push service's answer means (RFC 8030, sections 5 and 7.3).
fn judged(push: &Push, taken: Result<(), Trouble>) -> Outcome {
    let now = push.0.clock.now();
    let pulse = &push.0.pulse;
    let Err(trouble) = taken else {
        pulse.well(now);
        return Outcome::Taken;
    };
    let why = why(&trouble);
    let status = why
        .code
        .and_then(|status| StatusCode::from_u16(status).ok());
    let is_final = status.is_some_and(|status| {
        let passes = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
        (status.is_client_error() && !passes.contains(&status)) || status.is_redirection()
    });
    match status {
        Some(StatusCode::NOT_FOUND | StatusCode::GONE) => {
            pulse.well(now);
            Outcome::Gone(why)
        }
        _ if is_final => {
            // Whoever refuses one message works.
            pulse.well(now);
            Outcome::Refused(why)
        }
        _ => {
            if pulse.failed(now, why.text.clone()) {
                tracing::warn!(why = why.text, "a push service does not take a message");
            }
            Outcome::Later(why, trouble.told())
        }
    }
}

fn why(trouble: &Trouble) -> Why {
    let code = match trouble {
        Trouble::Refused { status, .. } => Some(*status),
        _ => None,
    };
    let text = trouble.sentence();
    Why { code, text }
}
