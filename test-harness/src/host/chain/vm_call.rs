//! Entering a VM, and what host calls put off until it is left.

use wasmtime::Store;

use super::super::log::{Level, LogLine};
use super::super::stream::{Direction, StreamId};
use super::super::vm::{Exports, VmData};
use super::super::world::AfterCall;
use super::super::{Callback, Host};

impl Host {
    /// Runs a function of a VM in a context, then what host calls put off. None if the VM is dead
    /// or dies of it.
    pub(crate) fn call<R>(
        &mut self,
        vm: usize,
        context: u32,
        callback: Callback,
        run: impl FnOnce(&mut Store<VmData>, &Exports) -> wasmtime::Result<R>,
    ) -> Option<R> {
        let (value, _) = self.enter(vm, context, callback, run)?;
        self.run_after_call(vm);
        Some(value)
    }

    /// Like [`Host::call`], without what was put off. The second value is true if a local reply
    /// was asked for.
    pub(super) fn enter<R>(
        &mut self,
        vm: usize,
        context: u32,
        callback: Callback,
        run: impl FnOnce(&mut Store<VmData>, &Exports) -> wasmtime::Result<R>,
    ) -> Option<(R, bool)> {
        let instance = self.vms.get_mut(vm).filter(|vm| !vm.failed)?;
        let before = instance.cost();
        let data = instance.store.data_mut();
        data.current = context;
        data.effective = 0;
        let thread = data.thread;
        let plugin = data.root().map(|root| root.name.clone());
        let stream = data.filter().map(|(stream, _)| stream);
        self.world.record(thread, plugin.clone(), stream, callback);
        std::mem::swap(&mut data.world, &mut self.world);
        let result = run(&mut instance.store, &instance.exports);
        let after = instance.cost();
        let data = instance.store.data_mut();
        std::mem::swap(&mut data.world, &mut self.world);
        self.world.note_cost(before, after);
        data.effective = 0;
        let stopped = std::mem::take(&mut data.stop_iteration);
        match result {
            Ok(value) => Some((value, stopped)),
            Err(trap) => {
                data.after_call.clear();
                instance.failed = true;
                let text = format!("trapped: {trap:?}");
                self.world.log(LogLine {
                    level: Level::Critical,
                    thread,
                    plugin,
                    stream,
                    text,
                });
                None
            }
        }
    }

    pub(super) fn run_after_call(&mut self, vm: usize) {
        while let Some(action) = self
            .vms
            .get_mut(vm)
            .and_then(|vm| vm.store.data_mut().after_call.pop_front())
        {
            match action {
                AfterCall::Continue {
                    stream,
                    filter,
                    response,
                } => {
                    let direction = if response {
                        Direction::Response
                    } else {
                        Direction::Request
                    };
                    self.touch(stream);
                    self.resume(stream, filter, direction);
                }
                AfterCall::Reply { stream, reply } => self.local_reply(stream, reply),
                AfterCall::Reset { stream } => self.reset(stream),
            }
        }
    }

    /// Makes the filter's context in its VM, once.
    pub(super) fn create_context(&mut self, stream: StreamId, filter: usize) {
        let Some(state) = self.world.streams.get_mut(&stream) else {
            return;
        };
        let Some(filter) = state.filters.get_mut(filter) else {
            return;
        };
        if std::mem::replace(&mut filter.created, true) {
            return;
        }
        let (Some((vm, context)), root) = (filter.place, filter.root) else {
            return;
        };
        self.call(
            vm,
            context,
            Callback::ContextCreate,
            |store, exports| match &exports.context_create {
                Some(create) => create.call(store, (context, root)),
                None => Ok(()),
            },
        );
    }
}
