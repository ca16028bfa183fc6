//! What the fuzz targets share: damage to files of every kind, and everything a user can do with such files.

pub mod bundle;
#[path = "../../crates/rabitq/tests/fuzz/choices.rs"]
pub mod choices;
#[path = "../../crates/rabitq/tests/fuzz/damage.rs"]
pub mod damage;
#[path = "../../crates/rabitq/tests/fuzz/exercise.rs"]
pub mod exercise;
pub mod lake;
pub mod repair;
pub mod scramble;
pub mod scratch;
#[path = "../../crates/rabitq/tests/fuzz/seeds.rs"]
pub mod seeds;
#[path = "../../crates/rabitq/tests/fuzz/upstream.rs"]
pub mod upstream;
