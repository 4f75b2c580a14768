//! Records as JSON, what all records of a call have in common written once.
//!
//! The same bytes as serde would write, several times as fast: a test holds the two together.

use sekisho_domain::policy::Contents;
use sekisho_domain::record::{Call, Caller};
use sekisho_domain::{AuditRecord, Cut, Usage};

use crate::json::{Object, name};
use crate::{Passage, call, caller};

/// What a usual record takes, so that its buffer seldom grows.
const RECORD_BYTES: usize = 1024;

/// Who called and what, as it stands in every record of a call: its members `caller` and
/// `call`, each behind a comma.
#[derive(Clone, Debug, Default)]
pub struct About(Vec<u8>);

impl About {
    /// Of a call whose passage says by now all that its records shall say.
    #[must_use]
    pub fn new(passage: &Passage) -> Self {
        let mut json = Vec::with_capacity(RECORD_BYTES);
        let caller = caller(passage);
        if !caller.is_unknown() {
            json.extend_from_slice(name!("caller"));
            write_caller(&mut json, &caller);
        }
        json.extend_from_slice(name!("call"));
        write_call(&mut json, &call(passage));
        Self(json)
    }

    /// The JSON of a record that itself names nobody and nothing.
    pub(crate) fn record(&self, record: &AuditRecord<'_>) -> Vec<u8> {
        let AuditRecord {
            schema,
            kind,
            record_id,
            at,
            caller: _,
            call: _,
            denial,
            stage,
            detail,
            status,
            outcome,
            usage,
            usage_source,
            cost_micros,
            price_from,
            request_bytes,
            response_bytes,
            request_sha256,
            response_sha256,
            duration_millis,
            admitted_millis,
            first_byte_millis,
            answered_by,
            attempts,
            contents,
            request_kept,
            request_cut,
            response_kept,
            response_cut,
            // The sidecar stores them.
            sealed: _,
            // Gateways tell of calls alone.
            event: _,
        } = record;
        let mut json = Vec::with_capacity(RECORD_BYTES);
        let mut object = Object::begin(&mut json);
        object.text(name!("schema"), schema);
        object.plain(name!("kind"), kind.as_str().as_bytes());
        object.plain(name!("record_id"), &record_id.hyphenated());
        object.given_number(name!("at"), Some(at.0));
        object.members(&self.0);
        object.given(name!("denial"), denial.as_ref());
        object.given(name!("stage"), stage.as_ref());
        object.given_text(name!("detail"), detail.as_deref());
        object.given_number(name!("status"), status.map(u64::from));
        object.given(name!("outcome"), outcome.as_ref());
        if let Some(usage) = usage {
            object.object(name!("usage"), |object| write_usage(object, usage));
        }
        object.given(name!("usage_source"), usage_source.as_ref());
        object.given_number(name!("cost_micros"), cost_micros.map(|cost| cost.0));
        object.given_text(name!("price_from"), price_from.as_deref());
        object.given_number(name!("request_bytes"), *request_bytes);
        object.given_number(name!("response_bytes"), *response_bytes);
        object.given_text(name!("request_sha256"), request_sha256.as_deref());
        object.given_text(name!("response_sha256"), response_sha256.as_deref());
        object.given_number(name!("duration_millis"), *duration_millis);
        object.given_number(name!("admitted_millis"), *admitted_millis);
        object.given_number(name!("first_byte_millis"), *first_byte_millis);
        object.given_text(name!("answered_by"), answered_by.as_deref());
        object.given_number(name!("attempts"), attempts.map(u64::from));
        object.given_text(name!("contents"), contents.map(Contents::as_str));
        object.given_number(name!("request_kept"), *request_kept);
        object.given_text(name!("request_cut"), request_cut.map(Cut::as_str));
        object.given_number(name!("response_kept"), *response_kept);
        object.given_text(name!("response_cut"), response_cut.map(Cut::as_str));
        object.end();
        json
    }
}

fn write_usage(object: &mut Object<'_>, usage: &Usage) {
    let Usage {
        input,
        output,
        cached_input,
        cache_write_input,
        audio_input,
        image_input,
        reasoning_output,
        audio_output,
        image_output,
        bytes,
    } = usage;
    let some = |number: u64| (number > 0).then_some(number);
    object.given_number(name!("input"), Some(input.0));
    object.given_number(name!("output"), Some(output.0));
    object.given_number(name!("cached_input"), some(cached_input.0));
    object.given_number(name!("cache_write_input"), some(cache_write_input.0));
    object.given_number(name!("audio_input"), some(audio_input.0));
    object.given_number(name!("image_input"), some(image_input.0));
    object.given_number(name!("reasoning_output"), some(reasoning_output.0));
    object.given_number(name!("audio_output"), some(audio_output.0));
    object.given_number(name!("image_output"), some(image_output.0));
    object.given_number(name!("bytes"), some(bytes.0));
}

