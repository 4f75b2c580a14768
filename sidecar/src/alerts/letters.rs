//! Alerts by mail: put into the outbox in the transaction in which the alert is stored, so that
//! each is there once, whoever is killed meanwhile.

use sekisho_domain::UnixMillis;
use serde_json::json;
use sqlx::AnyConnection;

use super::alert::Alert;
use super::config::AlertMail;
use super::message::shown;
use crate::mail::outbox::{self, Order};
use crate::mail::templates::ALERT;
use crate::mail::{Language, Mail};
use crate::report;
use crate::store::StoreError;

/// Who is told by mail, and the way there.
#[derive(Clone, Debug, Default)]
pub(super) struct Letters {
    mail: Option<Mail>,
    recipients: Vec<AlertMail>,
}

impl Letters {
    pub(super) fn new(mail: Option<&Mail>, recipients: &[AlertMail]) -> Self {
        Self {
            mail: mail.cloned(),
            recipients: recipients.to_vec(),
        }
    }

    /// Puts a letter about an alert into the outbox for each who wants one.
    pub(super) async fn put(
        &self,
        connection: &mut AnyConnection,
        alert: &Alert,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let Some(mail) = &self.mail else {
            return Ok(());
        };
        let id = alert.id();
        let wanted = |one: &&AlertMail| one.wanted.is(alert.rule, alert.severity);
        for recipient in self.recipients.iter().filter(wanted) {
            let language = recipient.language.unwrap_or(mail.settings().language);
            let values = values(alert, &id, language);
            for to in &recipient.to {
                let letter = match mail.compose(ALERT, Some(language), to, &values) {
                    Ok(letter) => letter,
                    Err(error) => {
                        // The alert itself must not be lost for the company's own template.
                        tracing::error!(alert = id, %error, "an alert cannot be written as a mail");
                        continue;
                    }
                };
                let mut random = [0; 10];
                getrandom::fill(&mut random)
                    .map_err(|error| sqlx::Error::Encode(error.to_string().into()))?;
                let order = Order {
                    once: &format!("{ALERT}/{id}/{}", to.plain()),
                    purpose: ALERT,
                    letter: &letter,
                    at,
                    random,
                };
                outbox::put(connection, &order).await?;
            }
        }
        Ok(())
    }
}

fn values(alert: &Alert, id: &str, language: Language) -> serde_json::Value {
    let text = alert.sentence(match language {
        Language::Ja => report::Language::Japanese,
        Language::En => report::Language::English,
    });
    json!({
        "id": id,
        "rule": alert.rule.as_str(),
        "severity": alert.severity.as_str(),
        "subject": one_line(&text),
        "text": text,
        "at": shown(alert.at),
        "department": alert.department,
        "record_id": alert.record.map(|record| record.to_string()),
    })
}

/// Ids are what others have written: a subject is one line, and not a long one.
fn one_line(text: &str) -> String {
    let visible = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    visible.take(120).collect()
}
