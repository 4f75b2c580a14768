//! gRPC streams and calls. They belong to the root context whichever context asks.

use wasmtime::Linker;

use super::super::abi::{
    Guest, HostResult, Status, answer, decode_pairs, read, read_text, write_u32,
};
use super::super::grpc::{GrpcEvent, GrpcOpen, GrpcStreamId, GrpcStreams};
use super::super::vm::VmData;

pub(super) fn define(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_grpc_stream",
        |mut guest: Guest<'_>,
         cluster: u32,
         cluster_size: u32,
         service: u32,
         service_size: u32,
         method: u32,
         method_size: u32,
         metadata: u32,
         metadata_size: u32,
         token_at: u32| {
            let target = Target {
                cluster: (cluster, cluster_size),
                service: (service, service_size),
                method: (method, method_size),
                metadata: (metadata, metadata_size),
            };
            answer(open(&mut guest, &target, None, token_at))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_grpc_call",
        |mut guest: Guest<'_>,
         cluster: u32,
         cluster_size: u32,
         service: u32,
         service_size: u32,
         method: u32,
         method_size: u32,
         metadata: u32,
         metadata_size: u32,
         message: u32,
         message_size: u32,
         _timeout: u32,
         token_at: u32| {
            let target = Target {
                cluster: (cluster, cluster_size),
                service: (service, service_size),
                method: (method, method_size),
                metadata: (metadata, metadata_size),
            };
            answer(open(
                &mut guest,
                &target,
                Some((message, message_size)),
                token_at,
            ))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_grpc_send",
        |mut guest: Guest<'_>, token: u32, message: u32, size: u32, end: u32| {
            answer(send(&mut guest, token, (message, size), end != 0))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_grpc_close",
        |mut guest: Guest<'_>, token: u32| answer(close(guest.data_mut(), token)),
    )?;
    linker.func_wrap(
        "env",
        "proxy_grpc_cancel",
        |mut guest: Guest<'_>, token: u32| answer(cancel(guest.data_mut(), token)),
    )?;
    Ok(())
}

/// Where in the guest's memory the parts of an address are.
struct Target {
    cluster: (u32, u32),
    service: (u32, u32),
    method: (u32, u32),
    metadata: (u32, u32),
}

fn open(
    guest: &mut Guest<'_>,
    target: &Target,
    message: Option<(u32, u32)>,
    token_at: u32,
) -> HostResult<()> {
    let open = GrpcOpen {
        stream: GrpcStreamId(0),
        thread: guest.data().thread,
        plugin: guest
            .data_mut()
            .root()
            .map(|root| root.name.clone())
            .unwrap_or_default(),
        cluster: read_text(guest, target.cluster.0, target.cluster.1)?,
        service: read_text(guest, target.service.0, target.service.1)?,
        method: read_text(guest, target.method.0, target.method.1)?,
        initial_metadata: decode_pairs(&read(guest, target.metadata.0, target.metadata.1)?)
            .into_iter()
            .collect(),
        unary: message.is_some(),
    };
    let message = message
        .map(|(at, size)| read(guest, at, size))
        .transpose()?;
    if !guest.data().world.settings.clusters.contains(&open.cluster) {
        // Neither a `GrpcService` nor a cluster's name.
        return Err(Status::ParseFailure.into());
    }
    let data = guest.data_mut();
    let (vm, root) = (data.index, data.root_id());
    let grpc = &mut data.world.grpc;
    let (id, token) = grpc.open(vm, root, open);
    if let Some(message) = message {
        grpc.events.push_back(GrpcEvent::Message(id, message));
        grpc.events.push_back(GrpcEvent::HalfClose(id));
    }
    write_u32(guest, token_at, token)
}

fn send(guest: &mut Guest<'_>, token: u32, message: (u32, u32), end: bool) -> HostResult<()> {
    let message = read(guest, message.0, message.1)?;
    if !GrpcStreams::is_stream(token) {
        return Err(Status::BadArgument.into());
    }
    let data = guest.data_mut();
    let grpc = &mut data.world.grpc;
    let (id, stream) = grpc.by_token(data.index, token).ok_or(Status::NotFound)?;
    if end {
        stream.local_closed = true;
    }
    grpc.events.push_back(GrpcEvent::Message(id, message));
    if end {
        grpc.events.push_back(GrpcEvent::HalfClose(id));
    }
    Ok(())
}

/// Ends the filter's side of a stream, or cuts a call.
fn close(data: &mut VmData, token: u32) -> HostResult<()> {
    if GrpcStreams::is_call(token) {
        return cancel(data, token);
    }
    if !GrpcStreams::is_stream(token) {
        return Err(Status::BadArgument.into());
    }
    let grpc = &mut data.world.grpc;
    let (id, stream) = grpc.by_token(data.index, token).ok_or(Status::NotFound)?;
    stream.local_closed = true;
    if stream.remote_closed {
        grpc.open.remove(&id);
    } else {
        grpc.events.push_back(GrpcEvent::HalfClose(id));
    }
    Ok(())
}

fn cancel(data: &mut VmData, token: u32) -> HostResult<()> {
    if !GrpcStreams::is_call(token) && !GrpcStreams::is_stream(token) {
        return Err(Status::BadArgument.into());
    }
    let grpc = &mut data.world.grpc;
    let (id, _) = grpc.by_token(data.index, token).ok_or(Status::NotFound)?;
    grpc.open.remove(&id);
    grpc.events.push_back(GrpcEvent::Cancel(id));
    Ok(())
}
