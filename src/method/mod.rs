//! The mathematics of compression: numbers and tensors only, no recipe, no schedule, no file.
//!
//! - [`mask`]: which weights stay, and how the least important are found;
//! - [`obs`]: the Optimal BERT Surgeon (arXiv 2203.07259);
//! - [`criterion`]: other measures of importance;
//! - [`distill`]: learning from a teacher;
//! - [`qat`]: training with rounded values.

pub mod criterion;
pub mod distill;
pub mod mask;
pub mod obs;
pub mod qat;
