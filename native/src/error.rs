//! How a failure crosses into JavaScript: as fields of an object, never as text to be parsed.

use std::path::Path;

use napi::bindgen_prelude::{JsObjectValue, JsValue, Object};
use napi::{Env, JsError};

/// How an error behaves over time; the names JavaScript sees are the variants in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// May pass if tried again.
    Transient,
    /// Needs a change by the caller.
    Permanent,
    /// Something outside the process: disk, memory.
    Infrastructure,
}

impl Category {
    fn name(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::Infrastructure => "infrastructure",
        }
    }
}

/// One fact of a failure's context.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A count, an id, a size: exact up to 2^53.
    Number(f64),
    /// A name or a path.
    Text(String),
    /// Yes or no.
    Flag(bool),
    /// Several names.
    List(Vec<String>),
}

impl From<f64> for Fact {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}
impl From<usize> for Fact {
    #[expect(clippy::cast_precision_loss, reason = "sizes stay far below 2^53")]
    fn from(value: usize) -> Self {
        Self::Number(value as f64)
    }
}
impl From<i64> for Fact {
    #[expect(clippy::cast_precision_loss, reason = "ids are safe integers")]
    fn from(value: i64) -> Self {
        Self::Number(value as f64)
    }
}
impl From<&str> for Fact {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<String> for Fact {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl From<&Path> for Fact {
    fn from(value: &Path) -> Self {
        Self::Text(value.display().to_string())
    }
}
impl From<bool> for Fact {
    fn from(value: bool) -> Self {
        Self::Flag(value)
    }
}
impl From<Vec<String>> for Fact {
    fn from(value: Vec<String>) -> Self {
        Self::List(value)
    }
}

/// Why an exported function failed. JavaScript receives an `Error` with `code`, `message`, `category`, `context` and
/// perhaps `hint`, thrown by a synchronous export or as the rejection of a promise; `src/errors.ts` makes it a `RuLakeError`.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Stable, `SCREAMING_SNAKE`.
    pub code: String,
    /// See [`Category`].
    pub category: Category,
    /// One sentence for people.
    pub message: String,
    /// Facts for programs.
    pub context: Vec<(&'static str, Fact)>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The result of the work behind an export.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure without facts. Codes for input and output count as infrastructure, `CONFLICT` as transient.
    #[must_use]
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        let code = code.into();
        let category = match code.as_str() {
            "IO" | "OUT_OF_MEMORY" => Category::Infrastructure,
            "CONFLICT" => Category::Transient,
            _ => Category::Permanent,
        };
        Self {
            code,
            category,
            message: message.into(),
            context: Vec::new(),
            hint: None,
        }
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, name: &'static str, fact: impl Into<Fact>) -> Self {
        self.context.push((name, fact.into()));
        self
    }

    /// Sets the category.
    #[must_use]
    pub fn category(mut self, category: Category) -> Self {
        self.category = category;
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A defect of this library: what a caught panic becomes.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new("INTERNAL", message)
            .hint("This is a defect of rulake; please report it with the message and context.")
    }

    /// The operation ran into a handle that was closed.
    #[must_use]
    pub fn closed(what: &str) -> Self {
        Self::new("CLOSED", format!("the {what} is closed"))
    }

    /// The JavaScript error. To be called on the JavaScript thread of `env`.
    #[must_use]
    pub fn into_js(self, env: &Env) -> napi::Error {
        let message = self.message.clone();
        // What cannot be attached (an environment that is shutting down) is given up: nobody is left to read it.
        self.try_into_js(env)
            .unwrap_or_else(|_| napi::Error::from_reason(message))
    }

