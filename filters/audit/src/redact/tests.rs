use proptest::prelude::*;

use super::*;

fn redaction() -> Arc<Redaction> {
    let patterns = ["EMP-[0-9]{6}", "社員[0-9]{4}"];
    let patterns = patterns.map(|text| Pattern::parse(text).unwrap());
    Arc::new(Redaction::new(patterns.into()))
}

fn redacted_in(pieces: &[&[u8]]) -> Vec<u8> {
    let mut redactor = Redactor::new(redaction());
    let mut out = Vec::new();
    for piece in pieces {
        redactor.push(piece, &mut out);
    }
    redactor.finish(&mut out);
    out
}

fn redacted(text: &str) -> String {
    String::from_utf8(redacted_in(&[text.as_bytes()])).unwrap()
}

/// A My Number with the right check digit, from the law's example of the calculation.
const MY_NUMBER: &str = "123456789018";

#[test]
fn what_is_secret_is_taken_out_and_the_rest_stays() {
    for (text, expected) in [
        ("card 4111 1111 1111 1111.", "card [redacted:card]."),
        ("4111-1111-1111-1111", "[redacted:card]"),
        ("a4111111111111111b", "a[redacted:card]b"),
        ("378282246310005 12/28 123", "[redacted:card] 12/28 123"),
        ("4111 1111 1111 1111 123", "[redacted:card] 123"),
        ("7 4111 1111 1111 1111", "7 [redacted:card]"),
        ("４１１１　１１１１　１１１１　１１１１", "[redacted:card]"),
        ("カード4111111111111111です", "カード[redacted:card]です"),
        ("mail taro@example.co.jp, ok", "mail [redacted:email], ok"),
        ("<a.b+c@mail.example.com>", "<[redacted:email]>"),
        ("電話は090-1234-5678です", "電話は[redacted:phone]です"),
        ("０３－１２３４－５６７８", "[redacted:phone]"),
        ("+81 90-1234-5678", "[redacted:phone]"),
        ("(03) 1234-5678", "[redacted:phone]"),
        ("415-555-0132 at 10", "[redacted:phone] at 10"),
        ("番号 1234 5678 9018。", "番号 [redacted:my_number]。"),
        (MY_NUMBER, "[redacted:my_number]"),
        (
            "key sk-abcdefghijklmnop-1234 end",
            "key [redacted:secret] end",
        ),
        (
            "Authorization: Bearer abcdefgh12345678",
            "Authorization: [redacted:secret]",
        ),
        ("ghp_abcdefghijklmnopqrst0123456789", "[redacted:secret]"),
        (
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln x",
            "[redacted:secret] x",
        ),
        (
            r#"{"password": "with a space", "a": 1}"#,
            r#"{"password": "[redacted:secret]", "a": 1}"#,
        ),
        (
            r#"{\"apiKey\": \"12\"}"#,
            r#"{\"apiKey\": \"[redacted:secret]\"}"#,
        ),
        (
            "DB_PASSWORD=hunter22&x=1",
            "DB_PASSWORD=[redacted:secret]&x=1",
        ),
        ("EMP-123456", "[redacted:custom]"),
        (r"\u793e\u54e10042", "[redacted:custom]"),
        ("社員0042", "[redacted:custom]"),
    ] {
        assert_eq!(redacted(text), expected, "{text}");
    }
}

