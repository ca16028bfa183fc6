//! An index of metadata: which records of a segment have which values.

mod answer;
mod build;
mod dictionary;
mod file;
mod layout;

pub(crate) use answer::Answer;
pub(crate) use build::FilterBuilder;
pub(crate) use file::FilterFile;
pub(crate) use layout::MAX_FIELDS;
