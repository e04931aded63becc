//! The runtime: its kernels, its packed file, its forward pass and its commands. Needs no Burn.

mod commands;
mod files;
mod golden;
mod pickles;
mod products;
mod quantized;
