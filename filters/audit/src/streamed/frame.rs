//! Frames of an AWS event stream (`application/vnd.amazon.eventstream`): a prelude of total
//! length, header length and checksum, then headers, payload, checksum of all.

/// Lengths and their checksum.
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;
/// Longest frame that is believed, bytes. AWS documents 16 MiB of payload.
const MOST: usize = 24 * 1024 * 1024;

/// A frame that is what its checksum says.
pub(super) struct Frame<'f> {
    pub(super) headers: &'f [u8],
    pub(super) payload: &'f [u8],
}

/// Something that is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoFrame;

/// Length of the frame that begins here, if that has come.
pub(super) fn length(bytes: &[u8]) -> Result<Option<usize>, NoFrame> {
    let Some(prelude) = bytes.first_chunk::<PRELUDE>() else {
        return Ok(None);
    };
    let (lengths, checksum) = prelude.split_at(8);
    let total = word(bytes, 0).ok_or(NoFrame)?;
    let is_sound = (PRELUDE + CHECKSUM..=MOST).contains(&total)
        && crc32fast::hash(lengths).to_be_bytes() == checksum;
    is_sound.then_some(Some(total)).ok_or(NoFrame)
}

/// Reads a whole frame.
pub(super) fn read(frame: &[u8]) -> Result<Frame<'_>, NoFrame> {
    let (all, checksum) = frame.split_last_chunk::<CHECKSUM>().ok_or(NoFrame)?;
    if crc32fast::hash(all).to_be_bytes() != *checksum {
        return Err(NoFrame);
    }
    let inner = all.get(PRELUDE..).ok_or(NoFrame)?;
    let headers = word(frame, 4).ok_or(NoFrame)?;
    let (headers, payload) = inner.split_at_checked(headers).ok_or(NoFrame)?;
    Ok(Frame { headers, payload })
}

/// Writes a frame.
pub(super) fn write(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let total = PRELUDE + headers.len() + payload.len() + CHECKSUM;
    let mut frame = Vec::with_capacity(total);
    for length in [total, headers.len()] {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        frame.extend_from_slice(&length.to_be_bytes());
    }
    let checksum = crc32fast::hash(&frame);
    frame.extend_from_slice(&checksum.to_be_bytes());
    frame.extend_from_slice(headers);
    frame.extend_from_slice(payload);
    let checksum = crc32fast::hash(&frame);
    frame.extend_from_slice(&checksum.to_be_bytes());
    frame
}

/// The headers, with each text as `change` has it; none: they are not what headers are.
pub(super) fn with_texts(
    headers: &[u8],
    mut change: impl FnMut(&[u8]) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(headers.len());
    let mut rest = headers;
    while let Some((length, after)) = rest.split_first() {
        let (_, after) = after.split_at_checked(usize::from(*length))?;
        let (kind, after) = after.split_first()?;
        let head = rest.len() - after.len();
        out.extend_from_slice(rest.get(..head)?);
        let size = match kind {
            0 | 1 => 0,
            2 => 1,
            3 => 2,
            4 => 4,
            5 | 8 => 8,
            9 => 16,
            6 | 7 => {
                let (size, after) = after.split_first_chunk::<2>()?;
                let size = usize::from(u16::from_be_bytes(*size));
                let (value, after) = after.split_at_checked(size)?;
                let changed = change(value);
                let value = changed.as_deref().unwrap_or(value);
                let size = u16::try_from(value.len()).ok()?;
                out.extend_from_slice(&size.to_be_bytes());
                out.extend_from_slice(value);
                rest = after;
                continue;
            }
            _ => return None,
        };
        let (value, after) = after.split_at_checked(size)?;
        out.extend_from_slice(value);
        rest = after;
    }
    Some(out)
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_be_bytes(*word)).ok()
}
