//! Texts with secrets in them, and the pieces in which they come.

use proptest::prelude::*;

use super::shapes::{SHAPES, Shape};

/// A secret, whole, and what of it must not be left.
fn secrets() -> impl Strategy<Value = (String, Vec<String>)> {
    let told = |text: String| (text.clone(), vec![text]);
    let card = (0u64..100_000_000_000_000).prop_map(|digits| {
        let body = format!("4{digits:014}");
        let check = (0..10).find(|check| is_card(&format!("{body}{check}")));
        format!("{body}{}", check.unwrap())
    });
    prop_oneof![
        card.clone().prop_map(told),
        card.prop_map(move |card| {
            let digits: Vec<char> = card.chars().collect();
            let groups = digits.chunks(4).map(String::from_iter);
            told(groups.collect::<Vec<_>>().join(" "))
        }),
        "sk-proj-[a-zA-Z0-9]{24,48}".prop_map(told),
        "ghp_[a-zA-Z0-9]{36}".prop_map(told),
        "Bearer [a-zA-Z0-9]{20,60}".prop_map(told),
        "[a-z]{3,9}\\.[a-z]{3,9}@[a-z]{4,9}\\.co\\.jp".prop_map(told),
        "090-[0-9]{4}-[0-9]{4}".prop_map(told),
        "EMP-[0-9]{6}".prop_map(told),
        "[a-z]{6}[0-9]{6}".prop_map(|value| (format!("password = {value} "), vec![value])),
        "[a-z]{6} [a-z]{6}[0-9]"
            .prop_map(|value| { (format!("{{\"api_key\": \"{value}\"}}"), vec![value]) }),
        "[a-zA-Z0-9+/]{40,200}".prop_map(|value| {
            let key = format!("-----BEGIN PRIVATE KEY-----\n{value}\n-----END PRIVATE KEY-----");
            (key, vec![value])
        }),
    ]
}

fn is_card(digits: &str) -> bool {
    let digits = digits.bytes().rev().map(|digit| u32::from(digit - b'0'));
    let sum = digits.enumerate().map(|(place, digit)| {
        let doubled = digit * (1 + place as u32 % 2);
        doubled / 10 + doubled % 10
    });
    sum.sum::<u32>().is_multiple_of(10)
}

/// What stands around secrets.
pub(super) fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(" the quick brown fox, ".to_owned()),
        Just("関所の番人は、通行手形を見る。\n".to_owned()),
        Just(" {\"a\": [1, 2.5], \"b\": \"\\\\\"}\n".to_owned()),
        Just(" <b>x</b> 12/28 \\ ".to_owned()),
        " [a-z ]{0,30} ",
    ]
}

/// Texts, and what must not be left of them.
pub(super) fn planted() -> impl Strategy<Value = (String, Vec<String>)> {
    let part = prop_oneof![
        words().prop_map(|text| (text, Vec::new())),
        secrets().prop_map(|(text, secret)| (format!(" {text} "), secret)),
    ];
    proptest::collection::vec(part, 1..8).prop_map(|parts| {
        let (texts, secrets): (Vec<String>, Vec<Vec<String>>) = parts.into_iter().unzip();
        (texts.concat(), secrets.concat())
    })
}

/// Cuts a text in pieces of so many characters, over and over.
fn cut(text: &str, sizes: &[usize]) -> Vec<String> {
    let mut characters = text.chars();
    let mut sizes = sizes.iter().cycle();
    let mut pieces = Vec::new();
    loop {
        let piece: String = characters.by_ref().take(*sizes.next().unwrap()).collect();
        if piece.is_empty() {
            return pieces;
        }
        pieces.push(piece);
    }
}

pub(super) fn shapes() -> impl Strategy<Value = Shape> {
    proptest::sample::select(SHAPES.to_vec())
}

pub(super) fn sizes(most: usize) -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(1..=most, 1..6)
}

/// The pieces of several texts, by turns.
pub(super) fn by_turns(shape: Shape, texts: &[String], sizes: &[usize]) -> Vec<(usize, String)> {
    let cuts: Vec<Vec<String>> = texts.iter().map(|text| cut(text, sizes)).collect();
    let longest = cuts.iter().map(Vec::len).max().unwrap_or(0);
    let turns = (0..longest).flat_map(|at| {
        let cuts = cuts.iter().enumerate();
        cuts.filter_map(move |(of, pieces)| Some((of, pieces.get(at)?.clone())))
    });
    // Lines of a plain stream have no line feeds.
    let begin = (shape == Shape::Plain).then(|| (0, "so: ".to_owned()));
    let turns = begin.into_iter().chain(turns);
    let turns = turns.map(|(of, text)| match shape {
        Shape::Plain => (of, text.replace('\n', ".")),
        _ => (of, text),
    });
    turns.collect()
}

pub(super) fn chunks<'s>(stream: &'s [u8], sizes: &[usize]) -> Vec<&'s [u8]> {
    let mut rest = stream;
    let mut chunks = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at((*size).min(rest.len()));
        chunks.push(chunk);
        rest = after;
    }
    chunks
}
