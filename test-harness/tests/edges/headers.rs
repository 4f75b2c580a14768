//! Header fields: credentials beside credentials, names that only look the same, what is the
//! gateway's own, bytes that are no text, sizes.

use crate::case::{Case, Expect, Wire};
use crate::http1::Message;
use crate::world::World;

const PATH: &str = "/v1/chat/completions";
const BODY: &[u8] = br#"{"model":"gpt-4o","max_tokens":8}"#;

pub(crate) fn cases(world: &World) -> Vec<Case> {
    let plain = Message::post(PATH, &world.key, BODY);
    let mut cases = credentials(world, &plain);
    cases.extend(twins(world, &plain));
    cases.extend(internal(&plain));
    cases.extend(odd_bytes(&plain));
    cases.extend(sizes(&plain));
    cases
}

fn case(name: &str, message: &Message, expect: Expect) -> Case {
    Case::new(name, Wire::One(message.clone()), expect).model("gpt-4o")
}

fn passes() -> Expect {
    Expect::Passes(PATH.to_owned())
}

fn at_most() -> Expect {
    Expect::AtMost(PATH.to_owned())
}

fn malformed() -> Expect {
    Expect::Refused(Some("malformed_credential"))
}

fn missing() -> Expect {
    Expect::Refused(Some("missing_credential"))
}

fn credentials(world: &World, plain: &Message) -> Vec<Case> {
    let (key, token) = (&world.key, &world.token);
    let bare = || plain.clone().without("Api-Key");
    let authorised = |value: &str| bare().with("Authorization", value);
    let bearer = format!("Bearer {token}");
    let everywhere = plain
        .clone()
        .with("X-Api-Key", key)
        .with("X-Goog-Api-Key", key)
        .with("Ocp-Apim-Subscription-Key", key)
        .with("Authorization", &format!("Bearer {key}"));
    let capitals = bare().with("AUTHORIZATION", &format!("BEARER {token}"));
    let padded = authorised(&format!("  {bearer} \t "));
    let cookie = format!("api-key={key}; authorization={token}");
    let signature = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260115/us-east-1/bedrock/aws4_request, \
                     SignedHeaders=host, Signature=00";
    let also = |name: &str, value: &str| plain.clone().with(name, value);
    let hop = |name: &str| plain.clone().set("Connection", &format!("close, {name}"));
    let mut cases = vec![
        case("a token", &authorised(&bearer), passes()),
        case("bearer in capitals", &capitals, passes()),
        case("blanks around", &padded, passes()),
        case(
            "two blanks",
            &authorised(&format!("Bearer  {token}")),
            passes(),
        ),
        case("the same key in every place", &everywhere, passes()),
        case(
            "a token and a key",
            &also("Authorization", &bearer),
            malformed(),
        ),
        case(
            "two tokens",
            &authorised(&bearer).with("Authorization", "Bearer a.b.c"),
            malformed(),
        ),
        case(
            "a token twice",
            &authorised(&bearer).with("authorization", &bearer),
            malformed(),
        ),
        case(
            "an empty one before",
            &authorised("").with("Authorization", &bearer),
            at_most(),
        ),
        case("two keys", &also("Api-Key", &world.narrow_key), malformed()),
        case(
            "two keys in two places",
            &also("X-Api-Key", &world.narrow_key),
            malformed(),
        ),
        case(
            "two values in one field",
            &bare().with("Api-Key", &format!("{key},{key}")),
            malformed(),
        ),
        case(
            "two tokens in one field",
            &authorised(&format!("{bearer}, {bearer}")),
            malformed(),
        ),
        case(
            "two schemes in one field",
            &authorised(&format!("Basic eDp5, {bearer}")),
            malformed(),
        ),
        case("basic", &authorised("Basic dGFybzpwYXNz"), malformed()),
        case(
            "basic beside a key",
            &also("Authorization", "Basic dGFybzpwYXNz"),
            malformed(),
        ),
        case("a token without a scheme", &authorised(token), malformed()),
        case(
            "a tab after the scheme",
            &authorised(&format!("Bearer\t{token}")),
            malformed(),
        ),
        case("a SigV4 signature", &authorised(signature), malformed()),
        case(
            "a proxy's credential",
            &bare().with("Proxy-Authorization", &bearer),
            missing(),
        ),
        case("a cookie", &bare().with("Cookie", &cookie), missing()),
        case(
            "a credential in another field",
            &bare().with("X-Authorization", &bearer),
            missing(),
        ),
    ];
    for name in [
        "api-key",
        "content-type",
        "content-length",
        "host",
        "x-sekisho-cluster",
        "x-forwarded-for",
    ] {
        cases.push(case(&format!("a hop-by-hop {name}"), &hop(name), at_most()));
    }
    cases
}

/// What a server behind a CGI-like interface takes for the same field.
fn twins(world: &World, plain: &Message) -> Vec<Case> {
    let mut cases = Vec::new();
    for name in [
        "Api_Key",
        "X_Api_Key",
        "x_goog_api_key",
        "Authorization_",
        "HTTP_AUTHORIZATION",
        "Content_Length",
        "Content_Type",
        "Transfer_Encoding",
        "X_Sekisho_Cluster",
        "X_Forwarded_For",
    ] {
        let twin = plain.clone().with(name, "x");
        cases.push(case(
            &format!("beside it `{name}`"),
            &twin,
            Expect::Refused(None),
        ));
        let alone = plain.clone().without("Api-Key").with(name, &world.key);
        cases.push(case(
            &format!("only `{name}`"),
            &alone,
            Expect::Refused(None),
        ));
    }
    cases
}

