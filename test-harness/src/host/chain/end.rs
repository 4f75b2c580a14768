//! The end of a stream: log, done, delete, once each, unless the VM is dead.

use super::super::stream::StreamId;
use super::super::{Callback, Host};

impl Host {
    /// The response reached the client to its end.
    pub(super) fn complete(&mut self, stream: StreamId) {
        if let Some(state) = self.world.streams.get_mut(&stream) {
            state.outcome.completed = true;
        }
        self.finish(stream);
    }

    /// The stream is cut.
    pub(crate) fn reset(&mut self, stream: StreamId) {
        let Some(state) = self.world.streams.get_mut(&stream).filter(|s| !s.ended) else {
            return;
        };
        state.outcome.reset = true;
        self.finish(stream);
    }

    /// Tells all filters, in the order of the chain, whichever way the stream ended: first all
    /// log, then each is done and deleted.
    fn finish(&mut self, stream: StreamId) {
        let Some(state) = self.world.streams.get_mut(&stream) else {
            return;
        };
        if std::mem::replace(&mut state.ended, true) {
            return;
        }
        let filters = state.filters.len();
        for filter in 0..filters {
            // A filter that never saw the stream gets a context for the log alone.
            self.create_context(stream, filter);
            self.set_logging(stream, filter, true);
            if let Some((vm, context)) = self.place(stream, filter) {
                self.call(
                    vm,
                    context,
                    Callback::Log,
                    |store, exports| match &exports.log {
                        Some(log) => log.call(store, context),
                        None => Ok(()),
                    },
                );
            }
            self.set_logging(stream, filter, false);
        }
        for filter in 0..filters {
            let Some((vm, context)) = self.place(stream, filter) else {
                continue;
            };
            if self.vm_failed(vm) {
                self.release(vm);
                continue;
            }
            self.call(
                vm,
                context,
                Callback::Done,
                |store, exports| match &exports.done {
                    Some(done) => done.call(store, context),
                    None => Ok(1),
                },
            );
            self.call(
                vm,
                context,
                Callback::Delete,
                |store, exports| match &exports.delete {
                    Some(delete) => delete.call(store, context),
                    None => Ok(()),
                },
            );
            if let Some(vm) = self.vms.get_mut(vm) {
                vm.store.data_mut().contexts.remove(&context);
            }
        }
    }

    fn place(&self, stream: StreamId, filter: usize) -> Option<(usize, u32)> {
        self.world.streams.get(&stream)?.filters.get(filter)?.place
    }

    fn set_logging(&mut self, stream: StreamId, filter: usize, logging: bool) {
        let state = self.world.streams.get_mut(&stream);
        if let Some(filter) = state.and_then(|state| state.filters.get_mut(filter)) {
            filter.logging = logging;
        }
    }
}
