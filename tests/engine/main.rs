//! What needs the engine: numbers against golden files, training, pruning, the binary's runs.

mod best;
mod examples;
mod golden;
mod golden_obs;
mod gradients;
mod heads;
mod keeping;
mod learning;
mod memory;
mod metrics;
mod resume;
mod run_log;
mod runs;
mod sharing;
mod surgery;
mod tasks;
mod transformers;
mod trials;
