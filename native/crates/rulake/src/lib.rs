//! rulake
