//! HTTP/2: pseudo-headers, trailers, frames.

use crate::case::{Case, Expect, Wire};
use crate::http2::Stream;
use crate::world::World;

const PATH: &str = "/v1/chat/completions";
const BODY: &[u8] = br#"{"model":"gpt-4o","max_tokens":8}"#;

pub(crate) fn cases(world: &World) -> Vec<Case> {
    let plain = Stream::post(PATH, &world.key, BODY);
    let mut cases = vec![case("a plain stream", plain.clone(), passes())];
    cases.extend(pseudo_headers(&plain));
    cases.extend(fields(world, &plain));
    cases.extend(bodies(world, &plain));
    cases
}

fn case(name: &str, stream: Stream, expect: Expect) -> Case {
    Case::new(name, Wire::Two(stream), expect).model("gpt-4o")
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

fn pseudo_headers(plain: &Stream) -> Vec<Case> {
    let set = |name: &str, value: &str| plain.clone().set(name, value);
    let first = |name: &str, value: &str| {
        let mut stream = plain.clone();
        let field = (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        stream.headers.insert(0, field);
        stream
    };
    let mut late = plain.clone();
    let path = late.headers.remove(3);
    late.headers.push(path);
    let extended = first(":protocol", "websocket").set(":method", "CONNECT");
    let mut connect = set(":method", "CONNECT")
        .without(":path")
        .without(":scheme");
    connect.data.clear();
    let mut cases = vec![
        case(
            "another authority and a host",
            set(":authority", "other.example").with("host", "gateway.test"),
            at_most(),
        ),
        case(
            "a host against the authority",
            plain.clone().with("host", "other.example"),
            at_most(),
        ),
        case(
            "a host and no authority",
            plain
                .clone()
                .without(":authority")
                .with("host", "x.example"),
            at_most(),
        ),
        case("neither", plain.clone().without(":authority"), at_most()),
        case(
            "two authorities",
            first(":authority", "other.example"),
            at_most(),
        ),
        case("two paths", first(":path", "/v1/files"), refused()),
        case("two methods", first(":method", "DELETE"), refused()),
        case("no path", plain.clone().without(":path"), refused()),
        case("no method", plain.clone().without(":method"), refused()),
        case("no scheme", plain.clone().without(":scheme"), at_most()),
        case("a late path", late, at_most()),
        case(
            "a pseudo-header that nobody knows",
            first(":x", "1"),
            at_most(),
        ),
        case(
            "an answer's pseudo-header",
            first(":status", "200"),
            at_most(),
        ),
        case("extended CONNECT", extended, refused()),
        case("CONNECT", connect, refused()),
        case("CONNECT with a path", set(":method", "CONNECT"), refused()),
    ];
    for scheme in ["https", "ftp", "", "http://other.example"] {
        cases.push(case(
            &format!("scheme `{scheme}`"),
            set(":scheme", scheme),
            at_most(),
        ));
    }
    for method in [
        "GET",
        "HEAD",
        "OPTIONS",
        "TRACE",
        "DELETE",
        "post",
        "",
        "POST POST",
    ] {
        let name = format!("method `{method}`");
        cases.push(case(&name, set(":method", method), refused()));
        let mut bare = set(":method", method);
        bare.data.clear();
        cases.push(case(&format!("{name} without a body"), bare, refused()));
    }
    for path in [
        "",
        "*",
        "v1/chat/completions",
        "http://gateway.test/v1/chat/completions",
        "/v1/chat%2fcompletions",
        "/v1/chat/completions/",
        "/V1/chat/completions",
        "/v1/chat/completions;x",
        "/v1/chat/completions%00",
        "/v1/chat/completions\0",
        "/v1/chat/completions x",
        "/v1/chat/completions\u{e9}",
        "/v1/files#/v1/chat/completions",
        "/v1/chat/completions?model=claude-sonnet",
        "/v1/chat/completions?key=x",
    ] {
        let name = format!("path `{}`", path.escape_debug());
        cases.push(case(&name, set(":path", path), refused()));
    }
    for path in [
        "//v1/chat/completions",
        "/v1/./chat/completions",
        "/x/../v1/chat/completions",
        "/v1/chat/completions#x",
    ] {
        cases.push(case(
            &format!("path `{path}`"),
            set(":path", path),
            at_most(),
        ));
    }
    cases
}

fn fields(world: &World, plain: &Stream) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, value) in [
        (b"x-any".as_slice(), b"a\xffb".as_slice()),
        (b"x-any", b"\x80"),
        (b"x-any", b"a\0b"),
        (b"x-any", b"a\r\nx-more: 1"),
        (b"x-any", b" a "),
        (b"x-request-id", b"\xff"),
        (b"x-forwarded-for", b"\xff"),
        (b"x-sekisho-cluster", b"bedrock"),
        (b"x-sekisho-cluster", b"\xff"),
        (b"x-envoy-original-path", b"/v1/files"),
        (b"connection", b"keep-alive"),
        (b"transfer-encoding", b"chunked"),
        (b"te", b"trailers"),
        (b"te", b"gzip"),
        (b"upgrade", b"websocket"),
        (b"http2-settings", b"AAMAAABkAARAAAAAAAIAAAAA"),
        (b"proxy-connection", b"close"),
        (b"X-Capital", b"1"),
        (b"x_api_key", b"1"),
        (b"x-\xff", b"1"),
        (b"x ", b"1"),
        (b"x:y", b"1"),
        (b"", b"1"),
        (b"content-length", b"4"),
        (b"content-length", b"33"),
        (b"content-length", b"-1"),
        (b"content-encoding", b"gzip"),
        (b"content-type", b"text/plain"),
    ] {
        let title = format!("`{}: {}`", name.escape_ascii(), value.escape_ascii());
        cases.push(case(
            &title,
            plain.clone().with_bytes(name, value),
            at_most(),
        ));
    }
    let malformed = || Expect::Refused(Some("malformed_credential"));
    let bare = plain.clone().without("api-key");
    let bearer = format!("Bearer {}", world.token);
    let odd = [b"Bearer ", world.token.as_bytes(), b"\xff"].concat();
    cases.extend([
        case(
            "a token",
            bare.clone().with("authorization", &bearer),
            passes(),
        ),
        case(
            "a token and a key",
            plain.clone().with("authorization", &bearer),
            malformed(),
        ),
        case(
            "two keys",
            plain.clone().with("api-key", &world.narrow_key),
            malformed(),
        ),
        case(
            "a token with a byte too many",
            bare.clone().with_bytes(b"authorization", &odd),
            malformed(),
        ),
        case(
            "a cookie in two crumbs",
            plain.clone().with("cookie", "a=1").with("cookie", "b=2"),
            passes(),
        ),
        case(
            "no credential",
            bare,
            Expect::Refused(Some("missing_credential")),
        ),
    ]);
    cases
}

