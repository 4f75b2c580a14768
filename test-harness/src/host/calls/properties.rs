//! `proxy_get_property` and `proxy_set_property`.

use wasmtime::Linker;

use super::super::abi::{Guest, HostResult, Status, answer, hand_over, read, read_text};
use super::super::stream::Stream;
use super::super::vm::VmData;
use super::super::{Headers, HttpVersion, UnixNanos};

pub(super) fn define(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_property",
        |mut guest: Guest<'_>, path: u32, path_size: u32, at: u32, size_at: u32| {
            answer(get(&mut guest, (path, path_size), (at, size_at)))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_property",
        |mut guest: Guest<'_>, path: u32, path_size: u32, value: u32, size: u32| {
            answer(set(&mut guest, (path, path_size), (value, size)))
        },
    )?;
    Ok(())
}

/// What filters set is filter state under this prefix.
const FILTER_STATE: &str = "wasm.";

/// Sets filter state that every filter of the stream sees. A path of several segments is kept
/// under a name that no path finds again, as in Envoy.
fn set(guest: &mut Guest<'_>, path: (u32, u32), value: (u32, u32)) -> HostResult<()> {
    let path = read_text(guest, path.0, path.1)?;
    let value = read(guest, value.0, value.1)?;
    let data = guest.data_mut();
    let (stream, _) = data.filter().ok_or(Status::NotFound)?;
    let stream = data
        .world
        .streams
        .get_mut(&stream)
        .ok_or(Status::NotFound)?;
    stream
        .filter_state
        .insert(format!("{FILTER_STATE}{path}"), value);
    Ok(())
}

fn get(guest: &mut Guest<'_>, path: (u32, u32), at: (u32, u32)) -> HostResult<()> {
    let path = read_text(guest, path.0, path.1)?;
    let segments: Vec<&str> = path.split('\0').collect();
    let value = lookup(guest.data_mut(), &segments).ok_or(Status::NotFound)?;
    hand_over(guest, &value, at.0, at.1)
}

fn lookup(data: &mut VmData, path: &[&str]) -> Option<Vec<u8>> {
    match path {
        ["plugin_name"] => return data.root().map(|root| root.name.clone().into_bytes()),
        ["plugin_root_id"] => return data.root().map(|root| root.root_id.clone().into_bytes()),
        ["plugin_vm_id"] => return Some(data.vm_id.clone().into_bytes()),
        _ => {}
    }
    let (stream, filter) = data.filter()?;
    let now = data.world.now;
    let stream = data.world.streams.get(&stream)?;
    if let Some(given) = stream.properties.get(&path.join(".")) {
        return Some(given.clone());
    }
    match path {
        ["filter_state", key] => stream.filter_state.get(*key).cloned(),
        [key] => stream
            .filter_state
            .get(&format!("{FILTER_STATE}{key}"))
            .cloned(),
        ["request", rest @ ..] => request(stream, filter, now, rest),
        ["response", rest @ ..] => response(stream, filter, rest),
        _ => None,
    }
}

fn number(value: u64) -> Option<Vec<u8>> {
    Some(value.to_le_bytes().to_vec())
}

/// Headers as properties are there only while the filter holds them or is being logged; several
/// values are joined.
fn header(headers: &Headers, name: &str) -> Option<Vec<u8>> {
    let values: Vec<_> = headers.all(name).collect();
    (!values.is_empty()).then(|| values.join(b",".as_slice()))
}

fn request(stream: &Stream, filter: usize, now: UnixNanos, path: &[&str]) -> Option<Vec<u8>> {
    let place = stream.filters.get(filter)?;
    let headers = (place.request.headers_held || place.logging).then_some(&stream.request_headers);
    match path {
        ["time"] => number(stream.started.0),
        ["duration"] if stream.ended => {
            let nanos = now.since(stream.started).as_nanos();
            number(u64::try_from(nanos).unwrap_or(u64::MAX))
        }
        ["protocol"] => Some(match stream.version {
            HttpVersion::Http1 => b"HTTP/1.1".to_vec(),
            HttpVersion::Http2 => b"HTTP/2".to_vec(),
        }),
        ["size"] => {
            let length = headers.and_then(|h| h.text("content-length")?.parse().ok());
            number(length.unwrap_or(stream.request.bytes_seen))
        }
        ["total_size"] => {
            number(stream.request.bytes_seen + u64::from(stream.request_headers.byte_size()))
        }
        ["headers", name] => header(headers?, name),
        ["path"] => header(headers?, ":path"),
        ["url_path"] => {
            let path = header(headers?, ":path")?;
            Some(
                path.split(|byte| *byte == b'?')
                    .next()
                    .unwrap_or_default()
                    .to_vec(),
            )
        }
        ["query"] => {
            let path = header(headers?, ":path")?;
            Some(
                path.splitn(2, |byte| *byte == b'?')
                    .nth(1)
                    .unwrap_or_default()
                    .to_vec(),
            )
        }
        ["host"] => header(headers?, ":authority"),
        ["scheme"] => header(headers?, ":scheme"),
        ["method"] => header(headers?, ":method"),
        ["referer"] => header(headers?, "referer"),
        ["useragent"] => header(headers?, "user-agent"),
        ["id"] => header(headers?, "x-request-id"),
        _ => None,
    }
}

fn response(stream: &Stream, filter: usize, path: &[&str]) -> Option<Vec<u8>> {
    let place = stream.filters.get(filter)?;
    let held = place.response.headers_held || place.logging;
    match path {
        ["code"] => number(u64::from(stream.outcome.status?)),
        ["code_details"] => stream.outcome.details.clone().map(String::into_bytes),
        ["flags"] => number(stream.outcome.flags.0),
        ["size"] => number(stream.response.bytes_seen),
        ["total_size"] => {
            let headers = stream
                .response_headers
                .as_ref()
                .map_or(0, Headers::byte_size);
            number(stream.response.bytes_seen + u64::from(headers))
        }
        ["headers", name] => header(stream.response_headers.as_ref().filter(|_| held)?, name),
        _ => None,
    }
}
