//! `proxy_http_call`. Calls belong to the root context whichever context asks.

use std::time::Duration;

use wasmtime::Linker;

use super::super::Headers;
use super::super::abi::{
    Guest, HostResult, Status, answer, decode_pairs, read, read_text, write_u32,
};
use super::super::http_call::{HttpCall, HttpCallId};
use super::super::vm::VmData;

pub(super) fn define(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_http_call",
        |mut guest: Guest<'_>,
         cluster: u32,
         cluster_size: u32,
         headers: u32,
         headers_size: u32,
         body: u32,
         body_size: u32,
         trailers: u32,
         trailers_size: u32,
         timeout: u32,
         token_at: u32| {
            answer(call(
                &mut guest,
                (cluster, cluster_size),
                (headers, headers_size),
                (body, body_size),
                (trailers, trailers_size),
                (timeout, token_at),
            ))
        },
    )?;
    Ok(())
}

fn call(
    guest: &mut Guest<'_>,
    cluster: (u32, u32),
    headers: (u32, u32),
    body: (u32, u32),
    trailers: (u32, u32),
    (timeout, token_at): (u32, u32),
) -> HostResult<()> {
    let cluster = read_text(guest, cluster.0, cluster.1)?;
    let mut headers: Headers = decode_pairs(&read(guest, headers.0, headers.1)?)
        .into_iter()
        .collect();
    let body = read(guest, body.0, body.1)?;
    let trailers = decode_pairs(&read(guest, trailers.0, trailers.1)?)
        .into_iter()
        .collect();
    write_u32(guest, token_at, 0)?;
    let data = guest.data_mut();
    if !data.world.settings.clusters.contains(&cluster) || i32::try_from(timeout).is_err() {
        return Err(Status::BadArgument.into());
    }
    if [":method", ":path", ":authority"]
        .iter()
        .any(|name| headers.get(name).is_none())
    {
        return Err(Status::BadArgument.into());
    }
    if !body.is_empty() {
        headers.set("content-length", body.len().to_string());
    }
    // A timeout of zero is none.
    let now = data.world.now;
    let deadline = (timeout > 0).then(|| now.after(Duration::from_millis(u64::from(timeout))));
    let plugin = data
        .root()
        .map(|root| root.name.clone())
        .unwrap_or_default();
    let (vm, root, thread) = (data.index, data.root_id(), data.thread);
    let call = HttpCall {
        id: HttpCallId(0),
        thread,
        plugin,
        cluster,
        headers,
        body,
        trailers,
    };
    let token = data.world.calls.send(vm, root, deadline, call);
    write_u32(guest, token_at, token)
}
