//! One odd request, and what may come of it.

use sekisho_test_harness::gateway::Seen;
use serde_json::Value;

use crate::http1::Message;
use crate::http2::Stream;

/// The header by which a call is known again at the provider's.
pub(crate) const TAG: &str = "x-edge";

/// What is sent.
pub(crate) enum Wire {
    /// These bytes, on an HTTP/1.1 connection.
    One(Message),
    /// These frames, on an HTTP/2 connection.
    Two(Stream),
}

/// What may come of it.
pub(crate) enum Expect {
    /// A provider executes `POST` on exactly this path.
    Passes(String),
    /// That, or nothing at all.
    AtMost(String),
    /// No provider is asked. A code: the filters refuse it so, or none: however.
    Refused(Option<&'static str>),
}

/// One odd request.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) wire: Wire,
    pub(crate) expect: Expect,
    /// The model that is authorised if it passes.
    pub(crate) model: Option<String>,
    /// A header field that no provider may see.
    pub(crate) hidden: Option<String>,
    /// A header field that the provider must see so.
    pub(crate) shown: Option<(&'static str, &'static str)>,
}

/// What the client got.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// None: the connection or stream ended without an answer.
    pub(crate) status: Option<u16>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// Answers on the same connection, the first included.
    pub(crate) answers: usize,
}

pub(crate) fn header(headers: &[(String, Vec<u8>)], name: &str) -> Option<String> {
    let (_, value) = headers.iter().find(|(n, _)| n == name)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

impl Case {
    pub(crate) fn new(name: impl Into<String>, wire: Wire, expect: Expect) -> Self {
        Self {
            name: name.into(),
            wire,
            expect,
            model: None,
            hidden: None,
            shown: None,
        }
    }

    pub(crate) fn of(mut self, table: &str) -> Self {
        self.name = format!("{table}: {}", self.name);
        self
    }

    pub(crate) fn model(mut self, model: &str) -> Self {
        self.model = Some(model.to_owned());
        self
    }

    pub(crate) fn hides(mut self, name: &str) -> Self {
        self.hidden = Some(name.to_lowercase());
        self
    }

    pub(crate) fn sees(mut self, name: &'static str, value: &'static str) -> Self {
        self.shown = Some((name, value));
        self
    }

    /// What is not as it must be.
    pub(crate) fn judge(&self, outcome: &Outcome, seen: &[Seen]) -> Vec<String> {
        let mut wrong = Vec::new();
        if seen.len() > 1 {
            wrong.push(format!("one request became {}", seen.len()));
        }
        for seen in seen {
            let shown = |name: &str| header(&seen.headers, name);
            if let Some(value) = self.hidden.as_ref().and_then(|name| shown(name)) {
                wrong.push(format!("the provider saw `{value}`"));
            }
            if let Some((name, value)) = self.shown
                && shown(name).as_deref() != Some(value)
            {
                wrong.push(format!("the provider saw {:?} as `{name}`", shown(name)));
            }
        }
        let denial = header(&outcome.headers, "x-sekisho-denial");
        let got = format!("{:?} {denial:?}", outcome.status);
        match (&self.expect, seen.first()) {
            (Expect::Passes(_), None) => wrong.push(format!(
                "it was to pass; answer {got} {}",
                String::from_utf8_lossy(&outcome.body)
            )),
            (Expect::Passes(path) | Expect::AtMost(path), Some(seen)) => {
                if (seen.method.as_str(), seen.path.as_str()) != ("POST", path) {
                    wrong.push(format!(
                        "the provider executed {} {}, not POST {path}",
                        seen.method, seen.path
                    ));
                }
                if outcome.status != Some(200) {
                    wrong.push(format!("it passed; answer {got}"));
                }
            }
            (Expect::Refused(_), Some(seen)) => wrong.push(format!(
                "it was to be refused; the provider executed {} {} {}",
                seen.method,
                seen.path,
                String::from_utf8_lossy(&seen.body)
            )),
            (Expect::Refused(Some(code)), None) => {
                if denial.as_deref() != Some(*code) {
                    wrong.push(format!("it was to be refused as `{code}`; answer {got}"));
                }
            }
            (Expect::AtMost(_) | Expect::Refused(None), None) => {
                // What Envoy itself refuses is no answer of the filters, but never a success.
                if outcome.status.is_some_and(|status| status < 400) {
                    wrong.push(format!("nobody was asked; answer {got}"));
                }
            }
        }
        wrong
    }
}

/// A call that reached a provider.
pub(crate) struct Passed {
    pub(crate) record: String,
    pub(crate) model: Option<String>,
}

impl Passed {
    /// How what the provider executed differs from what was admitted.
    pub(crate) fn disagreements(&self, admit: &Value, seen: &Seen) -> Vec<String> {
        let mut wrong = Vec::new();
        let call = &admit["call"];
        let recorded = |member: &str| call[member].as_str().unwrap_or_default();
        let path = seen.path.split('?').next().unwrap_or_default();
        let mut compare = |what: &str, executed: &str, admitted: &str| {
            if executed != admitted {
                wrong.push(format!(
                    "the provider executed {what} `{executed}`, admitted was `{admitted}`"
                ));
            }
        };
        compare("method", &seen.method, recorded("method"));
        compare("path", path, recorded("path"));
        compare("cluster", &seen.cluster, recorded("upstream"));
        if let Some(model) = &self.model {
            compare("model", model, recorded("model"));
        }
        // Whichever of several members a provider would believe.
        for model in models(&seen.body) {
            compare("the body's model", &model, recorded("model"));
        }
        wrong
    }
}

/// Every top-level `model` of a JSON body, in any case.
fn models(body: &[u8]) -> Vec<String> {
    struct Members(Vec<String>);
    impl<'de> serde::Deserialize<'de> for Members {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Members;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<Members, A::Error> {
                    let mut found = Vec::new();
                    while let Some((name, value)) = map.next_entry::<String, Value>()? {
                        if name.eq_ignore_ascii_case("model") {
                            found.push(value.as_str().unwrap_or_default().to_owned());
                        }
                    }
                    Ok(Members(found))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }
    serde_json::from_slice::<Members>(body).map_or_else(|_| Vec::new(), |members| members.0)
}
