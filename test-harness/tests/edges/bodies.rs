//! Bodies: the model that is authorised is the model that any reader of the body finds.

use crate::case::{Case, Expect, Wire};
use crate::http1::Message;
use crate::world::World;

const OPENAI: &str = "/v1/chat/completions";
const AZURE: &str = "/openai/deployments/gpt-4o/chat/completions";
/// `{"model":"gpt-4o"}`, compressed.
const GZIP: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0xca, 0xcd, 0x4f, 0x49,
    0xcd, 0x51, 0xb2, 0x52, 0x4a, 0x2f, 0x28, 0xd1, 0x35, 0xc9, 0x57, 0xaa, 0x05, 0x00, 0x63, 0x70,
    0x35, 0x03, 0x12, 0x00, 0x00, 0x00,
];

pub(crate) fn cases(world: &World) -> Vec<Case> {
    let mut cases = models(world);
    cases.extend(documents(world));
    cases.extend(content_types(world));
    cases.extend(models_in_both_places(world));
    cases
}

/// Of a key that may use `gpt-4o`, and not `claude-sonnet`.
fn case(world: &World, body: &[u8], expect: Expect) -> Case {
    let message = Message::post(OPENAI, &world.narrow_key, body);
    let name = String::from_utf8_lossy(body).escape_debug().to_string();
    Case::new(name, Wire::One(message), expect).model("gpt-4o")
}

fn models(world: &World) -> Vec<Case> {
    let mut cases = Vec::new();
    for body in [
        r#"{"model":"gpt-4o"}"#,
        r#"{"\u006dodel":"gpt-4o"}"#,
        r#"{"m\u006Fdel":"gpt\u002d4o"}"#,
        r#"{"model":"gpt-4\u006f"}"#,
        r#" {  "model" : "gpt-4o" } "#,
        "\r\n\t{\"model\":\"gpt-4o\"}\r\n",
        r#"{"messages":[{"model":"claude-sonnet"}],"model":"gpt-4o"}"#,
        r#"{"x":"\",\"model\":\"claude-sonnet\",\"","model":"gpt-4o"}"#,
        r#"{"model ":"claude-sonnet","model":"gpt-4o"}"#,
        r#"{"models":["claude-sonnet"],"model":"gpt-4o"}"#,
    ] {
        cases.push(case(
            world,
            body.as_bytes(),
            Expect::Passes(OPENAI.to_owned()),
        ));
    }
    for body in [
        r#"{"model":"gpt-4o","model":"claude-sonnet"}"#,
        r#"{"model":"claude-sonnet","model":"gpt-4o"}"#,
        r#"{"model":"gpt-4o","model":"gpt-4o"}"#,
        r#"{"model":"gpt-4o","\u006dodel":"claude-sonnet"}"#,
        r#"{"\u006dodel":"claude-sonnet","model":"gpt-4o"}"#,
        r#"{"\u006d\u006f\u0064\u0065\u006c":"claude-sonnet"}"#,
        r#"{"model":"gpt-4o","Model":"claude-sonnet"}"#,
        r#"{"MODEL":"claude-sonnet","model":"gpt-4o"}"#,
        r#"{"model":"gpt-4o","mod\u0045l":"claude-sonnet"}"#,
        r#"{"Model":"gpt-4o"}"#,
        r#"{"model":"gpt-4o","model":null}"#,
        r#"{"model":null,"model":"claude-sonnet"}"#,
        r#"{"model":null}"#,
        r#"{"model":["gpt-4o"]}"#,
        r#"{"model":{"name":"gpt-4o"}}"#,
        r#"{"model":4}"#,
        r#"{"model":true}"#,
        r#"{"model":""}"#,
        r#"{"model":"GPT-4o"}"#,
        r#"{"model":"gpt-4o "}"#,
        r#"{"model":"gpt-4o\u0000"}"#,
        r#"{"model":"gpt-4o\n"}"#,
        r#"{"model":"openai/gpt-4o"}"#,
        r#"{"model":"gpt-4o","max_tokens":1,"max_tokens":100000}"#,
        r#"{"model":"gpt-4o","stream":false,"stream":true}"#,
        r#"{"model":"gpt-4o","n":1,"n":100}"#,
        r#"{"messages":[]}"#,
        "{}",
    ] {
        cases.push(case(world, body.as_bytes(), Expect::Refused(None)));
    }
    cases
}

