//! The proxy's log as that of this program.

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::calls;

/// The ABI's number of the level at which a trap is told of.
const CRITICAL: u32 = 5;

struct Logger;

static LOGGER: Logger = Logger;

/// From now on the proxy logs what is worth being read, and the reason of a trap.
pub(crate) fn start() {
    if log::set_logger(&LOGGER).is_err() {
        return; // it does so already
    }
    log::set_max_level(LevelFilter::Info);
    std::panic::set_hook(Box::new(|panic| calls::log(CRITICAL, &panic.to_string())));
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let level = match record.level() {
            Level::Trace => 0,
            Level::Debug => 1,
            Level::Info => 2,
            Level::Warn => 3,
            Level::Error => 4,
        };
        if self.enabled(record.metadata()) {
            calls::log(level, &record.args().to_string());
        }
    }

    fn flush(&self) {}
}
