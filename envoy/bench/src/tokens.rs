//! Access tokens shaped like those of Entra ID, signed ahead of a run: as many distinct ones
//! as it takes, one a line.

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use clap::Args;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::json;

/// How long the tokens are valid, seconds: longer than any run.
const LIFETIME: u64 = 4 * 60 * 60;
/// How long before its issue a token becomes valid, seconds.
const EARLIER: u64 = 60;
const HEADER: &str = r#"{"typ":"JWT","alg":"RS256","kid":"bench"}"#;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The issuer's private RSA key: PKCS #8, DER
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Whose tokens, in turn: CSV with a heading, columns name, email, department, `object_id`
    #[arg(long, value_name = "FILE")]
    people: PathBuf,
    /// The tokens' `iss`
    #[arg(long)]
    issuer: String,
    /// The tokens' `aud`
    #[arg(long)]
    audience: String,
    /// The tokens' `tid`
    #[arg(long)]
    tenant: String,
    /// The tokens' `scp`
    #[arg(long)]
    scope: String,
    /// The tokens' `roles`
    #[arg(long = "role")]
    roles: Vec<String>,
    /// The tokens' `iat`, Unix seconds
    #[arg(long, value_name = "SECONDS")]
    issued_at: u64,
    /// How many
    #[arg(long)]
    count: usize,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum TokensError {
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("`{}` is not a private RSA key in PKCS #8: {reason}", path.display())]
    NotAKey { path: PathBuf, reason: String },
    #[error("`{}` names nobody, or lacks a column", .0.display())]
    NoPeople(PathBuf),
    #[error("a token cannot be signed, or there are no random bytes for it")]
    Unsigned,
    #[error("a thread ended too early")]
    Thread,
    #[error("the tokens cannot be printed: {0}")]
    Unprintable(#[from] std::io::Error),
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, TokensError> {
    let der = std::fs::read(&arguments.key).map_err(unreadable(&arguments.key))?;
    let key = RsaKeyPair::from_pkcs8(&der).map_err(|reason| TokensError::NotAKey {
        path: arguments.key.clone(),
        reason: reason.to_string(),
    })?;
    let people =
        std::fs::read_to_string(&arguments.people).map_err(unreadable(&arguments.people))?;
    let people = Person::all(&people)
        .filter(|people| !people.is_empty())
        .ok_or_else(|| TokensError::NoPeople(arguments.people.clone()))?;
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let tokens = in_parallel(cores, arguments.count, |number| {
        let person = people.get(number % people.len());
        person.map_or(Ok(String::new()), |person| token(arguments, &key, person))
    })?;
    let mut text = tokens.join("\n");
    text.push('\n');
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> TokensError {
    let path = path.to_owned();
    |source| TokensError::Unreadable { path, source }
}

/// Makes numbers 0 to `count` on so many threads, and returns what was made in order.
fn in_parallel(
    threads: usize,
    count: usize,
    make: impl Fn(usize) -> Result<String, TokensError> + Sync,
) -> Result<Vec<String>, TokensError> {
    let share = count.div_ceil(threads.max(1)).max(1);
    std::thread::scope(|scope| {
        let make = &make;
        let running: Vec<_> = (0..count)
            .step_by(share)
            .map(|first| {
                let numbers = first..count.min(first + share);
                scope.spawn(move || numbers.map(make).collect::<Result<Vec<_>, _>>())
            })
            .collect();
        let mut made = Vec::with_capacity(count);
        for thread in running {
            made.append(&mut thread.join().map_err(|_| TokensError::Thread)??);
        }
        Ok(made)
    })
}

/// A token that nobody else has: `uti` and `aio` are random, so that the signature differs, too.
fn token(
    arguments: &Arguments,
    key: &RsaKeyPair,
    person: &Person<'_>,
) -> Result<String, TokensError> {
    let issued = arguments.issued_at;
    let mut claims = json!({
        "aud": arguments.audience,
        "iss": arguments.issuer,
        "iat": issued,
        "nbf": issued.saturating_sub(EARLIER),
        "exp": issued.saturating_add(LIFETIME),
        "acct": 0,
        "acrs": ["p1"],
        "aio": random_hex::<40>()?,
        "amr": ["pwd", "mfa"],
        "azp": "4a1e8f0c-52d3-4b7e-9c65-0d2f3b4a5c6e",
        "azpacr": "0",
        "department": person.department,
        "ipaddr": "192.0.2.10",
        "name": person.name,
        "oid": person.object_id,
        "preferred_username": person.email,
        "rh": "1.AXkAUhw6j35rD02aIV5sfYCRq",
        "scp": arguments.scope,
        "sid": "0031fae2-6e1c-4c0b-8f0a-1c8de7a5b7d2",
        "sub": random_hex::<16>()?,
        "tid": arguments.tenant,
        "uti": random_hex::<11>()?,
        "ver": "2.0",
        "xms_ftd": "kT3Vt0hVQm2aXbUuV0kq8w",
    });
    if !arguments.roles.is_empty()
        && let Some(claims) = claims.as_object_mut()
    {
        claims.insert("roles".to_owned(), json!(arguments.roles));
    }
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!(
        "{}.{}",
        encode(HEADER.as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    let mut signature = vec![0; key.public().modulus_len()];
    let random = SystemRandom::new();
    key.sign(
        &RSA_PKCS1_SHA256,
        &random,
        signed.as_bytes(),
        &mut signature,
    )
    .map_err(|_| TokensError::Unsigned)?;
    Ok(format!("{signed}.{}", encode(&signature)))
}

fn random_hex<const BYTES: usize>() -> Result<String, TokensError> {
    let mut bytes = [0; BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| TokensError::Unsigned)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Who a token is for.
#[derive(Debug, PartialEq, Eq)]
struct Person<'a> {
    name: &'a str,
    email: &'a str,
    department: &'a str,
    object_id: &'a str,
}

impl<'a> Person<'a> {
    /// Everybody in a CSV without quotes. `None`: it has no heading, or a line is too short.
    fn all(text: &'a str) -> Option<Vec<Self>> {
        let mut lines = text.lines();
        let heading: Vec<&str> = lines.next()?.split(',').collect();
        let place = |name: &str| heading.iter().position(|column| *column == name);
        let columns = [
            place("name")?,
            place("email")?,
            place("department")?,
            place("object_id")?,
        ];
        lines
            .map(|line| {
                let cells: Vec<&str> = line.split(',').collect();
                let [name, email, department, object_id] = columns.map(|at| cells.get(at).copied());
                Some(Self {
                    name: name?,
                    email: email?,
                    department: department?,
                    object_id: object_id?,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_read_by_their_columns() {
        let text = "user_id,name,email,department,object_id\n1,A,a@x,営業部,o-1\n2,B,b@x,hr,o-2\n";
        let people = Person::all(text).unwrap();
        assert_eq!(people.len(), 2);
        assert_eq!(
            people[0],
            Person {
                name: "A",
                email: "a@x",
                department: "営業部",
                object_id: "o-1"
            }
        );
        assert_eq!(Person::all("name,email\nA,a@x\n"), None);
        assert_eq!(
            Person::all("name,email,department,object_id\nA,a@x\n"),
            None
        );
    }

    #[test]
    fn what_threads_make_is_whole_and_in_order() {
        for (threads, count) in [(1, 5), (2, 5), (4, 3), (3, 0)] {
            let made = in_parallel(threads, count, |number| Ok(number.to_string())).unwrap();
            let wanted: Vec<String> = (0..count).map(|number| number.to_string()).collect();
            assert_eq!(made, wanted, "{count} on {threads} threads");
        }
    }

    #[test]
    fn random_letters_do_not_repeat() {
        let one = random_hex::<11>().unwrap();
        assert_eq!(one.len(), 22);
        assert_ne!(one, random_hex::<11>().unwrap());
    }
}
