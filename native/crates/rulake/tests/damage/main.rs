//! Crashes and damage: what was acknowledged is there, or opening says what is wrong.

#[path = "../directory/mod.rs"]
mod directory;
mod docs;
mod noticed;
mod past;
mod recovery;
mod rot;
mod sessions;
