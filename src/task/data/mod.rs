//! Data sets: files to examples, examples to tokens, tokens to batches.
//!
//! - [`splits`]: the files of training, dev and test sets; [`files`]: their text;
//! - [`table`]: tables of [`cell`]s with named `columns`, from CSV and TSV ([`delimited`]), JSON ([`json_rows`]) and
//!   Parquet ([`parquet`]); `bad_rows`: unusable rows;
//! - [`squad`]: [`questions`] from SQuAD's JSON (`squad_json`) and Parquet (`squad_rows`), with `answers` located in
//!   their contexts; [`features`]: windows of the contexts; [`builtin`]: generated data of the same kind;
//! - [`labelled`]: labelled texts; [`layout`]: their columns and labels; `other_tasks`: data of tasks that are not
//!   supported; [`pairs`]: the tokenized texts;
//! - [`tagged`]: sentences whose words have [`tags`], also from CoNLL files ([`conll`]); [`tagged_windows`]: their tokens;
//! - [`targets`]: texts with scores or several labels, and [`target_sequences`], their tokens;
//! - [`sentences`]: pairs, triplets and texts for sentence embeddings, and [`sentence_rows`], their tokens;
//!   [`retrieval`]: queries and documents;
//! - [`documents`]: texts packed into sequences; [`masking`]: masked tokens;
//! - [`cache`]: features on disk, in the [`encoding`] of this crate;
//! - [`sampler`]: the examples of each batch.

mod answers;
mod bad_rows;
pub mod builtin;
pub mod cache;
pub mod cell;
mod columns;
pub mod conll;
pub mod delimited;
pub mod documents;
pub mod encoding;
pub mod features;
pub mod files;
pub mod json_rows;
pub mod labelled;
pub mod layout;
pub mod masking;
mod other_tasks;
pub mod pairs;
pub mod parquet;
pub mod questions;
pub mod retrieval;
pub mod sampler;
pub mod sentence_rows;
pub mod sentences;
pub mod splits;
pub mod squad;
mod squad_json;
mod squad_rows;
pub mod table;
pub mod tagged;
pub mod tagged_windows;
pub mod tags;
pub mod target_sequences;
pub mod targets;
