use proptest::prelude::*;
use serde_json::Value;

use super::*;

struct Nobody;

impl Visit for Nobody {
    type Field = ();
}

fn is_valid(parts: &[&[u8]]) -> bool {
    let mut scanner: Scanner<(), true> = Scanner::new(&[]);
    let read = parts
        .iter()
        .try_for_each(|part| scanner.push(part, &mut Nobody));
    read.is_ok() && scanner.is_complete()
}

/// serde_json's opinion; None where it has a limit of its own.
fn serde_says(bytes: &[u8]) -> Option<bool> {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => Some(value.is_object()),
        Err(error) => {
            let text = error.to_string();
            let own_limit = text.contains("out of range") || text.contains("recursion limit");
            (!own_limit).then_some(false)
        }
    }
}

pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z\\\\\"/é関 ]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_object() -> impl Strategy<Value = Vec<u8>> {
    (any_json(), any::<bool>()).prop_map(|(value, pretty)| {
        let object = serde_json::json!({"a": value, "b": "😀"});
        if pretty {
            serde_json::to_vec_pretty(&object).unwrap()
        } else {
            serde_json::to_vec(&object).unwrap()
        }
    })
}

/// Bytes that matter to a JSON parser.
fn telling_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        any::<u8>(),
        prop::sample::select(br#"{}[]",:\/u0123dD89aftrnl-+.eE "#.to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn arbitrary_json_is_valid_however_it_is_cut(bytes in any_object(), cut in any::<prop::sample::Index>()) {
        prop_assert!(is_valid(&[&bytes]));
        let (a, b) = bytes.split_at(cut.index(bytes.len() + 1));
        prop_assert!(is_valid(&[a, b]));
        prop_assert!(is_valid(&bytes.chunks(1).collect::<Vec<_>>()));
    }

    #[test]
    fn mutated_json_is_judged_as_serde_json_judges_it(
        bytes in any_object(),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), telling_byte(), 0..3u8), 1..4),
    ) {
        let mut bytes = bytes;
        for (at, byte, how) in mutations {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        if let Some(expected) = serde_says(&bytes) {
            prop_assert_eq!(is_valid(&[&bytes]), expected, "{}", String::from_utf8_lossy(&bytes));
            prop_assert_eq!(is_valid(&bytes.chunks(1).collect::<Vec<_>>()), expected);
            prop_assert_eq!(is_valid(&bytes.chunks(3).collect::<Vec<_>>()), expected);
        }
    }

    #[test]
    fn strings_of_telling_bytes_are_judged_alike(inner in prop::collection::vec(
        prop_oneof![
            Just(b"\\u".to_vec()), Just(b"\\".to_vec()), Just(b"d83d".to_vec()), Just(b"\\udE00".to_vec()),
            Just("関".as_bytes().to_vec()), Just(vec![0xe9]), Just(vec![0x96, 0xa2]), Just(b"a".to_vec()),
            Just(vec![0xf0, 0x9f]), Just(vec![0x98, 0x80]), Just(b"\"".to_vec()), Just(b"n".to_vec()), Just(vec![0x1f]),
        ], 0..8)
    ) {
        let bytes = [b"{\"k\":\"".to_vec(), inner.concat(), b"\"}".to_vec()].concat();
        let expected = serde_says(&bytes).unwrap();
        prop_assert_eq!(is_valid(&[&bytes]), expected, "{:?}", String::from_utf8_lossy(&bytes));
        prop_assert_eq!(is_valid(&bytes.chunks(1).collect::<Vec<_>>()), expected);
        prop_assert_eq!(is_valid(&bytes.chunks(2).collect::<Vec<_>>()), expected);
    }
}

#[test]
fn only_one_object_of_rfc_8259_is_valid() {
    for good in [
        "{}",
        " {} \r\n\t",
        r#"{"a":[0,-0,1e5,1E+2,-1.5e-3,10.25,[],{},true,false,null,""]}"#,
        r#"{"":"\"\\\/\b\f\n\r\t\u0000\ud83d\ude00é"}"#,
        r#"{"a":1e999}"#,
    ] {
        assert!(is_valid(&[good.as_bytes()]), "{good}");
    }
    for bad in [
        "",
        " ",
        "[]",
        "1",
        "\"a\"",
        "null",
        "{",
        "{}}",
        "{} {}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{\"a\":[1}",
        "{\"a\":{]}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":+1}",
        "{\"a\":-}",
        "{\"a\":1e}",
        "{\"a\":1e+}",
        "{\"a\":tru}",
        "{\"a\":truee}",
        "{\"a\":nul}",
        "{\"a\":\"\u{1}\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\ud800x\"}",
        "{\"a\":\"\\ud800\\n\"}",
        "{\"a\":\"\\ud800\\ud800\"}",
        "{\"a\":\"\\udc00\"}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\" 1}",
        "{\"a\":1,,\"b\":2}",
        "\u{feff}{}",
        "{\"a\":NaN}",
        "{\"a\":1}//",
        "{\"a\":1}\0",
    ] {
        assert!(!is_valid(&[bad.as_bytes()]), "{bad:?}");
    }
}

#[test]
fn depth_is_limited_to_128() {
    let nested = |depth: usize| {
        let arrays = depth - 1;
        format!("{{\"a\":{}{}}}", "[".repeat(arrays), "]".repeat(arrays))
    };
    assert!(is_valid(&[nested(128).as_bytes()]));
    assert!(!is_valid(&[nested(129).as_bytes()]));
    assert!(!is_valid(&["{\"a\":".repeat(100_000).as_bytes()]));
}
