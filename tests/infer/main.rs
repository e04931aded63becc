//! The runtime: its kernels, its packed file, its forward pass and its commands. Needs no Burn.

mod attention;
mod commands;
mod files;
mod golden;
mod products;
mod quantized;
