//! What models are trained and measured on.
//!
//! - [`splits`]: which files are the training and the held-out data; [`files`]: their text;
//! - [`squad`]: [`questions`] and answers from SQuAD's JSON (`squad_json`) and Parquet (`squad_rows`);
//!   `answers`: where the answers are in their contexts;
//! - [`builtin`]: generated reading comprehension in the same shape, for a bare machine;
//! - [`rows`]: tables of [`cell`]s from CSV and TSV ([`delimited`]), JSON ([`json_rows`]) and Parquet ([`parquet`]);
//! - [`features`]: long contexts cut into windows of tokens;
//! - [`labelled`]: texts with labels from tables; [`layout`]: which columns and labels they have;
//!   `bad_rows`: rows that cannot be used; [`pairs`]: the texts in tokens;
//! - [`documents`]: texts packed into sequences; [`masking`]: which tokens are hidden;
//! - [`cache`]: features kept on disk;
//! - [`sampler`]: which examples make which batch.

mod answers;
mod bad_rows;
pub mod builtin;
pub mod cache;
pub mod cell;
pub mod delimited;
pub mod documents;
pub mod encoding;
pub mod features;
pub mod files;
pub mod json_rows;
pub mod labelled;
pub mod layout;
pub mod masking;
pub mod pairs;
pub mod parquet;
pub mod questions;
pub mod rows;
pub mod sampler;
pub mod splits;
pub mod squad;
mod squad_json;
mod squad_rows;
