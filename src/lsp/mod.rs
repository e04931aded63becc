//! The language server: `obertc lsp`.
//!
//! ```text
//! bytes ─ stdio ─▶ messages ─ server ─▶ workspace: open documents ─▶ Snapshot ─ requests ─▶ answers
//! ```
//!
//! A [`Snapshot`](snapshot::Snapshot) is a document at one version with everything that the compiler knows of it. Every
//! feature is a function of a snapshot and a position, in a file of its own, which tests and other programs call without
//! the protocol. Only [`server`], [`workspace`], `requests`, `replies`, `across_files` and [`stdio`] know the
//! protocol's messages; they are left out on WebAssembly.
//!
//! - [`position`]: lines and columns; [`documents`]: changes of texts; [`place`], [`uri`]: files and their names;
//! - [`lexer`], [`recovery`]: tokens, and the tree of a text that is being typed;
//! - [`modules`]: declarations in the file and in those that it uses; [`words`]: the meaning of each word;
//! - `statements`, `selection`, `over_time`: what the compiler knows at an offset: the stage, the parameters that a
//!   selector matches, sparsity and learning rate over time;
//! - [`diagnostics`], [`actions`], [`formatting`], [`symbols`], [`folding`], [`highlighting`], [`hints`], [`lens`]: answers
//!   about a whole document;
//! - [`hover`], [`navigation`], [`completion`] with its [`context`]: answers about a position.

pub mod actions;
pub mod completion;
pub mod completion_item;
mod completion_values;
pub mod context;
pub mod diagnostics;
pub mod documents;
pub mod folding;
pub mod formatting;
pub mod highlighting;
pub mod hints;
pub mod hover;
pub mod lens;
pub mod lexer;
pub mod links;
pub mod modules;
pub mod navigation;
mod over_time;
pub mod place;
pub mod position;
pub mod recovery;
mod selection;
pub mod snapshot;
mod statements;
pub mod symbols;
pub mod uri;
pub mod words;

#[cfg(not(target_family = "wasm"))]
mod across_files;
#[cfg(not(target_family = "wasm"))]
mod capabilities;
#[cfg(not(target_family = "wasm"))]
mod replies;
#[cfg(not(target_family = "wasm"))]
mod requests;
#[cfg(not(target_family = "wasm"))]
pub mod server;
#[cfg(not(target_family = "wasm"))]
pub mod stdio;
#[cfg(not(target_family = "wasm"))]
pub mod workspace;

/// Serves a client over byte streams; returns whether it shut down in order.
///
/// # Errors
/// A stream that cannot be read or written.
#[cfg(not(target_family = "wasm"))]
pub fn serve(
    input: impl std::io::BufRead + Send + 'static,
    output: impl std::io::Write + Send + 'static,
) -> std::io::Result<bool> {
    stdio::serve(input, output, server::run)
}
