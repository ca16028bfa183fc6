//! The Node-API binding of the RaBitQ indexes and the lake. Arguments, threads and errors; no algorithm.

mod error;
mod input;
mod job;
mod pool;

/// Called once, when the library is loaded.
#[napi_derive::module_init]
fn init() {
    job::install_panic_hook();
}
