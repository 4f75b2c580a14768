//! Contexts and streams: effective context, resuming, cutting.

use wasmtime::Linker;

use super::super::abi::{Guest, HostResult, Status, answer, hand_over, write_u32};
use super::super::stream::BodyView;
use super::super::vm::VmData;
use super::super::world::AfterCall;

pub(super) fn define(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_set_effective_context",
        |mut guest: Guest<'_>, id: u32| {
            let data = guest.data_mut();
            if !data.contexts.contains_key(&id) {
                return Status::BadArgument as u32;
            }
            data.effective = id;
            Status::Ok as u32
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_continue_stream",
        |mut guest: Guest<'_>, kind: u32| answer(resume(guest.data_mut(), kind)),
    )?;
    linker.func_wrap(
        "env",
        "proxy_close_stream",
        |mut guest: Guest<'_>, kind: u32| answer(close(guest.data_mut(), kind)),
    )?;
    // Nothing here delays the end of a root context, so there is nothing to be done with.
    linker.func_wrap("env", "proxy_done", || Status::NotFound as u32)?;
    linker.func_wrap(
        "env",
        "proxy_get_status",
        |mut guest: Guest<'_>, code_at: u32, pointer_at: u32, size_at: u32| {
            answer(status(&mut guest, code_at, pointer_at, size_at))
        },
    )?;
    Ok(())
}

const REQUEST: u32 = 0;
const RESPONSE: u32 = 1;
const DOWNSTREAM: u32 = 2;
const UPSTREAM: u32 = 3;

/// Resumes a direction once the callback is over. Whichever direction it is, the filter loses the
/// request's headers, body and trailers at once, as in Envoy: write first, resume last.
fn resume(data: &mut VmData, kind: u32) -> HostResult<()> {
    match kind {
        REQUEST | RESPONSE => {}
        DOWNSTREAM => return Ok(()),
        UPSTREAM => return Err(Status::Unimplemented.into()),
        _ => return Err(Status::BadArgument.into()),
    }
    let Some((stream, filter)) = data.filter() else {
        return Ok(());
    };
    data.after_call.push_back(AfterCall::Continue {
        stream,
        filter,
        response: kind == RESPONSE,
    });
    let side = data
        .world
        .streams
        .get_mut(&stream)
        .and_then(|s| s.filters.get_mut(filter));
    if let Some(filter) = side {
        filter.request.headers_held = false;
        filter.request.trailers_held = false;
        if matches!(filter.request.body, BodyView::Frame(_)) {
            filter.request.body = BodyView::None;
        }
    }
    Ok(())
}

fn close(data: &mut VmData, kind: u32) -> HostResult<()> {
    match kind {
        REQUEST | RESPONSE => {}
        DOWNSTREAM | UPSTREAM => return Ok(()),
        _ => return Err(Status::BadArgument.into()),
    }
    if let Some((stream, _)) = data.filter() {
        if let Some(state) = data.world.streams.get_mut(&stream) {
            state
                .outcome
                .details
                .get_or_insert_with(|| "wasm_close_stream".to_owned());
        }
        data.after_call.push_back(AfterCall::Reset { stream });
    }
    Ok(())
}

fn status(guest: &mut Guest<'_>, code_at: u32, pointer_at: u32, size_at: u32) -> HostResult<()> {
    let (code, message) = guest
        .data_mut()
        .root()
        .map(|root| root.status.clone())
        .unwrap_or_default();
    write_u32(guest, code_at, code)?;
    hand_over(guest, message.as_bytes(), pointer_at, size_at)
}
