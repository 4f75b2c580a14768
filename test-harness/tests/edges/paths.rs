//! Every path of the catalogue, written in every way that somebody may take for another path.

use sekisho_domain::{Modality, Provider};
use sekisho_providers::{ModelPlace, Operation, RequestBody, operations};

use crate::case::{Case, Expect, Wire};
use crate::http1::Message;
use crate::world::World;

const PROVIDERS: [Provider; 5] = [
    Provider::OpenAi,
    Provider::AzureOpenAi,
    Provider::Anthropic,
    Provider::Bedrock,
    Provider::Gemini,
];
const FILE: &str = "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--b--\r\n";

/// What a way to write a path must lead to.
#[derive(Clone, Copy)]
enum Means {
    /// The same path, or a refusal.
    Same,
    /// Nothing: it is a name of something else, or of nothing.
    Nothing,
}

/// One operation with a model, as its SDK would call it.
struct Call {
    operation: &'static Operation,
    path: String,
    model: &'static str,
    content_type: &'static str,
    body: String,
}

impl Call {
    fn of(operation: &'static Operation) -> Self {
        let model = match (operation.provider, operation.modality) {
            (Provider::AzureOpenAi, Modality::Audio) => "tts",
            (Provider::AzureOpenAi, Modality::Video) => "sora",
            (Provider::Anthropic, _) => "claude-sonnet",
            (Provider::Bedrock, _) => "anthropic.claude-3-5-sonnet-20240620-v1:0",
            (Provider::Gemini, _) => "gemini-2.0-flash",
            _ => "gpt-4o",
        };
        let (content_type, body) = match (operation.request, operation.model) {
            (RequestBody::Opaque, _) => ("multipart/form-data; boundary=b", FILE.to_owned()),
            (_, ModelPlace::Body) => (
                "application/json",
                format!(r#"{{"model":"{model}","max_tokens":8}}"#),
            ),
            _ => ("application/json", r#"{"max_tokens":8}"#.to_owned()),
        };
        let segment = model.replace(':', "%3A");
        Self {
            operation,
            path: operation.template.replace("{model}", &segment),
            model,
            content_type,
            body,
        }
    }

    fn case(&self, world: &World, way: &str, path: &str, expect: Expect) -> Case {
        let name = format!("{} {}, {way}: {path}", self.operation.name, self.path);
        let message = Message::post(path, &world.key, self.body.as_bytes());
        let message = message.set("Content-Type", self.content_type);
        Case::new(name, Wire::One(message), expect).model(self.model)
    }
}

pub(crate) fn cases(world: &World) -> Vec<Case> {
    let mut cases = Vec::new();
    let operations = PROVIDERS.iter().flat_map(|provider| operations(*provider));
    // One that concerns no model can be opened to nobody; a WebSocket is no such request, and a
    // form names its model in a part.
    let operations = operations.filter(|operation| {
        operation.model != ModelPlace::Nowhere
            && !operation.is_socket
            && operation.request != RequestBody::Form
            && world.opens(operation)
    });
    for call in operations.map(Call::of) {
        let path = call.path.clone();
        let plain = Expect::Passes(path.clone());
        cases.push(call.case(world, "as it is", &path, plain));
        for (way, written, means) in ways(&path) {
            let expect = match means {
                Means::Same => Expect::AtMost(path.clone()),
                Means::Nothing => Expect::Refused(None),
            };
            cases.push(call.case(world, way, &written, expect));
        }
    }
    cases.extend(models(world));
    cases.extend(bedrock(world));
    cases
}

/// Ways to write a path.
fn ways(path: &str) -> Vec<(&'static str, String, Means)> {
    use Means::{Nothing, Same};
    let (folder, leaf) = path.split_at(path.rfind('/').unwrap());
    let leaf = &leaf[1..];
    let first = path[1..].find('/').map_or(path.len(), |at| at + 1);
    let (root, below) = path.split_at(first);
    // Instead of the second slash.
    let slash = |other: &str| format!("{root}{other}{}", &below[1..]);
    let letter = leaf.chars().next().unwrap();
    let code = u32::from(letter);
    let rest = &leaf[1..];
    let mut ways = vec![
        ("its first slash doubled", format!("/{path}"), Same),
        ("another slash doubled", format!("{folder}//{leaf}"), Same),
        ("many slashes", slash(&"/".repeat(40)), Same),
        ("a dot segment", format!("{folder}/./{leaf}"), Same),
        ("a dot segment first", format!("/.{path}"), Same),
        ("a way up and down", format!("{folder}/x/../{leaf}"), Same),
        ("a way up beyond the root", format!("/../..{path}"), Same),
        (
            "an encoded dot segment",
            format!("{folder}/%2e/{leaf}"),
            Same,
        ),
        (
            "an encoded way up",
            format!("{folder}/x/%2e%2e/{leaf}"),
            Same,
        ),
        (
            "a half-encoded way up",
            format!("{folder}/x/.%2E/{leaf}"),
            Same,
        ),
        ("a dot segment last", format!("{path}/."), Nothing),
        ("a way up last", format!("{path}/x/.."), Nothing),
        ("a slash last", format!("{path}/"), Nothing),
        ("two slashes last", format!("{path}//"), Nothing),
        ("a dot last", format!("{path}."), Nothing),
        (
            "an encoded letter",
            format!("{folder}/%{code:02x}{rest}"),
            Same,
        ),
        (
            "a letter encoded twice",
            format!("{folder}/%25{code:02x}{rest}"),
            Nothing,
        ),
        ("an encoded slash", slash("%2f"), Nothing),
        (
            "an encoded slash first",
            format!("/%2f{}", &path[1..]),
            Nothing,
        ),
        ("an encoded slash last", format!("{path}%2F"), Nothing),
        ("a slash encoded twice", slash("%252F"), Nothing),
        (
            "a way up over an encoded slash",
            format!("{folder}/x%2f..%2f{leaf}"),
            Nothing,
        ),
        (
            "a way up encoded twice",
            format!("{folder}/x/%252e%252e/{leaf}"),
            Nothing,
        ),
        ("a backslash", slash("\\"), Same),
        ("an encoded backslash", slash("%5c"), Nothing),
        (
            "a way up over backslashes",
            format!("{folder}/x\\..\\{leaf}"),
            Same,
        ),
        ("an overlong slash", slash("%c0%af"), Nothing),
        ("a full-width slash", slash("%ef%bc%8f"), Nothing),
        ("a slash as IIS once read it", slash("%u002f"), Nothing),
        ("a half-finished code last", format!("{path}%2"), Nothing),
        ("a percent sign last", format!("{path}%"), Nothing),
        ("digits that are none", format!("{path}%zz"), Nothing),
        ("a parameter", format!("{root};x=1{below}"), Nothing),
        ("a parameter last", format!("{path};x=1"), Nothing),
        ("an empty parameter last", format!("{path};"), Nothing),
        ("an encoded semicolon", format!("{path}%3bx=1"), Nothing),
        (
            "a way up with a parameter",
            format!("{folder}/x/..;/{leaf}"),
            Same,
        ),
        ("a NUL", format!("{path}%00"), Nothing),
        ("a NUL and more", format!("{path}%00.json"), Nothing),
        (
            "an encoded line break",
            format!("{path}%0d%0ax:%20y"),
            Nothing,
        ),
        ("an encoded blank last", format!("{path}%20"), Nothing),
        ("an encoded tab last", format!("{path}%09"), Nothing),
        ("a plus sign last", format!("{path}+"), Nothing),
        ("an encoded question mark", format!("{path}%3fx=1"), Nothing),
        ("an encoded fragment", format!("{path}%23x"), Nothing),
        ("a fragment", format!("{path}#x"), Same),
        (
            "a fragment with a path",
            format!("{path}#/../../v1/other"),
            Same,
        ),
        (
            "another path before a fragment",
            format!("/v1/other#{path}"),
            Nothing,
        ),
        ("all capitals", path.to_uppercase(), Nothing),
        ("an extension", format!("{path}.json"), Nothing),
        ("a prefix", format!("/x{path}"), Nothing),
        (
            "a host in the path",
            format!("//gateway.test{path}"),
            Nothing,
        ),
        ("absolute", format!("http://other.example{path}"), Same),
        (
            "absolute, with another scheme",
            format!("https://gateway.test{path}"),
            Same,
        ),
        (
            "absolute, with a password",
            format!("http://a:b@gateway.test{path}"),
            Same,
        ),
        (
            "absolute, without a path",
            "http://gateway.test".to_owned(),
            Nothing,
        ),
        ("no slash first", path[1..].to_owned(), Nothing),
        ("a raw byte over 127", format!("{path}\u{e9}"), Nothing),
        ("a raw tab", format!("{path}\tx"), Nothing),
        ("a blank in it", format!("{folder}/ {leaf}"), Nothing),
    ];
    if letter.is_ascii_lowercase() {
        let capital = letter.to_ascii_uppercase();
        ways.push(("a capital", format!("{folder}/{capital}{rest}"), Nothing));
    }
    ways
}

/// Models in paths: what stands in the model's segment is one model to everybody.
fn models(world: &World) -> Vec<Case> {
    let body = br#"{"max_tokens":8}"#;
    let case = |key: &str, name: &str, path: &str, expect: Expect| {
        let message = Message::post(path, key, body);
        Case::new(format!("{name}: {path}"), Wire::One(message), expect)
    };
    let (wide, narrow) = (world.key.as_str(), world.narrow_key.as_str());
    let azure = |model: &str| format!("/openai/deployments/{model}/chat/completions");
    let passes = |path: &str| Expect::Passes(path.to_owned());
    let unknown = || Expect::Refused(Some("unknown_model"));
    let mut cases = vec![
        case(narrow, "may", &azure("gpt-4o"), passes(&azure("gpt-4o"))).model("gpt-4o"),
        case(narrow, "another API's model", &azure("tts"), unknown()),
        case(wide, "another operation's model", &azure("sora"), unknown()),
    ];
    for model in [
        "GPT-4O",
        "gpt-4o%20",
        "gpt-4o%00",
        "gpt-4o%2f",
        "gpt-4o%2ftts",
        "tts%2f..%2fgpt-4o",
        "..%2ftts",
        "%2e%2e",
        "gpt-4o%252f",
        "gpt-4o;tts",
        "gpt-4o,tts",
        "gpt-4o%2ctts",
        "gpt-4o:tts",
        "gpt-4o%0a",
        "gpt-4o%ff",
        "",
        "%",
        "gpt-4o%3f",
        "gpt-4o@tts",
        "gpt-4o+",
        "gpt\u{2212}4o",
    ] {
        cases.push(case(
            wide,
            "no such model",
            &azure(model),
            Expect::Refused(None),
        ));
    }
    for model in ["gpt%2D4o", "gpt%2d4o", "%67pt-4o", "x/../gpt-4o"] {
        let same = Expect::AtMost(azure("gpt-4o"));
        cases.push(case(wide, "the same model", &azure(model), same).model("gpt-4o"));
    }
    for leaf in [
        "gemini-2.0-flash%3AgenerateContent",
        "gemini-2.0-flash:countTokens:generateContent",
        "gemini-2.0-flash:generateContent:generateContent",
        "gemini-2.0-flash:GenerateContent",
        ":generateContent",
        "gemini-2.0-flash/:generateContent",
        "gemini-2.0-flash:generateContent:",
        "tuned%2Fgemini-2.0-flash:generateContent",
        "gemini-2.0-flash",
        "gemini-2.0-flash:",
        "gemini-2.0-flash:predict",
        "gemini-2.0-flash:generateContent%3AstreamGenerateContent",
    ] {
        let path = format!("/v1beta/models/{leaf}");
        cases.push(case(wide, "no operation", &path, Expect::Refused(None)));
    }
    cases
}

/// Model ids of Bedrock have colons, and ARNs slashes, which SDKs encode.
fn bedrock(world: &World) -> Vec<Case> {
    const ARN: &str = "arn:aws:bedrock:ap-northeast-1:123456789012:inference-profile/apac.claude";
    const RAW: &str = "anthropic.claude-3-5-sonnet-20240620-v1:0";
    let path = |model: &str| format!("/model/{model}/converse");
    let case = |name: &str, model: &str, expect: Expect| {
        let message = Message::post(&path(model), &world.key, br#"{"messages":[]}"#);
        let name = format!("{name}: {model}");
        Case::new(name, Wire::One(message), expect)
    };
    let encoded = ARN.replace(':', "%3A").replace('/', "%2F");
    let small = ARN.replace(':', "%3a").replace('/', "%2f");
    let passes = |model: &str| Expect::Passes(path(model));
    let mut cases = vec![
        case("an ARN", &encoded, passes(&encoded)).model(ARN),
        case("an ARN in small digits", &small, passes(&small)).model(ARN),
        case("a raw colon", RAW, passes(RAW)).model(RAW),
    ];
    for model in [
        ARN.to_owned(),
        format!("{encoded}%2F"),
        format!("{encoded}%2F.."),
        format!("x%2F..%2F{encoded}"),
        encoded.replace("%2F", "%252F"),
        encoded.replace("%2F", "%5C"),
        encoded.replace("%2F", "%2F%2F"),
        encoded.replace("%2F", "%2F.%2F"),
        format!("{encoded}%2Fconverse"),
        format!("{RAW}%2Fconverse-stream%3F"),
    ] {
        cases.push(case("no such ARN", &model, Expect::Refused(None)));
    }
    cases
}
