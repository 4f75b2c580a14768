//! What must hold for any bytes: nothing traps, and how they are cut makes no difference. The
//! fuzz targets run the same functions for longer.

use sekisho_domain::Provider;
use sekisho_providers::{
    ClientSide, Operation, RequestScan, ServerSide, UsageMeter, UsageSieve, operations,
};

/// Long enough for every state of a reader, short enough for many rounds.
const SIZES: [usize; 5] = [1, 2, 3, 7, 64];

fn operation(provider: Provider, name: &str) -> Option<&'static Operation> {
    let mut all = operations(provider).iter();
    all.find(|operation| operation.name == name)
}

fn scanned(operation: &'static Operation, content_type: &[u8], bytes: &[u8]) {
    let read = |size: usize| {
        let mut scan = RequestScan::new(operation, Some(content_type), None);
        for chunk in bytes.chunks(size) {
            scan.push(chunk)?;
        }
        scan.finish()
    };
    let whole = read(usize::MAX);
    for size in SIZES {
        assert_eq!(read(size), whole);
    }
    if let Ok(facts) = whole {
        assert_eq!(facts.bytes, bytes.len() as u64);
        if let Some(span) = facts.model_span {
            assert!(span.start < span.end && span.end <= facts.bytes);
        }
    }
}

/// As the JSON body of a request.
pub(crate) fn request(bytes: &[u8]) {
    for (provider, name) in [
        (Provider::OpenAi, "chat_completions"),
        (Provider::Gemini, "generate_content"),
        (Provider::Bedrock, "converse"),
    ] {
        let operation = operation(provider, name).expect("the catalogue has it");
        scanned(operation, b"application/json", bytes);
    }
}

/// As the form of a request.
pub(crate) fn form(bytes: &[u8]) {
    let operation = operation(Provider::OpenAi, "audio_transcriptions");
    let operation = operation.expect("the catalogue has it");
    scanned(operation, b"multipart/form-data; boundary=b", bytes);
}

/// As an answer: JSON, server-sent events or an AWS event stream, as the bytes have it.
pub(crate) fn answer(bytes: &[u8]) {
    for (provider, name) in [
        (Provider::OpenAi, "chat_completions"),
        (Provider::Anthropic, "messages"),
        (Provider::Gemini, "stream_generate_content"),
        (Provider::Bedrock, "converse_stream"),
        (Provider::Bedrock, "invoke_stream"),
    ] {
        let operation = operation(provider, name).expect("the catalogue has it");
        let read = |size: usize| {
            let mut meter = UsageMeter::new(operation);
            bytes.chunks(size).for_each(|chunk| meter.push(chunk));
            (meter.usage(), meter.broke_off())
        };
        let whole = read(usize::MAX);
        for size in SIZES {
            assert_eq!(read(size), whole, "{name}");
        }
        if let Some(usage) = whole.0 {
            assert!(usage.cached_input <= usage.input && usage.reasoning_output <= usage.output);
        }
    }
}

/// As a stream of which the report of usage is left out.
pub(crate) fn sieve(bytes: &[u8]) {
    let read = |size: usize| {
        let mut sieve = UsageSieve::new();
        let mut out = Vec::new();
        for chunk in bytes.chunks(size) {
            match sieve.push(chunk, false) {
                Some(instead) => out.extend(instead),
                None => out.extend_from_slice(chunk),
            }
        }
        out.extend(sieve.push(b"", true).unwrap_or_default());
        out
    };
    let whole = read(usize::MAX);
    for size in SIZES {
        assert_eq!(read(size), whole);
    }
    // What is left out is left out, and everything else stands in its order.
    let mut rest = bytes.iter();
    assert!(whole.iter().all(|byte| rest.any(|other| other == byte)));
}

/// Through a WebSocket, from either side.
pub(crate) fn session(bytes: &[u8]) {
    let said = |size: usize| {
        let mut side = ClientSide::new(vec!["m".to_owned()]);
        let mut events = Vec::new();
        let mut pieces = bytes.chunks(size);
        let ended = pieces.try_for_each(|piece| side.push(piece, |event| events.push(event)));
        (events, ended)
    };
    let heard = |size: usize| {
        let mut side = ServerSide::default();
        let mut events = Vec::new();
        let mut pieces = bytes.chunks(size);
        let ended = pieces.try_for_each(|piece| side.push(piece, |event| events.push(event)));
        (events, ended)
    };
    let whole = (said(usize::MAX), heard(usize::MAX));
    for size in SIZES {
        assert_eq!((said(size), heard(size)), whole);
    }
}
