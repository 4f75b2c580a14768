//! The shell around the decisions: gathers what they need from the proxy, asks them, and
//! acts on what they say. The only crate that speaks proxy-wasm.
//!
//! The four stages are four explicit lines in [`pipeline`]; which of them a module runs is
//! given by its [`Stages`]. Nothing here decides who may do what.

mod adoption;
mod call;
mod config;
mod edges;
mod filter;
mod following;
mod handover;
mod host;
mod keeping;
mod key_waits;
mod limits;
mod link;
mod pipeline;
mod random;
mod reply;
mod request;
mod response;
mod root;
mod rs256;
mod socket;
mod stages;
mod waiting;
mod worker;

pub use stages::Stages;

/// Every call makes and drops some two hundred small pieces of memory; the C library's allocator
/// was the dearest function of all.
#[cfg(target_family = "wasm")]
#[global_allocator]
static MEMORY: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// Registers the plugin with the proxy. A module calls this once, from its start function.
pub fn start(stages: Stages) {
    STAGES.with(|cell| cell.set(stages));
    sekisho_hostcalls::start(|context| {
        Box::new(root::Root::new(context, STAGES.with(std::cell::Cell::get)))
    });
}

std::thread_local! {
    static STAGES: std::cell::Cell<Stages> = const { std::cell::Cell::new(Stages::NONE) };
}
