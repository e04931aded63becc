//! What needs the engine: numbers against golden files, training, pruning, the binary's runs.

mod device;
mod examples;
mod golden;
mod golden_obs;
mod heads;
mod memory;
mod metrics;
mod runs;
mod surgery;
mod tasks;
mod transformers;
