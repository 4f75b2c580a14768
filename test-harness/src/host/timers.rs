//! What happens when the clock moves: ticks and timeouts.

use std::time::Duration;

use super::http_call::HttpCallId;
use super::stream::{LocalReply, StreamId};
use super::vm::Tick;
use super::{Callback, Host, HttpReply, ResponseFlags, UnixNanos};

/// Something that is due at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Tick { vm: usize, root: u32 },
    CallTimeout(HttpCallId),
    Idle(StreamId),
}

impl Host {
    /// The proxy's time.
    #[must_use]
    pub fn now(&self) -> UnixNanos {
        self.world.now
    }

    /// Moves the clock, and lets everything happen that is due on the way, in order of time.
    pub fn advance(&mut self, by: Duration) {
        let until = self.world.now.after(by);
        while let Some((at, due)) = self.next_due().filter(|(at, _)| *at <= until) {
            self.world.now = self.world.now.max(at);
            self.happen(due);
            self.pump();
        }
        self.world.now = until;
    }

    fn next_due(&self) -> Option<(UnixNanos, Due)> {
        let ticks = self
            .vms
            .iter()
            .enumerate()
            .filter(|(_, vm)| !vm.failed)
            .flat_map(|(vm, state)| {
                let roots = state.store.data().roots.iter();
                roots.filter_map(move |(root, state)| {
                    Some((state.tick?.due, Due::Tick { vm, root: *root }))
                })
            });
        let calls = self.world.calls.pending.iter();
        let calls = calls.filter_map(|(id, call)| Some((call.deadline?, Due::CallTimeout(*id))));
        let timeout = self.world.settings.stream_idle_timeout;
        let idle = self
            .world
            .streams
            .iter()
            .filter(|(_, stream)| !stream.ended);
        let idle = idle.filter_map(|(id, stream)| {
            Some((stream.last_activity.after(timeout?), Due::Idle(*id)))
        });
        ticks.chain(calls).chain(idle).min()
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Tick { vm, root } => self.tick(vm, root),
            Due::CallTimeout(id) => {
                // Envoy answers in the peer's place.
                self.world
                    .calls
                    .replies
                    .push_back((id, HttpReply::status(504)));
            }
            Due::Idle(stream) => self.idle(stream),
        }
    }

    fn tick(&mut self, vm: usize, root: u32) {
        if let Some(tick) = self.root(vm, root).and_then(|root| root.tick.as_mut()) {
            // The callback may set another period; otherwise the next tick is one period away.
            let Tick { period_nanos, due } = *tick;
            tick.due = due.after(Duration::from_nanos(period_nanos));
        }
        self.call(vm, root, Callback::Tick, |store, exports| {
            match &exports.tick {
                Some(tick) => tick.call(store, root),
                None => Ok(()),
            }
        });
    }

    fn idle(&mut self, stream: StreamId) {
        self.touch(stream);
        if let Some(state) = self.world.streams.get_mut(&stream) {
            state.outcome.flags = ResponseFlags::STREAM_IDLE_TIMEOUT;
        }
        let reply = LocalReply {
            status: 504,
            body: b"stream timeout".to_vec(),
            details: "stream_idle_timeout".to_owned(),
            headers: Vec::new(),
        };
        self.local_reply(stream, reply);
    }
}
