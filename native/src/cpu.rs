//! What the CPU offers and what is used of it.

use napi_derive::napi;

/// The kernels in use and why.
#[napi(object, object_from_js = false)]
pub struct CpuReport {
    /// Level of the kernels in use: `scalar`, `neon`, `avx2` or `avx512`.
    pub level: String,
    /// Levels this CPU can run.
    pub available: Vec<String>,
    /// Detected CPU features that matter here.
    pub features: Vec<String>,
    /// Threads of each lane.
    pub threads: u32,
    /// Why `RULAKE_SIMD` had no effect, if it had none.
    pub problem: Option<String>,
}

/// Looks at the CPU.
#[napi(catch_unwind)]
pub fn cpu_report() -> CpuReport {
    CpuReport {
        level: simd::kernels().level().name().to_owned(),
        available: simd::available()
            .into_iter()
            .map(|level| level.name().to_owned())
            .collect(),
        features: simd::cpu_features()
            .iter()
            .map(|&name| name.to_owned())
            .collect(),
        threads: u32::try_from(crate::pool::threads()).unwrap_or(1),
        problem: simd::forced_level_problem().map(str::to_owned),
    }
}
