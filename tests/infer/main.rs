//! The runtime: its kernels, its packed file, its forward pass and its commands. Needs no Burn.

mod attention;
mod commands;
mod exports;
mod files;
mod golden;
mod products;
mod quantized;
