//! What needs the engine: numbers against golden files, training, pruning, the binary's runs.

mod golden;
mod golden_obs;
mod memory;
mod metrics;
mod runs;
mod surgery;
mod transformers;
