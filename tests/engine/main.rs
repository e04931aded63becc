//! What needs the engine: numbers against golden files, training, pruning, the binary's runs.

mod examples;
mod golden;
mod golden_obs;
mod heads;
mod memory;
mod metrics;
mod runs;
mod sharing;
mod surgery;
mod tasks;
mod transformers;
mod trials;
