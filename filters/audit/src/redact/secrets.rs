//! Tokens, passwords, private keys and mail addresses, as they can be told by their form.

use super::ahead::Ahead;
use super::{Found, Kind, Tail, is_word};

/// Longest label of a block that is read, characters.
const MOST_LABEL: usize = 40;

/// How tokens of well-known services begin, and how many letters of a token have to follow at
/// least. Sources: the services' own pages and the list of GitHub's secret scanning.
const PREFIXES: [(&[u8], usize); 36] = [
    (b"AIza", 30),
    (b"AKIA", 16),
    (b"ASIA", 16),
    (b"AccountKey=", 20),
    (b"AGE-SECRET-KEY-1", 20),
    (b"Basic ", 12),
    (b"Bearer ", 12),
    (b"basic ", 12),
    (b"bearer ", 12),
    (b"SG.", 20),
    (b"SharedAccessKey=", 20),
    (b"dop_v1_", 20),
    (b"eyJ", 16),
    (b"gho_", 20),
    (b"ghp_", 20),
    (b"ghr_", 20),
    (b"ghs_", 20),
    (b"ghu_", 20),
    (b"github_pat_", 20),
    (b"glpat-", 16),
    (b"hf_", 20),
    (b"npm_", 20),
    (b"pypi-", 20),
    (b"rk_live_", 10),
    (b"sig=", 20),
    (b"sk-", 16),
    (b"sk_live_", 10),
    (b"sk_test_", 10),
    (b"whsec_", 16),
    (b"xapp-", 10),
    (b"xoxa-", 10),
    (b"xoxb-", 10),
    (b"xoxp-", 10),
    (b"xoxr-", 10),
    (b"xoxs-", 10),
    (b"ya29.", 20),
];

/// Names whose values are secrets, in lower case with `_`, which stands for `-` and for nothing,
/// too.
const NAMES: [&[u8]; 13] = [
    b"access_key",
    b"access_token",
    b"api_key",
    b"auth_token",
    b"client_secret",
    b"passphrase",
    b"passwd",
    b"password",
    b"private_key",
    b"pwd",
    b"refresh_token",
    b"secret",
    b"secret_key",
];

/// A secret that begins a word.
pub(super) fn find(first: u8, ahead: &Ahead<'_>) -> Option<Found> {
    if first == b'-' {
        return block(ahead);
    }
    if !first.is_ascii_alphabetic() {
        return None;
    }
    let mut known = PREFIXES
        .iter()
        .filter(|(prefix, _)| prefix.first() == Some(&first));
    let token = known.find(|(prefix, least)| {
        ahead.has(0, prefix) && ahead.run(prefix.len(), *least, is_of_token) == *least
    });
    let token = token.map(|(prefix, least)| Found {
        tail: Tail::Token,
        ..Found::new(Kind::Secret, prefix.len() + least)
    });
    token.or_else(|| named(first, ahead))
}

/// The letters of which tokens are made.
pub(super) const fn is_of_token(character: u8) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(
            character,
            b'-' | b'_' | b'.' | b'~' | b'+' | b'/' | b'=' | b'%'
        )
}

/// Whether a value has ended before this character.
pub(super) const fn ends_value(character: u8) -> bool {
    matches!(
        character,
        b'"' | b'\'' | b'`' | b',' | b';' | b'&' | b'<' | b'>' | b'}' | b')' | b'\n'
    ) || character.is_ascii_whitespace()
}

/// `-----BEGIN RSA PRIVATE KEY-----` (RFC 7468).
fn block(ahead: &Ahead<'_>) -> Option<Found> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    const KEY: &[u8] = b"PRIVATE KEY";
    if !ahead.has(0, BEGIN) {
        return None;
    }
    let label = ahead.run(BEGIN.len(), MOST_LABEL, |c| c != b'-');
    let end = BEGIN.len() + label;
    let is_private = label >= KEY.len() && ahead.has(end - KEY.len(), KEY);
    (is_private && ahead.has(end, b"-----")).then_some(Found {
        tail: Tail::Block {
            dashes: 0,
            length: 0,
        },
        ..Found::new(Kind::Secret, end + 5)
    })
}

/// Whether a member of this name has a secret as its value.
pub(crate) fn is_secret_name(name: &[u8]) -> bool {
    let is_begin = |at: usize| match at.checked_sub(1) {
        Some(before) => name.get(before).is_some_and(|c| !is_word(*c)),
        None => true,
    };
    (0..name.len()).filter(|at| is_begin(*at)).any(|at| {
        let rest = Ahead::new(name.get(at..).unwrap_or_default());
        let mut lengths = NAMES.iter().filter_map(|name| name_length(&rest, name));
        lengths.any(|length| at + length == name.len())
    })
}

/// `password = "`, `"apiKey": "`, `api-key=`, and a value. The name stays.
fn named(first: u8, ahead: &Ahead<'_>) -> Option<Found> {
    let first = first.to_ascii_lowercase();
    let mut names = NAMES.iter().filter(|name| name.first() == Some(&first));
    names.find_map(|name| {
        let mut at = name_length(ahead, name)?;
        // The quote that ends a name.
        at += usize::from(matches!(ahead.at(at), Some(b'"' | b'\'')));
        at += blanks(ahead, at);
        if !matches!(ahead.at(at), Some(b':' | b'=')) {
            return None;
        }
        at += 1;
        at += blanks(ahead, at);
        let quote = ahead.at(at).filter(|c| matches!(c, b'"' | b'\'' | b'`'));
        at += usize::from(quote.is_some());
        let (least, tail) = match quote {
            Some(quote) => (1, Tail::Quoted(quote)),
            // A value of fewer letters is rather a word about it.
            None => (4, Tail::Value),
        };
        let is_value = |c: u8| match quote {
            Some(quote) => c != quote && c != b'\n',
            None => !ends_value(c) && !matches!(c, b'{' | b'['),
        };
        (ahead.run(at, least, is_value) == least).then_some(Found {
            stays: at,
            tail,
            ..Found::new(Kind::Secret, at + least)
        })
    })
}

fn blanks(ahead: &Ahead<'_>, at: usize) -> usize {
    ahead.run(at, 4, |c| c == b' ')
}

/// How many characters the name takes here.
fn name_length(ahead: &Ahead<'_>, name: &[u8]) -> Option<usize> {
    let mut at = 0;
    for letter in name {
        let here = ahead.at(at)?.to_ascii_lowercase();
        match letter {
            b'_' if matches!(here, b'_' | b'-' | b' ') => at += 1,
            b'_' => {}
            letter if here == *letter => at += 1,
            _ => return None,
        }
    }
    Some(at)
}

/// A mail address: at most 64 letters before the `@` and 255 behind it (RFC 5321, section
/// 4.5.3.1), and a domain of at least two labels.
pub(super) fn email(ahead: &Ahead<'_>) -> Option<Found> {
    let is_local =
        |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'');
    let local = ahead.run(0, 65, is_local);
    if local == 0 || ahead.at(local) != Some(b'@') {
        return None;
    }
    let is_domain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-');
    let length = ahead.run(local + 1, 255, is_domain);
    let domain = ahead.part(local + 1, length);
    let end = domain.iter().rposition(u8::is_ascii_alphanumeric)? + 1;
    let labels = domain.get(..end)?;
    let dot = labels.iter().rposition(|c| *c == b'.')?;
    let is_top = labels.get(dot + 1..).is_some_and(|top| top.len() >= 2);
    (dot > 0 && is_top).then_some(Found::new(Kind::Email, local + 1 + end))
}
