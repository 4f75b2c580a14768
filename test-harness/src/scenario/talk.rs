//! What is said through a WebSocket, and what must come of it.

use serde::Deserialize;
use serde_json::Value;

use super::expect::Expectation;
use super::request::RequestSpec;
use super::step::Step;
use crate::gateway::Side;

/// A WebSocket with what is said through it.
#[derive(Clone, Debug)]
pub(super) struct Conversation {
    pub(super) request: RequestSpec,
    pub(super) talk: Vec<Turn>,
    pub(super) expect: Expectation,
}

/// One turn: exactly one of these happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawTurn")]
pub(super) enum Turn {
    /// A side says something.
    Says {
        /// Which.
        side: Side,
        /// The frame.
        frame: Vec<u8>,
        /// Whether it reaches the other side.
        arrives: bool,
    },
    /// Something else happens meanwhile.
    Then(Box<Step>),
    /// The gateway must have ended the session.
    Closed {
        /// With a close frame of this reason.
        reason: Option<String>,
    },
    /// A side goes away.
    HangsUp(Side),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTurn {
    client: Option<Value>,
    server: Option<Value>,
    /// First byte of the frame: 0x81 (129), a whole text message, if not said.
    first: Option<u8>,
    arrives: Option<bool>,
    then: Option<Box<Step>>,
    closed: Option<bool>,
    reason: Option<String>,
    hangs_up: Option<Side>,
}

impl TryFrom<RawTurn> for Turn {
    type Error = String;

    fn try_from(raw: RawTurn) -> Result<Self, String> {
        let mut turns = Vec::new();
        let arrives = raw.arrives.unwrap_or(true);
        let first = raw.first.unwrap_or(0x81);
        for (side, said) in [(Side::Client, raw.client), (Side::Server, raw.server)] {
            turns.extend(said.map(|said| Self::Says {
                side,
                frame: frame(first, said.to_string().as_bytes(), side == Side::Client),
                arrives,
            }));
        }
        turns.extend(raw.then.map(Self::Then));
        if raw.closed == Some(true) {
            turns.push(Self::Closed { reason: raw.reason });
        }
        turns.extend(raw.hangs_up.map(Self::HangsUp));
        match (turns.pop(), turns.is_empty()) {
            (Some(turn), true) => Ok(turn),
            _ => Err(
                "a turn is exactly one of `client`, `server`, `then`, `closed: true` and `hangs_up`"
                    .to_owned(),
            ),
        }
    }
}

/// One frame (RFC 6455, section 5.2); clients mask.
fn frame(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mark = if masked { 0x80 } else { 0 };
    let mut frame = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..126), _) => frame.push(mark | length),
        (_, Ok(length)) => {
            frame.push(mark | 126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(mark | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    if masked {
        frame.extend(MASK);
        let masks = MASK.iter().cycle();
        frame.extend(payload.iter().zip(masks).map(|(byte, mask)| byte ^ mask));
    } else {
        frame.extend(payload);
    }
    frame
}

/// The reason of a close frame of a server at the end of what it said.
pub(super) fn close_reason(heard: &[u8]) -> Option<String> {
    let at = (0..heard.len()).rev().find(|at| {
        let frame = heard.get(*at..).unwrap_or_default();
        frame.first() == Some(&0x88)
            && frame.get(1).map(|length| usize::from(*length) + 2) == Some(frame.len())
    })?;
    let reason = heard.get(at + 4..)?;
    Some(String::from_utf8_lossy(reason).into_owned())
}
