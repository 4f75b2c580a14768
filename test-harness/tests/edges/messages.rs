//! Request lines, hosts, methods, framing and upgrades.

use crate::case::{Case, Expect, Wire};
use crate::http1::Message;
use crate::world::World;

const PATH: &str = "/v1/chat/completions";
const BODY: &[u8] = br#"{"model":"gpt-4o","max_tokens":8}"#;

pub(crate) fn cases(world: &World) -> Vec<Case> {
    let plain = Message::post(PATH, &world.key, BODY);
    let mut cases = vec![case("a plain request", &plain, passes())];
    cases.extend(hosts(&plain));
    cases.extend(methods(&plain));
    cases.extend(lines(&plain));
    cases.extend(lengths(&plain));
    cases.extend(chunked(&plain));
    cases.extend(fields(&plain));
    cases.extend(upgrades(&plain));
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

fn refused() -> Expect {
    Expect::Refused(None)
}

/// Where a request says that it goes makes no difference here.
fn hosts(plain: &Message) -> Vec<Case> {
    let two = plain.clone().with("Host", "other.example");
    let absolute = format!("POST http://other.example{PATH} HTTP/1.1");
    let odd = plain.clone().without("Host").with_bytes("Host", b"a\xffb");
    let mut cases = vec![
        case("two hosts", &two, at_most()),
        case("no host", &plain.clone().without("Host"), at_most()),
        case(
            "absolute, against the host",
            &plain.clone().line(&absolute),
            at_most(),
        ),
        case("a host that is no text", &odd, at_most()),
    ];
    for host in [
        "",
        "gateway.test:10000",
        "gateway.test:99999",
        "a@gateway.test",
        "gateway.test/v1/other",
        "gateway.test other",
        "[::1]:10000",
        "sekisho_sidecar",
        "GATEWAY.TEST",
        "gateway.test.",
        "gateway.test,other.example",
    ] {
        let message = plain.clone().set("Host", host);
        cases.push(case(&format!("host `{host}`"), &message, at_most()));
    }
    cases
}

fn methods(plain: &Message) -> Vec<Case> {
    let mut cases = Vec::new();
    for method in [
        "GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "TRACK", "post", "Post",
        "PROPFIND", "SEARCH", "QUERY",
    ] {
        let message = plain.clone().line(&format!("{method} {PATH} HTTP/1.1"));
        cases.push(case(&format!("{method} with a body"), &message, refused()));
        let mut bare = message.without("Content-Length").without("Content-Type");
        bare.body.clear();
        cases.push(case(&format!("{method} without a body"), &bare, refused()));
    }
    for field in [
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X-Original-Method",
    ] {
        let message = plain.clone().with(field, "DELETE");
        let hidden = case(field, &message, passes());
        cases.push(hidden.hides(field));
    }
    for field in [
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Forwarded-Prefix",
        "X-Forwarded-Host",
        "X-Forwarded-Uri",
    ] {
        let message = plain.clone().with(field, "/v1/files");
        let hidden = case(field, &message, passes());
        cases.push(hidden.hides(field));
    }
    cases
}

fn lines(plain: &Message) -> Vec<Case> {
    let mut cases = Vec::new();
    for line in [
        "CONNECT api.openai.com:443 HTTP/1.1",
        "CONNECT /v1/chat/completions HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "POST * HTTP/1.1",
        "POST  HTTP/1.1",
        "POST HTTP/1.1",
        "POST /v1/chat/completions",
        "POST /v1/chat/completions HTTP/2.0",
        "POST /v1/chat/completions HTTP/0.9",
        "POST /v1/chat/completions HTTP/1.1 HTTP/1.1",
        "POST /v1/other HTTP/1.1",
        "P\0ST /v1/chat/completions HTTP/1.1",
    ] {
        let name = format!("line `{}`", line.escape_default());
        cases.push(case(&name, &plain.clone().line(line), refused()));
    }
    for line in [
        "POST /v1/chat/completions HTTP/1.0",
        "POST /v1/chat/completions HTTP/1.2",
        "POST\t/v1/chat/completions\tHTTP/1.1",
        " POST /v1/chat/completions HTTP/1.1",
        "\r\nPOST /v1/chat/completions HTTP/1.1",
        "POST   /v1/chat/completions   HTTP/1.1",
    ] {
        let name = format!("line `{}`", line.escape_default());
        cases.push(case(&name, &plain.clone().line(line), at_most()));
    }
    cases
}

fn lengths(plain: &Message) -> Vec<Case> {
    let length = |value: &str| plain.clone().set("Content-Length", value);
    let right = BODY.len().to_string();
    let twice = plain.clone().with("Content-Length", &right);
    let two = plain.clone().with("Content-Length", "4");
    let mut empty = length("0");
    empty.body.clear();
    let bodyless = empty.clone().without("Content-Length");
    let mut cases = vec![
        case("two lengths", &two, at_most()),
        case("the same length twice", &twice, at_most()),
        case("an empty body", &empty, refused()),
        case("no length and no body", &bodyless, refused()),
    ];
    for value in ["33, 33", "+33", "033", "33 ", "3 3"] {
        cases.push(case(
            &format!("length `{value}`"),
            &length(value),
            at_most(),
        ));
    }
    for value in ["-1", "0x21", "18446744073709551649", "10", "", "a", "33.0"] {
        cases.push(case(
            &format!("length `{value}`"),
            &length(value),
            refused(),
        ));
    }
    cases
}

fn chunked(plain: &Message) -> Vec<Case> {
    let bare = plain.clone().without("Content-Length");
    let with = |coding: &str, body: Vec<u8>| {
        let mut message = bare.clone().with("Transfer-Encoding", coding);
        message.body = body;
        message
    };
    let plainly = || with("chunked", chunks(""));
    let and_length = plainly().with("Content-Length", "4");
    let mut more = and_length.clone().without("Connection");
    more.body
        .extend_from_slice(b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    let late_key = with("chunked", chunks("Api-Key: sk-sekisho-x\r\n")).without("Api-Key");
    let sized = |size: String| {
        let body = [size.as_bytes(), b"\r\n", BODY, b"\r\n0\r\n\r\n"].concat();
        with("chunked", body)
    };
    let mut cases = vec![
        case("chunked and a length", &and_length, at_most()),
        case("chunked, a length, and more behind", &more, at_most()),
        case(
            "a trailer",
            &with("chunked", chunks("X-Late: 1\r\n")),
            passes(),
        ),
        case(
            "a credential as trailer",
            &with("chunked", chunks("Api-Key: x\r\n")),
            passes(),
        ),
        case(
            "a cluster as trailer",
            &with("chunked", chunks("X-Sekisho-Cluster: bedrock\r\n")),
            passes(),
        ),
        case(
            "nothing but a trailer",
            &late_key,
            Expect::Refused(Some("missing_credential")),
        ),
        case(
            "a chunk extension",
            &sized(format!("{:x};a=b", BODY.len())),
            at_most(),
        ),
        case("a negative chunk", &sized("-1".to_owned()), refused()),
        case(
            "a chunk too large for a number",
            &sized("ffffffffffffffff1".to_owned()),
            refused(),
        ),
        case(
            "a chunk with a prefix",
            &sized(format!("0x{:x}", BODY.len())),
            at_most(),
        ),
    ];
    for coding in ["chunked", "Chunked"] {
        let message = with(coding, chunks(""));
        cases.push(case(
            &format!("transfer coding `{coding}`"),
            &message,
            passes(),
        ));
    }
    for coding in [
        "chunked, chunked",
        "gzip, chunked",
        "identity",
        "xchunked",
        "chunked, identity",
        "\u{b}chunked",
        "",
    ] {
        let message = with(coding, chunks(""));
        let name = format!("transfer coding `{}`", coding.escape_default());
        cases.push(case(&name, &message, at_most()));
    }
    cases
}

fn chunks(trailers: &str) -> Vec<u8> {
    let (one, two) = BODY.split_at(9);
    let mut bytes = Vec::new();
    for part in [one, two] {
        bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
    bytes
}

fn fields(plain: &Message) -> Vec<Case> {
    let named = |name: &str| {
        let mut message = plain.clone();
        message
            .headers
            .push((name.as_bytes().to_vec(), b"1".to_vec()));
        message
    };
    let mut feeds = plain.clone();
    feeds.line_end = b"\n";
    let folded = plain.clone().without("Api-Key");
    let folded = folded.with("Authorization", "Bearer\r\n a.b.c");
    vec![
        case(
            "expect: 100-continue",
            &plain.clone().with("Expect", "100-continue"),
            passes(),
        ),
        case(
            "expect something else",
            &plain.clone().with("Expect", "200-ok"),
            at_most(),
        ),
        case("line feeds alone", &feeds, at_most()),
        case("a blank before the colon", &named("X-Odd "), at_most()),
        case("a field without a name", &named(""), at_most()),
        case("a colon in a name", &named(":path"), at_most()),
        case(
            "a continued line",
            &plain.clone().with("X-Folded", "a\r\n b"),
            at_most(),
        ),
        case("a continued credential", &folded, refused()),
        case(
            "a NUL in a value",
            &plain.clone().with("X-Nul", "a\0b"),
            at_most(),
        ),
        case(
            "a carriage return in a value",
            &plain.clone().with("X-Cr", "a\rb"),
            at_most(),
        ),
    ]
}

fn upgrades(plain: &Message) -> Vec<Case> {
    let upgrade = |to: &str| {
        plain
            .clone()
            .set("Connection", "Upgrade, HTTP2-Settings, close")
            .with("Upgrade", to)
            .with("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")
            .with("Sec-WebSocket-Version", "13")
            .with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    };
    let mut cases = Vec::new();
    for to in [
        "websocket",
        "h2c",
        "TLS/1.0",
        "connect-udp",
        "websocket, h2c",
    ] {
        let name = format!("an upgrade to {to}");
        cases.push(case(&name, &upgrade(to), at_most()));
    }
    let mut socket = upgrade("websocket").line("GET /v1/realtime?model=gpt-4o HTTP/1.1");
    socket.body.clear();
    let socket = socket.without("Content-Length").without("Content-Type");
    cases.push(case("a realtime socket", &socket, refused()));
    cases
}