fn write_caller(json: &mut Vec<u8>, caller: &Caller<'_>) {
    let Caller {
        tenant,
        object_id,
        user,
        department,
        application,
        key,
        address,
    } = caller;
    let mut object = Object::begin(json);
    object.given_text(name!("tenant"), tenant.as_deref());
    object.given_text(name!("object_id"), object_id.as_deref());
    object.given_text(name!("user"), user.as_deref());
    object.given_text(name!("department"), department.as_deref());
    object.given_text(name!("application"), application.as_deref());
    object.given_text(name!("key"), key.as_deref());
    object.given_text(name!("address"), address.as_deref());
    object.end();
}

fn write_call(json: &mut Vec<u8>, call: &Call<'_>) {
    let Call {
        method,
        path,
        api,
        operation,
        model,
        asked_model,
        sent_model,
        upstream,
        stream,
        request_id,
        trace_id,
    } = call;
    let mut object = Object::begin(json);
    object.given_text(name!("method"), method.as_deref());
    object.given_text(name!("path"), path.as_deref());
    object.given_text(name!("api"), api.as_deref());
    object.given_text(name!("operation"), operation.as_deref());
    object.given_text(name!("model"), model.as_deref());
    object.given_text(name!("asked_model"), asked_model.as_deref());
    object.given_text(name!("sent_model"), sent_model.as_deref());
    object.given_text(name!("upstream"), upstream.as_deref());
    object.given(name!("stream"), stream.as_ref());
    object.given_text(name!("request_id"), request_id.as_deref());
    object.given_text(name!("trace_id"), trace_id.as_deref());
    object.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_domain::{
        ByteCount, DenialCode, Micros, Outcome, RecordId, RecordKind, Stage, Tokens, UnixMillis,
        UsageSource,
    };

    fn named() -> Passage {
        let text = |name: &str| format!("{name}\"\\\u{1}\"call\":{{}}関");
        Passage {
            method: text("method"),
            path: text("/v1"),
            request_id: text("request"),
            address: text("address"),
            tenant: text("tenant"),
            object_id: text("object"),
            user: text("user"),
            department: text("department"),
            application: text("application"),
            key: text("key"),
            api: text("api"),
            operation: text("operation"),
            model: text("model"),
            asked_model: text("asked"),
            sent_model: text("sent"),
            trace_id: text("trace"),
            upstream: text("upstream"),
            stream: true,
            ..Passage::default()
        }
    }

    #[test]
    fn a_record_is_written_as_serde_would_write_it() {
        let short = || AuditRecord::new(RecordKind::Admit, RecordId([9; 16]), UnixMillis(12));
        let full = || AuditRecord {
            denial: Some(DenialCode::MissingScope),
            stage: Some(Stage::Scope),
            detail: Some("of \"it\"".into()),
            status: Some(403),
            outcome: Some(Outcome::Aborted),
            usage: Some(Usage {
                input: Tokens(10),
                output: Tokens(9),
                cached_input: Tokens(8),
                cache_write_input: Tokens(7),
                audio_input: Tokens(6),
                image_input: Tokens(5),
                reasoning_output: Tokens(4),
                audio_output: Tokens(3),
                image_output: Tokens(2),
                bytes: ByteCount(1),
            }),
            usage_source: Some(UsageSource::Reported),
            cost_micros: Some(Micros(u64::MAX)),
            price_from: Some("2025-\"01".into()),
            request_bytes: Some(0),
            response_bytes: Some(1),
            request_sha256: Some("00ff".into()),
            response_sha256: Some("ff00".into()),
            duration_millis: Some(2),
            admitted_millis: Some(0),
            first_byte_millis: Some(1),
            answered_by: Some("a\u{1}b".into()),
            attempts: Some(3),
            contents: Some(Contents::Redacted),
            request_kept: Some(0),
            request_cut: Some(Cut::Form),
            response_kept: Some(7),
            response_cut: Some(Cut::Limit),
            ..short()
        };
        for passage in [named(), Passage::default()] {
            let bare = AuditRecord {
                usage: Some(Usage::default()),
                ..short()
            };
            for record in [short(), full(), bare] {
                let written = About::new(&passage).record(&record);
                let whole = AuditRecord {
                    caller: caller(&passage),
                    call: call(&passage),
                    ..record
                };
                let wanted = serde_json::to_string(&whole).unwrap();
                assert_eq!(String::from_utf8(written).unwrap(), wanted);
            }
        }
    }
}