#[test]
fn what_is_split_by_escapes_of_json_is_found() {
    for (text, expected) in [
        (r"4111\u0031111 1111 1111", r"[redacted:card]"),
        (r"\uff14111-1111-1111-1111", r"[redacted:card]"),
        (r"tel\n090-1234-5678", r"tel\n[redacted:phone]"),
        (
            r#"{\\\"x\\\":\\\"a\\\\n4111111111111111\\\"}"#,
            r#"{\\\"x\\\":\\\"a\\\\n[redacted:card]\\\"}"#,
        ),
        (r"taro\u0040example.com", r"[redacted:email]"),
        (
            r"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nx",
            r"[redacted:secret]\nx",
        ),
    ] {
        assert_eq!(redacted(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "",
        "4242 4242 4242 4243",
        "0.4111111111111111",
        "123456789012",
        "2026-11-30 10:20:30.123",
        "1732953600",
        "max_tokens: 20, password",
        "secret: no",
        "sk-short",
        "a@b",
        "user@localhost",
        "EMP-12345",
        r#"{"secret": {"a": 1}}"#,
        "550e8400-e29b-41d4-a716-446655440000",
        r"\u30e\ud83d\ude00 \\\\\\\\\\\\\\\\\\\\ \",
        "関所の番人は通行手形を見る。ー－",
        "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
    ] {
        assert_eq!(redacted(text), text);
    }
    let odd = [0xe3, 0x81, 0xff, 0xef, 0xbc, 0xc2, b'\\', 0xe2];
    assert_eq!(redacted_in(&[&odd]), odd);
}

#[test]
fn a_block_ends_with_its_last_line() {
    let key = "-----BEGIN RSA PRIVATE KEY-----\nabc+/=\n-----END RSA PRIVATE KEY-----";
    assert_eq!(redacted(&format!("a {key} b-c")), "a [redacted:secret] b-c");
    // One without end takes no more than a block may have.
    let endless = format!("-----BEGIN PRIVATE KEY-----{}", "x".repeat(3 * MOST_BLOCK));
    let left = redacted(&endless).len();
    assert_eq!(left, "[redacted:secret]".len() + 2 * MOST_BLOCK);
}

#[test]
fn what_is_held_back_is_bounded() {
    let mut redactor = Redactor::new(redaction());
    let mut out = Vec::new();
    for _ in 0..200 {
        redactor.push(&b"\\\\\\\\\\\\u0034".repeat(50), &mut out);
        redactor.push(&b"a.".repeat(500), &mut out);
    }
    assert!(
        redactor.raw.len() <= AHEAD * 13 + STRIDE,
        "{}",
        redactor.raw.len()
    );
}

/// Pieces of which bodies are made that matter here.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("4111111111111111".to_owned()),
        Just("4111 1111-1111 1111".to_owned()),
        Just("taro@example.co.jp".to_owned()),
        Just("+81 (90) 1234-5678".to_owned()),
        Just("１２３４５６７８９０１８".to_owned()),
        Just(r#""password": "open sesame""#.to_owned()),
        Just("sk-proj-0123456789abcdef0123".to_owned()),
        Just("-----BEGIN PRIVATE KEY-----\\nMII\\n-----END PRIVATE KEY-----".to_owned()),
        Just("EMP-123456".to_owned()),
        Just("\\\\u0034\\u0031".to_owned()),
        Just("社員0042".to_owned()),
        Just("関所、".to_owned()),
        "[ -~]{0,12}",
        "[0-9 -]{0,25}",
        "\\PC{0,6}",
    ];
    let text = proptest::collection::vec(piece, 0..40).prop_map(|all| all.concat().into_bytes());
    let noise = proptest::collection::vec(any::<u8>(), 0..40);
    (text, noise).prop_map(|(text, noise)| [text, noise].concat())
}

proptest! {
    #[test]
    fn every_split_gives_the_same(body in bodies(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        at.extend([0, body.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect();
        let whole = redacted_in(&[&body]);
        prop_assert_eq!(redacted_in(&pieces), whole.clone());
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        prop_assert_eq!(redacted_in(&bytes), whole);
    }

    #[test]
    fn a_card_is_found_wherever_it_stands(before in "[a-zA-Z \"{:,]{0,600}", after in "[a-zA-Z \"},]{0,500}", digits in 0u64..100_000_000_000_000) {
        let body = format!("4{digits:014}");
        let check = (0..10).find(|check| is_card(&format!("{body}{check}"))).unwrap();
        let text = format!("{before}{body}{check}{after}");
        let out = String::from_utf8(redacted_in(&[text.as_bytes()])).unwrap();
        prop_assert!(!out.contains(&format!("{body}{check}")), "{}", out);
    }
}

/// Luhn's check, once more.
fn is_card(digits: &str) -> bool {
    let digits = digits.bytes().rev().map(|digit| u32::from(digit - b'0'));
    let sum = digits.enumerate().map(|(place, digit)| {
        let doubled = digit * (1 + place as u32 % 2);
        doubled / 10 + doubled % 10
    });
    sum.sum::<u32>() % 10 == 0
}
