use std::collections::BTreeSet;

use sekisho_domain::record::{Call, Caller};
use sekisho_domain::{DenialCode, Micros, RecordId, Stage, Tokens, UnixMillis, Usage, UsageSource};

use super::*;

/// The class and its objects as they were published; what of it is cut says the file.
const PUBLISHED: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/published/ocsf-1.8.0.json"
));

fn id() -> RecordId {
    RecordId::parse("019a9c3e-5b1c-7d3a-8f00-2b1c3d4e5f60").unwrap()
}

/// A record with every member.
fn full(kind: RecordKind) -> AuditRecord<'static> {
    let mut record = AuditRecord::new(kind, id(), UnixMillis(1_727_708_400_123));
    record.caller = Caller {
        tenant: Some("t".into()),
        object_id: Some("o".into()),
        user: Some("001".into()),
        department: Some("sales".into()),
        application: Some("a".into()),
        key: Some("k".into()),
        address: Some("10.1.2.3".into()),
    };
    record.call = Call {
        method: Some("POST".into()),
        path: Some("/v1/chat/completions".into()),
        api: Some("azure".into()),
        operation: Some("chat_completions".into()),
        model: Some("gpt-4o".into()),
        asked_model: Some("gpt-4o-latest".into()),
        sent_model: Some("chat-large".into()),
        upstream: Some("east*3+west".into()),
        stream: Some(true),
        request_id: Some("r".into()),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
    };
    record.detail = Some("more".into());
    record.status = Some(200);
    record.outcome = Some(Outcome::Answered);
    record.usage = Some(Usage {
        input: Tokens(3),
        output: Tokens(4),
        ..Usage::default()
    });
    record.usage_source = Some(UsageSource::Reported);
    record.cost_micros = Some(Micros(5));
    record.price_from = Some("2024-10-01".into());
    record.request_bytes = Some(10);
    record.response_bytes = Some(20);
    record.duration_millis = Some(1000);
    record.request_sha256 = Some("00ff".into());
    record.response_sha256 = Some("ff00".into());
    record.admitted_millis = Some(2);
    record.first_byte_millis = Some(700);
    record.answered_by = Some("east".into());
    record.attempts = Some(1);
    record
}

fn refused(mut record: AuditRecord<'static>) -> AuditRecord<'static> {
    record.denial = Some(DenialCode::MissingScope);
    record.stage = Some(Stage::Scope);
    record.status = Some(403);
    record
}

fn event_of(record: &AuditRecord<'_>) -> Value {
    event_of_body(serde_json::to_vec(record).unwrap())
}

fn event_of_body(body: Vec<u8>) -> Value {
    let entry = Entry {
        seq: 7,
        body,
        cost_micros: None,
    };
    let context = Context {
        log: "sekisho/Example/00000000".into(),
        providers: [("azure".to_owned(), "azure_openai")].into(),
    };
    let line = line(&entry, &context);
    assert!(!line.contains(&b'\n'));
    serde_json::from_slice(&line).unwrap()
}

#[test]
fn every_event_keeps_to_the_published_schema() {
    let mut aborted = full(RecordKind::Complete);
    aborted.outcome = Some(Outcome::Aborted);
    let mut unknown = full(RecordKind::Complete);
    unknown.outcome = Some(Outcome::Unknown);
    let bare = |kind| AuditRecord::new(kind, id(), UnixMillis(1));
    let records = [
        full(RecordKind::Admit),
        full(RecordKind::Complete),
        refused(full(RecordKind::Refuse)),
        refused(full(RecordKind::Complete)),
        aborted,
        unknown,
        bare(RecordKind::Admit),
        bare(RecordKind::Complete),
        refused(bare(RecordKind::Refuse)),
    ];
    for record in &records {
        check(&event_of(record));
    }
    check(&event_of_body(b"{\"kind\":\"dream\"}".to_vec()));
}

#[test]
fn what_is_no_call_is_an_event_of_its_own() {
    let mut record = AuditRecord::new(RecordKind::Event, id(), UnixMillis(1));
    record.caller.tenant = Some("t".into());
    record.caller.object_id = Some("o".into());
    record.event = Some(Box::new(Event {
        source: "sekisho".into(),
        name: "budget.set".into(),
        target: Some("sales-cost".into()),
        occurred_at: None,
        before: None,
        after: Some(json!({"limit": 1})),
        outcome: EventOutcome::Success,
        detail: None,
    }));
    let event = event_of(&record);
    check(&event);
    for (pointer, wanted) in [
        ("/activity_name", json!("Create")),
        ("/type_uid", json!(600_301)),
        ("/status_id", json!(1)),
        (
            "/api",
            json!({"operation": "budget.set", "service": {"name": "sekisho"}}),
        ),
        ("/resources", json!([{"name": "sales-cost"}])),
        ("/actor/user/uid", json!("o")),
    ] {
        assert_eq!(event.pointer(pointer), Some(&wanted), "{pointer}");
    }
    assert!(
        !event.to_string().contains("limit"),
        "what it was and is stays in the log"
    );
}

#[test]
fn the_check_itself_finds_what_is_wrong() {
    let sound = event_of(&full(RecordKind::Complete));
    type Spoil = fn(&mut Value);
    let broken: [(&str, Spoil); 6] = [
        ("required", |event| {
            drop(event.as_object_mut().unwrap().remove("actor"))
        }),
        ("unknown", |event| event["actor"]["nose"] = 1.into()),
        ("enum", |event| event["severity_id"] = 7.into()),
        ("type", |event| event["time"] = "now".into()),
        ("one of", |event| event["src_endpoint"] = json!({})),
        ("profile", |event| event["metadata"]["profiles"] = json!([])),
    ];
    for (what, spoil) in broken {
        let mut event = sound.clone();
        spoil(&mut event);
        assert!(!mistakes(&event).is_empty(), "{what}");
    }
}

#[test]
fn an_event_says_who_what_when_and_how_it_ended() {
    let event = event_of(&full(RecordKind::Complete));
    for (pointer, wanted) in [
        ("/class_uid", json!(6003)),
        ("/type_uid", json!(600_399)),
        ("/time", json!(1_727_708_400_123_u64)),
        ("/start_time", json!(1_727_708_399_123_u64)),
        ("/status_id", json!(1)),
        ("/disposition_id", json!(1)),
        (
            "/metadata/uid",
            json!("019a9c3e-5b1c-7d3a-8f00-2b1c3d4e5f60-complete"),
        ),
        ("/metadata/sequence", json!(7)),
        ("/actor/user/uid", json!("o")),
        ("/actor/user/name", json!("001")),
        ("/actor/user/groups/0/name", json!("sales")),
        ("/src_endpoint/ip", json!("10.1.2.3")),
        ("/api/operation", json!("chat_completions")),
        (
            "/ai_model",
            json!({"name": "gpt-4o", "ai_provider": "azure_openai"}),
        ),
        ("/message_context/total_tokens", json!(7)),
        ("/unmapped/cost_micros", json!(5)),
    ] {
        assert_eq!(event.pointer(pointer), Some(&wanted), "{pointer}");
    }
    let event = event_of(&refused(full(RecordKind::Refuse)));
    for (pointer, wanted) in [
        ("/status_id", json!(2)),
        ("/status_code", json!("missing_scope")),
        ("/action_id", json!(2)),
        ("/disposition", json!("Blocked")),
        ("/severity_id", json!(2)),
    ] {
        assert_eq!(event.pointer(pointer), Some(&wanted), "{pointer}");
    }
}

fn check(event: &Value) {
    let found = mistakes(event);
    assert!(found.is_empty(), "{found:#?}\n{event:#}");
}

/// What of an event the published schema does not allow.
fn mistakes(event: &Value) -> Vec<String> {
    let published: Value = serde_json::from_str(PUBLISHED).unwrap();
    let profiles = event["metadata"]["profiles"].as_array();
    let profiles = profiles.into_iter().flatten().filter_map(Value::as_str);
    let mut checking = Checking {
        objects: &published["objects"],
        profiles: profiles.collect(),
        found: Vec::new(),
    };
    checking.object("", event, &published["classes"]["api_activity"]);
    checking.found
}

struct Checking<'s> {
    objects: &'s Value,
    profiles: BTreeSet<&'s str>,
    found: Vec<String>,
}

