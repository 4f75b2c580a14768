//! Metrics.

use wasmtime::Linker;

use super::super::Metric;
use super::super::abi::{Guest, HostResult, Status, answer, read_text, write_u32, write_u64};
use super::super::metrics::{ID_STEP, KIND_MASK, Kind};
use super::super::vm::VmData;

pub(super) fn define(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_define_metric",
        |mut guest: Guest<'_>, kind: u32, name: u32, size: u32, id_at: u32| {
            answer(define_metric(&mut guest, kind, (name, size), id_at))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_increment_metric",
        |mut guest: Guest<'_>, id: u32, offset: i64| {
            answer(increment(guest.data_mut(), id, offset))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_record_metric",
        |mut guest: Guest<'_>, id: u32, value: u64| answer(record(guest.data_mut(), id, value)),
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_metric",
        |mut guest: Guest<'_>, id: u32, at: u32| {
            let value = get(guest.data_mut(), id);
            answer(value.and_then(|value| write_u64(&mut guest, at, value)))
        },
    )?;
    Ok(())
}

fn define_metric(guest: &mut Guest<'_>, kind: u32, name: (u32, u32), id_at: u32) -> HostResult<()> {
    let kind = Kind::from_abi(kind).ok_or(Status::BadArgument)?;
    let name = read_text(guest, name.0, name.1)?;
    let data = guest.data_mut();
    let step = data
        .next_metric
        .get_mut(kind as usize)
        .ok_or(Status::BadArgument)?;
    *step = step.saturating_add(ID_STEP);
    let id = *step | kind as u32;
    data.metrics.insert(id, (kind, name.clone()));
    data.world
        .metrics
        .entry(name)
        .or_insert_with(|| Metric::new(kind));
    write_u32(guest, id_at, id)
}

/// The metric of an id; an id of a kind that the call is not for is `wrong_kind`.
fn metric(data: &mut VmData, id: u32) -> Result<&mut Metric, Status> {
    let (_, name) = data.metrics.get(&id).ok_or(Status::NotFound)?;
    data.world.metrics.get_mut(name).ok_or(Status::NotFound)
}

fn kind(id: u32) -> Option<Kind> {
    Kind::from_abi(id & KIND_MASK)
}

fn increment(data: &mut VmData, id: u32, offset: i64) -> HostResult<()> {
    if !matches!(kind(id), Some(Kind::Counter | Kind::Gauge)) {
        return Err(Status::BadArgument.into());
    }
    match metric(data, id)? {
        Metric::Counter(value) if offset > 0 => {
            *value = value.saturating_add(offset.unsigned_abs());
            Ok(())
        }
        Metric::Gauge(value) => {
            *value = value.saturating_add_signed(offset);
            Ok(())
        }
        _ => Err(Status::BadArgument.into()),
    }
}

fn record(data: &mut VmData, id: u32, new: u64) -> HostResult<()> {
    match metric(data, id)? {
        // Not set: Envoy adds.
        Metric::Counter(value) => *value = value.saturating_add(new),
        Metric::Gauge(value) => *value = new,
        Metric::Histogram(samples) => samples.push(new),
    }
    Ok(())
}

fn get(data: &mut VmData, id: u32) -> HostResult<u64> {
    match kind(id) {
        Some(Kind::Counter | Kind::Gauge) => {}
        _ => return Err(Status::BadArgument.into()),
    }
    match metric(data, id)? {
        Metric::Counter(value) | Metric::Gauge(value) => Ok(*value),
        Metric::Histogram(_) => Err(Status::BadArgument.into()),
    }
}