/// What a client says in the gateway's name is not heard, and does not pass.
fn internal(plain: &Message) -> Vec<Case> {
    const FIELDS: [(&str, &str); 22] = [
        ("X-Sekisho-Cluster", "bedrock"),
        ("X-Sekisho-None", "bedrock"),
        ("x-sekisho-record", "00000000-0000-7000-8000-000000000000"),
        ("X-Sekisho-Denial", "none"),
        ("X-SEKISHO-anything", "1"),
        ("X-Envoy-Retry-On", "5xx"),
        ("X-Envoy-Max-Retries", "9"),
        ("X-Envoy-Original-Path", "/v1/files"),
        ("X-Envoy-Internal", "true"),
        ("X-Envoy-External-Address", "10.0.0.1"),
        ("X-Envoy-Upstream-Rq-Timeout-Ms", "1"),
        ("X-Envoy-Decorator-Operation", "x"),
        ("X-Envoy-Ip-Tags", "a"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Port", "1"),
        ("Forwarded", "for=10.0.0.1;proto=https"),
        ("X-Real-IP", "10.0.0.1"),
        ("X-Forwarded-Client-Cert", "By=x"),
        ("True-Client-IP", "10.0.0.1"),
        ("X-Goog-User-Project", "somebody-else"),
        ("X-Amz-Security-Token", "somebody-else"),
    ];
    let mut cases = Vec::new();
    for (name, value) in FIELDS {
        let message = plain.clone().with(name, value);
        cases.push(case(&format!("`{name}: {value}`"), &message, passes()).hides(name));
    }
    let twice = |message: Message, (name, value): &(&str, &str)| {
        message.with(name, value).with(&name.to_uppercase(), value)
    };
    let many = FIELDS.iter().take(12).fold(plain.clone(), twice);
    cases.push(case("twelve of them, each twice", &many, passes()));
    let id = plain.clone().with("X-Request-Id", "chosen-by-the-client");
    cases.push(case("a request id", &id, passes()));
    let alone = plain
        .clone()
        .without("Api-Key")
        .with("X-Sekisho-Principal", "wide")
        .with("X-Sekisho-Cluster", "openai");
    cases.push(case("a cluster and no credential", &alone, missing()));
    cases
}

/// RFC 9110 lets values have bytes over 127; nothing here may break on them.
fn odd_bytes(plain: &Message) -> Vec<Case> {
    const VALUES: [&[u8]; 5] = [
        b"a\xffb",
        b"\x80",
        b"\xc3\x28",
        b"\xed\xa0\x80",
        b"\xf0\x9f\x98\x80",
    ];
    let mut cases = Vec::new();
    let mut add = |name: &str, value: &[u8], from: &Message, expect: Expect| {
        let message = from.clone().without(name).with_bytes(name, value);
        let title = format!("`{name}: {}`", value.escape_ascii());
        cases.push(case(&title, &message, expect));
    };
    let bare = plain.clone().without("Api-Key");
    for value in VALUES {
        for name in [
            "User-Agent",
            "X-Request-Id",
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "Accept",
            "Accept-Encoding",
            "Traceparent",
            "X-Any",
            "X-Sekisho-Cluster",
            "X-Envoy-Any",
            "Cookie",
            "Proxy-Authorization",
            "Expect",
            "Te",
            "Via",
            "Referer",
            "Forwarded",
            "OpenAI-Organization",
            "X-HTTP-Method-Override",
            "Range",
            "Content-Type",
            "Content-Encoding",
            "Content-Length",
            "Transfer-Encoding",
            "Host",
            "Connection",
            "Upgrade",
        ] {
            add(name, value, plain, at_most());
        }
        for name in [
            "Authorization",
            "Api-Key",
            "X-Api-Key",
            "X-Goog-Api-Key",
            "Ocp-Apim-Subscription-Key",
        ] {
            add(name, value, &bare, malformed());
            add(name, value, plain, malformed());
        }
        let bearer = [b"Bearer ", value].concat();
        add("Authorization", &bearer, &bare, malformed());
    }
    // Every byte of the upper half, once.
    for byte in 0x80..=0xff_u8 {
        add("X-Any", &[b'a', byte], plain, at_most());
    }
    let mut named = plain.clone();
    named.headers.push((b"X-\xff".to_vec(), b"1".to_vec()));
    cases.push(case(
        "a name that is no text",
        &named,
        Expect::Refused(None),
    ));
    cases
}

fn sizes(plain: &Message) -> Vec<Case> {
    let large = |bytes: usize| plain.clone().with("X-Large", &"a".repeat(bytes));
    let add = |message: Message, at: usize| message.with(&format!("X-{at}"), "1");
    let many = |count: usize| (0..count).fold(plain.clone(), add);
    let same = (0..50).fold(plain.clone(), |message, _| message.with("X-Same", "1"));
    let bare = plain.clone().without("Api-Key");
    let mut cases = vec![
        case("a field of 16 KiB", &large(16 * 1024), passes()),
        case("a field of 50 KiB", &large(50 * 1024), passes()),
        case(
            "a field of 100 KiB",
            &large(100 * 1024),
            Expect::Refused(None),
        ),
        case("80 fields", &many(80), passes()),
        case("1000 fields", &many(1000), Expect::Refused(None)),
        case("a field 50 times", &same, passes()),
    ];
    for kilobytes in [8, 30, 50] {
        let part = "QUFB".repeat(kilobytes * 1024 / 12);
        let token = format!("Bearer {part}.{part}.{part}");
        let message = bare.clone().with("Authorization", &token);
        cases.push(case(
            &format!("a token of {kilobytes} KiB"),
            &message,
            malformed(),
        ));
        let key = format!("sk-sekisho-{}", "A".repeat(kilobytes * 1024));
        let message = bare.clone().with("Api-Key", &key);
        cases.push(case(
            &format!("a key of {kilobytes} KiB"),
            &message,
            malformed(),
        ));
    }
    cases
}
