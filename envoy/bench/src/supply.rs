//! The requests that rows are sent, as bytes on the wire.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::row::{Kind, Payload};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// File with access tokens, one a line, used in turn
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
    /// File with other access tokens, each used once per row, an equal share in every round
    #[arg(long, value_name = "FILE")]
    unseen_tokens: Option<PathBuf>,
    /// File with the request's body
    #[arg(long, value_name = "FILE")]
    body: PathBuf,
    /// The request's path
    #[arg(long)]
    path: String,
    /// Path of the request without a body, for the rows that only check tokens
    #[arg(long)]
    token_path: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SupplyError {
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("`{}` has no tokens", .0.display())]
    NoTokens(PathBuf),
    #[error("tokens that no row has seen: {given} for {rounds} rounds are too few")]
    TooFewUnseen { given: usize, rounds: u32 },
}

/// Requests, and how many of them are sent: more than there are means each again in turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    pub(crate) requests: &'a [Vec<u8>],
    pub(crate) count: u32,
}

/// How many requests a row is sent that gets each token again and again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) saturated: u32,
    pub(crate) paced: u32,
}

/// What one round sends to one row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round<'a> {
    /// Before what is measured at saturation.
    pub(crate) warm_up: Load<'a>,
    /// Measured, as fast as it is answered.
    pub(crate) saturated: Load<'a>,
    /// Before what is measured at a rate.
    pub(crate) paced_warm_up: Load<'a>,
    /// Measured, at a rate.
    pub(crate) paced: Load<'a>,
}

/// All requests of a run.
#[derive(Debug)]
pub(crate) struct Supply {
    chat: Vec<Vec<u8>>,
    token: Vec<Vec<u8>>,
    unseen: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
    events: Vec<Vec<u8>>,
    /// One alone, because of its size.
    upload: Vec<Vec<u8>>,
    rounds: u32,
    counts: Counts,
}

impl Supply {
    pub(crate) fn read(
        arguments: &Arguments,
        rounds: u32,
        counts: Counts,
    ) -> Result<Self, SupplyError> {
        let body = read(&arguments.body)?;
        let tokens = read(&arguments.tokens)?;
        let unseen = arguments.unseen_tokens.as_deref().map(read).transpose()?;
        let of = |tokens: &str, make: &dyn Fn(&str) -> Vec<u8>| {
            let lines = tokens.lines().filter(|line| !line.is_empty());
            lines.map(make).collect::<Vec<_>>()
        };
        let without_body = |token: &str| request(&arguments.token_path, token, None);
        let chat = of(&tokens, &|token| {
            request(&arguments.path, token, Some(&body))
        });
        if chat.is_empty() {
            return Err(SupplyError::NoTokens(arguments.tokens.clone()));
        }
        let one = tokens.lines().find(|line| !line.is_empty());
        let ask = |body: &str, token: &str| request(&arguments.path, token, Some(body));
        let large = conversation(LARGE, r#""user":"long""#);
        let events = conversation(
            SMALL,
            r#""stream":true,"stream_options":{"include_usage":true}"#,
        );
        let upload = conversation(UPLOAD, r#""user":"short""#);
        Ok(Self {
            chat,
            large: of(&tokens, &|token| ask(&large, token)),
            events: of(&tokens, &|token| ask(&events, token)),
            upload: one.map(|token| ask(&upload, token)).into_iter().collect(),
            token: of(&tokens, &without_body),
            unseen: of(unseen.as_deref().unwrap_or_default(), &without_body),
            rounds,
            counts,
        })
    }

    /// What a row of this kind is sent in a round, from 0.
    pub(crate) fn round(&self, kind: Kind, round: u32) -> Result<Round<'_>, SupplyError> {
        match kind {
            Kind::Chain => Ok(again(&self.chat, self.counts)),
            Kind::Payload(payload) => {
                let counts = Counts {
                    saturated: payload.share(self.counts.saturated),
                    paced: payload.share(self.counts.paced),
                };
                Ok(again(self.of(payload), counts))
            }
            Kind::CachedToken => Ok(again(&self.token, self.counts)),
            Kind::FirstSeenToken => {
                once(&self.unseen, self.rounds, round).ok_or(SupplyError::TooFewUnseen {
                    given: self.unseen.len(),
                    rounds: self.rounds,
                })
            }
        }
    }

    fn of(&self, payload: Payload) -> &[Vec<u8>] {
        match payload {
            Payload::Small => &self.chat,
            Payload::Large => &self.large,
            Payload::Events => &self.events,
            Payload::Upload => &self.upload,
        }
    }

    /// Tokens that are used in turn.
    pub(crate) fn tokens(&self) -> usize {
        self.chat.len()
    }

    /// Bytes of a request of this kind.
    pub(crate) fn request_bytes(&self, kind: Kind) -> usize {
        let requests = match kind {
            Kind::Chain => &self.chat,
            Kind::CachedToken | Kind::FirstSeenToken => &self.token,
            Kind::Payload(payload) => self.of(payload),
        };
        requests.first().map_or(0, Vec::len)
    }
}

/// Every token again and again; each at least twice before anything counts, so that all are
/// verified by then.
fn again(requests: &[Vec<u8>], counts: Counts) -> Round<'_> {
    let load = |count| Load { requests, count };
    let twice = u32::try_from(2 * requests.len()).unwrap_or(u32::MAX);
    Round {
        warm_up: load(twice.max(counts.saturated / 5)),
        saturated: load(counts.saturated),
        paced_warm_up: load(twice),
        paced: load(counts.paced),
    }
}

