//! Kernels against their definition, and every level against scalar, bit for bit.
