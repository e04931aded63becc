//! The names and shapes of a model's parameters, without its weights.
//!
//! Recipes select parameters by name, and can be checked before any weight is read:
//!
//! - [`table`]: a model's parameters in order, with shapes in the Hugging Face layout
//!   (a linear layer's weight is `[out, in]`);
//! - [`config`]: `config.json` of a BERT;
//! - [`builtin`]: the parameters of a BERT of a given shape, and well-known models by name;
//! - [`files`]: the weight files of a folder, one or several;
//! - [`header`]: names and shapes from a safetensors header;
//! - [`naming`]: one set of names for checkpoints old and new;
//! - [`folder`]: all of that for a model folder;
//! - [`selector`]: globs, regular expressions, unions and exclusions over names.

pub mod builtin;
pub mod config;
pub mod files;
pub mod folder;
mod glob;
pub mod header;
pub mod naming;
pub mod selector;
pub mod table;

pub use config::{BertConfig, BertShape};
pub use selector::{Matcher, Selector, SelectorError};
pub use table::{Parameter, ParameterTable};
