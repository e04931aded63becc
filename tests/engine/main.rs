//! What needs the engine: numbers against golden files, training, pruning, the binary's runs.

mod examples;
mod golden;
mod golden_obs;
mod heads;
mod metrics;
mod runs;
mod tasks;
mod transformers;
