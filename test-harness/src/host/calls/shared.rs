//! Shared data and queues.

use wasmtime::Linker;

use super::super::abi::{Guest, HostResult, Status, answer, hand_over, read, read_text, write_u32};
use super::super::vm::VmData;

pub(super) fn define(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_shared_data",
        |mut guest: Guest<'_>, key: u32, key_size: u32, at: u32, size_at: u32, cas_at: u32| {
            answer(get(&mut guest, (key, key_size), (at, size_at), cas_at))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_shared_data",
        |mut guest: Guest<'_>, key: u32, key_size: u32, value: u32, size: u32, cas: u32| {
            answer(set(&mut guest, (key, key_size), (value, size), cas))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_register_shared_queue",
        |mut guest: Guest<'_>, name: u32, size: u32, token_at: u32| {
            answer(register(&mut guest, (name, size), token_at))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_resolve_shared_queue",
        |mut guest: Guest<'_>, vm_id: u32, id_size: u32, name: u32, size: u32, token_at: u32| {
            answer(resolve(
                &mut guest,
                (vm_id, id_size),
                (name, size),
                token_at,
            ))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_enqueue_shared_queue",
        |mut guest: Guest<'_>, token: u32, value: u32, size: u32| {
            answer(enqueue(&mut guest, token, value, size))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_dequeue_shared_queue",
        |mut guest: Guest<'_>, token: u32, at: u32, size_at: u32| {
            answer(dequeue(&mut guest, token, at, size_at))
        },
    )?;
    Ok(())
}

fn get(guest: &mut Guest<'_>, key: (u32, u32), at: (u32, u32), cas_at: u32) -> HostResult<()> {
    let key = read_text(guest, key.0, key.1)?;
    let data = guest.data();
    let found = data.world.shared.get(&data.vm_id, &key).cloned();
    let (value, cas) = found.ok_or(Status::NotFound)?;
    hand_over(guest, &value, at.0, at.1)?;
    write_u32(guest, cas_at, cas)
}

fn set(guest: &mut Guest<'_>, key: (u32, u32), value: (u32, u32), cas: u32) -> HostResult<()> {
    let key = read_text(guest, key.0, key.1)?;
    let value = read(guest, value.0, value.1)?;
    let data = guest.data_mut();
    data.world
        .shared
        .set(&data.vm_id, &key, value, cas)
        .map_err(Into::into)
}

fn register(guest: &mut Guest<'_>, name: (u32, u32), token_at: u32) -> HostResult<()> {
    let name = read_text(guest, name.0, name.1)?;
    let data = guest.data_mut();
    let consumer = (data.index, data.root_id());
    let token = data.world.queues.register(&data.vm_id, &name, consumer);
    write_u32(guest, token_at, token)
}

fn resolve(
    guest: &mut Guest<'_>,
    vm_id: (u32, u32),
    name: (u32, u32),
    token_at: u32,
) -> HostResult<()> {
    let vm_id = read_text(guest, vm_id.0, vm_id.1)?;
    let name = read_text(guest, name.0, name.1)?;
    let data = guest.data();
    let vm_id = if vm_id.is_empty() {
        &data.vm_id
    } else {
        &vm_id
    };
    let token = data
        .world
        .queues
        .resolve(vm_id, &name)
        .ok_or(Status::NotFound)?;
    write_u32(guest, token_at, token)
}

fn enqueue(guest: &mut Guest<'_>, token: u32, value: u32, size: u32) -> HostResult<()> {
    let value = read(guest, value, size)?;
    let queues = &mut guest.data_mut().world.queues;
    queues
        .queue(token)
        .ok_or(Status::NotFound)?
        .items
        .push_back(value);
    queues.ready.push_back(token);
    Ok(())
}

fn dequeue(guest: &mut Guest<'_>, token: u32, at: u32, size_at: u32) -> HostResult<()> {
    let queue = guest
        .data_mut()
        .world
        .queues
        .queue(token)
        .ok_or(Status::NotFound)?;
    let item = queue.items.pop_front().ok_or(Status::Empty)?;
    hand_over(guest, &item, at, size_at)
}
