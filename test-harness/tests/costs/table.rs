//! Costs of one call, callback by callback.

use sekisho_test_harness::host::{Callback, Cost, Host, StreamId, Thread, WorkerId};

/// The most that a call may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ceiling {
    pub(crate) instructions: u64,
    pub(crate) entries: u32,
    pub(crate) host_calls: u32,
}

/// What a call cost.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallCost {
    callbacks: Vec<(String, Cost)>,
    /// Instructions of an acknowledgement of the sidecar; in relaxed mode it is for many calls.
    pub(crate) acknowledgement: u64,
}

impl CallCost {
    pub(crate) fn new(host: &Host, stream: StreamId) -> Self {
        let callbacks = host.costs(stream).into_iter();
        let there = callbacks.filter(|(_, _, cost)| cost.entries > 0);
        Self {
            callbacks: there
                .map(|(_, callback, cost)| (format!("{callback:?}"), cost))
                .collect(),
            acknowledgement: 0,
        }
    }

    /// The middle one by instructions.
    pub(crate) fn middle(mut calls: Vec<Self>) -> Self {
        calls.sort_by_key(|call| call.sum().instructions);
        let middle = calls.len() / 2;
        calls.swap_remove(middle)
    }

    pub(crate) fn sum(&self) -> Cost {
        let mut sum = Cost::default();
        for (_, cost) in &self.callbacks {
            sum += *cost;
        }
        sum
    }

    pub(crate) fn print(&self, what: &str) {
        println!("{what}: instructions, entries of the VM, host calls");
        for (callback, cost) in &self.callbacks {
            print_row(callback, *cost);
        }
        print_row("all", self.sum());
        if self.acknowledgement > 0 {
            println!("  {:>7}           an acknowledgement", self.acknowledgement);
        }
    }

    pub(crate) fn assert_within(&self, most: Ceiling) {
        let sum = self.sum();
        assert!(
            sum.instructions <= most.instructions
                && sum.entries <= most.entries
                && sum.host_calls <= most.host_calls,
            "{sum:?} is over {most:?}"
        );
    }
}

fn print_row(what: &str, cost: Cost) {
    let Cost {
        instructions,
        entries,
        host_calls,
        ..
    } = cost;
    println!("  {instructions:>7} {entries:>3} {host_calls:>3}   {what}");
}

/// Instructions for the sidecar's last message to the worker.
pub(crate) fn acknowledgement(host: &Host) -> u64 {
    let callbacks = host.root_costs().into_iter().rev();
    let mut messages = callbacks.filter(|(thread, callback, _)| {
        *thread == Thread::Worker(WorkerId(0)) && matches!(callback, Callback::GrpcMessage { .. })
    });
    let last = messages.next();
    last.map_or(0, |(_, _, cost)| cost.instructions)
}
