//! Notices as mails.

use std::time::Duration;

use sekisho_domain::UnixMillis;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::config::{Delivery, NoticeSettings};
use super::links::{self, Shown};
use super::{HandingOver, NotTaken, Notice, Notices};
use crate::clock::Clock;
use crate::mail::outbox::Order;
use crate::mail::templates::{ACCOUNT, ACCOUNT_LINK, ACCOUNT_NAME, ACCOUNT_PASSWORD};
use crate::mail::{Address, Attempt, Letter, Mail, Posting, TemplateError};
use crate::settings::LiveSettings;
use crate::store::{Store, StoreError};

/// What the names of notices in the outbox begin with.
const FAMILY: &str = "account";

/// Milliseconds of an hour.
const HOUR: u64 = 3600 * 1000;

/// Tells people of their accounts by mail.
#[derive(Clone, Debug)]
pub struct NoticesByMail {
    mail: Mail,
    store: Store,
    settings: LiveSettings,
    clock: Clock,
}

/// A notice cannot be handed over, and how that is told.
struct Failed(NotTaken);

impl NoticesByMail {
    /// Mails of notices, noted in the outbox of this store.
    #[must_use]
    pub const fn new(mail: Mail, store: Store, settings: LiveSettings, clock: Clock) -> Self {
        Self {
            mail,
            store,
            settings,
            clock,
        }
    }

    async fn tell(&self, posting: &mut Posting, notice: &Notice) -> Result<(), Failed> {
        let to: Address = notice.person.email.parse().map_err(|_| {
            let why = "no mail can be sent to the person's address: it must be one in ASCII";
            Failed(NotTaken::Ever(why.to_owned()))
        })?;
        // One notice goes by one state of the settings.
        let in_force = self.settings.now();
        let settings = &in_force.people.notices;
        match settings.delivery {
            Delivery::Combined => {
                let values = Self::values(settings, notice, true, true);
                let letter = self.compose(ACCOUNT, &to, &values)?;
                self.hand_over_one(posting, notice, ACCOUNT, &letter).await
            }
            Delivery::Split => {
                for (template, has_name) in [(ACCOUNT_NAME, true), (ACCOUNT_PASSWORD, false)] {
                    let values = Self::values(settings, notice, has_name, !has_name);
                    let letter = self.compose(template, &to, &values)?;
                    self.hand_over_one(posting, notice, template, &letter)
                        .await?;
                }
                Ok(())
            }
            Delivery::Link => {
                let values = self.with_link(settings, notice).await?;
                let letter = self.compose(ACCOUNT_LINK, &to, &values)?;
                self.hand_over_one(posting, notice, ACCOUNT_LINK, &letter)
                    .await
            }
        }
    }

    fn values(
        settings: &NoticeSettings,
        notice: &Notice,
        has_name: bool,
        has_password: bool,
    ) -> Value {
        let mut values = json!({
            "name": notice.person.name, "is_new": notice.is_new,
            "sign_in_url": settings.sign_in_url, "contact": settings.contact,
        });
        if let Some(values) = values.as_object_mut() {
            if has_name {
                values.insert("user_name".to_owned(), json!(notice.user_name.0));
            }
            if has_password {
                values.insert("password".to_owned(), json!(notice.password.reveal()));
            }
        }
        values
    }

    async fn with_link(&self, settings: &NoticeSettings, notice: &Notice) -> Result<Value, Failed> {
        let shown = Shown {
            user_name: notice.user_name.0.clone(),
            password: notice.password.reveal().to_owned(),
            sign_in_url: settings.sign_in_url.clone(),
        };
        let hours = u64::from(settings.link_hours);
        let expires_at = UnixMillis(self.clock.now().0.saturating_add(hours * HOUR));
        let mut random = Zeroizing::new([0; 48]);
        getrandom::fill(random.as_mut()).map_err(no_random)?;
        let person = notice.person.id.as_str();
        let made = links::make(&self.store, person, &shown, expires_at, &random).await;
        let link = made.map_err(|error| not_stored(&error))?;
        let mut values = Self::values(settings, notice, true, false);
        if let Some(values) = values.as_object_mut() {
            let url = format!(
                "{}/v1/notices/{}#{}",
                settings.link_url,
                link.id,
                link.code.as_str()
            );
            values.insert("link".to_owned(), json!(url));
            values.insert("code".to_owned(), json!(link.code.as_str()));
            values.insert("hours".to_owned(), json!(settings.link_hours));
        }
        Ok(values)
    }

