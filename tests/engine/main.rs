//! What needs the engine: numbers against golden files, training, pruning, the binary's runs.

mod examples;
mod families;
mod golden;
mod golden_obs;
mod heads;
mod hub;
mod memory;
mod metrics;
mod parquet;
mod runs;
mod surgery;
mod tasks;
mod transformers;
