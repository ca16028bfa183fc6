//! CPU levels: their names, and which one this process uses.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use crate::kernels::Kernels;
use crate::scalar;

/// Environment variable that forces a level: `scalar`, `avx2`, `avx512` or `neon`.
const LEVEL_VARIABLE: &str = "RULAKE_SIMD";

/// A set of CPU features for which there is a table of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Plain Rust, on any CPU. The reference for the other levels.
    Scalar,
    /// x86-64 with AVX2.
    Avx2,
    /// x86-64 with AVX-512 F, BW, VL, DQ and VNNI. VBMI is used where present.
    Avx512,
    /// AArch64 with Advanced SIMD (every such CPU). The dot-product extension is used where present.
    Neon,
}

impl Level {
    /// All levels, in ascending order of preference.
    const ALL: [Self; 4] = [Self::Scalar, Self::Neon, Self::Avx2, Self::Avx512];

    /// The name accepted by `RULAKE_SIMD` and [`FromStr`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// The text is not the name of a [`Level`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseLevelError {
    text: String,
}

impl fmt::Display for ParseLevelError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "unknown SIMD level {:?}; expected scalar, avx2, avx512 or neon",
            self.text
        )
    }
}

impl std::error::Error for ParseLevelError {}

impl FromStr for Level {
    type Err = ParseLevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|level| level.name() == text)
            .ok_or_else(|| ParseLevelError {
                text: text.to_owned(),
            })
    }
}

/// The tables this CPU can run, the best last. A level has two where it uses an optional feature.
pub(crate) fn tables() -> impl DoubleEndedIterator<Item = &'static Kernels> {
    let tables = [&scalar::KERNELS].into_iter();
    #[cfg(target_arch = "x86_64")]
    let tables = tables.chain(crate::x86::detected());
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    let tables = tables.chain(crate::neon::detected());
    tables
}

/// The kernels of `level`, or `None` if this CPU lacks it.
pub fn for_level(level: Level) -> Option<&'static Kernels> {
    tables().rev().find(|kernels| kernels.level == level)
}

/// The levels this CPU can run, scalar first and the best last.
pub fn available() -> Vec<Level> {
    Level::ALL
        .into_iter()
        .filter(|&level| for_level(level).is_some())
        .collect()
}

struct Choice {
    kernels: &'static Kernels,
    problem: Option<String>,
}

fn choose(forced: Option<&str>) -> Choice {
    let best = Level::ALL
        .into_iter()
        .rev()
        .find_map(for_level)
        .unwrap_or(&scalar::KERNELS);
    let Some(text) = forced.filter(|text| !text.is_empty()) else {
        return Choice {
            kernels: best,
            problem: None,
        };
    };
    let problem = match text.parse::<Level>() {
        Ok(level) => match for_level(level) {
            Some(kernels) => {
                return Choice {
                    kernels,
                    problem: None,
                };
            }
            None => format!("{LEVEL_VARIABLE}={level} is not available on this CPU"),
        },
        Err(error) => format!("{LEVEL_VARIABLE}: {error}"),
    };
    Choice {
        kernels: best,
        problem: Some(format!("{problem}; using {}", best.level())),
    }
}

fn choice() -> &'static Choice {
    static CHOICE: OnceLock<Choice> = OnceLock::new();
    CHOICE.get_or_init(|| choose(std::env::var(LEVEL_VARIABLE).ok().as_deref()))
}

/// The best kernels for this CPU, or those of the level named by the environment variable
/// `RULAKE_SIMD`. Chosen once per process.
pub fn kernels() -> &'static Kernels {
    choice().kernels
}

/// Why `RULAKE_SIMD` had no effect, if it names a level that is unknown or that this CPU lacks.
pub fn forced_level_problem() -> Option<&'static str> {
    choice().problem.as_deref()
}

/// The detected CPU features that matter here, by their names in Rust's `target_feature`.
pub fn cpu_features() -> Vec<&'static str> {
    #[allow(unused_mut)]
    let mut found = Vec::new();
    #[allow(unused_macros)]
    macro_rules! detect {
        ($detected:ident: $($name:tt)+) => {
            $(if std::arch::$detected!($name) {
                found.push($name);
            })+
        };
    }
    #[cfg(target_arch = "x86_64")]
    detect!(is_x86_feature_detected: "avx2" "avx512f" "avx512bw" "avx512vl" "avx512dq" "avx512vnni" "avx512vbmi");
    #[cfg(target_arch = "aarch64")]
    detect!(is_aarch64_feature_detected: "neon" "dotprod");
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for level in Level::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        assert!("AVX2".parse::<Level>().is_err());
    }

    #[test]
    fn every_table_knows_its_level() {
        for level in available() {
            assert_eq!(for_level(level).map(Kernels::level), Some(level));
        }
        assert_eq!(available()[0], Level::Scalar);
    }

    #[test]
    fn a_forced_level_is_used_and_a_bad_one_reported() {
        for level in Level::ALL {
            let choice = choose(Some(level.name()));
            match for_level(level) {
                Some(_) => {
                    assert_eq!(choice.kernels.level(), level);
                    assert_eq!(choice.problem, None);
                }
                None => assert!(
                    choice
                        .problem
                        .is_some_and(|text| text.contains(level.name()))
                ),
            }
        }
        let unforced = choose(None);
        assert_eq!(Some(&unforced.kernels.level()), available().last());
        let unknown = choose(Some("sse9"));
        assert_eq!(unknown.kernels.level(), unforced.kernels.level());
        assert!(unknown.problem.is_some_and(|text| text.contains("sse9")));
    }
}
