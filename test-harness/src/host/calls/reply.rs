//! `proxy_send_local_response`.

use wasmtime::Linker;

use super::super::abi::{Guest, HostResult, Status, answer, decode_pairs, read, read_text};
use super::super::stream::LocalReply;
use super::super::vm::VmData;
use super::super::world::AfterCall;

pub(super) fn define(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_send_local_response",
        |mut guest: Guest<'_>,
         status: u32,
         details: u32,
         details_size: u32,
         body: u32,
         body_size: u32,
         headers: u32,
         headers_size: u32,
         _grpc_status: i32| {
            answer(send(
                &mut guest,
                status,
                (details, details_size),
                (body, body_size),
                (headers, headers_size),
            ))
        },
    )?;
    Ok(())
}

/// The reply is made once the callback is over, and what the callback returns does not matter.
fn send(
    guest: &mut Guest<'_>,
    status: u32,
    details: (u32, u32),
    body: (u32, u32),
    headers: (u32, u32),
) -> HostResult<()> {
    if !(100..=999).contains(&status) {
        return Err(Status::BadArgument.into());
    }
    let details = read_text(guest, details.0, details.1)?;
    let details: Vec<_> = details.split_whitespace().collect();
    let reply = LocalReply {
        status,
        details: details.join("_"),
        body: read(guest, body.0, body.1)?,
        headers: decode_pairs(&read(guest, headers.0, headers.1)?),
    };
    let data = guest.data_mut();
    if let Some((stream, _)) = data.filter() {
        data.after_call
            .push_back(AfterCall::Reply { stream, reply });
    }
    data.stop_iteration = true;
    Ok(())
}
