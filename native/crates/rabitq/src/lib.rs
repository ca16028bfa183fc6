//! rabitq
