//! The root context: configuration, the clock's ticks, and the stream to the sidecar.

use std::cell::RefCell;
use std::rc::Rc;

use sekisho_domain::UnixMillis;
use sekisho_hostcalls::{Buffer, Stream};
use sekisho_link::{METHOD, Need, Outbox, SERVICE};

use crate::config::Config;
use crate::filter::Filter;
use crate::worker::{Compiled, Worker};
use crate::{Stages, following, host, link, socket};

/// Between ticks. Late acknowledgements are noticed within one of them.
const TICK_MILLIS: u32 = 50;
/// Between heartbeats, which keep leases alive while nothing happens.
const HEARTBEAT_MILLIS: u64 = 1_000;
/// Between tries to reach a sidecar that is gone.
const REOPEN_MILLIS: u64 = 200;
/// Between looks for leases that nobody uses.
const IDLE_LOOK_MILLIS: u64 = 1_000;

pub(crate) struct Root {
    id: u32,
    worker: Rc<RefCell<Worker>>,
    cluster: Option<String>,
    opened: UnixMillis,
    looked: UnixMillis,
}

impl Root {
    pub(crate) fn new(id: u32, stages: Stages) -> Self {
        Self {
            id,
            worker: Rc::new(RefCell::new(Worker::new(id, stages))),
            cluster: None,
            opened: UnixMillis::default(),
            looked: UnixMillis::default(),
        }
    }

    fn take_configuration(&mut self) -> Result<(), String> {
        let bytes = sekisho_hostcalls::buffer(Buffer::PluginConfiguration, 0, usize::MAX);
        let bytes = bytes.unwrap_or_default();
        let mut worker = self.worker.borrow_mut();
        let stages = worker.stages;
        match Config::parse(&bytes, stages)? {
            Config::Link { cluster } => {
                worker.outbox = Outbox::new(host::random(), &stages.names());
                self.cluster = Some(cluster);
                sekisho_hostcalls::set_tick_period(TICK_MILLIS)
                    .map_err(|status| format!("the proxy gives no ticks: {status:?}"))
            }
            Config::Inline { policy, standalone } => {
                worker.alone = true;
                worker.hands_on = stages.is_part() && !standalone;
                worker.adopt(Compiled::new(*policy, &[])?);
                Ok(())
            }
        }
    }

    fn open(&mut self, now: UnixMillis) {
        let Some(cluster) = &self.cluster else { return };
        if now.since(self.opened) < REOPEN_MILLIS {
            return;
        }
        self.opened = now;
        match sekisho_hostcalls::open_grpc_stream(cluster, SERVICE, METHOD) {
            Ok(token) => {
                let mut worker = self.worker.borrow_mut();
                let holder = host::random();
                worker.stream = Some(token);
                worker.outbox.connected(holder);
                worker.accounts.restart(holder);
                worker.send(self.id, now, Need::Heartbeat);
            }
            Err(status) => log::warn!("cluster `{cluster}` takes no stream: {status:?}"),
        }
    }
}

impl sekisho_hostcalls::Root for Root {
    fn message(&mut self, token: u32, size: usize) {
        if self.worker.borrow().stream != Some(token) {
            return;
        }
        let bytes = sekisho_hostcalls::buffer(Buffer::Message, 0, size).unwrap_or_default();
        link::received(&self.worker, &bytes, host::now());
    }

    fn closed(&mut self, token: u32, status: u32) {
        if self.worker.borrow().stream != Some(token) {
            return;
        }
        if self.worker.borrow().outbox.durable_at() > UnixMillis::default() {
            log::warn!(
                "the stream to the sidecar has ended with status {status}: calls are refused"
            );
        } else {
            log::debug!("the sidecar cannot be reached: status {status}");
        }
        link::lost(&self.worker, host::now());
    }

    fn configure(&mut self) -> bool {
        let configured = self.take_configuration();
        if let Err(problems) = &configured {
            for problem in problems.lines() {
                log::error!("{problem}");
            }
        }
        configured.is_ok()
    }

    fn tick(&mut self) {
        let now = host::now();
        if self.worker.borrow().stream.is_none() {
            self.open(now);
        }
        link::expire(&self.worker, now);
        socket::look_after(&self.worker, now);
        following::reset_cut(&self.worker, now);
        let mut worker = self.worker.borrow_mut();
        if now.since(self.looked) >= IDLE_LOOK_MILLIS {
            self.looked = now;
            link::return_idle(&mut worker, now);
            if let Some(authenticator) = &mut worker.authenticator {
                authenticator.forget_expired(now);
            }
        }
        let is_quiet = now.since(worker.outbox.durable_at()) >= HEARTBEAT_MILLIS;
        let need = if is_quiet {
            Need::Heartbeat
        } else {
            Need::Usual
        };
        worker.send(self.id, now, need);
    }

    fn stream(&self, context: u32) -> Box<dyn Stream> {
        Box::new(Filter::new(context, Rc::clone(&self.worker)))
    }
}
