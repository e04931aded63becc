//! What needs the engine: numbers against golden files, training, pruning, the binary's runs.

mod best;
mod data_files;
mod device;
mod embeddings;
mod encoders;
mod examples;
mod families;
mod golden;
mod golden_obs;
mod gradients;
mod heads;
mod hub;
mod keeping;
mod learning;
mod library;
mod memory;
mod metrics;
mod models;
mod nudged;
mod parquet;
mod quantizing;
mod ranks;
mod resume;
mod runs;
mod scores;
mod sharing;
mod surgery;
mod tasks;
mod tensorboard;
mod token_classification;
mod transformers;
mod trials;
#[cfg(unix)]
mod tutorial;
mod warnings;