    fn compose(&self, template: &str, to: &Address, values: &Value) -> Result<Letter, Failed> {
        let composed = self.mail.compose(
            template,
            self.settings.now().people.notices.language,
            to,
            values,
        );
        composed.map_err(|error| Failed(NotTaken::Ever(cannot_be_written(&error))))
    }

    async fn hand_over_one(
        &self,
        posting: &mut Posting,
        notice: &Notice,
        purpose: &str,
        letter: &Letter,
    ) -> Result<(), Failed> {
        let mut random = [0; 10];
        getrandom::fill(&mut random).map_err(no_random)?;
        let order = Order {
            once: &format!("{FAMILY}/{}/{purpose}", notice.name),
            purpose,
            letter,
            at: self.clock.now(),
            random,
        };
        let tried = posting.hand_over_noted(&self.store, &order).await;
        match tried.map_err(|error| not_stored(&error))? {
            Attempt::Taken => Ok(()),
            Attempt::Later { why, wait } => Err(Failed(NotTaken::Now { why, wait })),
            Attempt::Never { why } => Err(Failed(NotTaken::Ever(why))),
        }
    }

    async fn tell_all(&self, notices: &[Notice]) -> Vec<Result<(), NotTaken>> {
        let mut posting = self.mail.posting();
        let mut outcomes = Vec::new();
        let mut nobody: Option<NotTaken> = None;
        for notice in notices {
            // What is the server's trouble is that of all.
            if let Some(why) = &nobody {
                outcomes.push(Err(why.clone()));
                continue;
            }
            let outcome = self
                .tell(&mut posting, notice)
                .await
                .map_err(|failed| failed.0);
            if let Err(why @ NotTaken::Now { wait: None, .. }) = &outcome {
                nobody = Some(why.clone());
            }
            outcomes.push(outcome);
        }
        posting.end().await;
        outcomes
    }
}

impl Notices for NoticesByMail {
    fn hand_over<'a>(&'a self, notices: &'a [Notice]) -> HandingOver<'a> {
        Box::pin(self.tell_all(notices))
    }
}

/// What the names of a job's notices in the outbox begin with.
#[must_use]
pub fn names_of_job(job: &str) -> String {
    format!("{FAMILY}/{job}/")
}

/// The number of the task that the notice of this name in the outbox is about.
#[must_use]
pub fn task_of(once: &str) -> Option<i64> {
    once.strip_prefix(FAMILY)?.split('/').nth(2)?.parse().ok()
}

/// A template's error may show what it was filled with.
fn cannot_be_written(error: &TemplateError) -> String {
    let which = match error {
        TemplateError::Template { name, .. } | TemplateError::NoSubject(name) => name.as_str(),
        _ => "the notice",
    };
    format!("the mail cannot be written: look at the template `{which}`")
}

fn not_stored(error: &StoreError) -> Failed {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "a notice cannot be noted"
    );
    Failed(NotTaken::Now {
        why: "the database did not answer".to_owned(),
        wait: Some(Duration::from_secs(1)),
    })
}

fn no_random(error: getrandom::Error) -> Failed {
    Failed(NotTaken::Now {
        why: format!("the system gives no random bytes: {error}"),
        wait: Some(Duration::from_secs(1)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_outbox_leads_to_its_task() {
        let name = format!("{}12/{ACCOUNT_PASSWORD}", names_of_job("0192"));
        assert_eq!(task_of(&name), Some(12));
        assert_eq!(task_of("budget-alert/0192/12/x"), None);
        assert_eq!(task_of("account/0192"), None);
    }
}
