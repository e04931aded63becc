//! Other measures of importance than the surgeon's.

pub mod magnitude;
