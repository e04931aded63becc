//! What needs the engine: numbers against golden files, training, pruning, the binary's runs.

mod examples;
mod golden;
mod golden_obs;
mod gradients;
mod heads;
mod memory;
mod metrics;
mod resume;
mod runs;
mod surgery;
mod tasks;
mod transformers;
