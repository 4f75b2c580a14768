//! Listens as Graph, and answers.

mod delivery;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::answer::Answer;
use crate::clock::unix_millis;
use crate::description::Description;
use crate::directory::{Directory, Moment};
use crate::faults::{CallFate, Dice, Fate, Faults};
use crate::journal::{self, Line, Violation};
use crate::operation::{self, Operation};
use crate::schema::{SchemaError, Schemas};
use crate::token::Tokens;
use delivery::Delivery;

/// What the tenant is like.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The secret of every application.
    pub secret: String,
    /// Domains that user names may have.
    pub domains: Vec<String>,
}

/// Graph, as it were; cheap to clone.
#[derive(Clone)]
pub struct StandIn(Arc<Shared>);

struct Shared {
    settings: Settings,
    schemas: Schemas,
    state: Mutex<State>,
}

struct State {
    directory: Directory,
    tokens: Tokens,
    faults: Faults,
    dice: Dice,
    /// Of ids, which must not come again when the dice begin anew.
    ids: Dice,
    journal: Vec<Line>,
    violations: Vec<Violation>,
}

impl StandIn {
    /// An empty tenant. `description`: Microsoft's own, as a second opinion.
    ///
    /// # Errors
    /// [`SchemaError`]: a mistake in a schema of its own.
    pub fn new(settings: Settings, description: Option<Description>) -> Result<Self, SchemaError> {
        let state = State {
            directory: Directory::new(settings.domains.clone()),
            tokens: Tokens::default(),
            faults: Faults::default(),
            dice: Dice::new(0),
            ids: Dice::new(1),
            journal: Vec::new(),
            violations: Vec::new(),
        };
        Ok(Self(Arc::new(Shared {
            settings,
            schemas: Schemas::new(description)?,
            state: Mutex::new(state),
        })))
    }

    /// Answers for ever.
    ///
    /// # Errors
    /// The listener is gone.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        delivery::serve(self, listener).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Misbehaves like this from now on.
    pub fn misbehave(&self, faults: Faults) {
        let mut state = self.state();
        state.dice = Dice::new(faults.seed);
        state.faults = faults;
    }

    /// A user who has long been there.
    pub fn add_user(&self, id: &str, members: Value) {
        self.state().directory.add_user(id, members);
    }

    /// A group of the tenant; `members` beside id and name.
    pub fn add_group(&self, id: &str, name: &str, members: Value) {
        self.state().directory.add_group(id, name, members);
    }

    /// An application of the tenant: its service principal's id, its client id and its roles as
    /// id and value.
    pub fn add_application(&self, id: &str, app_id: &str, roles: &[(&str, &str)]) {
        self.state().directory.add_application(id, app_id, roles);
    }

    /// Changes a user as somebody would by hand.
    pub fn set_user(&self, id: &str, members: Value) {
        self.state().directory.set(id, members);
    }

    /// Every user with its groups and app roles.
    #[must_use]
    pub fn users(&self) -> Vec<Value> {
        self.state().directory.users()
    }

    /// The password of a user, as it was set last.
    #[must_use]
    pub fn password(&self, id: &str) -> Option<String> {
        self.state().directory.password(id)
    }

    /// Everything that was asked.
    #[must_use]
    pub fn journal(&self) -> Vec<Line> {
        self.state().journal.clone()
    }

