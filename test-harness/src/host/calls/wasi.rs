//! What of WASI preview 1 Envoy gives to a VM.

use wasmtime::Linker;

use super::super::abi::{
    Fault, Guest, HostResult, Status, answer, read, write, write_u32, write_u64,
};
use super::super::log::Level;
use super::super::vm::VmData;
use super::log::log_line;

pub(super) const MODULE: &str = "wasi_snapshot_preview1";

const BADF: u32 = 8;
const FAULT: u32 = 21;
const INVAL: u32 = 28;
const NOTSUP: u32 = 58;
const MOST_RANDOM: u32 = 64 * 1024;

/// The functions that [`define`] defines.
pub(super) const WORKING: [&str; 13] = [
    "args_get",
    "args_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_close",
    "fd_fdstat_get",
    "fd_write",
    "poll_oneoff",
    "proc_exit",
    "random_get",
    "sched_yield",
];

/// Functions that Envoy has and that always answer the same error.
pub(super) const REFUSING: [(&str, i32); 32] = [
    ("fd_advise", 0),
    ("fd_allocate", 8),
    ("fd_datasync", 0),
    ("fd_fdstat_set_flags", 52),
    ("fd_fdstat_set_rights", 0),
    ("fd_filestat_get", 8),
    ("fd_filestat_set_size", 0),
    ("fd_filestat_set_times", 0),
    ("fd_pread", 52),
    ("fd_prestat_dir_name", 52),
    ("fd_prestat_get", 8),
    ("fd_pwrite", 58),
    ("fd_read", 52),
    ("fd_readdir", 20),
    ("fd_renumber", 58),
    ("fd_seek", 0),
    ("fd_sync", 0),
    ("fd_tell", 8),
    ("path_create_directory", 58),
    ("path_filestat_get", 58),
    ("path_filestat_set_times", 58),
    ("path_link", 58),
    ("path_open", 44),
    ("path_readlink", 58),
    ("path_remove_directory", 58),
    ("path_rename", 58),
    ("path_symlink", 58),
    ("path_unlink_file", 58),
    ("sock_accept", 58),
    ("sock_recv", 58),
    ("sock_send", 58),
    ("sock_shutdown", 58),
];

pub(super) fn define(linker: &mut Linker<VmData>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "args_sizes_get", no_strings)?;
    linker.func_wrap(MODULE, "environ_sizes_get", no_strings)?;
    linker.func_wrap(MODULE, "args_get", |_: u32, _: u32| 0_u32)?;
    linker.func_wrap(MODULE, "environ_get", |_: u32, _: u32| 0_u32)?;
    linker.func_wrap(MODULE, "clock_time_get", clock_time)?;
    linker.func_wrap(
        MODULE,
        "clock_res_get",
        |mut guest: Guest<'_>, clock: u32, at: u32| {
            if clock > 1 {
                Ok(NOTSUP)
            } else {
                errno(write_u64(&mut guest, at, 1))
            }
        },
    )?;
    linker.func_wrap(MODULE, "fd_close", |_: u32| 0_u32)?;
    linker.func_wrap(
        MODULE,
        "fd_fdstat_get",
        |mut guest: Guest<'_>, fd: u32, at: u32| {
            // Three words: type and flags, the right to write, no inherited rights.
            let mut stat = [0_u8; 24];
            if let Some(rights) = stat.get_mut(8) {
                *rights = 64;
            }
            if matches!(fd, 1 | 2) {
                errno(write(&mut guest, at, &stat))
            } else {
                Ok(BADF)
            }
        },
    )?;
    linker.func_wrap(MODULE, "fd_write", fd_write)?;
    linker.func_wrap(
        MODULE,
        "poll_oneoff",
        |mut guest: Guest<'_>, _: u32, _: u32, _: u32, count_at: u32| {
            errno(write_u32(&mut guest, count_at, 0))
        },
    )?;
    // Envoy only notes it and returns; what compilers put after the call then traps.
    linker.func_wrap(MODULE, "proc_exit", |mut guest: Guest<'_>, code: u32| {
        log_line(&mut guest, Level::Error, format!("exited with code {code}"));
    })?;
    linker.func_wrap(
        MODULE,
        "random_get",
        |mut guest: Guest<'_>, at: u32, size: u32| {
            if size > MOST_RANDOM {
                return Ok(INVAL);
            }
            let bytes = guest.data_mut().world.random.bytes(size as usize);
            errno(write(&mut guest, at, &bytes))
        },
    )?;
    linker.func_wrap(MODULE, "sched_yield", || 0_u32)?;
    Ok(())
}

fn errno(result: HostResult<()>) -> wasmtime::Result<u32> {
    match result {
        Err(Fault::Status(Status::InvalidMemoryAccess)) => Ok(FAULT),
        other => answer(other),
    }
}

fn no_strings(mut guest: Guest<'_>, count_at: u32, size_at: u32) -> wasmtime::Result<u32> {
    let result =
        write_u32(&mut guest, count_at, 0).and_then(|()| write_u32(&mut guest, size_at, 0));
    errno(result)
}

fn clock_time(mut guest: Guest<'_>, clock: u32, _precision: u64, at: u32) -> wasmtime::Result<u32> {
    let world = &guest.data().world;
    let time = match clock {
        0 => world.now.0,
        1 => world.now.0.saturating_sub(world.started.0),
        _ => return Ok(NOTSUP),
    };
    errno(write_u64(&mut guest, at, time))
}

fn fd_write(
    mut guest: Guest<'_>,
    fd: u32,
    slices: u32,
    count: u32,
    written_at: u32,
) -> wasmtime::Result<u32> {
    let level = match fd {
        1 => Level::Info,
        2 => Level::Error,
        _ => return Ok(BADF),
    };
    let gathered = gather(&guest, slices, count);
    let result = gathered.and_then(|bytes| {
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if !text.is_empty() {
            let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
            log_line(&mut guest, level, text);
        }
        write_u32(&mut guest, written_at, size)
    });
    errno(result)
}

fn gather(guest: &Guest<'_>, slices: u32, count: u32) -> HostResult<Vec<u8>> {
    let mut bytes = Vec::new();
    let table = read(guest, slices, count.saturating_mul(8))?;
    for slice in table.chunks_exact(8) {
        let word = |at: usize| -> u32 {
            let four = slice.get(at..at + 4).and_then(|four| four.try_into().ok());
            u32::from_le_bytes(four.unwrap_or_default())
        };
        bytes.extend(read(guest, word(0), word(4))?);
    }
    Ok(bytes)
}