    fn try_into_js(self, env: &Env) -> napi::Result<napi::Error> {
        let value = JsError::from(napi::Error::new(self.code, self.message)).into_unknown(*env);
        let mut error = Object::from_raw(env.raw(), value.raw());
        error.set_named_property("category", self.category.name())?;
        if let Some(hint) = self.hint {
            error.set_named_property("hint", hint)?;
        }
        let mut context = Object::new(env)?;
        for (name, fact) in self.context {
            match fact {
                Fact::Number(number) => context.set_named_property(name, number)?,
                Fact::Text(text) => context.set_named_property(name, text)?,
                Fact::Flag(flag) => context.set_named_property(name, flag)?,
                Fact::List(list) => context.set_named_property(name, list)?,
            }
        }
        error.set_named_property("context", context)?;
        Ok(napi::Error::from_unknown_without_coercion(value))
    }
}

impl From<rabitq::Error> for Failure {
    fn from(error: rabitq::Error) -> Self {
        use rabitq::Error as E;
        let failure = Self::new(error.code(), error.to_string());
        match &error {
            E::InvalidDimensions { got } => failure
                .with("dimensions", *got)
                .with("max", rabitq::MAX_DIMENSIONS),
            E::DimensionMismatch { expected, got } => {
                failure.with("expected", *expected).with("got", *got)
            }
            E::NotFinite {
                row,
                position,
                value,
            } => failure
                .with("row", *row)
                .with("position", *position)
                .with("value", value.to_string()),
            E::NormOutOfRange { row, norm_squared } => failure
                .with("row", *row)
                .with("normSquared", *norm_squared)
                .hint("Scale the vectors, for instance to unit length."),
            E::InvalidK { got } => failure.with("k", *got),
            E::DuplicateId { id } => failure.with("id", *id),
            E::IdCountMismatch { ids, vectors } => {
                failure.with("ids", *ids).with("vectors", *vectors)
            }
            E::InvalidOption { option, .. } => failure.with("option", *option),
            E::NoRawVectors { kind } => failure.with("kind", kind.name()),
            E::UnsupportedFormat { path, reason } | E::Corrupt { path, reason } => failure
                .with("path", path.as_path())
                .with("reason", reason.as_str()),
            E::Io { path, source } => from_io(failure, path, source),
            E::Cancelled => failure,
        }
    }
}

/// Facts and hint of an operating-system error.
#[must_use]
pub fn from_io(failure: Failure, path: &Path, source: &std::io::Error) -> Failure {
    use std::io::ErrorKind as K;
    // A wrong path stays wrong; a full disk or a lost mount may be mended.
    let category = match source.kind() {
        K::NotFound => Category::Permanent,
        _ => Category::Infrastructure,
    };
    let failure = failure
        .category(category)
        .with("path", path)
        .with("reason", source.to_string());
    let failure = match source.raw_os_error() {
        Some(number) => failure.with("errno", f64::from(number)),
        None => failure,
    };
    match source.kind() {
        K::NotFound => failure.hint("Check the path; the folder a file is saved into must exist."),
        K::PermissionDenied => failure.hint("This user may not read or write there."),
        K::StorageFull | K::QuotaExceeded => failure.hint("The disk is full."),
        K::ReadOnlyFilesystem => failure.hint("The file system is mounted read-only."),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_crate_error_keeps_its_code_and_facts() {
        let failure = Failure::from(rabitq::Error::DimensionMismatch {
            expected: 3,
            got: 4,
        });
        assert_eq!(
            (failure.code.as_str(), failure.category),
            ("DIMENSION_MISMATCH", Category::Permanent)
        );
        assert_eq!(
            failure.context,
            [("expected", Fact::Number(3.0)), ("got", Fact::Number(4.0))]
        );
    }

    #[test]
    fn a_missing_file_is_the_callers_and_a_full_disk_is_not() {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        let failure = Failure::from(rabitq::Error::Io {
            path: PathBuf::from("a/b"),
            source,
        });
        assert_eq!(
            (failure.code.as_str(), failure.category),
            ("FILE_NOT_FOUND", Category::Permanent)
        );
        assert_eq!(
            failure.context.first(),
            Some(&("path", Fact::Text("a/b".into())))
        );
        assert!(failure.hint.is_some());
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let failure = Failure::from(rabitq::Error::Io {
            path: PathBuf::from("a/b"),
            source,
        });
        assert_eq!(
            (failure.code.as_str(), failure.category),
            ("IO", Category::Infrastructure)
        );
    }
}