    /// Everything that Graph would not have taken.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.state().violations.clone()
    }

    /// How many tokens were given.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.state().tokens.given()
    }

    /// Does somebody something without Graph: as an administrator in the portal.
    pub fn by_hand(&self, method: &str, target: &str, body: &Value) -> u16 {
        let moment = self.moment("http://127.0.0.1/v1.0".to_owned());
        match operation::read(method, target) {
            Ok((operation, query)) => {
                let mut state = self.state();
                let directory = &mut state.directory;
                directory
                    .carry_out(&operation, &query, body, &moment)
                    .status
            }
            Err(_) => 400,
        }
    }

    fn moment(&self, root: String) -> Moment {
        let mut state = self.state();
        Moment {
            now: unix_millis(),
            hidden_millis: state.faults.hidden_millis,
            id: state.ids.id(),
            root,
        }
    }

    /// Whoever asks for a token.
    fn token(&self, form: &[u8], endpoint: &str) -> Delivery {
        let secret = &self.0.settings.secret;
        Delivery::whole(self.state().tokens.give(form, secret, endpoint))
    }

    /// What a test or a demo wants to know or to have.
    fn control(&self, method: &Method, path: &str, body: &[u8]) -> Delivery {
        let answer = match (method, path) {
            (&Method::GET, "/stand-in/journal") => Answer::new(200, json!(self.journal())),
            (&Method::GET, "/stand-in/violations") => Answer::new(200, json!(self.violations())),
            (&Method::GET, "/stand-in/users") => Answer::new(200, json!(self.users())),
            (&Method::PUT, "/stand-in/faults") => match serde_json::from_slice(body) {
                Ok(faults) => {
                    self.misbehave(faults);
                    Answer::nothing()
                }
                Err(error) => Answer::error(400, "BadRequest", &error.to_string()),
            },
            _ => Answer::error(404, "NotFound", "there is nothing at this path"),
        };
        Delivery::whole(answer)
    }

    /// A request of Graph; `root`: up to the version of the API, as the client sees it.
    fn answer(
        &self,
        (method, target): (&str, &str),
        authorization: &str,
        body: Value,
        root: &str,
    ) -> Delivery {
        let is_batch = target == "/$batch";
        let (fate, slow) = {
            let mut state = self.state();
            let State {
                tokens,
                faults,
                dice,
                ..
            } = &mut *state;
            if dice.hits(faults.revoked_tokens) {
                tokens.revoke(authorization);
            }
            if !tokens.is_good(authorization) {
                let message = "Access token has expired or is not yet valid.";
                let answer = Answer::error(401, "InvalidAuthenticationToken", message);
                return Delivery::whole(answer);
            }
            let slow = match dice.hits(faults.slow) {
                true => faults.slow_millis,
                false => 0,
            };
            (dice.request(faults, is_batch), Duration::from_millis(slow))
        };
        let answer = match fate {
            Fate::Dropped => None,
            Fate::Throttled => Some(Answer::throttled(self.state().faults.retry_after)),
            fate => {
                let answered = fate == Fate::Answered;
                let call = Asked {
                    method,
                    target,
                    body,
                    batched: false,
                    answered,
                };
                Some(match is_batch {
                    true => self.batch(call, root),
                    false => self.call(call, root),
                })
            }
        };
        Delivery { answer, fate, slow }
    }

    fn batch(&self, batch: Asked<'_>, root: &str) -> Answer {
        if let Some(refusal) = self.violation(&batch, &Operation::Batch, &[]) {
            return refusal;
        }
        let requests = batch.body.get("requests").and_then(Value::as_array);
        let mut responses = Vec::new();
        for request in requests.into_iter().flatten() {
            let text = |member: &str| request.get(member).and_then(Value::as_str);
            let call = Asked {
                method: text("method").unwrap_or_default(),
                target: text("url").unwrap_or_default(),
                body: request.get("body").cloned().unwrap_or_default(),
                batched: true,
                answered: batch.answered,
            };
            let answer = self.call(call, root);
            let mut headers = json!({"Content-Type": "application/json"});
            if let (Some(seconds), Some(headers)) = (answer.retry_after, headers.as_object_mut()) {
                headers.insert("Retry-After".into(), seconds.to_string().into());
            }
            let mut response =
                json!({"id": text("id"), "status": answer.status, "headers": headers});
            if let (false, Some(response)) = (answer.body.is_null(), response.as_object_mut()) {
                response.insert("body".into(), answer.body);
            }
            responses.push(response);
        }
        // In any order.
        responses.reverse();
        Answer::new(200, json!({"responses": responses}))
    }

    fn call(&self, call: Asked<'_>, root: &str) -> Answer {
        let (operation, query) = match operation::read(call.method, call.target) {
            Ok(read) => read,
            Err(why) => return self.violated(&call, vec![why]),
        };
        let options = call.target.split_once('?').map(|(_, query)| query);
        let options = url::form_urlencoded::parse(options.unwrap_or_default().as_bytes());
        let options: Vec<String> = options.map(|(name, _)| name.into_owned()).collect();
        if let Some(refusal) = self.violation(&call, &operation, &options) {
            return refusal;
        }
        let moment = self.moment(root.to_owned());
        let mut state = self.state();
        let State { faults, dice, .. } = &mut *state;
        let fate = dice.call(faults);
        let retry_after = faults.retry_after;
        let done = match fate {
            CallFate::Throttled => Answer::throttled(retry_after),
            CallFate::Unavailable => Answer::error(503, "ServiceUnavailable", "try again later"),
            CallFate::Answered | CallFate::Late => {
                let directory = &mut state.directory;
                directory.carry_out(&operation, &query, &call.body, &moment)
            }
        };
        let number = u64::try_from(state.journal.len()).unwrap_or(u64::MAX);
        let (method, template) = operation.template();
        state.journal.push(Line {
            number,
            operation: format!("{method} {template}"),
            ids: ids(call.target, template),
            body: journal::shown(&call.body),
            status: done.status,
            committed: operation.is_change() && (200..300).contains(&done.status),
            batched: call.batched,
            answered: call.answered && fate != CallFate::Late,
        });
        match fate {
            CallFate::Late => Answer::error(504, "GatewayTimeout", "nobody knows"),
            _ => done,
        }
    }

    /// Refuses what Graph would not take.
    fn violation(
        &self,
        call: &Asked<'_>,
        operation: &Operation,
        options: &[String],
    ) -> Option<Answer> {
        let schemas = &self.0.schemas;
        let mut why = match operation.body() {
            Some(body) => schemas.check(body, &call.body),
            None if call.body.is_null() => Vec::new(),
            None => vec!["it takes no body".to_owned()],
        };
        if let Some(description) = schemas.description() {
            let said = description.check(operation.template(), options, &call.body);
            why.extend(said.unwrap_or_default());
        }
        (!why.is_empty()).then(|| self.violated(call, why))
    }

    fn violated(&self, call: &Asked<'_>, why: Vec<String>) -> Answer {
        let path = call.target.split('?').next().unwrap_or_default();
        let message = why.join("; ");
        self.state().violations.push(Violation {
            call: format!("{} {path}", call.method),
            why,
        });
        Answer::error(400, "Request_BadRequest", &message)
    }
}

/// A call, alone or of a batch.
struct Asked<'a> {
    method: &'a str,
    target: &'a str,
    body: Value,
    batched: bool,
    answered: bool,
}

/// What stands in the path where the template has braces.
fn ids(target: &str, template: &str) -> Vec<String> {
    let path = target.split('?').next().unwrap_or_default();
    let pairs = path.split('/').zip(template.split('/'));
    let ids = pairs.filter(|(_, template)| template.starts_with('{'));
    ids.map(|(id, _)| id.to_owned()).collect()
}
