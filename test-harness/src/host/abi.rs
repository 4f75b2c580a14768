//! Statuses, and the guest's memory as the host sees it.

use wasmtime::Caller;

use super::vm::VmData;

/// The result of a host call, as the ABI numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Status {
    Ok = 0,
    NotFound = 1,
    BadArgument = 2,
    ParseFailure = 4,
    InvalidMemoryAccess = 6,
    Empty = 7,
    CasMismatch = 8,
    Unimplemented = 12,
}

/// Why a host call did not do what was asked.
pub(crate) enum Fault {
    /// The guest sees this status.
    Status(Status),
    /// The guest's own allocator trapped: so does the call.
    Trap(wasmtime::Error),
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

pub(crate) type Guest<'a> = Caller<'a, VmData>;
pub(crate) type HostResult<T> = Result<T, Fault>;

/// Turns a host call's result into what the guest gets.
pub(crate) fn answer(result: HostResult<()>) -> wasmtime::Result<u32> {
    match result {
        Ok(()) => Ok(Status::Ok as u32),
        Err(Fault::Status(status)) => Ok(status as u32),
        Err(Fault::Trap(error)) => Err(error),
    }
}

/// A copy of `size` bytes of the guest's memory at `pointer`.
pub(crate) fn read(guest: &Guest<'_>, pointer: u32, size: u32) -> HostResult<Vec<u8>> {
    let memory = guest.data().memory.ok_or(Status::InvalidMemoryAccess)?;
    let start = pointer as usize;
    let end = start
        .checked_add(size as usize)
        .ok_or(Status::InvalidMemoryAccess)?;
    let bytes = memory
        .data(guest)
        .get(start..end)
        .ok_or(Status::InvalidMemoryAccess)?;
    Ok(bytes.to_vec())
}

/// Like [`read`], as text. Names of headers, metrics and functions that are not UTF-8 are kept
/// recognisable rather than refused.
pub(crate) fn read_text(guest: &Guest<'_>, pointer: u32, size: u32) -> HostResult<String> {
    Ok(String::from_utf8_lossy(&read(guest, pointer, size)?).into_owned())
}

pub(crate) fn write(guest: &mut Guest<'_>, pointer: u32, bytes: &[u8]) -> HostResult<()> {
    let memory = guest.data().memory.ok_or(Status::InvalidMemoryAccess)?;
    memory
        .write(guest, pointer as usize, bytes)
        .map_err(|_| Status::InvalidMemoryAccess.into())
}

pub(crate) fn write_u32(guest: &mut Guest<'_>, pointer: u32, value: u32) -> HostResult<()> {
    write(guest, pointer, &value.to_le_bytes())
}

pub(crate) fn write_u64(guest: &mut Guest<'_>, pointer: u32, value: u64) -> HostResult<()> {
    write(guest, pointer, &value.to_le_bytes())
}

/// Hands bytes to the guest: memory from its own allocator, whose address and size are written to
/// the two places. Nothing is allocated for no bytes; the guest then sees a null pointer.
pub(crate) fn hand_over(
    guest: &mut Guest<'_>,
    bytes: &[u8],
    pointer_at: u32,
    size_at: u32,
) -> HostResult<()> {
    let size = u32::try_from(bytes.len()).map_err(|_| Status::InvalidMemoryAccess)?;
    let mut address = 0;
    if size > 0 {
        let allocate = guest
            .data()
            .allocate
            .clone()
            .ok_or(Status::InvalidMemoryAccess)?;
        address = allocate.call(&mut *guest, size).map_err(Fault::Trap)?;
        if address == 0 {
            return Err(Status::InvalidMemoryAccess.into());
        }
        write(guest, address, bytes)?;
    }
    write_u32(guest, pointer_at, address)?;
    write_u32(guest, size_at, size)
}

/// Envoy ignores maps with more pairs than this.
const MOST_PAIRS: usize = 1024;

/// Reads the ABI's map encoding: the count, the lengths of every name and value, then the bytes,
/// each followed by a zero. What is cut short or too long counts as no pairs, as in Envoy.
pub(crate) fn decode_pairs(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    read_pairs(bytes).unwrap_or_default()
}

fn read_pairs(bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let word = |at: usize| -> Option<usize> {
        let four: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(u32::from_le_bytes(four) as usize)
    };
    let count = word(0)?;
    if count > MOST_PAIRS {
        return None;
    }
    let mut at = 4 + count * 8;
    let mut piece = |length: usize| -> Option<Vec<u8>> {
        let end = at.checked_add(length)?;
        let piece = bytes.get(at..end)?.to_vec();
        at = end + 1;
        Some(piece)
    };
    let mut pairs = Vec::with_capacity(count);
    for index in 0..count {
        let name = piece(word(4 + index * 8)?)?;
        let value = piece(word(8 + index * 8)?)?;
        pairs.push((String::from_utf8_lossy(&name).into_owned(), value));
    }
    Some(pairs)
}

/// Writes the ABI's map encoding. No pairs are no bytes.
pub(crate) fn encode_pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let pairs: Vec<_> = pairs.collect();
    if pairs.is_empty() {
        return Vec::new();
    }
    let mut bytes = length(pairs.len());
    for (name, value) in &pairs {
        bytes.extend(length(name.len()));
        bytes.extend(length(value.len()));
    }
    for (name, value) in &pairs {
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(value);
        bytes.push(0);
    }
    bytes
}

fn length(value: usize) -> Vec<u8> {
    u32::try_from(value)
        .unwrap_or(u32::MAX)
        .to_le_bytes()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_survive_the_way_to_the_guest_and_back() {
        let pairs = [("a", b"1".as_slice()), ("b-c", b"\xff\x00"), ("empty", b"")];
        let back = decode_pairs(&encode_pairs(pairs.into_iter()));
        let expected: Vec<_> = pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), v.to_vec()))
            .collect();
        assert_eq!(back, expected);
    }

    #[test]
    fn pairs_that_are_cut_short_are_no_pairs() {
        let whole = encode_pairs([("name", b"value".as_slice())].into_iter());
        for end in 0..whole.len() - 1 {
            assert!(decode_pairs(&whole[..end]).is_empty(), "cut at {end}");
        }
    }
}