impl Checking<'_> {
    fn object(&mut self, path: &str, value: &Value, schema: &Value) {
        let Some(members) = value.as_object() else {
            return self.found.push(format!("{path} is no object"));
        };
        let attributes = schema["attributes"].as_object().unwrap();
        let is_in_force = |attribute: &Value| {
            let of = attribute["profiles"].as_array();
            of.is_none_or(|of| {
                of.iter()
                    .any(|p| self.profiles.contains(p.as_str().unwrap()))
            })
        };
        let in_force: Vec<_> = attributes.iter().filter(|(_, a)| is_in_force(a)).collect();
        for (name, attribute) in &in_force {
            if attribute["requirement"] == "required" && !members.contains_key(*name) {
                self.found.push(format!("{path}/{name} is required"));
            }
        }
        if let Some(names) = schema["constraints"]["at_least_one"].as_array() {
            let has = |name: &Value| members.contains_key(name.as_str().unwrap());
            if !names.iter().any(has) {
                self.found.push(format!("{path} has none of {names:?}"));
            }
        }
        for (name, member) in members {
            let path = format!("{path}/{name}");
            match in_force.iter().find(|(known, _)| *known == name) {
                Some((_, attribute)) => self.attribute(&path, member, attribute),
                None => self.found.push(format!("{path} is unknown")),
            }
        }
    }

    fn attribute(&mut self, path: &str, value: &Value, attribute: &Value) {
        if attribute["is_array"] == true {
            let Some(items) = value.as_array() else {
                return self.found.push(format!("{path} is no array"));
            };
            for item in items {
                self.one(path, item, attribute);
            }
        } else {
            self.one(path, value, attribute);
        }
    }

    fn one(&mut self, path: &str, value: &Value, attribute: &Value) {
        let fits = match attribute["type"].as_str().unwrap() {
            "object_t" => {
                let name = attribute["object_type"].as_str().unwrap();
                match name {
                    "object" => value.is_object(),
                    name => {
                        let objects = self.objects;
                        self.object(path, value, &objects[name]);
                        true
                    }
                }
            }
            "integer_t" | "long_t" | "timestamp_t" | "port_t" => value.is_i64() || value.is_u64(),
            "boolean_t" => value.is_boolean(),
            _ => value.is_string(),
        };
        if !fits {
            self.found.push(format!("{path} is of another type"));
        }
        if let Some(allowed) = attribute["enum"].as_array() {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            if !allowed.iter().any(|one| one.as_str() == Some(&text)) {
                self.found.push(format!("{path} is not one of {allowed:?}"));
            }
        }
    }
}
