//! Model folders in the Hugging Face layout: configuration, and names and shapes of parameters.
//!
//! Recipes select parameters by name, so that they can be checked before any weight is read:
//!
//! - [`table`]: a model's parameters in order, with shapes in the Hugging Face layout (a linear layer's weight is
//!   `[out, in]`);
//! - [`family`]: the families of encoders, one file each; [`architecture`]: what an encoder computes; `head`: task
//!   heads;
//! - [`config`]: `config.json` of each family; [`config_keys`]: the treatment of each of its keys;
//!   [`config_file`]: reads and checks the file, value by value (`config_values`), with diagnostics at its keys;
//! - [`builtin`]: the parameter table of a model of a given shape, and well-known models by name;
//! - [`files`]: the weight files of a folder, one or several shards;
//! - [`header`]: names, dtypes and shapes from a safetensors header;
//! - [`pickle`]: the same from `pytorch_model.bin`, without executing it; `tensors`: the values from either;
//! - [`quantization`]: `quantization.json`, the scales of a quantized model;
//! - [`naming`]: the names of tensors in old, bare and wrapped checkpoints;
//! - [`folder`]: reads a model folder without its weights; `weights`: checks its tensors against its configuration;
//! - [`cache`]: models by name in the Hugging Face cache;
//! - [`settings`]: `obert.json`, the task and its settings that a model was trained with;
//! - [`storage`]: bytes of parameters, dense and compressed;
//! - [`selector`]: globs, regular expressions, unions and exclusions of names.

pub mod architecture;
pub mod builtin;
pub mod cache;
pub mod config;
pub mod config_file;
mod config_key;
pub mod config_keys;
mod config_values;
mod described;
pub mod family;
pub mod files;
pub mod folder;
mod glob;
mod head;
pub mod header;
pub(crate) mod json_places;
pub mod naming;
pub mod pickle;
pub mod quantization;
pub mod selector;
pub mod sentence_modules;
pub mod settings;
pub mod storage;
pub mod table;
#[cfg(feature = "infer")]
pub mod tensors;
mod weights;

pub use architecture::{Activation, Architecture};
pub use config::{BertConfig, BertShape};
pub use family::Family;
pub use head::PROBLEMS;
pub use selector::{Matcher, Selector, SelectorError};
pub use settings::Settings;
#[cfg(feature = "engine")]
pub(crate) use table::layer_of;
pub use table::{Parameter, ParameterTable};
