//! `proxy_log` and `proxy_get_log_level`.

use wasmtime::Linker;

use super::super::abi::{Guest, HostResult, Status, answer, read_text, write_u32};
use super::super::log::{Level, LogLine};
use super::super::vm::VmData;

pub(super) fn define(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_log",
        |mut guest: Guest<'_>, level: u32, at: u32, size: u32| {
            answer(log(&mut guest, level, at, size))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_log_level",
        |mut guest: Guest<'_>, at: u32| {
            let level = guest.data().world.settings.log_level as u32;
            answer(write_u32(&mut guest, at, level))
        },
    )?;
    Ok(())
}

fn log(guest: &mut Guest<'_>, level: u32, at: u32, size: u32) -> HostResult<()> {
    let level = Level::from_abi(level).ok_or(Status::BadArgument)?;
    let text = read_text(guest, at, size)?;
    log_line(guest, level, text);
    Ok(())
}

/// Logs a line in the context that the guest is in.
pub(super) fn log_line(guest: &mut Guest<'_>, level: Level, text: String) {
    let data = guest.data_mut();
    let stream = data.filter().map(|(stream, _)| stream);
    let plugin = data.root().map(|root| root.name.clone());
    let thread = data.thread;
    data.world.log(LogLine {
        level,
        thread,
        plugin,
        stream,
        text,
    });
}
