//! Bundles through their public face: what is published comes back, and what was tampered with does not.

mod damage;
mod publish;
mod scratch;
mod upstream;
