//! The runtime: its kernels, its packed file, its forward pass and its commands. Needs no Burn.

mod attention;
mod commands;
mod configs;
mod empty;
mod exports;
mod families;
mod files;
mod golden;
#[cfg(feature = "serve")]
mod hostile;
mod outputs;
mod pickles;
mod pipeline;
mod products;
mod quantized;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "serve")]
mod serve_heads;
#[cfg(feature = "serve")]
mod serve_hostile;
#[cfg(feature = "serve")]
mod serve_openapi;
#[cfg(feature = "serve")]
mod server;
#[cfg(all(feature = "serve", unix))]
mod service_page;
mod threads;
mod tokenizers;
