//! What the peers in Rust share: the request, the data files and the clock.

pub mod clock;
pub mod matrix;
pub mod request;