/// This round's share of requests, of which none is sent twice: an eighth to warm up, five at
/// saturation, two at a rate.
fn once(requests: &[Vec<u8>], rounds: u32, round: u32) -> Option<Round<'_>> {
    let share = requests.len() / usize::try_from(rounds).ok()?;
    let eighth = share / 8;
    let start = share * usize::try_from(round).ok()?;
    let load = |from: usize, to: usize| {
        let requests = requests.get(start + from * eighth..start + to * eighth)?;
        let count = u32::try_from(requests.len()).ok()?;
        Some(Load { requests, count })
    };
    (eighth > 0).then_some(())?;
    Some(Round {
        warm_up: load(0, 1)?,
        saturated: load(1, 6)?,
        paced_warm_up: load(6, 6)?,
        paced: load(6, 8)?,
    })
}

fn read(path: &Path) -> Result<String, SupplyError> {
    std::fs::read_to_string(path).map_err(|source| SupplyError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// Bytes of the text in a conversation.
const SMALL: usize = 900;
const LARGE: usize = 100 * 1024;
/// As a picture has that stands in the body.
const UPLOAD: usize = 20_000_000;

/// A chat completion with so much text; `more` are its last members.
fn conversation(bytes: usize, more: &str) -> String {
    const TEXT: &str = "Why did travellers need a permit? ";
    let text: String = TEXT.chars().cycle().take(bytes).collect();
    format!(
        r#"{{"messages":[{{"role":"user","content":"{text}"}}],"model":"gpt-4o","max_tokens":256,{more}}}"#
    )
}

/// With the headers of the OpenAI SDK for Python.
fn request(path: &str, token: &str, body: Option<&str>) -> Vec<u8> {
    let content_type = body.map_or("", |_| "Content-Type: application/json\r\n");
    let body = body.unwrap_or_default();
    format!(
        "POST {path} HTTP/1.1\r\n\
         Host: 127.0.0.1\r\n\
         Accept: application/json\r\n\
         Accept-Encoding: gzip, deflate\r\n\
         Connection: keep-alive\r\n\
         User-Agent: OpenAI/Python 3.54.0\r\n\
         {content_type}\
         Authorization: Bearer {token}\r\n\
         Content-Length: {}\r\n\
         \r\n\
         {body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn supply(unseen: usize) -> Supply {
        let make = |count: usize| (0..count).map(|n| n.to_string().into_bytes()).collect();
        Supply {
            chat: make(10),
            token: make(10),
            unseen: make(unseen),
            large: make(10),
            events: make(10),
            upload: make(1),
            rounds: 3,
            counts: Counts {
                saturated: 50,
                paced: 40,
            },
        }
    }

    #[test]
    fn what_was_never_seen_is_sent_once_in_all_rounds() {
        let supply = supply(100);
        let mut seen = HashSet::new();
        for number in 0..3 {
            let round = supply.round(Kind::FirstSeenToken, number).unwrap();
            for load in [
                round.warm_up,
                round.saturated,
                round.paced_warm_up,
                round.paced,
            ] {
                assert_eq!(load.count as usize, load.requests.len());
                for request in load.requests {
                    assert!(seen.insert(request.clone()), "{request:?} is sent twice");
                }
            }
            assert_eq!((round.saturated.count, round.paced.count), (20, 8));
        }
        assert_eq!(seen.len(), 3 * 32);
    }

    #[test]
    fn too_few_tokens_are_an_error() {
        let error = supply(20).round(Kind::FirstSeenToken, 0).unwrap_err();
        assert!(error.to_string().contains("20 for 3 rounds"), "{error}");
    }

    #[test]
    fn cached_tokens_are_all_sent_before_it_counts() {
        let supply = supply(0);
        for kind in [Kind::Chain, Kind::CachedToken] {
            let round = supply.round(kind, 2).unwrap();
            assert!(round.warm_up.count >= 20 && round.paced_warm_up.count >= 20);
            assert_eq!((round.saturated.count, round.paced.count), (50, 40));
        }
    }

    #[test]
    fn a_request_without_a_body_says_so() {
        let text = String::from_utf8(request("/t", "abc", None)).unwrap();
        assert!(text.ends_with("Content-Length: 0\r\n\r\n"), "{text}");
        assert!(!text.contains("Content-Type"), "{text}");
    }
}
