import { native } from "../native.js";
import { callNative } from "./failure.js";

/** What the CPU offers and what is used of it. */
export interface CpuFeatures {
  /** Kernels in use. The environment variable `RULAKE_SIMD` forces a level; results are the same on each. */
  level: "scalar" | "neon" | "avx2" | "avx512";
  /** Levels this CPU can run, slowest first. */
  available: CpuFeatures["level"][];
  /** Detected features that matter here, by the names Rust gives them. */
  features: string[];
  /** Threads that search, and as many again that build. */
  threads: number;
  /** Why `RULAKE_SIMD` had no effect, if it had none. */
  problem?: string;
}

/** Looks at the CPU this process runs on. */
export function cpuFeatures(): CpuFeatures {
  return callNative("cpuFeatures", () => native().cpuReport()) as CpuFeatures;
}
