//! What models are trained and measured on.
//!
//! - [`files`]: the files of a data folder;
//! - [`squad`]: questions and answers from SQuAD's JSON; `squad_rows`: the same from Parquet;
//! - [`builtin`]: generated reading comprehension in the same shape, for a bare machine;
//! - [`parquet`]: columns of Parquet files;
//! - [`features`]: long contexts cut into windows of tokens;
//! - [`rows`] and [`labelled`]: texts with labels from tables; [`pairs`]: the same in tokens;
//! - [`documents`]: texts packed into sequences; [`masking`]: which tokens are hidden;
//! - [`cache`]: features kept on disk;
//! - [`sampler`]: which examples make which batch.

pub mod builtin;
pub mod cache;
pub mod documents;
pub mod features;
pub mod files;
pub mod labelled;
pub mod masking;
pub mod pairs;
pub mod parquet;
pub mod rows;
pub mod sampler;
pub mod squad;
mod squad_rows;
