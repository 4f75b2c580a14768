//! Header maps. Which of them a filter may touch, and when, is what bites most: a map that the
//! filter let go is `BadArgument`, on which the Rust SDK panics.

use wasmtime::Linker;

use super::super::Headers;
use super::super::abi::{
    Guest, HostResult, Status, answer, decode_pairs, encode_pairs, hand_over, read, read_text,
    write_u32,
};
use super::super::stream::{Filter, Stream};
use super::super::vm::VmData;

const REQUEST_HEADERS: u32 = 0;
const REQUEST_TRAILERS: u32 = 1;
const RESPONSE_HEADERS: u32 = 2;
const RESPONSE_TRAILERS: u32 = 3;
const GRPC_INITIAL_METADATA: u32 = 4;
const GRPC_TRAILING_METADATA: u32 = 5;
const CALL_RESPONSE_HEADERS: u32 = 6;
const CALL_RESPONSE_TRAILERS: u32 = 7;
const LAST: u32 = CALL_RESPONSE_TRAILERS;

pub(super) fn define(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_header_map_value",
        |mut guest: Guest<'_>, map: u32, key: u32, key_size: u32, value_at: u32, size_at: u32| {
            answer(get(&mut guest, map, (key, key_size), (value_at, size_at)))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_add_header_map_value",
        |mut guest: Guest<'_>, map: u32, key: u32, key_size: u32, value: u32, size: u32| {
            answer(put(
                &mut guest,
                map,
                (key, key_size),
                (value, size),
                |headers, name, value| {
                    headers.add(name, value);
                },
            ))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_replace_header_map_value",
        |mut guest: Guest<'_>, map: u32, key: u32, key_size: u32, value: u32, size: u32| {
            answer(put(
                &mut guest,
                map,
                (key, key_size),
                (value, size),
                |headers, name, value| {
                    headers.set(name, value);
                },
            ))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_remove_header_map_value",
        |mut guest: Guest<'_>, map: u32, key: u32, key_size: u32| {
            answer(put(
                &mut guest,
                map,
                (key, key_size),
                (key, 0),
                |headers, name, _| {
                    headers.remove(name);
                },
            ))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_header_map_pairs",
        |mut guest: Guest<'_>, map: u32, pointer_at: u32, size_at: u32| {
            answer(pairs(&mut guest, map, pointer_at, size_at))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_header_map_pairs",
        |mut guest: Guest<'_>, map: u32, at: u32, size: u32| {
            answer(set_pairs(&mut guest, map, at, size))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_header_map_size",
        |mut guest: Guest<'_>, map: u32, at: u32| answer(byte_size(&mut guest, map, at)),
    )?;
    Ok(())
}

fn known(map: u32) -> HostResult<()> {
    if map > LAST {
        Err(Status::BadArgument.into())
    } else {
        Ok(())
    }
}

fn get(guest: &mut Guest<'_>, map: u32, key: (u32, u32), at: (u32, u32)) -> HostResult<()> {
    known(map)?;
    let name = read_text(guest, key.0, key.1)?;
    let headers = readable(guest.data_mut(), map).ok_or(Status::BadArgument)?;
    let value = headers.get(&name).ok_or(Status::NotFound)?.to_vec();
    hand_over(guest, &value, at.0, at.1)
}

fn put(
    guest: &mut Guest<'_>,
    map: u32,
    key: (u32, u32),
    value: (u32, u32),
    change: impl FnOnce(&mut Headers, &str, Vec<u8>),
) -> HostResult<()> {
    known(map)?;
    let name = read_text(guest, key.0, key.1)?;
    let value = read(guest, value.0, value.1)?;
    let headers = writable(guest.data_mut(), map).ok_or(Status::BadArgument)?;
    change(headers, &name, value);
    clear_route_cache(guest.data_mut(), map);
    Ok(())
}

/// All pairs of a map; a map that cannot be read has none, without an error.
fn pairs(guest: &mut Guest<'_>, map: u32, pointer_at: u32, size_at: u32) -> HostResult<()> {
    known(map)?;
    let encoded = readable(guest.data_mut(), map).map(|headers| encode_pairs(headers.iter()));
    hand_over(guest, &encoded.unwrap_or_default(), pointer_at, size_at)
}

fn set_pairs(guest: &mut Guest<'_>, map: u32, at: u32, size: u32) -> HostResult<()> {
    known(map)?;
    let pairs = decode_pairs(&read(guest, at, size)?);
    let headers = writable(guest.data_mut(), map).ok_or(Status::BadArgument)?;
    *headers = pairs.into_iter().collect();
    clear_route_cache(guest.data_mut(), map);
    Ok(())
}

fn byte_size(guest: &mut Guest<'_>, map: u32, at: u32) -> HostResult<()> {
    known(map)?;
    let size = writable(guest.data_mut(), map)
        .ok_or(Status::BadArgument)?
        .byte_size();
    write_u32(guest, at, size)
}

/// Any write to the request's headers makes the router choose again.
fn clear_route_cache(data: &mut VmData, map: u32) {
    if map != REQUEST_HEADERS {
        return;
    }
    if let Some((stream, _)) = filter(data) {
        stream.route_cache_clears += 1;
    }
}

fn filter(data: &mut VmData) -> Option<(&mut Stream, usize)> {
    let (stream, filter) = data.filter()?;
    Some((data.world.streams.get_mut(&stream)?, filter))
}

/// The map, if the context holds it.
fn writable(data: &mut VmData, map: u32) -> Option<&mut Headers> {
    let (stream, place) = filter(data)?;
    let filter: &Filter = stream.filters.get(place)?;
    match map {
        REQUEST_HEADERS if filter.request.headers_held => Some(&mut stream.request_headers),
        REQUEST_TRAILERS if filter.request.trailers_held => stream.request_trailers.as_mut(),
        RESPONSE_HEADERS if filter.response.headers_held => stream.response_headers.as_mut(),
        RESPONSE_TRAILERS if filter.response.trailers_held => stream.response_trailers.as_mut(),
        _ => None,
    }
}

/// The map, if the context may read it: what it holds, and all but the request's trailers while
/// it is being logged.
fn readable(data: &mut VmData, map: u32) -> Option<&Headers> {
    match map {
        GRPC_INITIAL_METADATA => return data.root()?.grpc_initial_metadata.as_ref(),
        GRPC_TRAILING_METADATA => return data.root()?.grpc_trailing_metadata.as_ref(),
        CALL_RESPONSE_HEADERS => return Some(&data.root()?.http_response.as_ref()?.headers),
        CALL_RESPONSE_TRAILERS => return Some(&data.root()?.http_response.as_ref()?.trailers),
        _ => {}
    }
    let (stream, place) = filter(data)?;
    let filter = stream.filters.get(place)?;
    let logging = filter.logging;
    // While it is logged, a stream without a response shows an empty map, not none.
    static NONE: Headers = Headers::new();
    match map {
        REQUEST_HEADERS if logging || filter.request.headers_held => Some(&stream.request_headers),
        REQUEST_TRAILERS if filter.request.trailers_held => stream.request_trailers.as_ref(),
        RESPONSE_HEADERS if logging => Some(stream.response_headers.as_ref().unwrap_or(&NONE)),
        RESPONSE_HEADERS if filter.response.headers_held => stream.response_headers.as_ref(),
        RESPONSE_TRAILERS if logging => Some(stream.response_trailers.as_ref().unwrap_or(&NONE)),
        RESPONSE_TRAILERS if filter.response.trailers_held => stream.response_trailers.as_ref(),
        _ => None,
    }
}