fn documents(world: &World) -> Vec<Case> {
    let wide: Vec<u8> = r#"{"model":"gpt-4o"}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [b"\xff\xfe".as_slice(), &wide].concat();
    let deep = format!(
        r#"{{"model":"gpt-4o","x":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let texts: [&[u8]; 27] = [
        b"\xef\xbb\xbf{\"model\":\"gpt-4o\"}",
        &wide,
        &marked,
        GZIP,
        deep.as_bytes(),
        br#"{"model":"gpt-4o"}{"model":"claude-sonnet"}"#,
        b"{\"model\":\"gpt-4o\"}\n{\"model\":\"claude-sonnet\"}",
        br#"{"model":"gpt-4o"}x"#,
        b"{\"model\":\"gpt-4o\"}\0",
        br#"{"model":"gpt-4o"},"#,
        br#"{"model":"gpt-4o""#,
        br#"{"model":"gpt-4o",}"#,
        br#"{"model":"gpt-4o" "model":"claude-sonnet"}"#,
        br#"{'model':'gpt-4o'}"#,
        br#"{model:"gpt-4o"}"#,
        br#"{"model":"gpt-4o",/*"model":"claude-sonnet"*/"x":1}"#,
        b"{\"model\":\"gpt-4o\",//\n\"model\":\"claude-sonnet\"}",
        b"{\"model\":\"gpt-4o\",\"x\":\"a\nb\"}",
        b"{\"model\":\"gpt-4o\",\"x\":\"a\xffb\"}",
        b"{\"model\":\"gpt-4o\",\"x\":\"\xc0\xa2,\"}",
        br#"{"model":"gpt-4o","x":"\ud800"}"#,
        br#"{"model":"gpt-4o","x":NaN}"#,
        br#"{"model":"gpt-4o","x":01}"#,
        br#"[{"model":"gpt-4o"}]"#,
        br#""model""#,
        b"null",
        b" ",
    ];
    let mut cases = Vec::new();
    for text in texts {
        let mut case = case(world, text, Expect::Refused(Some("invalid_body")));
        case.name.truncate(case.name.floor_char_boundary(80));
        cases.push(case);
    }
    cases
}

/// JSON operations take JSON in UTF-8, uncompressed: everything else may be read differently.
fn content_types(world: &World) -> Vec<Case> {
    let body = br#"{"model":"gpt-4o","x":"&model=claude-sonnet&"}"#;
    let plain = Message::post(OPENAI, &world.narrow_key, body);
    let with = |name: &str, value: &str, expect: Expect| {
        let message = plain.clone().without(name).with(name, value);
        let title = format!("`{name}: {value}`");
        Case::new(title, Wire::One(message), expect).model("gpt-4o")
    };
    let passes = || Expect::Passes(OPENAI.to_owned());
    let refused = || Expect::Refused(Some("unsupported_content"));
    let mut cases = Vec::new();
    for value in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "application/json; charset=\"utf-8\"",
        "application/json ; charset=utf-8",
    ] {
        cases.push(with("Content-Type", value, passes()));
    }
    for value in [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "text/plain;application/json",
        "application/json; charset=utf-7",
        "application/json; charset=utf-16",
        "application/json; charset=utf-8; charset=utf-7",
        "application/json; charset=ibm037",
        "application/json; boundary=x",
        "application/json, text/plain",
        "application/jsonp",
        "application/json-seq",
        "application/x-ndjson",
        "application/grpc",
        "application/octet-stream",
        "application/xml",
        "json",
    ] {
        cases.push(with("Content-Type", value, refused()));
    }
    let two = plain.clone().with("Content-Type", "text/plain");
    cases.push(Case::new("two content types", Wire::One(two), refused()));
    let none = plain.clone().without("Content-Type");
    let none = Case::new("no content type", Wire::One(none), passes());
    cases.push(
        none.model("gpt-4o")
            .sees("content-type", "application/json"),
    );
    cases.push(with("Content-Encoding", "identity", passes()));
    for value in [
        "gzip",
        "deflate",
        "br",
        "zstd",
        "GZIP",
        "identity, gzip",
        "x",
    ] {
        cases.push(with("Content-Encoding", value, refused()));
    }
    let compressed =
        Message::post(OPENAI, &world.narrow_key, GZIP).with("Content-Encoding", "gzip");
    cases.push(Case::new(
        "a compressed body",
        Wire::One(compressed),
        refused(),
    ));
    cases
}

/// Where the path names the model, what the body says does not count, and nobody may think so.
fn models_in_both_places(world: &World) -> Vec<Case> {
    let mut cases = Vec::new();
    for (path, to, body) in [
        (AZURE, AZURE, r#"{"model":"gpt-4o"}"#),
        (AZURE, AZURE, r#"{"model":"tts"}"#),
        (AZURE, AZURE, r#"{"x":1,"model":"claude-sonnet" , "y":2}"#),
        (AZURE, AZURE, r#"{"messages":[]}"#),
    ] {
        let message = Message::post(path, &world.narrow_key, body.as_bytes());
        let wire = Wire::One(message);
        let case = Case::new(
            format!("{path} {body}"),
            wire,
            Expect::AtMost(to.to_owned()),
        );
        cases.push(case.model("gpt-4o"));
    }
    cases
}
