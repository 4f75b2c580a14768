//! How many tokens an event shows at most.
//!
//! A token is at least one byte of text, so the bytes of all text in an event bound its tokens.
//! What is known not to be generated counts nothing; whatever is not known counts whole, with its
//! names, so that a member that a provider adds can only make the bound larger.

use serde_json::Value;

use super::StreamWire;

/// What each event counts besides: of what ends a turn or begins a call nothing may be shown.
const UNSEEN: u64 = 1;

/// Members that nobody has generated, with all that is in them.
const NOT_GENERATED: &[&str] = &[
    // OpenAI.
    "id",
    "object",
    "created",
    "created_at",
    "model",
    "system_fingerprint",
    "service_tier",
    "usage",
    "obfuscation",
    "logprobs",
    "finish_reason",
    "native_finish_reason",
    "index",
    "role",
    "type",
    "prompt_filter_results",
    "content_filter_results",
    "content_filter_result",
    "content_filter_offsets",
    "item_id",
    "output_index",
    "content_index",
    "summary_index",
    "sequence_number",
    "call_id",
    "status",
    "response",
    "expires_at",
    // Anthropic. What is signed has been counted.
    "stop_reason",
    "stop_sequence",
    "signature",
    "context_management",
    "container",
    "message",
    // Gemini.
    "usageMetadata",
    "modelVersion",
    "responseId",
    "finishReason",
    "finishMessage",
    "safetyRatings",
    "citationMetadata",
    "groundingMetadata",
    "urlContextMetadata",
    "avgLogprobs",
    "logprobsResult",
    "createTime",
    "promptFeedback",
    "thoughtSignature",
    "tokenCount",
    "thought",
    // Bedrock; `p` makes all frames look alike.
    "p",
    "metrics",
    "trace",
    "stopReason",
    "toolUseId",
    "contentBlockIndex",
    "metadata",
    "amazon-bedrock-invocationMetrics",
    "prompt_token_count",
    "generation_token_count",
    "inputTextTokenCount",
    "additionalModelResponseFields",
    "performanceConfig",
    "serviceTier",
    "messageStart",
    "messageStop",
    "contentBlockStop",
];

/// Members whose names are not generated, but what is in them.
const AROUND_TEXT: &[&str] = &[
    "choices",
    "delta",
    "content",
    "text",
    "tool_calls",
    "function",
    "function_call",
    "name",
    "arguments",
    "refusal",
    "reasoning",
    "reasoning_content",
    "audio",
    "data",
    "transcript",
    "item",
    "part",
    "annotations",
    "content_block",
    "partial_json",
    "thinking",
    "start",
    "toolUse",
    "input",
    "reasoningContent",
    "candidates",
    "parts",
    "output",
    "outputText",
    "generation",
    "completion",
    "contentBlockStart",
    "contentBlockDelta",
    "bytes",
];

/// Output tokens of one event, at most.
pub(super) fn of_event(wire: StreamWire, event: &Value) -> u64 {
    let kind = event.get("type").and_then(Value::as_str);
    if wire == StreamWire::Responses && kind.is_some_and(says_again) {
        return UNSEEN;
    }
    of(event).saturating_add(UNSEEN)
}

/// Whether events of this kind tell what others have told piece by piece.
fn says_again(kind: &str) -> bool {
    kind.ends_with(".done")
}

fn of(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.len() as u64,
        Value::Array(list) => list.iter().map(of).fold(0, u64::saturating_add),
        Value::Object(members) => {
            let each = members.iter().map(|(name, value)| of_member(name, value));
            each.fold(0, u64::saturating_add)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

fn of_member(name: &str, value: &Value) -> u64 {
    if NOT_GENERATED.contains(&name) {
        0
    } else if AROUND_TEXT.contains(&name) {
        of(value)
    } else if value.is_null() {
        0
    } else {
        let whole = name.len() as u64;
        whole.saturating_add(value.to_string().len() as u64)
    }
}
