//! The Node-API binding of the RaBitQ indexes and the lake. Arguments, threads and errors; no algorithm.

// Exports register themselves with Node only outside of test builds, which see no caller.
#![cfg_attr(test, allow(dead_code))]

mod allocator;
mod answer;
mod bundle;
mod collection;
mod collection_parameters;
mod collection_search;
mod cpu;
mod deferred;
mod drop_later;
mod error;
mod explain;
mod found;
mod hits;
mod index;
mod input;
mod job;
mod lake;
mod pages;
mod parameters;
mod pool;
mod priority;
mod pulse;
mod recommend;
mod records;
mod replacement;
mod rows;
mod scan;
mod session;
mod upkeep;

/// Called once, when the library is loaded.
#[napi_derive::module_init]
fn init() {
    job::install_panic_hook();
}
