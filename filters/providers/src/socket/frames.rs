//! Frames of a WebSocket (RFC 6455, section 5): text messages come out unmasked, whatever pieces
//! they were cut into. Without extensions: the gateway removes their offer, and a frame that
//! uses one breaks the session.

use super::SocketFault;

/// Most bytes of a control frame (section 5.5).
const MAX_CONTROL: u64 = 125;
/// Most bytes that are unmasked at a time.
const PIECE: usize = 4096;

/// A part of a text message.
pub(super) enum Part<'p> {
    Text(&'p [u8]),
    End,
}

/// Where one side's bytes are.
pub(super) struct Frames {
    /// Clients mask, servers do not (section 5.1).
    masked: bool,
    state: State,
    /// A message has begun and not ended.
    in_message: bool,
}

enum State {
    /// In a frame's head, of which so many bytes are here.
    Head { bytes: [u8; 14], length: usize },
    /// In its payload, of which so many bytes are to come.
    Payload {
        rest: u64,
        mask: [u8; 4],
        at: usize,
        kind: Payload,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Payload {
    /// Of a text message; `last`: of its last frame.
    Text {
        last: bool,
    },
    Control,
}

impl State {
    const BETWEEN: Self = Self::Head {
        bytes: [0; 14],
        length: 0,
    };
}

impl Frames {
    pub(super) const fn of_client() -> Self {
        Self {
            masked: true,
            state: State::BETWEEN,
            in_message: false,
        }
    }

    pub(super) const fn of_server() -> Self {
        Self {
            masked: false,
            ..Self::of_client()
        }
    }

    pub(super) const fn is_between(&self) -> bool {
        matches!(self.state, State::Head { length: 0, .. })
    }

    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        mut tell: impl FnMut(Part<'_>) -> Result<(), SocketFault>,
    ) -> Result<(), SocketFault> {
        let mut rest = bytes;
        while let Some((first, after)) = rest.split_first() {
            match &mut self.state {
                State::Head { bytes, length } => {
                    rest = after;
                    if let Some(place) = bytes.get_mut(*length) {
                        *place = *first;
                    }
                    *length += 1;
                    let head = bytes.get(..*length).unwrap_or_default();
                    if let Some(next) = begin(head, self.masked, self.in_message)? {
                        self.state = next;
                        self.end_of_empty(&mut tell)?;
                    }
                }
                State::Payload {
                    rest: to_come,
                    mask,
                    at,
                    kind,
                } => {
                    let most = usize::try_from(*to_come).unwrap_or(usize::MAX);
                    let piece = rest.get(..most.min(rest.len())).unwrap_or_default();
                    rest = rest.get(piece.len()..).unwrap_or_default();
                    if let Payload::Text { .. } = kind {
                        text(piece, self.masked.then_some(*mask), at, &mut tell)?;
                    }
                    *to_come -= piece.len() as u64;
                    self.end_of_empty(&mut tell)?;
                }
            }
        }
        Ok(())
    }

    /// Ends a frame of which nothing is to come.
    fn end_of_empty(
        &mut self,
        tell: &mut impl FnMut(Part<'_>) -> Result<(), SocketFault>,
    ) -> Result<(), SocketFault> {
        let State::Payload { rest: 0, kind, .. } = self.state else {
            return Ok(());
        };
        self.state = State::BETWEEN;
        if let Payload::Text { last } = kind {
            self.in_message = !last;
            if last {
                tell(Part::End)?;
            }
        }
        Ok(())
    }
}

/// Tells a piece of a payload; `at`: how much of it came before.
fn text(
    piece: &[u8],
    mask: Option<[u8; 4]>,
    at: &mut usize,
    tell: &mut impl FnMut(Part<'_>) -> Result<(), SocketFault>,
) -> Result<(), SocketFault> {
    let Some(mask) = mask else {
        return tell(Part::Text(piece));
    };
    let mut plain = [0u8; PIECE];
    for part in piece.chunks(PIECE) {
        let masks = mask.iter().cycle().skip(*at % 4);
        for ((plain, masked), mask) in plain.iter_mut().zip(part).zip(masks) {
            *plain = masked ^ mask;
        }
        *at = (*at + part.len()) % 4;
        tell(Part::Text(plain.get(..part.len()).unwrap_or_default()))?;
    }
    Ok(())
}

/// What a frame's head begins, once it is whole.
fn begin(head: &[u8], masked: bool, in_message: bool) -> Result<Option<State>, SocketFault> {
    let (Some(first), Some(second)) = (head.first(), head.get(1)) else {
        return Ok(None);
    };
    let (last, opcode) = (first & 0x80 != 0, first & 0x0f);
    let extended = first & 0x70 != 0;
    let kind = match opcode {
        _ if extended || (second & 0x80 != 0) != masked => return Err(SocketFault::Frames),
        0 if in_message => Payload::Text { last },
        1 if !in_message => Payload::Text { last },
        8..=10 if last => Payload::Control,
        _ => return Err(SocketFault::Frames),
    };
    let more = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some(written) = head.get(2..2 + more) else {
        return Ok(None);
    };
    let length = match more {
        0 => u64::from(second & 0x7f),
        _ => written
            .iter()
            .fold(0u64, |length, byte| (length << 8) | u64::from(*byte)),
    };
    let odd = length >> 63 != 0 || (kind == Payload::Control && length > MAX_CONTROL);
    if odd {
        return Err(SocketFault::Frames);
    }
    let mask = match masked {
        false => [0; 4],
        true => match head.get(2 + more..2 + more + 4).map(<[u8; 4]>::try_from) {
            Some(Ok(mask)) => mask,
            _ => return Ok(None),
        },
    };
    Ok(Some(State::Payload {
        rest: length,
        mask,
        at: 0,
        kind,
    }))
}
