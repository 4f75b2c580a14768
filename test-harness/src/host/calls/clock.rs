//! Time and ticks.

use wasmtime::Linker;

use super::super::abi::{Guest, Status, answer, write_u64};
use super::super::vm::{Tick, VmData};

pub(super) fn define(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_current_time_nanoseconds",
        |mut guest: Guest<'_>, at: u32| {
            let now = guest.data().world.now.0;
            answer(write_u64(&mut guest, at, now))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_tick_period_milliseconds",
        |mut guest: Guest<'_>, period: u32| {
            set_tick(guest.data_mut(), period);
            Status::Ok as u32
        },
    )?;
    Ok(())
}

/// Starts the root context's timer anew, or stops it for a period of zero.
fn set_tick(data: &mut VmData, period_millis: u32) {
    let period_nanos = u64::from(period_millis) * 1_000_000;
    let now = data.world.now;
    if let Some(root) = data.root() {
        let due = now.after(std::time::Duration::from_nanos(period_nanos));
        root.tick = (period_millis > 0).then_some(Tick { period_nanos, due });
    }
}
