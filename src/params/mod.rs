//! The names and shapes of a model's parameters, without its weights.
//!
//! Recipes select parameters by name, and can be checked before any weight is read:
//!
//! - [`table`]: a model's parameters in order, with shapes in the Hugging Face layout
//!   (a linear layer's weight is `[out, in]`);
//! - [`family`]: BERT, RoBERTa and DistilBERT, one encoder under three sets of names;
//! - [`config`]: `config.json` of any of them; [`config_keys`]: what each of its keys means here; and
//!   [`config_file`]: one read by them, with the places of its keys;
//! - [`builtin`]: the parameters of a model of a given shape, and well-known models by name;
//! - [`files`]: the weight files of a folder, one or several;
//! - [`header`]: names and shapes from a safetensors header;
//! - [`pickle`]: the same from `pytorch_model.bin`, without running it; and `tensors`, the values of either;
//! - [`quantization`]: the scales of a folder whose layers are rounded;
//! - [`naming`]: one set of names for checkpoints old and new;
//! - [`folder`]: all of that for a model folder; `weights`: its tensors against its configuration;
//! - [`cache`]: models by name in the cache that all Hugging Face programs share;
//! - [`settings`]: what a model was made with, saved beside it;
//! - [`storage`]: the bytes of parameters, dense and with zeros at one bit;
//! - [`selector`]: globs, regular expressions, unions and exclusions over names.

pub mod builtin;
pub mod cache;
pub mod config;
pub mod config_file;
pub mod config_keys;
pub mod family;
pub mod files;
pub mod folder;
mod glob;
pub mod header;
pub(crate) mod json_places;
pub mod naming;
pub mod pickle;
pub mod quantization;
pub mod selector;
pub mod settings;
pub mod storage;
pub mod table;
#[cfg(feature = "infer")]
pub mod tensors;
mod weights;

pub use config::{BertConfig, BertShape};
pub use family::Family;
pub use selector::{Matcher, Selector, SelectorError};
pub use settings::Settings;
pub use table::{Parameter, ParameterTable};
