//! Buffers: bodies, messages, configurations.

use wasmtime::Linker;

use super::super::abi::{Guest, HostResult, Status, answer, hand_over, read, write_u32};
use super::super::stream::{BodyView, Direction};
use super::super::vm::VmData;

const REQUEST_BODY: u32 = 0;
const RESPONSE_BODY: u32 = 1;
const DOWNSTREAM_DATA: u32 = 2;
const UPSTREAM_DATA: u32 = 3;
const CALL_RESPONSE_BODY: u32 = 4;
const GRPC_MESSAGE: u32 = 5;
const VM_CONFIGURATION: u32 = 6;
const PLUGIN_CONFIGURATION: u32 = 7;
const LAST: u32 = 8;

pub(super) fn define(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_buffer_bytes",
        |mut guest: Guest<'_>, kind: u32, start: u32, most: u32, pointer_at: u32, size_at: u32| {
            answer(get(&mut guest, kind, start, most, (pointer_at, size_at)))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_buffer_status",
        |mut guest: Guest<'_>, kind: u32, size_at: u32, flags_at: u32| {
            answer(status(&mut guest, kind, size_at, flags_at))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_buffer_bytes",
        |mut guest: Guest<'_>, kind: u32, start: u32, size: u32, data: u32, data_size: u32| {
            answer(set(&mut guest, kind, (start, size), (data, data_size)))
        },
    )?;
    Ok(())
}

fn get(guest: &mut Guest<'_>, kind: u32, start: u32, most: u32, at: (u32, u32)) -> HostResult<()> {
    let bytes = buffer(guest.data_mut(), kind)?;
    let start = (start as usize).min(bytes.len());
    let end = start.saturating_add(most as usize).min(bytes.len());
    let part = bytes.get(start..end).unwrap_or_default().to_vec();
    hand_over(guest, &part, at.0, at.1)
}

fn status(guest: &mut Guest<'_>, kind: u32, size_at: u32, flags_at: u32) -> HostResult<()> {
    let size = buffer(guest.data_mut(), kind)?.len();
    write_u32(guest, size_at, u32::try_from(size).unwrap_or(u32::MAX))?;
    write_u32(guest, flags_at, 0)
}

/// Replaces all of a body, or puts bytes before or after it; nothing in between. The host leaves
/// `content-length` alone, and so does Envoy.
fn set(guest: &mut Guest<'_>, kind: u32, range: (u32, u32), data: (u32, u32)) -> HostResult<()> {
    if kind > LAST {
        return Err(Status::BadArgument.into());
    }
    let bytes = read(guest, data.0, data.1)?;
    let direction = match kind {
        REQUEST_BODY => Direction::Request,
        RESPONSE_BODY => Direction::Response,
        // What else there is cannot be written.
        _ => {
            buffer(guest.data_mut(), kind)?;
            return Err(Status::BadArgument.into());
        }
    };
    let body = body_mut(guest.data_mut(), direction).ok_or(Status::BadArgument)?;
    let (start, size) = (range.0 as usize, range.1 as usize);
    match (start, size) {
        (0, 0) => *body = [bytes, std::mem::take(body)].concat(),
        (0, size) if size >= body.len() => *body = bytes,
        (start, _) if start > 0 && start >= body.len() => body.extend(bytes),
        _ => return Err(Status::BadArgument.into()),
    }
    Ok(())
}

fn buffer(data: &mut VmData, kind: u32) -> HostResult<&[u8]> {
    let found = match kind {
        REQUEST_BODY | RESPONSE_BODY => {
            let direction = if kind == REQUEST_BODY {
                Direction::Request
            } else {
                Direction::Response
            };
            // A body that the filter let go is empty, not absent.
            let body = body_mut(data, direction).map(|body| body.as_slice());
            return Ok(body.unwrap_or_default());
        }
        DOWNSTREAM_DATA | UPSTREAM_DATA => Some([].as_slice()),
        CALL_RESPONSE_BODY => data
            .root()
            .and_then(|root| Some(root.http_response.as_ref()?.body.as_slice())),
        GRPC_MESSAGE => {
            return Ok(data
                .root()
                .and_then(|r| r.grpc_message.as_deref())
                .unwrap_or_default());
        }
        VM_CONFIGURATION => Some(data.vm_configuration.as_slice()),
        PLUGIN_CONFIGURATION => data.configuring.as_deref(),
        LAST => None,
        _ => return Err(Status::BadArgument.into()),
    };
    found.ok_or(Status::NotFound.into())
}

fn body_mut(data: &mut VmData, direction: Direction) -> Option<&mut Vec<u8>> {
    let (stream, filter) = data.filter()?;
    let stream = data.world.streams.get_mut(&stream)?;
    match stream.side(filter, direction)?.body {
        BodyView::None => None,
        BodyView::Buffer => stream.half_mut(direction).buffer.as_mut(),
        BodyView::Frame(_) => match &mut stream.side(filter, direction)?.body {
            BodyView::Frame(bytes) => Some(bytes),
            _ => None,
        },
    }
}