fn bodies(world: &World, plain: &Stream) -> Vec<Case> {
    let with = |data: &[&[u8]]| {
        let mut stream = plain.clone();
        stream.data = data.iter().map(|piece| piece.to_vec()).collect();
        stream
    };
    let letters: Vec<&[u8]> = BODY.chunks(1).collect();
    let wrong = |length: &str| plain.clone().with("content-length", length);
    let narrow = |body: &[u8]| Stream::post(PATH, &world.narrow_key, body);
    let mut silent = plain.clone();
    silent.data.clear();
    let claude = br#"{"model":"claude-sonnet"}"#;
    vec![
        case("an empty frame last", with(&[BODY, b""]), passes()),
        case(
            "empty frames between",
            with(&[b"", &BODY[..5], b"", &BODY[5..], b"", b""]),
            passes(),
        ),
        case("a frame for each letter", with(&letters), passes()),
        case("no body at all", silent.clone(), refused()),
        case("an empty frame only", with(&[b""]), refused()),
        case("half a body", with(&[&BODY[..9]]), refused()),
        case("trailers", plain.clone().trailer("x-late", "1"), passes()),
        case(
            "trailers with a credential",
            plain.clone().trailer("api-key", "x"),
            passes(),
        ),
        case(
            "trailers with a cluster",
            plain.clone().trailer("x-sekisho-cluster", "bedrock"),
            passes(),
        ),
        case(
            "trailers with a path",
            plain.clone().trailer(":path", "/v1/files"),
            at_most(),
        ),
        case(
            "trailers that are no text",
            {
                let mut stream = plain.clone();
                stream.trailers = Some(vec![(b"x-late".to_vec(), b"\xff".to_vec())]);
                stream
            },
            at_most(),
        ),
        case(
            "trailers after half a body",
            with(&[&BODY[..9]]).trailer("x-late", "1"),
            refused(),
        ),
        case(
            "trailers and no body",
            silent.trailer("x-late", "1"),
            refused(),
        ),
        case(
            "trailers after another model",
            narrow(claude).trailer("x-late", "1"),
            Expect::Refused(Some("missing_scope")),
        ),
        case(
            "another model",
            narrow(claude),
            Expect::Refused(Some("missing_scope")),
        ),
        case("a length too short", wrong("10"), refused()),
        case("a length too long", wrong("1000"), refused()),
        case(
            "a length too long, and trailers",
            wrong("1000").trailer("x-late", "1"),
            refused(),
        ),
        case(
            "two lengths",
            wrong("33").with("content-length", "34"),
            refused(),
        ),
    ]
}
